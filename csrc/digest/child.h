/* A child that digests files. What Python calls is in sphttp_fork.cdef.h. */
#ifndef TEP_DIGEST_CHILD_H
#define TEP_DIGEST_CHILD_H

#include "shared/call.h"

/* Be a child that digests files, of the call's pool or item `index` alone, and
 * end this process. */
_Noreturn void digest_serve(struct sphttp_call *call, uint32_t index);

/* NULL is allowed. */
void digest_free(struct digest *digest);

#endif

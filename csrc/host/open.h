/* Freeing a call. How one is opened is in sphttp_fork.cdef.h. */
#ifndef TEP_HOST_OPEN_H
#define TEP_HOST_OPEN_H

#include "shared/call.h"

/* Open a nest of that mould. 0 or -errno. */
int call_open_nest(struct sphttp_call *mould, sphttp_call **nest);

/* See py_call_free in sphttp_fork.cdef.h. */
void call_free(struct sphttp_call *call);

#endif

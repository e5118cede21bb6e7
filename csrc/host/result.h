/* What became of an item. What Python calls is in sphttp_fork.cdef.h. */
#ifndef TEP_RESULT_H
#define TEP_RESULT_H

#include <stdint.h>

#include "host/store.h"
#include "shared/record.h"

/* An item's fate as far as its record does not tell it; else SPHTTP_RETURNED.
 * Of its state word. */
int fate_of(uint64_t word);

struct payload *payload_of(struct sphttp_call *call, uint32_t index);

/* A record has been read, `err` is 0: check its MAC, and take over what its header says.
 * Else there is no payload: -errno, or -EBADMSG, it is not the one that was written. */
void payload_end(const struct sphttp_call *call, const struct header *header,
                 struct payload *payload, int err);

/* Nobody needs the first so many bytes of a record any more: to free it will take less
 * time. */
void payload_spend(struct payload *payload, size_t end);

/* What the nursery has noted of item `index`. */
void result_of_report(const struct sphttp_call *call, uint32_t index,
                      sphttp_result *result);

#endif

/* The cells of a fed call, and the ring by which children find an item's cell. */
#ifndef TEP_RING_H
#define TEP_RING_H

#include <stddef.h>
#include <stdint.h>

#include "shared/call.h"

/* Bytes of the page, and of the ledger, that they need; of no fed call 0. */
size_t ring_size(const struct plan *plan);
size_t ring_ledger_size(const struct plan *plan);

/* That is where they are. */
void ring_find_places(struct sphttp_call *call, char *page, char *ledger);

/* Before anybody else has them: no cell holds an item. */
void ring_open(struct sphttp_call *call);

/* In the host: put item `number`, which lies at that place, into a cell that holds
 * none; and let it be taken. */
void ring_feed(struct sphttp_call *call, uint32_t cell, uint64_t number,
               uint64_t at, uint64_t size);

/* Let those below the watermark begin: they have been fed. */
void ring_raise(struct sphttp_call *call, uint64_t watermark);

/* In the host: the cell holds none. */
void ring_release(struct sphttp_call *call, uint32_t cell);

/* In the nursery: somebody has scribbled there. Items that are free can be found again;
 * at worst one that is fed meanwhile cannot. */
void ring_mend(struct sphttp_call *call);

/* The cell of item `number`, if that is free; -1. */
int64_t ring_find(const struct sphttp_call *call, uint64_t number);

#endif

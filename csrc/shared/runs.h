/* Fed calls: the memory that records are in is taken in runs, and used again. A run is
 * 64 KiB or a power of two of that. Whose run it is, a hand says; which are free, a
 * table in the page. A run in a word: where it begins, whether one record has it
 * for itself, and how large it is. */
#ifndef TEP_RUNS_H
#define TEP_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/call.h"

enum {
    RUN_UNIT = 64 << 10, /* bytes */
    RUN_ALONE = 64       /* or'ed to a run: one record has it */
};

/* The run of so many bytes, or more, that begins there. */
uint64_t run_of(uint64_t offset, uint64_t size);
uint64_t run_offset(uint64_t run);
uint64_t run_size(uint64_t run);

/* Is it a run, in a file of so many bytes? */
bool run_plausible(uint64_t run, uint64_t file_size);

/* How many runs of dead children the ledger has room for. */
uint32_t runs_orphans(const struct plan *plan);

/* How large the table of free ones is, in bytes. */
size_t runs_size(const struct plan *plan);

/* Let children take a run that nobody has any more. False: there is no room. */
bool runs_offer(const struct sphttp_call *call, uint64_t run);

/* In a child: a free run of that size, of run_size; 0: there is none. */
uint64_t runs_take(const struct sphttp_call *call, uint64_t size);

/* The run that a hand writes to; 0: none. */
uint64_t runs_claimed(const struct sphttp_call *call, uint32_t hand);

/* The child of this hand is gone: note its runs in the ledger. */
void runs_orphan(struct sphttp_call *call, uint32_t hand);

#endif

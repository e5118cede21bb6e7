/* Where results are kept, as children and the nursery see it: each in a file
 * of the scratch directory; or a pool's in its memory, and there also what a
 * child may write to no file. How a host reads both is in host/store.h. */
#ifndef TEP_STORE_H
#define TEP_STORE_H

#include <stdint.h>

#include "shared/record.h"

/* In a child: write a record. Its item's state from then on: ITEM_DONE with
 * its place, or ITEM_UNWRITTEN. */
uint64_t store_write(struct sphttp_call *call, struct header *header,
                     const void *payload);

/* The name of the file that a command prints to, its standard output (0) or its standard
 * error (1), once that of item `number` has ended. */
enum { OUTPUT_NAME = 32 }; /* bytes; a name has fewer */
void output_name(char *name, uint64_t number, int stream);

/* The path of the scratch directory, in host and nursery.
 * Async-signal-safe. */
void store_path(const struct sphttp_call *call, char path[SCRATCH_SIZE]);

/* Forget what was written of item `index`. Async-signal-safe. */
void store_remove(const struct sphttp_call *call, uint32_t index);

#endif

/* Fed calls: the host finds runs of the records' memory that nobody needs any more, and
 * lets children use them again. */
#ifndef TEP_HOST_RUNS_H
#define TEP_HOST_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sphttp_call;

struct run {
    uint64_t name; /* as of shared/runs.h */
    bool idle; /* no child wrote to it when the host last asked... */
    bool free; /* ...and so it is to be offered */
    uint64_t emptied; /* so many of its bytes are the kernel's again */
};

struct runs {
    struct run *list;
    size_t count, room;
};

/* Before the host looks which items have ended: which runs are no child's any more? Of
 * those there will be no record that this look does not find. */
void runs_ask(struct sphttp_call *call);

/* A record in this run has been copied. */
void runs_copied(struct sphttp_call *call, uint64_t run);

/* After all records have been copied that the look has found: offer what is free. False:
 * a loop is to go on first, and then this is to be called again. */
bool runs_reuse(struct sphttp_call *call);

void runs_forget(struct runs *runs);

#endif

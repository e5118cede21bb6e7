/* The two stores of results, as a host reads them: one interface. Where
 * children write to is in shared/store.h. */
#ifndef TEP_HOST_STORE_H
#define TEP_HOST_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/call.h"

/* What the host has of one item's record. */
struct payload {
    char *record;      /* malloc; the payload, and the MAC if there is one */
    const char *text;  /* the payload: there, or in the pool's memory */
    uint64_t at;       /* where it is in memory, if it was not copied so far */
    uint64_t size;     /* of the payload, bytes */
    size_t got, wanted; /* of a record that is being read */
    size_t spent;      /* what of it nobody needs any more */
    bool made;         /* the text is in the list that py_call_decode was given */
    int fate, error;
    int pid;                      /* in memory: of the child, and... */
    int64_t started_ns, ended_ns; /* ...when, as its record says */
};

struct fresh;
struct store {
    /* Note of so many items that have ended when they did, as far as they say so. */
    void (*see_ends)(struct sphttp_call *call, struct fresh *fresh,
                     uint32_t count);

    /* Gather the results of the items that have ended and were not yet told of; with
     * `all`, after the end, of every item, and leave nothing behind. 0, -errno; or
     * -EINTR: Python may have signals to handle, and then it goes on from there. */
    int (*gather)(struct sphttp_call *call, bool all);

    /* What became of item `index`, whose state word is `word`: `*result`, but for what
     * is in the payload, which is returned. */
    struct payload *(*find)(struct sphttp_call *call, uint32_t index,
                            uint64_t word, sphttp_result *result);
};

#endif

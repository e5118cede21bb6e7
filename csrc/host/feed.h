/* Feeding a call whose items come while its children run. */
#ifndef TEP_FEED_H
#define TEP_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/call.h"

enum { SHELVES = 256 }; /* four for each power of two */

/* Room in the items' memory, of one size, that nobody uses. */
struct shelf {
    uint64_t *free; /* where it is; so many... */
    uint32_t count, made, room; /* ...of all that were made; and can be listed */
};

/* What is in a cell. */
struct fed {
    uint64_t at;
    uint32_t shelf;
};

struct feed {
    char *at;        /* the items' memory; NULL: this process has none of it */
    uint64_t size;   /* bytes, mapped and backed... */
    uint64_t used;   /* ...of which so many have been used */
    uint64_t number; /* the next item's */
    bool many;       /* items are fed, of which children are not told one by one */
    struct fed *fed; /* one a cell */
    uint32_t *cells; /* those that are free, so many: */
    uint32_t cells_free;
    uint32_t *entries; /* the ring, as no child can write to it */
    struct shelf shelves[SHELVES];
};

/* Make what it takes to feed a call. 0 or -errno; closing twice is once. */
int feed_open(struct sphttp_call *call);
void feed_close(struct sphttp_call *call);

/* In a fork of the host, which does not have the items' memory. */
void feed_unshare(struct feed *feed);

/* The host is about to wait: let those who nap begin what was fed. */
void feed_beat(struct sphttp_call *call);

/* Feed the next item. Its cell; see py_call_feed for the errors. If `many` are fed, children
 * begin none before feed_tell. */
int64_t feed_put(struct sphttp_call *call, const void *item, size_t size,
                 bool pickled);

/* No result will be asked for any more: let all cells be used anew. */
void feed_release_all(struct sphttp_call *call);

/* Let all that was fed begin. */
void feed_tell(struct sphttp_call *call);

/* Where item `number` is kept, from when it was fed until it is known that it has begun:
 * its cell; in a call that is not fed its index. */
uint32_t feed_cell(const struct sphttp_call *call, uint64_t number);

#endif

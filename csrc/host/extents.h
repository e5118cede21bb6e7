/* What of a file has been written to: in order, and with holes in between. */
#ifndef TEP_EXTENTS_H
#define TEP_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

struct extent {
    uint64_t from, to;
};
struct extents {
    struct extent *list;
    size_t count, room;
};

/* So many bytes from `at` on are known to have been written. */
uint64_t extents_room(const struct extents *extents, uint64_t at);

/* Learn what of [from, to] has been written, of what lies before it too as far
 * as nothing is known there, and on to the next hole. 0 or -errno. */
int extents_learn(struct extents *extents, int fd, uint64_t from, uint64_t to);

void extents_forget(struct extents *extents);

#endif

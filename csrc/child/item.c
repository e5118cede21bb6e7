/* A child finds an item that was fed: in the items' memory, of which it has a view that
 * it cannot write through. */
#include "child/item.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* See all that there is now. 0 or -errno. */
static int
look_anew(struct sphttp_call *call)
{
    struct child *child = &call->child;
    struct stat st;
    if (!held_still(&call->items) || fstat(call->items.fd, &st) != 0) {
        return -EBADF; /* the worker has closed it */
    }
    size_t size = (size_t)st.st_size;
    if (child->items != NULL) { /* first: there may be no room for both */
        (void)munmap((void *)(uintptr_t)child->items, child->items_size);
        child->items = NULL;
    }
    void *at = mmap(NULL, size, PROT_READ, MAP_SHARED, call->items.fd, 0);
    if (at == MAP_FAILED) {
        return -errno;
    }
    child->items = at;
    child->items_size = size;
    return 0;
}

void
item_get_ready(struct sphttp_call *call)
{
    (void)look_anew(call);
}

int
item_find(struct sphttp_call *call, uint32_t cell, const char **at,
          size_t *size)
{
    const struct child *child = &call->child;
    uint64_t from = call->places[cell].at, length = call->places[cell].size;
    int pickled = (length & ITEM_PICKLED) != 0;
    length &= ~ITEM_PICKLED;
    for (int tries = 0; tries < 2; tries++) {
        if (child->items != NULL && from <= child->items_size &&
            length <= child->items_size - from) {
            *at = child->items + from;
            *size = length;
            return pickled;
        }
        int err = tries == 0 ? look_anew(call) : 0;
        if (err != 0) {
            return err;
        }
    }
    return -EBADMSG; /* somebody has scribbled */
}

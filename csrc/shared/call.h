/* A call, as host, nursery and children see it. What a field's path begins with says
 * who may touch it:
 *
 *   call->plan     the host sets it before the fork; from then on all only read it
 *   call->page, state, hands, larges, places, order, spares
 *                  any child may have written anything there: page.h
 *   call->ledger, living, report, number, orphans
 *                  host and nursery; no child has them
 *   call->host     the host: host/host.h, which no file below that wing includes
 *   call->nursery  the nursery: nursery/nursery.h, which no file below that wing
 *                  includes
 *   call->child    a child; the nursery sets what the next one begins with
 *   call->memory, items, bell, directory
 *                  descriptors that all have open, and a worker may have closed */
#ifndef TEP_CALL_H
#define TEP_CALL_H

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cdef.h"
#include "base/safe.h"
#include "shared/page.h"

enum { KEY_SIZE = 32 };

/* What a call is to do. */
struct plan {
    uint32_t count; /* of items; of a fed call, of cells */
    uint32_t alive; /* children at a time */
    uint32_t lanes; /* hands of each child */
    uint32_t hands; /* of all of them */
    bool server; /* a mould: what is forked is a server, whose nests have a page */
    bool pool; /* children take items themselves, one after another */
    bool fed;  /* items come while children run; cells are used anew */
    bool kept; /* fed: one user's call after another, each a round */
    bool in_memory; /* results are, not in files */
    bool command;   /* fed: the items are commands; no child is a copy of the host */
    bool ungrouped; /* which print straight to the host's streams */
    uint64_t ring;  /* fed: a number and'ed with this is its entry in the ring */
    uint64_t quota; /* pool: items that a child takes; 0: as many as there are */
    uint32_t ahead; /* kept: so many idle children stand ready */
    bool setup, tell;
    bool hold; /* items wait for the watermark; else all may start */
    uint32_t retries;
    int64_t timeout_ns;  /* of an item; 0: none */
    int64_t leave_ns;    /* of a child's end */
    pid_t owner;         /* the host's number */
    sigset_t mask;       /* the forking thread's; its children's in the end */
    size_t page_size, ledger_size;
    int *open; /* of a mould: descriptors that its children keep, in order... */
    size_t open_count; /* ...so many */
    uint32_t *wiped;       /* a page that every fork empties; or NULL */
    struct digest *digest; /* the items are files to digest in C; or NULL */
    unsigned char key[KEY_SIZE];
    char root[PATH_MAX];
};

/* A child's window on the memory that results are in. */
struct window {
    char *at;
    uint64_t offset; /* of `at` in the memory */
    size_t room, size;
    uint64_t run; /* fed: which it is */
};

/* What a child is, and does. */
struct child {
    pid_t self;        /* the child's number; 0: this is no child */
    bool in_child;     /* also in the nursery */
    bool linger;       /* it has something to do after its last item */
    bool stripped;     /* a pool's worker has closed what it needs: no further item
                        * for it, but for another that takes its place */
    uint32_t slot;     /* its place among those alive */
    uint32_t untold;   /* items that it has ended since it last woke the host */
    uint32_t hand;     /* of its own, the one that it uses */
    struct held pulse; /* it ends when the nursery does */
    uint64_t number;   /* what words say of the item that it has */
    uint64_t how;      /* of the round that it is of: enum round_kind */
    uint64_t left;     /* so many more it may take */
    bool unlooked;     /* kept: it has had an item since it last looked what... */
    uint64_t below;    /* ...processes there are below it, by a sum of them... */
    uint64_t reaped;   /* ...and by what those cost that were reaped */
    struct window window;
    const char *items; /* fed: its view of their memory, of... */
    uint64_t items_size; /* ...so many bytes; or NULL */
    uint64_t alone;    /* fed: the run of a large record; or 0 */
    /* A pool child's way to sleep: page_await_turn, or round that. */
    bool (*await_turn)(struct page *page, uint32_t turn);
};

struct sphttp_call {
    struct page *page;
    _Atomic uint64_t *state; /* count + 1 of them, behind the page */
    struct hand *hands;      /* alive * lanes of them, there too */
    struct large *larges;    /* lanes > 1: count of them, there too */
    struct place *places;    /* fed: count of them, there too */
    _Atomic uint32_t *order; /* fed: ring + 1 of them, there too: cells */
    _Atomic uint64_t *spares; /* fed: free runs, there too */
    struct ledger *ledger;
    struct alive *living;    /* alive of them, behind the ledger */
    struct report *report;   /* count + 1 of them, there too */
    _Atomic uint64_t *number;  /* fed: whose each of the count cells is, there too */
    _Atomic uint64_t *orphans; /* fed: the runs of children that are gone, there too */
    struct host *host;
    struct nursery *nursery;
    struct held memory;    /* a memory file that cannot shrink */
    struct held items;     /* fed: a memory file that no child can write to */
    struct held bell;      /* tell: a pipe's end, to wake the host */
    struct held directory; /* the scratch directory, to whom has opened it */
    struct child child;
    struct plan plan;
};

#endif

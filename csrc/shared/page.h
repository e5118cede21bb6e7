/* The memory that host, nursery and children share, and the ledger that only
 * host and nursery do.
 *
 * A child can write to the page whatever it likes: with a stray pointer, or a C
 * library's. So its words are for children alone to use as they are, by
 * child/, digest/child.c, and news.c, pool.c and waking.c beside this. Host and nursery ask the getters
 * below, each of which has a range; what lies outside counts as never written. */
#ifndef TEP_PAGE_H
#define TEP_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/waking.h"
#include "sphttp_fork.h"

struct sphttp_call;

/* An item's state word: a kind, and above it the hand that it is in, where its
 * record is, or the errno for want of one: one word, so that a child writes to
 * one place. Whoever moves it out of ITEM_RUN, by compare and swap, decides:
 * the child that commits, or the one that gives the item up. */
enum {
    ITEM_FREE = 0,
    ITEM_RUN = 1,
    ITEM_LOST = 2,      /* given up; what its child may still write is void */
    ITEM_DONE = 3,      /* committed; the record is in its file */
    ITEM_DISCARDED = 4, /* committed; there is no record */
    ITEM_UNWRITTEN = 5, /* committed; the record could not be written */
    ITEM_LATE = 6,      /* given up at its limit; its child is being killed */
    ITEM_CUT = 7,       /* given up; the whole call is cut short */
    ITEM_KIND = 7
};

/* Has its child said how it ended? Else, where it did end, it was given up. */
static inline bool
item_committed(uint64_t word)
{
    uint64_t kind = word & ITEM_KIND;
    return kind == ITEM_DONE || kind == ITEM_DISCARDED ||
           kind == ITEM_UNWRITTEN;
}

/* Where cells are used anew, these two say which item it is, too: all of its number,
 * or the low half. Elsewhere they say 0. */
static inline uint64_t
item_free(uint64_t number)
{
    return ITEM_FREE | number << 3;
}

static inline uint64_t
item_taken(uint32_t hand, uint64_t number)
{
    return ITEM_RUN | (uint64_t)hand << 3 | number << 32;
}

static inline uint64_t
item_running(uint32_t hand)
{
    return item_taken(hand, 0);
}

/* The hand of one that is ITEM_RUN. */
static inline uint32_t
item_hand(uint64_t word)
{
    return (uint32_t)word >> 3;
}

static inline uint64_t
item_unwritten(int error)
{
    return ITEM_UNWRITTEN | (uint64_t)(uint32_t)error << 3;
}

/* With ITEM_DONE in a call that is no pool: the record is in the call's
 * memory, and its offset, a multiple of 8, stands above this. */
enum { IN_MEMORY = 8 };

/* What a stop word says. */
enum {
    STOP_NEW = 1, /* no new item starts */
    STOP_ALL = 2  /* and what runs is killed */
};

/* What is said of a round, which is all of a call but where that is kept. Or'ed to it,
 * the round's number, times ROUND_ONE. */
enum round_kind {
    ROUND_STOP = 3, /* after a failure: 0, STOP_NEW or STOP_ALL */
    ROUND_DISCARDS = 4, /* an item may be committed as ITEM_DISCARDED */
    ROUND_REAPED = 8, /* an item has ended when its child, which had one, is reaped */
    ROUND_ONE = 256
};

/* --- What children may write ----------------------------------------------- */

struct page {
    _Atomic uint32_t stop;      /* 0, STOP_NEW or STOP_ALL */
    _Atomic uint32_t turn;      /* +1 at whatever a sleeping child waits for */
    _Atomic uint32_t sleepers;  /* so many sleep; who is killed then stays counted */
    _Atomic uint32_t beat;      /* +1 when there is enough to do for those who nap... */
    _Atomic uint32_t nappers;   /* ...so many */
    _Atomic uint64_t watermark; /* of a held call: items from here on must wait */
    _Atomic uint64_t total;     /* so many items there will be */
    _Atomic uint64_t how;       /* of the round, of enum round_kind */
    _Alignas(64) _Atomic uint64_t next; /* pool: items from here on are nobody's */
    _Atomic uint32_t rung;      /* items have ended since the host looked */
    _Atomic uint32_t listens;   /* HOST_AWAKE, or what else it does */
    _Atomic uint32_t surveyed;  /* files, from the last one on, whose size is known */
    _Atomic uint32_t large;     /* so many are */
    _Atomic uint64_t used;      /* pool: bytes of its memory handed out */
    _Atomic uint64_t bytes;     /* of files: digested so far */
    _Atomic uint32_t strangers; /* kept: below a child are processes that it has left */
    _Atomic uint32_t reaped;    /* kept: a child has reaped some; theirs may be left */
};

/* A file whose turn comes before that of the small ones. */
struct large {
    _Atomic uint64_t size; /* bytes; 0: not yet noted */
    _Atomic uint32_t index;
};

/* Where a fed item lies in the memory of the items. */
struct place {
    _Atomic uint64_t at, size; /* bytes; or'ed to the second: ITEM_PICKLED */
};
#define ITEM_PICKLED (UINT64_C(1) << 63)

/* What a child has in hand, and which items of a pool have been set aside for
 * it. A child has as many hands as the call has lanes, one or more: hand
 * `slot * lanes` and the next. On a cache line of its own: each child writes
 * here for every item. */
struct hand {
    _Alignas(64) _Atomic int64_t since_ns; /* 0: its clock does not run yet */
    _Atomic uint32_t item; /* 1 + its index; 0: it has not taken one yet */
    _Atomic uint32_t again; /* 1 + the index of one whose child died; or 0 */
    _Atomic uint64_t from, to; /* a hint: those that are free are anybody's */
    _Atomic uint32_t leaving;  /* enum sphttp_leaving, HAND_GONE; 0: it has items */
    _Atomic uint32_t number;   /* kept: 1 + the low half of that of the last item */
    _Atomic int64_t leaving_ns; /* since when */
    _Atomic uint64_t run;   /* fed: where its records go, and... */
    _Atomic uint64_t alone; /* ...where one goes that is large: runs.h; or 0 */
};

/* What `leaving` says of a kept child that does nothing more: nobody waits for it. */
enum { HAND_GONE = 64 };

/* --- What no child has ----------------------------------------------------- */

/* What the nursery knows of an item's child; of a pool's only where it
 * died. */
struct report {
    int32_t pid;
    int32_t wait_status;
    uint32_t attempts;
    uint32_t lives; /* so often its child died, and it was tried again */
    int32_t refused; /* a command that could not be started: errno of exec; below 0, -errno
                      * of the file that it was to print to */
    uint32_t printed; /* or'ed: 1: there is a file of its standard output, 2: of its standard
                       * error */
    int32_t lost;     /* errno: what it has printed is not there, or not all of it; or 0 */
    int64_t started_ns, cpu_ns, max_rss;
    _Atomic int64_t ended_ns; /* the last that the nursery does with an item */
};

/* A child that is alive. */
struct alive {
    _Atomic int32_t pid; /* 0: the place is free */
    int64_t forked_ns;   /* just before... */
    int64_t born_ns;     /* ...and just after */
};

/* A child that something is to be said of, once the call is over. */
struct remark {
    _Atomic int32_t pid; /* 0: there is nothing */
    int32_t what;        /* a wait status, or enum sphttp_leaving */
};

enum { OVERDUE = -1 }; /* the nursery has stopped the round at its deadline */

struct ledger {
    _Atomic uint32_t stop;      /* the strongest that the nursery has seen */
    _Atomic uint32_t aborted;   /* the host has given it up */
    _Atomic uint32_t wants;     /* the nursery sleeps, and has work if the host has */
    _Atomic uint64_t how;       /* of the round, as the host has set it */
    _Atomic int64_t deadline_ns; /* of the round, by now_ns; 0: none; or OVERDUE */
    _Atomic int64_t wakes_ns;   /* kept: the nursery sleeps until then */
    _Atomic uint32_t busy;      /* kept: a round is under way */
    _Atomic uint32_t deaths;    /* kept: of children that might have gone on */
    _Atomic uint32_t idle;      /* kept: children, when that was last counted */
    _Atomic uint32_t forks;     /* kept: the nursery sleeps, and could fork others */
    _Atomic uint32_t strangers; /* kept: below the nursery are such */
    _Atomic uint32_t born;      /* 1 + the slot of a child that is being forked */
    _Atomic uint64_t watermark; /* of a held call: as the host has set it */
    _Atomic uint64_t total;     /* likewise */
    _Atomic int32_t error;      /* errno of the nursery, and... */
    _Atomic int32_t trouble;    /* ...what it could not do, of enum trouble */
    struct scratch scratch; /* the scratch directory, as far as there is one */
    struct remark unready;   /* the first that ended in its setup */
    struct remark overstayed; /* the first that was killed at its end */
};

/* --- All of it ------------------------------------------------------------- */

/* Pool: items from `next` on are nobody's. */
void page_begin_anew(struct sphttp_call *call, uint64_t next);

/* Write into it again what children read there, should somebody have
 * scribbled. */
void page_mend(struct sphttp_call *call);

/* Empty a hand, for a new child. */
void page_clear_hand(struct sphttp_call *call, uint32_t hand);

/* Nothing is set aside for it. */
void page_set_none_aside(struct sphttp_call *call, uint32_t hand);

/* Item `index` is to be tried again: first by who has this hand next. */
void page_set_again(struct sphttp_call *call, uint32_t hand, uint32_t index);

/* Item `index` is free, or in that hand. */
void page_free_item(struct sphttp_call *call, uint32_t index);
void page_hand_out(struct sphttp_call *call, uint32_t index, uint32_t hand);

/* Move item `index`, if it still is that number and page_runs, to another kind.
 * False: it does not run. */
bool page_give_up(struct sphttp_call *call, uint32_t index, uint64_t number,
                  uint32_t hand, uint64_t kind);

/* Has that hand item `index`, and is not through with it? Of a call that is no
 * pool the nursery knows who has it: whatever a stray has made of its word,
 * there it runs until it is committed or given up. */
bool page_runs(const struct sphttp_call *call, uint32_t index, uint32_t hand);

/* Pool: the first item that says that it is in that hand, whatever the hand
 * says; or -1. */
int64_t page_find(const struct sphttp_call *call, uint32_t hand);

/* No child is left that could have item `index` in hand: where its word says that one
 * has, or with `also_free` that one may, it is ITEM_LOST; after an abort ITEM_CUT. */
void page_settle(struct sphttp_call *call, uint32_t index, bool also_free);

/* The same for every item, once no child will be forked any more: what was freed for
 * another try ends as it ended last. */
void page_settle_all(struct sphttp_call *call, bool also_free);

/* The getters. */

/* 0, STOP_NEW or STOP_ALL: what a child has said, or the nursery. */
uint32_t page_stopped(const struct sphttp_call *call);

/* The number of item `index`; of a cell that holds none, UINT64_MAX. */
uint64_t page_number(const struct sphttp_call *call, uint32_t index);

/* The free item of the lowest number; -1. */
int64_t page_first_free(const struct sphttp_call *call);

/* From 0 to the count, or to the watermark of a fed call. */
uint64_t page_next(const struct sphttp_call *call);

/* The state word of item `index`, or of the call itself, `count`: with a hand
 * that there is, an errno, any offset of a record; else ITEM_LOST. */
uint64_t page_item(const struct sphttp_call *call, uint32_t index);

/* 1 + the index of an item that there is, or 0. */
uint32_t page_in_hand(const struct sphttp_call *call, uint32_t hand);

/* Since when, by now_ns: from `born` to `now`; else 0. */
int64_t page_since(const struct sphttp_call *call, uint32_t hand,
                   int64_t born, int64_t now);

/* What the child of this hand does at its end, of enum sphttp_leaving, or HAND_GONE; 0:
 * it does not say. `*since`: since when, from `born` to `now`; else 0. */
int page_leaving(const struct sphttp_call *call, uint32_t hand, int64_t born,
                 int64_t now, int64_t *since);

/* The first free item of those set aside for a hand, RUN_LENGTH at most, with where
 * these begin from then on; -1. */
enum { RUN_LENGTH = 64 };
int64_t page_set_aside(const struct sphttp_call *call, uint32_t hand,
                       uint64_t *from);

/* Of quick items: so long somebody naps, a host or a child, before it sleeps. */
#define NAP_NS (SECOND / 10000)

/* What a host does that wants to hear of items that have ended. */
enum {
    HOST_AWAKE = 0,  /* it will look before it sleeps */
    HOST_SLEEPS = 1, /* it is to be woken when one ends... */
    HOST_NAPS = 2,   /* ...or when several have, and there are no more to begin */
    HOST_WAITS_IDLE = 3 /* ...or when no child has anything to do */
};

/* From now on it does that. False: items have ended since it last looked. */
bool page_listen(const struct sphttp_call *call, uint32_t how);

/* Does this hand hold nothing, and is its child not at its end? Are all so? */
bool page_hand_idle(const struct sphttp_call *call, uint32_t hand);
bool page_all_idle(const struct sphttp_call *call);

/* Kept: does its child do nothing more but exit? The cell of the item that it has served
 * last, if that is still there; -1. */
bool page_hand_gone(const struct sphttp_call *call, uint32_t hand);
int64_t page_served(const struct sphttp_call *call, uint32_t hand);

/* Kept, in the host: did workers leave processes behind? May they have? Asked once. */
bool page_strangers(struct sphttp_call *call);
bool page_reaped(struct sphttp_call *call);

/* Kept, in the host: a round begins, of enum round_kind. The next one may: the stop word
 * is taken back, and what was not begun never will be. What the stop word said. */
void page_begin_round(struct sphttp_call *call, uint64_t how);
uint32_t page_end_round(struct sphttp_call *call);
void page_skip_unbegun(const struct sphttp_call *call); /* what was not begun */

/* Does a child sleep or nap, since there is no item for it? */
bool page_idle(const struct sphttp_call *call);

/* Have items ended since the host has last looked? And say so, or that it looks. */
bool page_rung(const struct sphttp_call *call);
void page_set_rung(const struct sphttp_call *call, bool rung);

#endif

/* What only the host of a call touches. */
#ifndef TEP_HOST_H
#define TEP_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "host/extents.h"
#include "host/feed.h"
#include "host/runs.h"
#include "shared/call.h"

/* What was being done when an errno came up; a constant string. */
typedef const char *doing_t;

/* An item that has ended. */
struct fresh {
    int64_t ended_ns; /* as far as is known; or 0 */
    uint64_t number;
    uint32_t index;
    bool copied; /* fed: its record has been */
};

/* What is asked of a kept call, and how far that has come: round.c. */
struct round {
    uint64_t number; /* of the round; 0: there was none yet */
    uint64_t from;   /* the number of its first item */
    bool on;         /* it has begun, and was not renewed... */
    bool all_fed;    /* ...all its items are known... */
    bool over;       /* ...and all is gathered */
    bool patient;    /* its host wants to hear of nothing before that */
    bool reaped;     /* its items end when their children do */
    bool spent;      /* there can be no other */
    bool counts;     /* the nursery was asked for strangers... */
    bool strangers;  /* ...and there are, or may be, some */
    int64_t held_ns; /* so long it may still wait with the GIL held */
};

struct host {
    doing_t doing;

    /* The nursery. */
    pid_t nursery_pid; /* 0: none */
    int nursery_fd;    /* a pidfd; -1: there is none to be had */
    struct held host_end; /* of the socket */
    bool ended;
    int64_t dismissed_ns; /* when the nursery was told to end; or 0 */
    uint32_t nurseries_lost; /* fed: one after the other, in vain */
    uint64_t ended_before;   /* items, when the last one was lost */
    struct sphttp_call *next_open; /* every open call: forks.c */

    /* A nest's, which a server forks: nest.c. */
    bool nest;
    bool asked;  /* the server was asked, and the nursery is yet to be heard of */
    int64_t awaited_ns; /* in a loop: since when it is awaited; or 0 */
    int refused; /* -errno: there will be no such nursery; or 0 */
    struct sphttp_call *mould; /* whose server; NULL: it is gone */
    int files[2]; /* memory files of page and ledger; or -1 */
    bool leaves; /* kept: its nursery was told to let it end... */
    uint32_t silent; /* ...and has said nothing for so many seconds since */
    bool stops; /* with the host, at a terminal's Ctrl-Z */

    /* Waking up for signals: wake.c, and Python's side of it. */
    int wake[2];  /* a pipe: Python's wake-up descriptor during the call */
    int watching; /* the number by which Python knows it; -1: it does not */
    struct held forward; /* the host's own: it gets what arrives in the pipe */
    bool unwatched;         /* kept: no signal wakes this thread... */
    pthread_t unwatched_by; /* ...which is the last that tried */
    bool rested; /* the host has had its own since, for code of its own */
    int beside;   /* what else wakes it: a descriptor of the caller's; or -1 */
    bool in_loop; /* its host waits elsewhere: nothing here may sleep */
    int64_t turn_end;    /* Python is to have a look then */
    uint64_t turn_work;  /* since the clock was last read */

    /* Items that have ended: news.c. */
    struct held heard; /* tell: the bell's other end */
    int both;        /* tell: an epoll of socket and bell; or -1 */
    int64_t heard_ns;  /* tell: when it last heard of some; and... */
    bool lively;       /* ...whether that was soon after the time before */
    uint64_t begun_to; /* tell: of the items below it that have begun... */
    struct fresh *begun; /* ...these had not ended when it last looked */
    uint32_t begun_count;
    struct fresh *fresh; /* tell: those that have ended, in that order... */
    uint32_t fresh_from, fresh_to; /* ...of which these are yet to be told of */

    /* Results: store.h. */
    const struct store *store;
    struct payload *payloads;
    uint32_t payload_count;
    int gathering;     /* of sphttp_event_kind: what it heard, and has yet to collect */
    uint32_t gathered; /* of all items: the first so many */
    uint32_t removals; /* so often the scratch directory was not empty yet */
    uint32_t texts, texts_left; /* see py_call_texts */
    uint64_t text_from; /* of a large one: where its next piece begins */

    /* Those in memory: pool.c. */
    const char *pool_mapping; /* the memory, sealed; NULL: records are copied */
    uint64_t pool_mapping_size;
    bool pool_sealed; /* all that has been written to it is known */
    int pool_reader; /* what they are copied from once `memory` is closed; or -1 */
    bool piecemeal;  /* it is not sealed, and large texts are copied as they are decoded... */
    bool whole;      /* ...but for the one that is asked for now */
    char *piece;     /* of such a text; or NULL */
    uint32_t dropped; /* so many payloads... */
    uint64_t emptied; /* ...and so many bytes of it are the kernel's again */
    struct block *pool_blocks; /* what has been read of it lately; or NULL */
    uint64_t pool_turn;        /* so often pool_map has been called */
    struct extents written;    /* in that memory, as far as is known */
    struct runs runs;          /* fed: of that memory */

    struct round round; /* kept */
    int64_t give_up_ns; /* when to come back from the wait, by now_ns; or 0 */
    uint32_t unbeaten; /* fed: items since those who nap were last woken */
    struct feed feed; /* fed: what it takes to feed it */
};

#endif

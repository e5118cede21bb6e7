/* The nursery of a call: what it knows, what its host tells it, and how it is
 * run. */
#ifndef TEP_NURSERY_H
#define TEP_NURSERY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/call.h"

/* What the host says to the nursery. */
enum { BYTE_GOODBYE, BYTE_LOOK, BYTE_PAUSE, BYTE_RESUME, BYTE_COUNT };

/* What the nursery says to the host. */
enum { WORD_OVER, WORD_COUNTED };

/* What a nursery could not do. */
enum trouble {
    TROUBLE_NONE,
    TROUBLE_SIGNALFD,
    TROUBLE_STDIN,
    TROUBLE_SCRATCH,
    TROUBLE_FORK
};

/* A hand as the nursery has seen it, which no child can write to. */
struct seen {
    uint32_t item;  /* as of page_in_hand... */
    uint64_t number; /* ...and that one's */
    int64_t since;  /* its clock runs since then; 0: not yet */
    int64_t leaving; /* its child is at its end since then; 0: it has items */
    int64_t idle;    /* kept: it has none since then, and shall end; or 0 */
    int64_t looked;  /* when that was */
    int64_t asked;  /* the item it will be asked about; or -1 */
    bool ready;     /* its child is through with its setup */
};

/* What only the nursery touches, once it is forked. */
struct nursery {
    struct sphttp_call *call;
    pid_t self;
    int given;        /* the socket's end that the host makes for us; or -1 */
    int host;         /* the same, once it is ours */
    int host_process; /* a pidfd; or -1 */
    int child_ends;   /* a signalfd: SIGCHLD; or -1 */
    struct held pulse; /* the read end of a pipe whose write end only we have; or -1 */
    int pulse_source;  /* that end */
    bool deaf;        /* the host ignores SIGCHLD, and so shall its children */
    bool paused;      /* the host's terminal has stopped it, and we our children */
    int64_t paused_ns; /* since when */
    int64_t resumed_ns; /* until when they had been stopped; or 0 */
    int64_t due_ns;    /* until then no clock can have run out */
    uint64_t next;    /* no item below it is free */
    uint32_t index;   /* its own, where a child is forked for it */
    uint32_t running; /* children */
    uint64_t served;  /* so many may have ended for their quota */
    uint32_t fruitless; /* pool: so many children in turn have done nothing */
    uint64_t fed;       /* the watermark when one last ended */
    bool starved;     /* no fork succeeds until a child has ended... */
    int64_t again_ns; /* ...or it is this late; */
    int64_t hungry_ns; /* since when there is not even one child; or 0 */
    uint64_t how_seen; /* kept: of the round, when the clocks were last looked at */
    bool active;      /* kept: a round is under way, or was lately; as of its last look */
    bool counts;      /* the host asks whether there are strangers */
    bool reported;    /* the host knows that it is all over */
    int64_t patience_ns; /* until when nested nurseries are waited for; or 0 */
    struct commands *commands; /* where items are such; or NULL */
    struct seen seen[]; /* of each hand */
};

/* In the host, before the fork: make it, for it allocates nothing itself. The
 * host frees it, also after -ENOMEM. 0 or that. */
int nursery_open(struct sphttp_call *call);
void nursery_free(struct nursery *nursery); /* NULL is allowed */

/* Be the nursery: fork the children, wait for them, end this process. Returns
 * in the children only, and there the item's index. */
uint32_t nursery_run(struct sphttp_call *call);

#endif

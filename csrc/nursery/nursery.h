/* What the nursery's files tell each other. */
#ifndef TEP_NURSERY_H
#define TEP_NURSERY_H

#include "internal.h"

#define NURSERY_NAME "tep-nursery" /* in /proc: nurseries know each other by it */

struct nursery {
    struct sphttp_call *call;
    pid_t self;
    int host;         /* our end of the socket */
    int host_process; /* a pidfd; or -1 */
    int child_ends;   /* a signalfd: SIGCHLD; or -1 */
    struct held pulse; /* the read end of a pipe whose write end only we have; or -1 */
    int pulse_source;  /* that end */
    bool deaf;        /* the host ignores SIGCHLD, and so shall its children */
    bool paused;      /* the host's terminal has stopped it, and we our children */
    int64_t paused_ns; /* since when */
    int64_t resumed_ns; /* until when they had been stopped; or 0 */
    int64_t due_ns;    /* until then no clock can have run out */
    uint32_t next;    /* no item below it is free */
    uint32_t running; /* children */
    uint32_t fruitless; /* pool: so many children in turn have done nothing */
    bool starved;     /* no fork succeeds until a child has ended... */
    int64_t again_ns; /* ...or it is this late; */
    int64_t hungry_ns; /* since when there is not even one child; or 0 */
    bool told;        /* the host knows that it is all over */
    int64_t patience_ns; /* until when nested nurseries are waited for; or 0 */
};

/* --- birth.c: what a process does first ------------------------------------- */

/* Be the nursery of a call. 0 or -errno; then no child may be forked. */
int nursery_begin(struct nursery *nursery, struct sphttp_call *call);

/* In the nursery, before each fork: open what lets the child end with it. */
void nursery_expect(const struct nursery *nursery);

/* Be a child, for item `index` or in the pool's place of that number. */
void child_begin(const struct nursery *nursery, uint32_t index);

/* Note what could not be done, and begin no new item. Returns -error. */
int fail_call(struct sphttp_call *call, int trouble, int error);

/* --- pause.c: a host that its terminal has stopped ------------------------------ */

void nursery_pause(struct nursery *nursery);
void nursery_resume(struct nursery *nursery);

/* --- limits.c: clocks --------------------------------------------------------------- */

/* See what each child has in hand, or does at its end, and since when. */
void limits_look(const struct nursery *nursery);

/* The clocks have stood still for so long. */
void limits_shift(struct sphttp_call *call, int64_t ns);

/* Kill the children whose items, or whose ends, are over their time; at the
 * deadline, stop the call. */
void limits_enforce(struct nursery *nursery);

/* When there may be something to enforce, by now_ns; INT64_MAX: never. */
int64_t limits_next(const struct nursery *nursery);

/* The call is cut short: give up what is in hand, and kill every child, with
 * what it started; nurseries below them not while `patient`. False: /proc does
 * not say whether these were all. */
bool limits_cut(struct sphttp_call *call, bool patient);

/* --- strays.c: a page that makes no sense -------------------------------------------- */

/* Pool: enough of children that end with nothing in hand while items are free? They
 * have scribbled over what they had, or over which items are whose. Each may have
 * done so once; but they may also free again what they had, for ever. */
bool strays_spent(const struct nursery *nursery);

/* What is in the hand of a child that has ended, 1 + its index, or 0. A stray may have
 * emptied the hand, and a host that lets items start would wait for that item. */
uint32_t strays_item_left(const struct sphttp_call *call, uint32_t hand,
                          int status);

/* Pool: are there items that nobody knows of any more, since somebody has scribbled
 * on the count of what is set aside? Then it begins anew. */
bool strays_find_forgotten(struct nursery *nursery);

/* Let the host hear of items that have ended, and nobody knows how: it may wait for
 * that before it lets others start. */
void strays_settle(struct nursery *nursery);

/* No child is left: what says that it is in hand is in nobody's. And in a call that
 * was not stopped, what says that it is free is not either. */
void strays_settle_all(struct nursery *nursery);

/* --- kill.c ------------------------------------------------------------------------- */

/* Kill a child of this process that has not been reaped, so that the number is
 * nobody else's, with the group of that number, which only it can have made. */
void kill_with_group(pid_t pid);

/* Kill, with its group, each child of this process that `whom` says. Returns how
 * many nurseries are left, or -errno: children cannot be listed. For a call of
 * which no more children will be forked. */
enum { KILL_NURSERIES = 1, KILL_OTHERS = 2 };
int kill_children(int whom);

/* The same where /proc does not list them: the children that we forked. */
void kill_slots(const struct sphttp_call *call);

/* May we kill none of the children that are left? They have become another user. */
bool all_are_strangers(const struct sphttp_call *call);

/* Protocol A: kill everything below this process, reap it, remove the scratch
 * directory, and end. */
_Noreturn void end_everything(struct nursery *nursery);

#endif

/* What a fork of the host has to drop, and the socket between host and
 * nursery. */
#ifndef TEP_FORKS_H
#define TEP_FORKS_H

#include <stdbool.h>
#include <sys/types.h>

#include "shared/call.h"

/* Have every fork of this process drop what is open of calls. Twice is once. */
void forks_watch(void);

/* No fork of this process happens in between. What a fork has to drop is
 * opened and closed there. */
void forks_lock(void);
void forks_unlock(void);

/* Under the lock: the call is open; it is no more. Leaving twice is once. */
void forks_enter(struct sphttp_call *call);
void forks_leave(struct sphttp_call *call);

/* Under the lock: this mould is no more, and no nest can ask its server. */
void forks_forget_mould(const struct sphttp_call *mould);

/* Take the lock in a signal handler; forks_unlock gives it back. False: it
 * cannot be had. */
bool forks_lock_in_handler(void);

/* Under the lock: say it to every nursery. Async-signal-safe. */
void forks_tell_nurseries(char byte);

/* Under the lock: has somebody else closed its socket? A host that becomes a daemon closes
 * all that it has open, and the numbers may be others' by now. Then nothing of it is used,
 * or closed, any more; its nursery sees that, and ends. */
bool forks_find_closed(struct sphttp_call *call);

/* Make the socket between host and nursery. 0 or -errno. */
int socket_open(struct sphttp_call *call);

/* fork(), whose child keeps what is this call's. */
pid_t socket_fork(struct sphttp_call *call);

/* The nursery is this process, and has its end: close it here. */
void socket_handed_over(struct sphttp_call *call, pid_t pid);

/* Close what is open of it, and the pidfd. */
void socket_close(struct sphttp_call *call);

/* The nursery may be asleep, and able to fork a child for what may start now: tell
 * it, if it is. */
void socket_look(struct sphttp_call *call);

/* Kept: the same where there may be fewer children than are wanted. */
void socket_let_fork(struct sphttp_call *call);

/* Say it to the nursery, whatever it does. */
void socket_say(struct sphttp_call *call, char byte);

#endif

/* Nests, whose nurseries a server forks. */
#ifndef TEP_NEST_H
#define TEP_NEST_H

#include "shared/call.h"

/* Ask the server for the nursery; its socket is open. 0; or -errno, and that is closed:
 * -EPIPE, the server is gone. */
int nest_ask(struct sphttp_call *nest);

/* Under the forks' lock: has the nursery been heard of that was asked for? Then it is
 * known from now on; or why there will be none, in host->refused. */
void nest_hear(struct sphttp_call *nest);

/* Wait for the nursery that was asked for, if it was. 0; -EINTR: Python has signals to
 * handle; -ETIMEDOUT: it may still come; else there will be none: -EPIPE, it or the
 * server has ended before; -ECANCELED, after an abort; -errno, of the server's fork. */
int nest_await(struct sphttp_call *nest);

#endif

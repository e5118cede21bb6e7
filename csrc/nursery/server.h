/* The server of a block: it forks the nurseries of nests. */
#ifndef TEP_SERVER_H
#define TEP_SERVER_H

#include <stdint.h>

#include "shared/call.h"

/* What the host asks of it, in one message... */
struct make {
    uint32_t size; /* of this */
    unsigned char key[KEY_SIZE];
};

/* ...and the descriptors that come with it. First the one to answer through. */
enum {
    MAKE_SOCKET,
    MAKE_PAGE,
    MAKE_LEDGER,
    MAKE_MEMORY,
    MAKE_ITEMS,
    MAKE_BELL,
    MAKE_COUNT
};

/* What is said first through a nest's socket: by its nursery, with its own pidfd, that
 * it is there; by the server, why not. */
struct arrival {
    int32_t error; /* errno; or 0 */
    int32_t pid;
};

/* Be the server of that mould. Returns in the children of its nests only, as
 * nursery_run does. */
uint32_t server_run(struct sphttp_call *mould);

#endif

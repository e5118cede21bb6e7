/* Hearing of items that have ended. */
#ifndef TEP_HOST_NEWS_H
#define TEP_HOST_NEWS_H

#include <stdbool.h>

#include "shared/call.h"

struct host;

/* Make what it takes to tell. 0 or -errno; closing twice is once. */
int news_open(struct sphttp_call *call);
void news_close(struct sphttp_call *call);

/* Note which items have ended since the last time. At SPHTTP_NEWS those that have begun
 * and of which all is known; at SPHTTP_FORK_AGAIN nobody knows more of them; at
 * SPHTTP_ENDED it is every item. */
void news_drain(struct sphttp_call *call, int kind);

/* Kept: have all ended that were fed, or with `or_free` not begun? */
bool news_all_ended(struct sphttp_call *call, bool or_free);

/* Kept: has it noted that all have ended? */
bool news_all_told(const struct sphttp_call *call);

/* Kept: of all that was fed until now there is no more to be told. */
void news_forget(struct sphttp_call *call);

/* How many it has noted so far. */
uint64_t news_ended(const struct host *host);

#endif

/* Telling the host of items that have ended. */
#ifndef TEP_NEWS_H
#define TEP_NEWS_H

#include <stdbool.h>

#include "shared/call.h"

/* An item has ended: let the host look, if it wants to know. What is `large` takes it
 * time to read: it hears of that at once. False: it does not hear, until the nursery
 * tells it that this child has ended. */
bool news_tell(struct sphttp_call *call, bool large);

/* This child is about to sleep, for there is no item for it. As above. */
bool news_tell_idle(struct sphttp_call *call);

/* The same, where somebody may have died between the word and the bell. */
void news_tell_again(const struct sphttp_call *call);

#endif

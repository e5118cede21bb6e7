/* Telling the host of items that have ended. */
#ifndef TEP_NEWS_H
#define TEP_NEWS_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/call.h"

/* Item `index` has ended: tell the host, if it wants to know. False: it does
 * not hear, until the nursery tells it that this child has ended. */
bool news_push(struct sphttp_call *call, uint32_t index);

/* Wake the host, if it wants to know. False: the worker has closed the
 * bell. */
bool news_ring(const struct sphttp_call *call);

/* There may be some that nobody told of: let the host look for them. */
void news_missed(struct sphttp_call *call);

#endif

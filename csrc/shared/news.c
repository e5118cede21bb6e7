/* How a host that wants to know hears of each item that has ended: whoever ends it
 * puts it at the head of a list in the page, and rings where that was empty.
 * Of one that was killed in between the host is not told: it looks for itself
 * when it hears that a child has ended. How a host hears is in host/news.c. */
#include "shared/news.h"

#include <unistd.h>

bool
news_ring(const struct sphttp_call *call)
{
    if (!call->plan.tell) {
        return true;
    }
    if (!held_still(&call->bell)) {
        return false;
    }
    (void)write(call->bell.fd, "", 1); /* full: it has been rung */
    return true;
}

bool
news_push(struct sphttp_call *call, uint32_t index)
{
    if (!call->plan.tell) {
        return true;
    }
    uint32_t head = call->page->news;
    do {
        call->link[index] = head;
    } while (!atomic_compare_exchange_weak(&call->page->news, &head,
                                           index + 1));
    return head != 0 || news_ring(call);
}

void
news_missed(struct sphttp_call *call)
{
    if (call->plan.tell) {
        call->page->missed = 1;
        (void)news_ring(call);
    }
}

/* How a host that wants to know hears of each item that has ended. Who ends an
 * item puts it at the head of a list in the page. If the list was empty, it also
 * rings: it writes to a pipe. A child may be killed between these two steps, so the
 * host looks at all items when a child has ended. How a host hears is in
 * host/news.c. */
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

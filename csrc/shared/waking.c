/* How those who sleep at the shared page are woken. Whatever a child waits for raises
 * `turn`, on which it sleeps; a futex, for host and nursery have no descriptor of each
 * child's. */
#include "shared/waking.h"

#include "shared/page.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long
futex(_Atomic uint32_t *word, int how, uint32_t value,
      const struct timespec *most)
{
    return syscall(SYS_futex, word, how, value, most, NULL, 0);
}

/* Sleep, as one of those that are to be woken. */
static long
sleep_till(struct page *page, uint32_t turn, const struct timespec *most)
{
    /* First counted, then the kernel compares the turn: who raises it looks at
     * the count afterwards. */
    (void)atomic_fetch_add(&page->sleepers, 1);
    long result = futex(&page->turn, FUTEX_WAIT, turn, most);
    if (result != 0) { /* else whoever woke it has seen to the count */
        int err = errno;
        (void)atomic_fetch_sub(&page->sleepers, 1);
        errno = err;
    }
    return result;
}

bool
page_sleep(struct page *page, uint32_t turn, int64_t most_ns)
{
    struct timespec most = {most_ns / SECOND, most_ns % SECOND};
    return sleep_till(page, turn, &most) == 0 ||
           (errno != EINTR && errno != ETIMEDOUT);
}

bool
page_await_turn(struct page *page, uint32_t turn)
{
    (void)sleep_till(page, turn, NULL);
    return true;
}

void
page_nap(struct page *page, uint32_t beat)
{
    struct timespec most = {0, NAP_NS};
    (void)atomic_fetch_add(&page->nappers, 1);
    (void)futex(&page->beat, FUTEX_WAIT, beat, &most);
    (void)atomic_fetch_sub(&page->nappers, 1);
}

void
page_beat(struct page *page)
{
    (void)atomic_fetch_add(&page->beat, 1);
    if (page->nappers != 0) {
        (void)futex(&page->beat, FUTEX_WAKE, INT_MAX, NULL);
    }
}

/* Nobody is woken twice: the count tells at once that they no longer sleep. */
static void
wake(struct page *page, uint32_t most)
{
    long woken = futex(&page->turn, FUTEX_WAKE, most, NULL);
    if (woken > 0) {
        (void)atomic_fetch_sub(&page->sleepers, (uint32_t)woken);
    }
}

void
page_wake(struct page *page)
{
    (void)atomic_fetch_add(&page->turn, 1);
    wake(page, INT_MAX); /* whatever the count says: somebody may have scribbled */
}

void
page_raise_watermark(struct page *page, uint64_t watermark)
{
    uint64_t before = page->watermark;
    atomic_store_explicit(&page->watermark, watermark, memory_order_release);
    (void)atomic_fetch_add(&page->turn, 1);
    if (page->sleepers != 0) { /* not one more: who is woken in vain sleeps again */
        wake(page, watermark - before < INT_MAX
                       ? (uint32_t)(watermark - before)
                       : INT_MAX);
    }
}

void
page_set_total(struct page *page, uint64_t total)
{
    page->total = total;
    page_wake(page);
}

void
page_stop(struct page *page, uint32_t how)
{
    uint32_t now = page->stop;
    while ((now < how || now > STOP_ALL) &&
           !atomic_compare_exchange_weak(&page->stop, &now, how)) {
    }
    page_wake(page);
}

/* How the shared page and the ledger are laid out, and in which memory. */
#include "shared/layout.h"

#include "shared/record.h"
#include "shared/ring.h"
#include "shared/runs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where each part begins: those of the page, and then those of the ledger. */
struct layout {
    size_t hands, states, larges, ring, spares;
    size_t living, reports, numbers, orphans;
};

/* Find that, and how large both are. */
static struct layout
lay_out(struct plan *plan)
{
    struct layout at;
    /* What is taken from several sides begins with a cache line. */
    at.hands = (sizeof(struct page) + 63) / 64 * 64;
    at.states = at.hands + sizeof(struct hand) * plan->alive * plan->lanes;
    /* One more than there are items: the call itself. */
    size_t count = (size_t)plan->count + 1;
    at.larges = at.states + sizeof(uint64_t) * count;
    at.ring = at.larges;
    if (plan->lanes > 1) {
        at.ring += sizeof(struct large) * count;
    }
    at.spares = (at.ring + ring_size(plan) + 7) / 8 * 8;
    plan->page_size = at.spares + runs_size(plan);
    at.living = (sizeof(struct ledger) + 63) / 64 * 64;
    at.reports = at.living + sizeof(struct alive) * plan->alive;
    at.numbers = at.reports + sizeof(struct report) * count;
    at.orphans = at.numbers + ring_ledger_size(plan);
    plan->ledger_size = at.orphans + sizeof(uint64_t) * runs_orphans(plan);
    return at;
}

/* Both are mapped: note where everything is. */
static void
note(struct sphttp_call *call, const struct layout *at)
{
    char *page = (void *)call->page, *ledger = (void *)call->ledger;
    call->hands = (void *)(page + at->hands);
    call->state = (void *)(page + at->states);
    call->larges = call->plan.lanes > 1 ? (void *)(page + at->larges) : NULL;
    call->spares = call->plan.fed ? (void *)(page + at->spares) : NULL;
    call->living = (void *)(ledger + at->living);
    call->report = (void *)(ledger + at->reports);
    call->orphans = (void *)(ledger + at->orphans);
    if (call->plan.fed) {
        ring_find_places(call, page + at->ring, ledger + at->numbers);
    }
}

/* Map so many bytes of a file, or with -1 of no file, to be shared; or NULL. */
static void *
share(int file, size_t size)
{
    int how = file < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    void *found = mmap(NULL, size, PROT_READ | PROT_WRITE, how, file, 0);
    return found == MAP_FAILED ? NULL : found;
}

/* Make a memory file of so many bytes, for ever. A descriptor or -errno. */
static int
make_file(size_t size)
{
    int err = record_fits(size);
    if (err != 0) {
        return err;
    }
    int fd = above_streams(
        memfd_create("tep-nest", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (fd >= 0 &&
        (ftruncate(fd, (off_t)size) != 0 ||
         fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
             0)) {
        err = -errno;
        (void)close(fd);
        return err;
    }
    return fd;
}

static int
map_both(struct sphttp_call *call, const int files[2])
{
    call->page = share(files[0], call->plan.page_size);
    call->ledger = share(files[1], call->plan.ledger_size);
    return call->page == NULL || call->ledger == NULL ? -ENOMEM : 0;
}

int
layout_open(struct sphttp_call *call, int files[2])
{
    struct layout at = lay_out(&call->plan);
    int none[2] = {-1, -1};
    if (files != NULL) {
        files[0] = make_file(call->plan.page_size);
        files[1] = make_file(call->plan.ledger_size);
        if (files[0] < 0 || files[1] < 0) {
            return files[0] < 0 ? files[0] : files[1];
        }
    }
    int err = map_both(call, files != NULL ? files : none);
    if (err != 0) {
        return err;
    }
    note(call, &at);
    call->page->watermark = call->ledger->watermark = call->plan.count;
    call->page->total = call->ledger->total = call->plan.count;
    if (call->plan.fed) {
        ring_open(call);
    }
    return 0;
}

int
layout_attach(struct sphttp_call *call, const int files[2])
{
    struct layout at = lay_out(&call->plan);
    size_t sizes[2] = {call->plan.page_size, call->plan.ledger_size};
    struct stat st;
    for (int i = 0; i < 2; i++) { /* past its end is no memory, but SIGBUS */
        if (fstat(files[i], &st) != 0 || (size_t)st.st_size != sizes[i]) {
            return -EINVAL;
        }
    }
    int err = map_both(call, files);
    if (err == 0) {
        note(call, &at);
    }
    return err;
}

void
layout_close(struct sphttp_call *call)
{
    if (call->page != NULL) {
        (void)munmap(call->page, call->plan.page_size);
        call->page = NULL;
    }
    if (call->ledger != NULL) {
        (void)munmap(call->ledger, call->plan.ledger_size);
        call->ledger = NULL;
    }
}

void
layout_keep_ledger(const struct sphttp_call *call)
{
    (void)madvise(call->ledger, call->plan.ledger_size, MADV_DONTFORK);
}

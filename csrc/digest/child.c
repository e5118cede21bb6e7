/* A child of a call whose items are files: it digests one after another without
 * Python, and has as many in hand as its processor can digest at once. */
#include "digest/child.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <string.h>
#include <unistd.h>

#include "base/safe.h"
#include "base/sha256_choice.h"
#include "child/child.h"
#include "child/hand.h"
#include "digest/file.h"
#include "shared/news.h"

enum {
    SURVEY_LENGTH = 64,   /* files whose size is asked for in one go */
    SURVEY_MOST = 1024,   /* that each child asks for, whatever they are; then one */
    SURVEY_BYTES = 16384, /* more for so many that it has read */
    RING_EVERY = 16 << 20 /* bytes; then a host that wants to know is woken */
};

struct digest {
    struct algorithm algorithm;
    struct sha256_kernel kernel;
    const char **paths; /* one an item */
    unsigned char *buffers; /* LANES_MOST of them; each child's become its own */
};

/* --- The call ----------------------------------------------------------------- */

/* Find the names. 0 or -EINVAL: there is not one an item. */
static int
find_paths(const char **paths, uint32_t count, const char *from, size_t size)
{
    const char *end = from + size;
    for (uint32_t i = 0; i < count; i++) {
        const char *nul = memchr(from, '\0', (size_t)(end - from));
        if (nul == NULL) {
            return -EINVAL;
        }
        paths[i] = from;
        from = nul + 1;
    }
    return from == end ? 0 : -EINVAL;
}

int
sphttp_call_digest(sphttp_call *call, const char *paths, size_t size,
                   const char *key, size_t key_size, const char *kernel)
{
    struct digest *digest = calloc(1, sizeof(*digest));
    if (digest == NULL) {
        return -ENOMEM;
    }
    call->plan.digest = digest;
    uint32_t several = call->plan.lanes > 1 ? call->plan.count : 1;
    if (!sha256_choose(&digest->kernel, kernel, several)) {
        return -EINVAL;
    }
    digest->paths = calloc(call->plan.count, sizeof(*digest->paths));
    void *buffers = mmap(NULL, (size_t)LANES_MOST * BUFFER_SIZE,
                         PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                         -1, 0);
    digest->buffers = buffers != MAP_FAILED ? buffers : NULL;
    if (digest->paths == NULL || digest->buffers == NULL) {
        return -ENOMEM;
    }
    int err = find_paths(digest->paths, call->plan.count, paths, size);
    algorithm_init(&digest->algorithm, key, key_size);
    return err;
}

void
digest_free(struct digest *digest)
{
    if (digest == NULL) {
        return;
    }
    if (digest->buffers != NULL) {
        (void)munmap(digest->buffers, (size_t)LANES_MOST * BUFFER_SIZE);
    }
    explicit_bzero(&digest->algorithm, sizeof(digest->algorithm));
    free(digest->paths);
    free(digest);
}

uint32_t
sphttp_call_hands(const sphttp_call *call)
{
    bool several = call->plan.digest != NULL && call->plan.lanes > 1;
    return call->plan.alive * (several ? call->plan.digest->kernel.lanes : 1);
}

/* --- A child --------------------------------------------------------------------- */

struct lane {
    struct file file;
    int64_t index;  /* of the item in its hand; -1: there is none */
    uint64_t counted; /* bytes of it that progress has been told of */
    int how;        /* to take the next */
};

struct digester {
    struct sphttp_call *call;
    const struct digest *digest;
    uint32_t lanes;
    uint32_t busy; /* lanes that went on at once, the last time */
    struct lane lane[LANES_MOST];
    struct large *larges; /* those that were found, the largest first... */
    uint32_t large, larges_end; /* ...and these have not been looked at */
    uint32_t found; /* so many had been by then */
    bool surveys;
    uint64_t surveyed; /* files whose sizes it has asked for */
    uint64_t bytes;    /* of files that it is through with */
    int64_t only; /* not a pool's: its item, or -1 */
    bool failed;  /* the last one */
    struct folder folder;
};

/* Ask for the sizes of those files that no other child asks for, and note the
 * large ones: the last core should not be left with the largest. So it begins
 * with the last files, and does not ask for all where there are many small ones:
 * that would take a sixth of the time. */
static void
survey(struct digester *child)
{
    struct sphttp_call *call = child->call;
    struct page *page = call->page;
    struct folder folder = {.fd = -1};
    uint32_t count = call->plan.count, from = 0;
    while (!page->stop && page->surveyed < count &&
           child->surveyed < SURVEY_MOST + child->bytes / SURVEY_BYTES &&
           (from = atomic_fetch_add(&page->surveyed, SURVEY_LENGTH)) < count) {
        child->surveyed += SURVEY_LENGTH;
        uint32_t length = count - from < SURVEY_LENGTH ? count - from
                                                       : SURVEY_LENGTH;
        for (uint32_t i = count - from - length; i < count - from; i++) {
            /* What is wrong with it shows when it is opened. */
            uint64_t size = file_bytes(child->digest->paths[i], &folder);
            if (size < LARGE_SIZE) {
                continue;
            }
            uint32_t place = atomic_fetch_add(&page->large, 1);
            if (place < count) {
                call->larges[place].index = i;
                call->larges[place].size = size;
            }
        }
    }
    child->surveys = page->surveyed < count;
    close_end(&folder.fd);
}

static int
larger_first(const void *left, const void *right)
{
    const struct large *a = left, *b = right;
    if (a->size != b->size) {
        return a->size > b->size ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

/* Copy what has been found so far, and sort it; again where more has been found.
 * Nothing depends on its being all: what is missing has its turn with the small
 * ones. */
static void
list_larges(struct digester *child)
{
    const struct sphttp_call *call = child->call;
    uint32_t count = call->page->large;
    count = count < call->plan.count ? count : call->plan.count;
    if (call->larges == NULL || count == child->found) {
        return;
    }
    free(child->larges);
    child->found = count;
    child->large = child->larges_end = 0;
    child->larges = malloc(count * sizeof(*child->larges));
    for (uint32_t i = 0; child->larges != NULL && i < count; i++) {
        struct large *large = &child->larges[child->larges_end];
        large->size = call->larges[i].size; /* it is written last */
        large->index = call->larges[i].index;
        if (large->index < call->plan.count && large->size > 0) {
            child->larges_end++;
        }
    }
    if (child->larges != NULL) {
        qsort(child->larges, child->larges_end, sizeof(*child->larges),
              larger_first);
    }
}

/* May a child that has `mine` files in hand take another? Where there are not
 * enough for all lanes of all children, each takes its share. */
static bool
share_left(struct digester *child, uint32_t mine)
{
    const struct sphttp_call *call = child->call;
    uint32_t lanes = call->plan.alive * child->lanes;
    uint64_t next = call->page->next, count = call->plan.count;
    uint64_t unfinished = next < count ? count - next : 0;
    while (child->large < child->larges_end &&
           call->state[child->larges[child->large].index] != ITEM_FREE) {
        child->large++; /* somebody has it */
    }
    if (child->large < child->larges_end) {
        unfinished = 0;
        for (uint32_t i = child->large;
             i < child->larges_end && unfinished < lanes; i++) {
            unfinished += call->state[child->larges[i].index] == ITEM_FREE;
        }
    }
    for (uint32_t i = 0; i < call->plan.hands && unfinished < lanes; i++) {
        unfinished += call->hands[i].item != 0;
    }
    return mine * call->plan.alive < unfinished;
}

/* The next item for this lane, or -1: there is none, or none yet. */
static int64_t
next_item(struct digester *child, const struct lane *lane)
{
    struct sphttp_call *call = child->call;
    if (!call->plan.pool) {
        int64_t only = child->only;
        child->only = -1;
        return only;
    }
    uint32_t mine = 0, large = 0;
    for (uint32_t other = 0; other < child->lanes; other++) {
        const struct file *file = &child->lane[other].file;
        mine += child->lane[other].index >= 0;
        large += file->fd >= 0 && file->size >= LARGE_SIZE;
    }
    call->hands[call->child.hand].item = 0;
    call->hands[call->child.hand].since_ns = now_ns();
    uint64_t from;
    if (child->surveys) {
        survey(child);
    }
    if (page_set_aside(call, call->child.hand, &from) < 0) {
        list_larges(child);
        if (mine > 0 && !share_left(child, mine)) {
            return -1;
        }
        while (child->large < child->larges_end) {
            uint32_t index = child->larges[child->large++].index;
            if (hand_take_this(call, index)) {
                return index;
            }
        }
        /* Small files are for those who have no large one to go on with: what
         * it costs to open them would hold it up. */
        if (large > 0 && call->plan.alive > 1) {
            return -1;
        }
    }
    return hand_take(call, mine > 0 ? lane->how | TAKE_NOW : lane->how);
}

/* This lane is through with its item: `err`, or its digest. */
static void
finish_item(struct digester *child, struct lane *lane, int err)
{
    struct sphttp_call *call = child->call;
    uint32_t index = (uint32_t)lane->index;
    char hex[2 * SHA256_SIZE + 1];
    int32_t code = err;
    int64_t now = now_ns();
    lane->index = -1;
    lane->counted = 0;
    child->bytes += lane->file.total;
    file_close(&lane->file);
    if (err == 0) {
        file_hex(&lane->file, &child->digest->algorithm, hex);
        child->failed = child_commit(call, index, SPHTTP_RETURNED, hex,
                                     sizeof(hex) - 1, now);
    }
    else {
        child->failed = child_commit(call, index, SPHTTP_NO_DIGEST, &code,
                                     sizeof(code), now);
    }
    lane->how = child_turn(call, now);
}

/* Tell a host that wants to know how much more of a file has been read. What is
 * read again it has been told of. */
static void
tell_bytes(const struct digester *child, struct lane *lane)
{
    struct sphttp_call *call = child->call;
    if (call->plan.tell && lane->file.total > lane->counted) {
        uint64_t bytes = lane->file.total - lane->counted;
        lane->counted = lane->file.total;
        uint64_t before = atomic_fetch_add(&call->page->bytes, bytes);
        if (before / RING_EVERY != (before + bytes) / RING_EVERY) {
            (void)news_tell(call, false);
        }
    }
}

/* --- A file that shrinks under a view ----------------------------------------------- */

/* This child's; whoever looks through a view takes note of the way back. */
static sigjmp_buf *volatile way_back;
static struct digester *looking;

/* What the view was to show is not there any more, or cannot be read. The lane
 * goes back to where it began, and reads; that knows what to say of it. */
static void
view_lost(int number, siginfo_t *info, void *context)
{
    (void)context;
    const unsigned char *at = info->si_addr;
    bool fault = info->si_code > 0 && way_back != NULL;
    for (uint32_t i = 0; fault && i < looking->lanes; i++) {
        struct file *file = &looking->lane[i].file;
        if (file->viewed && at >= file->place &&
            at < file->place + VIEW_SIZE) {
            file->left = 0;
            file->lost = true;
            siglongjmp(*way_back, 1);
        }
    }
    (void)signal(number, SIG_DFL); /* it was something else: die of it */
    if (info->si_code <= 0) {      /* somebody has sent it */
        (void)raise(number);
    }
}

/* Let the kernel go on; false: a view was lost, and nothing has been done. */
static bool
look_through(struct digester *child, struct sha256_state *const states[],
             const unsigned char *const data[], uint32_t count,
             size_t blocks)
{
    sigjmp_buf here;
    struct sha256_state before[LANES_MOST];
    for (uint32_t i = 0; i < count; i++) {
        before[i] = *states[i];
    }
    if (sigsetjmp(here, 0) != 0) {
        way_back = NULL;
        for (uint32_t i = 0; i < count; i++) { /* some may have gone on */
            *states[i] = before[i];
        }
        return false;
    }
    looking = child;
    way_back = &here;
    sha256_go_on(&child->digest->kernel, states, data, count, blocks);
    way_back = NULL;
    return true;
}

static void
expect_lost_views(void)
{
    struct sigaction action = {
        .sa_sigaction = view_lost,
        .sa_flags = SA_SIGINFO | SA_NODEFER,
    };
    sigset_t bus; /* where it is blocked, the kernel kills at once */
    (void)sigemptyset(&bus);
    (void)sigaddset(&bus, SIGBUS);
    (void)sigaction(SIGBUS, &action, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
}

/* A file could not be opened: was it for want of a descriptor, and will another
 * lane give one back? */
static bool
worth_waiting(const struct digester *child, int err)
{
    bool busy = false;
    for (uint32_t i = 0; i < child->lanes; i++) {
        busy = busy || child->lane[i].file.fd >= 0;
    }
    return busy && (err == -EMFILE || err == -ENFILE);
}

/* See that lane `i` has a block to go on with: of its file, or of the next. False:
 * there is none. */
static bool
get_ready(struct digester *child, uint32_t i)
{
    struct lane *lane = &child->lane[i];
    const struct algorithm *algorithm = &child->digest->algorithm;
    struct child *self = &child->call->child;
    self->hand = self->slot * child->call->plan.lanes + i;
    for (;;) {
        int err = 0;
        if (lane->index < 0) {
            lane->index = next_item(child, lane);
        }
        if (lane->index < 0) {
            return false;
        }
        if (lane->file.fd < 0) {
            do {
                err = file_open(&lane->file, algorithm,
                                child->digest->paths[lane->index],
                                &child->folder);
            } while (err == -EINTR);
        }
        if (err != 0 && worth_waiting(child, err)) {
            return false;
        }
        while (err == 0 && lane->file.left < SHA256_BLOCK &&
               !lane->file.ended) {
            /* What one lane alone digests is faster read: nothing else is done
             * there while a page is waited for. */
            err = file_fill(&lane->file, algorithm, child->busy > 1);
            err = err == -EINTR ? 0 : err;
        }
        if (lane->file.fd >= 0) {
            tell_bytes(child, lane);
        }
        if (err == 0 && lane->file.left >= SHA256_BLOCK) {
            return true;
        }
        finish_item(child, lane, err);
    }
}

/* Go on with every lane that has a block. False: none has. */
static bool
go_on(struct digester *child)
{
    struct file *ready[LANES_MOST];
    struct sha256_state *states[LANES_MOST];
    const unsigned char *data[LANES_MOST];
    uint32_t count = 0;
    size_t blocks = SIZE_MAX;
    bool more = true; /* may there be an item to take? */
    for (uint32_t i = 0; i < child->lanes; i++) {
        if (child->lane[i].index < 0 && !more) {
            continue;
        }
        more = get_ready(child, i) && more;
        if (child->lane[i].file.fd >= 0) {
            struct file *file = &child->lane[i].file;
            size_t left = file->left / SHA256_BLOCK;
            blocks = left < blocks ? left : blocks;
            states[count] = &file->state;
            data[count] = file->at;
            ready[count++] = file;
        }
    }
    child->busy = count;
    if (count == 0) {
        return false;
    }
    if (look_through(child, states, data, count, blocks)) {
        for (uint32_t i = 0; i < count; i++) {
            file_advance(ready[i], blocks);
        }
    }
    return true;
}

_Noreturn void
digest_serve(struct sphttp_call *call, uint32_t index)
{
    const struct digest *digest = call->plan.digest;
    struct digester child = {
        .call = call,
        .digest = digest,
        .lanes = call->plan.lanes > 1 ? digest->kernel.lanes : 1,
        .only = index,
        .folder = {.fd = -1},
    };
    (void)pthread_sigmask(SIG_SETMASK, &call->plan.mask, NULL);
    expect_lost_views();
    unsigned char *places = child.lanes > 1 ? file_places(LANES_MOST) : NULL;
    for (uint32_t i = 0; i < LANES_MOST; i++) {
        child.lane[i].index = -1;
        child.lane[i].file.fd = -1;
        child.lane[i].file.place =
            places != NULL ? places + (size_t)i * VIEW_SIZE : NULL;
        child.lane[i].file.buffer =
            digest->buffers + (size_t)i * BUFFER_SIZE;
    }
    /* Where each child has one, all are begun at once. */
    if (call->larges != NULL && !call->plan.hold &&
        call->plan.count > call->plan.alive) {
        survey(&child);
    }
    while (go_on(&child)) {
    }
    _exit(child.failed ? 1 : 0);
}

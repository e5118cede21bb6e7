/* Records and state words as a hostile child could leave them: nothing that the host
 * reads may crash it. With clang a target for libFuzzer:
 *
 *   make fuzz
 *
 * Else a program that makes so many random inputs: fuzz_records 20000. */
#include "base/cdef.h"
#include "host/call.h"
#include "host/host.h"
#include "host/news.h"
#include "host/open.h"
#include "host/pool.h"
#include "shared/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ITEMS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same as a host does with whatever it finds. */
static void
look_at_all(sphttp_call *call)
{
    volatile char last = 0;
    for (uint32_t i = 0; i <= ITEMS; i++) {
        sphttp_result result;
        sphttp_call_result(call, i, &result);
        for (uint64_t at = 0; result.payload != NULL && at < result.size;
             at++) {
            last = result.payload[at]; /* all of it must be there */
        }
        sphttp_call_drop(call, i);
    }
    (void)last;
}

static sphttp_call *
open_call(int how)
{
    sphttp_call *call;
    if (sphttp_call_open(ITEMS, 2, how, "/tmp", &call) != 0) {
        abort();
    }
    return call;
}

/* State words, then the memory of a pool. */
static void
in_a_pool(const uint8_t *data, size_t size, bool seal)
{
    sphttp_call *call = open_call(SPHTTP_POOL | SPHTTP_TELL);
    size_t states = sizeof(uint64_t) * (ITEMS + 1);
    size_t n = size < states ? size : states;
    memcpy((void *)call->state, data, n);
    for (size_t i = 0; i <= ITEMS; i++) {
        call->state[i] %= UINT64_C(4096); /* most of them somewhere in it */
    }
    if (write(call->memory.fd, data + n, size - n) != (ssize_t)(size - n)) {
        abort();
    }
    call->page->next = size > 0 ? data[0] : 0;
    news_drain(call, SPHTTP_NEWS);
    while (sphttp_call_next(call) >= 0) {
    }
    if (pool_map(call, seal) == 0) {
        look_at_all(call);
    }
    call_free(call);
}

/* The file of an item. */
static void
in_a_file(const uint8_t *data, size_t size)
{
    sphttp_call *call = open_call(0);
    char folder[] = "/tmp/tep_fuzz_XXXXXX";
    if (mkdtemp(folder) == NULL) {
        abort();
    }
    (void)held_set(&call->directory, open(folder, O_RDONLY | O_DIRECTORY));
    int fd = openat(call->directory.fd, "0", O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) != 0) {
        abort();
    }
    call->state[0] = ITEM_DONE;
    call->host->fresh_to = 1; /* item 0, and no other */
    call->host->fresh = calloc(1, sizeof(*call->host->fresh));
    (void)call->host->store->gather(call, false);
    look_at_all(call);
    store_remove(call, 0);
    if (rmdir(folder) != 0) {
        abort();
    }
    call_free(call);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in_a_pool(data, size, size % 2 == 0);
    in_a_file(data, size);
    return 0;
}

#ifndef WITH_LIBFUZZER
/* A record that is nearly right: most random bytes are refused at once. */
static void
put_record(uint8_t *to)
{
    struct header header = {
        .length = (uint64_t)(rand() % 64),
        .index = (uint32_t)(rand() % ITEMS),
        .status = (uint32_t)(rand() % 48),
        .mac_size = rand() % 2 == 0 ? 0 : MAC_SIZE,
    };
    memcpy(to, &header, sizeof(header));
}

int
main(int count, char **arguments)
{
    static uint8_t data[512];
    long left = count > 1 ? atol(arguments[1]) : 1000;
    for (; left > 0; left--) {
        for (size_t i = 0; i < sizeof(data); i++) {
            data[i] = (uint8_t)rand();
        }
        size_t behind = sizeof(uint64_t) * (ITEMS + 1);
        put_record(data + (rand() % 2 == 0 ? 0 : behind));
        size_t size = (size_t)rand() % (sizeof(data) + 1);
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
#endif

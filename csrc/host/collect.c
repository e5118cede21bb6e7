/* The host gathers what the children have written: from the scratch directory, or
 * from a pool's memory. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int
scratch_open(struct sphttp_call *call)
{
    if (call->directory.fd >= 0) {
        return 0;
    }
    call->stamp = call->ledger->stamp;
    char path[SCRATCH_SIZE];
    scratch_path(call, path);
    int err = 0;
    forks_lock();
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (!held_set(&call->directory, fd)) {
        err = -errno;
    }
    else if (call->directory.device != call->ledger->device ||
             call->directory.inode != call->ledger->inode) {
        held_close(&call->directory);
        err = -ESTALE;
    }
    forks_unlock();
    return err;
}

void
scratch_remove_stillborn(struct sphttp_call *call)
{
    if (call->ledger->inode == 0 && call->ledger->stamp != 0) {
        call->stamp = call->ledger->stamp;
        char path[SCRATCH_SIZE];
        scratch_path(call, path);
        (void)rmdir(path);
        call->ledger->stamp = 0;
    }
}

/* Of work, in bytes that could be read meanwhile. */
enum {
    ONE_FILE = 64 << 10, /* to open and to remove it */
    ONE_MS = 10 << 20
};

enum { REMOVALS_MOST = 1000 }; /* tries, a millisecond each */

/* From its file, or from the memory, where its child could write no file. False: as
 * record_read. */
static bool
read_payload(struct sphttp_call *call, uint32_t index,
             struct payload *payload)
{
    struct header header;
    if (page_item(call, index) < IN_MEMORY) {
        return record_read(call, index, payload);
    }
    int err = pool_map(call, false);
    if (err == 0) {
        pool_read(call, index, &header, payload);
    }
    else {
        payload_fail(payload, err);
    }
    return true;
}

/* 0; or -EINTR: Python may have signals to handle, before this item is asked for
 * again. */
static int
collect_item(struct sphttp_call *call, uint32_t index)
{
    struct payload *payload = payload_of(call, index);
    if (payload->fate != SPHTTP_NOT_BEGUN) {
        return 0; /* it has been */
    }
    int fate = fate_of(page_item(call, index));
    if (fate != SPHTTP_RETURNED) {
        payload->fate = fate;
    }
    else if (!read_payload(call, index, payload)) {
        return -EINTR;
    }
    if (fate == SPHTTP_NOT_BEGUN || fate == SPHTTP_DISCARDED) {
        return 0;
    }
    record_remove(call, index);
    return signals_due(call, ONE_FILE + payload->size) ? -EINTR : 0;
}

int
collect_fresh(struct sphttp_call *call)
{
    if (call->pool) {
        call->doing = "mapping the results";
        return pool_map(call, false);
    }
    call->doing = "reading the scratch directory";
    int err = call->fresh_from < call->fresh_to ? scratch_open(call) : 0;
    for (uint32_t i = call->fresh_from; err == 0 && i < call->fresh_to; i++) {
        err = collect_item(call, call->fresh[i]);
    }
    return err;
}

/* As scratch_clear; with `pause` also -EINTR. */
static int
clear(struct sphttp_call *call, bool pause)
{
    int err = scratch_remove(call);
    while (err == -ENOTEMPTY && call->removals < REMOVALS_MOST) {
        call->removals++;
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
        if (pause && signals_due(call, ONE_MS)) {
            return -EINTR;
        }
        err = scratch_remove(call);
    }
    forks_lock();
    held_close(&call->directory);
    forks_unlock();
    return err;
}

int
scratch_clear(struct sphttp_call *call)
{
    return clear(call, false);
}

int
collect(struct sphttp_call *call)
{
    if (call->pool) {
        call->doing = "mapping the results";
        return pool_map(call, true);
    }
    call->doing = "reading the scratch directory";
    bool made = call->ledger->inode != 0; /* else nothing was ever begun */
    int err = made ? scratch_open(call) : 0;
    if (err != 0) {
        return err;
    }
    while (call->gathered <= call->count) {
        err = collect_item(call, call->gathered);
        if (err != 0) {
            return err; /* with this one, once more */
        }
        call->gathered++;
    }
    if (!made) {
        return 0;
    }
    call->doing = "removing the scratch directory";
    return clear(call, true);
}


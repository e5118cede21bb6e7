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

int
scratch_clear(struct sphttp_call *call)
{
    int err = scratch_remove(call);
    for (int tries = 0; err == -ENOTEMPTY && tries < 1000; tries++) {
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
        err = scratch_remove(call);
    }
    forks_lock();
    held_close(&call->directory);
    forks_unlock();
    return err;
}

/* From its file, or from the memory, where its child could write no file. */
static void
read_payload(struct sphttp_call *call, uint32_t index,
             struct payload *payload)
{
    struct header header;
    if (page_item(call, index) < IN_MEMORY) {
        record_read(call, index, payload);
        return;
    }
    int err = pool_map(call, false);
    if (err == 0) {
        pool_read(call, index, &header, payload);
    }
    else {
        payload_fail(payload, err);
    }
}

static void
collect_item(struct sphttp_call *call, uint32_t index)
{
    struct payload *payload = payload_of(call, index);
    if (payload->fate != SPHTTP_NOT_BEGUN) {
        return; /* it has been */
    }
    payload->fate = fate_of(page_item(call, index));
    if (payload->fate == SPHTTP_RETURNED) {
        read_payload(call, index, payload);
    }
    if (payload->fate != SPHTTP_NOT_BEGUN &&
        payload->fate != SPHTTP_DISCARDED) {
        record_remove(call, index);
    }
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
        collect_item(call, call->fresh[i]);
    }
    return err;
}

int
collect(struct sphttp_call *call)
{
    news_drain(call, true);
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
    for (uint32_t i = 0; i <= call->count; i++) {
        collect_item(call, i);
    }
    call->doing = "removing the scratch directory";
    return made ? scratch_clear(call) : 0;
}


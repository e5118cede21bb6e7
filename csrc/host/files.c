/* Results in the files of the scratch directory: the host reads each, and removes it. */
#include "host/files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/forks.h"
#include "host/host.h"
#include "host/pool.h"
#include "host/result.h"
#include "host/wake.h"
#include "shared/store.h"

/* Of work, in bytes that could be read meanwhile. */
enum {
    ONE_FILE = 64 << 10, /* to open and to remove it */
    ONE_MS = 10 << 20
};

enum {
    PIECE = 1 << 20,     /* bytes; what is read without a look up */
    REMOVALS_MOST = 1000 /* tries, a millisecond each */
};

/* --- The directory --------------------------------------------------------------- */

static int
open_directory(struct sphttp_call *call)
{
    if (call->directory.fd >= 0) {
        return 0;
    }
    char path[SCRATCH_SIZE];
    store_path(call, path);
    forks_lock();
    int err = scratch_open(path, &call->ledger->scratch, &call->directory);
    forks_unlock();
    return err;
}

int
files_take_over(struct sphttp_call *call)
{
    struct scratch *scratch = &call->ledger->scratch;
    if (scratch_made(scratch)) {
        return open_directory(call);
    }
    if (scratch->stamp != 0) {
        char path[SCRATCH_SIZE];
        store_path(call, path);
        (void)rmdir(path);
        scratch->stamp = 0;
    }
    return 0;
}

/* Remove the open directory, also from under children that are just dying with a
 * nursery that was lost. 0, -errno; or with `pause` -EINTR: Python may have signals to
 * handle, and then it goes on from there. */
static int
clear_directory(struct sphttp_call *call, bool pause)
{
    char path[SCRATCH_SIZE];
    store_path(call, path);
    int err;
    while ((err = scratch_remove(path, call->directory.fd)) == -ENOTEMPTY &&
           call->host->removals++ < REMOVALS_MOST) {
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
        if (pause && signals_due(call, ONE_MS)) {
            return -EINTR;
        }
    }
    forks_lock();
    held_close(&call->directory);
    forks_unlock();
    return err;
}

void
files_remove(struct sphttp_call *call)
{
    if (call->plan.owner == getpid() && files_take_over(call) == 0 &&
        call->directory.fd >= 0) {
        (void)clear_directory(call, false);
    }
}

/* Opening has failed: is it worth another try? A call whose items have all ended holds
 * descriptors that it can do without. The nursery stays: where this process is killed, or
 * still finds none, it is the nursery that removes the directory. */
static bool
finds_room(struct sphttp_call *call, int err)
{
    struct host *host = call->host;
    if ((err != -EMFILE && err != -ENFILE) ||
        host->gathering != SPHTTP_ENDED) {
        return false;
    }
    struct stat st;
    forks_lock();
    bool holds = host->nursery_fd >= 0;
    close_end(&host->nursery_fd); /* it is no nest's, and so a child of ours */
    if (held_still(&call->memory) && fstat(call->memory.fd, &st) == 0 &&
        st.st_blocks == 0) { /* no record is in it */
        held_close(&call->memory);
        holds = true;
    }
    forks_unlock();
    return holds;
}

/* --- One record ------------------------------------------------------------------- */

/* Read a record's payload, from where the last time ended. 0, -errno, or -EINTR:
 * there is more. */
static int
read_pieces(struct sphttp_call *call, int fd, struct payload *payload)
{
    while (payload->got < payload->wanted) {
        size_t left = payload->wanted - payload->got;
        size_t piece = left < PIECE ? left : PIECE;
        int err = file_read(fd, payload->record + payload->got, piece,
                            sizeof(struct header) + payload->got);
        if (err != 0) {
            return err;
        }
        payload->got += piece;
        if (payload->got < payload->wanted && signals_due(call, piece)) {
            return -EINTR;
        }
    }
    return 0;
}

/* 0, -errno, -EBADMSG: this is not what a child wrote; or -EINTR: there is more. */
static int
read_record(struct sphttp_call *call, int fd, uint32_t index, uint64_t room,
            struct header *header, struct payload *payload)
{
    if (file_read(fd, header, sizeof(*header), 0) != 0 ||
        !record_plausible(header, index, room) ||
        record_size(header) != room) {
        return -EBADMSG;
    }
    size_t size = header->length + header->mac_size;
    /* Read, not mapped: a file that shrinks under a mapping kills the host. */
    if (payload->record == NULL) {
        payload->record = malloc(size > 0 ? size : 1);
        payload->wanted = size;
    }
    if (payload->record == NULL) {
        return -ENOMEM;
    }
    if (payload->wanted != size) {
        return -EBADMSG; /* somebody has changed it meanwhile */
    }
    payload->text = payload->record;
    return read_pieces(call, fd, payload);
}

/* From its file. 0; or -EINTR: there is more. */
static int
read_file(struct sphttp_call *call, uint32_t index, struct payload *payload)
{
    uint64_t room;
    struct header header;
    int fd = file_open_again(call->directory.fd, index, &room);
    if (finds_room(call, fd)) {
        fd = file_open_again(call->directory.fd, index, &room);
    }
    int err = fd < 0 ? fd
                     : read_record(call, fd, index, room, &header, payload);
    close_end(&fd);
    if (err == -EINTR) {
        return err;
    }
    payload_end(call, &header, payload, err);
    return 0;
}

/* A command that has died may be one that was never started, or whose output is lost. */
static void
see_refused(const struct report *report, struct payload *payload)
{
    int error = report->refused != 0 ? report->refused : -report->lost;
    if (payload->fate == SPHTTP_DIED && error != 0) {
        payload->fate = error > 0 ? SPHTTP_NOT_STARTED : SPHTTP_UNWRITTEN;
        payload->error = error > 0 ? error : -error;
    }
}

/* 0; or -EINTR: Python may have signals to handle, before this item is asked for
 * again. */
static int
gather_item(struct sphttp_call *call, uint32_t index)
{
    struct payload *payload = payload_of(call, index);
    if (payload->fate != SPHTTP_NOT_BEGUN) {
        return 0; /* it has been */
    }
    uint64_t word = page_item(call, index);
    int fate = fate_of(word);
    if (fate == SPHTTP_RETURNED && word >= IN_MEMORY) {
        /* Its child could write no file. */
        struct header header;
        uint64_t at = (word & ~(uint64_t)ITEM_KIND) - IN_MEMORY;
        (void)pool_map(call, false);
        pool_read(call, index, at, &header, payload);
    }
    else if (fate != SPHTTP_RETURNED) {
        payload->fate = fate;
        see_refused(&call->report[index], payload);
    }
    else if (read_file(call, index, payload) != 0) {
        return -EINTR;
    }
    if (fate == SPHTTP_NOT_BEGUN || fate == SPHTTP_DISCARDED ||
        call->plan.command) {
        return 0;
    }
    store_remove(call, index);
    return signals_due(call, ONE_FILE + payload->size) ? -EINTR : 0;
}

/* --- What commands print ------------------------------------------------------------- */

int
sphttp_call_output(sphttp_call *call, uint64_t number, int stream)
{
    char name[OUTPUT_NAME];
    uint64_t size;
    int err = scratch_made(&call->ledger->scratch) ? open_directory(call)
                                                   : -ENOENT;
    if (err != 0) {
        return err;
    }
    output_name(name, number, stream);
    int fd = above_streams(file_open_named(call->directory.fd, name, &size));
    if (fd >= 0) {
        (void)unlinkat(call->directory.fd, name, 0);
    }
    return fd;
}

/* --- The store ---------------------------------------------------------------------- */

static int
gather_all(struct sphttp_call *call)
{
    bool made = scratch_made(&call->ledger->scratch); /* else nothing was begun */
    int err = made ? open_directory(call) : 0;
    if (finds_room(call, err)) {
        err = open_directory(call);
    }
    while (err == 0 && call->host->gathered <= call->plan.count) {
        err = gather_item(call, call->host->gathered);
        call->host->gathered += err == 0; /* else with this one, once more */
    }
    if (err != 0 || !made || call->plan.command) {
        return err; /* what commands have printed is asked for later */
    }
    call->host->doing = "removing the scratch directory";
    return clear_directory(call, true);
}

static int
gather(struct sphttp_call *call, bool all)
{
    const struct host *host = call->host;
    call->host->doing = "reading the scratch directory";
    if (all) {
        return gather_all(call);
    }
    int err = host->fresh_from < host->fresh_to ? open_directory(call) : 0;
    for (uint32_t i = host->fresh_from; err == 0 && i < host->fresh_to; i++) {
        err = gather_item(call, host->fresh[i].index);
    }
    return err;
}

static struct payload *
find(struct sphttp_call *call, uint32_t index, uint64_t word,
     sphttp_result *result)
{
    (void)word;
    result_of_report(call, index, result);
    return payload_of(call, index);
}

static void
see_ends(struct sphttp_call *call, struct fresh *fresh, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fresh[i].ended_ns = call->report[fresh[i].index].ended_ns;
    }
}

const struct store files_store = {see_ends, gather, find};

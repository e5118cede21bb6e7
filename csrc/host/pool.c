/* A pool's memory as the host sees it. A child may have written anything to it, and
 * to where its records are said to be: the host looks at nothing but what has
 * been written, and at that only when nobody can change it any more. */
#include "host/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/forks.h"
#include "host/host.h"
#include "host/result.h"
#include "host/runs.h"
#include "host/wake.h"
#include "shared/pool.h"

enum { ONE_COPY = 1 << 10 }; /* of work, in bytes that could be copied meanwhile */
enum {
    PIECE = 1 << 20,      /* bytes that are copied without a look at the clock */
    LATER = 2 << 20,      /* a text above it is copied as it is decoded: pool_piece */
    LARGE_MEMORY = 32 << 20 /* in a loop it is not sealed; that takes a while */
};

enum {
    BLOCK = 4 << 10, /* bytes; what is read at once, for small records */
    BLOCKS = 16      /* that many are kept: each child writes somewhere else */
};

/* What has been read of the memory. */
struct block {
    uint64_t turn; /* of pool_map, from 1: what is of an earlier one is old */
    uint64_t at;
    size_t size;
    char bytes[BLOCK];
};

void
pool_unshare(struct sphttp_call *call)
{
    if (call->host->pool_mapping != NULL) {
        (void)munmap((void *)(uintptr_t)call->host->pool_mapping,
                     call->host->pool_mapping_size);
        call->host->pool_mapping = NULL;
    }
    close_end(&call->host->pool_reader);
}

void
pool_forget(struct sphttp_call *call)
{
    pool_unshare(call);
    extents_forget(&call->host->written);
    free(call->host->pool_blocks);
    free(call->host->piece);
    call->host->pool_blocks = NULL;
    call->host->piece = NULL;
}

int
pool_map(struct sphttp_call *call, bool seal)
{
    call->host->pool_turn++;
    if (!seal || call->plan.fed) {
        return 0;
    }
    pool_forget(call);
    struct stat st;
    call->host->piecemeal = call->host->in_loop &&
                            fstat(call->memory.fd, &st) == 0 &&
                            st.st_size > LARGE_MEMORY;
    /* Refused while somebody, a process that a child has left behind, has it
     * mapped: then each record is copied before it is looked at. */
    if (!call->host->piecemeal &&
        fcntl(call->memory.fd, F_ADD_SEALS, F_SEAL_WRITE) == 0) {
        int err = extents_learn(&call->host->written, call->memory.fd, 0,
                                INT64_MAX);
        if (err != 0) {
            return err;
        }
        call->host->pool_sealed = true;
        size_t count = call->host->written.count;
        if (count == 0) {
            return 0;
        }
        uint64_t size = call->host->written.list[count - 1].to;
        char *map = size > PTRDIFF_MAX
                        ? MAP_FAILED
                        : mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED,
                               call->memory.fd, 0);
        if (map != MAP_FAILED) {
            call->host->pool_mapping = map;
            call->host->pool_mapping_size = (size_t)size;
            return 0;
        }
    }
    /* The call may be closed before its results are read. */
    call->host->pool_reader =
        fcntl(call->memory.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return call->host->pool_reader < 0 ? -errno : 0;
}

static int
reader(const struct sphttp_call *call)
{
    int own = call->host->pool_reader;
    return own >= 0 ? own : call->memory.fd;
}

/* Of a fed call, where what is written becomes holes again: is it there now? Few bytes
 * are just read. */
static int
check_there(const struct sphttp_call *call, uint64_t at, uint64_t size)
{
    if (size <= BLOCK) {
        return 0;
    }
    off_t hole = lseek(call->memory.fd, (off_t)at, SEEK_HOLE);
    return hole >= 0 && (uint64_t)hole >= at + size ? 0 : -EBADMSG;
}

/* Where it would take too long to find the holes: can so much have been written? */
static int
check_size(const struct sphttp_call *call, uint64_t at, uint64_t size)
{
    struct stat st;
    return fstat(reader(call), &st) == 0 &&
                   at + size <= (uint64_t)st.st_size &&
                   size <= (uint64_t)st.st_blocks * 512
               ? 0
               : -EBADMSG;
}

/* Has all of it been written to? 0, -EBADMSG: no; -errno. */
static int
check_written(struct sphttp_call *call, uint64_t at, uint64_t size)
{
    struct extents *written = &call->host->written;
    int err = 0;
    if (at > INT64_MAX || size > INT64_MAX - at) {
        return -EBADMSG;
    }
    if (call->plan.fed) {
        return check_there(call, at, size);
    }
    if (call->host->piecemeal) {
        return check_size(call, at, size);
    }
    if (!call->host->pool_sealed && extents_room(written, at) < size) {
        err = extents_learn(written, reader(call), at, at + size);
    }
    return err == 0 && extents_room(written, at) < size ? -EBADMSG : err;
}

/* The block that `at` is in, as it is now or was since the last pool_map. Its size
 * is 0 where nothing could be read. */
static const struct block *
block_of(struct sphttp_call *call, uint64_t at)
{
    struct block *block = &call->host->pool_blocks[at / BLOCK % BLOCKS];
    at -= at % BLOCK;
    if (block->turn != call->host->pool_turn || block->at != at) {
        ssize_t n;
        do {
            n = pread(reader(call), block->bytes, BLOCK, (off_t)at);
        } while (n < 0 && errno == EINTR);
        block->turn = call->host->pool_turn;
        block->at = at;
        block->size = n < 0 ? 0 : (size_t)n;
    }
    return block;
}

/* Copy so many bytes of it. 0, -errno, or -EBADMSG: there are not so many. */
static int
copy(struct sphttp_call *call, char *to, size_t size, uint64_t at)
{
    const struct block *block = block_of(call, at);
    size_t skip = at % BLOCK, n = block->size > skip ? block->size - skip : 0;
    size_t done = n < size ? n : size;
    memcpy(to, block->bytes + skip, done);
    return file_read(reader(call), to + done, size - done, at + done);
}

/* Copy what a record begins with. 0, -EBADMSG or -errno. */
static int
copy_header(struct sphttp_call *call, uint32_t index, uint64_t at,
            struct header *header)
{
    if (call->host->pool_blocks == NULL) {
        call->host->pool_blocks = calloc(BLOCKS, sizeof(struct block));
        if (call->host->pool_blocks == NULL) {
            return -ENOMEM;
        }
    }
    uint64_t number = index < call->plan.count ? page_number(call, index)
                                               : index;
    int err = copy(call, (char *)header, sizeof(*header), at);
    return err == 0 && !record_plausible(header, number, INT64_MAX) ? -EBADMSG
                                                                    : err;
}

/* Copy a record: who wrote it may still do so. Read, for a mapping of what has
 * become a hole meanwhile would fill it. 0, -EBADMSG or -errno. */
static int
copy_record(struct sphttp_call *call, uint32_t index, uint64_t at,
            struct header *header, struct payload *payload)
{
    int err = copy_header(call, index, at, header);
    if (err != 0) {
        return err;
    }
    size_t size = header->length + header->mac_size;
    err = check_written(call, at, sizeof(*header) + size);
    if (err != 0) {
        return err;
    }
    if (call->host->piecemeal && !call->host->whole && size > LATER &&
        header->status == SPHTTP_RETURNED) {
        payload->at = at + sizeof(*header);
        return 0;
    }
    payload->record = malloc(size > 0 ? size : 1);
    if (payload->record == NULL) {
        return -ENOMEM;
    }
    payload->text = payload->record;
    /* A loop goes on between its pieces: copy_rest. To check a MAC takes all of it. */
    bool apart = call->plan.fed && call->host->in_loop && size > PIECE &&
                 header->mac_size == 0;
    payload->wanted = size;
    payload->got = apart ? PIECE : size;
    return copy(call, payload->record, payload->got, at + sizeof(*header));
}

/* Find a record in the mapping, where nobody writes to it. 0 or -EBADMSG. */
static int
find_record(struct sphttp_call *call, uint32_t index, uint64_t at,
            struct header *header, struct payload *payload)
{
    uint64_t room = extents_room(&call->host->written, at);
    if (room < sizeof(*header)) {
        return -EBADMSG;
    }
    memcpy(header, call->host->pool_mapping + at, sizeof(*header));
    payload->text = call->host->pool_mapping + at + sizeof(*header);
    return record_plausible(header, index, room) ? 0 : -EBADMSG;
}

void
pool_read(struct sphttp_call *call, uint32_t index, uint64_t at,
          struct header *header, struct payload *payload)
{
    *payload = (struct payload){0};
    *header = (struct header){0};
    int err = check_written(call, at, sizeof(*header));
    if (err == 0) {
        err = call->host->pool_mapping != NULL
                  ? find_record(call, index, at, header, payload)
                  : copy_record(call, index, at, header, payload);
    }
    payload_end(call, header, payload, err);
    payload->pid = (int)header->pid;
    payload->started_ns = header->started_ns;
    payload->ended_ns = header->ended_ns;
}

const char *
pool_piece(struct sphttp_call *call, const struct payload *payload,
           uint64_t from, size_t size)
{
    struct host *host = call->host;
    if (payload->text != NULL) {
        return payload->text + from;
    }
    if (host->piece == NULL) {
        host->piece = malloc(PIECE);
    }
    return host->piece != NULL && size <= PIECE &&
                   file_read(reader(call), host->piece, size,
                             payload->at + from) == 0
               ? host->piece
               : NULL;
}

/* False: there are more, for the next turn. */
static bool
drop_payloads(struct sphttp_call *call)
{
    struct host *host = call->host;
    while (host->dropped < host->payload_count) {
        uint64_t size = host->payloads[host->dropped].size;
        sphttp_call_drop(call, host->dropped++);
        if (turn_over(call, size)) {
            return false;
        }
    }
    return true;
}

int
sphttp_call_empty(sphttp_call *call, int unread)
{
    struct host *host = call->host;
    turn_begin(call);
    if (host->in_loop && !unread && !drop_payloads(call)) {
        return 1;
    }
    /* By now the number may be another file of the host's. */
    struct held memory = call->memory;
    int fd = memory.fd = reader(call);
    struct stat st;
    if (!host->in_loop || host->pool_sealed || !held_still(&memory) ||
        (unread && host->ended && !call->plan.fed) || fstat(fd, &st) != 0) {
        return 0;
    }
    while (host->emptied < (uint64_t)st.st_size) {
        uint64_t at = host->emptied;
        host->emptied += PIECE;
        if (pool_punch(fd, at, PIECE) && turn_over(call, PIECE)) {
            return 1;
        }
    }
    return 0;
}

void
sphttp_call_forget(sphttp_call *call)
{
    call->host->dropped = 0;
    (void)drop_payloads(call);
    forks_lock();
    pool_forget(call);
    forks_unlock();
}

/* --- The store ------------------------------------------------------------------- */

static void
see_ends(struct sphttp_call *call, struct fresh *fresh, uint32_t count)
{
    call->host->pool_turn++;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = fresh[i].index;
        uint64_t word = page_item(call, index);
        uint64_t at = word & ~(uint64_t)ITEM_KIND;
        struct header header;
        bool there = fate_of(word) == SPHTTP_RETURNED &&
                     copy_header(call, index, at, &header) == 0;
        fresh[i].ended_ns = there ? header.ended_ns
                                  : call->report[index].ended_ns;
    }
}

/* Copy the next pieces of a record. False: there are more, for the next turn. */
static bool
copy_rest(struct sphttp_call *call, uint64_t at, struct payload *payload)
{
    while (payload->got < payload->wanted) {
        if (turn_over(call, PIECE)) {
            return false;
        }
        size_t left = payload->wanted - payload->got;
        size_t piece = left < PIECE ? left : PIECE;
        int err = file_read(reader(call), payload->record + payload->got,
                            piece,
                            at + sizeof(struct header) + payload->got);
        if (err != 0) {
            payload_end(call, NULL, payload, err);
            return true;
        }
        payload->got += piece;
    }
    return true;
}

/* Fed: copy the record of an item that has ended, if there is one. False: there is more
 * of it. */
static bool
copy_one(struct sphttp_call *call, uint32_t index)
{
    struct payload *payload = payload_of(call, index);
    uint64_t word = page_item(call, index);
    uint64_t at = word & ~(uint64_t)ITEM_KIND;
    struct header header = {0};
    if (payload->got < payload->wanted) { /* in the last turn it was begun */
        (void)copy_header(call, index, at, &header);
    }
    else {
        sphttp_call_drop(call, index); /* of another item that was there */
        *payload = (struct payload){.fate = fate_of(word)};
        if (payload->fate != SPHTTP_RETURNED) {
            return true;
        }
        pool_read(call, index, at, &header, payload);
    }
    bool all = copy_rest(call, at, payload);
    if (all && payload->fate != SPHTTP_TAMPERED) {
        runs_copied(call, header.run);
    }
    return all;
}

static int
gather(struct sphttp_call *call, bool all)
{
    struct host *host = call->host;
    host->doing = "mapping the results";
    int err = pool_map(call, all);
    if (err != 0 || !call->plan.fed) {
        return err;
    }
    for (uint32_t i = host->fresh_from; i < host->fresh_to; i++) {
        if (!host->fresh[i].copied) {
            if (!copy_one(call, host->fresh[i].index)) {
                return -EINTR;
            }
            host->fresh[i].copied = true;
            uint64_t size = payload_of(call, host->fresh[i].index)->size;
            if (host->in_loop && turn_over(call, ONE_COPY + size)) {
                return -EINTR; /* the rest in the next turn */
            }
        }
    }
    if (all && !copy_one(call, call->plan.count)) { /* what the call has to say */
        return -EINTR;
    }
    return runs_reuse(call) ? 0 : -EINTR;
}

/* A pool's child of an item that was committed served others too, and what it cost is
 * not known of each; the report is not even looked at, for of many items they are
 * large. */
static struct payload *
find(struct sphttp_call *call, uint32_t index, uint64_t word,
     sphttp_result *result)
{
    struct payload *payload = payload_of(call, index);
    bool there = payload->fate > 0 || payload->fate == SPHTTP_TAMPERED ||
                 payload->fate == SPHTTP_UNREAD;
    if (!call->plan.fed) { /* else it has been copied */
        int fate = fate_of(word);
        uint64_t at = word & ~(uint64_t)ITEM_KIND;
        struct header header;
        there = fate == SPHTTP_RETURNED || fate == SPHTTP_DISCARDED;
        sphttp_call_drop(call, index); /* the last one's */
        *payload = (struct payload){.fate = fate};
        if (fate == SPHTTP_RETURNED) {
            pool_read(call, index, at, &header, payload);
        }
    }
    if (!there || !call->plan.pool) {
        result_of_report(call, index, result);
        return payload;
    }
    const struct report *report = &call->report[index];
    if (call->host->round.reaped && report->ended_ns != 0 &&
        report->attempts > 0) { /* its child had no other */
        result_of_report(call, index, result);
        if (payload->ended_ns != 0) { /* what came behind was not the item's */
            result->started_ns = payload->started_ns;
            result->ended_ns = payload->ended_ns;
        }
        return payload;
    }
    *result = (sphttp_result){
        .pid = payload->pid,
        .wait_status = -1,
        .attempts = 1,
        .started_ns = payload->started_ns,
        .ended_ns = payload->ended_ns,
    };
    if (call->plan.retries > 0) { /* those that were lost */
        result->attempts += report->attempts;
    }
    return payload;
}

const struct store pool_store = {see_ends, gather, find};

/* A child's way to the two stores of results. */
#include "shared/store.h"

#include <errno.h>

#include "shared/pool.h"

/* Write it to its file. 0 or -errno. */
static int
write_to_file(const struct sphttp_call *call, const struct iovec parts[3])
{
    const struct header *header = parts[0].iov_base;
    int err = record_fits(record_size(header));
    if (err == 0 && !held_still(&call->directory)) {
        err = -EBADF; /* the worker has closed it */
    }
    return err != 0 ? err
                    : file_write(call->directory.fd, (uint32_t)header->index, parts);
}

uint64_t
store_write(struct sphttp_call *call, struct header *header,
            const void *payload)
{
    unsigned char mac[MAC_SIZE];
    record_head(call, header, payload, mac);
    struct iovec parts[] = {
        {header, sizeof(*header)},
        {(void *)(uintptr_t)payload, header->length},
        {mac, header->mac_size},
    };
    uint64_t kind = ITEM_DONE;
    if (!call->plan.in_memory) {
        int err = write_to_file(call, parts);
        /* A child that has become another user may not write files there, and one
         * that has closed the directory cannot. */
        if (err != -EACCES && err != -EPERM && err != -EBADF) {
            return err < 0 ? item_unwritten(-err) : kind;
        }
        kind |= IN_MEMORY;
    }
    int64_t place = pool_write(call, parts);
    return place < 0 ? item_unwritten((int)-place) : (uint64_t)place + kind;
}

void
output_name(char *name, uint64_t number, int stream)
{
    (void)put_text(put_decimal(name, number), stream == 0 ? ".out" : ".err");
}

void
store_path(const struct sphttp_call *call, char path[SCRATCH_SIZE])
{
    scratch_path(path, call->plan.root, call->plan.owner,
                 call->ledger->scratch.stamp);
}

void
store_remove(const struct sphttp_call *call, uint32_t index)
{
    if (held_still(&call->directory)) {
        file_remove(call->directory.fd, index);
    }
}

/* Records: how a result travels from a child to the host. A record is a header, the
 * payload, and a MAC where the host will unpickle the payload or hand it to a
 * codec. Where a record is kept, store.h says. */
#include "shared/record.h"

#include <errno.h>
#include <sys/resource.h>

/* Of the MAC that a record of this status bears, or 0. */
static uint32_t
mac_size(uint32_t status)
{
    uint32_t kind = status & (SPHTTP_BREAK - 1);
    return kind == SPHTTP_RAISED_AS || kind == SPHTTP_ENCODED ||
                   kind == SPHTTP_ENCODED_TEXT
               ? MAC_SIZE
               : 0;
}

/* The MAC over header and payload, which say index, status and length. */
static void
authenticate(const struct sphttp_call *call, const struct header *header,
             const void *payload, unsigned char mac[MAC_SIZE])
{
    struct header said = *header;
    said.run = 0; /* it is found after the rest has been said */
    struct iovec parts[] = {
        {&said, sizeof(said)},
        {(void *)(uintptr_t)payload, header->length},
    };
    hmac_sha256(call->plan.key, KEY_SIZE, parts, 2, mac);
}

size_t
record_size(const struct header *header)
{
    return sizeof(*header) + header->length + header->mac_size;
}

void
record_head(const struct sphttp_call *call, struct header *header,
            const void *payload, unsigned char mac[MAC_SIZE])
{
    header->pid = (uint32_t)call->child.self;
    header->mac_size = mac_size(header->status);
    if (header->mac_size > 0) {
        authenticate(call, header, payload, mac);
    }
}

static bool
status_plausible(uint32_t status)
{
    uint32_t kind = status & (SPHTTP_BREAK - 1);
    switch (status - kind) {
    case 0:
        return (kind >= SPHTTP_RETURNED && kind <= SPHTTP_NOT_TEXT) ||
               kind == SPHTTP_NO_DIGEST;
    case SPHTTP_BREAK:
    case SPHTTP_KILL:
        return kind == SPHTTP_RETURNED || kind == SPHTTP_ENCODED ||
               kind == SPHTTP_ENCODED_TEXT || kind == SPHTTP_DISCARDED;
    default:
        return false;
    }
}

bool
record_plausible(const struct header *header, uint64_t index, uint64_t room)
{
    return header->index == index && status_plausible(header->status) &&
           header->mac_size == mac_size(header->status) &&
           header->length <= room &&
           sizeof(*header) + header->length + header->mac_size <= room;
}

int
record_check(const struct sphttp_call *call, const struct header *header,
             const char *payload)
{
    unsigned char mac[MAC_SIZE];
    authenticate(call, header, payload, mac);
    return hmac_same(mac, payload + header->length) ? 0 : -EBADMSG;
}

int
record_fits(uint64_t end)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                   limit.rlim_cur != RLIM_INFINITY && end > limit.rlim_cur
               ? -EFBIG
               : 0;
}

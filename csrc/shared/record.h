/* One record: how it is made, and what the host makes sure of before it
 * believes it. */
#ifndef TEP_RECORD_H
#define TEP_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hmac.h"
#include "shared/call.h"

struct header {
    uint64_t length; /* of the payload, bytes */
    int64_t started_ns, ended_ns; /* pool; else the nursery knows better */
    uint64_t index;    /* its item's number */
    uint64_t run;      /* fed: that it is in, by runs.h; not authenticated */
    uint32_t status;   /* enum sphttp_status */
    uint32_t pid;
    uint32_t mac_size; /* 0 or MAC_SIZE */
    uint32_t unused;
};

/* Of the whole record, bytes. */
size_t record_size(const struct header *header);

/* Fill in the rest of the header, and the MAC. */
void record_head(const struct sphttp_call *call, struct header *header,
                 const void *payload, unsigned char mac[MAC_SIZE]);

/* Is this what record_head made, in so many bytes? */
bool record_plausible(const struct header *header, uint64_t index,
                      uint64_t room);

/* Is the MAC behind the payload the right one? 0 or -EBADMSG. */
int record_check(const struct sphttp_call *call, const struct header *header,
                 const char *payload);

/* May a file end there? 0, or -EFBIG by RLIMIT_FSIZE: who tries is sent
 * SIGXFSZ, and may die of it. */
int record_fits(uint64_t end);

#endif

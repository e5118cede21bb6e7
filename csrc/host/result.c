/* What became of each item, once the call has ended: the state word, the report
 * and the record put together. */
#include "host/result.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "host/host.h"

struct payload *
payload_of(struct sphttp_call *call, uint32_t index)
{
    /* Where the records stay where they are, there is one at a time. */
    const struct host *host = call->host;
    return &host->payloads[index < host->payload_count ? index : 0];
}

int
fate_of(uint64_t word)
{
    static const int fates[ITEM_KIND + 1] = {
        [ITEM_FREE] = SPHTTP_NOT_BEGUN,
        [ITEM_RUN] = SPHTTP_DIED,
        [ITEM_LOST] = SPHTTP_DIED,
        [ITEM_DONE] = SPHTTP_RETURNED,
        [ITEM_DISCARDED] = SPHTTP_DISCARDED,
        [ITEM_UNWRITTEN] = SPHTTP_UNWRITTEN,
        [ITEM_LATE] = SPHTTP_LATE,
        [ITEM_CUT] = SPHTTP_CUT,
    };
    return fates[word & ITEM_KIND];
}

void
payload_end(const struct sphttp_call *call, const struct header *header,
            struct payload *payload, int err)
{
    if (err == 0 && header->mac_size > 0) {
        err = record_check(call, header, payload->text);
    }
    if (err == 0) {
        payload->fate = (int)header->status;
        payload->size = header->length;
        return;
    }
    free(payload->record);
    *payload = (struct payload){
        .fate = err == -EBADMSG || err == -ELOOP ? SPHTTP_TAMPERED
                                                 : SPHTTP_UNREAD,
        .error = -err,
    };
}

void
payload_spend(struct payload *payload, size_t end)
{
    static const uintptr_t unit = 64 << 10; /* whole pages, of any system */
    if (payload->record != NULL) {
        uintptr_t from = (uintptr_t)payload->record + payload->spent;
        uintptr_t to = ((uintptr_t)payload->record + end) / unit * unit;
        from = (from + unit - 1) / unit * unit;
        if (to > from) {
            (void)madvise((void *)from, to - from, MADV_DONTNEED);
            payload->spent = to - (uintptr_t)payload->record;
        }
    }
}

void
result_of_report(const struct sphttp_call *call, uint32_t index,
                 sphttp_result *result)
{
    const struct report *report = &call->report[index];
    bool seen = report->ended_ns != 0 && report->attempts > 0;
    bool ran = seen && report->refused == 0;
    *result = (sphttp_result){
        .pid = report->pid,
        .wait_status = ran ? report->wait_status : -1,
        .attempts = report->attempts,
        .started_ns = report->started_ns,
        .ended_ns = seen && report->started_ns != 0 ? report->ended_ns
                                                    : report->started_ns,
        .cpu_ns = report->cpu_ns,
        .max_rss = report->max_rss,
        .printed = report->printed,
    };
}

void
sphttp_call_result(sphttp_call *call, uint32_t index, sphttp_result *result)
{
    /* Once: a process that a child has left may still scribble. */
    uint64_t word = page_item(call, index);
    const struct payload *payload =
        call->host->store->find(call, index, word, result);
    result->fate = payload->fate;
    result->error = fate_of(word) == SPHTTP_UNWRITTEN ? (int)(word >> 3)
                                                      : payload->error;
    result->payload = payload->text;
    result->size = payload->size;
}

void
sphttp_call_copy(sphttp_call *call, uint32_t index, sphttp_result *result)
{
    call->host->whole = true;
    sphttp_call_result(call, index, result);
    call->host->whole = false;
}

void
sphttp_call_drop(sphttp_call *call, uint32_t index)
{
    struct payload *payload = payload_of(call, index);
    free(payload->record);
    payload->record = NULL;
    payload->text = NULL;
    payload->size = 0;
    payload->spent = 0;
}

/* What is to be said of a child; its pid. */
static int
remark_of(const struct remark *remark, int *what)
{
    *what = remark->what;
    return remark->pid;
}

int
sphttp_call_overstayed(const sphttp_call *call, int *stage)
{
    return remark_of(&call->ledger->overstayed, stage);
}

int
sphttp_call_unready(const sphttp_call *call, int *wait_status)
{
    return remark_of(&call->ledger->unready, wait_status);
}

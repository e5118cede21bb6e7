/* What became of each item, once the call has ended: the state word, the report
 * and the record put together. */
#include "internal.h"

#include <stdlib.h>

struct payload *
payload_of(struct sphttp_call *call, uint32_t index)
{
    /* A pool's records are where they are: there is one at a time. */
    return &call->payloads[call->pool ? 0 : index];
}

int
fate_of(uint64_t word)
{
    switch (word & ITEM_KIND) {
    case ITEM_FREE:
        return SPHTTP_NOT_BEGUN;
    case ITEM_DISCARDED:
        return SPHTTP_DISCARDED;
    case ITEM_DONE:
        return SPHTTP_RETURNED;
    case ITEM_UNWRITTEN:
        return SPHTTP_UNWRITTEN;
    case ITEM_LATE:
        return SPHTTP_LATE;
    case ITEM_CUT:
        return SPHTTP_CUT;
    default:
        return SPHTTP_DIED;
    }
}

/* An item that a pool's child was through with. The child served others too, and
 * what it cost is not known of each; the report is not even looked at, for of
 * many items they are large. */
static void
result_in_pool(struct sphttp_call *call, uint32_t index,
               struct payload *payload, sphttp_result *result)
{
    struct header header;
    pool_read(call, index, &header, payload);
    *result = (sphttp_result){
        .pid = (int)header.pid,
        .wait_status = -1,
        .attempts = 1,
        .started_ns = header.started_ns,
        .ended_ns = header.ended_ns,
    };
}

static void
result_in_report(const struct report *report, sphttp_result *result)
{
    bool seen = report->ended_ns != 0 && report->attempts > 0;
    *result = (sphttp_result){
        .pid = report->pid,
        .wait_status = seen ? report->wait_status : -1,
        .attempts = report->attempts,
        .started_ns = report->started_ns,
        .ended_ns = seen && report->started_ns != 0 ? report->ended_ns
                                                    : report->started_ns,
        .cpu_ns = report->cpu_ns,
        .max_rss = report->max_rss,
    };
}

void
sphttp_call_result(sphttp_call *call, uint32_t index, sphttp_result *result)
{
    struct payload *payload = payload_of(call, index);
    /* Once: a process that a child has left may still scribble. */
    uint64_t word = page_item(call, index);
    int fate = fate_of(word);
    if (call->pool) {
        sphttp_call_drop(call, index); /* the last one's */
        *payload = (struct payload){.fate = fate};
    }
    if (call->pool && fate == SPHTTP_RETURNED) {
        result_in_pool(call, index, payload, result);
    }
    else if (call->pool && fate == SPHTTP_DISCARDED) {
        *result = (sphttp_result){.wait_status = -1, .attempts = 1};
    }
    else {
        result_in_report(&call->report[index], result);
    }
    if (call->pool && call->retries > 0 &&
        (fate == SPHTTP_RETURNED || fate == SPHTTP_DISCARDED)) {
        result->attempts += call->report[index].attempts; /* that were lost */
    }
    result->fate = payload->fate;
    result->error = payload->error;
    if (fate == SPHTTP_UNWRITTEN) {
        result->error = (int)(word >> 3);
    }
    result->payload = payload->text;
    result->size = payload->size;
}

void
sphttp_call_drop(sphttp_call *call, uint32_t index)
{
    struct payload *payload = payload_of(call, index);
    free(payload->record);
    payload->record = NULL;
    payload->text = NULL;
    payload->size = 0;
}

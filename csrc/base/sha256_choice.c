/* Which routine is the fastest for several messages. That is not to be known from what a
 * processor has: on one a vector of eight is as fast as two groups of four, on
 * another half as fast again. So all of them are measured, by the first who has
 * several messages. */
#include "base/sha256_choice.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/cdef.h"
#include "base/safe.h"

/* --- Measuring ------------------------------------------------------------------- */

enum {
    BLOCKS = 64, /* that each message goes on by, in a pass */
    LEAD = 8, /* by so many before */
    PASSES = 5,
    PASSES_MOST = 60, /* where something else has this processor now and then */
    AGREE = 64, /* two passes do that which differ by less than a part in so many */
    NEAR = 40 /* and by less than that, no unit is faster than another */
};

/* Nanoseconds that it takes for so many messages. What they are does not matter. */
static int64_t
time_of(const struct sha256_unit *unit)
{
    static const unsigned char text[BLOCKS * SHA256_BLOCK];
    struct sha256_state states[LANES_MOST], *state[LANES_MOST];
    const unsigned char *data[LANES_MOST];
    for (uint32_t i = 0; i < unit->lanes; i++) {
        states[i] = sha256_start;
        state[i] = &states[i];
        data[i] = text;
    }
    unit->go_on(state, data, LEAD); /* another unit was in the caches before */
    int64_t before = now_ns();
    unit->go_on(state, data, BLOCKS);
    return now_ns() - before;
}

/* Of use for several messages? */
static bool
is_measured(const struct sha256_unit *unit)
{
    return unit->kind != PORTABLE && sha256_unit_usable(unit);
}

/* Measure each unit in turn, until its two best passes agree: what took longer by
 * chance took longer in one of them. */
static void
measure(int64_t best[UNITS_MOST])
{
    int64_t second[UNITS_MOST];
    bool agree = false;
    for (int pass = -1; pass < PASSES || (!agree && pass < PASSES_MOST);
         pass++) {
        agree = true;
        for (uint8_t i = 0; sha256_units[i].lanes > 0; i++) {
            if (!is_measured(&sha256_units[i])) {
                continue;
            }
            int64_t time = time_of(&sha256_units[i]);
            if (pass <= 0) { /* the first of all warms up */
                best[i] = time;
                second[i] = INT64_MAX;
            }
            else if (time < best[i]) {
                second[i] = best[i];
                best[i] = time;
            }
            else if (time < second[i]) {
                second[i] = time;
            }
            agree = agree && second[i] - best[i] <= best[i] / AGREE;
        }
    }
}

/* By more than a part in so many? */
static bool
is_less(int64_t time, int64_t than)
{
    return time < than - than / NEAR;
}

/* The cheapest way to split each number of messages, and the least number beyond
 * which a message gets no cheaper. Where there is nearly no difference, it is the
 * smaller unit and the smaller number: fewer messages are looked at in turn then,
 * and their bytes come out of memory faster. */
static void
split(struct sha256_kernel *kernel, const int64_t time[UNITS_MOST])
{
    int64_t cost[LANES_MOST + 1] = {0};
    *kernel = (struct sha256_kernel){.lanes = 1};
    for (uint32_t count = 1; count <= LANES_MOST; count++) {
        cost[count] = INT64_MAX;
        for (uint8_t i = 0; sha256_units[i].lanes > 0; i++) {
            uint32_t lanes = sha256_units[i].lanes;
            uint32_t rest = count > lanes ? count - lanes : 0;
            if (is_measured(&sha256_units[i]) &&
                is_less(cost[rest] + time[i], cost[count])) {
                cost[count] = cost[rest] + time[i];
                kernel->unit[count] = i;
            }
        }
        if (is_less(cost[count] * kernel->lanes,
                    cost[kernel->lanes] * count)) {
            kernel->lanes = count;
        }
    }
    kernel->name =
        sha256_name_of(sha256_units[kernel->unit[kernel->lanes]].kind);
}

/* What was found. Nobody waits for another thread that measures, which a fork would
 * leave behind in the middle of it: both measure then. */
static struct sha256_kernel fastest;
enum { NOT_YET, BEING_WRITTEN, KNOWN };
static _Atomic int fastest_is;

void
sha256_choice_after_fork(void)
{
    if (fastest_is == BEING_WRITTEN) {
        fastest_is = NOT_YET;
    }
}

static void
choose_by_measuring(struct sha256_kernel *kernel)
{
    if (fastest_is == KNOWN) {
        *kernel = fastest;
        return;
    }
    int64_t time[UNITS_MOST];
    measure(time);
    split(kernel, time);
    int expected = NOT_YET;
    if (atomic_compare_exchange_strong(&fastest_is, &expected,
                                       BEING_WRITTEN)) {
        fastest = *kernel;
        fastest_is = KNOWN;
    }
}

bool
sha256_choose(struct sha256_kernel *kernel, const char *name, uint32_t count)
{
    if (!sha256_named(kernel, name)) {
        return false;
    }
    /* One lane in the first of all: there is nothing to choose from. */
    if (*name == '\0' && kernel->lanes > 1 &&
        (count > 1 || fastest_is == KNOWN)) {
        choose_by_measuring(kernel);
    }
    return true;
}

/* --- Whoever wants to know ---------------------------------------------------------- */

const char *
sphttp_sha256_kernel(const char *wanted)
{
    struct sha256_kernel kernel;
    return sha256_choose(&kernel, wanted, LANES_MOST) ? kernel.name : NULL;
}

uint32_t
sphttp_sha256_lanes(const char *wanted, uint32_t count)
{
    struct sha256_kernel kernel;
    if (!sha256_choose(&kernel, wanted, LANES_MOST)) {
        return 0;
    }
    return count > 0 && count <= kernel.lanes
               ? sha256_units[kernel.unit[count]].lanes
               : kernel.lanes;
}

int64_t
sphttp_sha256_time(const char *wanted, uint32_t count)
{
    struct sha256_kernel kernel;
    int64_t time = 0;
    if (!sha256_choose(&kernel, wanted, LANES_MOST) || count == 0 ||
        count > kernel.lanes) {
        return -EINVAL;
    }
    while (count > 0) {
        const struct sha256_unit *unit =
            &sha256_units[kernel.unit[count]];
        time += time_of(unit);
        count -= unit->lanes < count ? unit->lanes : count;
    }
    return time;
}

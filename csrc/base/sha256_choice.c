/* Which routine goes on with so many messages at once. How fast each is beside the
 * others is not to be known from what a processor has: on one a vector of eight
 * is as fast as two groups of four, on another half as fast again. So all of
 * them are measured, by the first who has several messages. What a processor was
 * found to be is not kept for the next process: a third of a millisecond is less
 * than the first file costs that is not in memory.
 *
 *   name      lanes  for
 *   avx512    16     x86 with AVX-512; few messages go through SHA instructions,
 *                    where there are these too
 *   sha-ni    4      x86 with SHA instructions
 *   armv8     4      ARMv8 with SHA instructions
 *   openssl   1      every processor */
#include "base/sha256_choice.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/cdef.h"
#include "base/safe.h"
#include "base/sha256_wide.h"

enum { ALONE = 1, GROUPS = 2, WIDE = 4 }; /* kinds of units */

static void
one(struct sha256_state *const state[], const unsigned char *const data[],
    size_t blocks)
{
    sha256_alone(state[0], data[0], blocks);
}

/* All that there are, each for exactly so many messages. */
static const struct unit {
    uint32_t lanes;
    int kind;
    void (*go_on)(struct sha256_state *const state[],
                  const unsigned char *const data[], size_t blocks);
} units[] = {
    {1, ALONE, one},
#if defined(HAS_SHA256_GROUPS)
    {2, GROUPS, sha256_two},
    {3, GROUPS, sha256_three},
    {4, GROUPS, sha256_four},
#endif
#if defined(HAS_SHA256_WIDE)
    {8, WIDE, sha256_eight},
    {16, WIDE, sha256_sixteen},
#endif
};

enum { UNITS = sizeof(units) / sizeof(*units) };

/* Each is named after the units that it needs, and has all before them too. */
static const struct {
    const char *name;
    int kind;
    uint32_t lanes;
} names[] = {
#if defined(HAS_SHA256_WIDE)
    {"avx512", WIDE, 16},
    {"sha-ni", GROUPS, 4},
#elif defined(HAS_SHA256_GROUPS)
    {"armv8", GROUPS, 4},
#endif
    {"openssl", ALONE, 1},
};

enum { NAMES = sizeof(names) / sizeof(*names) };

/* The kinds that this processor can run. It costs 25 us in a virtual machine to ask. */
static int
usable_kinds(void)
{
    static _Atomic int known;
    int kinds = known;
    if (kinds == 0) {
        kinds = ALONE;
#if defined(HAS_SHA256_GROUPS)
        kinds |= sha256_has_groups() ? GROUPS : 0;
#endif
#if defined(HAS_SHA256_WIDE)
        kinds |= sha256_has_wide() ? WIDE : 0;
#endif
        known = kinds;
    }
    return kinds;
}

/* --- Measuring ------------------------------------------------------------------- */

enum {
    BLOCKS = 64, /* that each message goes on by, in a pass */
    PASSES = 4,
    PASSES_MOST = 20, /* where something else has this processor now and then */
    NEAR = 32 /* two passes that differ by less than a part in so many agree */
};

/* Nanoseconds that it takes for so many messages. What they are does not matter. */
static int64_t
time_of(const struct unit *unit)
{
    static const unsigned char text[BLOCKS * SHA256_BLOCK];
    struct sha256_state states[LANES_MOST], *state[LANES_MOST];
    const unsigned char *data[LANES_MOST];
    for (uint32_t i = 0; i < unit->lanes; i++) {
        states[i] = sha256_start;
        state[i] = &states[i];
        data[i] = text;
    }
    int64_t before = now_ns();
    unit->go_on(state, data, BLOCKS);
    return now_ns() - before;
}

/* Measure each unit that can be used, in turn, until its two best passes agree:
 * what took longer by chance took longer in one of them. */
static void
measure(int64_t best[UNITS])
{
    int64_t second[UNITS];
    int kinds = usable_kinds();
    bool agree = false;
    for (int pass = -1; pass < PASSES || (!agree && pass < PASSES_MOST);
         pass++) {
        agree = true;
        for (int i = 0; i < UNITS; i++) {
            if ((units[i].kind & kinds) == 0) {
                continue;
            }
            int64_t time = time_of(&units[i]);
            if (pass <= 0) { /* the one before warms up */
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
            agree = agree && second[i] - best[i] <= best[i] / NEAR;
        }
    }
}

/* The cheapest way to split each number of messages, and the least number beyond
 * which a message gets no cheaper by more than one part in so many. */
static void
split(struct sha256_kernel *kernel, const int64_t time[UNITS])
{
    int64_t cost[LANES_MOST + 1] = {0};
    int kinds = usable_kinds();
    *kernel = (struct sha256_kernel){.lanes = 1};
    for (uint32_t count = 1; count <= LANES_MOST; count++) {
        cost[count] = INT64_MAX;
        for (uint8_t i = 0; i < UNITS; i++) {
            uint32_t lanes = units[i].lanes;
            uint32_t rest = count > lanes ? count - lanes : 0;
            if ((units[i].kind & kinds) != 0 &&
                cost[rest] + time[i] <= cost[count]) {
                cost[count] = cost[rest] + time[i];
                kernel->unit[count] = i;
            }
        }
    }
    for (uint32_t count = 2; count <= LANES_MOST; count++) {
        int64_t before = cost[kernel->lanes] * count;
        if (cost[count] * kernel->lanes < before - before / NEAR) {
            kernel->lanes = count;
        }
    }
    for (int i = 0; i < NAMES; i++) {
        if (names[i].kind == units[kernel->unit[kernel->lanes]].kind) {
            kernel->name = names[i].name;
        }
    }
}

/* What was found. Nobody waits for another thread that measures, which a fork would
 * leave behind in the middle of it: both measure then. */
static struct sha256_kernel fastest;
enum { NOT_YET, BEING_WRITTEN, KNOWN };
static _Atomic int fastest_is;

static void
choose_by_measuring(struct sha256_kernel *kernel)
{
    if (fastest_is == KNOWN) {
        *kernel = fastest;
        return;
    }
    int64_t time[UNITS];
    measure(time);
    split(kernel, time);
    int expected = NOT_YET;
    if (atomic_compare_exchange_strong(&fastest_is, &expected,
                                       BEING_WRITTEN)) {
        fastest = *kernel;
        fastest_is = KNOWN;
    }
}

/* --- A kernel --------------------------------------------------------------------- */

bool
sha256_choose(struct sha256_kernel *kernel, const char *name, uint32_t count)
{
    int kinds = usable_kinds();
    int known = 0; /* the first that can be used */
    while (known < NAMES && ((names[known].kind & kinds) == 0 ||
                             (*name != '\0' &&
                              strcmp(name, names[known].name) != 0))) {
        known++;
    }
    if (known == NAMES) {
        return false;
    }
    if (*name == '\0' && kinds != ALONE &&
        (count > 1 || fastest_is == KNOWN)) {
        choose_by_measuring(kernel);
        return true;
    }
    *kernel = (struct sha256_kernel){
        .name = names[known].name,
        .lanes = names[known].lanes,
    };
    kinds &= 2 * names[known].kind - 1;
    for (uint32_t n = 1; n <= kernel->lanes; n++) {
        /* The least that holds so many. */
        for (uint8_t i = UNITS; i-- > 0;) {
            if ((units[i].kind & kinds) != 0 && units[i].lanes >= n) {
                kernel->unit[n] = i;
            }
        }
    }
    return true;
}

/* The unit for the first of so many messages goes on with them; and has lanes left
 * over for nobody, if they are fewer. Returns how many those are. */
static uint32_t
go_on_by_unit(const struct unit *unit, struct sha256_state *const state[],
              const unsigned char *const data[], uint32_t count, size_t blocks)
{
    if (unit->lanes <= count) {
        unit->go_on(state, data, blocks);
        return unit->lanes;
    }
    struct sha256_state nobodys[LANES_MOST], *states[LANES_MOST];
    const unsigned char *from[LANES_MOST];
    for (uint32_t i = 0; i < unit->lanes; i++) {
        nobodys[i] = sha256_start;
        states[i] = i < count ? state[i] : &nobodys[i];
        from[i] = data[i < count ? i : 0];
    }
    unit->go_on(states, from, blocks);
    return count;
}

void
sha256_go_on(const struct sha256_kernel *kernel,
             struct sha256_state *const state[],
             const unsigned char *const data[], uint32_t count, size_t blocks)
{
    while (count > 0) {
        uint32_t through = go_on_by_unit(&units[kernel->unit[count]], state,
                                         data, count, blocks);
        count -= through;
        state += through;
        data += through;
    }
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
               ? units[kernel.unit[count]].lanes
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
        const struct unit *unit = &units[kernel.unit[count]];
        time += time_of(unit);
        count -= unit->lanes < count ? unit->lanes : count;
    }
    return time;
}

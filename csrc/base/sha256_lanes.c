/* Several messages at once. A routine is put together of units, each for exactly so
 * many messages.
 *
 *   name      lanes  for
 *   avx512    16     x86 with AVX-512; few messages go through SHA instructions,
 *                    where there are these too
 *   sha-ni    4      x86 with the SHA extensions: Zen, Ice Lake and later
 *   armv8     4      ARMv8 with the SHA-2 extension
 *   alone     1      every processor: as fast as it can go on with one message
 *   portable  1      the same in plain C, whatever the processor has */
#include "base/sha256_lanes.h"

#include <string.h>

#include "base/processor.h"
#include "base/sha256_armv8.h"
#include "base/sha256_ni.h"
#include "base/sha256_portable.h"
#include "base/sha256_wide.h"

static void
alone(struct sha256_state *const state[], const unsigned char *const data[],
      size_t blocks)
{
    sha256_alone(state[0], data[0], blocks);
}

static void
portable(struct sha256_state *const state[], const unsigned char *const data[],
         size_t blocks)
{
    sha256_portable(state[0], data[0], blocks);
}

const struct sha256_unit sha256_units[UNITS_MOST] = {
    {1, ONE, alone},
    {1, PORTABLE, portable},
#if defined(WITH_SHA_NI)
    {2, GROUPS, sha256_ni_two},
    {3, GROUPS, sha256_ni_three},
    {4, GROUPS, sha256_ni_four},
#elif defined(WITH_ARM_SHA2)
    {2, GROUPS, sha256_armv8_two},
    {3, GROUPS, sha256_armv8_three},
    {4, GROUPS, sha256_armv8_four},
#endif
#if defined(WITH_AVX512)
    {8, WIDE, sha256_eight},
    {16, WIDE, sha256_sixteen},
#endif
    {0, PORTABLE, NULL},
};

static const struct {
    const char *name;
    enum unit_kind kind; /* it has these units, and those of all kinds before */
    uint32_t lanes;
} names[] = {
#if defined(WITH_AVX512)
    {"avx512", WIDE, 16},
#endif
#if defined(WITH_SHA_NI)
    {"sha-ni", GROUPS, 4},
#elif defined(WITH_ARM_SHA2)
    {"armv8", GROUPS, 4},
#endif
    {"alone", ONE, 1},
    {"portable", PORTABLE, 1},
};

enum { NAMES = sizeof(names) / sizeof(*names) };

static bool
usable(enum unit_kind kind)
{
    return kind == GROUPS ? processor_has(SHA_NI) || processor_has(ARM_SHA2)
           : kind == WIDE ? processor_has(AVX512)
                          : true;
}

bool
sha256_unit_usable(const struct sha256_unit *unit)
{
    return usable(unit->kind);
}

const char *
sha256_name_of(enum unit_kind kind)
{
    int i = 0;
    while (names[i].kind != kind) {
        i++;
    }
    return names[i].name;
}

bool
sha256_named(struct sha256_kernel *kernel, const char *name)
{
    int known = 0;
    while (known < NAMES &&
           (!usable(names[known].kind) ||
            (*name != '\0' && strcmp(name, names[known].name) != 0))) {
        known++;
    }
    if (known == NAMES) {
        return false;
    }
    *kernel = (struct sha256_kernel){
        .name = names[known].name,
        .lanes = names[known].lanes,
    };
    for (uint32_t count = 1; count <= kernel->lanes; count++) {
        uint8_t i = 0; /* the first, and so the least, that holds so many */
        while (sha256_units[i].lanes < count ||
               sha256_units[i].kind > names[known].kind ||
               !usable(sha256_units[i].kind)) {
            i++;
        }
        kernel->unit[count] = i;
    }
    return true;
}

/* The unit for the first of so many messages goes on with them; and has lanes left
 * over for nobody, if they are fewer. Returns how many those are. */
static uint32_t
go_on_by_unit(const struct sha256_unit *unit,
              struct sha256_state *const state[],
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
        uint32_t through = go_on_by_unit(&sha256_units[kernel->unit[count]], state,
                                         data, count, blocks);
        count -= through;
        state += through;
        data += through;
    }
}

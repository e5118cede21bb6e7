/* SHA-256 by the SHA-2 extension of ARMv8: a function for each number of messages, as in
 * sha256_ni.c.
 *
 * Source: FIPS 180-4, section 6.2.2; Arm's description of the instructions. */
#include "base/sha256_armv8.h"

#if defined(WITH_ARM_SHA2)
#include <arm_neon.h>

#define ON_ARM_SHA2 __attribute__((target("+crypto")))

#define LANES 1
#define GO_ON sha256_armv8_one
#include "base/sha256_armv8.inc"
#undef LANES
#undef GO_ON

#define LANES 2
#define GO_ON sha256_armv8_two
#include "base/sha256_armv8.inc"
#undef LANES
#undef GO_ON

#define LANES 3
#define GO_ON sha256_armv8_three
#include "base/sha256_armv8.inc"
#undef LANES
#undef GO_ON

#define LANES 4
#define GO_ON sha256_armv8_four
#include "base/sha256_armv8.inc"
#undef LANES
#undef GO_ON
#endif

/* SHA-256 by the SHA extensions of x86: a function for each number of messages, which a
 * compiler unrolls. Each round waits for the one before: with one message a
 * processor is idle for half of the time, and two to four, their instructions in
 * turn, fill that.
 *
 * Source: FIPS 180-4, section 6.2.2; Intel's Intrinsics Guide. */
#include "base/sha256_ni.h"

#if defined(WITH_SHA_NI)
#include <immintrin.h>

#define ON_SHA_NI __attribute__((target("sha,sse4.1")))

#define LANES 1
#define GO_ON sha256_ni_one
#include "base/sha256_ni.inc"
#undef LANES
#undef GO_ON

#define LANES 2
#define GO_ON sha256_ni_two
#include "base/sha256_ni.inc"
#undef LANES
#undef GO_ON

#define LANES 3
#define GO_ON sha256_ni_three
#include "base/sha256_ni.inc"
#undef LANES
#undef GO_ON

#define LANES 4
#define GO_ON sha256_ni_four
#include "base/sha256_ni.inc"
#undef LANES
#undef GO_ON
#endif

/* What this processor can do. It is asked itself, for what a compiler offers
 * instead needs that compiler's own library. */
#include "base/processor.h"

static unsigned int found;

#if defined(__x86_64__)
#include <cpuid.h>

/* Which registers the system saves for each thread.
 * Source: Intel's manual, volume 2, XGETBV. */
static unsigned int
saved_registers(void)
{
    unsigned int low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Source: Intel's manual, volume 2, CPUID; volume 1, section 15.2. */
static unsigned int
ask(void)
{
    const unsigned int sse41 = bit_SSSE3 | bit_SSE4_1;
    const unsigned int avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL;
    const unsigned int vectors = 0xe6; /* XMM, YMM, opmask, both parts of ZMM */
    unsigned int a, b, c, d, old, has = 0;
    if (__get_cpuid(1, &a, &b, &old, &d) == 0 ||
        __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) {
        return 0;
    }
    if ((old & sse41) == sse41 && (b & bit_SHA) != 0) {
        has |= SHA_NI;
    }
    if ((b & avx512) == avx512 && (old & bit_OSXSAVE) != 0 &&
        (saved_registers() & vectors) == vectors) {
        has |= AVX512;
    }
    return has;
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

static unsigned int
ask(void)
{
    const unsigned long hwcap_sha2 = 1UL << 6; /* Linux's HWCAP_SHA2 */
    return (getauxval(AT_HWCAP) & hwcap_sha2) != 0 ? ARM_SHA2 : 0;
}

#else

static unsigned int
ask(void)
{
    return 0;
}
#endif

/* As the library is loaded: no thread, no fork can come in between, and the
 * children of all calls inherit what was found. CPUID takes 25 us in a virtual
 * machine. */
__attribute__((constructor)) static void
look(void)
{
    found = ask();
}

bool
processor_has(unsigned int features)
{
    return (found & features) == features;
}

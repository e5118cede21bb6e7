/* What this processor can do, beyond what every one of its kind can. */
#ifndef TEP_PROCESSOR_H
#define TEP_PROCESSOR_H

#include <stdbool.h>

enum feature {
    SHA_NI = 1, /* x86: the SHA extensions, with SSE 4.1 */
    AVX512 = 2, /* x86: its F, BW and VL */
    ARM_SHA2 = 4
};

/* Each of them? */
bool processor_has(unsigned int features);

#endif

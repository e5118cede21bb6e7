/* SHA-256 of one message, on any processor. */
#ifndef TEP_SHA256_PORTABLE_H
#define TEP_SHA256_PORTABLE_H

#include "base/sha256.h"

/* As sha256_alone. */
void sha256_portable(struct sha256_state *state, const unsigned char *data,
                     size_t blocks);

#endif

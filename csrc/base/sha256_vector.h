/* One kernel of sha256_wide.c, for as many messages as a vector has words: included
 * there with LANES, GO_ON and the operations on such a vector defined. */

/* Turn the next block of each message round: then w[t] has word t of all. */
ON_AVX512 static inline void
LOAD_BLOCKS(vector w[16], const unsigned char *const at[LANES]);

ON_AVX512 void
GO_ON(struct sha256_state *const state[], const unsigned char *const data[],
      size_t blocks)
{
    uint32_t words[8][LANES];
    vector h[8];
    const unsigned char *at[LANES];
    for (int i = 0; i < 8; i++) {
        for (int lane = 0; lane < LANES; lane++) {
            words[i][lane] = state[lane]->h[i];
        }
        h[i] = LOAD(words[i]);
    }
    memcpy(at, data, sizeof(at));
    for (; blocks > 0; blocks--) {
        vector w[16];
        LOAD_BLOCKS(w, at);
        vector a = h[0], b = h[1], c = h[2], d = h[3];
        vector e = h[4], f = h[5], g = h[6], last = h[7];
#pragma GCC unroll 64
        for (int t = 0; t < 64; t++) {
            vector *now = &w[t % 16];
            if (t >= 16) {
                const vector w15 = w[(t + 1) % 16], w2 = w[(t + 14) % 16];
                const vector small0 =
                    XOR3(ROR(w15, 7), ROR(w15, 18), SHR(w15, 3));
                const vector small1 =
                    XOR3(ROR(w2, 17), ROR(w2, 19), SHR(w2, 10));
                *now = ADD(ADD(*now, w[(t + 9) % 16]), ADD(small0, small1));
            }
            const vector large1 = XOR3(ROR(e, 6), ROR(e, 11), ROR(e, 25));
            const vector large0 = XOR3(ROR(a, 2), ROR(a, 13), ROR(a, 22));
            const vector t1 = ADD(ADD(ADD(last, ALL(sha256_k[t])),
                                      ADD(*now, CHOOSE(e, f, g))),
                                  large1);
            const vector t2 = ADD(large0, MAJORITY(a, b, c));
            last = g;
            g = f;
            f = e;
            e = ADD(d, t1);
            d = c;
            c = b;
            b = a;
            a = ADD(t1, t2);
        }
        const vector after[8] = {a, b, c, d, e, f, g, last};
        for (int i = 0; i < 8; i++) {
            h[i] = ADD(h[i], after[i]);
        }
        for (int lane = 0; lane < LANES; lane++) {
            at[lane] += SHA256_BLOCK;
        }
    }
    for (int i = 0; i < 8; i++) {
        STORE(words[i], h[i]);
        for (int lane = 0; lane < LANES; lane++) {
            state[lane]->h[i] = words[i][lane];
        }
    }
}

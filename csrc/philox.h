/* philox.h: Philox4x32-10 in vectors: a group of 16 counters gives 4 words of 32 bits for each.
 *
 * What the words mean is their user's affair; so are the rules of ops/philox.py that say which element takes which.
 * Sources: ops/philox.py. Read next: random.c. */
#ifndef TG_PHILOX_H
#define TG_PHILOX_H

#include "kernel.h"

#define LANES 16

typedef uint32_t words[4][LANES];

/* Counters are computed in lanes of 64 bits, of which the low 32 count: a product of those is one instruction. GCC does
 * not find it for itself, hence the intrinsics: dropout of 32,768 floats takes 6 us instead of 20 with AVX-512. */
#if defined(__AVX512F__)
#include <immintrin.h>
#define WIDE 8
#define PRODUCT(a, b) (wide) _mm512_mul_epu32((__m512i)(a), (__m512i)(b))
#elif defined(__AVX2__)
#include <immintrin.h>
#define WIDE 4
#define PRODUCT(a, b) (wide) _mm256_mul_epu32((__m256i)(a), (__m256i)(b))
#elif defined(__SSE2__)
#include <emmintrin.h>
#define WIDE 2
#define PRODUCT(a, b) (wide) _mm_mul_epu32((__m128i)(a), (__m128i)(b))
#else
#define WIDE 2
#define PRODUCT(a, b) ((a) & 0xFFFFFFFFu) * ((b) & 0xFFFFFFFFu)
#endif
typedef uint64_t wide __attribute__((vector_size(8 * WIDE)));
typedef uint32_t narrow __attribute__((vector_size(8 * WIDE)));
#if WIDE == 8
#define COUNT 0, 1, 2, 3, 4, 5, 6, 7
#define LOW_WORDS 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#elif WIDE == 4
#define COUNT 0, 1, 2, 3
#define LOW_WORDS 0, 2, 4, 6, 8, 10, 12, 14
#else
#define COUNT 0, 1
#define LOW_WORDS 0, 2, 4, 6
#endif

/* Group number `group` of a stream; key: seed, stream. Two vectors go together, to share the round keys. */
static inline void philox(words w, const uint64_t *key, int64_t group) {
    const wide m0 = (wide){0} + 0xD2511F53u, m1 = (wide){0} + 0xCD9E8D57u;
    for (int first = 0; first < LANES; first += 2 * WIDE) {
        wide c[4][2];
        for (int v = 0; v < 2; v++) {
            c[0][v] = (wide){COUNT} + (uint64_t)(group * LANES + first + v * WIDE);
            c[1][v] = c[0][v] >> 32;
            c[2][v] = (wide){0} + key[1];
            c[3][v] = c[2][v] >> 32;
        }
        uint32_t k0 = (uint32_t)key[0], k1 = (uint32_t)(key[0] >> 32);
#pragma GCC unroll 10
        for (int round = 0; round < 10; round++) {
#pragma GCC unroll 2
            for (int v = 0; v < 2; v++) {
                wide p0 = PRODUCT(c[0][v], m0), p1 = PRODUCT(c[2][v], m1);
                c[0][v] = (p1 >> 32) ^ c[1][v] ^ k0;
                c[2][v] = (p0 >> 32) ^ c[3][v] ^ k1;
                c[1][v] = p1;
                c[3][v] = p0;
            }
            k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
        }
        for (int j = 0; j < 4; j++) {
            narrow low = __builtin_shufflevector((narrow)c[j][0], (narrow)c[j][1], LOW_WORDS);
            memcpy(&w[j][first], &low, sizeof low);
        }
    }
}

#endif

/* dropout.h: which elements of a stream dropout keeps: one rule for every kernel that drops.
 *
 * Element i takes 16 bits of group i / 128 (see words16 in ops/philox.py) and is kept where they are at least a
 * threshold, p in 65536ths: p is right to 2^-17. Read next: random.c; batch_norm.c. */
#ifndef TG_DROPOUT_H
#define TG_DROPOUT_H

#include "philox.h"

#define DROPPED (8 * LANES) /* elements of a group */
/* Bytes to fetch ahead: between two loads lies so much arithmetic that the processor does not look far enough by
 * itself. 25 MB take 1.6 ms, without this 4.9 (AVX-512, Zen 5; a copy: 1.4). */
#define AHEAD 1024

/* A group: y = x scale, or 0. */
static inline void drop_group(real *y, const real *x, const uint64_t *key, int64_t group, int32_t threshold,
                              real scale) {
    words w;
    philox(w, key, group);
    for (int j = 0; j < 4; j++, x += 2 * LANES, y += 2 * LANES) {
#pragma omp simd
        for (int l = 0; l < LANES; l++) {
            real low = x[l] * scale, high = x[LANES + l] * scale;
            y[l] = (int32_t)(w[j][l] & 0xFFFF) >= threshold ? low : 0;
            y[LANES + l] = (int32_t)(w[j][l] >> 16) >= threshold ? high : 0;
        }
    }
}

/* n elements, of which the first one is number `first` of the stream. y may be x. */
static inline void drop(real *y, const real *x, int64_t first, int64_t n, const uint64_t *key, int32_t threshold,
                        real scale) {
    for (int64_t i = 0; i < n;) {
        int64_t group = (first + i) / DROPPED, skip = (first + i) % DROPPED, count = TG_MIN(DROPPED - skip, n - i);
        for (uintptr_t line = AHEAD; line < AHEAD + DROPPED * sizeof(real); line += 64) {
            __builtin_prefetch((const void *)((uintptr_t)(x + i) + line));
            __builtin_prefetch((const void *)((uintptr_t)(y + i) + line), 1);
        }
        if (count == DROPPED) {
            drop_group(y + i, x + i, key, group, threshold, scale);
        } else { /* made whole elsewhere, of which a part is wanted */
            real whole[DROPPED] = {0};
            memcpy(whole + skip, x + i, (size_t)count * sizeof(real));
            drop_group(whole, whole, key, group, threshold, scale);
            memcpy(y + i, whole + skip, (size_t)count * sizeof(real));
        }
        i += count;
    }
}

#endif

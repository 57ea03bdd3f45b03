/* rows.h: work on rows of an array, 16 rows side by side.
 *
 * A block holds element i of row l at [i * LANES + l]. Whatever is computed for a row is then computed for a vector of
 * rows, without sums across a vector, and as fast for 10 classes as for 1000. A row may lie in memory with any stride.
 * Left out on purpose: rows whose own elements do not lie at one stride (the reference does those). Read next: norm.c.
 */
#ifndef TG_ROWS_H
#define TG_ROWS_H

#include "loops.h"
#include "vecmath.h"

#define LANES 16
#define RUN 32             /* terms added up before they go into the total, which bounds the error of long sums */
#define UNIT_ELEMENTS 8192 /* in a unit: some 5 to 10 us */

#define EACH_LANE _Pragma("omp simd") for (int l = 0; l < LANES; l++)

/* total[l] = sum over i < n of `term`, which may use i, l and k = i * LANES + l. */
#define SUM(total, n, term)                                     \
    do {                                                        \
        EACH_LANE total[l] = 0;                                 \
        for (int64_t start_ = 0; start_ < (n); start_ += RUN) { \
            int64_t end_ = TG_MIN(start_ + RUN, (n));           \
            real part_[LANES] = {0};                            \
            for (int64_t i = start_; i < end_; i++) EACH_LANE { \
                    int64_t k = i * LANES + l;                  \
                    part_[l] += (term);                         \
                }                                               \
            EACH_LANE total[l] += part_[l];                     \
        }                                                       \
    } while (0)

/* x[k] = value for all k = i * LANES + l with i < n. */
#define SET(x, n, value)                          \
    for (int64_t i = 0; i < (n); i++) EACH_LANE { \
            int64_t k = i * LANES + l;            \
            x[k] = (value);                       \
        }

/* Bring `count` rows of n elements into a block, or out of it. Lanes beyond count hold the first row once more. */
static inline void load_rows(real *restrict block, const char *const *rows, int64_t stride, int64_t n) {
    if (stride == (int64_t)sizeof(real)) {
        const real *row[LANES];
        for (int l = 0; l < LANES; l++) row[l] = (const real *)rows[l];
        for (int64_t i = 0; i < n; i++)
            for (int l = 0; l < LANES; l++) block[i * LANES + l] = row[l][i];
    } else {
        for (int64_t i = 0; i < n; i++)
            for (int l = 0; l < LANES; l++) block[i * LANES + l] = *(const real *)(rows[l] + i * stride);
    }
}

static inline void store_rows(const real *restrict block, char *const *rows, int count, int64_t stride, int64_t n) {
    if (stride == (int64_t)sizeof(real)) {
        for (int l = 0; l < count; l++)
            for (int64_t i = 0; i < n; i++) ((real *)rows[l])[i] = block[i * LANES + l];
    } else {
        for (int64_t i = 0; i < n; i++)
            for (int l = 0; l < count; l++) *(real *)(rows[l] + i * stride) = block[i * LANES + l];
    }
}

/* largest[l] of each row, a NaN passed over: it comes back with the exponentials. */
static inline void largest_of(const real *x, int64_t n, real *largest) {
    EACH_LANE largest[l] = x[l];
    for (int64_t i = 1; i < n; i++) EACH_LANE {
            real v = x[i * LANES + l];
            largest[l] = v > largest[l] ? v : largest[l];
        }
}

/* How many rows of n elements make a unit: a multiple of LANES. */
static inline int64_t rows_in_unit(int64_t n) { return TG_MAX(UNIT_ELEMENTS / (TG_MAX(n, 1) * LANES), 1) * LANES; }

#endif

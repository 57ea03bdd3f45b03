/* rows.h: work on rows of an array, 16 lanes wide.
 *
 * A block is 16 rows side by side, element i of row l at [i * LANES + l]: whatever is computed for a row is computed
 * for a vector of rows, as fast for 10 classes as for 1000, and whatever the strides. Where rows are long and
 * contiguous, a block is one row as it lies, its end filled up, and the lanes' sums are added up at the end. One
 * formula serves both. Left out on purpose: rows whose own elements do not lie at one stride (the reference does
 * those). Read next: norm.c. */
#ifndef TG_ROWS_H
#define TG_ROWS_H

#include "loops.h"
#include "vecmath.h"

#define LANES 16
#define LONG 64            /* elements from which on a contiguous row is a block of its own */
#define RUN 32             /* terms added up before they go into the total, which bounds the error of long sums */
#define UNIT_ELEMENTS 8192 /* in a unit: some 5 to 10 us */

/* How the rows of a node are cut into blocks: rows have `length` elements, a block `steps` vectors. */
typedef struct {
    int64_t length, steps, across;
} blocks;

/* neighbours: whether the elements of every array's rows lie side by side. */
static inline blocks blocks_of(int64_t length, int neighbours) {
    blocks b = {length, length, neighbours && length >= LONG};
    if (b.across) b.steps = divide_up(length, LANES);
    return b;
}

static inline int64_t rows_in_block(const blocks *b) { return b->across ? 1 : LANES; }
static inline int64_t block_size(const blocks *b) { return b->steps * LANES; }

/* How many rows make a unit: a multiple of those in a block. */
static inline int64_t rows_in_unit(const blocks *b) {
    return TG_MAX(UNIT_ELEMENTS / block_size(b), 1) * rows_in_block(b);
}

#define EACH_LANE _Pragma("omp simd") for (int l = 0; l < LANES; l++)

/* total[l] = sum over a row of `term`, which may use l and k, where an element lies in its block. */
#define SUM(b, total, term)                                            \
    do {                                                               \
        EACH_LANE total[l] = 0;                                        \
        for (int64_t start_ = 0; start_ < (b)->steps; start_ += RUN) { \
            int64_t end_ = TG_MIN(start_ + RUN, (b)->steps);           \
            real part_[LANES] = {0};                                   \
            for (int64_t i = start_; i < end_; i++) EACH_LANE {        \
                    int64_t k = i * LANES + l;                         \
                    part_[l] += (term);                                \
                }                                                      \
            EACH_LANE total[l] += part_[l];                            \
        }                                                              \
        if ((b)->across) add_lanes(total);                             \
    } while (0)

/* x[k] = value for a whole block. */
#define SET(b, x, value)                                 \
    for (int64_t i = 0; i < (b)->steps; i++) EACH_LANE { \
            int64_t k = i * LANES + l;                   \
            x[k] = (value);                              \
        }

/* The sum of all lanes, in each of them. */
static inline void add_lanes(real *total) {
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) total[l] += total[l + half];
    EACH_LANE total[l] = total[0];
}

/* largest[l] of each row, a NaN perhaps passed over: it comes back with the exponentials. */
static inline void largest_of(const blocks *b, const real *x, real *largest) {
    EACH_LANE largest[l] = x[l];
    for (int64_t i = 1; i < b->steps; i++) EACH_LANE {
            real v = x[i * LANES + l];
            largest[l] = v > largest[l] ? v : largest[l];
        }
    if (!b->across) return;
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) largest[l] = largest[l + half] > largest[l] ? largest[l + half] : largest[l];
    EACH_LANE largest[l] = largest[0];
}

/* The places of a block that no element of the row has. */
static inline void fill_end(const blocks *b, real *block, real value) {
    if (b->across)
        for (int64_t k = b->length; k < block_size(b); k++) block[k] = value;
}

/* Whether element i of all rows is a stretch of memory, as it is where the rows run along an inner dimension. */
static inline int side_by_side(const char *const *rows) {
    int64_t apart = 0;
    for (int l = 1; l < LANES; l++) apart |= rows[l] - rows[0] - l * (int64_t)sizeof(real);
    return apart == 0;
}

/* Bring `count` rows into a block, or out of it. Lanes beyond count hold the first row once more. */
static inline void load_rows(const blocks *b, real *restrict block, const char *const *rows, int64_t stride) {
    if (b->across) {
        memcpy(block, rows[0], (size_t)b->length * sizeof(real));
    } else if (stride == (int64_t)sizeof(real)) {
        const real *row[LANES];
        for (int l = 0; l < LANES; l++) row[l] = (const real *)rows[l];
        for (int64_t i = 0; i < b->length; i++)
            for (int l = 0; l < LANES; l++) block[i * LANES + l] = row[l][i];
    } else if (side_by_side(rows)) {
        for (int64_t i = 0; i < b->length; i++) memcpy(block + i * LANES, rows[0] + i * stride, LANES * sizeof(real));
    } else {
        for (int64_t i = 0; i < b->length; i++)
            for (int l = 0; l < LANES; l++) block[i * LANES + l] = *(const real *)(rows[l] + i * stride);
    }
}

static inline void store_rows(const blocks *b, const real *restrict block, char *const *rows, int count,
                              int64_t stride) {
    if (b->across) {
        memcpy(rows[0], block, (size_t)b->length * sizeof(real));
    } else if (stride == (int64_t)sizeof(real)) {
        for (int l = 0; l < count; l++)
            for (int64_t i = 0; i < b->length; i++) ((real *)rows[l])[i] = block[i * LANES + l];
    } else if (side_by_side((const char *const *)rows)) {
        for (int64_t i = 0; i < b->length; i++) memcpy(rows[0] + i * stride, block + i * LANES, LANES * sizeof(real));
    } else {
        for (int64_t i = 0; i < b->length; i++)
            for (int l = 0; l < count; l++) *(real *)(rows[l] + i * stride) = block[i * LANES + l];
    }
}

#endif

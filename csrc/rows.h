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
#define AHEAD 256          /* bytes to fetch ahead of rows side by side: their lines are too far apart to be foreseen */
#define UNIT_ELEMENTS 8192 /* in a unit: some 5 to 10 us */

/* How the rows of a node are cut into blocks: rows have `length` elements, a block `steps` vectors. */
typedef struct {
    int64_t length, steps, across;
    int64_t whole; /* a block is a row of whole vectors: used where it lies, not copied */
} blocks;

/* neighbours: whether the elements of every array's rows lie side by side. */
static inline blocks blocks_of(int64_t length, int neighbours) {
    blocks b = {.length = length, .steps = length, .across = neighbours && length >= LONG};
    if (b.across) b.steps = divide_up(length, LANES), b.whole = length % LANES == 0;
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
        if ((b)->across) HALVES(total, ADDED);                         \
    } while (0)

/* The same for two sums in one go. */
#define SUM_2(b, total, term, other, other_term)                        \
    do {                                                                \
        EACH_LANE total[l] = other[l] = 0;                              \
        for (int64_t start_ = 0; start_ < (b)->steps; start_ += RUN) {  \
            int64_t end_ = TG_MIN(start_ + RUN, (b)->steps);            \
            real part_[LANES] = {0}, other_part_[LANES] = {0};          \
            for (int64_t i = start_; i < end_; i++) EACH_LANE {         \
                    int64_t k = i * LANES + l;                          \
                    part_[l] += (term);                                 \
                    other_part_[l] += (other_term);                     \
                }                                                       \
            EACH_LANE total[l] += part_[l], other[l] += other_part_[l]; \
        }                                                               \
        if ((b)->across) {                                              \
            HALVES(total, ADDED);                                       \
            HALVES(other, ADDED);                                       \
        }                                                               \
    } while (0)

/* x[k] = value for a whole block. */
#define SET(b, x, value)                                 \
    for (int64_t i = 0; i < (b)->steps; i++) EACH_LANE { \
            int64_t k = i * LANES + l;                   \
            x[k] = (value);                              \
        }

/* lanes[l] = take(a, b) over all lanes, in halves. An array for each half, or a load waits until the stores that it
 * spans are out of the pipeline: a third of the gradient of log_softmax. */
#define HALVES(lanes, take)                                                     \
    do {                                                                        \
        real by_8[8], by_4[4], by_2[2];                                         \
        for (int l = 0; l < 8; l++) by_8[l] = take((lanes)[l], (lanes)[l + 8]); \
        for (int l = 0; l < 4; l++) by_4[l] = take(by_8[l], by_8[l + 4]);       \
        for (int l = 0; l < 2; l++) by_2[l] = take(by_4[l], by_4[l + 2]);       \
        const real all_ = take(by_2[0], by_2[1]);                               \
        EACH_LANE(lanes)[l] = all_;                                             \
    } while (0)
_Static_assert(LANES == 16, "HALVES takes 16 lanes");

#define ADDED(a, b) ((a) + (b))
#define LARGER(a, b) ((b) > (a) ? (b) : (a))

/* largest[l] of each row, a NaN perhaps passed over: it comes back with the exponentials. */
static inline void largest_of(const blocks *b, const real *x, real *largest) {
    EACH_LANE largest[l] = x[l];
    for (int64_t i = 1; i < b->steps; i++) EACH_LANE {
            real v = x[i * LANES + l];
            largest[l] = LARGER(largest[l], v);
        }
    if (b->across) HALVES(largest, LARGER);
}

/* The places of a block that no element of the row has. */
static inline void fill_end(const blocks *b, real *block, real value) {
    if (b->across)
        for (int64_t k = b->length; k < block_size(b); k++) block[k] = value;
}

/* A block whose lanes all have the same row. */
static inline void fill_lanes(const blocks *b, real *block, const char *row, int64_t stride) {
    for (int64_t i = 0; i < b->length; i++) {
        const real value = *(const real *)(row + i * stride);
        for (int l = 0; l < rows_in_block(b); l++) block[i * rows_in_block(b) + l] = value;
    }
    fill_end(b, block, 0);
}

/* Whether element i of all rows is a stretch of memory, as it is where the rows run along an inner dimension. */
static inline int side_by_side(const char *const *rows) {
    int64_t apart = 0;
    for (int l = 1; l < LANES; l++) apart |= rows[l] - rows[0] - l * (int64_t)sizeof(real);
    return apart == 0;
}

/* Where rows r, r + 1, ... lie of an array whose walk over rows is `w`; lanes beyond count get the first one. */
static inline void place_rows(const blocks *b, const walk *w, char *data, int64_t r, int count, char **at) {
    const int64_t run = w->shape[w->dims - 1], step = w->stride[w->dims - 1];
    int64_t offset = walk_offset(w, r), left = run - r % run; /* rows until the walk turns */
    at[0] = data + offset;
    if (count == LANES && left >= LANES) {
        for (int l = 1; l < LANES; l++) at[l] = at[0] + l * step;
        return;
    }
    for (int l = 1; l < rows_in_block(b); l++) {
        offset += step;
        if (--left == 0) offset = l < count ? walk_offset(w, r + l) : 0, left = run;
        at[l] = l < count ? data + offset : at[0];
    }
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
        for (int64_t i = 0; i < b->length; i++) {
            __builtin_prefetch(rows[0] + i * stride + AHEAD);
            memcpy(block + i * LANES, rows[0] + i * stride, LANES * sizeof(real));
        }
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
        for (int64_t i = 0; i < b->length; i++) {
            __builtin_prefetch(rows[0] + i * stride + AHEAD, 1);
            memcpy(rows[0] + i * stride, block + i * LANES, LANES * sizeof(real));
        }
    } else {
        for (int64_t i = 0; i < b->length; i++)
            for (int l = 0; l < count; l++) *(real *)(rows[l] + i * stride) = block[i * LANES + l];
    }
}

#endif

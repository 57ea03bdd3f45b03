/* reduce.h: how reductions are cut into units and reduced in vectors: what reduce.c, extremum.c and scan.c share.
 *
 * What is reduced is cut into blocks and parts whose sizes depend on shapes only, and partial results are combined in
 * their order: a sum has the same bits for any number of threads. Within a block every lane of a set of vectors has a
 * running result of its own; sums start afresh every few hundred elements and partial sums of floats are added in
 * double, so the error is like that of pairwise summation. Left out: outputs with strides. Read next: loops.h. */
#ifndef TG_REDUCE_H
#define TG_REDUCE_H

#include <stdlib.h>

#include "loops.h"
#include "vecmath.h"

#define DEEP 16       /* vectors of lanes that are added up before their sum moves on */
#define SPAN 16384    /* elements reduced by lanes alone, in their own type */
#define ROWS 128      /* the same of a column */
#define SHARE 16384   /* elements that make a unit worth sharing */
#define BUFFER 2048   /* elements that are copied together at a time where they lie apart */
#define SHORT_RUN 128 /* below, copying runs together is faster than reducing each */

/* Integers are reduced in 64 bits, floats in their own type, and in double from one span to the next. */
#if TG_FLOATING
typedef real lane;
typedef double wide;
#else
typedef int64_t lane;
typedef int64_t wide;
#endif
#define LANES ((int64_t)(256 / sizeof(lane)))
#define SET (LANES / 4) /* of lanes that fill a vector of AVX-512 */

/* SQUARES: of the distances to a number that the kind takes with it, a centre. The last five are of |x|: its sum, the
 * number of those that are not 0, the extrema, and the sum of its powers to the number that goes with it. */
typedef enum { SUM, MEAN, SQUARES, PROD, AMAX, AMIN, ANY, ALL, SIZES, COUNT, LARGEST, SMALLEST, POWERS } kind;

#if TG_TYPE_IS <= 2
#define LOWEST (-INFINITY)
#define HIGHEST INFINITY
#else
#define LOWEST INT64_MIN
#define HIGHEST INT64_MAX
#endif

static inline lane start_of(kind k) {
    return k == PROD || k == ALL ? 1 : k == AMAX ? (lane)LOWEST : k == AMIN || k == SMALLEST ? (lane)HIGHEST : 0;
}

#define IS_NAN(x) (TG_FLOATING && (x) != (x))

/* a with b taken in. NaN wins, the first of them. A macro, as lanes and wides need the same. No ||: it would be a
 * branch. */
#define TAKE(k, a, b)                                                         \
    ((k) == PROD                      ? (a) * (b)                             \
     : (k) == AMAX || (k) == LARGEST  ? (((b) > (a)) | IS_NAN(b) ? (b) : (a)) \
     : (k) == AMIN || (k) == SMALLEST ? (((b) < (a)) | IS_NAN(b) ? (b) : (a)) \
                                      : (a) + (b))

static inline lane take(kind k, lane a, real x, lane with) {
    if (k == SQUARES) return a + ((lane)x - with) * ((lane)x - with);
    if (k == COUNT) return a + (x != 0);
#if TG_FLOATING
    if (k == POWERS) return a + REAL(pow)(REAL(fabs)(x), with);
    if (k == SIZES || k == LARGEST || k == SMALLEST) return TAKE(k, a, REAL(fabs)(x));
#endif
    if (k == ANY) return x != 0 ? 1 : a;
    if (k == ALL) return x == 0 ? 0 : a;
    return TAKE(k, a, (lane)x);
}

static inline lane join(kind k, lane a, lane b) {
    if (k == ANY) return b != 0 ? 1 : a;
    if (k == ALL) return b == 0 ? 0 : a;
    return TAKE(k, a, b);
}

static inline wide join_wide(kind k, wide a, wide b) {
    if (k == ANY) return b != 0 ? 1 : a;
    if (k == ALL) return b == 0 ? 0 : a;
    return TAKE(k, a, b);
}

/* A loop this short is unrolled before it could become vectors, unless it says so. */
#define EACH_OF(n) _Pragma("omp simd") for (int l = 0; l < (n); l++)

/* A set of lanes as one, in halves. An array for each half, or a load waits until the stores that it spans are done. */
static ALWAYS_INLINE lane joined(kind k, const lane *set) {
    lane by_8[8], by_4[4], by_2[2];
    EACH_OF(8) by_8[l] = SET == 16 ? join(k, set[l], set[(l + 8) % SET]) : set[l];
    EACH_OF(4) by_4[l] = join(k, by_8[l], by_8[l + 4]);
    EACH_OF(2) by_2[l] = join(k, by_4[l], by_4[l + 2]);
    return join(k, by_2[0], by_2[1]);
}

/* n neighbouring elements: by all lanes, and what is left, which of a short row is everything, by one set of them. */
static ALWAYS_INLINE lane reduce_span(kind k, const real *x, int64_t n, lane with) {
    lane sum[LANES], part[LANES], set[SET];
    for (int64_t l = 0; l < SET; l++) set[l] = start_of(k);
    if (n >= LANES) {
        for (int64_t l = 0; l < LANES; l++) sum[l] = start_of(k);
        while (n >= LANES) {
            for (int64_t l = 0; l < LANES; l++) part[l] = start_of(k);
            for (int64_t i = 0; i < DEEP && n >= LANES; i++, x += LANES, n -= LANES)
                for (int64_t l = 0; l < LANES; l++) part[l] = take(k, part[l], x[l], with);
            for (int64_t l = 0; l < LANES; l++) sum[l] = join(k, sum[l], part[l]);
        }
        EACH_OF(2 * SET) sum[l] = join(k, sum[l], sum[l + 2 * SET]);
        EACH_OF(SET) set[l] = join(k, sum[l], sum[l + SET]);
    }
    for (; n >= SET; x += SET, n -= SET) EACH_OF(SET) set[l] = take(k, set[l], x[l], with);
    if (n > 0) {
        real rest[SET]; /* and elements that change nothing */
        const real filler = k == SUM || k == MEAN || k == SIZES || k == COUNT ? 0
                            : k == PROD                                       ? 1
                            : k == SQUARES                                    ? (real)with
                            : k == POWERS                                     ? (real)(with < 0 ? HIGHEST : 0)
                                                                              : x[0];
        EACH_OF(SET) rest[l] = l < n ? x[l] : filler;
        EACH_OF(SET) set[l] = take(k, set[l], rest[l], with);
    }
    return joined(k, set);
}

/* The columns of a matrix of rows x width, a stride of bytes from row to row: one result a lane. */
static ALWAYS_INLINE void reduce_columns(kind k, const char *x, int64_t stride, int64_t rows, int64_t width,
                                         const lane *with, lane *out) {
    lane a[LANES];
    for (int64_t l = 0; l < LANES; l++) a[l] = start_of(k);
    if (width == LANES)
        for (int64_t i = 0; i < rows; i++, x += stride)
            for (int64_t l = 0; l < LANES; l++) a[l] = take(k, a[l], ((const real *)x)[l], with[l]);
    else
        for (int64_t i = 0; i < rows; i++, x += stride)
            for (int64_t l = 0; l < width; l++) a[l] = take(k, a[l], ((const real *)x)[l], with[l]);
    memcpy(out, a, sizeof a);
}

/* ---- the plan ---- */

/* What prepare leaves for run in node->plan. A block is one output, or as many neighbouring columns as there are lanes;
 * each is reduced in `parts` parts. A unit is `group` blocks of one part. */
typedef struct {
    walk kept, reduced;
    int64_t outputs, count;        /* elements of the output, elements reduced to each */
    int64_t columns, strips;       /* columns in a row of outputs (0: block is one output), strips of lanes in it */
    int64_t blocks, group, groups; /* groups of blocks */
    int64_t part, parts;
    int64_t direct; /* reduced elements are neighbours, in long runs */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* `ordered`: the order in which elements are reduced is that of their indices; else it is that of memory. */
static inline int plan_reduction(tg_node *node, int ordered) {
    plan *p = (plan *)node->plan;
    const tg_array *out = &node->args[0], *in = &node->args[1];
    const int64_t size = sizeof(real);
    if (!is_contiguous(out) || out->ndim != in->ndim) return 1;
    int reduced[TG_DIMS], kept[TG_DIMS], n_reduced = 0, n_kept = 0;
    for (int d = 0; d < in->ndim; d++)
        if (out->shape[d] != in->shape[d])
            reduced[n_reduced++] = d;
        else
            kept[n_kept++] = d;
    if (!ordered) /* by insertion: the largest strides outside */
        for (int i = 1; i < n_reduced; i++)
            for (int j = i; j > 0 && llabs(in->stride[reduced[j]]) > llabs(in->stride[reduced[j - 1]]); j--) {
                int other = reduced[j];
                reduced[j] = reduced[j - 1], reduced[j - 1] = other;
            }
    walk_dims(&p->kept, in, kept, n_kept);
    walk_dims(&p->reduced, in, reduced, n_reduced);
    p->outputs = count_of(out);
    p->count = walk_count(&p->reduced);
    int64_t last = p->kept.dims - 1, inner = p->reduced.dims - 1;
    int rows = p->reduced.stride[inner] == size;
    p->direct = rows && p->reduced.shape[inner] >= TG_MIN(SHORT_RUN, p->count);
    int columns = !ordered && !rows && p->kept.stride[last] == size && p->kept.shape[last] > 1;
    p->columns = columns ? p->kept.shape[last] : 0;
    p->strips = divide_up(p->columns, LANES);
    p->blocks = columns ? p->outputs / p->columns * p->strips : p->outputs;

    int64_t total = p->outputs * p->count, each = p->blocks ? divide_up(total, p->blocks) : 0;
    p->parts = 1, p->part = p->count;
    if (total > 2 * SHARE && p->blocks < 16 && each > 2 * SHARE) {
        int64_t unit = columns ? ROWS : BUFFER;
        p->part = divide_up(divide_up(p->count, TG_MIN(each / SHARE, 64)), unit) * unit;
        p->parts = divide_up(p->count, p->part);
    }
    p->group = total <= 2 * SHARE ? p->blocks : TG_MAX(1, SHARE / TG_MAX(1, each));
    p->groups = p->blocks ? divide_up(p->blocks, p->group) : 0;
    node->phases = p->parts > 1 ? 2 : 1;
    node->units[0] = p->groups * p->parts;
    node->units[1] = p->parts > 1 ? divide_up(p->outputs, SHARE / 8) : 0;
    node->aux_bytes = p->parts > 1 ? p->parts * p->outputs * (int64_t)sizeof(wide) : 0;
    node->own_bytes = p->direct || columns ? 0 : BUFFER * size;
    return 0;
}

#endif

/* pool.h: windows over planes, for pooling: what a kernel knows of its node, and how it walks rows of windows.
 *
 * Arrays are contiguous (N, C, H, W), a plane H x W; a unit is some planes. Left out on purpose: planes shared by
 * threads, other memory layouts. Read next: max_pool.c, avg_pool.c. */
#ifndef TG_POOL_H
#define TG_POOL_H

#include "loops.h"

enum { UNIT_BYTES = 1 << 16 };

/* What prepare leaves for run. Planes of the larger array are h x w, of the smaller one p x q. */
typedef struct {
    int64_t planes, each; /* in all, in a unit */
    int64_t h, w, p, q;
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    int64_t whole;    /* the windows are 2 x 2, side by side, and all inside the plane */
    int64_t frame[2]; /* the size of what holds the plane and all windows, some of which reach over its ends */
    int64_t padded;   /* means count the padding */
    int64_t divisor;  /* of sums; 0: how many elements there are */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* The planes of a node, of which argument `large` has the larger ones. */
static int planes_prepare(tg_node *node, int large, int small) {
    plan *g = (plan *)node->plan;
    const tg_array *x = &node->args[large], *y = &node->args[small];
    for (int a = 0; a < node->n_args; a++)
        if (node->args[a].ndim != 4 || !is_contiguous(&node->args[a])) return 1;
    g->planes = x->shape[0] * x->shape[1];
    g->h = x->shape[2], g->w = x->shape[3], g->p = y->shape[2], g->q = y->shape[3];
    if (count_of(&node->args[0]) == 0) return 0;
    g->each = TG_MAX(UNIT_BYTES / TG_MAX((g->h * g->w + g->p * g->q) * (int64_t)sizeof(real), 1), 1);
    node->phases = 1;
    node->units[0] = divide_up(g->planes, g->each);
    return 0;
}

/* kernel, stride, padding and, where `dilated`, dilation from ints[first] on. */
static void read_window(tg_node *node, int first, int dilated) {
    plan *g = (plan *)node->plan;
    const int64_t *ints = node->ints + first, sizes[2] = {g->h, g->w}, windows[2] = {g->p, g->q};
    g->whole = 1;
    for (int d = 0; d < 2; d++) {
        g->kernel[d] = ints[d], g->stride[d] = ints[2 + d], g->padding[d] = ints[4 + d];
        g->dilation[d] = dilated ? ints[6 + d] : 1;
        int64_t last = (windows[d] - 1) * g->stride[d] + (g->kernel[d] - 1) * g->dilation[d] + 1;
        g->frame[d] = TG_MAX(last, g->padding[d] + sizes[d]);
        g->whole = g->whole && g->kernel[d] == 2 && g->stride[d] == 2 && g->dilation[d] == 1;
        g->whole = g->whole && g->frame[d] == sizes[d];
    }
}

#if defined(__AVX512F__)
#define WIDE (64 / (int)sizeof(real))
#elif defined(__AVX__)
#define WIDE (32 / (int)sizeof(real))
#else
#define WIDE (16 / (int)sizeof(real))
#endif
typedef real vec __attribute__((vector_size(WIDE * sizeof(real)), aligned(sizeof(real)), may_alias));

/* Do `step(j, count)` for blocks of a vector, a half or a quarter of one that cover 0 to n - 1; the last one goes over
 * what is done already rather than past the end, and a row of 14 is two blocks of 8. So loops have a constant length
 * and no remainder. */
#define BLOCKS_OF(count, n, step)                   \
    for (int64_t j_ = 0; j_ < (n); j_ += (count)) { \
        int64_t j = TG_MIN(j_, (n) - (count));      \
        step(j, count);                             \
    }
#define BLOCKS(n, step)                  \
    do {                                 \
        if ((n) >= WIDE)                 \
            BLOCKS_OF(WIDE, n, step)     \
        else if ((n) >= WIDE / 2)        \
            BLOCKS_OF(WIDE / 2, n, step) \
        else if ((n) >= WIDE / 4)        \
            BLOCKS_OF(WIDE / 4, n, step) \
        else                             \
            BLOCKS_OF(1, n, step)        \
    } while (0)

/* to[i] = from[i]: rows are short, and many. */
static inline void copy_row(real *to, const real *from, int64_t n) {
#define STEP(j, count) memcpy(to + (j), from + (j), (count) * sizeof(real))
    BLOCKS(n, STEP);
#undef STEP
}

/* Where a kernel reads a plane's windows. A sheet is a frame whose columns 0, stride, 2 stride, ... come first, then 1,
 * 1 + stride, ...: so the elements that neighbouring windows have at the same place lie side by side, whatever the
 * stride. Rows of windows are computed in whole vectors, a little past their ends, and copied from there: a row of 14
 * is one vector, not two halves. */
typedef struct {
    int64_t width;   /* of its rows */
    int64_t columns; /* of each of the `stride` parts of a row */
    int64_t *taps;   /* where in a row column s of the kernel is, for window 0 */
    real *memory;
} sheet;

/* Windows computed for a row. */
static inline int64_t in_row(const plan *g) { return divide_up(g->q, WIDE) * WIDE; }

static inline int64_t sheet_size(const plan *g) {
    return divide_up(g->frame[0] * divide_up(g->frame[1], g->stride[1]) * g->stride[1] + WIDE, WIDE) * WIDE;
}

static int64_t sheet_bytes(const plan *g) {
    return g->kernel[1] * (int64_t)sizeof(int64_t) + sheet_size(g) * (int64_t)sizeof(real);
}

/* Where column `column` of the frame begins a part of a sheet's row. */
static inline int64_t place_in_row(const plan *g, const sheet *s, int64_t column) {
    return column % g->stride[1] * s->columns + column / g->stride[1];
}

static sheet sheet_of(const plan *g, char *own, real fill) {
    sheet s = {.taps = (int64_t *)own, .columns = divide_up(g->frame[1], g->stride[1])};
    s.memory = (real *)(s.taps + g->kernel[1]), s.width = s.columns * g->stride[1];
    for (int64_t i = 0; i < sheet_size(g); i++) s.memory[i] = fill;
    for (int64_t k = 0; k < g->kernel[1]; k++) {
        int64_t column = k * g->dilation[1];
        s.taps[k] = place_in_row(g, &s, column);
    }
    return s;
}

static ALWAYS_INLINE void take_pairs(const real *x, real *restrict first, real *restrict second, int n) {
    _Pragma("omp simd") for (int l = 0; l < n; l++) first[l] = x[2 * l], second[l] = x[2 * l + 1];
}

static const real *on_sheet(const plan *g, const sheet *s, const real *x) {
    const int64_t step = g->stride[1], w = g->w, left = g->padding[1];
    const int64_t first = place_in_row(g, s, left), second = place_in_row(g, s, left + 1);
    real *to = s->memory + g->padding[0] * s->width;
    for (int64_t row = 0; row < g->h; row++, x += w, to += s->width) {
        if (step == 1) {
            copy_row(to + left, x, w);
        } else if (step == 2) {
#define STEP(j, n) take_pairs(x + 2 * (j), to + first + (j), to + second + (j), n)
            BLOCKS(w / 2, STEP);
#undef STEP
            if (w % 2) to[first + w / 2] = x[w - 1];
        } else {
            for (int64_t k = 0; k < TG_MIN(step, w); k++) {
                real *part = to + place_in_row(g, s, left + k);
                for (int64_t i = 0; k + i * step < w; i++) part[i] = x[k + i * step];
            }
        }
    }
    return s->memory;
}

#define EACH_PLANE(g, lo, hi) \
    for (int64_t plane = (lo) * (g)->each; plane < TG_MIN((hi) * (g)->each, (g)->planes); plane++)

static inline real *plane_of(const tg_node *node, int arg, int64_t plane, int64_t size) {
    return (real *)node->args[arg].data + plane * size;
}

/* Window i of n along a dimension of size `size`, for adaptive pooling. */
static inline int64_t window_begin(int64_t i, int64_t n, int64_t size) { return i * size / n; }
static inline int64_t window_end(int64_t i, int64_t n, int64_t size) { return divide_up((i + 1) * size, n); }

#endif

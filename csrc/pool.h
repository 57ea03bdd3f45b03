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
    int64_t framed;   /* some windows reach over the ends, so a plane is copied into a frame that holds them all */
    int64_t frame[2]; /* its size, the plane's own where it is not framed */
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
    g->whole = 1, g->framed = 0;
    for (int d = 0; d < 2; d++) {
        g->kernel[d] = ints[d], g->stride[d] = ints[2 + d], g->padding[d] = ints[4 + d];
        g->dilation[d] = dilated ? ints[6 + d] : 1;
        int64_t last = (windows[d] - 1) * g->stride[d] + (g->kernel[d] - 1) * g->dilation[d] + 1;
        g->frame[d] = TG_MAX(last, g->padding[d] + sizes[d]);
        g->framed = g->framed || g->frame[d] > sizes[d];
        g->whole = g->whole && g->kernel[d] == 2 && g->stride[d] == 2 && g->dilation[d] == 1;
    }
    g->whole = g->whole && !g->framed;
}

static inline int64_t frame_bytes(const plan *g) {
    return g->framed ? g->frame[0] * g->frame[1] * (int64_t)sizeof(real) : 0;
}

static inline real *row_in_frame(const plan *g, real *frame, int64_t row) {
    return frame + (g->padding[0] + row) * g->frame[1] + g->padding[1];
}

/* Where a kernel reads a plane's windows. A sheet is a frame whose columns 0, stride, 2 stride, ... come first, then 1,
 * 1 + stride, ...: so the elements that neighbouring windows have at the same place lie side by side, whatever the
 * stride. Without overlap of the ends and with a stride of 1 it is the plane itself. */
typedef struct {
    int64_t width;   /* of its rows */
    int64_t columns; /* of each of the `stride` parts of a row */
    int64_t *taps;   /* where in a row column s of the kernel is, for window 0 */
    real *memory;    /* NULL: the plane itself */
} sheet;

static int64_t sheet_bytes(const plan *g) {
    int64_t columns = divide_up(g->frame[1], g->stride[1]), needed = g->framed || g->stride[1] > 1;
    int64_t reals = needed ? g->frame[0] * columns * g->stride[1] : 0;
    return g->kernel[1] * (int64_t)sizeof(int64_t) + divide_up(reals * (int64_t)sizeof(real), 8) * 8;
}

static sheet sheet_of(const plan *g, char *own, real fill) {
    sheet s = {.taps = (int64_t *)own, .columns = divide_up(g->frame[1], g->stride[1]), .width = g->w};
    if (g->framed || g->stride[1] > 1) {
        s.memory = (real *)(s.taps + g->kernel[1]), s.width = s.columns * g->stride[1];
        for (int64_t i = 0; i < g->frame[0] * s.width; i++) s.memory[i] = fill;
    }
    for (int64_t k = 0; k < g->kernel[1]; k++) {
        int64_t column = k * g->dilation[1];
        s.taps[k] = column % g->stride[1] * s.columns + column / g->stride[1];
    }
    return s;
}

/* to[i] = from[i * step] */
static ALWAYS_INLINE void take_every(const real *from, int64_t step, int64_t n, real *restrict to) {
    for (int64_t i = 0; i < n; i++) to[i] = from[i * step];
}

static const real *on_sheet(const plan *g, const sheet *s, const real *x) {
    if (!s->memory) return x;
    const int64_t step = g->stride[1];
    for (int64_t row = 0; row < g->h; row++, x += g->w) {
        real *to = s->memory + (g->padding[0] + row) * s->width;
        for (int64_t k = 0; k < TG_MIN(step, g->w); k++) {
            int64_t column = g->padding[1] + k, n = divide_up(g->w - k, step);
            real *part = to + column % step * s->columns + column / step;
            if (step == 1)
                take_every(x + k, 1, n, part);
            else if (step == 2)
                take_every(x + k, 2, n, part);
            else
                take_every(x + k, step, n, part);
        }
    }
    return s->memory;
}

#define EACH_PLANE(g, lo, hi) \
    for (int64_t plane = (lo) * (g)->each; plane < TG_MIN((hi) * (g)->each, (g)->planes); plane++)

static inline real *plane_of(const tg_node *node, int arg, int64_t plane, int64_t size) {
    return (real *)node->args[arg].data + plane * size;
}

#if defined(__AVX512F__)
#define WIDE (64 / (int)sizeof(real))
#elif defined(__AVX__)
#define WIDE (32 / (int)sizeof(real))
#else
#define WIDE (16 / (int)sizeof(real))
#endif

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

/* Window i of n along a dimension of size `size`, for adaptive pooling. */
static inline int64_t window_begin(int64_t i, int64_t n, int64_t size) { return i * size / n; }
static inline int64_t window_end(int64_t i, int64_t n, int64_t size) { return divide_up((i + 1) * size, n); }

#endif

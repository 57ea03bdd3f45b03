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
    int64_t whole;   /* the windows are 2 x 2, side by side, and all inside the plane */
    int64_t padded;  /* means count the padding */
    int64_t divisor; /* of sums; 0: how many elements there are */
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
    const int64_t *ints = node->ints + first;
    int inside = 1, two = 1;
    for (int d = 0; d < 2; d++) {
        g->kernel[d] = ints[d], g->stride[d] = ints[2 + d], g->padding[d] = ints[4 + d];
        g->dilation[d] = dilated ? ints[6 + d] : 1;
        two = two && g->kernel[d] == 2 && g->stride[d] == 2 && g->padding[d] == 0 && g->dilation[d] == 1;
        inside = inside && 2 * (d ? g->q : g->p) <= (d ? g->w : g->h);
    }
    g->whole = two && inside;
}

#define EACH_PLANE(g, lo, hi) \
    for (int64_t plane = (lo) * (g)->each; plane < TG_MIN((hi) * (g)->each, (g)->planes); plane++)

static inline real *plane_of(const tg_node *node, int arg, int64_t plane, int64_t size) {
    return (real *)node->args[arg].data + plane * size;
}

/* Do `step(j, count)` for blocks of 16, 8 or 4 that cover 0 to n - 1; the last one goes over what is done already
 * rather than past the end, and a row of 14 is two blocks of 8. So loops have a constant length and no remainder. */
#define BLOCKS_OF(count, n, step)                   \
    for (int64_t j_ = 0; j_ < (n); j_ += (count)) { \
        int64_t j = TG_MIN(j_, (n) - (count));      \
        step(j, count);                             \
    }
#define BLOCKS(n, step)            \
    do {                           \
        if ((n) >= 16)             \
            BLOCKS_OF(16, n, step) \
        else if ((n) >= 8)         \
            BLOCKS_OF(8, n, step)  \
        else if ((n) >= 4)         \
            BLOCKS_OF(4, n, step)  \
        else                       \
            BLOCKS_OF(1, n, step)  \
    } while (0)

/* Window i of n along a dimension of size `size`, for adaptive pooling. */
static inline int64_t window_begin(int64_t i, int64_t n, int64_t size) { return i * size / n; }
static inline int64_t window_end(int64_t i, int64_t n, int64_t size) { return divide_up((i + 1) * size, n); }

#endif

/* fold.c: windows of pictures as columns, and columns added up into pictures; each is the other's gradient.
 *
 * Element (r, s) of window (p, q) is the picture's at row p stride + r dilation - padding, and column likewise, or 0
 * outside. A picture of one channel meets its own columns only, so every unit is some such planes, and the sums of fold
 * are made in one order. ints: [H W of the result, for fold], then kernel, stride, padding, dilation, two of each.
 * Left out on purpose: strided inputs, which Python copies first. Read next: tinygrad_edu/ops/fold.py. */
#include "loops.h"

#define PIECE 16384 /* elements of columns in a unit, at least */

enum { ROWS, COLS };

/* What prepare leaves for run: sizes of picture, kernel and grid of windows, by rows and by columns. */
typedef struct {
    int64_t picture[2], kernel[2], stride[2], padding[2], dilation[2], grid[2];
    int64_t planes, each; /* in all, in a unit */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

static int fold_plan(tg_node *node, const tg_array *pictures, const int64_t *ints) {
    plan *p = (plan *)node->plan;
    for (int i = 0; i < node->n_args; i++)
        if (!is_contiguous(&node->args[i])) return 1;
    for (int d = ROWS; d <= COLS; d++) {
        p->picture[d] = pictures->shape[2 + d];
        p->kernel[d] = ints[d], p->stride[d] = ints[2 + d], p->padding[d] = ints[4 + d], p->dilation[d] = ints[6 + d];
        int64_t span = p->dilation[d] * (p->kernel[d] - 1) + 1;
        p->grid[d] = (p->picture[d] + 2 * p->padding[d] - span) / p->stride[d] + 1;
    }
    int64_t columns = p->kernel[ROWS] * p->kernel[COLS] * p->grid[ROWS] * p->grid[COLS];
    p->planes = pictures->shape[0] * pictures->shape[1];
    p->each = divide_up(PIECE, columns);
    node->phases = 1;
    node->units[0] = divide_up(p->planes, p->each);
    return 0;
}

/* The windows whose element k, in direction d, lies inside the picture: first .. past - 1. Returns where that element
 * of window 0 lies. */
static inline int64_t inside(const plan *p, int d, int64_t k, int64_t *first, int64_t *past) {
    int64_t start = k * p->dilation[d] - p->padding[d];
    *first = TG_MIN(start < 0 ? divide_up(-start, p->stride[d]) : 0, p->grid[d]);
    *past = start < p->picture[d] ? TG_MIN((p->picture[d] - 1 - start) / p->stride[d] + 1, p->grid[d]) : 0;
    *past = TG_MAX(*past, *first);
    return start;
}

/* One plane: `column` (R, S, P, Q) is read from `x` (H, W). */
static void unfold_plane(const plan *p, real *column, const real *x) {
    const int64_t w = p->picture[COLS], rows = p->grid[ROWS], length = p->grid[COLS], by = p->stride[COLS];
    for (int64_t r = 0; r < p->kernel[ROWS]; r++) {
        int64_t top, bottom, row = inside(p, ROWS, r, &top, &bottom);
        for (int64_t s = 0; s < p->kernel[COLS]; s++, column += rows * length) {
            int64_t left, right, col = inside(p, COLS, s, &left, &right);
            memset(column, 0, (size_t)(top * length) * sizeof(real));
            for (int64_t i = top; i < bottom; i++) {
                real *to = column + i * length;
                const real *from = x + (row + i * p->stride[ROWS]) * w + col;
                for (int64_t j = 0; j < left; j++) to[j] = 0;
                if (by == 1)
                    memcpy(to + left, from + left, (size_t)(right - left) * sizeof(real));
                else
                    for (int64_t j = left; j < right; j++) to[j] = from[j * by];
                for (int64_t j = right; j < length; j++) to[j] = 0;
            }
            memset(column + bottom * length, 0, (size_t)((rows - bottom) * length) * sizeof(real));
        }
    }
}

/* One plane: x (H, W) is the sum of what `column` (R, S, P, Q) has for each of its elements. */
static void fold_plane(const plan *p, real *x, const real *column) {
    const int64_t w = p->picture[COLS], rows = p->grid[ROWS], length = p->grid[COLS], by = p->stride[COLS];
    memset(x, 0, (size_t)(p->picture[ROWS] * w) * sizeof(real));
    for (int64_t r = 0; r < p->kernel[ROWS]; r++) {
        int64_t top, bottom, row = inside(p, ROWS, r, &top, &bottom);
        for (int64_t s = 0; s < p->kernel[COLS]; s++, column += rows * length) {
            int64_t left, right, col = inside(p, COLS, s, &left, &right);
            for (int64_t i = top; i < bottom; i++) {
                const real *from = column + i * length;
                real *to = x + (row + i * p->stride[ROWS]) * w + col;
                if (by == 1)
                    for (int64_t j = left; j < right; j++) to[j] += from[j];
                else
                    for (int64_t j = left; j < right; j++) to[j * by] += from[j];
            }
        }
    }
}

/* args: columns (N, C R S, P Q), pictures (N, C, H, W) */
static int unfold_prepare(tg_node *node) { return fold_plan(node, &node->args[1], node->ints); }

static void unfold_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const plan *p = (const plan *)node->plan;
    const int64_t area = p->picture[ROWS] * p->picture[COLS];
    const int64_t columns = p->kernel[ROWS] * p->kernel[COLS] * p->grid[ROWS] * p->grid[COLS];
    (void)phase, (void)own;
    for (int64_t i = lo * p->each; i < TG_MIN(hi * p->each, p->planes); i++)
        unfold_plane(p, (real *)node->args[0].data + i * columns, (const real *)node->args[1].data + i * area);
}

/* args: pictures (N, C, H, W), columns (N, C R S, P Q) */
static int fold_prepare(tg_node *node) { return fold_plan(node, &node->args[0], node->ints + 2); }

static void fold_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const plan *p = (const plan *)node->plan;
    const int64_t area = p->picture[ROWS] * p->picture[COLS];
    const int64_t columns = p->kernel[ROWS] * p->kernel[COLS] * p->grid[ROWS] * p->grid[COLS];
    (void)phase, (void)own;
    for (int64_t i = lo * p->each; i < TG_MIN(hi * p->each, p->planes); i++)
        fold_plane(p, (real *)node->args[0].data + i * area, (const real *)node->args[1].data + i * columns);
}

TG_TABLE(fold) = {
    {"unfold", unfold_prepare, unfold_run},
    {"fold", fold_prepare, fold_run},
    {0},
};

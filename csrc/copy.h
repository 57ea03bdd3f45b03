/* copy.h: a copy between two layouts of one shape, cut into units.
 *
 * A matrix that is read along its columns is copied tile by tile, four by four elements in registers; everything else
 * in rows. Left out: conversion (move.c). Read next: move.c, and elementwise.c, which turns operands that lie across.
 */
#ifndef TG_COPY_H
#define TG_COPY_H

#include "loops.h"

#define PIECE 16384 /* elements in a unit of what costs as much as memory */
#define TILE 32     /* rows and columns of a tile: 4 KB of floats on either side */

/* Array 0 is where elements go to, array 1 where they come from; offsets
 * are in bytes from the arrays' first elements. */
typedef struct {
    loops l;
    int64_t total, to_offset, from_offset;
    int64_t across; /* the dimension along which the source is contiguous, -1 where rows are copied */
    int64_t strips; /* of TILE indices in that dimension */
    int64_t group;  /* strips in a unit */
} copy_plan;
_Static_assert(sizeof(copy_plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* Plan to copy all of `from`, broadcast, to `to`; return the number of units. */
static inline int64_t plan_copy(copy_plan *p, const tg_array *to, const tg_array *from, int may_tile) {
    const tg_array arrays[2] = {*to, *from};
    int64_t size = item_size(to);
    collapse(&p->l, to, arrays, 2);
    p->total = count_of(to);
    p->across = -1;
    int64_t last = p->l.dims - 1, n = p->l.shape[last];
    if (!may_tile || p->l.stride[0][last] != size || p->l.stride[1][last] == size || p->l.stride[1][last] == 0 ||
        n < 4 || p->total == 0)
        return divide_up(p->total, PIECE);
    for (int64_t d = 0; d < last; d++)
        if (p->l.stride[1][d] == size && p->l.shape[d] >= 4) p->across = d;
    if (p->across < 0) return divide_up(p->total, PIECE);
    p->strips = divide_up(p->l.shape[p->across], TILE);
    int64_t all = p->total / (p->l.shape[p->across] * n) * p->strips;
    p->group = TG_MAX(1, PIECE / (TILE * n));
    return divide_up(all, p->group);
}

/* ---- rows ---- */

/* Elements lo .. hi - 1 in logical order, of one type. */
static inline void copy_range(const loops *l, char *to, const char *from, int64_t lo, int64_t hi, int64_t size) {
    int64_t at[TG_DIMS], last = l->dims - 1;
    if (lo >= hi) return; /* a dimension may have size 0 */
    index_at(l->dims, l->shape, lo, at);
    for (int64_t d = 0; d <= last; d++) to += at[d] * l->stride[0][d], from += at[d] * l->stride[1][d];
    for (int64_t n; lo < hi; lo += n) {
        n = TG_MIN(hi - lo, l->shape[last] - at[last]);
        move_row(to, l->stride[0][last], from, l->stride[1][last], n, size);
        to -= at[last] * l->stride[0][last], from -= at[last] * l->stride[1][last];
        at[last] = 0;
        for (int64_t d = last - 1; d >= 0; d--) {
            to += l->stride[0][d], from += l->stride[1][d];
            if (++at[d] < l->shape[d]) break;
            to -= l->shape[d] * l->stride[0][d], from -= l->shape[d] * l->stride[1][d];
            at[d] = 0;
        }
    }
}

/* ---- tiles: to[i][j] = from[j][i], both with a stride of bytes ---- */

#define QUAD 4
typedef real quad __attribute__((vector_size(QUAD * sizeof(real))));

/* Four by four in registers: half the work of moving them one by one. */
static inline void copy_quads(char *to, int64_t to_stride, const char *from, int64_t from_stride) {
    quad a, b, c, d;
    memcpy(&a, from, sizeof a), memcpy(&b, from + from_stride, sizeof b);
    memcpy(&c, from + 2 * from_stride, sizeof c), memcpy(&d, from + 3 * from_stride, sizeof d);
    quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    quad AB = __builtin_shufflevector(a, b, 2, 6, 3, 7), CD = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    a = __builtin_shufflevector(ab, cd, 0, 1, 4, 5), b = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    c = __builtin_shufflevector(AB, CD, 0, 1, 4, 5), d = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
    memcpy(to, &a, sizeof a), memcpy(to + to_stride, &b, sizeof b);
    memcpy(to + 2 * to_stride, &c, sizeof c), memcpy(to + 3 * to_stride, &d, sizeof d);
}

static inline void copy_tile(char *to, int64_t to_stride, const char *from, int64_t from_stride, int64_t m, int64_t n) {
    const int64_t size = sizeof(real), m4 = m / QUAD * QUAD, n4 = n / QUAD * QUAD;
    for (int64_t i = 0; i < m4; i += QUAD)
        for (int64_t j = 0; j < n4; j += QUAD)
            copy_quads(to + i * to_stride + j * size, to_stride, from + j * from_stride + i * size, from_stride);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = i < m4 ? n4 : 0; j < n; j++)
            ((real *)(to + i * to_stride))[j] = ((const real *)(from + j * from_stride))[i];
}

static inline void copy_strip(const copy_plan *p, char *to, const char *from, int64_t strip) {
    const loops *l = &p->l;
    int64_t last = l->dims - 1, across = p->across, n = l->shape[last], rest = strip / p->strips;
    int64_t i = strip % p->strips * TILE, m = TG_MIN(TILE, l->shape[across] - i);
    for (int64_t d = last - 1; d >= 0; d--) {
        if (d == across) continue;
        to += rest % l->shape[d] * l->stride[0][d], from += rest % l->shape[d] * l->stride[1][d];
        rest /= l->shape[d];
    }
    int64_t to_stride = l->stride[0][across], from_stride = l->stride[1][last];
    to += i * to_stride, from += i * (int64_t)sizeof(real);
    for (int64_t j = 0; j < n; j += TILE)
        copy_tile(to + j * (int64_t)sizeof(real), to_stride, from + j * from_stride, from_stride, m,
                  TG_MIN(TILE, n - j));
}

static inline void run_copy(const copy_plan *p, char *to, const char *from, int64_t lo, int64_t hi) {
    to += p->to_offset, from += p->from_offset;
    if (p->across < 0) {
        copy_range(&p->l, to, from, lo * PIECE, TG_MIN(hi * PIECE, p->total), sizeof(real));
        return;
    }
    int64_t all = p->total / (p->l.shape[p->across] * p->l.shape[p->l.dims - 1]) * p->strips;
    for (int64_t strip = lo * p->group; strip < TG_MIN(hi * p->group, all); strip++) copy_strip(p, to, from, strip);
}

#endif

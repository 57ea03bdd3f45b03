/* winograd_tiles.h: the small transforms of Winograd's convolution, and pictures read and written for them.
 *
 * Interpolation points 0, +-5/8, +-3/2 and infinity: the textbook's 0, +-1, +-2 lose a factor of six in accuracy
 * (128 channels, error over rms 5.3e-5 against 0.8e-5; 0, +-sqrt(1/2), +-sqrt(2) are as good as ours, which are exact
 * in binary). Formulas: Lavin and Gray, arXiv 1509.09308, and Blahut, Fast Algorithms for Signal Processing, ch. 5.
 * All works on vectors whose lanes are neighbouring channels. Read next: winograd.h. */
#ifndef TG_WINOGRAD_TILES_H
#define TG_WINOGRAD_TILES_H

#include "gemm.h"

/* Along one dimension a tile yields 4 results from 6 elements at 6 points, or, at the end of a picture that holds one
 * or two more, 2 from 4 at the first 4 points. The weights are the same for both: what depends on the tile's kind is
 * left to the transform of the input. */
enum { WINO_POINTS = 6, WINO_ALL = WINO_POINTS * WINO_POINTS };
#define WINO_a ((real)0.625)
#define WINO_b ((real)1.5)
#define WINO_A (WINO_a * WINO_a)
#define WINO_B (WINO_b * WINO_b)
#define WINO_AT_a (1 / (2 * WINO_A * (WINO_A - WINO_B))) /* 1 over the product of a's distances from 0, -a, b, -b */
#define WINO_AT_b (1 / (2 * WINO_B * (WINO_B - WINO_A)))

typedef __typeof__((gemm_vec){0} <= (gemm_vec){0}) wino_mask; /* integers, as many and as wide */

GEMM_INLINE gemm_vec wino_load(const real *x) { return *(const gemm_loose *)x; }
GEMM_INLINE void wino_store(real *x, gemm_vec v) { *(gemm_loose *)x = v; }

/* ---- along one dimension; points in the order 0, a, -a, infinity, b, -b ---- */

/* e = B^T d, the input's side: n elements to n points. */
GEMM_INLINE void wino_input(int n, const gemm_vec *d, gemm_vec *e) {
    if (n == 4) {
        gemm_vec s = (WINO_A - WINO_B) * d[2], t = ((WINO_A - WINO_B) * WINO_a) * d[1];
        e[0] = (WINO_A * WINO_B) * d[0] - WINO_B * d[2];
        e[1] = s + t, e[2] = s - t;
        e[3] = d[3] - WINO_A * d[1];
        return;
    }
    gemm_vec s = d[4] - WINO_B * d[2], t = WINO_a * d[3] - (WINO_a * WINO_B) * d[1];
    gemm_vec u = d[4] - WINO_A * d[2], v = WINO_b * d[3] - (WINO_b * WINO_A) * d[1];
    e[0] = (WINO_A * WINO_B) * d[0] - (WINO_A + WINO_B) * d[2] + d[4];
    e[1] = s + t, e[2] = s - t;
    e[3] = (WINO_A * WINO_B) * d[1] - (WINO_A + WINO_B) * d[3] + d[5];
    e[4] = u + v, e[5] = u - v;
}

/* e = G w, the weights' side: 3 taps to 6 points. */
GEMM_INLINE void wino_weight(const gemm_vec *w, gemm_vec *e) {
    gemm_vec s = WINO_AT_a * w[0] + (WINO_AT_a * WINO_A) * w[2], t = (WINO_AT_a * WINO_a) * w[1];
    gemm_vec u = WINO_AT_b * w[0] + (WINO_AT_b * WINO_B) * w[2], v = (WINO_AT_b * WINO_b) * w[1];
    e[0] = (1 / (WINO_A * WINO_B)) * w[0];
    e[1] = s + t, e[2] = s - t;
    e[3] = w[2];
    e[4] = u + v, e[5] = u - v;
}

/* y = A^T e: n points to n - 2 results. */
GEMM_INLINE void wino_output(int n, const gemm_vec *e, gemm_vec *y) {
    gemm_vec s = e[1] + e[2], t = e[1] - e[2];
    if (n == 4) {
        y[0] = e[0] + s, y[1] = WINO_a * t + e[3];
        return;
    }
    gemm_vec u = e[4] + e[5], v = e[4] - e[5];
    y[0] = e[0] + s + u;
    y[1] = WINO_a * t + WINO_b * v;
    y[2] = WINO_A * s + WINO_B * u;
    y[3] = (WINO_A * WINO_a) * t + (WINO_B * WINO_b) * v + e[3];
}

/* e = A y, the transpose of wino_output: n - 2 gradients to n points. */
GEMM_INLINE void wino_output_grad(int n, const gemm_vec *y, gemm_vec *e) {
    e[0] = y[0];
    e[3] = y[n - 3];
    if (n == 4) {
        e[1] = y[0] + WINO_a * y[1], e[2] = y[0] - WINO_a * y[1];
        return;
    }
    gemm_vec s = y[0] + WINO_A * y[2], t = WINO_a * y[1] + (WINO_A * WINO_a) * y[3];
    gemm_vec u = y[0] + WINO_B * y[2], v = WINO_b * y[1] + (WINO_B * WINO_b) * y[3];
    e[1] = s + t, e[2] = s - t;
    e[4] = u + v, e[5] = u - v;
}

/* w = G^T e, the transpose of wino_weight: 6 points to the gradients of 3 taps. */
GEMM_INLINE void wino_weight_grad(const gemm_vec *e, gemm_vec *w) {
    gemm_vec s = WINO_AT_a * (e[1] + e[2]), t = WINO_AT_a * (e[1] - e[2]);
    gemm_vec u = WINO_AT_b * (e[4] + e[5]), v = WINO_AT_b * (e[4] - e[5]);
    w[0] = (1 / (WINO_A * WINO_B)) * e[0] + s + u;
    w[1] = WINO_a * t + WINO_b * v;
    w[2] = WINO_A * s + WINO_B * u + e[3];
}

/* ---- planes to vectors and back ---- */

/* Transpose a square of LANES vectors: each stage moves the highest bit of the row number to the lane number. */
GEMM_INLINE void wino_transpose(gemm_vec *v) {
    gemm_vec t[GEMM_LANES];
    GEMM_UNROLL
    for (int stage = 1; stage < GEMM_LANES; stage *= 2) {
        GEMM_UNROLL
        for (int i = 0; i < GEMM_LANES / 2; i++) {
            gemm_vec x = v[i], y = v[i + GEMM_LANES / 2];
#if GEMM_BYTES == 64 && TG_TYPE_IS == 1
            t[2 * i] = __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            t[2 * i + 1] = __builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif GEMM_BYTES / TG_TYPE_IS == 32 /* 8 lanes */
            t[2 * i] = __builtin_shufflevector(x, y, 0, 8, 1, 9, 2, 10, 3, 11);
            t[2 * i + 1] = __builtin_shufflevector(x, y, 4, 12, 5, 13, 6, 14, 7, 15);
#elif GEMM_BYTES / TG_TYPE_IS == 16 /* 4 lanes */
            t[2 * i] = __builtin_shufflevector(x, y, 0, 4, 1, 5);
            t[2 * i + 1] = __builtin_shufflevector(x, y, 2, 6, 3, 7);
#else
            t[2 * i] = __builtin_shufflevector(x, y, 0, 2);
            t[2 * i + 1] = __builtin_shufflevector(x, y, 1, 3);
#endif
        }
        GEMM_UNROLL
        for (int i = 0; i < GEMM_LANES; i++) v[i] = t[i];
    }
}

/* Element q < n of each of `planes` planes, `stride` apart, becomes a vector (the other lanes are 0); that of q goes to
 * row q / width, place q % width of `to`, whose rows hold `pitch` vectors. */
static inline void wino_gather(const real *from, int64_t stride, int64_t planes, int64_t n, real *to, int64_t width,
                               int64_t pitch) {
    for (int64_t i = 0; i < n; i += GEMM_LANES) {
        int64_t at = TG_MIN(i, TG_MAX(n - GEMM_LANES, 0)), count = TG_MIN(n, GEMM_LANES); /* the last ones again */
        gemm_vec v[GEMM_LANES];
        if (count == GEMM_LANES) {
            GEMM_UNROLL
            for (int p = 0; p < GEMM_LANES; p++) v[p] = p < planes ? wino_load(from + p * stride + at) : (gemm_vec){0};
        } else {
            memset(v, 0, sizeof v);
            for (int64_t p = 0; p < TG_MIN(planes, GEMM_LANES); p++)
                memcpy(&v[p], from + p * stride, (size_t)count * sizeof(real));
        }
        wino_transpose(v);
        int64_t x = at % width;
        real *place = to + (at / width * pitch + x) * GEMM_LANES;
        for (int64_t q = 0; q < count; q++, place += GEMM_LANES) {
            wino_store(place, v[q]);
            if (++x == width) x = 0, place += (pitch - width) * GEMM_LANES;
        }
    }
}

/* The way back: n vectors side by side to element q < n of each of `planes` planes. */
static inline void wino_scatter(const real *from, int64_t n, real *to, int64_t stride, int64_t planes) {
    for (int64_t i = 0; i < n; i += GEMM_LANES) {
        int64_t at = TG_MIN(i, TG_MAX(n - GEMM_LANES, 0)), count = TG_MIN(n, GEMM_LANES);
        gemm_vec v[GEMM_LANES];
        if (count == GEMM_LANES) {
            GEMM_UNROLL
            for (int q = 0; q < GEMM_LANES; q++) v[q] = wino_load(from + (at + q) * GEMM_LANES);
        } else {
            memset(v, 0, sizeof v);
            memcpy(v, from, (size_t)(count * GEMM_LANES) * sizeof(real));
        }
        wino_transpose(v);
        if (count == GEMM_LANES && planes >= GEMM_LANES) {
            GEMM_UNROLL
            for (int p = 0; p < GEMM_LANES; p++) wino_store(to + p * stride + at, v[p]);
        } else {
            for (int64_t p = 0; p < TG_MIN(planes, GEMM_LANES); p++)
                memcpy(to + p * stride + at, &v[p], (size_t)count * sizeof(real));
        }
    }
}

/* Rows y0.. and columns x0.. of a picture of h x w, as `rows` x `cols` vectors of LANES planes; 0 outside of it. */
static inline void wino_read(const real *from, int64_t planes, int64_t h, int64_t w, int64_t y0, int64_t x0,
                             int64_t rows, int64_t cols, real *to) {
    int64_t top = TG_MAX(-y0, 0), bottom = TG_MIN(h - y0, rows);
    int64_t left = TG_MAX(-x0, 0), right = TG_MIN(w - x0, cols), n = right - left;
    for (int64_t y = 0; y < rows; y++) {
        real *row = to + y * cols * GEMM_LANES;
        int64_t inside = y >= top && y < bottom;
        memset(row, 0, (size_t)((inside ? left : cols) * GEMM_LANES) * sizeof(real));
        if (inside) memset(row + right * GEMM_LANES, 0, (size_t)((cols - right) * GEMM_LANES) * sizeof(real));
    }
    from += (y0 + top) * w + x0 + left;
    to += (top * cols + left) * GEMM_LANES;
    int64_t run = n == w ? bottom - top : 1; /* rows that lie one behind the other */
    for (int64_t y = top; y < bottom; y += run, from += run * w, to += run * cols * GEMM_LANES)
        wino_gather(from, h * w, planes, run * n, to, n, cols);
}

#endif

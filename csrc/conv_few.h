/* conv_few.h: correlations of a few outputs: depthwise ones, and gradients of pictures of one to three channels.
 *
 * A vector of outputs is a sum of vectors of the stage (conv.h), each times one weight; several are summed side by
 * side, to hide the latency of an addition. The order of additions is that of conv_gemm.h. Left out on purpose: rows
 * shorter than a vector are as dear as whole ones. Read next: conv_gemm.h. */
#ifndef TG_CONV_FEW_H
#define TG_CONV_FEW_H

#include "conv.h"

#define CONV_FEW 3      /* outputs of a group; 4 times 3 vectors, a weight and an input fill AVX2's 16 registers */
#define CONV_FEW_VECS 8 /* vectors at a time of one output; of more, half as many */

/* c[i * crs + v * LANES] = (or +=, if add) sum over channels and taps of a[i] times the vector that v reads. */
GEMM_INLINE void conv_few_tile(int rows, int vecs, const real *const *from, int64_t channels, int64_t plane,
                               int64_t taps, const int64_t *tap, const real *a, real *c, int64_t crs, int add) {
    gemm_vec sum[CONV_FEW][CONV_FEW_VECS];
    const real *f[CONV_FEW_VECS];
    GEMM_UNROLL
    for (int v = 0; v < vecs; v++) f[v] = from[v];
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        GEMM_UNROLL
        for (int v = 0; v < vecs; v++)
            sum[i][v] = add ? (gemm_vec) * (const gemm_loose *)(c + i * crs + v * GEMM_LANES) : (gemm_vec){0};
    }
    for (int64_t p = 0, at = 0; p < channels; p++, at += plane)
        for (int64_t t = 0; t < taps; t++, a += rows) {
            int64_t place = at + tap[t];
            GEMM_UNROLL
            for (int v = 0; v < vecs; v++) {
                gemm_vec x = *(const gemm_loose *)(f[v] + place);
                GEMM_UNROLL
                for (int i = 0; i < rows; i++) sum[i][v] += a[i] * x;
            }
        }
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        GEMM_UNROLL
        for (int v = 0; v < vecs; v++) *(gemm_loose *)(c + i * crs + v * GEMM_LANES) = sum[i][v];
    }
}

/* Outputs c[m][images, rows, UP(cols, LANES)], whose channels lie crs apart; a is the panel of weights [k][m]. */
static inline void conv_few(const conv_stage *s, int64_t step, int64_t images, int64_t rows, int64_t cols, int64_t m,
                            int64_t channels, int64_t taps, const int64_t *tap, const real *a, const real *stage,
                            real *c, int64_t crs, int add) {
    int64_t across = gemm_pieces(cols, GEMM_LANES), count = images * rows * across;
    int64_t wide = m == 1 ? CONV_FEW_VECS : CONV_FEW_VECS / 2;
    for (int64_t v = 0; v < count; v += wide, c += wide * GEMM_LANES) {
        const real *from[CONV_FEW_VECS];
        int64_t n = TG_MIN(wide, count - v);
        for (int64_t i = 0; i < n; i++) {
            int64_t row = (v + i) / across;
            from[i] = stage + row / rows * s->picture + row % rows * step * s->pitch + (v + i) % across * GEMM_LANES;
        }
        if (n == wide && m == 1)
            conv_few_tile(1, CONV_FEW_VECS, from, channels, s->plane, taps, tap, a, c, crs, add);
        else if (n == wide && m == 2)
            conv_few_tile(2, CONV_FEW_VECS / 2, from, channels, s->plane, taps, tap, a, c, crs, add);
        else if (n == wide)
            conv_few_tile(3, CONV_FEW_VECS / 2, from, channels, s->plane, taps, tap, a, c, crs, add);
        else
            for (int64_t i = 0; i < n; i++) {
                if (m == 1)
                    conv_few_tile(1, 1, from + i, channels, s->plane, taps, tap, a, c + i * GEMM_LANES, crs, add);
                else if (m == 2)
                    conv_few_tile(2, 1, from + i, channels, s->plane, taps, tap, a, c + i * GEMM_LANES, crs, add);
                else
                    conv_few_tile(3, 1, from + i, channels, s->plane, taps, tap, a, c + i * GEMM_LANES, crs, add);
            }
    }
}

#endif

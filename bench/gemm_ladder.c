/* gemm_ladder.c: C[m, n] = A[m, k] B[k, n] six times, from three loops to the library's kernel. Each rung changes one
 * thing and says what it gains; gemm_ladder.py builds this file, checks every rung and prints the table.
 * All matrices are row-major float32. Left out on purpose: edges (m a multiple of 6, n of 2 vectors, k of DEPTH),
 * strides and threads, which are what makes csrc/gemm.h longer than rung 5. Read next: csrc/gemm.h. */
#include <stdlib.h>

#include "gemm.h"

#define LANES GEMM_LANES /* floats in a vector */
#define ROWS 6           /* a tile: 6 rows */
#define COLS (2 * LANES) /* of 2 vectors: 12 sums in registers */
#if defined(__aarch64__)
#define REGISTER(x) "+w"(x)
#elif defined(__AVX512F__)
#define REGISTER(x) "+v"(x)
#else
#define REGISTER(x) "+x"(x)
#endif
#define DEPTH 64 /* the part of k that stays in cache */

/* 1. The definition. Each step of p jumps to the next row of B: one float used of a cache line of 16, and no two
 * neighbours in memory to put in a vector; the sum, one chain of additions, waits four cycles for each. */
void ladder_1(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = 0;
            for (int64_t p = 0; p < k; p++) sum += a[i * k + p] * b[p * n + j];
            c[i * n + j] = sum;
        }
}

/* 2. The same loops in another order. Now B and C are read along their rows, so the compiler uses vectors; but each
 * multiply-add loads and stores its piece of C, and all of B streams past for every row of A. */
void ladder_2(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *restrict c) {
    memset(c, 0, (size_t)(m * n) * sizeof *c);
    for (int64_t i = 0; i < m; i++)
        for (int64_t p = 0; p < k; p++)
            for (int64_t j = 0; j < n; j++) c[i * n + j] += a[i * k + p] * b[p * n + j];
}

/* 3. Cut k into blocks, so that DEPTH rows of B stay in the cache while every row of A passes by. */
void ladder_3(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *restrict c) {
    memset(c, 0, (size_t)(m * n) * sizeof *c);
    for (int64_t p0 = 0; p0 < k; p0 += DEPTH)
        for (int64_t i = 0; i < m; i++)
            for (int64_t p = p0; p < p0 + DEPTH; p++)
                for (int64_t j = 0; j < n; j++) c[i * n + j] += a[i * k + p] * b[p * n + j];
}

/* C[ROWS, COLS] += A B with the sums in registers: a step of p loads 2 vectors of B and 6 floats of A for 12 vector
 * multiply-adds, which is less than the load units can do. ars, brs and crs are the distances between rows. */
static inline void tile(int64_t depth, const float *a, int64_t ars, const float *b, int64_t brs, float *c,
                        int64_t crs) {
    gemm_vec sum[ROWS][2];
    GEMM_UNROLL
    for (int i = 0; i < ROWS; i++) {
        sum[i][0] = *(gemm_loose *)(c + i * crs);
        sum[i][1] = *(gemm_loose *)(c + i * crs + LANES);
    }
    for (int64_t p = 0; p < depth; p++) {
        gemm_vec b0 = *(const gemm_loose *)(b + p * brs), b1 = *(const gemm_loose *)(b + p * brs + LANES);
        GEMM_UNROLL
        for (int i = 0; i < ROWS; i++) {
            sum[i][0] += a[i * ars + p] * b0;
            sum[i][1] += a[i * ars + p] * b1;
        }
    }
    GEMM_UNROLL
    for (int i = 0; i < ROWS; i++) {
        *(gemm_loose *)(c + i * crs) = sum[i][0];
        *(gemm_loose *)(c + i * crs + LANES) = sum[i][1];
    }
}

/* 4. Tiles. A panel of B, COLS wide, serves all rows of A before the next; but it lies in pieces, one to a row of B:
 * rows that are a power of two apart evict each other from the cache, and each is on another page of memory. */
void ladder_4(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c) {
    memset(c, 0, (size_t)(m * n) * sizeof *c);
    for (int64_t p = 0; p < k; p += DEPTH)
        for (int64_t j = 0; j < n; j += COLS)
            for (int64_t i = 0; i < m; i += ROWS) tile(DEPTH, a + i * k + p, k, b + p * n + j, n, c + i * n + j, n);
}

/* 5. Packing. The panel is copied to where its rows touch. It is then small and dense enough for a part of k four times
 * as deep, so C is loaded and stored a quarter as often. The copy costs one pass for m / 6 uses. */
void ladder_5(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c) {
    static _Thread_local float panel[4 * DEPTH * COLS];
    memset(c, 0, (size_t)(m * n) * sizeof *c);
    for (int64_t p = 0; p < k; p += 4 * DEPTH) {
        int64_t depth = TG_MIN(4 * DEPTH, k - p);
        for (int64_t j = 0; j < n; j += COLS) {
            for (int64_t q = 0; q < depth; q++) memcpy(panel + q * COLS, b + (p + q) * n + j, sizeof(float[COLS]));
            for (int64_t i = 0; i < m; i += ROWS) tile(depth, a + i * k + p, k, panel, COLS, c + i * n + j, n);
        }
    }
}

/* 6. The library's: a tile as large as the registers allow (14 rows on AVX-512), edges, strides, A packed as well where
 * that pays, blocks that the second cache holds and that threads can share. */
void ladder_6(int64_t m, int64_t n, int64_t k, const float *a, const float *b, float *c) {
    gemm g = {.m = m, .n = n, .k = k, .ars = k, .acs = 1, .brs = n, .bcs = 1, .crs = n};
    gemm_plan(&g);
    static float *scratch; /* kept, as the library keeps its own: fresh pages cost a tenth of the time */
    float *aux = scratch = realloc(scratch, (size_t)(g.aux + g.own) * sizeof *aux);
    if (!aux) abort();
    for (int64_t panel = 0; panel < g.panels; panel++) gemm_panel(&g, panel, a, b, aux);
    for (int64_t block = 0; block < g.blocks; block++) gemm_block(&g, block, a, b, c, NULL, aux, aux + g.aux);
}

/* What the arithmetic alone can do, in floating-point operations: `turns` times 12 multiply-adds that do not wait for
 * each other. */
int64_t ladder_peak(int64_t turns) {
    gemm_vec sum[12], x = (gemm_vec){0} + 0.5f;
    GEMM_UNROLL
    for (int i = 0; i < 12; i++) sum[i] = (gemm_vec){0} + (float)i;
    for (int64_t t = 0; t < turns; t++) {
        GEMM_UNROLL
        for (int i = 0; i < 12; i++) {
            sum[i] = sum[i] * x + x;
            __asm__ volatile("" : REGISTER(sum[i])); /* keep every one of them */
        }
    }
    return turns * 12 * 2 * LANES;
}

/* gemm.h: C = A B for matrices of any strides, the inner code under every product of the library.
 *
 * From the inside out: a tile (some rows times a few vectors of C, in registers while k runs), the packer (a panel of A
 * or B copied in the order in which the tile reads it), a block (the tiles that one unit of work computes).
 * Whatever the tile, block or thread, an element of C is one chain of multiply-adds over ascending k: such choices
 * change the speed, never a bit. Only gemm_dot, for a vector times a matrix, sums in lanes, and matmul.c cuts very long
 * sums; the shape alone chooses both.
 * Read next: matmul.c; bench/gemm_ladder.c shows what each part is worth. */
#ifndef TG_GEMM_H
#define TG_GEMM_H

#include "kernel.h"

/* The geometry belongs to the instruction set: bytes of a vector, rows and vectors of a tile, and how much of k a panel
 * holds. A tile wants rows * vecs accumulators, vecs registers for B and one for A, out of 32 (AVX-512, NEON) or 16
 * (AVX2, SSE); a panel of B, 24 to 32 KB, is to stay in L1. Measured on one Zen 5 core at 4.06 GHz, float32, operands
 * in L1, GFLOP/s: AVX-512 (peak 258) 14x2 255, 12x2 254, 13x2 255, 8x3 258, 9x3 256; AVX2 (peak 129) 6x2 125; SSE
 * 6x2 33. 14x2 is kept because narrow C wastes less of it and because Intel's cores, too, run it at their peak. K =
 * 192, 256, 384, 512 differ by 2 %. The NEON row follows from its registers; nobody has measured it yet. */
#if defined(__AVX512F__)
#define GEMM_BYTES 64
#define GEMM_ROWS 14
#define GEMM_VECS 2
#define GEMM_K 256
#elif defined(__AVX2__)
#define GEMM_BYTES 32
#define GEMM_ROWS 6
#define GEMM_VECS 2
#define GEMM_K 384
#elif defined(__aarch64__)
#define GEMM_BYTES 16
#define GEMM_ROWS 6
#define GEMM_VECS 3
#define GEMM_K 384
#else
#define GEMM_BYTES 16
#define GEMM_ROWS 6
#define GEMM_VECS 2
#define GEMM_K 384
#endif

#define GEMM_LANES (GEMM_BYTES / (int64_t)sizeof(real))
#define GEMM_COLS (GEMM_LANES * GEMM_VECS)

/* Most rows of a block: its part of A, M * K, stays in L2. 192, 256, 512 differ by 3 %, either way. */
#define GEMM_M 384
/* Multiply-adds worth a unit: 1 us (AVX-512) to 4 us, where handing a phase to two threads costs about 0.5 us. */
#define GEMM_UNIT (1 << 18)
/* A product is cut into about so many units, if its size asks for no more: fine enough for 8 threads of uneven speed.
 */
#define GEMM_UNITS 16
/* An operand that is read few times is read in place: A for up to so many panels of columns (128x512x784 on AVX2 116
 * GFLOP/s against 111 packed), but for half as many where its columns lie pages apart and evict each other from L1
 * (1024x512x1024 TN on AVX2: 84 against 103); B for up to so many panels of rows (32x64x784: 124 against 112 on AVX2,
 * 255 against 223 on AVX-512; 16 panels of a B with rows a page apart: 92 against 110). */
#define GEMM_FEW_COLS 32
#define GEMM_FEW_ROWS 8

/* A loop of a few constant turns, over arrays that must end up in registers; as a loop under the sanitizers, whose
 * checks of every access would be unrolled, too (conv.c 30 s to compile, without 4 s). */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GEMM_UNROLL
#elif defined(__clang__)
#define GEMM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GEMM_UNROLL _Pragma("GCC unroll 16")
#endif
#define GEMM_INLINE static inline __attribute__((always_inline))
#define GEMM_UP(x, to) (((x) + (to) - 1) / (to) * (to))

typedef real gemm_vec __attribute__((vector_size(GEMM_BYTES)));
typedef real gemm_loose __attribute__((vector_size(GEMM_BYTES), aligned(sizeof(real)), may_alias)); /* in memory */
typedef real gemm_quad __attribute__((vector_size(4 * sizeof(real)), aligned(sizeof(real)), may_alias));

/* ---- the tile ---- */

/* C[rows, vecs * LANES] = (or +=, if add) A[rows, k] B[k, vecs * LANES]. rows and vecs are constants in each instance;
 * B's and C's columns are adjacent. a[i * ars] is cheap whatever ars is: A may be packed or in place. */
GEMM_INLINE void gemm_tile(int rows, int vecs, int64_t k, const real *a, int64_t ars, int64_t acs, const real *b,
                           int64_t brs, real *c, int64_t crs, int add) {
    gemm_vec sum[GEMM_ROWS][GEMM_VECS];
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        GEMM_UNROLL
        for (int j = 0; j < vecs; j++)
            sum[i][j] = add ? (gemm_vec) * (const gemm_loose *)(c + i * crs + j * GEMM_LANES) : (gemm_vec){0};
    }
    for (int64_t p = 0; p < k; p++, a += acs, b += brs) {
        gemm_vec bv[GEMM_VECS];
        GEMM_UNROLL
        for (int j = 0; j < vecs; j++) bv[j] = *(const gemm_loose *)(b + j * GEMM_LANES);
        GEMM_UNROLL
        for (int i = 0; i < rows; i++) {
            GEMM_UNROLL
            for (int j = 0; j < vecs; j++) sum[i][j] += a[i * ars] * bv[j];
        }
    }
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        GEMM_UNROLL
        for (int j = 0; j < vecs; j++) *(gemm_loose *)(c + i * crs + j * GEMM_LANES) = sum[i][j];
    }
}

typedef void gemm_tile_fn(int64_t k, const real *a, int64_t ars, int64_t acs, const real *b, int64_t brs, real *c,
                          int64_t crs, int add);

/* One instance for every height and width, so that an edge costs what it holds. */
#define GEMM_TILE(r, v)                                                                                             \
    static void gemm_tile_##r##_##v(int64_t k, const real *a, int64_t ars, int64_t acs, const real *b, int64_t brs, \
                                    real *c, int64_t crs, int add) {                                                \
        gemm_tile(r, v, k, a, ars, acs, b, brs, c, crs, add);                                                       \
    }
#if GEMM_VECS == 2
#define GEMM_WIDTHS(r) GEMM_TILE(r, 1) GEMM_TILE(r, 2)
#define GEMM_NAMES(r) {gemm_tile_##r##_1, gemm_tile_##r##_2},
#else
#define GEMM_WIDTHS(r) GEMM_TILE(r, 1) GEMM_TILE(r, 2) GEMM_TILE(r, 3)
#define GEMM_NAMES(r) {gemm_tile_##r##_1, gemm_tile_##r##_2, gemm_tile_##r##_3},
#endif
#define GEMM_TO_6(X) X(1) X(2) X(3) X(4) X(5) X(6)
#if GEMM_ROWS == 14
#define GEMM_HEIGHTS(X) GEMM_TO_6(X) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
#define GEMM_HEIGHTS(X) GEMM_TO_6(X)
#endif
GEMM_HEIGHTS(GEMM_WIDTHS)
static gemm_tile_fn *const gemm_tiles[GEMM_ROWS][GEMM_VECS] = {GEMM_HEIGHTS(GEMM_NAMES)};

/* ---- the packer ---- */

/* to[p * ld + i] = from[p * ks + i * is] for p < k, i < width, and 0 for width <= i < ld: a panel, k slices of ld.
 * Four at a time; where width is no multiple of four, the last four overlap those before. */
static inline void gemm_pack(real *to, int64_t ld, int64_t width, int64_t k, const real *from, int64_t is, int64_t ks) {
    int64_t i = 0, quads = width >= 4 && (is == 1 || ks == 1) ? width : 0;
    if (is == 1)
        for (; i + GEMM_LANES <= quads; i += GEMM_LANES)
            for (int64_t p = 0; p < k; p++) *(gemm_loose *)(to + p * ld + i) = *(const gemm_loose *)(from + p * ks + i);
    for (; i < quads; i += 4) {
        const real *f = from + TG_MIN(i, width - 4) * is;
        real *t = to + TG_MIN(i, width - 4);
        int64_t p = 0;
        if (is == 1)
            for (; p < k; p++) *(gemm_quad *)(t + p * ld) = *(const gemm_quad *)(f + p * ks);
        for (; p + 4 <= k; p += 4) { /* k runs along the rows: transpose 4 x 4 in registers */
            gemm_quad a = *(const gemm_quad *)(f + p), b = *(const gemm_quad *)(f + is + p);
            gemm_quad c = *(const gemm_quad *)(f + 2 * is + p), d = *(const gemm_quad *)(f + 3 * is + p);
            gemm_quad ac = __builtin_shufflevector(a, c, 0, 4, 1, 5), bd = __builtin_shufflevector(b, d, 0, 4, 1, 5);
            *(gemm_quad *)(t + p * ld) = __builtin_shufflevector(ac, bd, 0, 4, 1, 5);
            *(gemm_quad *)(t + (p + 1) * ld) = __builtin_shufflevector(ac, bd, 2, 6, 3, 7);
            ac = __builtin_shufflevector(a, c, 2, 6, 3, 7), bd = __builtin_shufflevector(b, d, 2, 6, 3, 7);
            *(gemm_quad *)(t + (p + 2) * ld) = __builtin_shufflevector(ac, bd, 0, 4, 1, 5);
            *(gemm_quad *)(t + (p + 3) * ld) = __builtin_shufflevector(ac, bd, 2, 6, 3, 7);
        }
        for (; p < k; p++)
            for (int q = 0; q < 4; q++) t[p * ld + q] = f[q * is + p * ks];
    }
    for (i = quads; i < width; i++)
        for (int64_t p = 0; p < k; p++) to[p * ld + i] = from[p * ks + i * is];
    for (; i < ld; i++)
        for (int64_t p = 0; p < k; p++) to[p * ld + i] = 0;
}

/* ---- a vector times a matrix: bound by reading the matrix, in the order in which it lies ---- */

#define GEMM_DOTS 8 /* rows at a time: enough chains to hide the latency of an addition */

/* c[i] = sum over p of x[i * rs + p] * v[p], i < rows (a constant): in lanes, these halved, then the rest of k. */
GEMM_INLINE void gemm_dots(int rows, int64_t k, const real *x, int64_t rs, const real *v, real *c) {
    gemm_vec sum[GEMM_DOTS];
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) sum[i] = (gemm_vec){0};
    int64_t p = 0;
    for (; p + GEMM_LANES <= k; p += GEMM_LANES) {
        gemm_vec vv = *(const gemm_loose *)(v + p);
        GEMM_UNROLL
        for (int i = 0; i < rows; i++) sum[i] += *(const gemm_loose *)(x + i * rs + p) * vv;
    }
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        real lane[GEMM_LANES];
        *(gemm_loose *)lane = sum[i];
        for (int half = GEMM_LANES / 2; half; half /= 2)
            for (int q = 0; q < half; q++) lane[q] += lane[q + half];
        for (int64_t q = p; q < k; q++) lane[0] += x[i * rs + q] * v[q];
        c[i] = lane[0];
    }
}

static inline void gemm_dot(int64_t rows, int64_t k, const real *x, int64_t rs, const real *v, real *c) {
    int64_t i = 0;
    for (; i + GEMM_DOTS <= rows; i += GEMM_DOTS) gemm_dots(GEMM_DOTS, k, x + i * rs, rs, v, c + i);
    for (; i < rows; i++) gemm_dots(1, k, x + i * rs, rs, v, c + i);
}

/* c[j] = sum over p of a[p * as] * b[p * brs + j], j < cols: four rows of B in one pass over c. */
static inline void gemm_axpy(int64_t cols, int64_t k, const real *restrict a, int64_t as, const real *restrict b,
                             int64_t brs, real *restrict c) {
    memset(c, 0, (size_t)cols * sizeof(real));
    int64_t p = 0;
    for (; p + 4 <= k; p += 4, a += 4 * as, b += 4 * brs)
        for (int64_t j = 0; j < cols; j++)
            c[j] = c[j] + a[0] * b[j] + a[as] * b[brs + j] + a[2 * as] * b[2 * brs + j] + a[3 * as] * b[3 * brs + j];
    for (; p < k; p++, a += as, b += brs)
        for (int64_t j = 0; j < cols; j++) c[j] += a[0] * b[j];
}

/* ---- one product, planned ---- */

enum { GEMM_TILES, GEMM_DOT, GEMM_AXPY };      /* ways to compute */
enum { GEMM_IN_PLACE, GEMM_OWN, GEMM_SHARED }; /* an operand's panels: not packed, packed where used, packed before */

typedef struct {
    int64_t m, n, k;                 /* C[m, n] = A[m, k] B[k, n] */
    int64_t ars, acs, brs, bcs, crs; /* strides of rows and columns in elements; C's columns are adjacent */
    int64_t whole;                   /* it is one block, whatever its size */
    int64_t way;                     /* but for tiles, nothing below is used but the blocks */
    int64_t pack_a, pack_b;
    int64_t height, depth;      /* rows of A in a panel, and of k: even shares, not full panels and a rest */
    int64_t mb, nb;             /* rows and columns of a block */
    int64_t col_blocks, blocks; /* blocks side by side, and in all: these are the units */
    int64_t panels_a, panels;   /* panels to pack before, those of A and all: units of a phase of their own */
    int64_t aux, own;           /* elements of scratch: the shared panels, and what a thread needs */
} gemm;

/* What follows the sum, in this order: if weighted, C = alpha * sum + beta * bias, else C = sum + bias; then max(0, C);
 * then scale C or 0 where mask <= 0. A row stride of 0 makes the bias one row for all. */
typedef struct {
    const real *bias, *mask; /* NULL: none */
    int64_t relu, weighted, bias_rs, bias_cs, mask_rs, mask_cs;
    real scale, alpha, beta;
} gemm_end;

/* Into how many pieces of at most `most` a size is cut, and how large they are when they are even. */
GEMM_INLINE int64_t gemm_pieces(int64_t size, int64_t most) { return (size + most - 1) / most; }
GEMM_INLINE int64_t gemm_share(int64_t size, int64_t most) {
    return gemm_pieces(size, TG_MAX(gemm_pieces(size, most), 1));
}

/* The product's multiply-adds; more where it has so few rows, or so little of k, that memory is what bounds it. */
GEMM_INLINE int64_t gemm_work(const gemm *g) { return TG_MAX(g->m, 2) * TG_MAX(g->n, 2) * TG_MAX(g->k, 8); }

/* Decide everything that is not given: the fields up to whole are set, the others zero. Depends on the shape only. */
static inline void gemm_plan(gemm *g) {
    if (g->m == 0 || g->n == 0) return; /* no blocks */
    g->height = gemm_share(g->m, GEMM_ROWS);
    g->depth = GEMM_UP(gemm_share(g->k, GEMM_K), 4);
    int64_t rows = gemm_pieces(g->m, g->height), cols = gemm_pieces(g->n, GEMM_COLS);

    /* Cut columns first, since that repeats no work of packing B; but no block is taller than GEMM_M. */
    int64_t units = g->whole ? 1 : TG_MIN(TG_MAX(gemm_work(g) / GEMM_UNIT, 1), GEMM_UNITS);
    int64_t row_blocks = g->whole ? 1 : gemm_pieces(rows, GEMM_M / g->height);
    int64_t col_blocks = TG_MIN(gemm_pieces(units, row_blocks), cols);
    row_blocks = TG_MIN(TG_MAX(units / col_blocks, row_blocks), rows);
    g->mb = gemm_pieces(rows, row_blocks) * g->height;
    g->nb = gemm_pieces(cols, col_blocks) * GEMM_COLS;
    g->col_blocks = gemm_pieces(g->n, g->nb);
    row_blocks = gemm_pieces(g->m, g->mb);
    g->blocks = row_blocks * g->col_blocks;

    if ((g->m == 1 || g->n == 1) && g->acs == 1 && g->brs == 1)
        g->way = GEMM_DOT;
    else
        g->way = g->m == 1 && g->bcs == 1 ? GEMM_AXPY : GEMM_TILES;
    if (g->way) return;
    int64_t few_cols = g->acs * (int64_t)sizeof(real) % 4096 ? GEMM_FEW_COLS : GEMM_FEW_COLS / 2;
    g->pack_a = cols <= few_cols ? GEMM_IN_PLACE : g->col_blocks > 1 ? GEMM_SHARED : GEMM_OWN;
    g->pack_b = rows <= GEMM_FEW_ROWS && g->bcs == 1 ? GEMM_IN_PLACE : row_blocks > 1 ? GEMM_SHARED : GEMM_OWN;
    g->panels_a = g->pack_a == GEMM_SHARED ? rows : 0;
    g->panels = g->panels_a + (g->pack_b == GEMM_SHARED ? cols : 0);
    g->aux = GEMM_UP(g->pack_a == GEMM_SHARED ? g->m * g->k : 0, GEMM_LANES) +
             (g->pack_b == GEMM_SHARED ? GEMM_UP(g->n, GEMM_LANES) * g->k : 0);
    g->own = GEMM_ROWS * GEMM_COLS + g->depth * GEMM_COLS + (g->pack_a == GEMM_OWN ? g->mb * g->depth : 0);
}

/* Where a shared panel begins: those of one depth lie together. All panels of B but the last are COLS wide. */
GEMM_INLINE int64_t gemm_at_a(const gemm *g, int64_t i, int64_t k0, int64_t kc) { return k0 * g->m + i * kc; }
GEMM_INLINE int64_t gemm_at_b(const gemm *g, int64_t j, int64_t k0, int64_t kc) {
    return GEMM_UP(g->pack_a == GEMM_SHARED ? g->m * g->k : 0, GEMM_LANES) + k0 * GEMM_UP(g->n, GEMM_LANES) + j * kc;
}

/* Pack the panel with that number, over all of k. */
static inline void gemm_panel(const gemm *g, int64_t panel, const real *a, const real *b, real *aux) {
    for (int64_t k0 = 0; k0 < g->k; k0 += g->depth) {
        int64_t kc = TG_MIN(g->depth, g->k - k0);
        if (panel < g->panels_a) {
            int64_t i = panel * g->height, r = TG_MIN(g->height, g->m - i);
            gemm_pack(aux + gemm_at_a(g, i, k0, kc), r, r, kc, a + i * g->ars + k0 * g->acs, g->ars, g->acs);
        } else {
            int64_t j = (panel - g->panels_a) * GEMM_COLS, w = TG_MIN(GEMM_COLS, g->n - j);
            gemm_pack(aux + gemm_at_b(g, j, k0, kc), GEMM_UP(w, GEMM_LANES), w, kc, b + k0 * g->brs + j * g->bcs,
                      g->bcs, g->brs);
        }
    }
}

/* A piece of one row. With a stride of 1, a constant here, the loops become vectors without branches, which
 * random masks would make mispredict: 12544x256 took 15 ms, of which the product is 4. */
GEMM_INLINE void gemm_finish_row(const gemm_end *end, real *restrict c, int64_t cols, const real *restrict bias,
                                 int64_t bias_cs, const real *restrict mask, int64_t mask_cs) {
    if (end->weighted) {
        const real alpha = end->alpha, beta = end->beta;
        for (int64_t j = 0; j < cols; j++) c[j] *= alpha;
        if (bias)
            for (int64_t j = 0; j < cols; j++) c[j] += beta * bias[j * bias_cs];
    } else if (bias) {
        for (int64_t j = 0; j < cols; j++) c[j] += bias[j * bias_cs];
    }
    if (end->relu)
        for (int64_t j = 0; j < cols; j++) c[j] = c[j] <= 0 ? 0 : c[j]; /* a NaN stays */
    if (mask) {
        const real scale = end->scale;
        for (int64_t j = 0; j < cols; j++) {
            real scaled = c[j] * scale;
            c[j] = mask[j * mask_cs] <= 0 ? 0 : scaled;
        }
    }
}

/* The piece of C at c, which has rows i0.. and columns j0.. */
static inline void gemm_finish(const gemm_end *end, real *c, int64_t crs, int64_t i0, int64_t rows, int64_t j0,
                               int64_t cols) {
    int plain = (!end->bias || end->bias_cs == 1) && (!end->mask || end->mask_cs == 1);
    for (int64_t i = i0; i < i0 + rows; i++, c += crs) {
        const real *bias = end->bias ? end->bias + i * end->bias_rs + j0 * end->bias_cs : NULL;
        const real *mask = end->mask ? end->mask + i * end->mask_rs + j0 * end->mask_cs : NULL;
        if (plain)
            gemm_finish_row(end, c, cols, bias, 1, mask, 1);
        else
            gemm_finish_row(end, c, cols, bias, end->bias_cs, mask, end->mask_cs);
    }
}

/* C's block at `to`, rows i0.. and columns j0.. of it, by tiles; a and b are where the block's operands begin. */
static inline void gemm_block_tiles(const gemm *g, int64_t i0, int64_t rows, int64_t j0, int64_t cols, const real *a,
                                    const real *b, real *to, const gemm_end *end, const real *aux, real *own) {
    real *edge = own, *own_b = edge + GEMM_ROWS * GEMM_COLS, *own_a = own_b + g->depth * GEMM_COLS;
    int64_t k0 = 0;
    do { /* once for an empty k, too: C is zero then */
        int64_t kc = TG_MIN(g->depth, g->k - k0);
        const real *ap = a + k0 * g->acs;
        if (g->pack_a == GEMM_OWN)
            for (int64_t i = 0; i < rows; i += g->height) {
                int64_t r = TG_MIN(g->height, rows - i);
                gemm_pack(own_a + i * kc, r, r, kc, ap + i * g->ars, g->ars, g->acs);
            }
        if (g->pack_a) ap = g->pack_a == GEMM_OWN ? own_a : aux + gemm_at_a(g, i0, k0, kc);
        for (int64_t j = 0; j < cols; j += GEMM_COLS) {
            int64_t w = TG_MIN(GEMM_COLS, cols - j), full = GEMM_UP(w, GEMM_LANES), brs = full;
            const real *bp = b + k0 * g->brs + j * g->bcs;
            if (g->pack_b == GEMM_SHARED) {
                bp = aux + gemm_at_b(g, j0 + j, k0, kc);
            } else if (g->pack_b == GEMM_OWN || w < full) {
                gemm_pack(own_b, full, w, kc, bp, g->bcs, g->brs);
                bp = own_b;
            } else {
                brs = g->brs;
            }
            for (int64_t i = 0; i < rows; i += g->height) {
                int64_t r = TG_MIN(g->height, rows - i);
                gemm_tile_fn *tile = gemm_tiles[r - 1][full / GEMM_LANES - 1];
                const real *at = g->pack_a ? ap + i * kc : ap + i * g->ars;
                int64_t ars = g->pack_a ? 1 : g->ars, acs = g->pack_a ? r : g->acs;
                real *ct = to + i * g->crs + j;
                if (w == full) {
                    tile(kc, at, ars, acs, bp, brs, ct, g->crs, k0 > 0);
                } else {
                    if (k0 > 0)
                        for (int64_t p = 0; p < r; p++)
                            memcpy(edge + p * full, ct + p * g->crs, (size_t)w * sizeof(real));
                    tile(kc, at, ars, acs, bp, brs, edge, full, k0 > 0);
                    for (int64_t p = 0; p < r; p++) memcpy(ct + p * g->crs, edge + p * full, (size_t)w * sizeof(real));
                }
                if (end && !end->mask && k0 + kc == g->k) /* while in L1 */
                    gemm_finish(end, ct, g->crs, i0 + i, r, j0 + j, w);
            }
        }
        k0 += g->depth;
    } while (k0 < g->k);
}

/* Compute the block with that number. aux holds the shared panels, own is the thread's scratch, end may be NULL. */
static inline void gemm_block(const gemm *g, int64_t block, const real *a, const real *b, real *c, const gemm_end *end,
                              const real *aux, real *own) {
    int64_t i0 = block / g->col_blocks * g->mb, rows = TG_MIN(g->mb, g->m - i0);
    int64_t j0 = block % g->col_blocks * g->nb, cols = TG_MIN(g->nb, g->n - j0);
    a += i0 * g->ars;
    b += j0 * g->bcs;
    real *to = c + i0 * g->crs + j0;
    if (g->way == GEMM_TILES)
        gemm_block_tiles(g, i0, rows, j0, cols, a, b, to, end, aux, own);
    else if (g->way == GEMM_AXPY)
        gemm_axpy(cols, g->k, a, g->acs, b, g->brs, to);
    else if (g->way == GEMM_DOT && g->n == 1)
        gemm_dot(rows, g->k, a, g->ars, b, to);
    else
        gemm_dot(cols, g->k, b, g->bcs, a, to);
    /* A mask is read in long rows, C coming from L2: by tiles, in short pieces, memory answers slowly (6272x512x16 took
     * 2.3 ms, now 1.2). */
    if (end && (end->mask || g->way != GEMM_TILES)) gemm_finish(end, to, g->crs, i0, rows, j0, cols);
}

#endif

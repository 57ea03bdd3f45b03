/* conv_weight.h: the gradient of a convolution's weights, dw[k, c, r, s] = sum over pictures and outputs (p, q) of
 * dy[n, k, p, q] * x[n, c, p * stride + r * dilation - pad, ..].
 *
 * A unit sums over a block of pictures for a span of the input channels; the blocks' sums are added in their order, in
 * a phase of their own. Two ways, by the channels of a group: many lie side by side in vectors, so that a tap is but a
 * place in a stage with its channels last (conv_weight_tile); few do not fill a vector: there outputs lie side by side,
 * and lanes are added at the end (conv_dots). Left out on purpose: Winograd's method (winograd.h). Read next: conv.h.
 */
#ifndef TG_CONV_WEIGHT_H
#define TG_CONV_WEIGHT_H

#include "conv_gemm.h"

/* Elements of a block's sums, which are to stay in L2 beside what they are computed from, if a panel is not more. */
#define CONV_SUMS (1 << 17)
/* Outputs that are staged and packed at a time: as deep as a panel of gemm.h. */
#define CONV_OUTPUTS GEMM_K
/* Rows of dy and of patches in a tile of conv_dots: as many sums as fill the registers. */
#if GEMM_ROWS == 14
#define CONV_DOT_ROWS 3
#define CONV_DOT_COLS 9
#else
#define CONV_DOT_ROWS 3
#define CONV_DOT_COLS 3
#endif

typedef struct {
    int64_t m, channels, taps;             /* of a group */
    int64_t dots;                          /* the way */
    int64_t height;                        /* rows of a panel of dy */
    int64_t images, rows;                  /* staged at a time: several pictures, or rows of one */
    int64_t span, spans, block, blocks;    /* channels of a unit, pictures of a unit */
    int64_t sums, block_sums;              /* elements of a unit's sums, of a block's */
    int64_t pitch;                         /* dots: elements between rows of patches */
    int64_t at_stage, at_panels, at_lanes; /* places in a thread's scratch, in elements */
} conv_weight_plan;
_Static_assert(sizeof(conv_weight_plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* ---- many channels ---- */

/* c[rows, vecs * LANES] = (or +=, if add) sum over lines l and outputs q < cols of a[l, q, rows] times
 * b[line[l] + q * brs, vecs * LANES]. A sum starts from zero here, too: shorter chains round less. */
GEMM_INLINE void conv_weight_tile(int rows, int vecs, int64_t lines, const int64_t *line, int64_t cols, const real *a,
                                  const real *b, int64_t brs, real *c, int add) {
    gemm_vec sum[GEMM_ROWS][GEMM_VECS];
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        __builtin_prefetch(c + i * vecs * GEMM_LANES, 1);
        GEMM_UNROLL
        for (int j = 0; j < vecs; j++) sum[i][j] = (gemm_vec){0};
    }
    for (int64_t l = 0; l < lines; l++) {
        const real *f = b + line[l];
        for (int64_t q = 0; q < cols; q++, a += rows, f += brs) {
            gemm_vec bv[GEMM_VECS];
            GEMM_UNROLL
            for (int j = 0; j < vecs; j++) bv[j] = *(const gemm_vec *)(f + j * GEMM_LANES);
            GEMM_UNROLL
            for (int i = 0; i < rows; i++) {
                GEMM_UNROLL
                for (int j = 0; j < vecs; j++) sum[i][j] += a[i] * bv[j];
            }
        }
    }
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        GEMM_UNROLL
        for (int j = 0; j < vecs; j++, c += GEMM_LANES) {
            gemm_vec before = add ? *(const gemm_vec *)c : (gemm_vec){0};
            *(gemm_vec *)c = before + sum[i][j];
        }
    }
}

typedef void conv_weight_fn(int64_t lines, const int64_t *line, int64_t cols, const real *a, const real *b, int64_t brs,
                            real *c, int add);

#define CONV_TILE(r, v)                                                                                     \
    static void conv_weight_tile_##r##_##v(int64_t lines, const int64_t *line, int64_t cols, const real *a, \
                                           const real *b, int64_t brs, real *c, int add) {                  \
        conv_weight_tile(r, v, lines, line, cols, a, b, brs, c, add);                                       \
    }
#if GEMM_VECS == 2
#define CONV_WIDTHS(r) CONV_TILE(r, 1) CONV_TILE(r, 2)
#define CONV_NAMES(r) {conv_weight_tile_##r##_1, conv_weight_tile_##r##_2},
#else
#define CONV_WIDTHS(r) CONV_TILE(r, 1) CONV_TILE(r, 2) CONV_TILE(r, 3)
#define CONV_NAMES(r) {conv_weight_tile_##r##_1, conv_weight_tile_##r##_2, conv_weight_tile_##r##_3},
#endif
GEMM_HEIGHTS(CONV_WIDTHS)
static conv_weight_fn *const conv_weight_tiles[GEMM_ROWS][GEMM_VECS] = {GEMM_HEIGHTS(CONV_NAMES)};

/* Stage `width` channels of rows y0.. of a picture with the channels last, in pixels of `ld`; zeros around it. */
static inline void conv_channels_last(const conv_axis *y, const conv_axis *x, int64_t row0, int64_t rows,
                                      int64_t columns, const real *from, int64_t width, int64_t ld, real *to) {
    int64_t top = row0 * y->stride + y->low, lines = (rows - 1) * y->stride + y->reach + 1;
    int64_t lo = TG_MIN(TG_MAX(-x->low, 0), columns), hi = TG_MAX(TG_MIN(x->in - x->low, columns), lo);
    for (int64_t line = 0; line < lines; line++, to += columns * ld) {
        int inside = top + line >= 0 && top + line < y->in;
        int64_t l = inside ? lo : columns, h = inside ? hi : columns;
        memset(to, 0, (size_t)(l * ld) * sizeof(real));
        if (h > l) gemm_pack(to + l * ld, ld, width, h - l, from + (top + line) * x->in + x->low + l, y->in * x->in, 1);
        memset(to + h * ld, 0, (size_t)((columns - h) * ld) * sizeof(real));
    }
}

/* A unit's sums: [panel of channels][tap][output channel][channel of the panel]. */
static inline void conv_weight_many(const conv *c, const conv_weight_plan *p, const real *dy, const real *x, int64_t n,
                                    int64_t channels, int64_t dy_image, int64_t x_image, real *sums, real *own) {
    conv_axis ay = conv_axis_forward(c, 0), ax = conv_axis_forward(c, 1);
    int64_t plane_x = ay.in * ax.in, plane_y = ay.out * ax.out, columns = (ax.out - 1) * ax.stride + ax.reach + 1;
    int64_t *line = (int64_t *)own;
    real *stage = own + p->at_stage, *panels = own + p->at_panels;
    for (int64_t b = 0; b < n; b += p->images)
        for (int64_t row0 = 0; row0 < ay.out; row0 += p->rows) {
            int64_t images = TG_MIN(p->images, n - b), rows = TG_MIN(p->rows, ay.out - row0);
            int64_t depth = images * rows * ax.out;
            int64_t staged = (rows - 1) * ay.stride + ay.reach + 1, picture = staged * columns;
            for (int64_t i = 0; i < p->m; i += p->height) {
                int64_t r = TG_MIN(p->height, p->m - i);
                for (int64_t q = 0; q < images; q++)
                    gemm_pack(panels + i * depth + q * rows * ax.out * r, r, r, rows * ax.out,
                              dy + (b + q) * dy_image + i * plane_y + row0 * ax.out, plane_y, 1);
            }
            /* What comes next is asked for while tiles are computed. */
            int64_t turns = gemm_pieces(channels, GEMM_COLS) * p->taps * gemm_pieces(p->m, p->height);
            int64_t next = row0 + rows < ay.out ? b : b + images, line0 = next == b ? row0 + rows : 0;
            conv_ahead ahead_y = {0}, ahead_x = {0};
            if (next < n && p->images == 1) {
                int64_t lines = TG_MIN(p->rows, ay.out - line0), top = line0 * ay.stride;
                ahead_y = conv_ahead_of(dy + next * dy_image + line0 * ax.out, p->m, plane_y, lines * ax.out, turns);
                ahead_x = conv_ahead_of(x + next * x_image + top * ax.in, channels, plane_x,
                                        TG_MAX(TG_MIN(lines * ay.stride, ay.in - top), 0) * ax.in, turns);
            } else if (next < n) {
                ahead_y =
                    conv_ahead_of(dy + next * dy_image, TG_MIN(images, n - next), dy_image, p->m * plane_y, turns);
                ahead_x =
                    conv_ahead_of(x + next * x_image, TG_MIN(images, n - next), x_image, channels * plane_x, turns);
            }
            real *to = sums;
            for (int64_t c0 = 0; c0 < channels; c0 += GEMM_COLS) {
                int64_t width = TG_MIN(GEMM_COLS, channels - c0), ld = GEMM_UP(width, GEMM_LANES);
                for (int64_t q = 0; q < images; q++) {
                    conv_channels_last(&ay, &ax, row0, rows, columns, x + (b + q) * x_image + c0 * plane_x, width, ld,
                                       stage + q * picture * ld);
                    for (int64_t i = 0; i < rows; i++)
                        line[q * rows + i] = (q * picture + i * ay.stride * columns) * ld;
                }
                for (int64_t t = 0; t < p->taps; t++) {
                    int64_t y0 = t / ax.taps * ay.step + ay.start - ay.low,
                            x0 = t % ax.taps * ax.step + ax.start - ax.low;
                    const real *at = stage + (y0 * columns + x0) * ld;
                    for (int64_t i = 0; i < p->m; i += p->height) {
                        int64_t r = TG_MIN(p->height, p->m - i);
                        conv_fetch(&ahead_y), conv_fetch(&ahead_x);
                        conv_weight_tiles[r - 1][ld / GEMM_LANES - 1](images * rows, line, ax.out, panels + i * depth,
                                                                      at, ax.stride * ld, to, b > 0 || row0 > 0);
                        to += r * ld;
                    }
                }
            }
        }
}

/* ---- few channels ---- */

/* sum[i, j, LANES] += dy[i, pixels] * patches[j, pixels] in lanes; `pixels` is a multiple of LANES but for the rest,
 * which comes padded with zeros in `tail`. Rows of dy are drs apart, rows of patches prs. */
GEMM_INLINE void conv_dot_tile(int rows, int cols, int64_t pixels, const real *dy, int64_t drs, const real *patches,
                               int64_t prs, real *lanes) {
    gemm_vec sum[CONV_DOT_ROWS][CONV_DOT_COLS];
    int64_t whole = pixels / GEMM_LANES * GEMM_LANES;
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        GEMM_UNROLL
        for (int j = 0; j < cols; j++) sum[i][j] = *(const gemm_vec *)(lanes + (i * cols + j) * GEMM_LANES);
    }
    for (int64_t q = 0; q < whole; q += GEMM_LANES) {
        gemm_vec d[CONV_DOT_ROWS];
        GEMM_UNROLL
        for (int i = 0; i < rows; i++) d[i] = *(const gemm_loose *)(dy + i * drs + q);
        GEMM_UNROLL
        for (int j = 0; j < cols; j++) {
            gemm_vec x = *(const gemm_vec *)(patches + j * prs + q);
            GEMM_UNROLL
            for (int i = 0; i < rows; i++) sum[i][j] += d[i] * x;
        }
    }
    if (whole < pixels) {
        gemm_vec d[CONV_DOT_ROWS];
        GEMM_UNROLL
        for (int i = 0; i < rows; i++) {
            d[i] = (gemm_vec){0};
            for (int64_t q = whole; q < pixels; q++) d[i][q - whole] = dy[i * drs + q];
        }
        GEMM_UNROLL
        for (int j = 0; j < cols; j++) {
            gemm_vec x = *(const gemm_vec *)(patches + j * prs + whole);
            GEMM_UNROLL
            for (int i = 0; i < rows; i++) sum[i][j] += d[i] * x;
        }
    }
    GEMM_UNROLL
    for (int i = 0; i < rows; i++) {
        GEMM_UNROLL
        for (int j = 0; j < cols; j++) *(gemm_vec *)(lanes + (i * cols + j) * GEMM_LANES) = sum[i][j];
    }
}

typedef void conv_dot_fn(int64_t pixels, const real *dy, int64_t drs, const real *patches, int64_t prs, real *lanes);

#define CONV_DOT(r, j)                                                                                            \
    static void conv_dot_##r##_##j(int64_t pixels, const real *dy, int64_t drs, const real *patches, int64_t prs, \
                                   real *lanes) {                                                                 \
        conv_dot_tile(r, j, pixels, dy, drs, patches, prs, lanes);                                                \
    }
#if CONV_DOT_COLS == 9
#define CONV_DOT_ROW(r) \
    CONV_DOT(r, 1)      \
    CONV_DOT(r, 2)      \
    CONV_DOT(r, 3) CONV_DOT(r, 4) CONV_DOT(r, 5) CONV_DOT(r, 6) CONV_DOT(r, 7) CONV_DOT(r, 8) CONV_DOT(r, 9)
#define CONV_DOT_NAMES(r)                                                                      \
    {conv_dot_##r##_1, conv_dot_##r##_2, conv_dot_##r##_3, conv_dot_##r##_4, conv_dot_##r##_5, \
     conv_dot_##r##_6, conv_dot_##r##_7, conv_dot_##r##_8, conv_dot_##r##_9},
#else
#define CONV_DOT_ROW(r) CONV_DOT(r, 1) CONV_DOT(r, 2) CONV_DOT(r, 3)
#define CONV_DOT_NAMES(r) {conv_dot_##r##_1, conv_dot_##r##_2, conv_dot_##r##_3},
#endif
CONV_DOT_ROW(1)
CONV_DOT_ROW(2)
CONV_DOT_ROW(3)
static conv_dot_fn *const conv_dots[CONV_DOT_ROWS][CONV_DOT_COLS] = {CONV_DOT_NAMES(1) CONV_DOT_NAMES(2)
                                                                         CONV_DOT_NAMES(3)};

/* to[i * cols + q] = from[i * step + q], q < cols, in `vecs` vectors: what is too much, the next row writes over. */
GEMM_INLINE void conv_patch(int64_t vecs, int64_t rows, int64_t cols, int64_t step, const real *from, real *to) {
    for (int64_t i = 0; i < rows; i++, from += step, to += cols)
        for (int64_t v = 0; v < vecs; v++)
            *(gemm_loose *)(to + v * GEMM_LANES) = *(const gemm_loose *)(from + v * GEMM_LANES);
}

/* Rows of patches, one for each channel and tap: what `rows` rows of outputs read, side by side, then zeros. */
static inline void conv_patches(const conv_stage *s, int64_t step, int64_t rows, int64_t cols, int64_t channels,
                                int64_t taps, const int64_t *tap, const real *stage, real *to, int64_t pitch) {
    int64_t vecs = gemm_pieces(cols, GEMM_LANES);
    for (int64_t c = 0; c < channels; c++, stage += s->plane)
        for (int64_t t = 0; t < taps; t++, to += pitch) {
            if (vecs == 1)
                conv_patch(1, rows, cols, step * s->pitch, stage + tap[t], to);
            else if (vecs == 2)
                conv_patch(2, rows, cols, step * s->pitch, stage + tap[t], to);
            else
                conv_patch(vecs, rows, cols, step * s->pitch, stage + tap[t], to);
            for (int64_t q = rows * cols; q < GEMM_UP(rows * cols, GEMM_LANES); q++) to[q] = 0;
        }
}

/* A unit's sums: [output channel][channel, tap]. */
static inline void conv_weight_few(const conv *c, const conv_weight_plan *p, const real *dy, const real *x, int64_t n,
                                   int64_t dy_image, int64_t x_image, real *sums, real *own) {
    conv_axis ay = conv_axis_forward(c, 0), ax = conv_axis_forward(c, 1);
    int64_t plane_y = ay.out * ax.out, k = p->channels * p->taps;
    int64_t *tap = (int64_t *)own;
    real *stage = own + p->at_stage, *patches = own + p->at_panels, *lanes = own + p->at_lanes;
    memset(lanes, 0, (size_t)(p->m * k * GEMM_LANES) * sizeof(real));
    for (int64_t b = 0; b < n; b++)
        for (int64_t row0 = 0; row0 < ay.out; row0 += p->rows) {
            int64_t rows = TG_MIN(p->rows, ay.out - row0);
            conv_stage s = conv_stage_of(&ay, &ax, rows, 1);
            conv_tap_places(&ay, &ax, &s, tap);
            conv_stage_fill(&ay, &ax, &s, row0, rows, p->channels, 1, x + b * x_image, 0, stage);
            conv_patches(&s, ay.stride, rows, ax.out, p->channels, p->taps, tap, stage, patches, p->pitch);
            conv_ahead ahead_y = {0}, ahead_x = {0};
            if (b + 1 < n && p->rows == ay.out) {
                int64_t turns = gemm_pieces(k, CONV_DOT_COLS) * gemm_pieces(p->m, CONV_DOT_ROWS);
                ahead_y = conv_ahead_of(dy + (b + 1) * dy_image, 1, 0, p->m * plane_y, turns);
                ahead_x = conv_ahead_of(x + (b + 1) * x_image, 1, 0, p->channels * ay.in * ax.in, turns);
            }
            real *to = lanes;
            for (int64_t j = 0; j < k; j += CONV_DOT_COLS)
                for (int64_t i = 0; i < p->m; i += CONV_DOT_ROWS) {
                    int64_t h = TG_MIN(CONV_DOT_ROWS, p->m - i), w = TG_MIN(CONV_DOT_COLS, k - j);
                    conv_fetch(&ahead_y), conv_fetch(&ahead_x);
                    conv_dots[h - 1][w - 1](rows * ax.out, dy + b * dy_image + i * plane_y + row0 * ax.out, plane_y,
                                            patches + j * p->pitch, p->pitch, to);
                    to += h * w * GEMM_LANES;
                }
        }
    for (int64_t j = 0; j < k; j += CONV_DOT_COLS)
        for (int64_t i = 0; i < p->m; i += CONV_DOT_ROWS) {
            int64_t h = TG_MIN(CONV_DOT_ROWS, p->m - i), w = TG_MIN(CONV_DOT_COLS, k - j);
            for (int64_t q = 0; q < h * w; q++, lanes += GEMM_LANES) {
                for (int64_t half = GEMM_LANES / 2; half; half /= 2)
                    for (int64_t l = 0; l < half; l++) lanes[l] += lanes[l + half];
                sums[(i + q / w) * k + j + q % w] = lanes[0];
            }
        }
}

/* ---- units and the plan ---- */

/* dw of output channel `row` (of all groups): the blocks' sums in their order. */
static inline void conv_weight_add(const conv_weight_plan *p, int64_t row, const real *aux, real *dw) {
    int64_t k = p->channels * p->taps, g = row / p->m, i = row % p->m;
    aux += g * p->spans * p->sums;
    dw += row * k;
    if (p->dots) {
        memset(dw, 0, (size_t)k * sizeof(real));
        for (int64_t b = 0; b < p->blocks; b++, aux += p->block_sums)
            for (int64_t j = 0; j < k; j++) dw[j] += aux[i * k + j];
        return;
    }
    for (int64_t c0 = 0; c0 < p->channels; c0 += GEMM_COLS) {
        int64_t width = TG_MIN(GEMM_COLS, p->channels - c0), ld = GEMM_UP(width, GEMM_LANES);
        const real *span = aux + c0 / p->span * p->sums + c0 % p->span * p->taps * p->m;
        for (int64_t t = 0; t < p->taps; t++) {
            const real *from = span + (t * p->m + i) * ld;
            real total[GEMM_COLS] = {0};
            for (int64_t b = 0; b < p->blocks; b++, from += p->block_sums)
                for (int64_t j = 0; j < ld; j++) total[j] += from[j];
            for (int64_t j = 0; j < width; j++) dw[(c0 + j) * p->taps + t] = total[j];
        }
    }
}

static inline int conv_weight_prepare(tg_node *node) {
    conv c = conv_of(node, CONV_GRAD_WEIGHT);
    conv_weight_plan *p = (conv_weight_plan *)node->plan;
    *p = (conv_weight_plan){.m = c.k / c.groups, .channels = c.c / c.groups, .taps = c.kernel[0] * c.kernel[1]};
    int64_t k = p->channels * p->taps, outputs = c.out[0] * c.out[1];
    int64_t line = 64 / (int64_t)sizeof(real), scale = (int64_t)(sizeof(int64_t) / sizeof(real));
    if (c.k * k == 0) return 0; /* no phases: nothing to do */
    node->units[1] = c.k;
    conv_axis y = conv_axis_forward(&c, 0), x = conv_axis_forward(&c, 1);
    p->dots = p->channels < GEMM_LANES / 2;
    p->height = gemm_share(p->m, GEMM_ROWS);
    int64_t wanted = TG_MIN(TG_MAX(c.n * outputs * c.k * k / GEMM_UNIT, 1), GEMM_UNITS);
    p->span = p->channels;
    if (!p->dots) {
        int64_t most = TG_MAX(CONV_SUMS / (p->m * p->taps) / GEMM_COLS, 1); /* panels */
        p->span = gemm_share(gemm_pieces(p->channels, GEMM_COLS), most) * GEMM_COLS;
    }
    p->spans = gemm_pieces(p->channels, p->span);
    p->block = gemm_share(c.n, TG_MAX(gemm_pieces(c.n, TG_MAX(gemm_pieces(wanted, p->spans * c.groups), 1)), 1));
    p->blocks = c.n > 0 && outputs > 0 ? gemm_pieces(c.n, p->block) : 0;
    p->sums = GEMM_UP(p->dots ? p->m * k : p->m * p->taps * GEMM_UP(p->span, GEMM_LANES), line);
    p->block_sums = c.groups * p->spans * p->sums;
    node->phases = 2;
    if (p->blocks == 0) return 0;

    p->rows = gemm_share(c.out[0], TG_MAX((p->dots ? 4 : 1) * CONV_OUTPUTS / c.out[1], 1)), p->images = 1;
    if (!p->dots && p->rows == c.out[0]) p->images = TG_MIN(TG_MAX(CONV_OUTPUTS / outputs, 1), p->block);
    conv_stage s = conv_stage_of(&y, &x, p->rows, p->images);
    int64_t depth = p->images * p->rows * c.out[1], table = TG_MAX(p->taps, p->images * p->rows) * scale;
    int64_t columns = (c.out[1] - 1) * x.stride + x.reach + 1;
    p->pitch = GEMM_UP(depth, GEMM_LANES) + GEMM_LANES;
    p->at_stage = GEMM_UP(table, line);
    int64_t staged = p->dots ? p->channels * s.plane + GEMM_LANES
                             : p->images * ((p->rows - 1) * y.stride + y.reach + 1) * columns * GEMM_COLS;
    p->at_panels = p->at_stage + GEMM_UP(staged, line);
    p->at_lanes = p->at_panels + (p->dots ? GEMM_UP(k * p->pitch + GEMM_LANES, line) : GEMM_UP(p->m * depth, line));
    node->own_bytes = (p->at_lanes + (p->dots ? p->m * k * GEMM_LANES : 0)) * (int64_t)sizeof(real);
    node->aux_bytes = p->blocks * p->block_sums * (int64_t)sizeof(real);
    node->units[0] = p->blocks * p->spans * c.groups;
    return 0;
}

static inline void conv_weight_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const conv_weight_plan *p = (const conv_weight_plan *)node->plan;
    conv c = conv_of(node, CONV_GRAD_WEIGHT);
    int64_t dy_plane = c.out[0] * c.out[1], x_plane = c.in[0] * c.in[1];
    for (int64_t u = lo; u < hi; u++) {
        if (phase == 1) {
            conv_weight_add(p, u, (const real *)node->aux, (real *)node->args[0].data);
            continue;
        }
        int64_t b = u / (p->spans * c.groups) * p->block, g = u / p->spans % c.groups, c0 = u % p->spans * p->span;
        int64_t n = TG_MIN(p->block, c.n - b);
        const real *dy = (const real *)node->args[1].data + (b * c.k + g * p->m) * dy_plane;
        const real *x = (const real *)node->args[2].data + (b * c.c + g * p->channels + c0) * x_plane;
        real *sums = (real *)node->aux + u * p->sums;
        if (p->dots)
            conv_weight_few(&c, p, dy, x, n, c.k * dy_plane, c.c * x_plane, sums, (real *)own);
        else
            conv_weight_many(&c, p, dy, x, n, TG_MIN(p->span, p->channels - c0), c.k * dy_plane, c.c * x_plane, sums,
                             (real *)own);
    }
}

#endif

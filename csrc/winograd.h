/* winograd.h: convolution with 3 x 3 weights, stride 1, by Winograd's method: forward and the gradient of its input.
 *
 * A result of 4 x 4 elements comes from 6 x 6 of the input: both sides are taken to 36 points, multiplied there, summed
 * over channels (a matrix product a point) and taken back: 36 multiplications where the direct way has 144. Where a
 * picture's end holds but one or two more rows or columns, F(2, 3) at 4 of the 6 points serves, so that 14 x 14 takes
 * 84 % of the products and 2 x 2 is F(2x2, 3x3).
 * Error in float32 (largest, over rms, against double; batch 64, 128 -> 128 at 28 x 28): forward 1.5e-5, gradient of
 * the input 1.5e-5, of the weights 4e-6; PyTorch's 1.8e-6, 1.6e-6, 4e-5. A NaN or Inf is lost to the whole tile.
 * Left out on purpose: other sizes of weights, groups, strides. Read next: winograd_tiles.h, winograd_grad.h. */
#ifndef TG_WINOGRAD_H
#define TG_WINOGRAD_H

#include "winograd_tiles.h"

/* A block's transformed input and products, in bytes: what L2 holds beside the weights that stream through. On a Zen 5
 * core (L2 1 MB), 128 -> 128 at 28 x 28 | 256 -> 256 at 14 x 14, batch 64: 512 KB 21.3 | 24.4 ms, 768 KB 21.5 | 23.5, 1
 * MB 21.5 | 25.6, 3 MB 22.4 | 27.2. */
#define WINO_BYTES (768 << 10)
/* But so many tiles at least, as all weights are read once a block: 512 -> 512 at 7 x 7 with 12 tiles 45 ms, 24 40 ms.
 */
#define WINO_LEAST 28
/* Units that there are at least, if the pictures have the tiles: 8 threads of uneven speed then end together. */
#define WINO_UNITS 16
#define WINO_CHANNELS 8 /* least on either side, see winograd_fits */

enum { WINO_FORWARD, WINO_GRAD_INPUT, WINO_GRAD_WEIGHT };

/* What prepare leaves for run in node->plan. "in" is what is read, "out" what is made: of the gradient of the input,
 * out are the input's channels. Sizes are in elements. */
typedef struct {
    int64_t images, in, out;               /* channels */
    int64_t h, w, p, q, pad_y, pad_x;      /* pictures read: h x w, made: p x q */
    int64_t tiles[2], half[2];             /* down, across: tiles of 4, and whether one of 2 follows */
    int64_t bn, by, bx;                    /* a block: images, and tiles down and across, the halves counted */
    int64_t blocks, blocks_y, blocks_x;    /* in all, and of a picture */
    int64_t row, group, point;             /* of the transformed input: between tiles, channel vectors, points */
    int64_t out_row, out_group, out_point; /* likewise, of the products; or of the gradient, for the weights' */
    int64_t panel;                         /* forward: of weights: from point to point */
    int64_t at_out, at_sum, at_picture; /* where these begin in a thread's scratch; the transformed input does at 0 */
    int64_t parts, chunks_in, chunk;    /* weights: units, see winograd_grad.h */
} winograd;
_Static_assert(sizeof(winograd) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* So many vectors, and one more where their number is even: neighbours that far apart share no set of a cache. */
GEMM_INLINE int64_t wino_odd(int64_t elements) {
    int64_t vectors = gemm_pieces(elements, GEMM_LANES);
    return (vectors + (vectors % 2 == 0)) * GEMM_LANES;
}

/* ---- blocks of tiles ---- */

/* Images n.., tiles y.. and x.. of them: so many full ones down and across, then a half one or none. */
typedef struct {
    int64_t n, images, y, x, tiles[2], half[2];
} wino_block;

static inline int64_t wino_tiles(const winograd *p, int dim) { return p->tiles[dim] + p->half[dim]; }

/* Cut the pictures into blocks of about so many tiles. */
static inline void wino_cut(winograd *p, int64_t most) {
    int64_t size[2] = {p->p, p->q};
    for (int d = 0; d < 2; d++) {
        p->half[d] = size[d] % 4 == 1 || size[d] % 4 == 2;
        p->tiles[d] = (size[d] + 1) / 4; /* the last of them may yield 3 */
    }
    int64_t down = wino_tiles(p, 0), across = wino_tiles(p, 1);
    p->bn = gemm_share(p->images, TG_MAX(most / (down * across), 1));
    p->bx = gemm_share(across, most);
    p->by = gemm_share(down, TG_MAX(most / p->bx, 1));
    p->blocks_y = gemm_pieces(down, p->by), p->blocks_x = gemm_pieces(across, p->bx);
    p->blocks = gemm_pieces(p->images, p->bn) * p->blocks_y * p->blocks_x;
}

static inline wino_block wino_block_at(const winograd *p, int64_t i) {
    wino_block b = {.n = i / (p->blocks_y * p->blocks_x) * p->bn};
    b.images = TG_MIN(p->bn, p->images - b.n);
    b.y = i / p->blocks_x % p->blocks_y * p->by, b.x = i % p->blocks_x * p->bx;
    b.tiles[0] = TG_MIN(p->by, p->tiles[0] - b.y), b.tiles[1] = TG_MIN(p->bx, p->tiles[1] - b.x);
    b.half[0] = b.y + p->by > p->tiles[0] && p->half[0];
    b.half[1] = b.x + p->bx > p->tiles[1] && p->half[1];
    return b;
}

/* Tiles of a block that have point (i, j): half ones lack points 4 and 5. At each point they lie side by side, first
 * those that are full both ways, then half across, half down, half both ways. */
GEMM_INLINE int64_t wino_count(const wino_block *b, int i, int j) {
    return b->images * (b->tiles[0] + (i < 4) * b->half[0]) * (b->tiles[1] + (j < 4) * b->half[1]);
}

/* A tile's place among those at a point, if it is number r, c of image n of the block: one for points (< 4 or not, < 4
 * across or not), of which a half tile uses some. */
typedef struct {
    int64_t at[2][2];
} wino_place;

static inline wino_place wino_place_of(const wino_block *b, int64_t n, int64_t r, int64_t c) {
    int64_t ty = b->tiles[0], tx = b->tiles[1], right = b->images * ty * b->half[1];
    int64_t at = r < ty && c < tx ? (n * ty + r) * tx + c : b->images * ty * tx;
    if (r < ty && c == tx) at += n * ty + r;
    if (r == ty) at += right + (c < tx ? n * tx + c : b->images * tx + n);
    /* Where tiles half across are missing, those half down move up. */
    int64_t up = r == ty && c < tx ? right : 0;
    return (wino_place){{{at, at - up}, {at, at}}};
}

/* ---- a vector of channels through its transform ---- */

/* One tile: ny x nx elements of a picture of `cols` vectors a row, to as many points. */
GEMM_INLINE void wino_tile_in(int ny, int nx, const real *picture, int64_t cols, real *to, int64_t point, int64_t row,
                              wino_place place) {
    gemm_vec t[WINO_POINTS][WINO_POINTS], e[WINO_POINTS];
    GEMM_UNROLL
    for (int x = 0; x < nx; x++) {
        gemm_vec d[WINO_POINTS];
        GEMM_UNROLL
        for (int y = 0; y < ny; y++) d[y] = wino_load(picture + (y * cols + x) * GEMM_LANES);
        wino_input(ny, d, e);
        GEMM_UNROLL
        for (int i = 0; i < ny; i++) t[i][x] = e[i];
    }
    GEMM_UNROLL
    for (int i = 0; i < ny; i++) {
        wino_input(nx, t[i], e);
        GEMM_UNROLL
        for (int j = 0; j < nx; j++)
            wino_store(to + (i * WINO_POINTS + j) * point + place.at[i / 4][j / 4] * row, e[j]);
    }
}

/* A block's transformed input, one vector of at most `planes` channels, which `from` points at in the first image. */
static inline void wino_block_in(const winograd *p, const wino_block *b, const real *from, int64_t planes,
                                 real *picture, real *to) {
    int64_t down = b->tiles[0] + b->half[0], across = b->tiles[1] + b->half[1];
    int64_t rows = 4 * b->tiles[0] + 2 * b->half[0] + 2, cols = 4 * b->tiles[1] + 2 * b->half[1] + 2;
    for (int64_t n = 0; n < b->images; n++, from += p->in * p->h * p->w) {
        wino_read(from, planes, p->h, p->w, 4 * b->y - p->pad_y, 4 * b->x - p->pad_x, rows, cols, picture);
        for (int64_t r = 0; r < down; r++)
            for (int64_t c = 0; c < across; c++) {
                const real *d = picture + 4 * (r * cols + c) * GEMM_LANES;
                wino_place place = wino_place_of(b, n, r, c);
                if (r < b->tiles[0] && c < b->tiles[1])
                    wino_tile_in(6, 6, d, cols, to, p->point, p->row, place);
                else if (r < b->tiles[0])
                    wino_tile_in(6, 4, d, cols, to, p->point, p->row, place);
                else if (c < b->tiles[1])
                    wino_tile_in(4, 6, d, cols, to, p->point, p->row, place);
                else
                    wino_tile_in(4, 4, d, cols, to, p->point, p->row, place);
            }
    }
}

/* One tile back from its points, plus bias: rows x cols elements of it to a picture of `width` vectors a row. */
GEMM_INLINE void wino_tile_out(int ny, int nx, const real *from, int64_t point, int64_t row, wino_place place,
                               gemm_vec bias, int relu, real *picture, int64_t width, int64_t rows, int64_t cols) {
    gemm_vec t[WINO_POINTS][WINO_POINTS], e[WINO_POINTS], y[4];
    GEMM_UNROLL
    for (int j = 0; j < nx; j++) {
        GEMM_UNROLL
        for (int i = 0; i < ny; i++)
            e[i] = wino_load(from + (i * WINO_POINTS + j) * point + place.at[i / 4][j / 4] * row);
        wino_output(ny, e, y);
        GEMM_UNROLL
        for (int i = 0; i < ny - 2; i++) t[i][j] = y[i];
    }
    GEMM_UNROLL
    for (int i = 0; i < ny - 2; i++) {
        if (i >= rows) break;
        wino_output(nx, t[i], y);
        GEMM_UNROLL
        for (int j = 0; j < nx - 2; j++) {
            gemm_vec v = y[j] + bias;
            if (relu) v = (gemm_vec)((wino_mask)v & ~(v <= 0)); /* a NaN stays */
            if (j < cols) wino_store(picture + (i * width + j) * GEMM_LANES, v);
        }
    }
}

/* A block of the result, one vector of at most `planes` channels, which `to` points at in the first image. */
static inline void wino_block_out(const winograd *p, const wino_block *b, const real *from, gemm_vec bias, int relu,
                                  int64_t planes, real *picture, real *to) {
    int64_t down = b->tiles[0] + b->half[0], across = b->tiles[1] + b->half[1];
    int64_t rows = TG_MIN(4 * down, p->p - 4 * b->y), cols = TG_MIN(4 * across, p->q - 4 * b->x);
    to += 4 * b->y * p->q + 4 * b->x;
    for (int64_t n = 0; n < b->images; n++, to += p->out * p->p * p->q) {
        for (int64_t r = 0; r < down; r++)
            for (int64_t c = 0; c < across; c++) {
                real *y = picture + 4 * (r * cols + c) * GEMM_LANES;
                wino_place at = wino_place_of(b, n, r, c);
                int64_t rs = rows - 4 * r, cs = cols - 4 * c;
                if (r < b->tiles[0] && c < b->tiles[1])
                    wino_tile_out(6, 6, from, p->out_point, p->out_row, at, bias, relu, y, cols, rs, cs);
                else if (r < b->tiles[0])
                    wino_tile_out(6, 4, from, p->out_point, p->out_row, at, bias, relu, y, cols, rs, cs);
                else if (c < b->tiles[1])
                    wino_tile_out(4, 6, from, p->out_point, p->out_row, at, bias, relu, y, cols, rs, cs);
                else
                    wino_tile_out(4, 4, from, p->out_point, p->out_row, at, bias, relu, y, cols, rs, cs);
            }
        int64_t run = cols == p->q ? rows : 1; /* rows that lie one behind the other */
        for (int64_t y = 0; y < rows; y += run)
            wino_scatter(picture + y * cols * GEMM_LANES, run * cols, to + y * p->q, p->p * p->q, planes);
    }
}

/* ---- weights: panels of GEMM_COLS results' channels, in each the points, in each rows of the channels read ---- */

#define WINO_ROWS 16 /* channels read in a unit of transforming weights */

GEMM_INLINE int64_t wino_panel_at(const winograd *p, int64_t k) { return k / GEMM_COLS * WINO_ALL * p->panel; }

static void wino_weights(const winograd *p, int which, const real *w, int64_t unit, real *aux, real *own) {
    int64_t pieces = gemm_pieces(p->in, WINO_ROWS), k0 = unit / pieces * GEMM_COLS, c0 = unit % pieces * WINO_ROWS;
    int64_t rows = TG_MIN(WINO_ROWS, p->in - c0), cols = GEMM_UP(TG_MIN(GEMM_COLS, p->out - k0), GEMM_LANES);
    real *panel = aux + wino_panel_at(p, k0) + c0 * cols;
    for (int64_t k = 0; k < cols; k += GEMM_LANES) {
        int64_t planes = p->out - k0 - k;
        if (which == WINO_FORWARD)
            wino_gather(w + (k0 + k) * p->in * 9 + c0 * 9, p->in * 9, planes, rows * 9, own, rows * 9, rows * 9);
        else
            for (int64_t c = 0; c < rows; c++)
                wino_gather(w + (c0 + c) * p->out * 9 + (k0 + k) * 9, 9, planes, 9, own + c * 9 * GEMM_LANES, 9, 9);
        for (int64_t c = 0; c < rows; c++) {
            const real *taps = own + c * 9 * GEMM_LANES;
            gemm_vec t[3][WINO_POINTS], d[3], e[WINO_POINTS];
            for (int x = 0; x < 3; x++) {
                /* The gradient of the input is a convolution with the weights turned by half a turn. */
                for (int y = 0; y < 3; y++)
                    d[y] = wino_load(taps + (which == WINO_FORWARD ? 3 * y + x : 8 - 3 * y - x) * GEMM_LANES);
                wino_weight(d, e);
                for (int i = 0; i < WINO_POINTS; i++) t[x][i] = e[i];
            }
            for (int i = 0; i < WINO_POINTS; i++) {
                for (int x = 0; x < 3; x++) d[x] = t[x][i];
                wino_weight(d, e);
                for (int j = 0; j < WINO_POINTS; j++)
                    wino_store(panel + (i * WINO_POINTS + j) * p->panel + c * cols + k, e[j]);
            }
        }
    }
}

/* ---- forward ---- */

static void wino_block_forward(const winograd *p, int64_t number, const real *x, const real *bias, int relu, real *y,
                               const real *aux, real *own) {
    wino_block b = wino_block_at(p, number);
    real *made = own + p->at_out, *picture = own + p->at_picture;
    x += b.n * p->in * p->h * p->w;
    y += b.n * p->out * p->p * p->q;
    for (int64_t c = 0; c < p->in; c += GEMM_LANES)
        wino_block_in(p, &b, x + c * p->h * p->w, p->in - c, picture, own + c / GEMM_LANES * p->group);
    int64_t depth = gemm_share(p->in, GEMM_K);
    for (int64_t k = 0; k < p->out; k += GEMM_COLS) {
        int64_t cols = GEMM_UP(TG_MIN(GEMM_COLS, p->out - k), GEMM_LANES);
        for (int point = 0; point < WINO_ALL; point++) {
            const real *v = own + point * p->point, *u = aux + wino_panel_at(p, k) + point * p->panel;
            real *m = made + point * p->out_point;
            int64_t n = wino_count(&b, point / WINO_POINTS, point % WINO_POINTS), height = gemm_share(n, GEMM_ROWS);
            for (int64_t c = 0; c < p->in; c += depth)
                for (int64_t i = 0; i < n; i += height)
                    gemm_tiles[TG_MIN(height, n - i) - 1][cols / GEMM_LANES - 1](
                        TG_MIN(depth, p->in - c), v + i * p->row + c, p->row, 1, u + c * cols, cols, m + i * p->out_row,
                        p->out_row, c > 0);
        }
        for (int64_t j = 0; j < cols; j += GEMM_LANES) {
            int64_t planes = p->out - k - j;
            real some[GEMM_LANES] = {0};
            if (bias) memcpy(some, bias + k + j, (size_t)TG_MIN(planes, GEMM_LANES) * sizeof(real));
            wino_block_out(p, &b, made + j, wino_load(some), relu, planes, picture, y + (k + j) * p->p * p->q);
        }
    }
}

static void wino_plan_forward(tg_node *node, winograd *p) {
    int64_t tiles = p->images * ((p->p + 1) / 4 + 1) * ((p->q + 1) / 4 + 1);
    int64_t room = WINO_BYTES / (WINO_ALL * (p->in + GEMM_COLS) * (int64_t)sizeof(real));
    wino_cut(p, TG_MAX(TG_MIN(TG_MAX(room, WINO_LEAST), tiles / WINO_UNITS), GEMM_ROWS));
    int64_t most = p->bn * p->by * p->bx;
    p->row = wino_odd(p->in), p->group = GEMM_LANES, p->point = wino_odd(most * p->row);
    p->out_row = GEMM_COLS, p->out_point = wino_odd(most * GEMM_COLS);
    p->panel = wino_odd(p->in * GEMM_COLS);
    p->at_out = WINO_ALL * p->point;
    p->at_picture = p->at_out + WINO_ALL * p->out_point;
    int64_t picture = (4 * p->by + 2) * (4 * p->bx + 2) * GEMM_LANES;
    node->phases = 2;
    node->units[0] = gemm_pieces(p->out, GEMM_COLS) * gemm_pieces(p->in, WINO_ROWS);
    node->units[1] = p->blocks;
    node->aux_bytes = gemm_pieces(p->out, GEMM_COLS) * WINO_ALL * p->panel * (int64_t)sizeof(real);
    node->own_bytes = (p->at_picture + TG_MAX(picture, WINO_ROWS * 9 * GEMM_LANES)) * (int64_t)sizeof(real);
}

#include "winograd_grad.h"

/* ---- what conv.c calls ---- */

/* Whether the node is better computed here: `which` as above. Direct over Winograd's time, forward, batch 64: 4 -> 32
 * at 28 x 28 about 0.95; 8 -> 8 0.95 (its weights 1.6), 8 -> 32 1.3, 16 -> 16 at 14 x 14 1.9, 64 -> 64 at 4 x 4 4.1, at
 * 1 x 1 1.7 (its weights 0.86). */
static int winograd_fits(const tg_node *node, int which) {
    const int64_t *n = node->ints + (which == WINO_FORWARD ? 0 : 2); /* strides, padding, dilation, groups */
    const tg_array *w = &node->args[which == WINO_GRAD_WEIGHT ? 0 : 2], *y = &node->args[which == WINO_FORWARD ? 0 : 1];
    if (!tg_winograd_get() || w->shape[2] != 3 || w->shape[3] != 3) return 0;
    if (n[0] != 1 || n[1] != 1 || n[4] != 1 || n[5] != 1 || n[6] != 1) return 0;
    if (n[2] > 2 || n[3] > 2) return 0;
    return y->shape[0] > 0 && y->shape[2] > 0 && y->shape[3] > 0 && w->shape[0] >= WINO_CHANNELS &&
           w->shape[1] >= WINO_CHANNELS;
}

static int winograd_prepare(tg_node *node, int which) {
    winograd *p = (winograd *)node->plan;
    const int64_t *pad = node->ints + (which == WINO_FORWARD ? 2 : 4);
    const tg_array *x = &node->args[which == WINO_GRAD_WEIGHT ? 2 : 1];
    const tg_array *y = &node->args[which == WINO_GRAD_WEIGHT ? 1 : 0];
    *p = (winograd){.images = x->shape[0], .in = x->shape[1], .out = y->shape[1], .h = x->shape[2], .w = x->shape[3]};
    p->p = y->shape[2], p->q = y->shape[3];
    p->pad_y = which == WINO_GRAD_INPUT ? 2 - pad[0] : pad[0];
    p->pad_x = which == WINO_GRAD_INPUT ? 2 - pad[1] : pad[1];
    if (which == WINO_GRAD_WEIGHT)
        wino_plan_weight_grad(node, p);
    else
        wino_plan_forward(node, p);
    return 0;
}

static void winograd_run(int which, const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const winograd *p = (const winograd *)node->plan;
    real *out = (real *)node->args[0].data, *aux = (real *)node->aux;
    const real *x = (const real *)node->args[1].data, *w = (const real *)node->args[2].data;
    const real *bias = which == WINO_FORWARD && node->n_args > 3 ? (const real *)node->args[3].data : NULL;
    int relu = which == WINO_FORWARD && node->ints[7] == 1;
    for (int64_t u = lo; u < hi; u++) {
        if (which == WINO_GRAD_WEIGHT && phase == 0)
            wino_weight_grad_part(p, u, x, w, aux, (real *)own);
        else if (which == WINO_GRAD_WEIGHT)
            wino_weight_grad_sum(p, u, aux, out, (real *)own);
        else if (phase == 0)
            wino_weights(p, which, w, u, aux, (real *)own);
        else
            wino_block_forward(p, u, x, bias, relu, out, aux, (real *)own);
    }
}

#endif

/* winograd_grad.h: the gradient of the weights, in the domain of Winograd's points.
 *
 * Inverts y = A^T [(G w G^T) * (B^T d B)] A: dw = G^T [sum over tiles (B^T d B) * (A dy A^T)] G. At each point the sum
 * is a product of matrices over tiles. Read next: winograd.h, which includes this file. */

/* A unit is a part of the blocks, for a chunk of input channels and one of output channels. Its sums at the points stay
 * in the thread's scratch; what it leaves in aux, a quarter as large, is its share of the gradient:
 * [part][vector of output channels][input channel][9][LANES]. Phase 1 adds the parts up in order. */
/* Channels of a chunk. Batch 64, 128 -> 128 at 28 x 28 | 256 -> 256 at 14 x 14: 64 30 | 39 ms, 128 24 | 31, 256 24
 * | 37. */
#define WINO_CHUNK 128
/* Tiles of a block, each of which reads and writes the sums: 49 23.8 | 29.7 ms, 98 24.5 | 30.9, 147 26.1 | 32.2. */
#define WINO_GRAD_TILES 64
/* 8 x 3 accumulators of 32 registers, or 4 x 3 of 16; rows are lanes of one vector. */
#define WINO_GRAD_ROWS TG_MIN(GEMM_LANES, GEMM_BYTES / 8)
#define WINO_GRAD_VECS 3

/* sum[rows][vecs] (+)= sum over n tiles of a[i] * b[j]. a: [tile][LANES], b: vecs times [tile][LANES], b_group apart.
 */
GEMM_INLINE void wino_grad_tile(int vecs, int64_t n, const real *a, const real *b, int64_t b_group, real *sum,
                                int add) {
    gemm_vec s[WINO_GRAD_ROWS][WINO_GRAD_VECS];
    GEMM_UNROLL
    for (int i = 0; i < WINO_GRAD_ROWS; i++) {
        GEMM_UNROLL
        for (int j = 0; j < vecs; j++) {
            s[i][j] = (gemm_vec){0};
            __builtin_prefetch(sum + (i * vecs + j) * GEMM_LANES, 1);
        }
    }
    for (int64_t t = 0; t < n; t++, a += GEMM_LANES, b += GEMM_LANES) {
        gemm_vec bv[WINO_GRAD_VECS];
        GEMM_UNROLL
        for (int j = 0; j < vecs; j++) bv[j] = wino_load(b + j * b_group);
        GEMM_UNROLL
        for (int i = 0; i < WINO_GRAD_ROWS; i++) {
            GEMM_UNROLL
            for (int j = 0; j < vecs; j++) s[i][j] += a[i] * bv[j];
        }
    }
    GEMM_UNROLL
    for (int i = 0; i < WINO_GRAD_ROWS; i++) {
        GEMM_UNROLL
        for (int j = 0; j < vecs; j++) {
            real *to = sum + (i * vecs + j) * GEMM_LANES;
            wino_store(to, add ? wino_load(to) + s[i][j] : s[i][j]);
        }
    }
}

static void wino_grad_tiles(int64_t vecs, int64_t n, const real *a, const real *b, int64_t b_group, real *sum,
                            int add) {
    if (vecs == 3)
        wino_grad_tile(3, n, a, b, b_group, sum, add);
    else if (vecs == 2)
        wino_grad_tile(2, n, a, b, b_group, sum, add);
    else
        wino_grad_tile(1, n, a, b, b_group, sum, add);
}

/* One tile of the gradient of the result: ny - 2 x nx - 2 elements to ny x nx points. */
GEMM_INLINE void wino_tile_grad(int ny, int nx, const real *picture, int64_t cols, real *to, int64_t point, int64_t row,
                                wino_place place) {
    gemm_vec t[WINO_POINTS][4], y[4], e[WINO_POINTS];
    GEMM_UNROLL
    for (int c = 0; c < nx - 2; c++) {
        GEMM_UNROLL
        for (int r = 0; r < ny - 2; r++) y[r] = wino_load(picture + (r * cols + c) * GEMM_LANES);
        wino_output_grad(ny, y, e);
        GEMM_UNROLL
        for (int i = 0; i < ny; i++) t[i][c] = e[i];
    }
    GEMM_UNROLL
    for (int i = 0; i < ny; i++) {
        wino_output_grad(nx, t[i], e);
        GEMM_UNROLL
        for (int j = 0; j < nx; j++)
            wino_store(to + (i * WINO_POINTS + j) * point + place.at[i / 4][j / 4] * row, e[j]);
    }
}

/* A block's transformed gradient, one vector of at most `planes` channels. */
static inline void wino_block_grad(const winograd *p, const wino_block *b, const real *from, int64_t planes,
                                   real *picture, real *to) {
    int64_t down = b->tiles[0] + b->half[0], across = b->tiles[1] + b->half[1];
    int64_t rows = 4 * b->tiles[0] + 2 * b->half[0], cols = 4 * b->tiles[1] + 2 * b->half[1];
    for (int64_t n = 0; n < b->images; n++, from += p->out * p->p * p->q) {
        wino_read(from, planes, p->p, p->q, 4 * b->y, 4 * b->x, rows, cols, picture);
        for (int64_t r = 0; r < down; r++)
            for (int64_t c = 0; c < across; c++) {
                const real *y = picture + 4 * (r * cols + c) * GEMM_LANES;
                wino_place place = wino_place_of(b, n, r, c);
                if (r < b->tiles[0] && c < b->tiles[1])
                    wino_tile_grad(6, 6, y, cols, to, p->out_point, p->out_row, place);
                else if (r < b->tiles[0])
                    wino_tile_grad(6, 4, y, cols, to, p->out_point, p->out_row, place);
                else if (c < b->tiles[1])
                    wino_tile_grad(4, 6, y, cols, to, p->out_point, p->out_row, place);
                else
                    wino_tile_grad(4, 4, y, cols, to, p->out_point, p->out_row, place);
            }
    }
}

static void wino_weight_grad_part(const winograd *p, int64_t unit, const real *dy, const real *x, real *aux,
                                  real *own) {
    int64_t part = unit % p->parts, c0 = unit / p->parts % p->chunks_in * p->chunk;
    int64_t k0 = unit / p->parts / p->chunks_in * p->chunk;
    int64_t channels = TG_MIN(p->chunk, p->in - c0), made = TG_MIN(p->chunk, p->out - k0);
    int64_t rows = GEMM_UP(channels, WINO_GRAD_ROWS), vectors = gemm_pieces(made, GEMM_LANES);
    real *grads = own + p->at_out, *sum = own + p->at_sum, *picture = own + p->at_picture;
    int64_t first = part * p->blocks / p->parts, last = (part + 1) * p->blocks / p->parts;
    for (int64_t i = first; i < last; i++) {
        wino_block b = wino_block_at(p, i);
        for (int64_t c = 0; c < channels; c += GEMM_LANES)
            wino_block_in(p, &b, x + (b.n * p->in + c0 + c) * p->h * p->w, channels - c, picture,
                          own + c / GEMM_LANES * p->group);
        for (int64_t k = 0; k < made; k += GEMM_LANES)
            wino_block_grad(p, &b, dy + (b.n * p->out + k0 + k) * p->p * p->q, made - k, picture,
                            grads + k / GEMM_LANES * p->out_group);
        for (int point = 0; point < WINO_ALL; point++) {
            int64_t n = wino_count(&b, point / WINO_POINTS, point % WINO_POINTS);
            real *s = sum + point * p->panel; /* [up to 3 vectors][row][vector][LANES] */
            for (int64_t v = 0; v < vectors; v += WINO_GRAD_VECS) {
                int64_t vecs = TG_MIN(WINO_GRAD_VECS, vectors - v);
                for (int64_t c = 0; c < rows; c += WINO_GRAD_ROWS, s += WINO_GRAD_ROWS * vecs * GEMM_LANES)
                    wino_grad_tiles(vecs, n, own + point * p->point + c / GEMM_LANES * p->group + c % GEMM_LANES,
                                    grads + point * p->out_point + v * p->out_group, p->out_group, s, i > first);
            }
        }
    }
    for (int64_t v = 0; v < vectors; v++) {
        int64_t v0 = v / WINO_GRAD_VECS * WINO_GRAD_VECS, vecs = TG_MIN(WINO_GRAD_VECS, vectors - v0);
        const real *from = sum + (v0 * rows + v - v0) * GEMM_LANES;
        real *to = aux + ((part * gemm_pieces(p->out, GEMM_LANES) + k0 / GEMM_LANES + v) * p->in + c0) * 9 * GEMM_LANES;
        for (int64_t c = 0; c < channels; c++, from += vecs * GEMM_LANES) {
            gemm_vec t[3][WINO_POINTS], e[WINO_POINTS], w[3];
            for (int j = 0; j < WINO_POINTS; j++) {
                for (int i = 0; i < WINO_POINTS; i++) e[i] = wino_load(from + (i * WINO_POINTS + j) * p->panel);
                wino_weight_grad(e, w);
                for (int y = 0; y < 3; y++) t[y][j] = w[y];
            }
            for (int y = 0; y < 3; y++) {
                wino_weight_grad(t[y], w);
                for (int z = 0; z < 3; z++, to += GEMM_LANES) wino_store(to, w[z]);
            }
        }
    }
}

/* dw of WINO_ROWS input channels and a vector of output channels: the parts one after the other. */
static void wino_weight_grad_sum(const winograd *p, int64_t unit, const real *aux, real *dw, real *own) {
    int64_t pieces = gemm_pieces(p->in, WINO_ROWS), k = unit / pieces, c0 = unit % pieces * WINO_ROWS;
    int64_t n = TG_MIN(WINO_ROWS, p->in - c0) * 9;
    int64_t part = gemm_pieces(p->out, GEMM_LANES) * p->in * 9 * GEMM_LANES;
    const real *from = aux + (k * p->in + c0) * 9 * GEMM_LANES;
    for (int64_t i = 0; i < n * GEMM_LANES; i += GEMM_LANES) {
        gemm_vec s = wino_load(from + i);
        for (int64_t q = 1; q < p->parts; q++) s += wino_load(from + q * part + i);
        wino_store(own + i, s);
    }
    k *= GEMM_LANES;
    wino_scatter(own, n, dw + (k * p->in + c0) * 9, p->in * 9, p->out - k);
}

static void wino_plan_weight_grad(tg_node *node, winograd *p) {
    wino_cut(p, WINO_GRAD_TILES);
    int64_t most = p->bn * p->by * p->bx;
    p->chunk = WINO_CHUNK;
    p->chunks_in = gemm_pieces(p->in, p->chunk);
    int64_t chunks = p->chunks_in * gemm_pieces(p->out, p->chunk);
    p->parts = TG_MIN(gemm_pieces(WINO_UNITS, chunks), p->blocks);
    int64_t in = GEMM_UP(TG_MIN(p->in, p->chunk), GEMM_LANES), out = GEMM_UP(TG_MIN(p->out, p->chunk), GEMM_LANES);
    p->row = p->out_row = GEMM_LANES;
    p->group = p->out_group = wino_odd(most * GEMM_LANES);
    p->point = wino_odd(in / GEMM_LANES * p->group), p->out_point = wino_odd(out / GEMM_LANES * p->out_group);
    p->panel = wino_odd(in * out); /* here, of sums */
    p->at_out = WINO_ALL * p->point;
    p->at_sum = p->at_out + WINO_ALL * p->out_point;
    p->at_picture = p->at_sum + WINO_ALL * p->panel;
    int64_t picture = (4 * p->by + 2) * (4 * p->bx + 2) * GEMM_LANES, weights = WINO_ROWS * 9 * GEMM_LANES;
    int64_t share = gemm_pieces(p->out, GEMM_LANES) * p->in * 9 * GEMM_LANES;
    node->phases = 2;
    node->units[0] = p->parts * chunks;
    node->units[1] = gemm_pieces(p->out, GEMM_LANES) * gemm_pieces(p->in, WINO_ROWS);
    node->aux_bytes = p->parts * share * (int64_t)sizeof(real);
    node->own_bytes = (p->at_picture + TG_MAX(picture, weights)) * (int64_t)sizeof(real);
}

/* max_pool.c: the largest element of every window, by its place in the window, and the gradient of that.
 *
 * The formulas are those of ops/pool.py. A place is row * kernel width + column within the window, a byte, so that the
 * gradient reads a quarter of what positions would take, and the input not at all. Windows of 2 x 2 without overlap
 * have loops of their own: they are nearly all that networks use. Read next: pool.h. */
#include "pool.h"

enum { PLACES = 256 };

#if TG_TYPE_IS == 1
typedef int32_t lane; /* as wide as an element, so that both fill vectors of one length */
#else
typedef int64_t lane;
#endif

/* ---- the largest, windows of 2 x 2: rows a and b of x ---- */

static ALWAYS_INLINE void largest_of_4(const real *a, const real *b, real *restrict y, uint8_t *restrict places,
                                       int n) {
    lane at[16];
    _Pragma("omp simd") for (int l = 0; l < n; l++) {
        real v = a[2 * l], next;
        lane place = 0, larger;
        next = a[2 * l + 1], larger = (next > v) | (next != next), v = larger ? next : v, place = larger ? 1 : place;
        next = b[2 * l], larger = (next > v) | (next != next), v = larger ? next : v, place = larger ? 2 : place;
        next = b[2 * l + 1], larger = (next > v) | (next != next), v = larger ? next : v, place = larger ? 3 : place;
        y[l] = v, at[l] = place;
    }
    for (int l = 0; l < n; l++) places[l] = (uint8_t)at[l];
}

static ALWAYS_INLINE void pick_of_4(const real *a, const real *b, const uint8_t *places, real *restrict y, int n) {
    _Pragma("omp simd") for (int l = 0; l < n; l++) {
        lane place = places[l];
        real upper = place == 1 ? a[2 * l + 1] : a[2 * l], lower = place == 3 ? b[2 * l + 1] : b[2 * l];
        y[l] = place < 2 ? upper : place < 4 ? lower : 0;
    }
}

/* g at the place of each window, zeros at the others: inverts the two above. */
static ALWAYS_INLINE void put_among_4(const real *g, const uint8_t *places, real *restrict a, real *restrict b, int n) {
    _Pragma("omp simd") for (int l = 0; l < n; l++) {
        lane place = places[l];
        a[2 * l] = place == 0 ? g[l] : 0, a[2 * l + 1] = place == 1 ? g[l] : 0;
        b[2 * l] = place == 2 ? g[l] : 0, b[2 * l + 1] = place == 3 ? g[l] : 0;
    }
}

/* ---- the largest, any window ---- */

/* The first of a window's places along dimension d that is not padding. */
static inline int64_t first_place(const plan *g, int d, int64_t window) {
    int64_t before = g->padding[d] - window * g->stride[d];
    return before > 0 ? divide_up(before, g->dilation[d]) : 0;
}

/* The windows of a row of n that have their place number s inside the row: from *lo to *hi - 1. */
static inline void windows_inside(const plan *g, int64_t s, int64_t *lo, int64_t *hi) {
    int64_t shift = s * g->dilation[1] - g->padding[1], room = g->w - 1 - shift;
    *lo = shift < 0 ? divide_up(-shift, g->stride[1]) : 0;
    *hi = room < 0 ? 0 : TG_MIN(room / g->stride[1] + 1, g->q);
}

static ALWAYS_INLINE void keep_larger(const real *x, int64_t step, int64_t lo, int64_t hi, lane code, real *restrict y,
                                      lane *restrict codes) {
    _Pragma("omp simd") for (int64_t j = lo; j < hi; j++) {
        real v = x[j * step];
        lane larger = (v > y[j]) | (v != v);
        y[j] = larger ? v : y[j], codes[j] = larger ? code : codes[j];
    }
}

/* Row p of the maxima of plane x, into y, and for each the code row * down + column * across of its place. `first`: the
 * first column of each window that is not padding; bounds: windows_inside of each column of the kernel. */
static void largest_in_row(const plan *g, const real *x, int64_t p, int64_t down, int64_t across, const lane *first,
                           const int64_t *bounds, real *y, lane *codes) {
    lane top = (lane)(first_place(g, 0, p) * down);
    for (int64_t j = 0; j < g->q; j++) y[j] = -(real)INFINITY, codes[j] = top + first[j] * (lane)across;
    for (int64_t r = 0; r < g->kernel[0]; r++) {
        int64_t row = p * g->stride[0] - g->padding[0] + r * g->dilation[0];
        if (row < 0 || row >= g->h) continue;
        for (int64_t s = 0; s < g->kernel[1]; s++) {
            const real *from = x + row * g->w + s * g->dilation[1] - g->padding[1];
            int64_t lo = bounds[2 * s], hi = bounds[2 * s + 1];
            lane code = (lane)(r * down + s * across);
            if (g->stride[1] == 1)
                keep_larger(from, 1, lo, hi, code, y, codes);
            else if (g->stride[1] == 2)
                keep_larger(from, 2, lo, hi, code, y, codes);
            else
                keep_larger(from, g->stride[1], lo, hi, code, y, codes);
        }
    }
}

/* A thread's scratch: codes and first columns of a row, values of a row, bounds. */
static int64_t row_scratch(const plan *g) {
    return g->q * (int64_t)(2 * sizeof(lane) + sizeof(real)) + 2 * g->kernel[1] * (int64_t)sizeof(int64_t);
}

typedef struct {
    int64_t *bounds;
    lane *codes, *first;
    real *values;
} scratch;

static scratch scratch_of(const plan *g, char *own) {
    scratch s = {.bounds = (int64_t *)own};
    s.codes = (lane *)(s.bounds + 2 * g->kernel[1]), s.first = s.codes + g->q, s.values = (real *)(s.first + g->q);
    for (int64_t k = 0; k < g->kernel[1]; k++) windows_inside(g, k, &s.bounds[2 * k], &s.bounds[2 * k + 1]);
    for (int64_t j = 0; j < g->q; j++) s.first[j] = (lane)first_place(g, 1, j);
    return s;
}

/* args y, x, places (a second output); ints: kernel, stride, padding, dilation (two each), ceil_mode */
static int max_pool2d_prepare(tg_node *node) {
    plan *g = (plan *)node->plan;
    if (planes_prepare(node, 1, 0)) return 1;
    read_window(node, 0, 1);
    if (g->kernel[0] * g->kernel[1] > PLACES) return 1;
    node->own_bytes = g->whole ? 0 : row_scratch(g);
    return 0;
}

static void max_pool2d_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    uint8_t *all_places = (uint8_t *)node->args[2].data;
    scratch s = {0};
    if (!g->whole) s = scratch_of(g, own);
    EACH_PLANE(g, lo, hi) {
        const real *x = plane_of(node, 1, plane, g->h * g->w);
        real *y = plane_of(node, 0, plane, g->p * g->q);
        uint8_t *places = all_places + plane * g->p * g->q;
        for (int64_t p = 0; p < g->p; p++, y += g->q, places += g->q) {
            if (g->whole) {
                const real *a = x + 2 * p * g->w, *b = a + g->w;
#define STEP(j, n) largest_of_4(a + 2 * (j), b + 2 * (j), y + (j), places + (j), n)
                BLOCKS(g->q, STEP);
#undef STEP
            } else {
                largest_in_row(g, x, p, g->kernel[1], 1, s.first, s.bounds, y, s.codes);
                for (int64_t j = 0; j < g->q; j++) places[j] = (uint8_t)s.codes[j];
            }
        }
    }
}

/* args indices (int64), x; ints as for max_pool2d. The position in the plane is that of the window and the place's. */
static int max_pool2d_indices_prepare(tg_node *node) {
    plan *g = (plan *)node->plan;
    if (planes_prepare(node, 1, 0)) return 1;
    read_window(node, 0, 1);
    if (g->h * g->w > INT32_MAX / 2 || g->kernel[0] * g->dilation[0] * g->w > INT32_MAX / 2)
        return 1; /* a lane's range */
    node->own_bytes = row_scratch(g);
    return 0;
}

static void max_pool2d_indices_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    scratch s = scratch_of(g, own);
    EACH_PLANE(g, lo, hi) {
        const real *x = plane_of(node, 1, plane, g->h * g->w);
        int64_t *indices = (int64_t *)node->args[0].data + plane * g->p * g->q;
        for (int64_t p = 0; p < g->p; p++, indices += g->q) {
            int64_t corner = (p * g->stride[0] - g->padding[0]) * g->w - g->padding[1];
            largest_in_row(g, x, p, g->dilation[0] * g->w, g->dilation[1], s.first, s.bounds, s.values, s.codes);
            for (int64_t j = 0; j < g->q; j++)
                indices[j] = TG_MIN(corner + j * g->stride[1] + s.codes[j], g->h * g->w - 1);
        }
    }
}

/* args indices (int64), x; ints: p, q, which the output's shape says too */
static int adaptive_max_pool2d_indices_prepare(tg_node *node) { return planes_prepare(node, 1, 0); }

static void adaptive_max_pool2d_indices_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const plan *g = (const plan *)node->plan;
    EACH_PLANE(g, lo, hi) {
        const real *x = plane_of(node, 1, plane, g->h * g->w);
        int64_t *indices = (int64_t *)node->args[0].data + plane * g->p * g->q;
        for (int64_t p = 0; p < g->p; p++)
            for (int64_t q = 0; q < g->q; q++) {
                int64_t top = window_begin(p, g->p, g->h), bottom = window_end(p, g->p, g->h);
                int64_t left = window_begin(q, g->q, g->w), right = window_end(q, g->q, g->w);
                int64_t best = top * g->w + left;
                real largest = -(real)INFINITY;
                for (int64_t row = top; row < bottom; row++)
                    for (int64_t column = left; column < right; column++) {
                        real v = x[row * g->w + column];
                        if (v > largest || v != v) largest = v, best = row * g->w + column;
                    }
                *indices++ = best;
            }
    }
}

/* ---- picking at places and putting back there ---- */

/* The rows and columns of all places, relative to a window's corner; far outside for bytes that are no place. */
typedef struct {
    int64_t row[PLACES], column[PLACES];
} place_table;

static void fill_table(const plan *g, place_table *t) {
    for (int64_t k = 0; k < PLACES; k++) {
        int none = k >= g->kernel[0] * g->kernel[1];
        t->row[k] = none ? INT64_MAX / 2 : k / g->kernel[1] * g->dilation[0];
        t->column[k] = k % g->kernel[1] * g->dilation[1];
    }
}

/* Where in its plane window (p, q) has that place, or -1 for one in the padding. */
static inline int64_t position(const plan *g, const place_table *t, int64_t p, int64_t q, uint8_t place) {
    int64_t row = p * g->stride[0] - g->padding[0] + t->row[place];
    int64_t column = q * g->stride[1] - g->padding[1] + t->column[place];
    return row < 0 || row >= g->h || column < 0 || column >= g->w ? -1 : row * g->w + column;
}

/* args y, x, places; ints as for max_pool2d but ceil_mode */
static int max_pool2d_pick_prepare(tg_node *node) {
    plan *g = (plan *)node->plan;
    if (planes_prepare(node, 1, 0)) return 1;
    read_window(node, 0, 1);
    node->own_bytes = g->whole ? 0 : sizeof(place_table);
    return 0;
}

static void max_pool2d_pick_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    place_table *table = (place_table *)own;
    if (!g->whole) fill_table(g, table);
    EACH_PLANE(g, lo, hi) {
        const real *x = plane_of(node, 1, plane, g->h * g->w);
        real *y = plane_of(node, 0, plane, g->p * g->q);
        const uint8_t *places = (const uint8_t *)node->args[2].data + plane * g->p * g->q;
        for (int64_t p = 0; p < g->p; p++, y += g->q, places += g->q) {
            if (g->whole) {
                const real *a = x + 2 * p * g->w, *b = a + g->w;
#define STEP(j, n) pick_of_4(a + 2 * (j), b + 2 * (j), places + (j), y + (j), n)
                BLOCKS(g->q, STEP);
#undef STEP
                continue;
            }
            for (int64_t q = 0; q < g->q; q++) {
                int64_t at = position(g, table, p, q, places[q]);
                y[q] = at < 0 ? 0 : x[at];
            }
        }
    }
}

/* args dx, g, places; ints: h, w, then as for max_pool2d_pick. dx[window's place] += g */
static int max_pool2d_grad_prepare(tg_node *node) {
    plan *g = (plan *)node->plan;
    if (planes_prepare(node, 0, 1)) return 1;
    read_window(node, 2, 1);
    node->own_bytes = g->whole ? 0 : sizeof(place_table);
    return 0;
}

static void max_pool2d_grad_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    place_table *table = (place_table *)own;
    if (!g->whole) fill_table(g, table);
    EACH_PLANE(g, lo, hi) {
        real *dx = plane_of(node, 0, plane, g->h * g->w);
        const real *dy = plane_of(node, 1, plane, g->p * g->q);
        const uint8_t *places = (const uint8_t *)node->args[2].data + plane * g->p * g->q;
        if (!g->whole) memset(dx, 0, (size_t)(g->h * g->w) * sizeof(real));
        for (int64_t p = 0; p < g->p; p++, dy += g->q, places += g->q) {
            if (g->whole) {
                real *a = dx + 2 * p * g->w, *b = a + g->w;
#define STEP(j, n) put_among_4(dy + (j), places + (j), a + 2 * (j), b + 2 * (j), n)
                BLOCKS(g->q, STEP);
#undef STEP
                for (int64_t j = 2 * g->q; j < g->w; j++) a[j] = b[j] = 0;
                continue;
            }
            for (int64_t q = 0; q < g->q; q++) {
                int64_t at = position(g, table, p, q, places[q]);
                if (at >= 0) dx[at] += dy[q];
            }
        }
        if (g->whole) memset(dx + 2 * g->p * g->w, 0, (size_t)((g->h - 2 * g->p) * g->w) * sizeof(real));
    }
}

TG_TABLE(max_pool) = {
    {"max_pool2d", max_pool2d_prepare, max_pool2d_run},
    {"max_pool2d_indices", max_pool2d_indices_prepare, max_pool2d_indices_run},
    {"max_pool2d_pick", max_pool2d_pick_prepare, max_pool2d_pick_run},
    {"max_pool2d_grad", max_pool2d_grad_prepare, max_pool2d_grad_run},
    {"adaptive_max_pool2d_indices", adaptive_max_pool2d_indices_prepare, adaptive_max_pool2d_indices_run},
    {0},
};

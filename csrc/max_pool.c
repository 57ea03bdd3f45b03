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
typedef lane lanes __attribute__((vector_size(WIDE * sizeof(lane)), aligned(sizeof(lane)), may_alias));

/* ---- the largest, windows of 2 x 2: rows a and b of x ---- */

static ALWAYS_INLINE void largest_of_4(const real *a, const real *b, real *restrict y, uint8_t *restrict places,
                                       int n) {
    lane at[WIDE];
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
        real a0 = a[2 * l], a1 = a[2 * l + 1], b0 = b[2 * l], b1 = b[2 * l + 1];
        real upper = place == 1 ? a1 : a0, lower = place == 3 ? b1 : b0;
        y[l] = place < 2 ? upper : place < 4 ? lower : 0;
    }
}

/* g at the place of each window, zeros at the others: inverts the two above. Read first, stored unconditionally, or GCC
 * makes no vectors of it: 10.5 ms instead of 0.9 for 64 x 128 x 28 x 28. */
static ALWAYS_INLINE void put_among_4(const real *g, const uint8_t *places, real *restrict a, real *restrict b, int n) {
    lane at[WIDE];
    real v[WIDE];
    for (int l = 0; l < n; l++) at[l] = places[l], v[l] = g[l];
    _Pragma("omp simd") for (int l = 0; l < n; l++) {
        real a0 = at[l] == 0 ? v[l] : 0, a1 = at[l] == 1 ? v[l] : 0;
        real b0 = at[l] == 2 ? v[l] : 0, b1 = at[l] == 3 ? v[l] : 0;
        a[2 * l] = a0, a[2 * l + 1] = a1, b[2 * l] = b0, b[2 * l + 1] = b1;
    }
}

/* ---- the largest, any window ---- */

/* The first of a window's places along dimension d that is not padding. */
static inline int64_t first_place(const plan *g, int d, int64_t window) {
    int64_t before = g->padding[d] - window * g->stride[d];
    return before > 0 ? divide_up(before, g->dilation[d]) : 0;
}

/* A thread's scratch: a sheet, and values, codes and first codes of a row. */
typedef struct {
    sheet sheet;
    real *values;
    lane *codes, *first;
} scratch;

/* A row of maxima and the codes row * down + column * across of their places, into the scratch. The windows of the row
 * begin at x; `top` and first[] make the codes of their first places that are not padding. */
static ALWAYS_INLINE void largest_in_windows(const plan *g, const real *x, int64_t height, int64_t width, int64_t down,
                                             int64_t across, lane top, const scratch *to) {
    for (int64_t j = 0; j < g->q; j += WIDE, x += WIDE) {
        vec best = -(real)INFINITY - (vec){0};
        lanes at = top + *(const lanes *)(to->first + j);
        for (int64_t r = 0; r < height; r++)
            for (int64_t s = 0; s < width; s++) {
                vec next = *(const vec *)(x + r * g->dilation[0] * to->sheet.width + to->sheet.taps[s]);
                lanes larger = (next > best) | (next != next), code = (lane)(r * down + s * across) - (lanes){0};
                best = (vec)(((lanes)next & larger) | ((lanes)best & ~larger));
                at = (code & larger) | (at & ~larger);
            }
        *(vec *)(to->values + j) = best, *(lanes *)(to->codes + j) = at;
    }
}

static int64_t scratch_bytes(const plan *g) {
    return sheet_bytes(g) + in_row(g) * (int64_t)(2 * sizeof(lane) + sizeof(real));
}

static scratch scratch_of(const plan *g, char *own, int64_t across) {
    scratch s = {.sheet = sheet_of(g, own, -(real)INFINITY)};
    s.values = (real *)(own + sheet_bytes(g)), s.codes = (lane *)(s.values + in_row(g)), s.first = s.codes + in_row(g);
    for (int64_t j = 0; j < in_row(g); j++) s.first[j] = (lane)(first_place(g, 1, j) * across);
    return s;
}

/* Row p of the maxima of a plane on its sheet. Loops of a constant length stay in registers. */
static void largest_in_row(const plan *g, const real *x, int64_t p, int64_t down, int64_t across, const scratch *s) {
    const real *from = x + p * g->stride[0] * s->sheet.width;
    lane top = (lane)(first_place(g, 0, p) * down);
    if (g->kernel[0] == 3 && g->kernel[1] == 3)
        largest_in_windows(g, from, 3, 3, down, across, top, s);
    else
        largest_in_windows(g, from, g->kernel[0], g->kernel[1], down, across, top, s);
}

/* places[l] = codes[l] */
static ALWAYS_INLINE void bytes_of(const lane *codes, uint8_t *restrict places, int n) {
    for (int l = 0; l < n; l++) places[l] = (uint8_t)codes[l];
}

/* args y, x, places (a second output); ints: kernel, stride, padding, dilation (two each), ceil_mode */
static int max_pool2d_prepare(tg_node *node) {
    plan *g = (plan *)node->plan;
    if (planes_prepare(node, 1, 0)) return 1;
    read_window(node, 0, 1);
    if (g->kernel[0] * g->kernel[1] > PLACES) return 1;
    node->own_bytes = g->whole ? 0 : scratch_bytes(g);
    return 0;
}

static void max_pool2d_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    uint8_t *all_places = (uint8_t *)node->args[2].data;
    scratch s = {0};
    if (!g->whole) s = scratch_of(g, own, 1);
    EACH_PLANE(g, lo, hi) {
        const real *x = plane_of(node, 1, plane, g->h * g->w);
        real *y = plane_of(node, 0, plane, g->p * g->q);
        uint8_t *places = all_places + plane * g->p * g->q;
        if (!g->whole) x = on_sheet(g, &s.sheet, x);
        for (int64_t p = 0; p < g->p; p++, y += g->q, places += g->q) {
            if (g->whole) {
                const real *a = x + 2 * p * g->w, *b = a + g->w;
#define STEP(j, n) largest_of_4(a + 2 * (j), b + 2 * (j), y + (j), places + (j), n)
                BLOCKS(g->q, STEP);
#undef STEP
            } else {
                largest_in_row(g, x, p, g->kernel[1], 1, &s);
                copy_row(y, s.values, g->q);
#define STEP(j, n) bytes_of(s.codes + (j), places + (j), n)
                BLOCKS(g->q, STEP);
#undef STEP
            }
        }
    }
}

/* args indices (int64), x; ints as for max_pool2d. The position in the plane is that of the window and the place's. */
static int max_pool2d_indices_prepare(tg_node *node) {
    plan *g = (plan *)node->plan;
    if (planes_prepare(node, 1, 0)) return 1;
    read_window(node, 0, 1);
    if (g->kernel[0] * g->dilation[0] * g->w > INT32_MAX / 2) return 1; /* a code's range */
    node->own_bytes = scratch_bytes(g);
    return 0;
}

static void max_pool2d_indices_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    scratch s = scratch_of(g, own, g->dilation[1]);
    EACH_PLANE(g, lo, hi) {
        const real *x = on_sheet(g, &s.sheet, plane_of(node, 1, plane, g->h * g->w));
        int64_t *indices = (int64_t *)node->args[0].data + plane * g->p * g->q;
        for (int64_t p = 0; p < g->p; p++, indices += g->q) {
            int64_t corner = (p * g->stride[0] - g->padding[0]) * g->w - g->padding[1];
            largest_in_row(g, x, p, g->dilation[0] * g->w, g->dilation[1], &s);
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

/* How far each place lies from its window's corner. A byte that is no place lies outside of every plane. */
typedef struct {
    int64_t row[PLACES], column[PLACES];
} offsets;

static void find_offsets(const plan *g, offsets *o) {
    for (int64_t k = 0; k < PLACES; k++) {
        o->row[k] = k < g->kernel[0] * g->kernel[1] ? k / g->kernel[1] * g->dilation[0] : INT64_MIN / 2;
        o->column[k] = k % g->kernel[1] * g->dilation[1];
    }
}

/* Where in the plane the place of a window is whose corner is at (top, left), or -1: in the padding, perhaps. */
static inline int64_t position_of(const plan *g, const offsets *o, int64_t top, int64_t left, uint8_t place) {
    int64_t row = top + o->row[place], column = left + o->column[place];
    int inside = (uint64_t)row < (uint64_t)g->h && (uint64_t)column < (uint64_t)g->w;
    return inside ? row * g->w + column : -1;
}

/* args y, x, places; ints as for max_pool2d but ceil_mode */
static int max_pool2d_pick_prepare(tg_node *node) {
    if (planes_prepare(node, 1, 0)) return 1;
    read_window(node, 0, 1);
    return 0;
}

static void max_pool2d_pick_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    offsets o;
    find_offsets(g, &o);
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
            int64_t top = p * g->stride[0] - g->padding[0], left = -g->padding[1];
            for (int64_t q = 0; q < g->q; q++, left += g->stride[1]) {
                int64_t at = position_of(g, &o, top, left, places[q]);
                y[q] = at < 0 ? 0 : x[at];
            }
        }
    }
}

/* args dx, g, places; ints: h, w, then as for max_pool2d_pick. dx[window's place] += g */
static int max_pool2d_grad_prepare(tg_node *node) {
    if (planes_prepare(node, 0, 1)) return 1;
    read_window(node, 2, 1);
    return 0;
}

static void put_among_whole(const plan *g, const real *dy, const uint8_t *places, real *dx) {
    for (int64_t p = 0; p < g->p; p++, dy += g->q, places += g->q) {
        real *a = dx + 2 * p * g->w, *b = a + g->w;
#define STEP(j, n) put_among_4(dy + (j), places + (j), a + 2 * (j), b + 2 * (j), n)
        BLOCKS(g->q, STEP);
#undef STEP
        for (int64_t j = 2 * g->q; j < g->w; j++) a[j] = b[j] = 0;
    }
    memset(dx + 2 * g->p * g->w, 0, (size_t)((g->h - 2 * g->p) * g->w) * sizeof(real));
}

static void max_pool2d_grad_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    offsets o;
    find_offsets(g, &o);
    EACH_PLANE(g, lo, hi) {
        real *dx = plane_of(node, 0, plane, g->h * g->w);
        const real *dy = plane_of(node, 1, plane, g->p * g->q);
        const uint8_t *places = (const uint8_t *)node->args[2].data + plane * g->p * g->q;
        if (g->whole) {
            put_among_whole(g, dy, places, dx);
            continue;
        }
        memset(dx, 0, (size_t)(g->h * g->w) * sizeof(real));
        for (int64_t p = 0; p < g->p; p++, dy += g->q, places += g->q) {
            int64_t top = p * g->stride[0] - g->padding[0], left = -g->padding[1];
            for (int64_t q = 0; q < g->q; q++, left += g->stride[1]) {
                int64_t at = position_of(g, &o, top, left, places[q]);
                if (at >= 0) dx[at] += dy[q];
            }
        }
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

/* avg_pool.c: the mean of every window, and the gradient of that.
 *
 * The formulas are those of ops/pool.py. Windows of 2 x 2 without overlap have loops of their own: they are nearly all
 * that networks use. Read next: pool.h. */
#include "pool.h"

static ALWAYS_INLINE void mean_of_4(const real *a, const real *b, real divisor, real *restrict y, int n) {
    _Pragma("omp simd") for (int l = 0; l < n; l++) y[l] =
        (a[2 * l] + a[2 * l + 1] + b[2 * l] + b[2 * l + 1]) / divisor;
}

static ALWAYS_INLINE void spread_to_4(const real *g, real divisor, real *restrict a, real *restrict b, int n) {
    _Pragma("omp simd") for (int l = 0; l < n; l++) a[2 * l] = a[2 * l + 1] = b[2 * l] = b[2 * l + 1] = g[l] / divisor;
}

/* The windows along a dimension: what each has inside the plane, and how many elements it counts as. */
typedef struct {
    int64_t begin, end, count;
} span;

static span span_of(const plan *g, int d, int64_t i) {
    int64_t n = d ? g->w : g->h;
    if (g->kernel[d] == 0) { /* adaptive */
        int64_t windows = d ? g->q : g->p, begin = window_begin(i, windows, n), end = window_end(i, windows, n);
        return (span){begin, end, end - begin};
    }
    int64_t begin = i * g->stride[d] - g->padding[d], end = begin + g->kernel[d];
    span s = {TG_MAX(begin, 0), TG_MIN(end, n), TG_MIN(end, n + g->padding[d]) - begin};
    s.end = TG_MAX(s.end, s.begin);
    if (!g->padded) s.count = s.end - s.begin;
    return s;
}

/* Those of all windows: of rows, then of columns. Worked out once, since dividing takes longer than a small window. */
static span *spans_of(const plan *g, char *own) {
    span *rows = (span *)own;
    for (int64_t p = 0; p < g->p; p++) rows[p] = span_of(g, 0, p);
    for (int64_t q = 0; q < g->q; q++) rows[g->p + q] = span_of(g, 1, q);
    return rows;
}

static inline real divisor_of(const plan *g, const span *row, const span *column) {
    return (real)(g->divisor ? g->divisor : TG_MAX(row->count * column->count, 1)); /* an empty window gives 0 */
}

static int means_prepare(tg_node *node, int large, int small, int ints) {
    plan *g = (plan *)node->plan;
    if (planes_prepare(node, large, small)) return 1;
    if (ints >= 0) {
        read_window(node, ints, 0);
        g->padded = node->ints[ints + 7], g->divisor = node->ints[ints + 8];
    } else {
        g->kernel[0] = g->kernel[1] = g->whole = g->divisor = 0;
    }
    int64_t row = (g->kernel[0] && large ? sheet_bytes(g) : 0) + TG_MAX(in_row(g), g->w) * (int64_t)sizeof(real);
    node->own_bytes = (g->p + g->q) * (int64_t)sizeof(span) + row;
    return 0;
}

/* args y, x; ints: kernel, stride, padding (two each), ceil_mode, count_include_pad, divisor */
static int avg_pool2d_prepare(tg_node *node) { return means_prepare(node, 1, 0, 0); }

/* The sums of a row of windows, which begin at x, into a row of whole vectors. */
static ALWAYS_INLINE void sums_of_windows(const plan *g, const sheet *sheet, const real *x, real *sums) {
    for (int64_t j = 0; j < g->q; j += WIDE, x += WIDE) {
        vec sum = {0};
        for (int64_t r = 0; r < g->kernel[0]; r++)
            for (int64_t s = 0; s < g->kernel[1]; s++) sum += *(const vec *)(x + r * sheet->width + sheet->taps[s]);
        *(vec *)(sums + j) = sum;
    }
}

static void avg_pool2d_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    const real of_4 = (real)(g->divisor ? g->divisor : 4);
    const span *rows = spans_of(g, own), *columns = rows + g->p;
    sheet s = {0};
    real *sums = NULL;
    if (!g->whole) s = sheet_of(g, (char *)(columns + g->q), 0), sums = s.memory + sheet_size(g);
    EACH_PLANE(g, lo, hi) {
        const real *x = plane_of(node, 1, plane, g->h * g->w);
        real *y = plane_of(node, 0, plane, g->p * g->q);
        if (!g->whole) x = on_sheet(g, &s, x);
        for (int64_t p = 0; p < g->p; p++, y += g->q) {
            const real *a = x + p * g->stride[0] * (g->whole ? g->w : s.width), *b = a + g->w;
#define STEP_OF_4(j, n) mean_of_4(a + 2 * (j), b + 2 * (j), of_4, y + (j), n)
            if (g->whole) {
                BLOCKS(g->q, STEP_OF_4);
                continue;
            }
            sums_of_windows(g, &s, a, sums);
            for (int64_t q = 0; q < g->q; q++) y[q] = sums[q] / divisor_of(g, &rows[p], &columns[q]);
        }
    }
}

/* args y, x; ints: p, q, which the output's shape says too. Rows are added up, then the columns of each window. */
static int adaptive_avg_pool2d_prepare(tg_node *node) { return means_prepare(node, 1, 0, -1); }

static void adaptive_avg_pool2d_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    const span *rows = spans_of(g, own), *columns = rows + g->p;
    real *sums = (real *)(columns + g->q);
    EACH_PLANE(g, lo, hi) {
        const real *x = plane_of(node, 1, plane, g->h * g->w);
        real *y = plane_of(node, 0, plane, g->p * g->q);
        for (int64_t p = 0; p < g->p; p++, y += g->q) {
            memset(sums, 0, (size_t)g->w * sizeof(real));
            for (int64_t row = rows[p].begin; row < rows[p].end; row++)
                for (int64_t j = 0; j < g->w; j++) sums[j] += x[row * g->w + j];
            for (int64_t q = 0; q < g->q; q++) {
                real sum = 0;
                for (int64_t j = columns[q].begin; j < columns[q].end; j++) sum += sums[j];
                y[q] = sum / divisor_of(g, &rows[p], &columns[q]);
            }
        }
    }
}

/* args dx, g; ints: h, w, then as for avg_pool2d. dx[all positions of a window] += g / divisor */
static int avg_pool2d_grad_prepare(tg_node *node) { return means_prepare(node, 0, 1, 2); }
/* args dx, g; ints: h, w, which the output's shape says too */
static int adaptive_avg_pool2d_grad_prepare(tg_node *node) { return means_prepare(node, 0, 1, -1); }

static void means_grad_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan g_ = *(const plan *)node->plan, *g = &g_;
    const span *rows = spans_of(g, own), *columns = rows + g->p;
    real *along = (real *)(columns + g->q);
    EACH_PLANE(g, lo, hi) {
        real *dx = plane_of(node, 0, plane, g->h * g->w);
        const real *dy = plane_of(node, 1, plane, g->p * g->q);
        int64_t done = 0; /* rows of dx that hold something; windows come from top to bottom */
        for (int64_t p = 0; p < g->p; p++, dy += g->q) {
            if (g->whole) {
                real *a = dx + 2 * p * g->w, *b = a + g->w, divisor = (real)(g->divisor ? g->divisor : 4);
#define STEP(j, n) spread_to_4(dy + (j), divisor, a + 2 * (j), b + 2 * (j), n)
                BLOCKS(g->q, STEP);
#undef STEP
                for (int64_t j = 2 * g->q; j < g->w; j++) a[j] = b[j] = 0;
                done = 2 * p + 2;
                continue;
            }
            memset(along, 0, (size_t)g->w * sizeof(real));
            for (int64_t q = 0; q < g->q; q++) {
                real part = dy[q] / divisor_of(g, &rows[p], &columns[q]);
                for (int64_t j = columns[q].begin; j < columns[q].end; j++) along[j] += part;
            }
            for (; done < rows[p].begin; done++) memset(dx + done * g->w, 0, (size_t)g->w * sizeof(real));
            for (int64_t row = rows[p].begin; row < TG_MIN(done, rows[p].end); row++)
                for (int64_t j = 0; j < g->w; j++) dx[row * g->w + j] += along[j];
            for (; done < rows[p].end; done++) memcpy(dx + done * g->w, along, (size_t)g->w * sizeof(real));
        }
        memset(dx + done * g->w, 0, (size_t)((g->h - done) * g->w) * sizeof(real));
    }
}

TG_TABLE(avg_pool) = {
    {"avg_pool2d", avg_pool2d_prepare, avg_pool2d_run},
    {"avg_pool2d_grad", avg_pool2d_grad_prepare, means_grad_run},
    {"adaptive_avg_pool2d", adaptive_avg_pool2d_prepare, adaptive_avg_pool2d_run},
    {"adaptive_avg_pool2d_grad", adaptive_avg_pool2d_grad_prepare, means_grad_run},
    {0},
};

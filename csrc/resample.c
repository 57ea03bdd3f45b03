/* resample.c: planes of another size, by nearest or linear interpolation, and the transpose of that, its gradient.
 *
 * Arrays are contiguous (N, C, H, W); a unit is some planes. Where elements come from: `sources` in ops/interpolate.py.
 * Rows are interpolated along their columns first, each once, then blended. ints: the result's plane, mode; floats: the
 * steps in the input from one row to the next and from one column to the next. Read next: ops/interpolate.py. */
#include "loops.h"

enum { NEAREST, NEAREST_EXACT, LINEAR, ALIGNED, UNIT_BYTES = 1 << 16 };

typedef struct {
    int64_t planes, each; /* in all, in a unit */
    int64_t h, w, p, q;   /* of a plane before, and after */
    int64_t mode;
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* What an element is made of: x[first] (1 - weight) + x[second] weight. */
typedef struct {
    int64_t first, second;
    real weight;
} source;

static int is_nearest(const plan *g) { return g->mode == NEAREST || g->mode == NEAREST_EXACT; }

static source source_of(const plan *g, int64_t i, int64_t n, int64_t count, double step) {
    if (g->mode != NEAREST_EXACT && count == n) return (source){i, i, 0}; /* whatever the step */
    if (g->mode == NEAREST && count == 2 * n) return (source){i / 2, i / 2, 0};
    if (is_nearest(g)) { /* in float, whatever the type, as PyTorch does */
        float at = (float)i + (g->mode == NEAREST_EXACT ? 0.5f : 0.0f), from = floorf(at * (float)step);
        int64_t first = TG_MIN((int64_t)from, n - 1);
        return (source){first, first, 0};
    }
    double at = g->mode == ALIGNED ? (double)i * step : TG_MAX(((double)i + 0.5) * step - 0.5, 0);
    int64_t first = TG_MIN((int64_t)at, n - 1);
    double weight = at - (double)first;
    return (source){first, TG_MIN(first + 1, n - 1), (real)TG_MIN(TG_MAX(weight, 0), 1)};
}

static int resample_prepare(tg_node *node, int before, int after) {
    plan *g = (plan *)node->plan;
    const tg_array *x = &node->args[before], *y = &node->args[after];
    if (x->ndim != 4 || y->ndim != 4 || !is_contiguous(x) || !is_contiguous(y)) return 1;
    *g = (plan){.planes = x->shape[0] * x->shape[1], .mode = node->ints[2]};
    g->h = x->shape[2], g->w = x->shape[3], g->p = y->shape[2], g->q = y->shape[3];
    if (count_of(&node->args[0]) == 0) return 0;
    g->each = TG_MAX(UNIT_BYTES / TG_MAX((g->h * g->w + g->p * g->q) * (int64_t)sizeof(real), 1), 1);
    node->phases = 1;
    node->units[0] = divide_up(g->planes, g->each);
    node->own_bytes = g->q * (int64_t)sizeof(source) + 2 * TG_MAX(g->q, g->w) * (int64_t)sizeof(real);
    return 0;
}

/* A row along its columns: into as many as there are after, and back, added to what is there. */
static void along(const plan *g, const source *columns, const real *restrict x, real *restrict y) {
    if (is_nearest(g))
        for (int64_t q = 0; q < g->q; q++) y[q] = x[columns[q].first];
    else
        for (int64_t q = 0; q < g->q; q++) {
            const source *s = &columns[q];
            y[q] = x[s->first] * (1 - s->weight) + x[s->second] * s->weight;
        }
}

static void along_back(const plan *g, const source *columns, const real *restrict dy, real *restrict dx) {
    if (is_nearest(g))
        for (int64_t q = 0; q < g->q; q++) dx[columns[q].first] += dy[q];
    else
        for (int64_t q = 0; q < g->q; q++) {
            const source *s = &columns[q];
            dx[s->first] += dy[q] * (1 - s->weight), dx[s->second] += dy[q] * s->weight;
        }
}

/* args y, x */
static int resample2d_prepare(tg_node *node) { return resample_prepare(node, 1, 0); }

static void resample2d_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan *g = (const plan *)node->plan;
    source *columns = (source *)own;
    for (int64_t q = 0; q < g->q; q++) columns[q] = source_of(g, q, g->w, g->q, node->floats[1]);
    for (int64_t plane = lo * g->each; plane < TG_MIN(hi * g->each, g->planes); plane++) {
        const real *x = (const real *)node->args[1].data + plane * g->h * g->w;
        real *y = (real *)node->args[0].data + plane * g->p * g->q;
        real *rows[2] = {(real *)(columns + g->q), (real *)(columns + g->q) + g->q}; /* of the input, interpolated */
        int64_t held[2] = {-1, -1};                                                  /* which rows those are */
        for (int64_t p = 0; p < g->p; p++, y += g->q) {
            source s = source_of(g, p, g->h, g->p, node->floats[0]);
            if (is_nearest(g)) {
                if (s.first == held[0])
                    memcpy(y, y - g->q, (size_t)g->q * sizeof(real));
                else
                    along(g, columns, x + s.first * g->w, y);
                held[0] = s.first;
                continue;
            }
            if (held[0] != s.first && held[1] == s.first) { /* going on by a row, the second becomes the first */
                real *row = rows[0];
                rows[0] = rows[1], rows[1] = row, held[0] = held[1], held[1] = -1;
            }
            if (held[0] != s.first) along(g, columns, x + s.first * g->w, rows[0]);
            if (held[1] != s.second) along(g, columns, x + s.second * g->w, rows[1]);
            held[0] = s.first, held[1] = s.second;
            const real *restrict a = rows[0], *restrict b = rows[1];
            for (int64_t q = 0; q < g->q; q++) y[q] = a[q] * (1 - s.weight) + b[q] * s.weight;
        }
    }
}

/* args dx, g. dx[sources] += g times their weights */
static int resample2d_grad_prepare(tg_node *node) { return resample_prepare(node, 0, 1); }

static void resample2d_grad_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan *g = (const plan *)node->plan;
    source *columns = (source *)own;
    real *restrict row = (real *)(columns + g->q);
    for (int64_t q = 0; q < g->q; q++) columns[q] = source_of(g, q, g->w, g->q, node->floats[1]);
    for (int64_t plane = lo * g->each; plane < TG_MIN(hi * g->each, g->planes); plane++) {
        real *dx = (real *)node->args[0].data + plane * g->h * g->w;
        const real *dy = (const real *)node->args[1].data + plane * g->p * g->q;
        memset(dx, 0, (size_t)(g->h * g->w) * sizeof(real));
        for (int64_t p = 0; p < g->p; p++, dy += g->q) {
            source s = source_of(g, p, g->h, g->p, node->floats[0]);
            real *a = dx + s.first * g->w, *b = dx + s.second * g->w;
            if (is_nearest(g)) {
                along_back(g, columns, dy, a);
                continue;
            }
            memset(row, 0, (size_t)g->w * sizeof(real));
            along_back(g, columns, dy, row);
            for (int64_t j = 0; j < g->w; j++) a[j] += row[j] * (1 - s.weight);
            for (int64_t j = 0; j < g->w; j++) b[j] += row[j] * s.weight;
        }
    }
}

TG_TABLE(resample) = {
    {"resample2d", resample2d_prepare, resample2d_run},
    {"resample2d_grad", resample2d_grad_prepare, resample2d_grad_run},
    {0},
};

/* layer_norm.c: normalisation of rows, the elements of the last dimensions, with a weight and a bias along each;
 * gradients.
 *
 * args: y, x, moments, then weight and bias or neither; of the gradient dx, g, x, moments and maybe weight; of the
 * sums, which are the gradients of weight and bias, an array of two rows, g, x, moments. moments (2, rows): each row's
 * mean, then 1 / sqrt(var + eps), written by the first kernel and read by the others. ints[0]: how many of the last
 * dimensions are a row; floats[0]: eps. Formulas: ops/norm.py. Left out on purpose: rows that are no one stretch of
 * memory at one stride (the reference does those). Read next: rows.h. */
#include "rows.h"

typedef struct {
    blocks b;
    int64_t rows, each; /* in all, in a unit */
    int64_t outer;      /* dimensions before a row's */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

static void walk_between(walk *w, const tg_array *a, int64_t first, int64_t past) {
    int listed[TG_DIMS], n = 0;
    for (int64_t d = first; d < past; d++) listed[n++] = (int)d;
    walk_dims(w, a, listed, n);
}

/* Arguments `from` to `moments` - 1 have whole rows, those behind the moments are one row for all. */
static int prepare(tg_node *node, int from, int moments) {
    plan *p = (plan *)node->plan;
    const tg_array *x = &node->args[moments - 1];
    const int64_t all = count_of(x);
    int neighbours = 1;
    p->outer = x->ndim - node->ints[0];
    for (int a = from; a < node->n_args; a++) {
        walk row;
        if (a == moments) continue;
        walk_between(&row, &node->args[a], a < moments ? p->outer : 0, node->args[a].ndim);
        if (row.dims != 1) return 1;
        if (a < moments) neighbours = neighbours && row.stride[0] == (int64_t)sizeof(real);
        p->b.length = row.shape[0];
    }
    if (all == 0) return from != 0; /* sums of nothing are for the reference */
    p->b = blocks_of(p->b.length, neighbours);
    p->rows = all / p->b.length, p->each = rows_in_unit(&p->b);
    node->phases = 1;
    node->units[0] = divide_up(p->rows, p->each);
    node->own_bytes = 4 * block_size(&p->b) * (int64_t)sizeof(real);
    return 0;
}

/* One array's rows. */
typedef struct {
    const blocks *b;
    walk others;
    int64_t step; /* bytes from element to element */
    char *data;
    real *own; /* a block, where rows are not used where they lie */
} rows;

static rows rows_of(const tg_node *node, int arg, char *own, int number) {
    const plan *p = (const plan *)node->plan;
    const tg_array *a = &node->args[arg];
    rows r = {.b = &p->b, .data = a->data, .own = (real *)own + number * block_size(&p->b)};
    walk row;
    walk_between(&r.others, a, 0, p->outer);
    walk_between(&row, a, p->outer, a->ndim);
    r.step = row.stride[0];
    return r;
}

/* `count` rows from number r on, as a block, whose end is filled with zeros. */
static real *load(const rows *x, int64_t r, int count) {
    char *at[LANES];
    place_rows(x->b, &x->others, x->data, r, count, at);
    if (x->b->whole) return (real *)at[0];
    load_rows(x->b, x->own, (const char *const *)at, x->step);
    fill_end(x->b, x->own, 0);
    return x->own;
}

/* Where a block of the output is computed, and what brings it to its place. */
static real *to_write(const rows *x, int64_t r) {
    return x->b->whole ? (real *)(x->data + walk_offset(&x->others, r)) : x->own;
}

static void put(const rows *x, int64_t r, int count) {
    char *at[LANES];
    if (x->b->whole) return;
    place_rows(x->b, &x->others, x->data, r, count, at);
    store_rows(x->b, x->own, at, count, x->step);
}

/* An argument that is one row for all, as a block; NULL where it is missing. */
static const real *row_for_all(const tg_node *node, int arg, char *own, int number) {
    const plan *p = (const plan *)node->plan;
    if (arg >= node->n_args) return NULL;
    const tg_array *a = &node->args[arg];
    real *block = (real *)own + number * block_size(&p->b);
    walk row;
    walk_between(&row, a, 0, a->ndim);
    if (p->b.whole && row.stride[0] == (int64_t)sizeof(real)) return (const real *)a->data;
    fill_lanes(&p->b, block, a->data, row.stride[0]);
    return block;
}

/* What the first kernel left of the rows of a block; lanes without a row get the first one's. */
static void load_moments(const tg_node *node, int arg, int64_t r, int count, real *mean, real *scale) {
    const plan *p = (const plan *)node->plan;
    const real *means = (const real *)node->args[arg].data + r, *scales = means + p->rows;
    for (int l = 0; l < LANES; l++) mean[l] = means[l < count ? l : 0], scale[l] = scales[l < count ? l : 0];
}

static int layer_norm_prepare(tg_node *node) { return prepare(node, 0, 2); }

/* (x - mean) / sqrt(var + eps), the variance from the deviations; times weight plus bias. */
static void layer_norm_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan *p = (const plan *)node->plan;
    const blocks *b = &p->b;
    const int64_t last = TG_MIN(hi * p->each, p->rows);
    const rows out = rows_of(node, 0, own, 0), in = rows_of(node, 1, own, 1);
    const real *weight = row_for_all(node, 3, own, 2), *bias = row_for_all(node, 4, own, 3);
    real *means = (real *)node->args[2].data, *scales = means + p->rows;
    for (int64_t r = lo * p->each; r < last; r += rows_in_block(b)) {
        const int count = (int)TG_MIN(last - r, rows_in_block(b));
        real *x = load(&in, r, count), *y = to_write(&out, r), mean[LANES], scale[LANES];
        SUM(b, mean, x[k]);
        EACH_LANE mean[l] /= (real)b->length;
        fill_end(b, x, mean[0]);
        SUM(b, scale, (x[k] - mean[l]) * (x[k] - mean[l]));
        EACH_LANE scale[l] = 1 / REAL(sqrt)(scale[l] / (real)b->length + (real)node->floats[0]);
        if (weight == NULL)
            SET(b, y, (x[k] - mean[l]) * scale[l])
        else
            SET(b, y, (x[k] - mean[l]) * scale[l] * weight[k] + bias[k])
        for (int l = 0; l < count; l++) means[r + l] = mean[l], scales[r + l] = scale[l];
        put(&out, r, count);
    }
}

static int layer_norm_grad_prepare(tg_node *node) { return prepare(node, 0, 3); }

/* scale * (g - mean(g) - y * mean(g * y)) inverts y = (x - mean) * scale; with a weight, g is times that before. */
static void layer_norm_grad_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan *p = (const plan *)node->plan;
    const blocks *b = &p->b;
    const int64_t last = TG_MIN(hi * p->each, p->rows);
    const rows out = rows_of(node, 0, own, 0), grads = rows_of(node, 1, own, 1), in = rows_of(node, 2, own, 2);
    const real *weight = row_for_all(node, 4, own, 3);
    for (int64_t r = lo * p->each; r < last; r += rows_in_block(b)) {
        const int count = (int)TG_MIN(last - r, rows_in_block(b));
        const real *g = load(&grads, r, count), *x = load(&in, r, count);
        real *dx = to_write(&out, r), mean[LANES], scale[LANES], of_g[LANES], of_gx[LANES];
        load_moments(node, 3, r, count, mean, scale);
        if (weight == NULL)
            SUM_2(b, of_g, g[k], of_gx, g[k] * (x[k] - mean[l]));
        else
            SUM_2(b, of_g, g[k] * weight[k], of_gx, g[k] * weight[k] * (x[k] - mean[l]));
        EACH_LANE of_g[l] /= (real)b->length, of_gx[l] *= scale[l] * scale[l] / (real)b->length;
        if (weight == NULL)
            SET(b, dx, scale[l] * (g[k] - of_g[l] - (x[k] - mean[l]) * of_gx[l]))
        else
            SET(b, dx, scale[l] * (g[k] * weight[k] - of_g[l] - (x[k] - mean[l]) * of_gx[l]))
        put(&out, r, count);
    }
}

/* ---- the sums over all rows of g y and of g ---- */

#define SUMMED 512   /* rows in a unit at most, which bounds the error of long sums */
#define COLUMNS 1024 /* in a unit of the second phase, which adds up what the units of the first one left in aux */

static int layer_norm_sums_prepare(tg_node *node) {
    plan *p = (plan *)node->plan;
    if (prepare(node, 1, 3)) return 1;
    p->each = TG_MIN(divide_up(divide_up(p->rows, 64), LANES) * LANES, SUMMED);
    node->phases = 2;
    node->units[0] = divide_up(p->rows, p->each);
    node->units[1] = divide_up(2 * p->b.length, COLUMNS);
    node->aux_bytes = node->units[0] * 2 * p->b.length * (int64_t)sizeof(real);
    return 0;
}

/* A unit's sums, which stand by lanes yet. */
static void add_lanes(const blocks *b, const real *restrict sums, real *restrict to) {
    if (b->across) {
        memcpy(to, sums, (size_t)b->length * sizeof(real));
        return;
    }
    for (int64_t i = 0; i < b->length; i++) {
        real lanes[LANES];
        memcpy(lanes, sums + i * LANES, sizeof lanes);
        HALVES(lanes, ADDED);
        to[i] = lanes[0];
    }
}

static void add_block(const blocks *b, real *restrict of_gy, real *restrict of_g, const real *restrict g,
                      const real *restrict x, const real *mean, const real *scale) {
    for (int64_t i = 0; i < b->steps; i++) EACH_LANE {
            const int64_t k = i * LANES + l;
            of_gy[k] += g[k] * ((x[k] - mean[l]) * scale[l]);
            of_g[k] += g[k];
        }
}

static void layer_norm_sums_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const plan *p = (const plan *)node->plan;
    const blocks *b = &p->b;
    const int64_t length = b->length, size = block_size(b);
    real *aux = (real *)node->aux, *out = (real *)node->args[0].data, *sums = (real *)own + 2 * size;
    if (phase == 1) {
        const int64_t first = lo * COLUMNS, past = TG_MIN(hi * COLUMNS, 2 * length);
        memset(out + first, 0, (size_t)(past - first) * sizeof(real));
        for (int64_t u = 0; u < node->units[0]; u++)
            for (int64_t i = first; i < past; i++) out[i] += aux[u * 2 * length + i];
        return;
    }
    const rows grads = rows_of(node, 1, own, 0), in = rows_of(node, 2, own, 1);
    for (int64_t u = lo; u < hi; u++) {
        const int64_t last = TG_MIN((u + 1) * p->each, p->rows);
        memset(sums, 0, (size_t)(2 * size) * sizeof(real));
        for (int64_t r = u * p->each; r < last; r += rows_in_block(b)) {
            const int count = (int)TG_MIN(last - r, rows_in_block(b));
            real *g = load(&grads, r, count), mean[LANES], scale[LANES];
            load_moments(node, 3, r, count, mean, scale);
            for (int l = count; l < rows_in_block(b); l++) /* lanes without a row */
                for (int64_t i = 0; i < length; i++) g[i * LANES + l] = 0;
            add_block(b, sums, sums + size, g, load(&in, r, count), mean, scale);
        }
        add_lanes(b, sums, aux + u * 2 * length);
        add_lanes(b, sums + size, aux + (2 * u + 1) * length);
    }
}

TG_TABLE(layer_norm) = {
    {"layer_norm", layer_norm_prepare, layer_norm_run},
    {"layer_norm_grad", layer_norm_grad_prepare, layer_norm_grad_run},
    {"layer_norm_sums", layer_norm_sums_prepare, layer_norm_sums_run},
    {0},
};

/* norm.c: softmax and log_softmax along one dimension, layer_norm over the last ones, their gradients, logsumexp.
 *
 * Every kernel takes rows: the elements along the dimensions in hand, for one index in all others. The formulas are
 * those of ops/norm.py. ints[0]: the dimension for softmax, for layer_norm how many of the last; floats[0]: eps.
 * Left out on purpose: batch norm, whose rows are channels (batch_norm.c). Read next: rows.h. */
#include "rows.h"

/* What prepare leaves for run. */
typedef struct {
    blocks b;
    int64_t rows, each;  /* in all, in a unit */
    int64_t first, past; /* the row's dimensions */
    int64_t with_rows;   /* arguments that have rows; those behind them are one row for all */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* The dimensions of `a` that a row has, or those that it has not, as a walk. */
static void walk_part(walk *w, const tg_array *a, const plan *p, int of_row) {
    int listed[TG_DIMS], n = 0;
    for (int d = 0; d < a->ndim; d++)
        if ((d >= p->first && d < p->past) == of_row) listed[n++] = d;
    walk_dims(w, a, listed, n);
}

static void walk_all(walk *w, const tg_array *a) {
    int listed[TG_DIMS];
    for (int d = 0; d < a->ndim; d++) listed[d] = d;
    walk_dims(w, a, listed, a->ndim);
}

/* Arguments from .. to - 1 have whole rows. */
static int rows_prepare(tg_node *node, int from, int to, int64_t first, int64_t past) {
    plan *p = (plan *)node->plan;
    int64_t length = 1, all = count_of(&node->args[1]);
    int neighbours = 1;
    p->first = first, p->past = past, p->with_rows = to;
    if (all == 0) return 0;
    for (int a = from; a < node->n_args; a++) {
        walk row;
        if (a < to) {
            walk_part(&row, &node->args[a], p, 1);
            length = row.shape[0];
            neighbours = neighbours && row.stride[0] == (int64_t)sizeof(real);
        } else {
            walk_all(&row, &node->args[a]);
        }
        if (row.dims != 1) return 1;
    }
    p->b = blocks_of(length, neighbours);
    p->rows = all / length, p->each = rows_in_unit(&p->b);
    node->phases = 1;
    node->units[0] = divide_up(p->rows, p->each);
    node->own_bytes = (node->n_args - 1) * block_size(&p->b) * (int64_t)sizeof(real);
    return 0;
}

static int dim_prepare(tg_node *node) { return rows_prepare(node, 0, node->n_args, node->ints[0], node->ints[0] + 1); }

/* An argument that is one row for all, as a block. */
static real *row_for_all(const blocks *b, const tg_array *a, real *own) {
    walk row;
    walk_all(&row, a);
    if (b->whole && row.stride[0] == (int64_t)sizeof(real)) return (real *)a->data;
    fill_lanes(b, own, a->data, row.stride[0]);
    return own;
}

#define MOST 4 /* arguments */

/* What happens to a block of rows: a[0] is the output, a[1], ... the inputs, NULL beyond the last one; a[0] and a[1]
 * may be the same. */
typedef void block_fn(const blocks *b, real *const *a, double number);

/* pad: what stands past the end of a row of the first input. */
static void run_blocks(const tg_node *node, int64_t lo, int64_t hi, char *own, block_fn *f, real pad) {
    const plan *p = (const plan *)node->plan;
    const int64_t last = TG_MIN(hi * p->each, p->rows), together = rows_in_block(&p->b);
    walk others[MOST], row[MOST];
    real *blocks[MOST] = {0}, *x[MOST] = {0};
    for (int a = 0; a < node->n_args; a++) {
        blocks[a] = (real *)own + TG_MAX(a - 1, 0) * block_size(&p->b);
        if (a >= p->with_rows) {
            x[a] = row_for_all(&p->b, &node->args[a], blocks[a]);
        } else {
            walk_part(&others[a], &node->args[a], p, 0);
            walk_part(&row[a], &node->args[a], p, 1);
        }
    }
    for (int64_t r = lo * p->each; r < last; r += together) {
        int count = (int)TG_MIN(last - r, together);
        char *at[LANES];
        for (int a = (int)p->with_rows - 1; a >= 0; a--) {
            place_rows(&p->b, &others[a], node->args[a].data, r, count, at);
            x[a] = p->b.whole ? (real *)at[0] : blocks[a];
            if (a == 0 || p->b.whole) continue;
            load_rows(&p->b, x[a], (const char *const *)at, row[a].stride[0]);
            fill_end(&p->b, x[a], a == 1 ? pad : 0);
        }
        f(&p->b, x, node->floats[0]);
        if (!p->b.whole) store_rows(&p->b, x[0], at, count, row[0].stride[0]);
    }
}

#define RUN_BLOCKS(name, pad)                                                                   \
    static void name##_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) { \
        (void)phase;                                                                            \
        run_blocks(node, lo, hi, own, name##_block, pad);                                       \
    }

/* exp(x - max(x)) / sum(exp(x - max(x))) */
static void softmax_block(const blocks *b, real *const *a, double number) {
    (void)number;
    real *out = a[0];
    const real *x = a[1];
    real largest[LANES], sum[LANES];
    largest_of(b, x, largest);
    SUM(b, sum, out[k] = vexp_to_1(x[k] - largest[l]));
    EACH_LANE sum[l] = 1 / sum[l];
    SET(b, out, out[k] * sum[l]);
}
RUN_BLOCKS(softmax, -INFINITY)

/* y * (g - sum(g * y)) inverts y = softmax(x); args dx, g, y. */
static void softmax_grad_block(const blocks *b, real *const *a, double number) {
    (void)number;
    real *out = a[0];
    const real *g = a[1], *y = a[2];
    real dot[LANES];
    SUM(b, dot, g[k] * y[k]);
    SET(b, out, y[k] * (g[k] - dot[l]));
}
RUN_BLOCKS(softmax_grad, 0)

/* x - max(x) - log(sum(exp(x - max(x)))) */
static void log_softmax_block(const blocks *b, real *const *a, double number) {
    (void)number;
    real *out = a[0];
    const real *x = a[1];
    real largest[LANES], sum[LANES];
    largest_of(b, x, largest);
    SUM(b, sum, vexp_to_1(x[k] - largest[l]));
    EACH_LANE sum[l] = vlog(sum[l]);
    SET(b, out, x[k] - largest[l] - sum[l]);
}
RUN_BLOCKS(log_softmax, -INFINITY)

/* g - exp(y) * sum(g) inverts y = log_softmax(x); args dx, g, y. */
static void log_softmax_grad_block(const blocks *b, real *const *a, double number) {
    (void)number;
    real *out = a[0];
    const real *g = a[1], *y = a[2];
    real sum[LANES];
    SUM(b, sum, g[k]);
    SET(b, out, g[k] - vexp_to_1(y[k]) * sum[l]);
}
RUN_BLOCKS(log_softmax_grad, 0)

/* The mean of each row and 1 / sqrt(var + eps), the variance from the deviations. */
static void moments(const blocks *b, real *x, double eps, real *mean, real *scale) {
    SUM(b, mean, x[k]);
    EACH_LANE mean[l] /= (real)b->length;
    fill_end(b, x, mean[0]);
    SUM(b, scale, (x[k] - mean[l]) * (x[k] - mean[l]));
    EACH_LANE scale[l] = 1 / REAL(sqrt)(scale[l] / (real)b->length + (real)eps);
}

static int layer_norm_prepare(tg_node *node, int to) {
    const tg_array *x = &node->args[to - 1];
    return rows_prepare(node, 0, to, x->ndim - node->ints[0], x->ndim);
}

static int forward_prepare(tg_node *node) { return layer_norm_prepare(node, 2); }

/* (x - mean) / sqrt(var + eps), times weight plus bias where these are; args y, x, weight, bias. */
static void layer_norm_block(const blocks *b, real *const *a, double number) {
    real *out = a[0], *x = a[1], mean[LANES], scale[LANES];
    const real *weight = a[2], *bias = a[3];
    moments(b, x, number, mean, scale);
    if (weight == NULL)
        SET(b, out, (x[k] - mean[l]) * scale[l])
    else
        SET(b, out, (x[k] - mean[l]) * scale[l] * weight[k] + bias[k])
}
RUN_BLOCKS(layer_norm, 0)

static int grad_prepare(tg_node *node) { return layer_norm_prepare(node, 3); }

/* scale * (g - mean(g) - y * mean(g * y)) inverts y = (x - mean) * scale; with a weight, g is times that before. Args
 * dx, g, x, weight. */
static void layer_norm_grad_block(const blocks *b, real *const *a, double number) {
    real *out = a[0], *g = a[1], *x = a[2], mean[LANES], scale[LANES], of_g[LANES], of_gx[LANES];
    const real *weight = a[3];
    moments(b, x, number, mean, scale);
    if (weight == NULL)
        SUM_2(b, of_g, g[k], of_gx, g[k] * (x[k] - mean[l]));
    else
        SUM_2(b, of_g, g[k] * weight[k], of_gx, g[k] * weight[k] * (x[k] - mean[l]));
    EACH_LANE of_g[l] /= (real)b->length, of_gx[l] *= scale[l] * scale[l] / (real)b->length;
    if (weight == NULL)
        SET(b, out, scale[l] * (g[k] - of_g[l] - (x[k] - mean[l]) * of_gx[l]))
    else
        SET(b, out, scale[l] * (g[k] * weight[k] - of_g[l] - (x[k] - mean[l]) * of_gx[l]))
}
RUN_BLOCKS(layer_norm_grad, 0)

/* ---- the sums over all rows of g y and of g: what weight and bias get; args out (2, ...), g, x ---- */

#define SUMMED 512   /* rows in a unit at most, which bounds the error of long sums */
#define COLUMNS 1024 /* in a unit of the second phase, which adds up what the units of the first one left in aux */

static int layer_norm_sums_prepare(tg_node *node) {
    plan *p = (plan *)node->plan;
    const tg_array *x = &node->args[2];
    if (count_of(x) == 0) return 1;
    if (rows_prepare(node, 1, 3, x->ndim - node->ints[0], x->ndim)) return 1;
    p->each = TG_MIN(divide_up(divide_up(p->rows, 64), LANES) * LANES, SUMMED);
    node->phases = 2;
    node->units[0] = divide_up(p->rows, p->each);
    node->units[1] = divide_up(2 * p->b.length, COLUMNS);
    node->aux_bytes = node->units[0] * 2 * p->b.length * (int64_t)sizeof(real);
    node->own_bytes = 4 * block_size(&p->b) * (int64_t)sizeof(real);
    return 0;
}

/* `to`: g y of a unit's rows, then g, which stands in `sums` still by lanes. */
static void put_sums(const blocks *b, const real *sums, real *to) {
    for (int part = 0; part < 2; part++, sums += block_size(b), to += b->length) {
        for (int64_t i = 0; i < b->length; i++) {
            real sum = b->across ? sums[i] : 0;
            for (int l = 0; l < LANES && !b->across; l++) sum += sums[i * LANES + l];
            to[i] = sum;
        }
    }
}

static void layer_norm_sums_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const plan *p = (const plan *)node->plan;
    const blocks *b = &p->b;
    const int64_t columns = 2 * b->length, size = block_size(b);
    real *aux = (real *)node->aux, *out = (real *)node->args[0].data, *sums = (real *)own + 2 * size;
    if (phase == 1) {
        const int64_t first = lo * COLUMNS, past = TG_MIN(hi * COLUMNS, columns);
        memset(out + first, 0, (size_t)(past - first) * sizeof(real));
        for (int64_t u = 0; u < node->units[0]; u++)
            for (int64_t i = first; i < past; i++) out[i] += aux[u * columns + i];
        return;
    }
    walk others[3], row[3];
    for (int a = 1; a < 3; a++) {
        walk_part(&others[a], &node->args[a], p, 0);
        walk_part(&row[a], &node->args[a], p, 1);
    }
    for (int64_t u = lo; u < hi; u++) {
        const int64_t last = TG_MIN((u + 1) * p->each, p->rows);
        memset(sums, 0, (size_t)(2 * size) * sizeof(real));
        for (int64_t r = u * p->each; r < last; r += rows_in_block(b)) {
            const int count = (int)TG_MIN(last - r, rows_in_block(b));
            real *x[3], mean[LANES], scale[LANES];
            for (int a = 1; a < 3; a++) {
                char *at[LANES];
                place_rows(b, &others[a], node->args[a].data, r, count, at);
                x[a] = b->whole ? (real *)at[0] : (real *)own + (a - 1) * size;
                if (b->whole) continue;
                load_rows(b, x[a], (const char *const *)at, row[a].stride[0]);
                fill_end(b, x[a], 0);
            }
            moments(b, x[2], node->floats[0], mean, scale);
            for (int l = count; l < rows_in_block(b); l++) /* lanes without a row */
                for (int64_t i = 0; i < b->length; i++) x[1][i * LANES + l] = 0;
            for (int64_t i = 0; i < b->steps; i++) EACH_LANE {
                    const int64_t k = i * LANES + l;
                    sums[k] += x[1][k] * ((x[2][k] - mean[l]) * scale[l]);
                    sums[size + k] += x[1][k];
                }
        }
        put_sums(b, sums, aux + u * columns);
    }
}

/* log(sum(exp(x))) of each row, args y, x: y has size 1 in the row's dimensions, which must be neighbours. Of nothing
 * it is for the reference to say. */
static int logsumexp_prepare(tg_node *node) {
    const tg_array *out = &node->args[0], *in = &node->args[1];
    int first = 0, past = in->ndim;
    while (first < past && out->shape[first] == in->shape[first]) first++;
    while (first < past && out->shape[past - 1] == in->shape[past - 1]) past--;
    for (int d = first; d < past; d++)
        if (out->shape[d] != 1) return 1;
    return count_of(in) == 0 || !is_contiguous(out) || rows_prepare(node, 1, 2, first, past);
}

static void logsumexp_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan *p = (const plan *)node->plan;
    const int64_t last = TG_MIN(hi * p->each, p->rows), together = rows_in_block(&p->b);
    real *out = (real *)node->args[0].data;
    walk others, row;
    walk_part(&others, &node->args[1], p, 0);
    walk_part(&row, &node->args[1], p, 1);
    for (int64_t r = lo * p->each; r < last; r += together) {
        const int count = (int)TG_MIN(last - r, together);
        char *at[LANES];
        real largest[LANES], sum[LANES];
        place_rows(&p->b, &others, node->args[1].data, r, count, at);
        real *x = p->b.whole ? (real *)at[0] : (real *)own;
        if (!p->b.whole) {
            load_rows(&p->b, x, (const char *const *)at, row.stride[0]);
            fill_end(&p->b, x, -INFINITY);
        }
        largest_of(&p->b, x, largest);
        for (int l = 0; l < LANES; l++) /* infinities speak for themselves: less one of them they would be NaN */
            if (isinf(largest[l])) largest[l] = 0;
        SUM(&p->b, sum, vexp(x[k] - largest[l]));
        for (int l = 0; l < count; l++) out[r + l] = vlog(sum[l]) + largest[l];
    }
}

TG_TABLE(norm) = {
    {"softmax", dim_prepare, softmax_run},
    {"softmax_grad", dim_prepare, softmax_grad_run},
    {"log_softmax", dim_prepare, log_softmax_run},
    {"log_softmax_grad", dim_prepare, log_softmax_grad_run},
    {"layer_norm", forward_prepare, layer_norm_run},
    {"layer_norm_grad", grad_prepare, layer_norm_grad_run},
    {"layer_norm_sums", layer_norm_sums_prepare, layer_norm_sums_run},
    {"logsumexp", logsumexp_prepare, logsumexp_run},
    {0},
};

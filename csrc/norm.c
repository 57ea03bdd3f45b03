/* norm.c: softmax and log_softmax along one dimension, standardize over the last ones, and their gradients.
 *
 * Every kernel takes rows: the elements along the dimensions in hand, for one index in all others. The formulas are
 * those of ops/norm.py. ints[0]: the dimension for softmax, for standardize how many of the last; floats[0]: eps.
 * Left out on purpose: weight and bias of layer_norm, which are elementwise ops. Read next: rows.h. */
#include "rows.h"

/* plan: rows, their length, rows in a unit, the first of the row's dimensions and one past the last. */
enum { ROWS, LENGTH, EACH, FIRST, PAST };

/* Which dimensions of `a` the row has, or which it has not, as a walk. */
static void walk_part(walk *w, const tg_array *a, const int64_t *plan, int of_row) {
    int listed[TG_DIMS], n = 0;
    for (int d = 0; d < a->ndim; d++)
        if ((d >= plan[FIRST] && d < plan[PAST]) == of_row) listed[n++] = d;
    walk_dims(w, a, listed, n);
}

static int rows_prepare(tg_node *node, int64_t first, int64_t past, int blocks) {
    int64_t *plan = node->plan;
    plan[FIRST] = first, plan[PAST] = past;
    for (int i = 0; i < node->n_args; i++) {
        walk row;
        walk_part(&row, &node->args[i], plan, 1);
        if (row.dims != 1) return 1;
        plan[LENGTH] = row.shape[0];
    }
    int64_t all = count_of(&node->args[0]);
    if (all == 0) return 0;
    plan[ROWS] = all / plan[LENGTH], plan[EACH] = rows_in_unit(plan[LENGTH]);
    node->phases = 1;
    node->units[0] = divide_up(plan[ROWS], plan[EACH]);
    node->own_bytes = blocks * plan[LENGTH] * LANES * (int64_t)sizeof(real);
    return 0;
}

static int dim_prepare(tg_node *node) { return rows_prepare(node, node->ints[0], node->ints[0] + 1, 1); }
static int dim_grad_prepare(tg_node *node) { return rows_prepare(node, node->ints[0], node->ints[0] + 1, 2); }
static int last_prepare(tg_node *node) {
    return rows_prepare(node, node->args[0].ndim - node->ints[0], node->args[0].ndim, 1);
}
static int last_grad_prepare(tg_node *node) {
    return rows_prepare(node, node->args[0].ndim - node->ints[0], node->args[0].ndim, 2);
}

/* What happens to a block of rows: x is the first input and becomes the output, y is the second one. */
typedef void block_fn(real *x, const real *y, int64_t n, const double *floats);

static void run_blocks(const tg_node *node, int64_t lo, int64_t hi, char *own, block_fn *f) {
    const int64_t *plan = node->plan, n = plan[LENGTH], last = TG_MIN(hi * plan[EACH], plan[ROWS]);
    real *block = (real *)own;
    walk others[3], row[3];
    for (int a = 0; a < node->n_args; a++) {
        walk_part(&others[a], &node->args[a], plan, 0);
        walk_part(&row[a], &node->args[a], plan, 1);
    }
    for (int64_t r = lo * plan[EACH]; r < last; r += LANES) {
        int count = (int)TG_MIN(last - r, LANES);
        char *at[LANES];
        for (int a = node->n_args - 1; a >= 0; a--) {
            for (int l = 0; l < LANES; l++)
                at[l] = node->args[a].data + walk_offset(&others[a], r + (l < count ? l : 0));
            if (a > 0) load_rows(block + (a - 1) * n * LANES, (const char *const *)at, row[a].stride[0], n);
        }
        f(block, block + n * LANES, n, node->floats);
        store_rows(block, at, count, row[0].stride[0], n);
    }
}

#define RUN_BLOCKS(name)                                                                        \
    static void name##_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) { \
        (void)phase;                                                                            \
        run_blocks(node, lo, hi, own, name##_block);                                            \
    }

/* exp(x - max(x)) / sum(exp(x - max(x))) */
static void softmax_block(real *restrict x, const real *y, int64_t n, const double *floats) {
    (void)y, (void)floats;
    real largest[LANES], sum[LANES];
    largest_of(x, n, largest);
    SET(x, n, vexp(x[k] - largest[l]));
    SUM(sum, n, x[k]);
    EACH_LANE sum[l] = 1 / sum[l];
    SET(x, n, x[k] * sum[l]);
}
RUN_BLOCKS(softmax)

/* y * (g - sum(g * y)) inverts y = softmax(x); args dx, g, y. */
static void softmax_grad_block(real *restrict g, const real *restrict y, int64_t n, const double *floats) {
    (void)floats;
    real dot[LANES];
    SUM(dot, n, g[k] * y[k]);
    SET(g, n, y[k] * (g[k] - dot[l]));
}
RUN_BLOCKS(softmax_grad)

/* x - max(x) - log(sum(exp(x - max(x)))) */
static void log_softmax_block(real *restrict x, const real *y, int64_t n, const double *floats) {
    (void)y, (void)floats;
    real largest[LANES], sum[LANES];
    largest_of(x, n, largest);
    SET(x, n, x[k] - largest[l]);
    SUM(sum, n, vexp(x[k]));
    EACH_LANE sum[l] = vlog(sum[l]);
    SET(x, n, x[k] - sum[l]);
}
RUN_BLOCKS(log_softmax)

/* g - exp(y) * sum(g) inverts y = log_softmax(x); args dx, g, y. */
static void log_softmax_grad_block(real *restrict g, const real *restrict y, int64_t n, const double *floats) {
    (void)floats;
    real sum[LANES];
    SUM(sum, n, g[k]);
    SET(g, n, g[k] - vexp(y[k]) * sum[l]);
}
RUN_BLOCKS(log_softmax_grad)

/* The mean of each row and 1 / sqrt(var + eps), the variance from the deviations. */
static void moments(const real *x, int64_t n, double eps, real *mean, real *scale) {
    SUM(mean, n, x[k]);
    EACH_LANE mean[l] /= (real)n;
    SUM(scale, n, (x[k] - mean[l]) * (x[k] - mean[l]));
    EACH_LANE scale[l] = 1 / REAL(sqrt)(scale[l] / (real)n + (real)eps);
}

/* (x - mean) / sqrt(var + eps) */
static void standardize_block(real *restrict x, const real *y, int64_t n, const double *floats) {
    (void)y;
    real mean[LANES], scale[LANES];
    moments(x, n, floats[0], mean, scale);
    SET(x, n, (x[k] - mean[l]) * scale[l]);
}
RUN_BLOCKS(standardize)

/* scale * (g - mean(g) - y * mean(g * y)) inverts y = standardize(x), scale = 1 / sqrt(var + eps); args dx, g, x. */
static void standardize_grad_block(real *restrict g, const real *restrict x, int64_t n, const double *floats) {
    real mean[LANES], scale[LANES], mean_g[LANES], mean_gy[LANES];
    moments(x, n, floats[0], mean, scale);
    SUM(mean_g, n, g[k]);
    SUM(mean_gy, n, g[k] * ((x[k] - mean[l]) * scale[l]));
    EACH_LANE mean_g[l] /= (real)n, mean_gy[l] /= (real)n;
    SET(g, n, scale[l] * (g[k] - mean_g[l] - (x[k] - mean[l]) * scale[l] * mean_gy[l]));
}
RUN_BLOCKS(standardize_grad)

TG_TABLE(norm) = {
    {"softmax", dim_prepare, softmax_run},
    {"softmax_grad", dim_grad_prepare, softmax_grad_run},
    {"log_softmax", dim_prepare, log_softmax_run},
    {"log_softmax_grad", dim_grad_prepare, log_softmax_grad_run},
    {"standardize", last_prepare, standardize_run},
    {"standardize_grad", last_grad_prepare, standardize_grad_run},
    {0},
};

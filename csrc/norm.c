/* norm.c: softmax and log_softmax along one dimension, their gradients, logsumexp.
 *
 * Every kernel takes rows: the elements along the dimension in hand, for one index in all others. The formulas are
 * those of ops/norm.py. ints[0]: the dimension. Left out on purpose: rows that a weight goes along with, which are
 * layer_norm.c's. Read next: rows.h. */
#include "rows.h"

/* What prepare leaves for run. */
typedef struct {
    blocks b;
    int64_t rows, each;  /* in all, in a unit */
    int64_t first, past; /* the row's dimensions */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* The dimensions of `a` that a row has, or those that it has not, as a walk. */
static void walk_part(walk *w, const tg_array *a, const plan *p, int of_row) {
    int listed[TG_DIMS], n = 0;
    for (int d = 0; d < a->ndim; d++)
        if ((d >= p->first && d < p->past) == of_row) listed[n++] = d;
    walk_dims(w, a, listed, n);
}

/* from: the first argument that has whole rows. */
static int rows_prepare(tg_node *node, int from, int64_t first, int64_t past) {
    plan *p = (plan *)node->plan;
    int64_t length = 1, all = count_of(&node->args[1]);
    int neighbours = 1;
    p->first = first, p->past = past;
    if (all == 0) return 0;
    for (int a = from; a < node->n_args; a++) {
        walk row;
        walk_part(&row, &node->args[a], p, 1);
        if (row.dims != 1) return 1;
        length = row.shape[0];
        neighbours = neighbours && row.stride[0] == (int64_t)sizeof(real);
    }
    p->b = blocks_of(length, neighbours);
    p->rows = all / length, p->each = rows_in_unit(&p->b);
    node->phases = 1;
    node->units[0] = divide_up(p->rows, p->each);
    node->own_bytes = (node->n_args - 1) * block_size(&p->b) * (int64_t)sizeof(real);
    return 0;
}

static int dim_prepare(tg_node *node) { return rows_prepare(node, 0, node->ints[0], node->ints[0] + 1); }

/* What happens to a block of rows: x is the first input, y the second one; x and out may be the same. */
typedef void block_fn(const blocks *b, real *out, const real *x, const real *y);

/* pad: what stands past the end of a row of x. */
static void run_blocks(const tg_node *node, int64_t lo, int64_t hi, char *own, block_fn *f, real pad) {
    const plan *p = (const plan *)node->plan;
    const int64_t last = TG_MIN(hi * p->each, p->rows), together = rows_in_block(&p->b);
    const int inputs = node->n_args - 1;
    walk others[3], row[3];
    for (int a = 0; a < node->n_args; a++) {
        walk_part(&others[a], &node->args[a], p, 0);
        walk_part(&row[a], &node->args[a], p, 1);
    }
    for (int64_t r = lo * p->each; r < last; r += together) {
        int count = (int)TG_MIN(last - r, together);
        char *at[LANES];
        real *x[3] = {0};
        for (int a = inputs; a >= 0; a--) {
            place_rows(&p->b, &others[a], node->args[a].data, r, count, at);
            x[a] = p->b.whole ? (real *)at[0] : (real *)own + TG_MAX(a - 1, 0) * block_size(&p->b);
            if (a == 0 || p->b.whole) continue;
            load_rows(&p->b, x[a], (const char *const *)at, row[a].stride[0]);
            fill_end(&p->b, x[a], a == 1 ? pad : 0);
        }
        f(&p->b, x[0], x[1], x[2]);
        if (!p->b.whole) store_rows(&p->b, x[0], at, count, row[0].stride[0]);
    }
}

#define RUN_BLOCKS(name, pad)                                                                   \
    static void name##_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) { \
        (void)phase;                                                                            \
        run_blocks(node, lo, hi, own, name##_block, pad);                                       \
    }

/* exp(x - max(x)) / sum(exp(x - max(x))) */
static void softmax_block(const blocks *b, real *out, const real *x, const real *y) {
    (void)y;
    real largest[LANES], sum[LANES];
    largest_of(b, x, largest);
    SUM(b, sum, out[k] = vexp_to_1(x[k] - largest[l]));
    EACH_LANE sum[l] = 1 / sum[l];
    SET(b, out, out[k] * sum[l]);
}
RUN_BLOCKS(softmax, -INFINITY)

/* y * (g - sum(g * y)) inverts y = softmax(x); args dx, g, y. */
static void softmax_grad_block(const blocks *b, real *out, const real *g, const real *y) {
    real dot[LANES];
    SUM(b, dot, g[k] * y[k]);
    SET(b, out, y[k] * (g[k] - dot[l]));
}
RUN_BLOCKS(softmax_grad, 0)

/* x - max(x) - log(sum(exp(x - max(x)))) */
static void log_softmax_block(const blocks *b, real *out, const real *x, const real *y) {
    (void)y;
    real largest[LANES], sum[LANES];
    largest_of(b, x, largest);
    SUM(b, sum, vexp_to_1(x[k] - largest[l]));
    EACH_LANE sum[l] = vlog(sum[l]);
    SET(b, out, x[k] - largest[l] - sum[l]);
}
RUN_BLOCKS(log_softmax, -INFINITY)

/* g - exp(y) * sum(g) inverts y = log_softmax(x); args dx, g, y. */
static void log_softmax_grad_block(const blocks *b, real *out, const real *g, const real *y) {
    real sum[LANES];
    SUM(b, sum, g[k]);
    SET(b, out, g[k] - vexp_to_1(y[k]) * sum[l]);
}
RUN_BLOCKS(log_softmax_grad, 0)

/* log(sum(exp(x))) of each row, args y, x: y has size 1 in the row's dimensions, which must be neighbours. Of nothing
 * it is for the reference to say. */
static int logsumexp_prepare(tg_node *node) {
    const tg_array *out = &node->args[0], *in = &node->args[1];
    int first = 0, past = in->ndim;
    while (first < past && out->shape[first] == in->shape[first]) first++;
    while (first < past && out->shape[past - 1] == in->shape[past - 1]) past--;
    for (int d = first; d < past; d++)
        if (out->shape[d] != 1) return 1;
    return count_of(in) == 0 || !is_contiguous(out) || rows_prepare(node, 1, first, past);
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
    {"softmax", dim_prepare, softmax_run},           {"softmax_grad", dim_prepare, softmax_grad_run},
    {"log_softmax", dim_prepare, log_softmax_run},   {"log_softmax_grad", dim_prepare, log_softmax_grad_run},
    {"logsumexp", logsumexp_prepare, logsumexp_run}, {0},
};

/* loss.c: cross-entropy of rows of logits and its gradient, and the elementwise losses that are ops of their own.
 *
 * args of cross_entropy_rows: out (n,), logits (n, c), target int64 (n,); of its gradient: out (n, c), g (n,), logits,
 * target. ints[0]: the target that is ignored: such a row gives 0. Any other target that is no class gives NaN, and
 * nothing is read for it: nobody checks targets while a step is replayed. Formulas: ops/loss.py. Left out on purpose:
 * class weights and smoothing, which are compositions. Read next: rows.h. */
#include "rows.h"

typedef struct {
    blocks b;
    int64_t each; /* rows in a unit */
} plan;

static int cross_entropy_prepare(tg_node *node, const tg_array *logits) {
    plan *p = (plan *)node->plan;
    int64_t n = logits->shape[0], c = logits->shape[1];
    if (c == 0) return 1;
    p->b = blocks_of(c, logits->stride[1] == 1);
    p->each = rows_in_unit(&p->b);
    node->phases = n > 0;
    node->units[0] = divide_up(n, p->each);
    node->own_bytes = block_size(&p->b) * (int64_t)sizeof(real);
    return 0;
}

/* A block of logits; where the logits of the targets lie in it, -1 for what is no class; what such a row gives. */
typedef struct {
    int count;
    int64_t row[LANES], at[LANES];
    real instead[LANES]; /* 0 or NaN */
} targets;

/* Returns the block: `own`, or a row where it lies. */
static real *load_logits(const tg_node *node, const tg_array *logits, const tg_array *target, int64_t row, int64_t last,
                         real *own, targets *t) {
    const blocks *b = &((const plan *)node->plan)->b;
    const char *rows[LANES];
    const int64_t c = logits->shape[1], size = (int64_t)sizeof(real), together = rows_in_block(b);
    t->count = (int)TG_MIN(last - row, together);
    for (int l = 0; l < together; l++) {
        int64_t r = row + (l < t->count ? l : 0), class = ((const int64_t *)target->data)[r * target->stride[0]];
        int known = class >= 0 && class < c && class != node->ints[0];
        rows[l] = logits->data + r * logits->stride[0] * size;
        t->row[l] = r;
        t->at[l] = !known ? -1 : b->across ? class : class * LANES + l;
        t->instead[l] = class == node->ints[0] ? 0 : (real)NAN;
    }
    if (b->whole) return (real *)rows[0];
    load_rows(b, own, rows, logits->stride[1] * size);
    fill_end(b, own, -INFINITY);
    return own;
}

static int cross_entropy_rows_prepare(tg_node *node) { return cross_entropy_prepare(node, &node->args[1]); }

/* log(sum(exp(x - max(x)))) - (x[target] - max(x)) */
static void cross_entropy_rows_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan *p = (const plan *)node->plan;
    const tg_array *logits = &node->args[1], *target = &node->args[2];
    const int64_t last = TG_MIN(hi * p->each, logits->shape[0]);
    real *out = (real *)node->args[0].data;
    for (int64_t r = lo * p->each; r < last; r += rows_in_block(&p->b)) {
        targets t;
        real largest[LANES], sum[LANES];
        const real *x = load_logits(node, logits, target, r, last, (real *)own, &t);
        largest_of(&p->b, x, largest);
        SUM(&p->b, sum, vexp_to_1(x[k] - largest[l]));
        EACH_LANE sum[l] = vlog(sum[l]);
        for (int l = 0; l < t.count; l++)
            out[t.row[l]] = t.at[l] < 0 ? t.instead[l] : sum[l] - (x[t.at[l]] - largest[l]);
    }
}

static int cross_entropy_rows_grad_prepare(tg_node *node) { return cross_entropy_prepare(node, &node->args[2]); }

/* (softmax(x) - onehot(target)) * g */
static void cross_entropy_rows_grad_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan *p = (const plan *)node->plan;
    const tg_array *grad = &node->args[1], *logits = &node->args[2], *target = &node->args[3];
    const int64_t c = logits->shape[1], last = TG_MIN(hi * p->each, logits->shape[0]), together = rows_in_block(&p->b);
    for (int64_t r = lo * p->each; r < last; r += together) {
        targets t;
        real largest[LANES], sum[LANES], g[LANES];
        char *out[LANES];
        const real *x = load_logits(node, logits, target, r, last, (real *)own, &t);
        for (int l = 0; l < together; l++) {
            out[l] = node->args[0].data + t.row[l] * c * (int64_t)sizeof(real);
            g[l] = ((const real *)grad->data)[t.row[l] * grad->stride[0]];
        }
        if (p->b.across) EACH_LANE g[l] = g[0];
        largest_of(&p->b, x, largest);
        real *y = p->b.whole ? (real *)out[0] : (real *)own;
        SUM(&p->b, sum, y[k] = vexp_to_1(x[k] - largest[l]));
        EACH_LANE sum[l] = g[l] / sum[l];
        SET(&p->b, y, y[k] * sum[l]);
        for (int l = 0; l < t.count; l++) {
            if (t.at[l] >= 0)
                y[t.at[l]] -= g[l];
            else
                for (int64_t k = l; k < block_size(&p->b); k += p->b.across ? 1 : LANES) y[k] = t.instead[l];
        }
        if (!p->b.whole) store_rows(&p->b, y, out, t.count, (int64_t)sizeof(real));
    }
}

/* ---- elementwise ---- */

#define EACH_ELEMENTS 4096 /* in a unit: exp and log take about 2 ns in double */

static int elements_prepare(tg_node *node) {
    int64_t n = count_of(&node->args[0]);
    for (int a = 1; a < node->n_args; a++)
        if (!is_contiguous(&node->args[a]) || count_of(&node->args[a]) != n) return 1;
    node->phases = n > 0;
    node->units[0] = divide_up(n, EACH_ELEMENTS);
    return 0;
}

/* log(sigmoid(x)) = min(x, 0) - log(1 + exp(-|x|)) */
static void log_sigmoid_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    int64_t last = TG_MIN(hi * EACH_ELEMENTS, count_of(&node->args[0]));
    real *restrict out = (real *)node->args[0].data;
    const real *restrict x = (const real *)node->args[1].data;
    for (int64_t i = lo * EACH_ELEMENTS; i < last; i++)
        out[i] = (x[i] > 0 ? 0 : x[i]) - vlog1p(vexp(-REAL(fabs)(x[i])));
}

/* -(t log(p) + (1 - t) log(1 - p)), each logarithm at least -100 */
static void binary_cross_entropy_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    int64_t last = TG_MIN(hi * EACH_ELEMENTS, count_of(&node->args[0]));
    real *restrict out = (real *)node->args[0].data;
    const real *restrict p = (const real *)node->args[1].data, *restrict t = (const real *)node->args[2].data;
    for (int64_t i = lo * EACH_ELEMENTS; i < last; i++) {
        real yes = vlog(p[i]), no = vlog1p(-p[i]);
        yes = yes < -100 ? -100 : yes;
        no = no < -100 ? -100 : no;
        out[i] = -(t[i] * yes + (1 - t[i]) * no);
    }
}

TG_TABLE(loss) = {
    {"cross_entropy_rows", cross_entropy_rows_prepare, cross_entropy_rows_run},
    {"cross_entropy_rows_grad", cross_entropy_rows_grad_prepare, cross_entropy_rows_grad_run},
    {"log_sigmoid", elements_prepare, log_sigmoid_run},
    {"binary_cross_entropy", elements_prepare, binary_cross_entropy_run},
    {0},
};

/* loss.c: losses of classes, with their reduction: cross-entropy of logits, nll_loss of log-probabilities, gradients.
 *
 * args: out, input (n, c, ...) or (c), target int64 (n, ...) or (), weight (c) where there is one; of a gradient: out,
 * grad, input, target, weight. ints[0]: the reduction; ints[1]: the target that is ignored: it counts 0. Any other
 * target that is no class gives NaN, and nothing is read for it: nobody checks targets while a step is replayed.
 * floats[0]: the share of a target that is spread over all classes. Formulas: ops/loss.py. Left out on purpose: targets
 * as probabilities, which are a composition. Read next: rows.h. */
#include "rows.h"

enum { NONE, MEAN, SUM_OF_ALL }; /* the reduction */

#define COUNTED 16384 /* targets in a unit of those that are only counted */

typedef struct {
    blocks b;
    int64_t rows, each;       /* in all, in a unit */
    int64_t dim, inner, step; /* the classes' dimension, elements behind it, bytes from class to class in the input */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* The rows' own dimensions, all but the classes', of the input or its gradient; all of the target or its losses. */
static walk rows_of(const tg_array *a, int64_t classes) {
    int listed[TG_DIMS], n = 0;
    walk w;
    for (int d = 0; d < a->ndim; d++)
        if (d != classes) listed[n++] = d;
    walk_dims(&w, a, listed, n);
    return w;
}

/* `in`: where the input stands among the arguments: 1, or 2 of a gradient. */
static int plan_rows(tg_node *node, int in, int64_t in_unit) {
    plan *p = (plan *)node->plan;
    const tg_array *x = &node->args[in];
    p->dim = x->ndim > 1, p->inner = 1;
    const int64_t c = x->shape[p->dim];
    if (c == 0) return 1;
    for (int d = (int)p->dim + 1; d < x->ndim; d++) p->inner *= x->shape[d];
    p->step = x->stride[p->dim] * (int64_t)sizeof(real);
    p->b = blocks_of(c, x->stride[p->dim] == 1 && (in == 1 || p->inner == 1));
    p->rows = count_of(&node->args[in + 1]);
    p->each = in_unit ? in_unit : rows_in_unit(&p->b);
    return 0;
}

/* ---- what a target counts ---- */

/* The targets of a node, and what its classes weigh. */
typedef struct {
    const tg_array *target, *weight;
    walk w;
    int64_t classes, ignored;
} targets;

static targets targets_of(const tg_node *node, int in) {
    const plan *p = (const plan *)node->plan;
    const tg_array *target = &node->args[in + 1];
    return (targets){target, node->n_args > in + 2 ? target + 1 : NULL, rows_of(target, -1),
                     node->args[in].shape[p->dim], node->ints[1]};
}

/* The class of a row and its weight; -1 where there is no class to read, with 0 as the weight, or NaN. */
static inline int64_t class_of(const targets *t, int64_t row, real *weight) {
    int64_t class = *(const int64_t *)(t->target->data + walk_offset(&t->w, row));
    if (class == t->ignored || class < 0 || class >= t->classes) {
        *weight = class == t->ignored ? 0 : (real)NAN;
        return -1;
    }
    *weight = t->weight ? ((const real *)t->weight->data)[class * t->weight->stride[0]] : 1;
    return class;
}

/* The sums of a unit's losses and of what they count, in double: there may be millions of rows. */
typedef struct {
    double loss, weight;
} sums;

/* A first phase of losses; a second one of one unit, where they are reduced. */
static int loss_phases(tg_node *node) {
    const plan *p = (const plan *)node->plan;
    node->units[0] = divide_up(p->rows, p->each), node->units[1] = 1;
    node->phases = node->ints[0] == NONE ? p->rows > 0 : 2;
    node->aux_bytes = node->ints[0] == NONE ? 0 : node->units[0] * (int64_t)sizeof(sums);
    return 0;
}

static void reduce(const tg_node *node) {
    const sums *part = (const sums *)node->aux;
    sums all = {0, 0};
    for (int64_t u = 0; u < node->units[0]; u++) all.loss += part[u].loss, all.weight += part[u].weight;
    *(real *)node->args[0].data = (real)(node->ints[0] == MEAN ? all.loss / all.weight : all.loss);
}

/* The loss of a row goes to its place, or into its unit's sums. */
static inline void put_loss(const tg_node *node, sums *s, int64_t row, real loss, real weight) {
    if (node->ints[0] == NONE)
        ((real *)node->args[0].data)[row] = loss;
    else
        s->loss += (double)loss, s->weight += (double)weight;
}

/* Of a gradient the last phase goes over the rows; where there is a mean, a phase before counts what it is over. */
static int grad_phases(tg_node *node) {
    const plan *p = (const plan *)node->plan;
    const int mean = node->ints[0] == MEAN;
    if (mean) node->units[0] = divide_up(p->rows, COUNTED), node->aux_bytes = node->units[0] * (int64_t)sizeof(double);
    node->units[mean] = divide_up(p->rows, p->each);
    node->phases = p->rows > 0 ? 1 + mean : 0;
    return 0;
}

static void count_weights(const tg_node *node, int64_t lo, int64_t hi) {
    const targets t = targets_of(node, 2);
    for (int64_t u = lo; u < hi; u++) {
        double sum = 0;
        for (int64_t r = u * COUNTED; r < TG_MIN((u + 1) * COUNTED, walk_count(&t.w)); r++) {
            real weight;
            class_of(&t, r, &weight);
            sum += (double)weight;
        }
        ((double *)node->aux)[u] = sum;
    }
}

/* What reaches each row's loss from `grad`: rows' own numbers (at `each`), or the one for all of them. */
static real share_of_all(const tg_node *node) {
    if (node->ints[0] == NONE) return 0;
    real g = *(const real *)node->args[1].data;
    if (node->ints[0] != MEAN) return g;
    double weight = 0;
    for (int64_t u = 0; u < node->units[0]; u++) weight += ((const double *)node->aux)[u];
    return g / (real)weight;
}

static inline real share_of_row(const tg_node *node, const walk *each, int64_t row, real of_all) {
    return node->ints[0] == NONE ? *(const real *)(node->args[1].data + walk_offset(each, row)) : of_all;
}

/* ---- cross-entropy ---- */

/* A block of logits, its rows' places, and their classes. */
typedef struct {
    walk rows;
    targets t;
    real *weights; /* of all classes, for each lane, where a share is spread; else NULL */
    double total;  /* of these */
    int count;
    int64_t class[LANES];
    real weight[LANES];
} block;

/* Weights lie behind the logits in `own`. */
static block first_block(const tg_node *node, int in, char *own) {
    static const real one = 1;
    const plan *p = (const plan *)node->plan;
    block h = {.rows = rows_of(&node->args[in], p->dim), .t = targets_of(node, in)};
    if (node->floats[0] == 0) return h;
    h.weights = (real *)own + block_size(&p->b);
    const tg_array *weight = h.t.weight;
    fill_lanes(&p->b, h.weights, weight ? weight->data : (const char *)&one,
               weight ? weight->stride[0] * (int64_t)sizeof(real) : 0);
    for (int64_t i = 0; i < h.t.classes; i++) h.total += (double)h.weights[i * rows_in_block(&p->b)];
    return h;
}

/* Returns the logits: in `own`, or a row where it lies. */
static real *load_block(const tg_node *node, int in, int64_t row, int64_t last, real *own, block *h) {
    const plan *p = (const plan *)node->plan;
    char *at[LANES];
    h->count = (int)TG_MIN(last - row, rows_in_block(&p->b));
    for (int l = 0; l < h->count; l++) h->class[l] = class_of(&h->t, row + l, &h->weight[l]);
    place_rows(&p->b, &h->rows, node->args[in].data, row, h->count, at);
    if (p->b.whole) return (real *)at[0];
    load_rows(&p->b, own, (const char *const *)at, p->step);
    fill_end(&p->b, own, -INFINITY);
    return own;
}

/* Where in its block the logit of a row's class lies. */
static inline int64_t place_of(const block *h, const blocks *b, int lane) {
    return b->across ? h->class[lane] : h->class[lane] * LANES + lane;
}

static int cross_entropy_prepare(tg_node *node) {
    plan *p = (plan *)node->plan;
    if (plan_rows(node, 1, 0)) return 1;
    node->own_bytes = (node->floats[0] != 0 ? 2 : 1) * block_size(&p->b) * (int64_t)sizeof(real);
    return loss_phases(node);
}

/* With L = log(sum(exp(x - max(x)))): the class's part w (L - (x[class] - max(x))) and, of the share that is spread,
 * the mean of what each class would give. */
static void cross_entropy_unit(const tg_node *node, int64_t unit, real *own, block *h, sums *s) {
    const plan *p = (const plan *)node->plan;
    const real share = (real)node->floats[0];
    const int64_t last = TG_MIN((unit + 1) * p->each, p->rows);
    for (int64_t r = unit * p->each; r < last; r += rows_in_block(&p->b)) {
        real largest[LANES], sum[LANES], others[LANES];
        real *x = load_block(node, 1, r, last, own, h);
        largest_of(&p->b, x, largest);
        SUM(&p->b, sum, vexp_to_1(x[k] - largest[l]));
        EACH_LANE sum[l] = vlog(sum[l]);
        if (h->weights) {
            if (!p->b.whole) fill_end(&p->b, x, largest[0]);
            SUM(&p->b, others, h->weights[k] * (sum[l] - (x[k] - largest[l])));
        }
        for (int l = 0; l < h->count; l++) {
            real loss = h->weight[l];
            if (h->class[l] >= 0) {
                loss *= sum[l] - (x[place_of(h, &p->b, l)] - largest[l]);
                if (h->weights) loss = (1 - share) * loss + share / (real)h->t.classes * others[l];
            }
            put_loss(node, s, r + l, loss, h->weight[l]);
        }
    }
}

static void cross_entropy_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    if (phase == 1) {
        reduce(node);
        return;
    }
    block h = first_block(node, 1, own);
    for (int64_t u = lo; u < hi; u++) {
        sums s = {0, 0};
        cross_entropy_unit(node, u, (real *)own, &h, &s);
        if (node->ints[0] != NONE) ((sums *)node->aux)[u] = s;
    }
}

static int cross_entropy_grad_prepare(tg_node *node) {
    plan *p = (plan *)node->plan;
    if (plan_rows(node, 2, 0)) return 1;
    node->own_bytes = (node->floats[0] != 0 ? 2 : 1) * block_size(&p->b) * (int64_t)sizeof(real);
    return grad_phases(node);
}

/* A row's loss is a sum of -a[j] log_softmax(x)[j], so its gradient is sum(a) softmax(x) - a. */
static void cross_entropy_grad_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const plan *p = (const plan *)node->plan;
    const int64_t last = TG_MIN(hi * p->each, p->rows);
    if (phase < node->phases - 1) {
        count_weights(node, lo, hi);
        return;
    }
    const real spread = (real)node->floats[0], of_all = share_of_all(node);
    const walk each = rows_of(&node->args[1], -1), outs = rows_of(&node->args[0], p->dim);
    block h = first_block(node, 2, own);
    const real for_each = spread / (real)h.t.classes, together = for_each * (real)h.total;
    for (int64_t r = lo * p->each; r < last; r += rows_in_block(&p->b)) {
        real largest[LANES], sum[LANES], g[LANES] = {0}, of_class[LANES] = {0};
        char *out[LANES];
        const real *x = load_block(node, 2, r, last, (real *)own, &h);
        place_rows(&p->b, &outs, node->args[0].data, r, h.count, out);
        for (int l = 0; l < h.count; l++) {
            g[l] = share_of_row(node, &each, r + l, of_all);
            of_class[l] = g[l] * (1 - spread) * h.weight[l];
        }
        if (p->b.across) EACH_LANE g[l] = g[0], of_class[l] = of_class[0];
        largest_of(&p->b, x, largest);
        real *y = p->b.whole ? (real *)out[0] : (real *)own;
        SUM(&p->b, sum, y[k] = vexp_to_1(x[k] - largest[l]));
        EACH_LANE sum[l] = (of_class[l] + g[l] * together) / sum[l];
        SET(&p->b, y, y[k] * sum[l]);
        if (h.weights) SET(&p->b, y, y[k] - g[l] * for_each * h.weights[k]);
        for (int l = 0; l < h.count; l++) {
            if (h.class[l] >= 0)
                y[place_of(&h, &p->b, l)] -= of_class[l];
            else
                for (int64_t i = l; i < block_size(&p->b); i += p->b.across ? 1 : LANES) y[i] = h.weight[l];
        }
        if (!p->b.whole) store_rows(&p->b, y, out, h.count, node->args[0].stride[p->dim] * (int64_t)sizeof(real));
    }
}

/* ---- nll_loss ---- */

static int nll_loss_prepare(tg_node *node) { return plan_rows(node, 1, COUNTED) || loss_phases(node); }

static void nll_loss_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    const plan *p = (const plan *)node->plan;
    if (phase == 1) {
        reduce(node);
        return;
    }
    const targets t = targets_of(node, 1);
    const walk rows = rows_of(&node->args[1], p->dim);
    for (int64_t u = lo; u < hi; u++) {
        sums s = {0, 0};
        for (int64_t r = u * p->each; r < TG_MIN((u + 1) * p->each, p->rows); r++) {
            real weight, loss;
            const int64_t class = class_of(&t, r, &weight);
            loss = weight;
            if (class >= 0) loss *= -*(const real *)(node->args[1].data + walk_offset(&rows, r) + class * p->step);
            put_loss(node, &s, r, loss, weight);
        }
        if (node->ints[0] != NONE) ((sums *)node->aux)[u] = s;
    }
}

static int nll_loss_grad_prepare(tg_node *node) {
    plan *p = (plan *)node->plan;
    if (plan_rows(node, 2, 0)) return 1;
    p->each = TG_MAX(COUNTED / node->args[2].shape[p->dim], 1);
    return grad_phases(node);
}

/* -g w at the class, 0 elsewhere; NaN throughout where the target is none. */
static void nll_loss_grad_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    const plan *p = (const plan *)node->plan;
    if (phase < node->phases - 1) {
        count_weights(node, lo, hi);
        return;
    }
    const targets t = targets_of(node, 2);
    const walk each = rows_of(&node->args[1], -1);
    const real of_all = share_of_all(node);
    for (int64_t r = lo * p->each; r < TG_MIN(hi * p->each, p->rows); r++) {
        real weight;
        const int64_t class = class_of(&t, r, &weight);
        real *out = (real *)node->args[0].data + (r / p->inner * t.classes) * p->inner + r % p->inner;
        for (int64_t j = 0; j < t.classes; j++) out[j * p->inner] = class < 0 ? weight : 0;
        if (class >= 0) out[class * p->inner] = -share_of_row(node, &each, r, of_all) * weight;
    }
}

TG_TABLE(loss) = {
    {"cross_entropy", cross_entropy_prepare, cross_entropy_run},
    {"cross_entropy_grad", cross_entropy_grad_prepare, cross_entropy_grad_run},
    {"nll_loss", nll_loss_prepare, nll_loss_run},
    {"nll_loss_grad", nll_loss_grad_prepare, nll_loss_grad_run},
    {0},
};

/* matmul.c: matrix products, alone and with what a linear layer does next. All of them plan a gemm (gemm.h) from
 * strides, so that every transpose is free, and compute the same sums: a fused form equals its parts bit for bit.
 * Left out on purpose: vectors, promotion and broadcasting, which Python turns into strides. Read next: gemm.h. */
#include "dropout.h"
#include "gemm.h"

/* What prepare leaves for run in node->plan. */
typedef struct {
    gemm g;
    int64_t batch, batch_dims; /* products, and the dimensions that count them */
    int64_t group;             /* blocks in a unit */
    int64_t swapped;           /* C^T = B^T A^T is computed instead */
    int64_t splits;            /* k is cut into so many; g is then the product of one part */
    int64_t rows;              /* of C that a unit adds up */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* A long k and a small C, as weight gradients over many rows have: cutting C would pack both operands, which are far
 * larger than C, for other blocks to read. So k is cut, into the most equal parts that there are, each part makes a C
 * of its own in L2, and these are added in order. On one loaded core of a Zen 5, AVX-512, before and after, GFLOP/s:
 * 128x256x12544 135, 159; 49x128x32768 119, 143; 49x512x2048 235, 225, which is why shorter ones stay whole. The error
 * falls, too, to a ninth. */
enum { SPLITS = 16, SPLIT_C = 1 << 16, SPLIT_M = 1024, SPLIT_LONG = 4096, SPLIT_PART = 128 };

static int64_t splits_of(const plan *p) {
    const gemm *g = &p->g;
    int weights = g->ars == 1 && g->acs != 1 && g->bcs == 1;
    if (!weights || p->batch != 1 || g->m < 2 || g->n < 2 || g->m > SPLIT_M || g->m * g->n > SPLIT_C) return 1;
    if (g->k < SPLIT_LONG || g->k < 4 * TG_MAX(g->m, g->n)) return 1;
    int64_t splits = SPLITS;
    while (splits > 1 && (g->k % splits || g->k / splits < SPLIT_PART)) splits--;
    return splits;
}

static int plan_split(tg_node *node, plan *p) {
    gemm *g = &p->g;
    g->k /= p->splits, g->whole = 1;
    gemm_plan(g);
    p->rows = TG_MAX(4096 / g->n, 1);
    node->phases = 2;
    node->units[0] = p->splits;
    node->units[1] = gemm_pieces(g->m, p->rows);
    node->aux_bytes = p->splits * g->m * g->n * (int64_t)sizeof(real);
    node->own_bytes = g->own * (int64_t)sizeof(real);
    return 0;
}

/* Plan out = a @ b with the strides in p->g and fill in phases, units and scratch. */
static int finish_plan(tg_node *node, plan *p) {
    gemm *g = &p->g;
    p->splits = splits_of(p);
    if (p->splits > 1) return plan_split(node, p);
    gemm_plan(g);
    if (g->blocks == 0 || p->batch == 0) return 0; /* no phases: nothing to do */
    int64_t work = gemm_work(g) / g->blocks, total = p->batch * g->blocks;
    p->group = TG_MIN(TG_MAX(GEMM_UNIT / work, 1), total);
    int phase = 0;
    if (g->panels) node->units[phase++] = p->batch * g->panels;
    node->units[phase++] = (total + p->group - 1) / p->group;
    node->phases = phase;
    node->aux_bytes = p->batch * g->aux * (int64_t)sizeof(real);
    node->own_bytes = g->own * (int64_t)sizeof(real);
    return 0;
}

/* Element offset of product number q in an array whose first dimensions count products. */
static int64_t batch_offset(const tg_array *x, int64_t dims, int64_t q) {
    int64_t offset = 0;
    for (int64_t d = dims - 1; d >= 0; d--) {
        offset += q % x->shape[d] * x->stride[d];
        q /= x->shape[d];
    }
    return offset;
}

/* Dropout of the block with that number, which has just been made and is still in the cache. */
static void drop_block(const tg_node *node, const gemm *g, int64_t block) {
    const uint64_t *key = (const uint64_t *)node->args[3].data;
    int64_t i = block / g->col_blocks * g->mb, end = TG_MIN(i + g->mb, g->m);
    int64_t j = block % g->col_blocks * g->nb, cols = TG_MIN(g->nb, g->n - j);
    real *out = (real *)node->args[0].data;
    if (cols == g->n) /* whole rows are one stretch of the stream */
        cols *= end - i, end = i + 1;
    for (; i < end; i++) {
        int64_t first = i * g->n + j;
        drop(out + first, out + first, first, cols, key, (int32_t)node->ints[1], (real)node->floats[0]);
    }
}

static void run_split(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own, const gemm_end *end,
                      int dropped) {
    const plan *p = (const plan *)node->plan;
    const gemm *g = &p->g;
    const real *a = (const real *)node->args[1].data, *b = (const real *)node->args[2].data;
    real *parts = (real *)node->aux, *out = (real *)node->args[0].data;
    int64_t size = g->m * g->n;
    if (phase == 0) {
        for (int64_t s = lo; s < hi; s++)
            gemm_block(g, 0, a + s * g->k * g->acs, b + s * g->k * g->brs, parts + s * size, NULL, NULL, (real *)own);
        return;
    }
    int64_t i0 = lo * p->rows, i1 = TG_MIN(hi * p->rows, g->m), first = i0 * g->n, n = (i1 - i0) * g->n;
    real *restrict c = out + first;
    memcpy(c, parts + first, (size_t)n * sizeof(real));
    for (int64_t s = 1; s < p->splits; s++) {
        const real *restrict part = parts + s * size + first;
        for (int64_t i = 0; i < n; i++) c[i] += part[i];
    }
    if (end) gemm_finish(end, c, g->n, i0, i1 - i0, 0, g->n);
    if (dropped)
        drop(c, c, first, n, (const uint64_t *)node->args[3].data, (int32_t)node->ints[1], (real)node->floats[0]);
}

static void run_plan(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own, const gemm_end *end,
                     int dropped) {
    const plan *p = (const plan *)node->plan;
    const gemm *g = &p->g;
    const tg_array *out = &node->args[0], *x = &node->args[1], *w = &node->args[2];
    if (p->splits > 1) {
        run_split(node, phase, lo, hi, own, end, dropped);
        return;
    }
    int64_t each = g->blocks;
    const gemm_end *last = end;
    if (phase < node->phases - 1)
        each = g->panels;
    else
        lo *= p->group, hi = TG_MIN(hi * p->group, p->batch * each);
    for (int64_t u = lo; u < hi; u++) {
        int64_t q = u / each;
        const real *a = (const real *)x->data, *b = (const real *)w->data;
        if (p->batch > 1) a += batch_offset(x, p->batch_dims, q), b += batch_offset(w, p->batch_dims, q);
        gemm_end own_end;
        if (end && end->bias && p->batch > 1) { /* of a stack, each product has a bias of its own */
            own_end = *end, own_end.bias += batch_offset(&node->args[3], p->batch_dims, q);
            last = &own_end;
        }
        if (p->swapped) {
            const real *t = a;
            a = b, b = t;
        }
        real *aux = (real *)node->aux + q * g->aux, *c = (real *)out->data + q * g->m * g->n;
        if (phase < node->phases - 1)
            gemm_panel(g, u % each, a, b, aux);
        else
            gemm_block(g, u % each, a, b, c, last, aux, (real *)own);
        if (dropped && phase == node->phases - 1) drop_block(node, g, u);
    }
}

/* out[.., m, n] = a[.., m, k] @ b[.., k, n]: np.matmul(a, b, out=out); a and b of any strides, out contiguous. */
static int matmul_prepare(tg_node *node) {
    const tg_array *a = &node->args[1], *b = &node->args[2];
    plan *p = (plan *)node->plan;
    int d = a->ndim - 2;
    int64_t m = a->shape[d], n = b->shape[d + 1], k = a->shape[d + 1];
    int64_t ars = a->stride[d], acs = a->stride[d + 1], brs = b->stride[d], bcs = b->stride[d + 1];
    /* Products that share b and whose a's lie one below the other are one product with more rows. */
    while (d > 0 && (a->shape[d - 1] == 1 || (b->stride[d - 1] == 0 && a->stride[d - 1] == m * ars)))
        m *= a->shape[--d];
    p->batch = 1, p->batch_dims = d;
    while (d > 0) p->batch *= a->shape[--d];
    p->swapped = n == 1 && acs != 1; /* a column of C is as good as a row, and vectors run along the columns of B */
    if (p->swapped)
        p->g = (gemm){.m = n, .n = m, .k = k, .ars = bcs, .acs = brs, .brs = acs, .bcs = ars, .crs = m};
    else
        p->g = (gemm){.m = m, .n = n, .k = k, .ars = ars, .acs = acs, .brs = brs, .bcs = bcs, .crs = n};
    return finish_plan(node, p);
}

static void matmul_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    run_plan(node, phase, lo, hi, own, NULL, 0);
}

/* out[.., m, n] = floats[1] * (a[.., m, k] @ b[.., k, n]) + floats[0] * c[.., m, n], args out, a, b, c of any strides;
 * c is not looked at where its factor is 0. */
static int addmm_prepare(tg_node *node) {
    const tg_array *a = &node->args[1], *b = &node->args[2];
    plan *p = (plan *)node->plan;
    int d = a->ndim - 2;
    p->batch = 1, p->batch_dims = d;
    for (int i = 0; i < d; i++) p->batch *= a->shape[i];
    p->g = (gemm){.m = a->shape[d], .n = b->shape[d + 1], .k = a->shape[d + 1]};
    p->g.ars = a->stride[d], p->g.acs = a->stride[d + 1], p->g.brs = b->stride[d], p->g.bcs = b->stride[d + 1];
    p->g.crs = p->g.n;
    return finish_plan(node, p);
}

static void addmm_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const tg_array *c = &node->args[3];
    gemm_end end = {.beta = (real)node->floats[0], .alpha = (real)node->floats[1]};
    end.weighted = end.alpha != 1 || end.beta != 1;
    if (end.beta != 0) end.bias = (const real *)c->data;
    end.bias_rs = c->stride[c->ndim - 2], end.bias_cs = c->stride[c->ndim - 1];
    run_plan(node, phase, lo, hi, own, &end, 0);
}

/* out[rows, n] = act(x[rows, k] @ w[n, k].T + bias[n]): args out, x, w and perhaps bias; ints[0]: 0 none, 1 relu. */
static int linear_prepare(tg_node *node) {
    const tg_array *x = &node->args[1], *w = &node->args[2];
    plan *p = (plan *)node->plan;
    p->batch = 1;
    p->g = (gemm){.m = x->shape[0], .n = w->shape[0], .k = x->shape[1], .ars = x->stride[0], .acs = x->stride[1]};
    p->g.brs = w->stride[1], p->g.bcs = w->stride[0], p->g.crs = p->g.n;
    return finish_plan(node, p);
}

static void run_linear(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own, int dropped) {
    gemm_end end = {.relu = node->ints[0] == 1};
    const tg_array *bias = &node->args[3 + dropped];
    if (bias < node->args + node->n_args) end.bias = (const real *)bias->data, end.bias_cs = bias->stride[0];
    run_plan(node, phase, lo, hi, own, end.bias || end.relu ? &end : NULL, dropped);
}

static void linear_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    run_linear(node, phase, lo, hi, own, 0);
}

/* dropout of the same: args out, x, w, key, perhaps bias; ints activation, threshold; floats scale (see dropout.h). */
static void linear_dropout_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    run_linear(node, phase, lo, hi, own, 1);
}

/* dx[m, k] = np.where(y[m, k] <= 0, 0, g[m, n] @ w[n, k] * scale), args dx, g, w, y; floats scale: the gradient of a
 * linear layer's input where that is y = relu(z), or y = dropout(relu(z)) scaled by `scale`, taken with respect to z.
 * Inverts out = y @ w.T. */
static int linear_grad_input_relu_prepare(tg_node *node) {
    const tg_array *g = &node->args[1], *w = &node->args[2];
    plan *p = (plan *)node->plan;
    p->batch = 1;
    p->g = (gemm){.m = g->shape[0], .n = w->shape[1], .k = g->shape[1], .ars = g->stride[0], .acs = g->stride[1]};
    p->g.brs = w->stride[0], p->g.bcs = w->stride[1], p->g.crs = p->g.n;
    return finish_plan(node, p);
}

static void linear_grad_input_relu_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const tg_array *y = &node->args[3];
    gemm_end end = {.mask = (const real *)y->data, .mask_rs = y->stride[0], .mask_cs = y->stride[1]};
    end.scale = (real)node->floats[0];
    run_plan(node, phase, lo, hi, own, &end, 0);
}

TG_TABLE(matmul) = {
    {"matmul", matmul_prepare, matmul_run},
    {"addmm", addmm_prepare, addmm_run},
    {"linear", linear_prepare, linear_run},
    {"linear_dropout", linear_prepare, linear_dropout_run},
    {"linear_grad_input_relu", linear_grad_input_relu_prepare, linear_grad_input_relu_run},
    {0},
};

/* update.c: optimiser steps over all parameters of a group in one node, each array read and written once.
 *
 * Arguments: hyper (double, one row of settings), then for each parameter the same few tensors, of which the last is
 * its step count where there is one: float or double, advanced in a phase of its own once everybody has read it. The
 * formulas, in this order of operations, are those of ops/update.py, in which they are explained; the build forbids FMA
 * here, so that an element comes out the same wherever a unit ends. Left out on purpose: parameters that are not
 * contiguous, which the reference updates. Read next: ops/update.py. */
#include "loops.h"
#include "vecmath.h"

#define CHUNK 16384 /* elements in a unit: some 10 us, and all arrays of it fit into L2 */

/* plan: tensors of a parameter, whether the last is a step count. */
enum { PER, COUNTS };

static int group_prepare(tg_node *node, int64_t per, int counts) {
    int64_t total = 0;
    if (!is_contiguous(&node->args[0])) return 1;
    for (int k = 1; k < node->n_args; k++) {
        if (!is_contiguous(&node->args[k])) return 1;
        if ((k - 1) % per == 0) total += count_of(&node->args[k]);
    }
    node->plan[PER] = per, node->plan[COUNTS] = counts;
    node->phases = 1 + counts;
    node->units[0] = (total + CHUNK - 1) / CHUNK;
    node->units[1] = counts;
    return 0;
}

/* The parts of parameters that lie in some units, one after the other: a parameter's tensors, the first element and
 * how many. The parameters count as one array, in order. */
typedef struct {
    const tg_array *tensors;
    int64_t from, n;       /* of this part */
    int64_t at, next, end; /* where it lies, where the next parameter starts, the end of the units */
} part;

static inline part before_first(const tg_node *node, int64_t lo, int64_t hi) {
    return (part){.tensors = node->args + 1 - node->plan[PER], .at = lo * CHUNK, .end = hi * CHUNK};
}

static inline int next_part(const tg_node *node, part *s) {
    for (;;) {
        int64_t start = s->next;
        s->tensors += node->plan[PER];
        if (s->tensors >= node->args + node->n_args || start >= s->end) return 0;
        s->next = start + count_of(s->tensors);
        s->from = TG_MAX(s->at - start, 0);
        s->n = TG_MIN(s->end, s->next) - start - s->from;
        if (s->n > 0) return 1;
    }
}

/* Tensor i of the parameter, from the part's first element on. */
static inline real *tensor(const part *s, int i) { return (real *)s->tensors[i].data + s->from; }

static inline double get_count(const tg_array *a) {
    return a->dtype == TG_F64 ? *(double *)a->data : *(float *)a->data;
}

/* The number of this step, from 1. */
static inline double count(const tg_node *node, const part *s) {
    return get_count(&s->tensors[node->plan[PER] - 1]) + 1;
}

/* The last phase: every step count goes up by one. */
static void advance(const tg_node *node) {
    int64_t per = node->plan[PER];
    for (int64_t k = per; k < node->n_args; k += per) {
        const tg_array *a = &node->args[k];
        if (a->dtype == TG_F64)
            *(double *)a->data += 1;
        else
            *(float *)a->data += 1;
    }
}

static inline const double *hyper(const tg_node *node) { return (const double *)node->args[0].data; }

/* ---- sgd_: hyper lr, momentum, dampening, weight_decay; ints momentum, nesterov, maximize ---- */

static int sgd_prepare(tg_node *node) {
    int momentum = node->ints[0] != 0;
    return group_prepare(node, momentum ? 4 : 2, momentum);
}

static void sgd_plain(const tg_node *node, const part *s) {
    const double *h = hyper(node);
    const real lr = (real)h[0], decay = (real)h[3], sign = node->ints[2] ? -1 : 1;
    real *restrict p = tensor(s, 0);
    const real *restrict grad = tensor(s, 1);
#pragma omp simd
    for (int64_t i = 0; i < s->n; i++) {
        real g = sign * grad[i];
        g = decay != 0 ? g + decay * p[i] : g;
        p[i] -= lr * g;
    }
}

static void sgd_momentum(const tg_node *node, const part *s) {
    const double *h = hyper(node);
    const real lr = (real)h[0], decay = (real)h[3], sign = node->ints[2] ? -1 : 1;
    const int first = count(node, s) == 1, nesterov = node->ints[1] != 0;
    const real mu = (real)h[1], fresh = (real)(1 - h[2]);
    real *restrict p = tensor(s, 0), *restrict buffer = tensor(s, 2);
    const real *restrict grad = tensor(s, 1);
#pragma omp simd
    for (int64_t i = 0; i < s->n; i++) {
        real g = sign * grad[i];
        g = decay != 0 ? g + decay * p[i] : g;
        real b = first ? g : mu * buffer[i] + fresh * g;
        buffer[i] = b;
        p[i] -= lr * (nesterov ? g + mu * b : b);
    }
}

static void sgd_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    if (phase == 1) {
        advance(node);
        return;
    }
    for (part s = before_first(node, lo, hi); next_part(node, &s);)
        if (node->ints[0])
            sgd_momentum(node, &s);
        else
            sgd_plain(node, &s);
}

/* ---- adam_: hyper lr, beta1, beta2, eps, weight_decay; ints amsgrad, decoupled, maximize ---- */

static int adam_prepare(tg_node *node) { return group_prepare(node, node->ints[0] ? 6 : 5, 1); }

/* What a step's number makes of the settings; the two powers cost as much as updating 100 elements. */
typedef struct {
    double step;
    real rate, root; /* lr / (1 - beta1^step), sqrt(1 - beta2^step) */
} corrections;

static inline void correct(corrections *c, const double *h, double step) {
    if (c->step == step) return;
    c->step = step;
    c->rate = (real)(h[0] / (1 - pow(h[1], step)));
    c->root = (real)sqrt(1 - pow(h[2], step));
}

static void adam_part(const tg_node *node, const part *s, const corrections *c, int amsgrad) {
    const double *h = hyper(node);
    const real sign = node->ints[2] ? -1 : 1, fresh1 = (real)(1 - h[1]), beta2 = (real)h[2], fresh2 = (real)(1 - h[2]);
    const real decay = node->ints[1] ? 0 : (real)h[4], shrink = node->ints[1] ? (real)(1 - h[0] * h[4]) : 1;
    const real rate = c->rate, correction = c->root, eps = (real)h[3];
    real *restrict p = tensor(s, 0), *restrict mean = tensor(s, 2), *restrict square = tensor(s, 3);
    real *restrict most = amsgrad ? tensor(s, 4) : NULL;
    const real *restrict grad = tensor(s, 1);
#pragma omp simd
    for (int64_t i = 0; i < s->n; i++) {
        real g = sign * grad[i], x = p[i] * shrink;
        g = decay != 0 ? g + decay * x : g;
        real m = mean[i] + fresh1 * (g - mean[i]);
        real v = square[i] * beta2 + fresh2 * g * g;
        mean[i] = m;
        square[i] = v;
        if (amsgrad) {
            v = most[i] > v || most[i] != most[i] ? most[i] : v;
            most[i] = v;
        }
        p[i] = x - rate * m / (REAL(sqrt)(v) / correction + eps);
    }
}

static void adam_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    if (phase == 1) {
        advance(node);
        return;
    }
    corrections c = {0};
    for (part s = before_first(node, lo, hi); next_part(node, &s);) {
        correct(&c, hyper(node), count(node, &s));
        if (node->ints[0])
            adam_part(node, &s, &c, 1);
        else
            adam_part(node, &s, &c, 0);
    }
}

/* ---- rmsprop_: hyper lr, alpha, eps, weight_decay, momentum; ints momentum, centered, maximize ---- */

static int rmsprop_prepare(tg_node *node) {
    return group_prepare(node, 4 + (node->ints[0] != 0) + (node->ints[1] != 0), 1);
}

static inline void rmsprop_part(const tg_node *node, const part *s, int momentum, int centered) {
    const double *h = hyper(node);
    const real lr = (real)h[0], alpha = (real)h[1], fresh = (real)(1 - h[1]), eps = (real)h[2], decay = (real)h[3];
    const real mu = (real)h[4], sign = node->ints[2] ? -1 : 1;
    real *restrict p = tensor(s, 0), *restrict square = tensor(s, 2);
    real *restrict mean = centered ? tensor(s, 3) : NULL, *restrict buffer = momentum ? tensor(s, 3 + centered) : NULL;
    const real *restrict grad = tensor(s, 1);
#pragma omp simd
    for (int64_t i = 0; i < s->n; i++) {
        real g = sign * grad[i];
        g = decay != 0 ? g + decay * p[i] : g;
        real v = square[i] * alpha + fresh * g * g;
        square[i] = v;
        if (centered) {
            real m = mean[i] + fresh * (g - mean[i]);
            mean[i] = m;
            v = v - m * m;
        }
        real root = REAL(sqrt)(v) + eps;
        if (momentum) {
            real b = buffer[i] * mu + g / root;
            buffer[i] = b;
            p[i] -= lr * b;
        } else {
            p[i] -= lr * g / root;
        }
    }
}

static void rmsprop_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    if (phase == 1) {
        advance(node);
        return;
    }
    for (part s = before_first(node, lo, hi); next_part(node, &s);)
        if (node->ints[0] && node->ints[1])
            rmsprop_part(node, &s, 1, 1);
        else if (node->ints[0])
            rmsprop_part(node, &s, 1, 0);
        else if (node->ints[1])
            rmsprop_part(node, &s, 0, 1);
        else
            rmsprop_part(node, &s, 0, 0);
}

/* ---- adagrad_: hyper lr, lr_decay, weight_decay, eps; ints maximize ---- */

static int adagrad_prepare(tg_node *node) { return group_prepare(node, 4, 1); }

static void adagrad_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    if (phase == 1) {
        advance(node);
        return;
    }
    const double *h = hyper(node);
    const real decay = (real)h[2], eps = (real)h[3], sign = node->ints[0] ? -1 : 1;
    for (part s = before_first(node, lo, hi); next_part(node, &s);) {
        const real rate = (real)(h[0] / (1 + (count(node, &s) - 1) * h[1]));
        real *restrict p = tensor(&s, 0), *restrict total = tensor(&s, 2);
        const real *restrict grad = tensor(&s, 1);
#pragma omp simd
        for (int64_t i = 0; i < s.n; i++) {
            real g = sign * grad[i];
            g = decay != 0 ? g + decay * p[i] : g;
            real sum = total[i] + g * g;
            total[i] = sum;
            p[i] -= rate * g / (REAL(sqrt)(sum) + eps);
        }
    }
}

TG_TABLE(update) = {
    {"sgd_", sgd_prepare, sgd_run},
    {"adam_", adam_prepare, adam_run},
    {"rmsprop_", rmsprop_prepare, rmsprop_run},
    {"adagrad_", adagrad_prepare, adagrad_run},
    {0},
};

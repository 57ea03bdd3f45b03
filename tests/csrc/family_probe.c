/* family_probe.c: kernels for the tests of registry and runner, built like any family.
 *
 * probe_spread uses all that a kernel may: three phases, scratch of both kinds, more units than threads. */
#include "kernel.h"

#define CHUNK 5

/* out = x * sum(x), for x of shape (n,). The sum is taken in chunks of 5 elements, then over the chunks, in order. */
static int spread_prepare(tg_node *node) {
    int64_t n = node->args[1].shape[0], chunks = (n + CHUNK - 1) / CHUNK;
    if (node->args[1].ndim != 1) return 1;
    node->phases = 3;
    node->units[0] = node->units[2] = chunks;
    node->units[1] = 1;
    node->aux_bytes = (chunks + 1) * (int64_t)sizeof(real);
    node->own_bytes = CHUNK * sizeof(real);
    node->plan[0] = chunks;
    return 0;
}

static void spread_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    real *out = (real *)node->args[0].data, *partial = (real *)node->aux, *copy = (real *)own;
    const real *x = (const real *)node->args[1].data;
    int64_t n = node->args[1].shape[0], chunks = node->plan[0];
    if (phase == 1) {
        partial[chunks] = 0;
        for (int64_t c = 0; c < chunks; c++) partial[chunks] += partial[c];
        return;
    }
    for (int64_t c = lo; c < hi; c++) {
        int64_t start = c * CHUNK, length = TG_MIN(CHUNK, n - start);
        if (phase == 0) {
            memcpy(copy, x + start, (size_t)length * sizeof(real));
            partial[c] = 0;
            for (int64_t i = 0; i < length; i++) partial[c] += copy[i];
        } else {
            for (int64_t i = start; i < start + length; i++) out[i] = x[i] * partial[chunks];
        }
    }
}

/* out = x + y, element by element, in one unit. */
static int plus_prepare(tg_node *node) {
    node->phases = 1;
    node->units[0] = 1;
    return 0;
}

static void plus_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)lo, (void)hi, (void)own;
    real *out = (real *)node->args[0].data;
    const real *x = (const real *)node->args[1].data, *y = (const real *)node->args[2].data;
    for (int64_t i = 0; i < node->args[0].shape[0]; i++) out[i] = x[i] + y[i];
}

/* out = the sum of all inputs, each of one element: a node of many arguments. */
static void total_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)lo, (void)hi, (void)own;
    real sum = 0;
    for (int i = 1; i < node->n_args; i++) sum += *(const real *)node->args[i].data;
    *(real *)node->args[0].data = sum;
}

TG_TABLE(family_probe) = {
    {"probe_spread", spread_prepare, spread_run},
    {"probe_plus", plus_prepare, plus_run},
    {"probe_total", plus_prepare, total_run},
#ifdef __AVX2__
    {"probe_wide", plus_prepare, plus_run},
#endif
    {NULL, NULL, NULL},
};

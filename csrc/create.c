/* create.c: tensors that are made of nothing but numbers: arange, linspace, eye.
 *
 * Sequences of floats are computed in double and rounded once. Left out on purpose: constants, which are copies of one
 * number (move.c). Read next: random.c. */
#include "copy.h"

static int pieces_prepare(tg_node *node) {
    node->phases = 1;
    node->units[0] = divide_up(count_of(&node->args[0]), PIECE);
    return 0;
}

/* A loop over the elements i of some units of the output, x[i] = value. */
#define EACH(value)                             \
    const int64_t n = count_of(&node->args[0]); \
    real *x = (real *)node->args[0].data;       \
    (void)phase, (void)own;                     \
    for (int64_t i = lo * PIECE, end = TG_MIN(hi * PIECE, n); i < end; i++) x[i] = (real)(value)

/* first + i step: of whole numbers for integers. */
static void arange_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
#if TG_FLOATING
    const double first = node->floats[0], step = node->floats[1];
    EACH(first + (double)i * step);
#else
    const int64_t first = node->ints[0], step = node->ints[1];
    EACH(first + i * step);
#endif
}

/* From the first number up to the middle, from there back from the last: both ends are exact. */
static void linspace_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const double first = node->floats[0], last = node->floats[1], step = node->floats[2];
    const int64_t middle = TG_MAX(count_of(&node->args[0]) / 2, 1);
    EACH(i < middle ? first + step * (double)i : last - step * (double)(n - 1 - i));
}

/* 1 where row and column are equal. */
static void eye_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const int64_t rows = node->args[0].shape[0], columns = node->args[0].shape[1];
    const int64_t start = lo * PIECE, end = TG_MIN(hi * PIECE, rows * columns);
    real *x = (real *)node->args[0].data;
    memset(x + start, 0, (size_t)(end - start) * sizeof(real));
    for (int64_t k = divide_up(start, columns + 1); k < columns && k * (columns + 1) < end; k++)
        x[k * (columns + 1)] = 1;
}

TG_TABLE(create) = {
    {"arange", pieces_prepare, arange_run},
    {"linspace", pieces_prepare, linspace_run},
    {"eye", pieces_prepare, eye_run},
    {0},
};

/* sort.c: the positions that sort along one dimension, and of the first few of them: argsort and topk_indices.
 *
 * A line's elements become unsigned integers in the same order, each beside its position: NaN is the largest, and to
 * turn the bits round turns the order round but for equal elements, which stay in theirs. Where few elements are there,
 * or few are wanted, they are put in place one by one; else sorted by eight bits at a time, the lowest first. Left out
 * on purpose: lines so long that the scratch would be a burden (the reference does those), and one line shared by
 * threads. Read next: loops.h, tinygrad_edu/ops/order.py. */
#include "loops.h"

#define PIECE 8192          /* elements in a unit, if its lines are shorter */
#define FEW 40              /* about where digits become quicker */
#define LONGEST (1 << 22)   /* elements */
#define DIGITS sizeof(real) /* of a key */

#if TG_TYPE_IS == TG_IS_f64 || TG_TYPE_IS == TG_IS_i64
typedef uint64_t bits;
#elif TG_TYPE_IS == TG_IS_u8
typedef uint8_t bits;
#else
typedef uint32_t bits;
#endif

typedef struct {
    bits key;
    uint32_t at;
} item;

/* The lines of input and output, strides in bytes; the last loop is over lines. */
typedef struct {
    loops lines;
    int64_t n, k, in_by, out_by; /* elements of a line, of the output's; their distances */
    int64_t count, group;        /* lines in all, in a unit */
    int64_t descending;
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

static inline bits key_of(real x) {
    bits key;
#if TG_FLOATING
    const bits sign = (bits)1 << (8 * sizeof(bits) - 1);
    if (x != x) return (bits)-1;
    x += 0; /* -0 equals 0 */
    memcpy(&key, &x, sizeof key);
    return key & sign ? ~key : key | sign;
#else
    memcpy(&key, &x, sizeof key);
    return TG_TYPE_IS == TG_IS_u8 ? key : (bits)(key ^ (bits)1 << (8 * sizeof(bits) - 1));
#endif
}

static inline item item_at(const plan *p, const char *in, int64_t i) {
    bits key = key_of(*(const real *)(in + i * p->in_by));
    return (item){p->descending ? (bits)~key : key, (uint32_t)i};
}

/* The first k of a line in order, in a; the last of them gives way to what is less. */
static void insert(const plan *p, const char *in, item *a) {
    int64_t have = 0;
    for (int64_t i = 0; i < p->n; i++) {
        item x = item_at(p, in, i);
        if (have == p->k && (have == 0 || a[have - 1].key <= x.key)) continue;
        int64_t j = have < p->k ? have++ : have - 1;
        for (; j > 0 && a[j - 1].key > x.key; j--) a[j] = a[j - 1];
        a[j] = x;
    }
}

/* A whole line in order; returns where: in a or b. */
static item *sort_digits(const plan *p, const char *in, item *a, item *b) {
    int64_t start[DIGITS][256] = {{0}};
    for (int64_t i = 0; i < p->n; i++) {
        a[i] = item_at(p, in, i);
        for (size_t d = 0; d < DIGITS; d++) start[d][a[i].key >> 8 * d & 255]++;
    }
    for (size_t d = 0; d < DIGITS; d++) {
        if (start[d][a[0].key >> 8 * d & 255] == p->n) continue; /* all are alike */
        for (int64_t v = 0, sum = 0; v < 256; v++) {
            int64_t count = start[d][v];
            start[d][v] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < p->n; i++) b[start[d][a[i].key >> 8 * d & 255]++] = a[i];
        item *c = a;
        a = b, b = c;
    }
    return a;
}

/* argsort(input; dim, descending): the output is as long as the input. */
static int argsort_prepare(tg_node *node) {
    plan *p = (plan *)node->plan;
    int64_t dim = node->ints[0];
    tg_array arrays[2] = {node->args[0], node->args[1]};
    p->n = arrays[1].shape[dim], p->k = arrays[0].shape[dim];
    p->in_by = arrays[1].stride[dim] * item_size(&arrays[1]), p->out_by = arrays[0].stride[dim] * 8;
    p->descending = node->ints[1];
    if (p->n > LONGEST) return 1;
    arrays[0].shape[dim] = arrays[1].shape[dim] = 1;
    collapse(&p->lines, &arrays[0], arrays, 2);
    p->count = p->k ? count_of(&arrays[0]) : 0;
    p->group = TG_MAX(1, PIECE / TG_MAX(p->n, 1));
    node->phases = 1;
    node->units[0] = divide_up(p->count, p->group);
    node->own_bytes = 2 * p->n * (int64_t)sizeof(item);
    return 0;
}

/* topk_indices(input; k, dim, largest). */
static int topk_prepare(tg_node *node) {
    node->ints[0] = node->ints[1], node->ints[1] = node->ints[2];
    return argsort_prepare(node);
}

static void argsort_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan *p = (const plan *)node->plan;
    const loops *l = &p->lines;
    item *a = (item *)own, *b = a + p->n;
    for (int64_t line = lo * p->group; line < TG_MIN(hi * p->group, p->count); line++) {
        int64_t at[TG_DIMS];
        index_at(l->dims, l->shape, line, at);
        char *out = node->args[0].data;
        const char *in = node->args[1].data;
        for (int64_t d = 0; d < l->dims; d++) out += at[d] * l->stride[0][d], in += at[d] * l->stride[1][d];
        const item *sorted = a;
        if (p->n <= FEW || p->k <= FEW / 2)
            insert(p, in, a);
        else
            sorted = sort_digits(p, in, a, b);
        for (int64_t i = 0; i < p->k; i++) *(int64_t *)(out + i * p->out_by) = sorted[i].at;
    }
}

TG_TABLE(sort) = {
    {"argsort", argsort_prepare, argsort_run},
    {"topk_indices", topk_prepare, argsort_run},
    {0},
};

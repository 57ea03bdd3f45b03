/* reduce.c: sums, means, norms, products, extrema, any, all; variances and standard deviations.
 *
 * One function runs them all, made anew for each kind. Read next: reduce.h, where the loops are; extremum.c, scan.c. */
#include "reduce.h"

static int reduction_prepare(tg_node *node) { return plan_reduction(node, 0); }

static inline void store(kind k, const tg_node *node, int64_t at, wide value) {
    const plan *p = (const plan *)node->plan;
    const tg_array *out = &node->args[0];
    if (k == ANY || k == ALL)
        ((uint8_t *)out->data)[at] = value != 0;
    else if (TG_FLOATING || k == AMAX || k == AMIN)
        ((real *)out->data)[at] = (real)(k == MEAN      ? value / (wide)p->count
                                         : k == SQUARES ? sqrt((double)value)
                                         : k == POWERS  ? pow((double)value, 1 / node->floats[0])
                                                        : value);
    else
        ((int64_t *)out->data)[at] = (int64_t)value;
}

/* Reduced elements lo .. hi - 1 of the output whose first element is at x. */
static ALWAYS_INLINE wide reduce_rows(kind k, const plan *p, const char *x, int64_t lo, int64_t hi, lane centre,
                                      char *own) {
    const walk *w = &p->reduced;
    wide total = start_of(k);
    if (p->direct && w->dims == 1 && hi - lo <= SPAN) /* what follows takes longer than a short row */
        return reduce_span(k, (const real *)x + lo, hi - lo, centre);
    if (!p->direct) {
        for (int64_t n; lo < hi; lo += n) {
            n = TG_MIN(BUFFER, hi - lo);
            fetch(w->dims, w->shape, w->stride, x, lo, n, sizeof(real), own);
            total = join_wide(k, total, reduce_span(k, (const real *)own, n, centre));
        }
        return total;
    }
    int64_t length = w->shape[w->dims - 1];
    for (int64_t n; lo < hi; lo += n) {
        int64_t at = lo % length;
        n = TG_MIN(TG_MIN(length - at, SPAN), hi - lo);
        total = join_wide(k, total, reduce_span(k, (const real *)(x + walk_offset(w, lo)), n, centre));
    }
    return total;
}

/* The same for `width` columns at once. */
static ALWAYS_INLINE void reduce_strip(kind k, const plan *p, const char *x, int64_t lo, int64_t hi, int64_t width,
                                       const lane *centre, wide *total) {
    const walk *w = &p->reduced;
    int64_t length = w->shape[w->dims - 1], stride = w->stride[w->dims - 1];
    lane part[LANES];
    for (int64_t l = 0; l < width; l++) total[l] = start_of(k);
    for (int64_t n; lo < hi; lo += n) {
        n = TG_MIN(TG_MIN(length - lo % length, ROWS), hi - lo);
        reduce_columns(k, x + walk_offset(w, lo), stride, n, width, centre, part);
        for (int64_t l = 0; l < width; l++) total[l] = join_wide(k, total[l], part[l]);
    }
}

static ALWAYS_INLINE void reduce(kind k, const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const plan *p = (const plan *)node->plan;
    const char *x = node->args[1].data;
    wide *partial = (wide *)node->aux, total[LANES];
    lane with[LANES];
    for (int64_t l = 0; l < LANES; l++) with[l] = k == POWERS ? (lane)node->floats[0] : 0;
    if (phase == 1) {
        for (int64_t o = lo * (SHARE / 8); o < TG_MIN(hi * (SHARE / 8), p->outputs); o++) {
            wide a = partial[o];
            for (int64_t i = 1; i < p->parts; i++) a = join_wide(k, a, partial[i * p->outputs + o]);
            store(k, node, o, a);
        }
        return;
    }
    for (int64_t u = lo; u < hi; u++) {
        int64_t part = u / p->groups, first = part * p->part, end = TG_MIN(first + p->part, p->count);
        int64_t block = u % p->groups * p->group, stop = TG_MIN(block + p->group, p->blocks);
        for (; block < stop; block++) {
            int64_t o = block, width = 1;
            if (p->columns) {
                int64_t column = block % p->strips * LANES;
                o = block / p->strips * p->columns + column, width = TG_MIN(LANES, p->columns - column);
                reduce_strip(k, p, x + walk_offset(&p->kept, o), first, end, width, with, total);
            } else {
                total[0] = reduce_rows(k, p, x + walk_offset(&p->kept, o), first, end, with[0], own);
            }
            for (int64_t l = 0; l < width; l++)
                if (p->parts > 1)
                    partial[part * p->outputs + o + l] = total[l];
                else
                    store(k, node, o + l, total[l]);
        }
    }
}

#define REDUCTION(name, k)                                                                      \
    static void name##_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) { \
        reduce(k, node, phase, lo, hi, own);                                                    \
    }
REDUCTION(sum, SUM)
REDUCTION(prod, PROD)
REDUCTION(amax, AMAX)
REDUCTION(amin, AMIN)
REDUCTION(any, ANY)
REDUCTION(all, ALL)
#if TG_FLOATING
REDUCTION(mean, MEAN)

/* sum(|x|^p)^(1/p), p being floats[0]: for the common p without a power; 0 counts, the infinite ones find extrema. */
static void norm_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const double p = node->floats[0];
    if (p == 2)
        reduce(SQUARES, node, phase, lo, hi, own); /* around 0 */
    else if (p == 1)
        reduce(SIZES, node, phase, lo, hi, own);
    else if (p == 0)
        reduce(COUNT, node, phase, lo, hi, own);
    else if (p == INFINITY)
        reduce(LARGEST, node, phase, lo, hi, own);
    else if (p == -INFINITY)
        reduce(SMALLEST, node, phase, lo, hi, own);
    else
        reduce(POWERS, node, phase, lo, hi, own);
}
#endif

/* ---- var: np.var(input, dim, ddof=floats[0], out=out), and std, its square root; each part in two passes, the parts
 * by Chan, Golub and LeVeque: Updating formulae and a pairwise algorithm for computing sample variances (1979),
 * formula 2.1 ---- */

#if TG_FLOATING
typedef struct {
    wide mean, squares; /* the sum of squared distances to the mean */
} spread_of;

static int moments_prepare(tg_node *node) {
    plan *p = (plan *)node->plan;
    if (plan_reduction(node, 0)) return 1;
    if (p->parts > 1) node->aux_bytes = p->parts * p->outputs * (int64_t)sizeof(spread_of);
    return 0;
}

static inline void store_moment(const tg_node *node, int64_t at, wide squares, int root) {
    wide n = (wide)((const plan *)node->plan)->count - node->floats[0], variance = squares / (n > 0 ? n : 0);
    ((real *)node->args[0].data)[at] = (real)(root ? sqrt(variance) : variance);
}

static void moments(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own, int root) {
    const plan *p = (const plan *)node->plan;
    spread_of *partial = (spread_of *)node->aux;
    if (phase == 1) {
        for (int64_t o = lo * (SHARE / 8); o < TG_MIN(hi * (SHARE / 8), p->outputs); o++) {
            spread_of a = partial[o];
            wide n = (wide)p->part;
            for (int64_t i = 1; i < p->parts; i++) {
                spread_of b = partial[i * p->outputs + o];
                wide m = (wide)(TG_MIN((i + 1) * p->part, p->count) - i * p->part), apart = b.mean - a.mean;
                a.mean += apart * m / (n + m);
                a.squares += b.squares + apart * apart * n * m / (n + m);
                n += m;
            }
            store_moment(node, o, a.squares, root);
        }
        return;
    }
    for (int64_t u = lo; u < hi; u++) {
        int64_t part = u / p->groups, first = part * p->part, end = TG_MIN(first + p->part, p->count);
        int64_t block = u % p->groups * p->group, stop = TG_MIN(block + p->group, p->blocks);
        for (; block < stop; block++) {
            int64_t o = block, width = 1;
            wide sum[LANES], squares[LANES], n = (wide)(end - first);
            lane centre[LANES] = {0};
            if (p->columns) {
                int64_t column = block % p->strips * LANES;
                o = block / p->strips * p->columns + column, width = TG_MIN(LANES, p->columns - column);
            }
            const char *x = node->args[1].data + walk_offset(&p->kept, o);
            if (p->columns)
                reduce_strip(SUM, p, x, first, end, width, centre, sum);
            else
                sum[0] = reduce_rows(SUM, p, x, first, end, 0, own);
            for (int64_t l = 0; l < width; l++) centre[l] = (lane)(sum[l] / n);
            if (p->columns)
                reduce_strip(SQUARES, p, x, first, end, width, centre, squares);
            else
                squares[0] = reduce_rows(SQUARES, p, x, first, end, centre[0], own);
            for (int64_t l = 0; l < width; l++) {
                wide off = sum[l] / n - centre[l]; /* the centre is the mean rounded */
                squares[l] -= off * off * n;
                if (p->parts > 1)
                    partial[part * p->outputs + o + l] = (spread_of){sum[l] / n, squares[l]};
                else
                    store_moment(node, o + l, squares[l], root);
            }
        }
    }
}

static void var_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    moments(node, phase, lo, hi, own, 0);
}

static void std_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    moments(node, phase, lo, hi, own, 1);
}
#endif

TG_TABLE(reduce) = {
    {"sum", reduction_prepare, sum_run},
    {"prod", reduction_prepare, prod_run},
    {"amax", reduction_prepare, amax_run},
    {"amin", reduction_prepare, amin_run},
    {"any", reduction_prepare, any_run},
    {"all", reduction_prepare, all_run},
#if TG_FLOATING
    {"mean", reduction_prepare, mean_run},
    {"norm", reduction_prepare, norm_run},
    {"var", moments_prepare, var_run},
    {"std", moments_prepare, std_run},
#endif
    {0},
};

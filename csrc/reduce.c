/* reduce.c: sums, means, norms, variances, products, extrema, any, all, where the extremum is, and running sums.
 *
 * What is reduced is cut into blocks and parts whose sizes depend on shapes only, and partial results are combined in
 * their order: a sum has the same bits for any number of threads. Within a block every lane of a set of vectors has a
 * running result of its own; sums start afresh every few hundred elements and partial sums of floats are added in
 * double, so the error is like that of pairwise summation. Left out: outputs with strides. Read next: loops.h. */
#include <stdlib.h>

#include "loops.h"

#define DEEP 16       /* vectors of lanes that are added up before their sum moves on */
#define SPAN 16384    /* elements reduced by lanes alone, in their own type */
#define ROWS 128      /* the same of a column */
#define SHARE 16384   /* elements that make a unit worth sharing */
#define BUFFER 2048   /* elements that are copied together at a time where they lie apart */
#define SHORT_RUN 128 /* below, copying runs together is faster than reducing each */

/* Integers are reduced in 64 bits, floats in their own type, and in double from one span to the next. */
#if TG_FLOATING
typedef real lane;
typedef double wide;
#else
typedef int64_t lane;
typedef int64_t wide;
#endif
#define LANES ((int64_t)(256 / sizeof(lane)))
#define SET (LANES / 4) /* of lanes that fill a vector of AVX-512 */

typedef enum { SUM, MEAN, SQUARES, PROD, AMAX, AMIN, ANY, ALL } kind; /* SQUARES: of the distances to a centre */

#if TG_TYPE_IS <= 2
#define LOWEST (-INFINITY)
#define HIGHEST INFINITY
#else
#define LOWEST INT64_MIN
#define HIGHEST INT64_MAX
#endif

static inline lane start_of(kind k) {
    return k == PROD || k == ALL ? 1 : k == AMAX ? (lane)LOWEST : k == AMIN ? (lane)HIGHEST : 0;
}

#define IS_NAN(x) (TG_FLOATING && (x) != (x))

/* a with b taken in. NaN wins, the first of them. A macro, as lanes and wides need the same. No ||: it would be a
 * branch. */
#define TAKE(k, a, b)                                      \
    ((k) == PROD   ? (a) * (b)                             \
     : (k) == AMAX ? (((b) > (a)) | IS_NAN(b) ? (b) : (a)) \
     : (k) == AMIN ? (((b) < (a)) | IS_NAN(b) ? (b) : (a)) \
                   : (a) + (b))

static inline lane take(kind k, lane a, real x, lane centre) {
    if (k == SQUARES) return a + ((lane)x - centre) * ((lane)x - centre);
    if (k == ANY) return x != 0 ? 1 : a;
    if (k == ALL) return x == 0 ? 0 : a;
    return TAKE(k, a, (lane)x);
}

static inline lane join(kind k, lane a, lane b) {
    if (k == ANY) return b != 0 ? 1 : a;
    if (k == ALL) return b == 0 ? 0 : a;
    return TAKE(k, a, b);
}

static inline wide join_wide(kind k, wide a, wide b) {
    if (k == ANY) return b != 0 ? 1 : a;
    if (k == ALL) return b == 0 ? 0 : a;
    return TAKE(k, a, b);
}

/* A loop this short is unrolled before it could become vectors, unless it says so. */
#define EACH_OF(n) _Pragma("omp simd") for (int l = 0; l < (n); l++)

/* A set of lanes as one, in halves. An array for each half, or a load waits until the stores that it spans are done. */
static ALWAYS_INLINE lane joined(kind k, const lane *set) {
    lane by_8[8], by_4[4], by_2[2];
    EACH_OF(8) by_8[l] = SET == 16 ? join(k, set[l], set[(l + 8) % SET]) : set[l];
    EACH_OF(4) by_4[l] = join(k, by_8[l], by_8[l + 4]);
    EACH_OF(2) by_2[l] = join(k, by_4[l], by_4[l + 2]);
    return join(k, by_2[0], by_2[1]);
}

/* n neighbouring elements: by all lanes, and what is left, which of a short row is everything, by one set of them. */
static ALWAYS_INLINE lane reduce_span(kind k, const real *x, int64_t n, lane centre) {
    lane sum[LANES], part[LANES], set[SET];
    for (int64_t l = 0; l < SET; l++) set[l] = start_of(k);
    if (n >= LANES) {
        for (int64_t l = 0; l < LANES; l++) sum[l] = start_of(k);
        while (n >= LANES) {
            for (int64_t l = 0; l < LANES; l++) part[l] = start_of(k);
            for (int64_t i = 0; i < DEEP && n >= LANES; i++, x += LANES, n -= LANES)
                for (int64_t l = 0; l < LANES; l++) part[l] = take(k, part[l], x[l], centre);
            for (int64_t l = 0; l < LANES; l++) sum[l] = join(k, sum[l], part[l]);
        }
        EACH_OF(2 * SET) sum[l] = join(k, sum[l], sum[l + 2 * SET]);
        EACH_OF(SET) set[l] = join(k, sum[l], sum[l + SET]);
    }
    for (; n >= SET; x += SET, n -= SET) EACH_OF(SET) set[l] = take(k, set[l], x[l], centre);
    if (n > 0) {
        real rest[SET]; /* and elements that change nothing */
        const real filler = k == SUM || k == MEAN ? 0 : k == PROD ? 1 : k == SQUARES ? (real)centre : x[0];
        EACH_OF(SET) rest[l] = l < n ? x[l] : filler;
        EACH_OF(SET) set[l] = take(k, set[l], rest[l], centre);
    }
    return joined(k, set);
}

/* The columns of a matrix of rows x width, a stride of bytes from row to row: one result a lane. */
static ALWAYS_INLINE void reduce_columns(kind k, const char *x, int64_t stride, int64_t rows, int64_t width,
                                         const lane *centre, lane *out) {
    lane a[LANES];
    for (int64_t l = 0; l < LANES; l++) a[l] = start_of(k);
    if (width == LANES)
        for (int64_t i = 0; i < rows; i++, x += stride)
            for (int64_t l = 0; l < LANES; l++) a[l] = take(k, a[l], ((const real *)x)[l], centre[l]);
    else
        for (int64_t i = 0; i < rows; i++, x += stride)
            for (int64_t l = 0; l < width; l++) a[l] = take(k, a[l], ((const real *)x)[l], centre[l]);
    memcpy(out, a, sizeof a);
}

/* ---- the plan ---- */

/* What prepare leaves for run in node->plan. A block is one output, or as many neighbouring columns as there are lanes;
 * each is reduced in `parts` parts. A unit is `group` blocks of one part. */
typedef struct {
    walk kept, reduced;
    int64_t outputs, count;        /* elements of the output, elements reduced to each */
    int64_t columns, strips;       /* columns in a row of outputs (0: block is one output), strips of lanes in it */
    int64_t blocks, group, groups; /* groups of blocks */
    int64_t part, parts;
    int64_t direct; /* reduced elements are neighbours, in long runs */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* `ordered`: the order in which elements are reduced is that of their indices; else it is that of memory. */
static int plan_reduction(tg_node *node, int ordered) {
    plan *p = (plan *)node->plan;
    const tg_array *out = &node->args[0], *in = &node->args[1];
    const int64_t size = sizeof(real);
    if (!is_contiguous(out) || out->ndim != in->ndim) return 1;
    int reduced[TG_DIMS], kept[TG_DIMS], n_reduced = 0, n_kept = 0;
    for (int d = 0; d < in->ndim; d++)
        if (out->shape[d] != in->shape[d])
            reduced[n_reduced++] = d;
        else
            kept[n_kept++] = d;
    if (!ordered) /* by insertion: the largest strides outside */
        for (int i = 1; i < n_reduced; i++)
            for (int j = i; j > 0 && llabs(in->stride[reduced[j]]) > llabs(in->stride[reduced[j - 1]]); j--) {
                int other = reduced[j];
                reduced[j] = reduced[j - 1], reduced[j - 1] = other;
            }
    walk_dims(&p->kept, in, kept, n_kept);
    walk_dims(&p->reduced, in, reduced, n_reduced);
    p->outputs = count_of(out);
    p->count = walk_count(&p->reduced);
    int64_t last = p->kept.dims - 1, inner = p->reduced.dims - 1;
    int rows = p->reduced.stride[inner] == size;
    p->direct = rows && p->reduced.shape[inner] >= TG_MIN(SHORT_RUN, p->count);
    int columns = !ordered && !rows && p->kept.stride[last] == size && p->kept.shape[last] > 1;
    p->columns = columns ? p->kept.shape[last] : 0;
    p->strips = divide_up(p->columns, LANES);
    p->blocks = columns ? p->outputs / p->columns * p->strips : p->outputs;

    int64_t total = p->outputs * p->count, each = p->blocks ? divide_up(total, p->blocks) : 0;
    p->parts = 1, p->part = p->count;
    if (total > 2 * SHARE && p->blocks < 16 && each > 2 * SHARE) {
        int64_t unit = columns ? ROWS : BUFFER;
        p->part = divide_up(divide_up(p->count, TG_MIN(each / SHARE, 64)), unit) * unit;
        p->parts = divide_up(p->count, p->part);
    }
    p->group = total <= 2 * SHARE ? p->blocks : TG_MAX(1, SHARE / TG_MAX(1, each));
    p->groups = p->blocks ? divide_up(p->blocks, p->group) : 0;
    node->phases = p->parts > 1 ? 2 : 1;
    node->units[0] = p->groups * p->parts;
    node->units[1] = p->parts > 1 ? divide_up(p->outputs, SHARE / 8) : 0;
    node->aux_bytes = p->parts > 1 ? p->parts * p->outputs * (int64_t)sizeof(wide) : 0;
    node->own_bytes = p->direct || columns ? 0 : BUFFER * size;
    return 0;
}

static int reduction_prepare(tg_node *node) { return plan_reduction(node, 0); }

static inline void store(kind k, const tg_node *node, int64_t at, wide value) {
    const plan *p = (const plan *)node->plan;
    const tg_array *out = &node->args[0];
    if (k == ANY || k == ALL)
        ((uint8_t *)out->data)[at] = value != 0;
    else if (TG_FLOATING || k == AMAX || k == AMIN)
        ((real *)out->data)[at] = (real)(k == MEAN      ? value / (wide)p->count
                                         : k == SQUARES ? sqrt((double)value)
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
    const lane none[LANES] = {0};
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
                reduce_strip(k, p, x + walk_offset(&p->kept, o), first, end, width, none, total);
            } else {
                total[0] = reduce_rows(k, p, x + walk_offset(&p->kept, o), first, end, 0, own);
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
REDUCTION(norm, SQUARES) /* around the centre 0 */
#endif

/* ---- variance: np.var(input, dim, ddof=floats[0], out=out), each part in two passes, the parts by Chan, Golub and
 * LeVeque: Updating formulae and a pairwise algorithm for computing sample variances (1979), formula 2.1 ---- */

#if TG_FLOATING
typedef struct {
    wide mean, squares; /* the sum of squared distances to the mean */
} spread_of;

static int var_prepare(tg_node *node) {
    plan *p = (plan *)node->plan;
    if (plan_reduction(node, 0)) return 1;
    if (p->parts > 1) node->aux_bytes = p->parts * p->outputs * (int64_t)sizeof(spread_of);
    return 0;
}

static inline void store_variance(const tg_node *node, int64_t at, wide squares) {
    wide n = (wide)((const plan *)node->plan)->count - node->floats[0];
    ((real *)node->args[0].data)[at] = (real)(squares / (n > 0 ? n : 0));
}

static void var_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
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
            store_variance(node, o, a.squares);
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
                    store_variance(node, o + l, squares[l]);
            }
        }
    }
}
#endif

/* ---- where the extremum is: its value by lanes, then the first place that has it ---- */

typedef struct {
    wide value;
    int64_t at;
} place;

static int is_better(kind k, wide b, wide a) {
    if (IS_NAN(b)) return !IS_NAN(a);
    return k == AMAX ? b > a : b < a;
}

static int extremum_prepare(tg_node *node) {
    plan *p = (plan *)node->plan;
    if (plan_reduction(node, 1)) return 1;
    if (p->parts > 1) node->aux_bytes = p->parts * p->outputs * (int64_t)sizeof(place);
    return 0;
}

/* Positions lo .. hi - 1 of what is reduced to one output. A span that has nothing better is not looked through. */
static ALWAYS_INLINE place find_place(kind k, const plan *p, const char *x, int64_t lo, int64_t hi, char *own) {
    const walk *w = &p->reduced;
    int64_t length = w->shape[w->dims - 1];
    place best = {start_of(k), lo};
    for (int64_t n; lo < hi; lo += n) {
        const real *span = (const real *)own;
        if (p->direct) {
            n = TG_MIN(TG_MIN(length - lo % length, BUFFER), hi - lo);
            span = (const real *)(x + walk_offset(w, lo));
        } else {
            n = TG_MIN(BUFFER, hi - lo);
            fetch(w->dims, w->shape, w->stride, x, lo, n, sizeof(real), own);
        }
        wide value = reduce_span(k, span, n, 0);
        if (!is_better(k, value, best.value)) continue;
        int64_t i = 0;
        if (IS_NAN(value))
            while (!IS_NAN(span[i])) i++;
        else
            while (span[i] != (real)value) i++;
        best = (place){value, lo + i};
    }
    return best;
}

static ALWAYS_INLINE void find(kind k, const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    const plan *p = (const plan *)node->plan;
    place *partial = (place *)node->aux;
    int64_t *out = (int64_t *)node->args[0].data;
    if (phase == 1) {
        for (int64_t o = lo * (SHARE / 8); o < TG_MIN(hi * (SHARE / 8), p->outputs); o++) {
            place best = partial[o];
            for (int64_t i = 1; i < p->parts; i++)
                if (is_better(k, partial[i * p->outputs + o].value, best.value)) best = partial[i * p->outputs + o];
            out[o] = best.at;
        }
        return;
    }
    for (int64_t u = lo; u < hi; u++) {
        int64_t part = u / p->groups, first = part * p->part, end = TG_MIN(first + p->part, p->count);
        int64_t o = u % p->groups * p->group, stop = TG_MIN(o + p->group, p->blocks);
        for (; o < stop; o++) {
            place best = find_place(k, p, node->args[1].data + walk_offset(&p->kept, o), first, end, own);
            if (p->parts > 1)
                partial[part * p->outputs + o] = best;
            else
                out[o] = best.at;
        }
    }
}

static void argmax_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    find(AMAX, node, phase, lo, hi, own);
}

static void argmin_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    find(AMIN, node, phase, lo, hi, own);
}

/* ---- running sums: np.cumsum(input, ints[0], out=out), in double for floats and int64 for integers ---- */

/* A unit is `group` lines along the dimension. */
typedef struct {
    walk lines;
    int64_t n, stride, inner, count, group; /* inner: elements of the output from one of a line to the next */
} scan;

static int cumsum_prepare(tg_node *node) {
    scan *p = (scan *)node->plan;
    const tg_array *out = &node->args[0], *in = &node->args[1];
    int dim = (int)node->ints[0], others[TG_DIMS], n = 0;
    if (!is_contiguous(out) || in->ndim == 0) return 1;
    for (int d = 0; d < in->ndim; d++)
        if (d != dim) others[n++] = d;
    walk_dims(&p->lines, in, others, n);
    p->n = in->shape[dim], p->stride = in->stride[dim] * (int64_t)sizeof(real), p->inner = 1;
    for (int d = dim + 1; d < in->ndim; d++) p->inner *= in->shape[d];
    p->count = p->n ? count_of(in) / p->n : 0;
    p->group = TG_MAX(1, SHARE / TG_MAX(p->n, 1));
    if (p->group > LANES) p->group = p->group / LANES * LANES;
    node->phases = 1;
    node->units[0] = divide_up(p->count, p->group);
    return 0;
}

/* `width` lines at once: additions of one line wait for each other. Strides are in bytes, but `by` in elements. */
static ALWAYS_INLINE void scan_lines(const char *const *x, int64_t stride, lane *const *to, int64_t by, int64_t n,
                                     int64_t width) {
    wide sum[LANES];
    for (int64_t l = 0; l < width; l++) sum[l] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < width; l++) {
            sum[l] += *(const real *)(x[l] + i * stride);
            to[l][i * by] = (lane)sum[l];
        }
}

static void cumsum_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const scan *p = (const scan *)node->plan;
    lane *out = (lane *)node->args[0].data, *to[LANES]; /* floats keep their type, integers get int64: as lanes do */
    const char *x[LANES];
    for (int64_t line = lo * p->group, end = TG_MIN(hi * p->group, p->count), width; line < end; line += width) {
        width = TG_MIN(p->inner >= 8 ? LANES : 8, end - line);
        for (int64_t l = 0; l < width; l++) {
            x[l] = node->args[1].data + walk_offset(&p->lines, line + l);
            to[l] = out + (line + l) / p->inner * p->inner * p->n + (line + l) % p->inner;
        }
        if (width == 8)
            scan_lines(x, p->stride, to, p->inner, p->n, 8);
        else
            scan_lines(x, p->stride, to, p->inner, p->n, width);
    }
}

TG_TABLE(reduce) = {
    {"sum", reduction_prepare, sum_run},      {"prod", reduction_prepare, prod_run},
    {"amax", reduction_prepare, amax_run},    {"amin", reduction_prepare, amin_run},
    {"any", reduction_prepare, any_run},      {"all", reduction_prepare, all_run},
#if TG_FLOATING
    {"mean", reduction_prepare, mean_run},    {"var", var_prepare, var_run},
    {"norm", reduction_prepare, norm_run},
#endif
    {"argmax", extremum_prepare, argmax_run}, {"argmin", extremum_prepare, argmin_run},
    {"cumsum", cumsum_prepare, cumsum_run},   {0},
};

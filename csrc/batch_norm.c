/* batch_norm.c: statistics of channels, what normalises by them, the gradients, and both directions fused for replay.
 *
 * Arrays are (N, C, *places), S places: a channel is N planes of S neighbouring elements. Formulas: ops/batch_norm.py.
 * Large planes go one channel at a time, by vectors along the plane; small ones, S = 1 above all, by tiles of whole
 * channels, N rows of neighbouring columns. Sums are taken in chunks of fixed size and order, each about a shift near
 * the mean, so a mean far from 0 costs no digits. The fused kernels take a channel through all its steps while it lies
 * in L2; they call the same functions in the same order, so not a bit differs. A channel is one thread's: a batch of
 * one channel is not shared. Left out on purpose: strided inputs. Read next: dropout.h. */
#include "dropout.h"
#include "loops.h"
#include "vecmath.h"

#define V ((int64_t)(64 / sizeof(real)))
#define LARGE 32           /* places from which on planes are worth vectors of their own */
#define CHUNK 4096         /* elements of a channel added up before they go into its totals in double */
#define TILE 128           /* columns of a tile, at most */
#define RUN 32             /* rows of a tile added up before they go into totals in double */
#define UNIT_ELEMENTS 8192 /* in a unit: some 2 to 5 us */

typedef real vec __attribute__((vector_size(64)));
typedef real loose __attribute__((vector_size(64), aligned(sizeof(real)), may_alias)); /* in memory */
#if TG_TYPE_IS == 1
typedef int32_t whole;
#else
typedef int64_t whole;
#endif
typedef whole mask __attribute__((vector_size(64)));
typedef whole loose_mask __attribute__((vector_size(64), aligned(sizeof(whole)), may_alias));

/* What prepare leaves for run. */
typedef struct {
    int64_t n, c, s;
    int64_t together, each; /* channels of a tile, tiles of a unit */
    int64_t pieces, piece;  /* of a plane, at most CHUNK elements each */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

static int channels_prepare(tg_node *node, const tg_array *x) {
    plan *p = (plan *)node->plan;
    for (int a = 0; a < node->n_args; a++)
        if (!is_contiguous(&node->args[a]) && (node->args[a].ndim != 1 || node->args[a].dtype == TG_I64)) return 1;
    p->n = x->shape[0], p->c = x->shape[1], p->s = 1;
    for (int d = 2; d < x->ndim; d++) p->s *= x->shape[d];
    p->together = p->s >= LARGE ? 1 : TG_MAX(TILE / TG_MAX(p->s, 1), 1);
    p->each = TG_MAX(UNIT_ELEMENTS / TG_MAX(p->together * p->n * p->s, 1), 1);
    p->pieces = divide_up(p->s, CHUNK);
    p->piece = divide_up(p->s, TG_MAX(p->pieces, 1));
    node->phases = p->c > 0;
    node->units[0] = divide_up(divide_up(p->c, p->together), p->each);
    return 0;
}

/* The tiles of some units: their first channel c and how many channels follow. */
#define EACH_TILE(p, lo, hi)                                                                                    \
    for (int64_t c = (lo) * (p)->each * (p)->together, end_ = TG_MIN((hi) * (p)->each * (p)->together, (p)->c); \
         c < end_; c += (p)->together)

static inline int64_t tile_channels(const plan *p, int64_t c) { return TG_MIN(p->together, p->c - c); }
static inline int64_t plane_at(const plan *p, int64_t n, int64_t c) { return (n * p->c + c) * p->s; }

static inline real vector_at(const tg_array *a, int64_t c) { return ((const real *)a->data)[c * a->stride[0]]; }
static inline double deviation(real var, double eps) { return sqrt((double)var + eps); }

/* Sums of a chunk, lane by lane: of v and v d, where d = x - shift and v = g, or d where there is no g. */
typedef struct {
    vec a[4], b[4];
} sums;

static ALWAYS_INLINE void add_piece(sums *t, const real *g, const real *x, int64_t n, real shift) {
    static const whole last[32] = {
        [V] = -1, -1, -1, -1, -1, -1, -1, -1,
#if TG_TYPE_IS == 1
        -1,       -1, -1, -1, -1, -1, -1, -1,
#endif
    };
    int64_t i = 0;
    vec a0 = t->a[0], a1 = t->a[1], a2 = t->a[2], a3 = t->a[3], b0 = t->b[0], b1 = t->b[1], b2 = t->b[2], b3 = t->b[3];
#define ADD(k, at)                                           \
    do {                                                     \
        vec d_ = *(const loose *)(x + (at)) - shift;         \
        vec v_ = g ? (vec) * (const loose *)(g + (at)) : d_; \
        a##k += v_, b##k += v_ * d_;                         \
    } while (0)
    for (; i + 4 * V <= n; i += 4 * V) {
        ADD(0, i);
        ADD(1, i + V);
        ADD(2, i + 2 * V);
        ADD(3, i + 3 * V);
    }
    for (; i + V <= n; i += V) ADD(0, i);
    if (i < n) { /* the last V elements, without those that are in already */
        vec d = *(const loose *)(x + n - V) - shift, v = g ? (vec) * (const loose *)(g + n - V) : d;
        v = (vec)((mask)v & *(const loose_mask *)(last + n - i));
        a1 += v, b1 += v * d;
    }
#undef ADD
    t->a[0] = a0, t->a[1] = a1, t->a[2] = a2, t->a[3] = a3, t->b[0] = b0, t->b[1] = b1, t->b[2] = b2, t->b[3] = b3;
}

static inline real total(const vec *v) {
    vec x = (v[0] + v[1]) + (v[2] + v[3]);
    for (int64_t half = V / 2; half > 0; half /= 2)
        for (int64_t l = 0; l < half; l++) x[l] += x[l + half];
    return x[0];
}

/* ---- One channel of large planes ---- */

/* The pieces of channel c: `at`, where one begins, `length`, its elements. */
#define EACH_PIECE(p, c)                                                                                          \
    for (int64_t n_ = 0; n_ < (p)->n; n_++)                                                                       \
        for (int64_t k_ = 0, at, length; k_ < (p)->pieces; k_++)                                                  \
            if (at = plane_at(p, n_, c) + k_ * (p)->piece, length = TG_MIN((p)->piece, (p)->s - k_ * (p)->piece), \
                length > 0)

/* Mean and biased variance. Chunks are merged by the formula of Chan, Golub, LeVeque (Algorithms for computing the
 * sample variance, 1983), each about the mean of those before it, the first about its own: what cancels in a chunk
 * far from that mean is small against what it adds between chunks. */
static void channel_moments(const plan *p, const real *x, int64_t c, real *mean_out, real *var_out) {
    const int64_t all = p->n * p->s;
    double mean = 0, squares = 0;
    int64_t seen = 0, held = 0;
    real shift = 0;
    sums t = {0};
    EACH_PIECE(p, c) {
        if (seen + held == 0) {
            sums first = {0};
            add_piece(&first, NULL, x + at, length, 0);
            shift = total(first.a) / (real)length;
        }
        add_piece(&t, NULL, x + at, length, shift);
        held += length;
        if (held < CHUNK && seen + held < all) continue;
        double a = total(t.a), b = total(t.b), count = (double)held, now = (double)(seen + held);
        double apart = shift + a / count - mean;
        squares += b - a * a / count + apart * apart * (count * (double)seen / now);
        mean += apart * (count / now);
        seen += held, held = 0, shift = (real)mean;
        memset(&t, 0, sizeof t);
    }
    *mean_out = (real)mean, *var_out = (real)(squares / (double)all);
}

/* sum(g) and sum(g (x - mean)); with a key of g's elements that dropout keeps, which go to `kept` on the way. */
static ALWAYS_INLINE void channel_sums(const plan *p, const real *g, const real *x, int64_t c, real mean, double *out,
                                       real *kept, const uint64_t *key, int32_t threshold, real scale) {
    sums t = {0};
    int64_t held = 0, seen = 0;
    out[0] = out[1] = 0;
    EACH_PIECE(p, c) {
        if (key) drop(kept + at, g + at, at, length, key, threshold, scale);
        add_piece(&t, (key ? kept : g) + at, x + at, length, mean);
        held += length;
        if (held < CHUNK && seen + held < p->n * p->s) continue;
        out[0] += total(t.a), out[1] += total(t.b);
        seen += held, held = 0;
        memset(&t, 0, sizeof t);
    }
}

/* (x - mean) scale + bias */
#define NORMALISED(x, mean, scale, bias) (((x) - (mean)) * (scale) + (bias))
/* scale (g - mean(g) - (x - mean) slope) inverts it */
#define INPUT_GRADIENT(g, x, mean, scale, mean_g, slope) ((((g) - (mean_g)) - ((x) - (mean)) * (slope)) * (scale))

static inline void normalise_piece(real *restrict y, const real *restrict x, int64_t n, real mean, real scale,
                                   real bias) {
    for (int64_t i = 0; i < n; i++) y[i] = NORMALISED(x[i], mean, scale, bias);
}

/* dx may be g. */
static ALWAYS_INLINE void input_gradient_piece(real *dx, const real *g, const real *x, int64_t n, real mean, real scale,
                                               real mean_g, real slope, int relu) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real d = INPUT_GRADIENT(g[i], x[i], mean, scale, mean_g, slope);
        dx[i] = relu && x[i] <= 0 ? 0 : d;
    }
}

/* ---- A tile of small planes: columns first .. first + w - 1 of N rows ---- */

/* a[j] and b[j]: sums over column j, as in `sums` above. */
static ALWAYS_INLINE void tile_sums(const plan *p, const real *g, const real *x, int64_t first, int64_t w,
                                    const real *shift, double *a, double *b) {
    real part_a[TILE], part_b[TILE];
    const int64_t row = p->c * p->s;
    for (int64_t j = 0; j < w; j++) a[j] = b[j] = 0;
    for (int64_t n = 0; n < p->n; n += RUN) {
        for (int64_t j = 0; j < w; j++) part_a[j] = part_b[j] = 0;
        for (int64_t i = n; i < TG_MIN(n + RUN, p->n); i++) {
            const real *xs = x + first + i * row, *gs = g ? g + first + i * row : NULL;
#pragma omp simd
            for (int64_t j = 0; j < w; j++) {
                real d = xs[j] - shift[j], v = g ? gs[j] : d;
                part_a[j] += v;
                part_b[j] += v * d;
            }
        }
        for (int64_t j = 0; j < w; j++) a[j] += part_a[j], b[j] += part_b[j];
    }
}

/* The sum of the columns of the tile's channel k. */
static inline double of_channel(const plan *p, const double *columns, int64_t k) {
    double sum = 0;
    for (int64_t j = k * p->s; j < (k + 1) * p->s; j++) sum += columns[j];
    return sum;
}

/* A number of each channel for each of its columns. */
static inline void set_columns(const plan *p, real *columns, int64_t k, real value) {
    for (int64_t j = k * p->s; j < (k + 1) * p->s; j++) columns[j] = value;
}

/* ---- The kernels ---- */

/* (mean, var) of each channel; args out (2, C), x. */
static int batch_moments_prepare(tg_node *node) { return channels_prepare(node, &node->args[1]); }

static void batch_moments_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const plan *p = (const plan *)node->plan;
    const real *x = (const real *)node->args[1].data;
    const double count = (double)(p->n * p->s);
    real *mean = (real *)node->args[0].data, *var = mean + p->c, shift[TILE];
    double a[TILE], b[TILE];
    EACH_TILE(p, lo, hi) {
        const int64_t channels = tile_channels(p, c), w = channels * p->s;
        if (p->s >= LARGE) {
            channel_moments(p, x, c, &mean[c], &var[c]);
            continue;
        }
        for (int64_t j = 0; j < w; j++) shift[j] = 0;
        tile_sums(p, NULL, x, c * p->s, w, shift, a, b);
        for (int64_t k = 0; k < channels; k++) set_columns(p, shift, k, (real)(of_channel(p, a, k) / count));
        tile_sums(p, NULL, x, c * p->s, w, shift, a, b);
        for (int64_t k = 0; k < channels; k++) {
            double off = of_channel(p, a, k) / count, near = p->s ? shift[k * p->s] : 0;
            mean[c + k] = (real)(near + off), var[c + k] = (real)(of_channel(p, b, k) / count - off * off);
        }
    }
}

/* (x - mean) (weight / sqrt(var + eps)) + bias; args y, x, moments (2, C), weight, bias; floats eps. */
static int batch_norm_prepare(tg_node *node) { return channels_prepare(node, &node->args[1]); }

static void batch_norm_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const plan *p = (const plan *)node->plan;
    const real *x = (const real *)node->args[1].data, *mean = (const real *)node->args[2].data, *var = mean + p->c;
    const tg_array *weight = &node->args[3], *bias = &node->args[4];
    const double eps = node->floats[0];
    real *y = (real *)node->args[0].data, means[TILE], scales[TILE], biases[TILE];
    EACH_TILE(p, lo, hi) {
        const int64_t channels = tile_channels(p, c), w = channels * p->s;
        for (int64_t k = 0; k < channels; k++) {
            real scale = (real)(vector_at(weight, c + k) / deviation(var[c + k], eps)), b = vector_at(bias, c + k);
            if (p->s >= LARGE) {
                EACH_PIECE(p, c) normalise_piece(y + at, x + at, length, mean[c], scale, b);
            } else {
                set_columns(p, means, k, mean[c + k]), set_columns(p, scales, k, scale), set_columns(p, biases, k, b);
            }
        }
        for (int64_t n = 0; n < p->n && p->s < LARGE; n++) {
            const real *from = x + plane_at(p, n, c);
            real *to = y + plane_at(p, n, c);
#pragma omp simd
            for (int64_t j = 0; j < w; j++) to[j] = NORMALISED(from[j], means[j], scales[j], biases[j]);
        }
    }
}

/* sum(g), sum(g (x - mean)) / sqrt(var + eps); args out (2, C), g, x, moments; floats eps. */
static int batch_norm_grad_sums_prepare(tg_node *node) { return channels_prepare(node, &node->args[1]); }

static void batch_norm_grad_sums_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const plan *p = (const plan *)node->plan;
    const real *g = (const real *)node->args[1].data, *x = (const real *)node->args[2].data;
    const real *mean = (const real *)node->args[3].data, *var = mean + p->c;
    real *out = (real *)node->args[0].data, means[TILE];
    double a[TILE], b[TILE];
    EACH_TILE(p, lo, hi) {
        const int64_t channels = tile_channels(p, c);
        if (p->s >= LARGE) {
            double both[2];
            channel_sums(p, g, x, c, mean[c], both, NULL, NULL, 0, 0);
            out[c] = (real)both[0], out[p->c + c] = (real)(both[1] / deviation(var[c], node->floats[0]));
            continue;
        }
        for (int64_t k = 0; k < channels; k++) set_columns(p, means, k, mean[c + k]);
        tile_sums(p, g, x, c * p->s, channels * p->s, means, a, b);
        for (int64_t k = 0; k < channels; k++) {
            out[c + k] = (real)of_channel(p, a, k);
            out[p->c + c + k] = (real)(of_channel(p, b, k) / deviation(var[c + k], node->floats[0]));
        }
    }
}

/* What the gradient of a channel's input is made of, from sums = (sum(g), sum(g xhat)). */
typedef struct {
    real scale, mean_g, slope;
} terms;

static inline terms terms_of(const plan *p, real var, real sum, real product, real weight, double eps) {
    const double count = (double)(p->n * p->s), dev = deviation(var, eps);
    return (terms){(real)(weight / dev), (real)(sum / count), (real)(product / (count * dev))};
}

/* weight / sqrt(var + eps) (g - mean(g) - xhat mean(g xhat)); args dx, g, x, moments, sums, weight; floats eps. */
static int batch_norm_grad_input_prepare(tg_node *node) { return channels_prepare(node, &node->args[1]); }

static void batch_norm_grad_input_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const plan *p = (const plan *)node->plan;
    const real *g = (const real *)node->args[1].data, *x = (const real *)node->args[2].data;
    const real *mean = (const real *)node->args[3].data, *var = mean + p->c, *sum = (const real *)node->args[4].data;
    real *dx = (real *)node->args[0].data, means[TILE], scales[TILE], means_g[TILE], slopes[TILE];
    EACH_TILE(p, lo, hi) {
        const int64_t channels = tile_channels(p, c), w = channels * p->s;
        for (int64_t k = c; k < c + channels; k++) {
            terms t = terms_of(p, var[k], sum[k], sum[p->c + k], vector_at(&node->args[5], k), node->floats[0]);
            if (p->s >= LARGE) {
                EACH_PIECE(p, c)
                input_gradient_piece(dx + at, g + at, x + at, length, mean[c], t.scale, t.mean_g, t.slope, 0);
            } else {
                set_columns(p, means, k - c, mean[k]), set_columns(p, scales, k - c, t.scale);
                set_columns(p, means_g, k - c, t.mean_g), set_columns(p, slopes, k - c, t.slope);
            }
        }
        for (int64_t n = 0; n < p->n && p->s < LARGE; n++) {
            const int64_t at = plane_at(p, n, c);
#pragma omp simd
            for (int64_t j = 0; j < w; j++)
                dx[at + j] = INPUT_GRADIENT(g[at + j], x[at + j], means[j], scales[j], means_g[j], slopes[j]);
        }
    }
}

/* running = (1 - momentum) running + momentum moment; args running_mean, running_var, moments[, batches]; ints count;
 * floats momentum, which is 1 / batches where that is given. */
static int running_update_prepare(tg_node *node) {
    if (!is_contiguous(&node->args[2])) return 1;
    node->phases = 1;
    node->units[0] = 1;
    return 0;
}

static void running_update_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)lo, (void)hi, (void)own;
    const int64_t count = node->ints[0], channels = node->args[0].shape[0];
    const double unbiased[2] = {1, (double)count / (double)TG_MAX(count - 1, 1)};
    const double share = node->n_args > 3 ? 1 / (double)*(const int64_t *)node->args[3].data : node->floats[0];
    const real *moments = (const real *)node->args[2].data;
    for (int which = 0; which < 2; which++)
        for (int64_t c = 0; c < channels; c++) {
            real *running = (real *)node->args[which].data + c * node->args[which].stride[0];
            double moment = moments[which * channels + c] * unbiased[which];
            *running = (real)((1 - share) * *running + share * moment);
        }
}

/* ---- Fused, for replay: only large planes, whose channel is worth keeping in L2 ---- */

/* batch_moments, batch_norm and dropout of it; args y, moments, x, weight, bias[, key]; ints threshold; floats eps,
 * scale of what is kept. */
static int batch_norm_fused_prepare(tg_node *node) {
    if (channels_prepare(node, &node->args[2])) return 1;
    return ((const plan *)node->plan)->s < LARGE;
}

static void batch_norm_fused_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const plan *p = (const plan *)node->plan;
    const real *x = (const real *)node->args[2].data;
    const uint64_t *key = node->n_args > 5 ? (const uint64_t *)node->args[5].data : NULL;
    real *y = (real *)node->args[0].data, *mean = (real *)node->args[1].data, *var = mean + p->c;
    EACH_TILE(p, lo, hi) {
        channel_moments(p, x, c, &mean[c], &var[c]);
        real scale = (real)(vector_at(&node->args[3], c) / deviation(var[c], node->floats[0]));
        real bias = vector_at(&node->args[4], c);
        EACH_PIECE(p, c) {
            normalise_piece(y + at, x + at, length, mean[c], scale, bias);
            if (key) drop(y + at, y + at, at, length, key, (int32_t)node->ints[0], (real)node->floats[1]);
        }
    }
}

/* dropout of g, batch_norm_grad_sums, batch_norm_grad_input and relu_grad of it by x; args dx, sums, g, x, moments,
 * weight[, key]; ints threshold, relu; floats eps, scale of what is kept. */
static int batch_norm_grad_fused_prepare(tg_node *node) {
    if (channels_prepare(node, &node->args[2])) return 1;
    return ((const plan *)node->plan)->s < LARGE;
}

static void batch_norm_grad_fused_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const plan *p = (const plan *)node->plan;
    const real *g = (const real *)node->args[2].data, *x = (const real *)node->args[3].data;
    const real *mean = (const real *)node->args[4].data, *var = mean + p->c;
    const uint64_t *key = node->n_args > 6 ? (const uint64_t *)node->args[6].data : NULL;
    const int relu = node->ints[1] != 0;
    real *dx = (real *)node->args[0].data, *sum = (real *)node->args[1].data, *product = sum + p->c;
    EACH_TILE(p, lo, hi) {
        double both[2];
        if (key)
            channel_sums(p, g, x, c, mean[c], both, dx, key, (int32_t)node->ints[0], (real)node->floats[1]);
        else
            channel_sums(p, g, x, c, mean[c], both, NULL, NULL, 0, 0);
        sum[c] = (real)both[0], product[c] = (real)(both[1] / deviation(var[c], node->floats[0]));
        terms t = terms_of(p, var[c], sum[c], product[c], vector_at(&node->args[5], c), node->floats[0]);
        EACH_PIECE(p, c) {
            const real *kept = (key ? dx : g) + at;
            if (relu)
                input_gradient_piece(dx + at, kept, x + at, length, mean[c], t.scale, t.mean_g, t.slope, 1);
            else
                input_gradient_piece(dx + at, kept, x + at, length, mean[c], t.scale, t.mean_g, t.slope, 0);
        }
    }
}

TG_TABLE(batch_norm) = {
    {"batch_moments", batch_moments_prepare, batch_moments_run},
    {"batch_norm", batch_norm_prepare, batch_norm_run},
    {"batch_norm_grad_sums", batch_norm_grad_sums_prepare, batch_norm_grad_sums_run},
    {"batch_norm_grad_input", batch_norm_grad_input_prepare, batch_norm_grad_input_run},
    {"running_update_", running_update_prepare, running_update_run},
    {"batch_norm_fused_", batch_norm_fused_prepare, batch_norm_fused_run},
    {"batch_norm_grad_fused_", batch_norm_grad_fused_prepare, batch_norm_grad_fused_run},
    {0},
};

/* random.c: Philox4x32-10 and what is made of its bits, the same numbers as ops/philox.py to the last bit.
 *
 * Random bits come in groups: 16 counters, a lane each, give 4 words of 32 bits each. An element's place in the output
 * says which group, word and lane it gets, so any thread can make any part. Every operation is one that IEEE 754 rounds
 * exactly, and the build forbids FMA. An op that draws reads a generator's state, (seed, stream), and its last phase
 * moves the stream on. Sources: ops/philox.py. Left out on purpose: inputs that are not contiguous. Read next:
 * ops/philox.py. */
#include "dropout.h"
#include "loops.h"

#define GROUPS 64 /* in a unit: 5 to 20 us */

/* A word of 64 bits: low half, high half. */
static inline uint64_t joined(uint32_t low, uint32_t high) { return low | (uint64_t)high << 32; }

/* What becomes of the words of a group: `size` elements at out. */
typedef void group_fn(const tg_node *node, words w, void *out);

static int groups_prepare(tg_node *node, int64_t size) {
    int64_t n = count_of(&node->args[0]);
    for (int a = 0; a < node->n_args; a++)
        if (!is_contiguous(&node->args[a])) return 1;
    node->phases = n > 0;
    node->units[0] = divide_up(n, size * GROUPS);
    return 0;
}

/* The same with a phase more, in which the state is moved on: args out, state, ... */
static int drawing_prepare(tg_node *node, int64_t size) {
    if (groups_prepare(node, size)) return 1;
    node->units[node->phases++] = 1;
    return 0;
}

/* Whether this is that phase; then it is done. */
static inline int moved_on(const tg_node *node, int phase) {
    if (phase < node->phases - 1) return 0;
    ((int64_t *)node->args[1].data)[1]++;
    return 1;
}

/* Run f for the groups of some units; the one that the output ends in is made whole elsewhere and cut off. */
static ALWAYS_INLINE void run_groups(const tg_node *node, int64_t lo, int64_t hi, int64_t size, int64_t item,
                                     group_fn *f) {
    const int64_t n = count_of(&node->args[0]), bytes = size * item;
    const uint64_t *key = (const uint64_t *)node->args[1].data;
    char *out = node->args[0].data;
    words w;
    int64_t group = lo * GROUPS;
    for (; group < TG_MIN(hi * GROUPS, n / size); group++) {
        philox(w, key, group);
        f(node, w, out + group * bytes);
    }
    if (group == hi * GROUPS || group * size >= n) return;
    _Alignas(64) char made[sizeof(words)];
    philox(w, key, group);
    f(node, w, made);
    memcpy(out + group * bytes, made, (size_t)(n * item - group * bytes));
}

#define RUN_GROUPS(name, size, type)                                                            \
    static int name##_prepare(tg_node *node) { return drawing_prepare(node, size); }            \
    static void name##_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) { \
        (void)own;                                                                              \
        if (!moved_on(node, phase)) run_groups(node, lo, hi, size, sizeof(type), name##_group); \
    }

#if TG_FLOATING
/* A word as a number, and the first 53 bits of two, by conversions from int32: every processor has those for vectors.
 */
static inline double number(uint32_t w) { return (double)(int32_t)(w ^ 0x80000000u) + 2147483648.0; }
static inline double number53(uint32_t low, uint32_t high) {
    return number(high) * 2097152.0 + (double)(int32_t)(low >> 11);
}

#define UNIFORMS (TG_TYPE_IS == 1 ? 4 * LANES : 2 * LANES) /* of a group */

/* low + width u, u a multiple of 2^-24 or 2^-53 in [0, 1). */
static ALWAYS_INLINE void uniforms(words w, real low, real width, real *x) {
#if TG_TYPE_IS == 1
    for (int j = 0; j < 4; j++)
        for (int l = 0; l < LANES; l++) x[j * LANES + l] = (float)(int32_t)(w[j][l] >> 8) * 0x1p-24f * width + low;
#else
    for (int j = 0; j < 2; j++)
        for (int l = 0; l < LANES; l++)
            x[j * LANES + l] = number53(w[2 * j][l], w[2 * j + 1][l]) * 0x1p-53 * width + low;
#endif
}

/* low + u (high - low); args out, state; floats low, high. */
static inline void random_uniform_group(const tg_node *node, words w, void *out) {
    uniforms(w, (real)node->floats[0], (real)(node->floats[1] - node->floats[0]), out);
}
RUN_GROUPS(random_uniform, UNIFORMS, real)

/* u < p as 1 or 0; args out, state, p: of as many elements as out, or one. */
static int random_bernoulli_prepare(tg_node *node) {
    int64_t given = count_of(&node->args[2]);
    return (given != 1 && given != count_of(&node->args[0])) || drawing_prepare(node, UNIFORMS);
}

static void random_bernoulli_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    if (moved_on(node, phase)) return;
    const int64_t n = count_of(&node->args[0]), past = TG_MIN(hi * GROUPS, divide_up(n, UNIFORMS));
    const int64_t step = count_of(&node->args[2]) != 1;
    const real *p = (const real *)node->args[2].data;
    real *out = (real *)node->args[0].data, u[UNIFORMS];
    words w;
    for (int64_t group = lo * GROUPS; group < past; group++) {
        const int64_t first = group * UNIFORMS, count = TG_MIN(n - first, UNIFORMS);
        philox(w, (const uint64_t *)node->args[1].data, group);
        uniforms(w, 0, 1, u);
        for (int64_t i = 0; i < count; i++) out[first + i] = u[i] < p[(first + i) * step];
    }
}

/* x (c[0] + x (c[1] + ...)) */
static inline double polynomial(const double *c, int n, double x) {
    double y = c[n - 1] * x;
    for (int i = n - 2; i >= 0; i--) y = (y + c[i]) * x;
    return y;
}

/* log(u) for 0 < u <= 1: u = m 2^e with m about 1, log m = 2 atanh((m - 1) / (m + 1)). */
static inline double log_of_unit(double u) {
    static const double series[] = {1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11,
                                    1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21};
    uint64_t bits;
    memcpy(&bits, &u, sizeof bits);
    double e = (double)((int32_t)(bits >> 52) - 1023), m;
    bits = (bits & 0xFFFFFFFFFFFFFu) | 0x3FF0000000000000u;
    memcpy(&m, &bits, sizeof m);
    int large = m >= 1.4142135623730951;
    m = large ? m * 0.5 : m;
    e = large ? e + 1 : e;
    double s = (m - 1) / (m + 1);
    return e * 0.6931471805599453 + (s + s * polynomial(series, 10, s * s)) * 2;
}

/* Two normal numbers of one radius in (0, 1] and an angle: `turn` quarter turns and two bits that say which quarter. */
static inline void normal_pair(double radius, double turn, int top, double mean, double std, real *x, real *y) {
    static const double sine_series[] = {
        -1.0 / 6,        1.0 / 120,        -1.0 / 5040,          1.0 / 362880,
        -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000};
    static const double cosine_series[] = {-1.0 / 2,
                                           1.0 / 24,
                                           -1.0 / 720,
                                           1.0 / 40320,
                                           -1.0 / 3628800,
                                           1.0 / 479001600,
                                           -1.0 / 87178291200,
                                           1.0 / 20922789888000,
                                           -1.0 / 6402373705728000};
    double r = sqrt(log_of_unit(radius) * -2), t = turn * 1.5707963267948966, s = t * t;
    double sine = t + t * polynomial(sine_series, 8, s), cosine = 1 + polynomial(cosine_series, 9, s);
    r = top & 2 ? -r : r;
    *x = (real)(r * (top & 1 ? sine : cosine) * std + mean);
    *y = (real)(r * (top & 1 ? cosine : sine) * std + mean);
}

/* mean + std z, z normal by Box and Muller's method; args out, state; floats mean, std. */
static inline void random_normal_group(const tg_node *node, words w, void *out) {
    const double mean = node->floats[0], std = node->floats[1];
    real *x = out;
#if TG_TYPE_IS == 1
    for (int j = 0; j < 4; j += 2, x += 2 * LANES)
#pragma omp simd
        for (int l = 0; l < LANES; l++) {
            double radius = (number(w[j][l]) + 1) * 0x1p-32;
            double turn = (double)(int32_t)(w[j + 1][l] & 0x3FFFFFFF) * 0x1p-30 - 0.5;
            normal_pair(radius, turn, (int)(w[j + 1][l] >> 30), mean, std, &x[l], &x[LANES + l]);
        }
#else
#pragma omp simd
    for (int l = 0; l < LANES; l++) {
        double radius = (number53(w[0][l], w[1][l]) + 1) * 0x1p-53;
        double turn = number53(w[2][l], w[3][l] & 0x3FFFFFFF) * 0x1p-51 - 0.5;
        normal_pair(radius, turn, (int)(w[3][l] >> 30), mean, std, &x[l], &x[LANES + l]);
    }
#endif
}
RUN_GROUPS(random_normal, UNIFORMS, real)

/* x scale where 16 random bits are at least the threshold, else 0; args out, x, key; ints threshold, floats scale. */
static int dropout_prepare(tg_node *node) { return groups_prepare(node, DROPPED); }

static void dropout_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const int64_t first = lo * GROUPS * DROPPED, past = TG_MIN(hi * GROUPS * DROPPED, count_of(&node->args[0]));
    real *out = (real *)node->args[0].data;
    const real *x = (const real *)node->args[1].data;
    drop(out + first, x + first, node->first + first, past - first, (const uint64_t *)node->args[2].data,
         (int32_t)node->ints[0], (real)node->floats[0]);
}

TG_TABLE(random) = {
    {"random_uniform", random_uniform_prepare, random_uniform_run},
    {"random_normal", random_normal_prepare, random_normal_run},
    {"random_bernoulli", random_bernoulli_prepare, random_bernoulli_run},
    {"dropout", dropout_prepare, dropout_run},
    {0},
};

#else /* int64 */

/* out = state; the state's stream goes on by one. args out, state: int64 (seed, stream). */
static int take_key_prepare(tg_node *node) {
    node->phases = 1;
    node->units[0] = 1;
    return 0;
}

static void take_key_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)lo, (void)hi, (void)own;
    int64_t *out = (int64_t *)node->args[0].data, *state = (int64_t *)node->args[1].data;
    int64_t stride = node->args[1].stride[0];
    out[0] = state[0];
    out[1] = state[stride]++;
}

#define BITS64 (2 * LANES)

static inline void join(words w, uint64_t *x) {
    for (int j = 0; j < 2; j++)
        for (int l = 0; l < LANES; l++) x[j * LANES + l] = joined(w[2 * j][l], w[2 * j + 1][l]);
}

/* low + word mod (high - low); args out, state; ints low, high. */
static inline void random_integers_group(const tg_node *node, words w, void *out) {
    const uint64_t low = (uint64_t)node->ints[0], span = (uint64_t)node->ints[1] - low;
    uint64_t *x = out;
    join(w, x);
    for (int i = 0; i < BITS64; i++) x[i] = x[i] % span + low;
}
RUN_GROUPS(random_integers, BITS64, int64_t)

/* np.argsort(words, kind="stable"): the order that sorts n random words; args out, state. The words are even, so
 * putting them into about n buckets by their top bits leaves neighbours to swap only. aux: the words twice, the
 * buckets. */
static int random_permutation_prepare(tg_node *node) {
    if (!is_contiguous(&node->args[1])) return 1;
    int64_t n = node->args[0].shape[0], bits = 1;
    while (bits < 24 && INT64_C(1) << bits < n) bits++;
    node->plan[0] = bits;
    node->phases = 1;
    node->units[0] = 1;
    node->aux_bytes = 8 * (divide_up(n, BITS64) * BITS64 + n + (INT64_C(1) << bits));
    return 0;
}

static void random_permutation_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)lo, (void)hi, (void)own;
    uint64_t *state = (uint64_t *)node->args[1].data;
    const int64_t n = node->args[0].shape[0], padded = divide_up(n, BITS64) * BITS64, shift = 64 - node->plan[0];
    uint64_t *word = (uint64_t *)node->aux, *sorted = word + padded;
    int64_t *bucket = (int64_t *)(sorted + n), *order = (int64_t *)node->args[0].data, start = 0;
    for (int64_t group = 0; group < padded / BITS64; group++) {
        words w;
        philox(w, state, group);
        join(w, word + group * BITS64);
    }
    state[1]++;
    memset(bucket, 0, sizeof *bucket << node->plan[0]);
    for (int64_t i = 0; i < n; i++) bucket[word[i] >> shift]++;
    for (int64_t b = 0; b < INT64_C(1) << node->plan[0]; b++) {
        int64_t count = bucket[b];
        bucket[b] = start;
        start += count;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t at = bucket[word[i] >> shift]++;
        sorted[at] = word[i], order[at] = i;
    }
    for (int64_t i = 1; i < n; i++) {
        uint64_t x = sorted[i];
        int64_t index = order[i], j = i;
        for (; j > 0 && sorted[j - 1] > x; j--) sorted[j] = sorted[j - 1], order[j] = order[j - 1];
        sorted[j] = x, order[j] = index;
    }
}

TG_TABLE(random) = {
    {"take_key", take_key_prepare, take_key_run},
    {"random_integers", random_integers_prepare, random_integers_run},
    {"random_permutation", random_permutation_prepare, random_permutation_run},
    {0},
};
#endif

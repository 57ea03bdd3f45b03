/* elementwise.c: makes kernels of the table elementwise.def. The ops are there; here are the loops around them.
 *
 * An op has one inner loop over contiguous inputs, and where it is cheap two more for an input that is one number all
 * along. Inputs of other strides, and rows too short to be worth a call, are first copied together, a block at a time;
 * larger ones that lie across memory are turned whole before.
 * Left out on purpose: outputs with strides (they are always contiguous). Read next: loops.h, vecmath.h. */
#include "copy.h"
#include "vecmath.h"

#define FEWER 4096   /* elements in a unit of functions: about as long, 5 us */
#define BLOCK 1024   /* elements that are copied together at a time: with three inputs and an output it stays in L1 */
#define SHORT_ROW 24 /* below, copying rows together is faster than a call for each */
#define WORTH_TURNING 4096 /* elements: measured 2 times faster at (64, 64), 8 times at (1024, 1024) */

/* What prepare leaves for run in node->plan. */
typedef struct {
    loops l;
    int64_t total, piece;
    int64_t blocks; /* run block by block, not row by row */
    int64_t direct; /* of blocks: bit i is set where input i is contiguous and needs no copy */
    int64_t across; /* bit i is set where input i is turned in a phase of its own, to its place in aux */
    int64_t form;
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* The strides of the two inputs along a row, in elements: 11 stands for "all inputs are contiguous". */
enum { FORM_11, FORM_10, FORM_01 };

/* One row, or as much of it as shall be done: n elements at `out` from n at each of `in`. */
typedef void (*row_fn)(const tg_node *node, char *out, char *const *in, int64_t n, int form);

/* Plan to turn input i; return the number of units, 0 where it does not lie across or is too small. */
static int64_t plan_turn(const tg_node *node, int i, copy_plan *c) {
    const tg_array *a = &node->args[i + 1];
    tg_array to = node->args[0]; /* like the output, but for the type */
    to.dtype = a->dtype;
    int64_t units = plan_copy(c, &to, a, 1);
    return c->across < 0 || c->total < WORTH_TURNING || item_size(a) != sizeof(real) ? 0 : units;
}

static int plan_rows(tg_node *node, int64_t piece, int scalar_forms) {
    plan *p = (plan *)node->plan;
    int inputs = node->n_args - 1;
    if (inputs > MAX_ARRAYS || !is_contiguous(&node->args[0])) return 1;
    collapse(&p->l, &node->args[0], &node->args[1], inputs);
    p->total = count_of(&node->args[0]);
    p->piece = piece;
    int64_t last = p->l.dims - 1, zeros = 0, others = 0;
    for (int i = 0; i < inputs; i++) {
        int64_t stride = p->l.stride[i][last], size = item_size(&node->args[i + 1]);
        if (stride == 0) zeros |= 1 << i;
        if (stride != 0 && stride != size) others = 1;
        if (last == 0 && stride == size) p->direct |= 1 << i;
        if (last > 0 && is_contiguous(&node->args[i + 1]) && count_of(&node->args[i + 1]) == p->total)
            p->direct |= 1 << i;
    }
    for (int i = 0; i < inputs; i++) {
        copy_plan c = {0};
        int64_t units = plan_turn(node, i, &c);
        if (units == 0) continue;
        p->across |= 1 << i, p->direct |= 1 << i;
        node->units[0] += units;
        node->aux_bytes += p->total * (int64_t)sizeof(real);
    }
    if (!others && scalar_forms && inputs == 2 && zeros != 3)
        p->form = zeros == 2 ? FORM_10 : zeros ? FORM_01 : FORM_11;
    p->blocks = others || (zeros && p->form == FORM_11) || (last > 0 && p->l.shape[last] < SHORT_ROW);
    if (p->blocks) {
        p->form = FORM_11;
        node->own_bytes = (int64_t)inputs * BLOCK * 8;
    }
    node->phases = p->across ? 2 : 1;
    node->units[node->phases - 1] = divide_up(p->total, piece);
    return 0;
}

static int row_prepare(tg_node *node) { return plan_rows(node, PIECE, 1); }
#if TG_FLOATING
static int function_prepare(tg_node *node) { return plan_rows(node, FEWER, 0); }
#endif

/* True + True is True: the byte of a bool is 0 or 1. */
static void as_bools(char *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = out[i] != 0;
}

/* Where input i is, if it has been turned. */
static char *turned(const tg_node *node, int i) {
    const plan *p = (const plan *)node->plan;
    return node->aux + __builtin_popcountll((uint64_t)p->across & ((1u << i) - 1)) * p->total * (int64_t)sizeof(real);
}

/* The first of two phases: the units of all inputs that are turned, one input after the other. */
static void turn(const tg_node *node, int64_t lo, int64_t hi) {
    const plan *p = (const plan *)node->plan;
    for (int i = 0; i < node->n_args - 1; i++) {
        if (!(p->across >> i & 1)) continue;
        copy_plan c = {0};
        int64_t units = plan_turn(node, i, &c);
        if (lo < units) run_copy(&c, turned(node, i), node->args[i + 1].data, TG_MAX(lo, 0), TG_MIN(hi, units));
        lo -= units, hi -= units;
        if (hi <= 0) return;
    }
}

/* Not inline: one for all ops, a call a row. */
__attribute__((noinline)) static void walk_all(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own,
                                               row_fn row) {
    const plan *p = (const plan *)node->plan;
    if (phase < node->phases - 1) {
        turn(node, lo, hi);
        return;
    }
    const int inputs = node->n_args - 1;
    const int64_t start = lo * p->piece, end = TG_MIN(hi * p->piece, p->total), last = p->l.dims - 1;
    const int64_t out_size = item_size(&node->args[0]);
    char *out = node->args[0].data + start * out_size, *in[MAX_ARRAYS] = {0};
    if (p->blocks) {
        for (int64_t at = start, n; at < end; at += n) {
            n = TG_MIN(BLOCK, end - at);
            for (int i = 0; i < inputs; i++) {
                const tg_array *a = &node->args[i + 1];
                int64_t size = item_size(a);
                if (p->direct >> i & 1) {
                    in[i] = (p->across >> i & 1 ? turned(node, i) : a->data) + at * size;
                } else {
                    in[i] = own + i * BLOCK * 8;
                    fetch(p->l.dims, p->l.shape, p->l.stride[i], a->data, at, n, size, in[i]);
                }
            }
            row(node, out, in, n, FORM_11);
            out += n * out_size;
        }
    } else {
        int64_t at[TG_DIMS];
        index_at(p->l.dims, p->l.shape, start, at);
        for (int i = 0; i < inputs; i++) {
            in[i] = node->args[i + 1].data;
            for (int64_t d = 0; d <= last; d++) in[i] += at[d] * p->l.stride[i][d];
        }
        for (int64_t left = end - start, n; left > 0; left -= n) {
            n = TG_MIN(left, p->l.shape[last] - at[last]);
            row(node, out, in, n, (int)p->form);
            out += n * out_size;
            for (int i = 0; i < inputs; i++) in[i] -= at[last] * p->l.stride[i][last];
            at[last] = 0;
            for (int64_t d = last - 1; d >= 0; d--) {
                at[d]++;
                for (int i = 0; i < inputs; i++) in[i] += p->l.stride[i][d];
                if (at[d] < p->l.shape[d]) break;
                for (int i = 0; i < inputs; i++) in[i] -= p->l.shape[d] * p->l.stride[i][d];
                at[d] = 0;
            }
        }
    }
    if (TG_TYPE_IS == 5 && node->args[0].dtype == TG_BOOL) as_bools(node->args[0].data + start, end - start);
}

/* ---- what expressions call, beside vecmath.h ---- */

#if TG_FLOATING

static inline real floor_remainder(real x, real y) {
    real r = REAL(fmod)(x, y);
    return r == 0 ? REAL(copysign)(0, y) : (r < 0) != (y < 0) ? r + y : r;
}

/* The quotient rounded down, such that quotient * y + remainder gives x back; x / 0 is what division gives. */
static inline real floor_quotient(real x, real y) {
    if (y == 0) return x / y;
    real r = REAL(fmod)(x, y), quotient = (x - r) / y;
    if (r != 0 && (r < 0) != (y < 0)) quotient -= 1;
    real down = REAL(floor)(quotient);
    if (quotient == 0) return REAL(copysign)(0, x / y);
    return quotient - down > (real)0.5 ? down + 1 : down;
}

/* Arguments of pow that vectors are not made for. In double, none are made. */
#if TG_TYPE_IS == 1
#define IS_UNUSUAL(x, y) (!(x > 0 && x <= FLT_MAX && fabsf(y) <= FLT_MAX))
#else
#define IS_UNUSUAL(x, y) 0
#define vpow pow
#endif

static inline real clamped(real x, real low, real high) {
    real a = x < low ? low : x;
    return a > high ? high : a;
}

static inline real vtan(real x) {
#if TG_TYPE_IS == 1
    int64_t k;
    double r = quarter_turns(x, &k);
    return x == 0 ? x : (real)(sin_or_cos(r, k) / sin_or_cos(r, k + 1));
#else
    return tan(x);
#endif
}

/* log(1 + e^x), without e^x overflowing. */
static inline real log_1_plus_exp(real x) { return (x > 0 ? x : 0) + vlog1p(vexp(-REAL(fabs)(x))); }

/* The logarithms of binary cross-entropy end there; NaN stays. */
static inline real above_100(real x) { return x < -100 ? -100 : x; }

/* log(e^x + e^y); the difference of two equal infinities is none. */
static inline real log_of_sum(real x, real y) {
    return x == y ? x + (real)0.69314718055994530942 : (x > y ? x : y) + vlog1p(vexp(-REAL(fabs)(x - y)));
}

static inline real log2_of_sum(real x, real y) {
    return x == y ? x + 1 : (x > y ? x : y) + vlog1p(REAL(exp2)(-REAL(fabs)(x - y))) * (real)1.4426950408889634074;
}

static inline real log_of_odds(real x) { return vlog(x / (1 - x)); }

#define PI ((real)3.14159265358979323846)

static inline real silu_slope(real x) {
    real s = vsigmoid(x);
    return s * (1 + x * (1 - s));
}

#define DENSITY_AT_0 ((real)0.39894228040143267794) /* 1 / sqrt(2 pi): the normal distribution's */
#define TANH_SCALE ((real)0.79788456080286535588)   /* sqrt(2 / pi); arXiv:1606.08415, section 2 */
#define TANH_CUBE ((real)0.044715)

static inline real normal_below(real x) {
    real bell;
    return vnormal(x, &bell);
}

static inline real gelu_slope(real x) {
    real bell, below = vnormal(x, &bell);
    return below + x * (DENSITY_AT_0 * bell);
}

/* (1 + tanh(z)) / 2, the approximation of the above, is sigmoid(2 z). */
static inline real tanh_argument(real x) { return TANH_SCALE * (x + TANH_CUBE * x * x * x); }

static inline real gelu_slope_by_tanh(real x) {
    real s = vsigmoid(2 * tanh_argument(x));
    return s + 2 * x * s * (1 - s) * (TANH_SCALE * (1 + 3 * TANH_CUBE * x * x));
}

#else

/* Division by 0 gives 0 as in NumPy, and the lowest number by -1 wraps: neither may trap. */
static inline int64_t whole_quotient(int64_t x, int64_t y) { return y == 0 ? 0 : y == -1 ? -x : x / y; }

static inline int64_t floor_quotient(int64_t x, int64_t y) {
    int64_t quotient = whole_quotient(x, y);
    return y != 0 && (x < 0) != (y < 0) && quotient * y != x ? quotient - 1 : quotient;
}

static inline int64_t floor_remainder(int64_t x, int64_t y) { return y == 0 ? 0 : x - floor_quotient(x, y) * y; }

/* By squaring, wrapping. A negative power is 0 but for the bases 1 and -1. */
static inline int64_t power(int64_t x, int64_t y) {
    if (y < 0) return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
    int64_t result = 1;
    for (; y > 0; y >>= 1, x *= x)
        if (y & 1) result *= x;
    return result;
}

static inline real clamped(real x, double low, double high) {
    real a = (double)x < low ? (real)low : x;
    return (double)a > high ? (real)high : a;
}

#endif

/* ---- the table's first reading: of each op a function of one element, a row of them, and the kernel's run ---- */

/* What expressions may use beside the elements: the op's attributes. */
#define UNUSED __attribute__((unused))
#if TG_FLOATING
typedef real attribute;
#else
typedef double attribute; /* clamp's bounds may be infinite */
#endif
#define ATTRIBUTES UNUSED attribute p, UNUSED attribute q, UNUSED int flag

#define OF_X(name, type, expression) \
    static ALWAYS_INLINE type name##_of(real x, ATTRIBUTES) { return (type)(expression); }
#define OF_XY(name, type, expression) \
    static ALWAYS_INLINE type name##_of(UNUSED real x, UNUSED real y, ATTRIBUTES) { return (type)(expression); }
#define OF_GX(name, type, expression) \
    static ALWAYS_INLINE type name##_of(real g, real x, ATTRIBUTES) { return (type)(expression); }
#define OF_XYZ(name, type, expression) \
    static ALWAYS_INLINE type name##_of(real x, real y, real z, ATTRIBUTES) { return (type)(expression); }
#define OF_CXY(name, type, expression) \
    static ALWAYS_INLINE type name##_of(uint8_t c, real x, real y, ATTRIBUTES) { return (type)(expression); }

/* The body that follows ROW is the loops over one row. It gets all it reads as values: a store to bytes may change
 * anything that stands in memory, for all that the compiler knows. */
#define LOOPS(name)                                                                                             \
    static ALWAYS_INLINE void name##_loops(char *out, UNUSED const char *in0, UNUSED const char *in1,           \
                                           UNUSED const char *in2, int64_t n, UNUSED int form, UNUSED int flag, \
                                           UNUSED attribute p, UNUSED attribute q)
#define ROW(name)                                                                                       \
    LOOPS(name);                                                                                        \
    static void name##_row(const tg_node *node, char *out, char *const *in, int64_t n, int form) {      \
        name##_loops(out, in[0], in[1], in[2], n, form, (int)node->ints[0], (attribute)node->floats[0], \
                     (attribute)node->floats[1]);                                                       \
    }                                                                                                   \
    static void name##_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {         \
        walk_all(node, phase, lo, hi, own, name##_row);                                                 \
    }                                                                                                   \
    LOOPS(name)

/* Input number k, and a loop over all elements i. omp simd tells that no element depends on another: `out` may be an
 * input's memory, for operations in place. */
#define IN(k) ((const real *)in##k)
#define EACH(type, value) _Pragma("omp simd") for (int64_t i = 0; i < n; i++)((type *)out)[i] = (value)

#define ONE(name, type, expression) \
    OF_X(name, type, expression)    \
    ROW(name) { EACH(type, name##_of(IN(0)[i], p, q, 0)); }

#define TWO(name, type, expression)                             \
    OF_XY(name, type, expression)                               \
    ROW(name) {                                                 \
        const real x = *IN(0), y = *IN(1);                      \
        if (form == FORM_10)                                    \
            EACH(type, name##_of(IN(0)[i], y, p, q, 0));        \
        else if (form == FORM_01)                               \
            EACH(type, name##_of(x, IN(1)[i], p, q, 0));        \
        else                                                    \
            EACH(type, name##_of(IN(0)[i], IN(1)[i], p, q, 0)); \
    }

#define UNARY(name, expression) ONE(name, real, expression)
#define TEST(name, expression) ONE(name, uint8_t, expression)
#define FUNCTION(name, expression) ONE(name, real, expression)
#define BINARY(name, expression) TWO(name, real, expression)
#define COMPARE(name, expression) TWO(name, uint8_t, expression)

#define GRADIENT(name, expression) \
    OF_GX(name, real, expression)  \
    ROW(name) { EACH(real, name##_of(IN(0)[i], IN(1)[i], p, q, 0)); }

#define TERNARY(name, expression)  \
    OF_XYZ(name, real, expression) \
    ROW(name) { EACH(real, name##_of(IN(0)[i], IN(1)[i], IN(2)[i], p, q, 0)); }

#define FUNCTION_OF_2(name, expression) \
    OF_XY(name, real, expression)       \
    ROW(name) { EACH(real, name##_of(IN(0)[i], IN(1)[i], p, q, 0)); }

#define CHOICE(name, expression)   \
    OF_CXY(name, real, expression) \
    ROW(name) { EACH(real, name##_of(((const uint8_t *)in0)[i], IN(1)[i], IN(2)[i], p, q, 0)); }

/* The same where the expression asks for the flag: a loop for either answer. */
#define FLAG_FUNCTION(name, expression)               \
    OF_X(name, real, expression)                      \
    ROW(name) {                                       \
        if (flag)                                     \
            EACH(real, name##_of(IN(0)[i], p, q, 1)); \
        else                                          \
            EACH(real, name##_of(IN(0)[i], p, q, 0)); \
    }
#define FLAG_GRADIENT(name, expression)                         \
    OF_GX(name, real, expression)                               \
    ROW(name) {                                                 \
        if (flag)                                               \
            EACH(real, name##_of(IN(0)[i], IN(1)[i], p, q, 1)); \
        else                                                    \
            EACH(real, name##_of(IN(0)[i], IN(1)[i], p, q, 0)); \
    }

/* One look at a whole row decides between vectors and a choice for each element: the same function either way. */
#define RARE_FUNCTION(name, rarely, expression, then)                                                       \
    OF_X(name, real, expression)                                                                            \
    OF_X(name##_is_rare, int, rarely)                                                                       \
    OF_X(name##_then, real, then)                                                                           \
    ROW(name) {                                                                                             \
        int rare = 0;                                                                                       \
        for (int64_t i = 0; i < n; i++) rare |= name##_is_rare_of(IN(0)[i], p, q, 0);                       \
        if (!rare)                                                                                          \
            EACH(real, name##_of(IN(0)[i], p, q, 0));                                                       \
        else                                                                                                \
            for (int64_t i = 0; i < n; i++)                                                                 \
                ((real *)out)[i] = name##_is_rare_of(IN(0)[i], p, q, 0) ? name##_then_of(IN(0)[i], p, q, 0) \
                                                                        : name##_of(IN(0)[i], p, q, 0);     \
    }
#define RARE_BINARY(name, rarely, expression, then)                                             \
    OF_XY(name, real, expression)                                                               \
    OF_XY(name##_is_rare, int, rarely)                                                          \
    OF_XY(name##_then, real, then)                                                              \
    ROW(name) {                                                                                 \
        int rare = 0;                                                                           \
        for (int64_t i = 0; i < n; i++) rare |= name##_is_rare_of(IN(0)[i], IN(1)[i], p, q, 0); \
        if (!rare)                                                                              \
            EACH(real, name##_of(IN(0)[i], IN(1)[i], p, q, 0));                                 \
        else                                                                                    \
            for (int64_t i = 0; i < n; i++)                                                     \
                ((real *)out)[i] = name##_is_rare_of(IN(0)[i], IN(1)[i], p, q, 0)               \
                                       ? name##_then_of(IN(0)[i], IN(1)[i], p, q, 0)            \
                                       : name##_of(IN(0)[i], IN(1)[i], p, q, 0);                \
    }

#include "elementwise.def"

/* ---- its second: the list of kernels ---- */

#undef UNARY
#undef TEST
#undef FUNCTION
#undef BINARY
#undef COMPARE
#undef GRADIENT
#undef TERNARY
#undef FUNCTION_OF_2
#undef CHOICE
#undef FLAG_FUNCTION
#undef FLAG_GRADIENT
#undef RARE_FUNCTION
#undef RARE_BINARY
#define UNARY(name, ...) {#name, row_prepare, name##_run},
#define TEST UNARY
#define BINARY UNARY
#define COMPARE UNARY
#define TERNARY UNARY
#define CHOICE UNARY
#define FUNCTION(name, ...) {#name, function_prepare, name##_run},
#define GRADIENT FUNCTION
#define FUNCTION_OF_2 FUNCTION
#define FLAG_FUNCTION FUNCTION
#define FLAG_GRADIENT FUNCTION
#define RARE_FUNCTION FUNCTION
#define RARE_BINARY FUNCTION

TG_TABLE(elementwise) = {
#include "elementwise.def"
    {0},
};

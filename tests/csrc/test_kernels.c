/* test_kernels.c: kernels, found by name, on small ragged arrays that are just as large as they must be.
 *
 * The address sanitizer then sees every step beyond an array, the thread sanitizer every element written by two units.
 * A kernel that is not there yet is passed over; the last line says how many were run. Values are compared with plain
 * loops in double; the thorough comparison is in Python. */
#include "check.h"

static const int64_t sizes[] = {1, 2, 3, 5, 15, 16, 17, 31, 33};
enum { N_SIZES = sizeof sizes / sizeof *sizes };
static int n_run;

static uint64_t state = 1;
static double draw(void) { /* in [0.25, 1.25): the domain of log, sqrt and division */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return 0.25 + (double)(state >> 40) / (1 << 24);
}

static int64_t bytes_of(int dtype) { return dtype == TG_F64 ? 8 : 4; }

static double get(const tg_array *a, int64_t i) {
    return a->dtype == TG_F64 ? ((const double *)a->data)[i] : (double)((const float *)a->data)[i];
}

static void set(const tg_array *a, int64_t i, double x) {
    if (a->dtype == TG_F64)
        ((double *)a->data)[i] = x;
    else
        ((float *)a->data)[i] = (float)x;
}

/* Give the array memory for `count` elements, filled with random numbers. */
static void provide(tg_array *a, int64_t count) {
    a->data = malloc((size_t)(count * bytes_of(a->dtype)));
    for (int64_t i = 0; i < count; i++) set(a, i, draw());
}

static void check_close(const char *name, const tg_array *a, int64_t i, double expected, double scale) {
    double tolerance = (a->dtype == TG_F64 ? 1e-14 : 4e-6) * scale, got = get(a, i);
    CHECK(fabs(got - expected) <= tolerance * (1 + fabs(expected)), "%s: element %lld is %.17g, not %.17g", name,
          (long long)i, got, expected);
}

static void run(tg_node *node) {
    uintptr_t addresses[8];
    for (int i = 0; i < node->n_args; i++) addresses[i] = (uintptr_t)node->args[i].data;
    tg_run_many(node, addresses);
    n_run++;
}

static void drop(tg_node *node) {
    for (int i = 0; i < node->n_args; i++) free(node->args[i].data);
    tg_node_free(node);
}

/* ---- elementwise ---- */

static double f_add(double x, double y) { return x + y; }
static double f_sub(double x, double y) { return x - y; }
static double f_mul(double x, double y) { return x * y; }
static double f_div(double x, double y) { return x / y; }
static double f_neg(double x, double y) { return (void)y, -x; }
static double f_abs(double x, double y) { return (void)y, fabs(x); }
static double f_exp(double x, double y) { return (void)y, exp(x); }
static double f_log(double x, double y) { return (void)y, log(x); }
static double f_log1p(double x, double y) { return (void)y, log1p(x); }
static double f_expm1(double x, double y) { return (void)y, expm1(x); }
static double f_sqrt(double x, double y) { return (void)y, sqrt(x); }
static double f_rsqrt(double x, double y) { return (void)y, 1 / sqrt(x); }
static double f_square(double x, double y) { return (void)y, x * x; }
static double f_reciprocal(double x, double y) { return (void)y, 1 / x; }
static double f_sin(double x, double y) { return (void)y, sin(x); }
static double f_cos(double x, double y) { return (void)y, cos(x); }
static double f_tanh(double x, double y) { return (void)y, tanh(x); }
static double f_sigmoid(double x, double y) { return (void)y, 1 / (1 + exp(-x)); }
static double f_relu(double x, double y) { return (void)y, x > 0 ? x : 0; }

static const struct {
    const char *name;
    int inputs;
    double (*f)(double x, double y);
} elementwise[] = {
    {"add", 2, f_add},       {"sub", 2, f_sub},   {"mul", 2, f_mul},
    {"div", 2, f_div},       {"pow", 2, pow},     {"maximum", 2, fmax},
    {"minimum", 2, fmin},    {"neg", 1, f_neg},   {"abs", 1, f_abs},
    {"exp", 1, f_exp},       {"log", 1, f_log},   {"log1p", 1, f_log1p},
    {"expm1", 1, f_expm1},   {"sqrt", 1, f_sqrt}, {"rsqrt", 1, f_rsqrt},
    {"square", 1, f_square}, {"sin", 1, f_sin},   {"reciprocal", 1, f_reciprocal},
    {"cos", 1, f_cos},       {"tanh", 1, f_tanh}, {"sigmoid", 1, f_sigmoid},
    {"relu", 1, f_relu},
};

enum { PLAIN, TRANSPOSED, ROW, COLUMN, REVERSED, LAYOUTS }; /* of an input, where the output is plain */

/* An input of rows x cols elements in one of the layouts; REVERSED has negative strides, its data at the last element.
 */
static void lay_out(tg_array *a, int dtype, int layout, int64_t rows, int64_t cols) {
    describe(a, dtype, 2, (int64_t[]){rows, cols}, NULL);
    if (layout == TRANSPOSED) a->stride[0] = 1, a->stride[1] = rows;
    if (layout == ROW) a->stride[0] = 0;
    if (layout == COLUMN) a->stride[0] = 1, a->stride[1] = 0;
    provide(a, layout == ROW ? cols : layout == COLUMN ? rows : rows * cols);
    if (layout != REVERSED) return;
    a->stride[0] = -cols, a->stride[1] = -1;
    a->data += (rows * cols - 1) * bytes_of(dtype);
}

static void release(tg_array *a, int layout) {
    if (layout == REVERSED) a->data -= (a->shape[0] * a->shape[1] - 1) * bytes_of(a->dtype);
    free(a->data);
    a->data = NULL;
}

static void test_elementwise(int kernel, int inputs, double (*f)(double, double), int64_t rows, int64_t cols,
                             const int layout[2]) {
    int dtype = tg_kernel_dtype(kernel);
    tg_node *node = tg_node_new(kernel, inputs + 1);
    tg_array *out = node->args, *x = out + 1, *y = inputs > 1 ? out + 2 : x;
    describe(out, dtype, 2, (int64_t[]){rows, cols}, NULL);
    provide(out, rows * cols);
    for (int i = 0; i < inputs; i++) lay_out(out + 1 + i, dtype, layout[i], rows, cols);
    if (!tg_node_prepare(node)) {
        run(node);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < cols; j++)
                check_close(tg_kernel_name(kernel), out, i * cols + j,
                            f(get(x, i * x->stride[0] + j * x->stride[1]), get(y, i * y->stride[0] + j * y->stride[1])),
                            4);
    }
    for (int i = 0; i < inputs; i++) release(out + 1 + i, layout[i]);
    drop(node);
}

/* ---- products ---- */

/* matmul, for batch = 0 and fused = 0 of two matrices; linear, if fused: x @ w.T + bias, then relu. */
static void test_product(const char *name, int dtype, int64_t batch, int64_t m, int64_t n, int64_t k, int ta, int tb,
                         int fused) {
    int kernel = tg_kernel_find(name, dtype);
    if (kernel < 0) return;
    tg_node *node = tg_node_new(kernel, fused ? 4 : 3);
    tg_array *out = node->args, *a = out + 1, *b = out + 2;
    int first = batch == 0, ndim = 3 - first;
    int64_t products = batch ? batch : 1;
    describe(out, dtype, ndim, (int64_t[]){batch, m, n} + first, NULL);
    describe(a, dtype, ndim, (int64_t[]){batch, m, k} + first, NULL);
    describe(b, dtype, ndim, (int64_t[]){batch, k, n} + first, NULL);
    int row = ndim - 2, col = ndim - 1;
    if (ta) a->stride[row] = 1, a->stride[col] = m;
    if (tb) b->stride[row] = 1, b->stride[col] = k;
    int64_t brs = b->stride[row], bcs = b->stride[col];
    if (fused) {
        describe(b, dtype, 2, (int64_t[]){n, k}, NULL);
        describe(out + 3, dtype, 1, &n, NULL);
        provide(out + 3, n);
        b->stride[0] = bcs, b->stride[1] = brs;
        node->ints[0] = 1;
        node->n_ints = 1;
    }
    provide(out, products * m * n);
    provide(a, products * m * k);
    provide(b, products * k * n);
    for (int64_t i = 0; i < m * k; i += 3) set(a, i, -get(a, i));
    if (!tg_node_prepare(node)) {
        run(node);
        for (int64_t q = 0; q < products; q++)
            for (int64_t i = 0; i < m; i++)
                for (int64_t j = 0; j < n; j++) {
                    double sum = 0;
                    for (int64_t p = 0; p < k; p++)
                        sum += get(a, q * m * k + i * a->stride[row] + p * a->stride[col]) *
                               get(b, q * k * n + p * brs + j * bcs);
                    if (fused) sum = fmax(0, sum + get(out + 3, j));
                    check_close(name, out, (q * m + i) * n + j, sum, (double)k);
                }
    }
    drop(node);
}

static void test_products(int dtype) {
    for (int transposed = 0; transposed < 4; transposed++) {
        int ta = transposed & 1, tb = transposed >> 1;
        for (int i = 0; i < N_SIZES; i++)
            for (int j = 0; j < N_SIZES; j++)
                for (int p = (i + j) % 3; p < N_SIZES; p += 3) {
                    test_product("matmul", dtype, 0, sizes[i], sizes[j], sizes[p], ta, tb, 0);
                    test_product("linear", dtype, 0, sizes[i], sizes[j], sizes[p], ta, tb, 1);
                }
        test_product("matmul", dtype, 3, 5, 17, 33, ta, tb, 0);
        test_product("matmul", dtype, 2, 130, 70, 300, ta, tb, 0); /* blocks, panels and several threads */
        test_product("matmul", dtype, 0, 97, 10, 517, ta, tb, 0);
        test_product("linear", dtype, 0, 129, 65, 257, ta, tb, 1);
    }
}

void test_kernels(void) {
    tg_threads_set(3);
    n_run = 0;
    for (int dtype = TG_F32; dtype <= TG_F64; dtype++) {
        for (size_t e = 0; e < sizeof elementwise / sizeof *elementwise; e++) {
            int kernel = tg_kernel_find(elementwise[e].name, dtype);
            if (kernel < 0) continue;
            for (int layout = 0; layout < LAYOUTS * LAYOUTS; layout++)
                for (int i = 0; i < N_SIZES; i++) {
                    const int of[2] = {layout / LAYOUTS, layout % LAYOUTS};
                    test_elementwise(kernel, elementwise[e].inputs, elementwise[e].f, 3, sizes[i], of);
                    test_elementwise(kernel, elementwise[e].inputs, elementwise[e].f, sizes[i], 2, of);
                }
            const int plain[2] = {PLAIN, COLUMN};
            test_elementwise(kernel, elementwise[e].inputs, elementwise[e].f, 301, 1001, plain); /* shared by threads */
        }
        test_products(dtype);
    }
    printf("%d calls of kernels\n", n_run);
}

/* test_chain.c: a chain gives the bits of its parts run one by one, for sizes around a block's and any threads.
 *
 * The chain: a = x * row; b = relu(a), wanted outside; c = dropout(b); out = where(c > threshold, c, x). It has an
 * input that repeats, one that every block reads whole, an intermediate of bytes, and two outputs. Read next: chain.c.
 */
#include "check.h"

enum { PARTS = 5, ARGS = 6 };

typedef struct {
    const char *name;
    int n_args, along, args[4]; /* which arrays below */
} part;

enum { OUT, B, X, ROW, KEY, THRESHOLD, A, C, MORE, ARRAYS };
static const part parts[PARTS] = {
    {"mul", 3, 3, {A, X, ROW}},         {"relu", 2, 2, {B, A}},
    {"dropout", 3, 2, {C, B, KEY}},     {"gt", 3, 3, {MORE, C, THRESHOLD}},
    {"where", 4, 4, {OUT, MORE, C, X}},
};

static tg_node *make(const part *p, int dtype, int64_t rows, int64_t width) {
    tg_node *node = tg_node_new(tg_kernel_find(p->name, dtype), p->n_args);
    for (int i = 0; i < p->n_args; i++) {
        int which = p->args[i];
        int64_t shape[2] = {rows, width};
        describe(&node->args[i], which == MORE ? TG_BOOL : which == KEY ? TG_I64 : dtype, 2, shape, NULL);
        if (which == KEY) describe(&node->args[i], TG_I64, 1, (int64_t[]){2}, NULL);
        if (which == ROW || which == THRESHOLD) node->args[i].stride[0] = 0;
        if (which == THRESHOLD) node->args[i].stride[1] = 0;
    }
    node->n_ints = 1, node->ints[0] = 30000;
    node->floats[0] = 1.25;
    return node;
}

static void run_chain(int dtype, int64_t rows, int64_t width) {
    int64_t count = rows * width, size = dtype == TG_F32 ? 4 : 8;
    char *block[2][ARRAYS] = {{0}};
    for (int i = 0; i < ARRAYS; i++) {
        int64_t n = i == ROW ? width : i == THRESHOLD ? 1 : i == KEY ? 2 : count;
        int64_t bytes = n * (i == MORE ? 1 : i == KEY ? 8 : size);
        for (int chained = 0; chained < 2; chained++) {
            block[chained][i] = malloc((size_t)bytes + 1);
            for (int64_t k = 0; k < n; k++) {
                double value = (double)(k * 7919 % 1009) / 500 - 1;
                if (i == KEY)
                    ((int64_t *)block[chained][i])[k] = 5 + k;
                else if (i != MORE && dtype == TG_F32)
                    ((float *)block[chained][i])[k] = (float)value;
                else if (i != MORE)
                    ((double *)block[chained][i])[k] = value;
            }
        }
    }
    tg_node *alone[PARTS];
    int32_t along[PARTS], places[4 * PARTS], n_places = 0;
    tg_tape *tape = tg_tape_new(PARTS);
    for (int p = 0; p < PARTS; p++) {
        alone[p] = make(&parts[p], dtype, rows, width);
        along[p] = parts[p].along;
        for (int i = 0; i < parts[p].n_args; i++) {
            int which = parts[p].args[i];
            places[n_places++] = which < ARGS ? which : which == MORE ? -2 : which == C ? -3 : -1;
        }
    }
    tg_node *chain = tg_chain_new(ARGS, 2, PARTS, alone, along, places);
    CHECK(chain, "%lld x %lld", (long long)rows, (long long)width);
    for (int p = 0; p < PARTS; p++) {
        CHECK(!tg_node_prepare(alone[p]), "%s", parts[p].name);
        tg_tape_set(tape, p, alone[p]);
        for (int i = 0; i < parts[p].n_args; i++) tg_tape_bind(tape, p, i, (uintptr_t)block[0][parts[p].args[i]]);
    }
    tg_tape_run(tape);
    tg_tape *one = tg_tape_new(1);
    tg_tape_set(one, 0, chain);
    for (int i = 0; i < ARGS; i++) tg_tape_bind(one, 0, i, (uintptr_t)block[1][i]);
    for (int threads = 1; threads <= 3; threads++) {
        tg_threads_set(threads);
        memset(block[1][OUT], 0xA5, (size_t)(count * size));
        memset(block[1][B], 0xA5, (size_t)(count * size));
        CHECK(tg_tape_run_checked(one, 0) == -1, "%lld x %lld", (long long)rows, (long long)width);
        for (int i = OUT; i <= B; i++)
            CHECK(!memcmp(block[0][i], block[1][i], (size_t)(count * size)), "%lld x %lld, array %d, %d threads",
                  (long long)rows, (long long)width, i, threads);
    }
    if (count) { /* a NaN in either output is found: here it comes up in the second */
        for (int64_t k = 0; k < width; k++)
            if (dtype == TG_F32)
                ((float *)block[1][ROW])[k] = NAN;
            else
                ((double *)block[1][ROW])[k] = NAN;
        CHECK(tg_tape_run_checked(one, 0) == 0, "a NaN");
    }
    tg_tape_free(one), tg_tape_free(tape), tg_node_free(chain);
    for (int p = 0; p < PARTS; p++) tg_node_free(alone[p]);
    for (int i = 0; i < 2 * ARRAYS; i++) free(block[i / ARRAYS][i % ARRAYS]);
}

/* What is refused: inputs that lie across memory, rows longer than a block, kernels that are not elementwise. */
static void refuse(void) {
    int64_t shape[2] = {300, 300};
    tg_node *sum = tg_node_new(tg_kernel_find("softmax", TG_F32), 2), *none;
    for (int i = 0; i < 2; i++) describe(&sum->args[i], TG_F32, 2, shape, NULL);
    tg_node *turned = tg_node_new(tg_kernel_find("relu", TG_F32), 2);
    for (int i = 0; i < 2; i++) describe(&turned->args[i], TG_F32, 2, shape, NULL);
    turned->args[1].stride[0] = 1, turned->args[1].stride[1] = 300;
    none = tg_chain_new(2, 1, 1, &turned, (int32_t[]){2}, (int32_t[]){0, 1});
    CHECK(!none, "an input that lies across");
    tg_node *rows = make(&parts[0], TG_F32, 2, 16385);
    none = tg_chain_new(3, 1, 1, &rows, (int32_t[]){3}, (int32_t[]){0, 1, 2});
    CHECK(!none, "rows longer than a block");
    tg_node_free(rows);
    none = tg_chain_new(2, 1, 1, &sum, (int32_t[]){0}, (int32_t[]){0, 1});
    CHECK(!none, "nothing goes along");
    tg_node_free(sum), tg_node_free(turned);
}

void test_chain(void) {
    static const int64_t sizes[][2] = {{1, 1},   {0, 5},    {1, 33},  {3, 340},  {1, 1024}, {1, 1025},
                                       {205, 5}, {3, 4224}, {129, 8}, {70, 300}, {333, 50}, {9, 16384}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int dtype = TG_F32; dtype <= TG_F64; dtype++) run_chain(dtype, sizes[s][0], sizes[s][1]);
    refuse();
}

/* test_runner.c: nodes and tapes give the same bits for any number of threads, callers and runs, and after a fork. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define N 1003

static tg_node *make(const char *name, int n_args, int64_t n) {
    tg_node *node = tg_node_new(tg_kernel_find(name, TG_F32), n_args);
    for (int i = 0; i < n_args; i++) describe(&node->args[i], TG_F32, 1, &n, NULL);
    CHECK(!tg_node_prepare(node), "%s", name);
    return node;
}

static void fill(float *x) {
    for (int i = 0; i < N; i++) x[i] = (float)((i * 7919) % 1009) / 1009;
}

/* What probe_spread gives on one thread, to the bit. */
static void expected_spread(const float *x, float *out) {
    float total = 0;
    for (int c = 0; c < N; c += 5) {
        float part = 0;
        for (int i = c; i < c + 5 && i < N; i++) part += x[i];
        total += part;
    }
    for (int i = 0; i < N; i++) out[i] = x[i] * total;
}

typedef struct {
    tg_node *node;
    const float *x, *expected;
} call;

static void *call_often(void *argument) {
    const call *c = argument;
    float *out = malloc(N * sizeof *out);
    for (int i = 0; i < 300; i++) {
        tg_run2(c->node, (uintptr_t)out, (uintptr_t)c->x);
        CHECK(!memcmp(out, c->expected, N * sizeof *out), "call %d", i);
    }
    free(out);
    return NULL;
}

static void test_node(const float *x, const float *expected) {
    tg_node *node = make("probe_spread", 2, N);
    call c = {node, x, expected};
    for (int threads = 1; threads <= 4; threads++) {
        tg_threads_set(threads);
        CHECK(tg_threads_get() == threads, "%d", tg_threads_get());
        call_often(&c);
        pthread_t callers[3];
        for (int i = 0; i < 3; i++) pthread_create(&callers[i], NULL, call_often, &c);
        call_often(&c);
        for (int i = 0; i < 3; i++) pthread_join(callers[i], NULL);
        usleep(2000); /* long enough for the workers to sleep: the next calls must wake them */
        call_often(&c);
    }
    pthread_t caller; /* the number of threads may change while somebody runs */
    pthread_create(&caller, NULL, call_often, &c);
    for (int i = 0; i < 50; i++) tg_threads_set(1 + i % 3);
    pthread_join(caller, NULL);
    tg_threads_set(3);
    fflush(NULL); /* or the child writes what is in the buffers a second time */
    pid_t child = fork();
    if (!child) {
        call_often(&c);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the forked child: %d", status);
    call_often(&c);
    tg_node_free(node);

    float in[20], out;
    uintptr_t addresses[21] = {(uintptr_t)&out};
    for (int i = 0; i < 20; i++) in[i] = (float)i, addresses[i + 1] = (uintptr_t)&in[i];
    node = make("probe_total", 21, 1);
    tg_run_many(node, addresses);
    CHECK(out == 190, "%f", out);
    tg_node_free(node);
    node = make("probe_total", 4, 1);
    tg_run4(node, (uintptr_t)&out, (uintptr_t)&in[1], (uintptr_t)&in[2], (uintptr_t)&in[3]);
    CHECK(out == 6, "%f", out);
    tg_node_free(node);
    node = make("probe_total", 1, 1);
    tg_run1(node, (uintptr_t)&out);
    CHECK(out == 0, "%f", out);
    tg_node_free(node);
}

/* y = spread(x); z = x + y; w = spread(z): serial and shared nodes in turn, then many serial ones. */
static void test_tape(float *x, const float *expected) {
    enum { NODES = 60 };
    float *y = malloc(N * sizeof *y), *z = malloc(N * sizeof *z), *w = malloc(N * sizeof *w);
    float *first = malloc(N * sizeof *first);
    tg_node *nodes[NODES];
    tg_tape *tape = tg_tape_new(NODES);
    for (int i = 0; i < NODES; i++) {
        nodes[i] = i % 3 == 1 || i > 30 ? make("probe_plus", 3, N) : make("probe_spread", 2, N);
        tg_tape_set(tape, i, nodes[i]);
        int plus = nodes[i]->n_args == 3;
        tg_tape_bind(tape, i, 0, (uintptr_t)(plus ? z : i % 3 ? w : y));
        tg_tape_bind(tape, i, 1, (uintptr_t)(plus || i % 3 == 0 ? x : z));
        if (plus) tg_tape_bind(tape, i, 2, (uintptr_t)y);
    }
    int64_t ns[NODES];
    for (int threads = 1; threads <= 3; threads++) {
        tg_threads_set(threads);
        for (int run = 0; run < 40; run++) {
            memset(w, 0, N * sizeof *w);
            if (run % 3 == 0) tg_tape_run(tape);
            if (run % 3 == 1) tg_tape_run_timed(tape, ns);
            if (run % 3 == 2) CHECK(tg_tape_run_checked(tape, 1) == -1, "all was well");
            CHECK(!memcmp(y, expected, N * sizeof *y), "%d threads, run %d", threads, run);
            if (threads == 1 && run == 0) memcpy(first, w, N * sizeof *w);
            CHECK(!memcmp(w, first, N * sizeof *w), "%d threads, run %d", threads, run);
        }
        for (int i = 0; i < NODES; i++)
            CHECK(ns[i] >= 0 && ns[i] < 1000000000, "node %d: %lld ns", i, (long long)ns[i]);
        CHECK(tg_tape_scratch_bytes(tape) >= (N + 4) / 5 * 4 + 20 * threads, "scratch with %d threads", threads);
    }
    x[N - 1] = NAN;
    CHECK(tg_tape_run_checked(tape, 0) == 0, "a NaN comes up in the first node");
    x[N - 1] = INFINITY;
    for (int i = 0; i < N - 1; i++) x[i] = 1;
    CHECK(tg_tape_run_checked(tape, 1) == 0, "an infinity comes up in the first node");
    CHECK(tg_tape_run_checked(tape, 0) == -1, "infinities are not asked for");
    fill(x);
    tg_tape_bind(tape, 0, 0, (uintptr_t)first); /* y stays as it was, x * sum(x) goes elsewhere */
    tg_tape_run(tape);
    CHECK(!memcmp(first, expected, N * sizeof *first), "bound to another address");

    /* The check follows strides: only what belongs to the array counts. */
    float *inside = calloc(2 * N, sizeof *inside);
    tg_node *odd = make("probe_total", 1, 1);
    tg_tape *one = tg_tape_new(1);
    tg_tape_set(one, 0, odd);
    tg_array *out = &odd->args[0];
    *out = (tg_array){(char *)inside, TG_F32, 2, {3, 4}, {100, 2}};
    inside[1] = inside[8] = inside[300] = NAN;
    CHECK(tg_tape_run_checked(one, 0) == -1, "NaNs between the elements do not count");
    inside[206] = NAN;
    CHECK(tg_tape_run_checked(one, 0) == 0, "the last element counts");
    out->shape[0] = 0;
    CHECK(tg_tape_run_checked(one, 0) == -1, "an empty array is well");

    free(inside);
    tg_tape_free(one);
    tg_node_free(odd);
    tg_tape_free(tape);
    for (int i = 0; i < NODES; i++) tg_node_free(nodes[i]);
    free(y), free(z), free(w), free(first);
}

void test_runner(void) {
    float *x = malloc(N * sizeof *x), *expected = malloc(N * sizeof *expected);
    fill(x);
    expected_spread(x, expected);
    test_node(x, expected);
    test_tape(x, expected);
    free(x), free(expected);
}

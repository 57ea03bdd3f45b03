/* tape.c: runs one node, or a tape of nodes, which is what eager mode and replay are.
 *
 * A tape is flattened to steps, one for each phase of each node. A step with one unit is a plain function call; one
 * with more goes to the team. Nothing is checked and nothing is allocated here once a tape has run.
 * A tape is run by one thread at a time: its nodes write the same memory whoever runs them. A single node may be run
 * from several threads at once, since each call works on its own copy. Read next: threads.c, then kernel.h. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime.h"

typedef struct {
    void (*run)(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own);
    tg_node *node;
    int64_t units;
    int32_t phase, index; /* index of the node in the tape */
} step;

struct tg_tape {
    int n, n_steps, shared; /* shared: some step has more than one unit */
    int flat;               /* the steps are those of the nodes */
    int64_t aux_bytes, own_bytes;
    char *aux; /* what the nodes' aux was last set to */
    step *steps;
    tg_node *nodes[];
};

static inline void run_steps(const step *s, const step *end, int team, char *own) {
    for (; s < end; s++)
        if (team && s->units > 1)
            tg_team_phase(s->node, s->phase, s->units, own);
        else
            s->run(s->node, s->phase, 0, s->units, own);
}

/* ---- one node ---- */

/* Run a copy of the node that is the caller's own, its addresses set. */
static void run_node(tg_node *node) {
    char *own = NULL;
    if (node->aux_bytes | node->own_bytes) {
        tg_scratch *s = tg_scratch_get(node->aux_bytes, node->own_bytes);
        node->aux = s->aux;
        own = s->own;
    }
    int shared = 0;
    for (int p = 0; p < node->phases; p++) shared |= node->units[p] > 1;
    int team = shared && tg_team_enter();
    for (int p = 0; p < node->phases; p++) {
        step s = {node->run, node, node->units[p], p, 0};
        if (s.units > 0) run_steps(&s, &s + 1, team, own);
    }
    if (team) tg_team_leave();
}

#define FEW_ARGS 8

/* A copy costs about 20 ns; a lock in the node would cost half of that, and a second caller would have to wait. */
static inline void run_at(const tg_node *node, const uintptr_t *addresses, int n) {
    tg_node copy = *node;
    tg_array few[FEW_ARGS], *args = few;
    if (node->n_args > FEW_ARGS) args = (tg_array *)tg_scratch_alloc((int64_t)sizeof *args * node->n_args);
    memcpy(args, node->args, sizeof *args * (size_t)node->n_args);
    for (int i = 0; i < n; i++) args[i].data = (char *)addresses[i];
    copy.args = args;
    run_node(&copy);
    if (args != few) free(args);
}

void tg_run1(tg_node *node, uintptr_t out) { run_at(node, (uintptr_t[]){out}, 1); }

void tg_run2(tg_node *node, uintptr_t out, uintptr_t a) { run_at(node, (uintptr_t[]){out, a}, 2); }

void tg_run3(tg_node *node, uintptr_t out, uintptr_t a, uintptr_t b) { run_at(node, (uintptr_t[]){out, a, b}, 3); }

void tg_run4(tg_node *node, uintptr_t out, uintptr_t a, uintptr_t b, uintptr_t c) {
    run_at(node, (uintptr_t[]){out, a, b, c}, 4);
}

void tg_run_many(tg_node *node, const uintptr_t *addresses) { run_at(node, addresses, node->n_args); }

/* ---- tapes ---- */

tg_tape *tg_tape_new(int n) {
    tg_tape *tape = calloc(1, sizeof *tape + (size_t)n * sizeof *tape->nodes);
    if (!tape) return NULL;
    tape->steps = malloc((size_t)n * TG_PHASES * sizeof *tape->steps + 1);
    if (!tape->steps) {
        free(tape);
        return NULL;
    }
    tape->n = n;
    return tape;
}

void tg_tape_free(tg_tape *tape) {
    if (!tape) return;
    free(tape->steps);
    free(tape);
}

void tg_tape_set(tg_tape *tape, int i, tg_node *node) {
    tape->nodes[i] = node;
    tape->flat = 0;
}

void tg_tape_bind(tg_tape *tape, int node, int arg, uintptr_t address) {
    tape->nodes[node]->args[arg].data = (char *)address;
}

static void flatten(tg_tape *tape) {
    if (tape->flat) return;
    tape->n_steps = tape->shared = 0;
    tape->aux_bytes = tape->own_bytes = 0;
    tape->aux = NULL;
    for (int i = 0; i < tape->n; i++) {
        tg_node *node = tape->nodes[i];
        if (!node) continue;
        if (node->aux_bytes > tape->aux_bytes) tape->aux_bytes = node->aux_bytes;
        if (node->own_bytes > tape->own_bytes) tape->own_bytes = node->own_bytes;
        for (int p = 0; p < node->phases; p++) {
            if (node->units[p] < 1) continue;
            tape->steps[tape->n_steps++] = (step){node->run, node, node->units[p], p, i};
            tape->shared |= node->units[p] > 1;
        }
    }
    tape->flat = 1;
}

/* Make the tape ready, and give the nodes the caller's scratch; return the caller's own. */
static char *begin(tg_tape *tape, int *team) {
    flatten(tape);
    char *own = NULL;
    if (tape->aux_bytes | tape->own_bytes) {
        tg_scratch *s = tg_scratch_get(tape->aux_bytes, tape->own_bytes);
        own = s->own;
        if (tape->aux != s->aux) {
            tape->aux = s->aux;
            for (int i = 0; i < tape->n; i++)
                if (tape->nodes[i]) tape->nodes[i]->aux = s->aux;
        }
    }
    *team = tape->shared && tg_team_enter();
    return own;
}

static void end(int team) {
    if (team) tg_team_leave();
}

void tg_tape_run(tg_tape *tape) {
    int team;
    char *own = begin(tape, &team);
    run_steps(tape->steps, tape->steps + tape->n_steps, team, own);
    end(team);
}

void tg_tape_loop(tg_tape *tape, int64_t times, int n, const int32_t *nodes, const int32_t *args,
                  const int64_t *steps) {
    while (times-- > 0) {
        tg_tape_run(tape);
        for (int i = 0; i < n; i++) tape->nodes[nodes[i]]->args[args[i]].data += steps[i];
    }
}

int64_t tg_tape_scratch_bytes(tg_tape *tape) {
    flatten(tape);
    return tape->aux_bytes + tape->own_bytes * (tape->shared ? tg_threads_get() : 1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void tg_tape_run_timed(tg_tape *tape, int64_t *nanoseconds) {
    int team;
    char *own = begin(tape, &team);
    for (int i = 0; i < tape->n; i++) nanoseconds[i] = 0;
    int64_t last = now_ns();
    for (const step *s = tape->steps; s < tape->steps + tape->n_steps; s++) {
        run_steps(s, s + 1, team, own);
        int64_t now = now_ns();
        nanoseconds[s->index] += now - last;
        last = now;
    }
    end(team);
}

/* Does the array hold a NaN (or, if inf, an infinity)? Walks any strides, the last dimension inside. */
static int is_bad(const tg_array *a, int inf) {
    if (a->dtype > TG_F64 || !a->data) return 0;
    int64_t at[TG_DIMS] = {0}, offset = 0, rows = 1;
    int last = a->ndim - 1;
    int64_t n = last < 0 ? 1 : a->shape[last], stride = last < 0 ? 0 : a->stride[last];
    for (int d = 0; d < last; d++) rows *= a->shape[d];
    for (; rows > 0; rows--) {
        for (int64_t i = 0; i < n; i++) {
            int64_t k = offset + i * stride;
            double x = a->dtype == TG_F32 ? ((const float *)a->data)[k] : ((const double *)a->data)[k];
            if (isnan(x) || (inf && isinf(x))) return 1;
        }
        for (int d = last - 1; d >= 0; d--) {
            offset += a->stride[d];
            if (++at[d] < a->shape[d]) break;
            offset -= a->stride[d] * a->shape[d];
            at[d] = 0;
        }
    }
    return 0;
}

int tg_tape_run_checked(tg_tape *tape, int inf) {
    int team, bad = -1;
    char *own = begin(tape, &team);
    const step *all = tape->steps + tape->n_steps;
    for (const step *s = tape->steps; s < all && bad < 0; s++) {
        run_steps(s, s + 1, team, own);
        if (s + 1 == all || s[1].index != s->index)
            for (int64_t i = 0; i == 0 || i < s->node->outputs; i++)
                if (is_bad(&s->node->args[i], inf)) bad = s->index;
    }
    end(team);
    return bad;
}

/* trial.h: a kernel's node with memory of its own for every argument, just as large as the layout needs.
 *
 * trial_run runs the node by the runner on several threads, then by hand: unit after unit, the last one first, in
 * scratch of the very size that was asked for, over other garbage. All bits must be the same, and what is only read
 * must not have changed. So without knowing any formula it finds elements that are not written, written twice or made
 * from garbage, and the sanitizers see every step outside. Read next: test_families.c. */
#ifndef TG_TRIAL_H
#define TG_TRIAL_H

#include "check.h"

enum { MAX_ARGS = 24 };

/* How an array lies in memory: as it is described, its dimensions in the opposite order, two elements apart, backwards,
 * the same in the first dimension or in the last one. */
enum { PLAIN, TRANSPOSED, STEPPED, REVERSED, FIRST_REPEATED, LAST_REPEATED, LAYOUTS };

typedef struct {
    tg_node *node;
    char *block[MAX_ARGS]; /* NULL: an argument in the memory of another one */
    int64_t bytes[MAX_ARGS];
} trial;

trial trial_new(int kernel, int n_args);
void trial_free(trial *t);

/* Describe argument `arg` and fill it with random numbers, small ones and a few extreme integers. */
void trial_array(trial *t, int arg, int dtype, int ndim, const int64_t *shape, int layout);

/* Fill int64 argument `arg` with positions in n places: most of them from -n to n - 1, the others anything. */
void trial_positions(trial *t, int arg, int64_t n);

/* Run and free. Bits of `changed` name the arguments that are read and written; argument 0 may always be written. */
void trial_run(trial *t, unsigned changed);

/* Kernels that ran since the last call of trial_forget, by number. */
int trial_ran(int kernel);
void trial_forget(void);

#endif

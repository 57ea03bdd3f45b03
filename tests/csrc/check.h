/* check.h: what the C tests share: CHECK, and one function a file.
 *
 * The tests exist for the sanitizers (`make sanitize`): values are compared thoroughly in Python. A failed check
 * ends the program. Read next: main.c. */
#ifndef TG_CHECK_H
#define TG_CHECK_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tg.h"

#define CHECK(condition, ...)                                               \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fputc('\n', stderr);                                            \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

void test_registry(void);
void test_memory(void);
void test_runner(void);
void test_chain(void);
void test_kernels(void);
void test_families(void);

/* Describe a contiguous array; data may follow later. */
static inline void describe(tg_array *a, int dtype, int ndim, const int64_t *shape, void *data) {
    int64_t stride = 1;
    a->dtype = dtype;
    a->ndim = ndim;
    a->data = data;
    for (int d = ndim - 1; d >= 0; stride *= shape[d--]) {
        a->shape[d] = shape[d];
        a->stride[d] = stride;
    }
}

#endif

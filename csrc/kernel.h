/* kernel.h: what every kernel file includes, and how a kernel is written.
 *
 * A kernel file is compiled once for each instruction set (TG_ISA) and each type (TG_TYPE) that it serves, with flags
 * from setup.py; inside it `real` is that type. Everything is static but one table, TG_TABLE(family), that
 * names the file's kernels. A kernel is a pair:
 *
 *   static int  add_prepare(tg_node *node);   decide from shapes: phases, units, scratch, plan; 0, or 1 = not covered
 *   static void add_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own);   do units lo..hi-1
 */
#ifndef TG_KERNEL_H
#define TG_KERNEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tg.h"

typedef void (*tg_run_fn)(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own);

typedef struct {
    const char *name;
    int (*prepare)(tg_node *node);
    tg_run_fn run;
} tg_kernel;

#define TG_JOIN3_(a, b, c) a##_##b##_##c
#define TG_JOIN3(a, b, c) TG_JOIN3_(a, b, c)
/* The file's table of kernels, ended by an entry without a name. */
#define TG_TABLE(family) const tg_kernel TG_JOIN3(tg_table_##family, TG_ISA, TG_TYPE)[]

#define TG_JOIN2_(a, b) a##b
#define TG_JOIN2(a, b) TG_JOIN2_(a, b)
#define TG_IS_f32 1
#define TG_IS_f64 2
#define TG_IS_i32 3
#define TG_IS_i64 4
#define TG_IS_u8 5
#define TG_TYPE_IS TG_JOIN2(TG_IS_, TG_TYPE)
#define TG_FLOATING (TG_TYPE_IS <= 2)

#if TG_TYPE_IS == 1
typedef float real;
#elif TG_TYPE_IS == 2
typedef double real;
#elif TG_TYPE_IS == 3
typedef int32_t real;
#elif TG_TYPE_IS == 4
typedef int64_t real;
#else
typedef uint8_t real;
#endif

/* GCC before 12 knows this only under its older name, whose mask is a vector of integers as wide as the elements. */
#if !defined(__clang__) && __GNUC__ < 12
#define __builtin_shufflevector(a, b, ...)                                                          \
    ({                                                                                              \
        typedef __typeof__(__builtin_choose_expr(sizeof(a[0]) == 8, (int64_t)0, (int32_t)0)) wide_; \
        typedef wide_ mask_ __attribute__((vector_size(sizeof(a))));                                \
        __builtin_shuffle(a, b, (mask_){__VA_ARGS__});                                              \
    })
#endif

#define TG_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TG_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif

/* loops.h: walking several arrays of one shape together, in as few loops as their strides allow.
 *
 * collapse drops dimensions of size 1 and joins neighbours that lie in memory as one; fetch reads a stretch of a
 * strided array, in logical order, into contiguous memory. Strides are in bytes here, so that one walk serves all
 * types. Left out on purpose: reordering of dimensions, since outputs are contiguous and set the order. Read next:
 * elementwise.c. */
#ifndef TG_LOOPS_H
#define TG_LOOPS_H

#include "kernel.h"

#define MAX_ARRAYS 3
/* For functions whose loops shall be made anew where an argument is a constant. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

typedef struct {
    int64_t dims; /* at least 1 */
    int64_t shape[TG_DIMS], stride[MAX_ARRAYS][TG_DIMS];
} loops;

static inline int64_t item_size(const tg_array *a) {
    return a->dtype == TG_F64 || a->dtype == TG_I64 ? 8 : a->dtype == TG_F32 || a->dtype == TG_I32 ? 4 : 1;
}

static inline int64_t count_of(const tg_array *a) {
    int64_t n = 1;
    for (int d = 0; d < a->ndim; d++) n *= a->shape[d];
    return n;
}

static inline int is_contiguous(const tg_array *a) {
    int64_t expected = 1;
    if (count_of(a) == 0) return 1;
    for (int d = a->ndim - 1; d >= 0; expected *= a->shape[d--])
        if (a->shape[d] != 1 && a->stride[d] != expected) return 0;
    return 1;
}

/* The loops over `n` arrays, each broadcast to the shape of `whole` (dimensions counted from the last one). */
static inline void collapse(loops *l, const tg_array *whole, const tg_array *arrays, int n) {
    int64_t shape[TG_DIMS], stride[MAX_ARRAYS][TG_DIMS]; /* innermost first */
    int64_t dims = 0;
    for (int back = 1; back <= whole->ndim; back++) {
        int64_t size = whole->shape[whole->ndim - back], joined = dims > 0;
        if (size == 1) continue;
        for (int i = 0; i < n; i++) {
            const tg_array *a = &arrays[i];
            int d = a->ndim - back;
            stride[i][dims] = d < 0 || a->shape[d] == 1 ? 0 : a->stride[d] * item_size(a);
            joined = joined && stride[i][dims] == stride[i][dims - 1] * shape[dims - 1];
        }
        if (joined)
            shape[dims - 1] *= size;
        else
            shape[dims++] = size;
    }
    if (dims == 0) {
        shape[0] = dims = 1;
        for (int i = 0; i < n; i++) stride[i][0] = item_size(&arrays[i]);
    }
    l->dims = dims;
    for (int64_t d = 0; d < dims; d++) {
        l->shape[d] = shape[dims - 1 - d];
        for (int i = 0; i < n; i++) l->stride[i][d] = stride[i][dims - 1 - d];
    }
}

/* Split a position in logical order into an index for each dimension. */
static inline void index_at(int64_t dims, const int64_t *shape, int64_t position, int64_t *at) {
    for (int64_t d = dims - 1; d > 0; d--) {
        at[d] = position % shape[d];
        position /= shape[d];
    }
    at[0] = position;
}

/* The loops over some dimensions of one array. */
typedef struct {
    int64_t dims; /* at least 1 */
    int64_t shape[TG_DIMS], stride[TG_DIMS];
} walk;

/* Walk the n dimensions listed, the first one outside. */
static inline void walk_dims(walk *w, const tg_array *a, const int *listed, int n) {
    w->dims = 0;
    for (int i = 0; i < n; i++) {
        int64_t size = a->shape[listed[i]], stride = a->stride[listed[i]] * item_size(a), last = w->dims - 1;
        if (size == 1) continue;
        if (last >= 0 && w->stride[last] == stride * size)
            w->shape[last] *= size, w->stride[last] = stride;
        else
            w->shape[w->dims] = size, w->stride[w->dims++] = stride;
    }
    if (w->dims == 0) w->dims = w->shape[0] = 1, w->stride[0] = item_size(a);
}

static inline int64_t walk_count(const walk *w) {
    int64_t n = 1;
    for (int64_t d = 0; d < w->dims; d++) n *= w->shape[d];
    return n;
}

/* Bytes from the first element to the one at a position in the walk's order. */
static inline int64_t walk_offset(const walk *w, int64_t position) {
    int64_t offset = 0;
    for (int64_t d = w->dims - 1; d > 0; d--) {
        offset += position % w->shape[d] * w->stride[d];
        position /= w->shape[d];
    }
    return offset + position * w->stride[0];
}

/* n elements from a stride to neighbouring places, or back. */
static inline void move_row(char *to, int64_t to_stride, const char *from, int64_t from_stride, int64_t n,
                            int64_t size) {
    if (to_stride == size && from_stride == size) {
        memcpy(to, from, (size_t)(n * size));
        return;
    }
#define MOVE(type)                                                                                               \
    if (to_stride == size && from_stride == 0) {                                                                 \
        const type same = *(const type *)from;                                                                   \
        for (int64_t i = 0; i < n; i++) ((type *)to)[i] = same;                                                  \
    } else if (to_stride == size && from_stride == -size) {                                                      \
        for (int64_t i = 0; i < n; i++) ((type *)to)[i] = ((const type *)from)[-i];                              \
    } else {                                                                                                     \
        for (int64_t i = 0; i < n; i++) *(type *)(to + i * to_stride) = *(const type *)(from + i * from_stride); \
    }
    if (size == 4) {
        MOVE(int32_t)
    } else if (size == 8) {
        MOVE(int64_t)
    } else {
        MOVE(int8_t)
    }
#undef MOVE
}

/* Go through elements start .. start + n - 1, in logical order, of the strided array at `x`: read them into `packed`,
 * or write from there. */
static inline void stretch(int64_t dims, const int64_t *shape, const int64_t *stride, char *x, int64_t start, int64_t n,
                           int64_t size, char *packed, int reading) {
    int64_t at[TG_DIMS], last = dims - 1;
    if (n <= 0) return; /* a dimension may have size 0 */
    index_at(dims, shape, start, at);
    for (int64_t d = 0; d <= last; d++) x += at[d] * stride[d];
    while (n > 0) {
        int64_t length = TG_MIN(n, shape[last] - at[last]);
        if (reading)
            move_row(packed, size, x, stride[last], length, size);
        else
            move_row(x, stride[last], packed, size, length, size);
        n -= length;
        packed += length * size;
        x -= at[last] * stride[last]; /* the next row starts at its beginning */
        at[last] = 0;
        for (int64_t d = last - 1; d >= 0; d--) {
            x += stride[d];
            if (++at[d] < shape[d]) break;
            x -= shape[d] * stride[d];
            at[d] = 0;
        }
    }
}

static inline void fetch(int64_t dims, const int64_t *shape, const int64_t *stride, const char *from, int64_t start,
                         int64_t n, int64_t size, char *to) {
    stretch(dims, shape, stride, (char *)from, start, n, size, to, 1);
}

static inline void spread(int64_t dims, const int64_t *shape, const int64_t *stride, char *to, int64_t start, int64_t n,
                          int64_t size, const char *from) {
    stretch(dims, shape, stride, to, start, n, size, (char *)from, 0);
}

static inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

#endif

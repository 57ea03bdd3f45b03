/* move.c: elements moved, with or without conversion: copies, what puts tensors together or turns them round.
 *
 * All of them are copies between two layouts of one shape (copy.h); an op only says which layouts. Positions that a
 * tensor holds are pick.c's topic. Left out on purpose: views, which move nothing. Read next: copy.h, pick.c. */
#include "copy.h"

#define BLOCK 1024 /* elements that are converted at a time */

typedef copy_plan plan;

/* copy: out = input. repeat: the same of an input that Python shows with dimensions of stride 0. */
static int copy_prepare(tg_node *node) {
    node->phases = 1;
    node->units[0] = plan_copy((plan *)node->plan, &node->args[0], &node->args[1], 1);
    return 0;
}

static void copy_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    run_copy((const plan *)node->plan, node->args[0].data, node->args[1].data, lo, hi);
}

/* flip: out = np.flip(input, ints). */
static int flip_prepare(tg_node *node) {
    tg_array from = node->args[1];
    plan *p = (plan *)node->plan;
    for (int i = 0; i < node->n_ints; i++) {
        int64_t d = node->ints[i];
        p->from_offset += (from.shape[d] - 1) * from.stride[d] * item_size(&from);
        from.stride[d] = -from.stride[d];
    }
    node->phases = 1;
    node->units[0] = plan_copy((plan *)node->plan, &node->args[0], &from, 1);
    return 0;
}

/* ---- conversion: numbers are cut to integers, wrap where they are too large, and are true where they are not 0 ----
 */

#if TG_FLOATING
#define WHOLE (int32_t)/* bytes come by way of int: what lies outside 0 .. 255 wraps */
#else
#define WHOLE
#endif

/* n neighbours from this type to any. */
static void convert_from(const real *x, void *to, int dtype, int64_t n) {
#define CONVERT(type, value) \
    for (int64_t i = 0; i < n; i++) ((type *)to)[i] = (type)(value)
    switch (dtype) {
        case TG_F32:
            CONVERT(float, x[i]);
            break;
        case TG_F64:
            CONVERT(double, x[i]);
            break;
        case TG_I32:
            CONVERT(int32_t, x[i]);
            break;
        case TG_I64:
            CONVERT(int64_t, x[i]);
            break;
        case TG_U8:
            CONVERT(uint8_t, WHOLE x[i]);
            break;
        default:
            CONVERT(uint8_t, x[i] != 0);
    }
#undef CONVERT
}

/* n neighbours from any type to this one; a bool takes 0 and 1. */
static void convert_to(real *to, const void *x, int dtype, int64_t n, int is_bool) {
#define CONVERT(type, whole)                                               \
    if (is_bool)                                                           \
        for (int64_t i = 0; i < n; i++) to[i] = ((const type *)x)[i] != 0; \
    else                                                                   \
        for (int64_t i = 0; i < n; i++) to[i] = (real)(whole(((const type *)x)[i]))
#if TG_TYPE_IS == 5
#define CUT (int32_t)
#else
#define CUT
#endif
    switch (dtype) {
        case TG_F32:
            CONVERT(float, CUT);
            break;
        case TG_F64:
            CONVERT(double, CUT);
            break;
        case TG_I32:
            CONVERT(int32_t, );
            break;
        case TG_I64:
            CONVERT(int64_t, );
            break;
        default:
            CONVERT(uint8_t, );
    }
#undef CONVERT
}

/* cast: out = input, where out has another type. */
static int cast_prepare(tg_node *node) {
    const tg_array *out = &node->args[0], *in = &node->args[1];
    if (out->dtype == in->dtype || (in->dtype == TG_BOOL && out->dtype == TG_U8)) {
        node->run = copy_run;
        return copy_prepare(node);
    }
    node->phases = 1;
    node->units[0] = plan_copy((plan *)node->plan, out, in, 0);
    node->own_bytes = BLOCK * 8;
    return 0;
}

static void cast_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan *p = (const plan *)node->plan;
    const tg_array *out = &node->args[0], *in = &node->args[1];
    int64_t size = item_size(out), packed = is_contiguous(in);
    for (int64_t at = lo * PIECE, end = TG_MIN(hi * PIECE, p->total), n; at < end; at += n) {
        const real *from = (const real *)own;
        n = packed ? end - at : TG_MIN(BLOCK, end - at);
        if (packed)
            from = (const real *)in->data + at;
        else
            fetch(p->l.dims, p->l.shape, p->l.stride[1], in->data, at, n, sizeof(real), own);
        convert_from(from, out->data + at * size, out->dtype, n);
    }
}

/* copy_: target[...] = source, broadcast and converted: args target, source. */
static void copy_converted_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const plan *p = (const plan *)node->plan;
    const tg_array *to = &node->args[0], *from = &node->args[1];
    int64_t size = item_size(from);
    for (int64_t at = lo * PIECE, end = TG_MIN(hi * PIECE, p->total), n; at < end; at += n) {
        n = TG_MIN(BLOCK, end - at);
        fetch(p->l.dims, p->l.shape, p->l.stride[1], from->data, at, n, size, own);
        real *converted = (real *)(own + BLOCK * 8);
        convert_to(converted, own, from->dtype, n, to->dtype == TG_BOOL);
        spread(p->l.dims, p->l.shape, p->l.stride[0], to->data, at, n, sizeof(real), (const char *)converted);
    }
}

static int copy_into_prepare(tg_node *node) {
    const tg_array *to = &node->args[0], *from = &node->args[1];
    int converts = to->dtype != from->dtype && !(from->dtype == TG_BOOL && to->dtype == TG_U8);
    node->phases = 1;
    node->units[0] = plan_copy((plan *)node->plan, to, from, !converts);
    if (converts) node->run = copy_converted_run, node->own_bytes = 2 * BLOCK * 8;
    return 0;
}

/* ---- place: out = floats[0] but for the input, put at offset ints[0] with strides ints[1..] ---- */

static int place_prepare(tg_node *node) {
    tg_array to = node->args[1];
    plan *p = (plan *)node->plan;
    for (int d = 0; d < to.ndim; d++) to.stride[d] = node->ints[d + 1];
    p->to_offset = node->ints[0] * item_size(&to);
    node->phases = 2;
    node->units[0] = divide_up(count_of(&node->args[0]), PIECE);
    node->units[1] = plan_copy((plan *)node->plan, &to, &node->args[1], 1);
    return 0;
}

static void place_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    real *out = (real *)node->args[0].data;
    if (phase == 1) {
        run_copy((const plan *)node->plan, (char *)out, node->args[1].data, lo, hi);
        return;
    }
    real value = (real)node->floats[0];
    for (int64_t i = lo * PIECE, end = TG_MIN(hi * PIECE, count_of(&node->args[0])); i < end; i++) out[i] = value;
}

/* ---- several copies in one node: a unit is one of them ---- */

/* Copy all of `from` to the layout `to`, both with their data. */
static void copy_all(const tg_array *to, const tg_array *from) {
    const tg_array arrays[2] = {*to, *from};
    loops l;
    collapse(&l, to, arrays, 2);
    copy_range(&l, to->data, from->data, 0, count_of(to), sizeof(real));
}

/* cat: np.concatenate(inputs, ints[0], out=out); stack: the same of inputs that Python shows with a dimension of 1.
 * Units take inputs in turn. */
static int cat_prepare(tg_node *node) {
    node->phases = 1;
    node->units[0] = count_of(&node->args[0]) > 2 * PIECE ? node->n_args - 1 : 1;
    return 0;
}

static void cat_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    int64_t dim = node->ints[0], before = 0;
    int one = count_of(&node->args[0]) <= 2 * PIECE;
    for (int i = 1; i < node->n_args; i++) {
        const tg_array *from = &node->args[i];
        if (one || (i - 1 >= lo && i - 1 < hi)) {
            tg_array to = node->args[0];
            memcpy(to.shape, from->shape, sizeof to.shape);
            to.data += before * to.stride[dim] * (int64_t)sizeof(real);
            copy_all(&to, from);
        }
        before += from->shape[dim];
    }
}

/* roll: np.roll(input, ints, all dimensions): out[(i + ints[d]) % n] = input[i]. A unit is a corner of the input: of
 * each dimension that moves, what stays in front of the end or what comes round. */
static int roll_prepare(tg_node *node) {
    int moving = 0;
    for (int d = 0; d < node->args[1].ndim; d++) moving += node->ints[d] != 0;
    node->phases = 1;
    node->units[0] = count_of(&node->args[0]) ? INT64_C(1) << moving : 0;
    return 0;
}

static void roll_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    for (int64_t corner = lo; corner < hi; corner++) {
        tg_array to = node->args[0], from = node->args[1];
        int64_t bits = corner;
        for (int d = 0; d < from.ndim; d++) {
            int64_t shift = node->ints[d], n = from.shape[d], start = 0;
            if (shift == 0) continue;
            if (bits & 1) start = n - shift;
            to.shape[d] = from.shape[d] = bits & 1 ? shift : n - shift;
            from.data += start * from.stride[d] * (int64_t)sizeof(real);
            to.data += (start ? 0 : shift) * to.stride[d] * (int64_t)sizeof(real);
            bits >>= 1;
        }
        copy_all(&to, &from);
    }
}

/* ---- tril, triu: np.tril(input, ints[0]), for each matrix of the last two dimensions; a unit is some rows ---- */

static int triangle_prepare(tg_node *node) {
    node->units[0] = plan_copy((plan *)node->plan, &node->args[0], &node->args[1], 0);
    plan *p = (plan *)node->plan;
    const tg_array *out = &node->args[0];
    int64_t columns = out->shape[out->ndim - 1];
    p->group = TG_MAX(1, PIECE / TG_MAX(columns, 1));
    node->phases = 1;
    node->units[0] = p->total ? divide_up(p->total / columns, p->group) : 0;
    return 0;
}

static inline void triangle_run(const tg_node *node, int64_t lo, int64_t hi, int lower) {
    const plan *p = (const plan *)node->plan;
    const tg_array *out = &node->args[0];
    int64_t rows = out->shape[out->ndim - 2], columns = out->shape[out->ndim - 1];
    int64_t first = lo * p->group, end = TG_MIN(hi * p->group, p->total / columns);
    copy_range(&p->l, out->data, node->args[1].data, first * columns, end * columns, sizeof(real));
    for (int64_t row = first; row < end; row++) {
        real *x = (real *)out->data + row * columns;
        int64_t edge = row % rows + node->ints[0] + lower; /* the first column above the diagonal, or on it */
        edge = TG_MIN(TG_MAX(edge, 0), columns);
        if (lower)
            memset(x + edge, 0, (size_t)(columns - edge) * sizeof(real));
        else
            memset(x, 0, (size_t)edge * sizeof(real));
    }
}

static void tril_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    triangle_run(node, lo, hi, 1);
}

static void triu_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    triangle_run(node, lo, hi, 0);
}

TG_TABLE(move) = {
    {"copy", copy_prepare, copy_run},     {"cast", cast_prepare, cast_run},       {"repeat", copy_prepare, copy_run},
    {"stack", cat_prepare, cat_run},      {"copy_", copy_into_prepare, copy_run}, {"flip", flip_prepare, copy_run},
    {"place", place_prepare, place_run},  {"cat", cat_prepare, cat_run},          {"roll", roll_prepare, roll_run},
    {"tril", triangle_prepare, tril_run}, {"triu", triangle_prepare, triu_run},   {0},
};

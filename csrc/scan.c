/* scan.c: running sums: np.cumsum(input, ints[0], out=out), in double for floats and int64 for integers.
 *
 * Several lines are summed side by side, since the additions of one wait for each other. Read next: reduce.h. */
#include "reduce.h"

/* A unit is `group` lines along the dimension. */
typedef struct {
    walk lines;
    int64_t n, stride, inner, count, group; /* inner: elements of the output from one of a line to the next */
} scan;

static int cumsum_prepare(tg_node *node) {
    scan *p = (scan *)node->plan;
    const tg_array *out = &node->args[0], *in = &node->args[1];
    int dim = (int)node->ints[0], others[TG_DIMS], n = 0;
    if (!is_contiguous(out) || in->ndim == 0) return 1;
    for (int d = 0; d < in->ndim; d++)
        if (d != dim) others[n++] = d;
    walk_dims(&p->lines, in, others, n);
    p->n = in->shape[dim], p->stride = in->stride[dim] * (int64_t)sizeof(real), p->inner = 1;
    for (int d = dim + 1; d < in->ndim; d++) p->inner *= in->shape[d];
    p->count = p->n ? count_of(in) / p->n : 0;
    p->group = TG_MAX(1, SHARE / TG_MAX(p->n, 1));
    if (p->group > LANES) p->group = p->group / LANES * LANES;
    node->phases = 1;
    node->units[0] = divide_up(p->count, p->group);
    return 0;
}

/* `width` lines at once: additions of one line wait for each other. Strides are in bytes, but `by` in elements. */
static ALWAYS_INLINE void scan_lines(const char *const *x, int64_t stride, lane *const *to, int64_t by, int64_t n,
                                     int64_t width) {
    wide sum[LANES];
    for (int64_t l = 0; l < width; l++) sum[l] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < width; l++) {
            sum[l] += *(const real *)(x[l] + i * stride);
            to[l][i * by] = (lane)sum[l];
        }
}

static void cumsum_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    const scan *p = (const scan *)node->plan;
    lane *out = (lane *)node->args[0].data, *to[LANES]; /* floats keep their type, integers get int64: as lanes do */
    const char *x[LANES];
    for (int64_t line = lo * p->group, end = TG_MIN(hi * p->group, p->count), width; line < end; line += width) {
        width = TG_MIN(p->inner >= 8 ? LANES : 8, end - line);
        for (int64_t l = 0; l < width; l++) {
            x[l] = node->args[1].data + walk_offset(&p->lines, line + l);
            to[l] = out + (line + l) / p->inner * p->inner * p->n + (line + l) % p->inner;
        }
        if (width == 8)
            scan_lines(x, p->stride, to, p->inner, p->n, 8);
        else
            scan_lines(x, p->stride, to, p->inner, p->n, width);
    }
}

TG_TABLE(scan) = {
    {"cumsum", cumsum_prepare, cumsum_run},
    {0},
};

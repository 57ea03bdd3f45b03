/* pick.c: elements read from, written to or added at positions that an int64 tensor holds: gather, index_select,
 * scatter, index_add and their like.
 *
 * All are one loop over a table, an index and rows: for every cell (a place in all dimensions but one) and every j,
 * rows[cell][j] meets table[cell][index[cell][j]]. Where the index is the same for all cells (index_select and its
 * like), whole rows move at once. Additions to one element are made in the order of j, by one thread: no atomics, and
 * the same bits for any number of threads. Positions are made safe, not checked: a negative one counts from the end,
 * then all are clamped. Read next: loops.h, tinygrad_edu/ops/gather.py. */
#include "loops.h"

#define PIECE 16384 /* elements in a unit */

enum { TABLE, INDEX, ROWS }; /* the arrays of `cells` */
typedef enum { READ, WRITE, ADD } action;

/* What prepare leaves for run in node->plan. Strides are in bytes. */
typedef struct {
    loops cells;
    int64_t n, k;                        /* size of the table in the dimension, and of index and rows */
    int64_t table_by, index_by, rows_by; /* strides in the dimension */
    int64_t cell_piece, cell_pieces, j_piece, j_pieces;
    int64_t by_cell; /* go through j inside a cell; else through cells for one j */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* An array seen along all dimensions but dim. */
static tg_array without(const tg_array *a, int64_t dim) {
    tg_array b = *a;
    b.shape[dim] = 1;
    return b;
}

/* Plan phase `phase`: rows and index have one shape in the dimension; elsewhere that of rows is what counts. A 1-d
 * index of more dimensions' rows belongs to dim and is the same for all cells. */
static void plan_pick(tg_node *node, int phase, action what, int64_t dim, const tg_array *table, const tg_array *index,
                      const tg_array *rows, int index_is_flat) {
    plan *p = (plan *)node->plan;
    const int64_t size = sizeof(real);
    tg_array cells[3] = {without(table, dim), without(index, index_is_flat ? 0 : dim), without(rows, dim)};
    memcpy(cells[TABLE].shape, cells[ROWS].shape, sizeof cells[ROWS].shape); /* a table may be larger */
    collapse(&p->cells, &cells[ROWS], cells, 3);
    p->n = table->shape[dim], p->k = rows->shape[dim];
    p->table_by = table->stride[dim] * size, p->rows_by = rows->stride[dim] * size;
    p->index_by = index->stride[index_is_flat ? 0 : dim] * 8;

    int64_t last = p->cells.dims - 1, count = count_of(&cells[ROWS]), total = count * p->k;
    int long_rows = p->cells.stride[ROWS][last] == size && p->cells.shape[last] >= 4;
    p->by_cell = !long_rows && (p->rows_by == size || p->k >= p->cells.shape[last]);
    p->cell_piece = count, p->j_piece = p->k;
    if (total > 2 * PIECE) {
        p->cell_piece = TG_MAX(1, PIECE / TG_MAX(p->k, 1));
        if (!p->by_cell) { /* cut rows only where there are not enough of them, and then at cache lines */
            int64_t length = p->cells.shape[last];
            if (what == READ && length >= 64) p->cell_piece = TG_MAX(p->cell_piece, TG_MIN(length, PIECE));
            p->cell_piece = divide_up(p->cell_piece, 64) * 64;
        }
        if (what == READ && p->cell_piece >= count) p->j_piece = TG_MAX(1, PIECE / TG_MAX(count, 1));
        p->cell_piece = TG_MIN(p->cell_piece, count);
    }
    p->cell_pieces = total ? divide_up(count, p->cell_piece) : 0;
    p->j_pieces = total ? divide_up(p->k, p->j_piece) : 0;
    node->units[phase] = p->cell_pieces * p->j_pieces;
    node->phases = phase + 1;
}

static inline int64_t bounded(int64_t i, int64_t n) {
    if (i < 0) i += n;
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static ALWAYS_INLINE void act(action what, real *table, real *row) {
    if (what == READ)
        *row = *table;
    else if (what == WRITE)
        *table = *row;
    else
        *table += *row;
}

/* n cells side by side for one j. */
static ALWAYS_INLINE void pick_row(action what, const plan *p, char *table, const char *index, char *rows, int64_t n) {
    const int64_t size = sizeof(real), last = p->cells.dims - 1;
    const int64_t ts = p->cells.stride[TABLE][last], is = p->cells.stride[INDEX][last],
                  rs = p->cells.stride[ROWS][last];
    if (is != 0 && n > 1) {
        for (int64_t i = 0; i < n; i++) {
            int64_t at = bounded(*(const int64_t *)(index + i * is), p->n);
            act(what, (real *)(table + i * ts + at * p->table_by), (real *)(rows + i * rs));
        }
        return;
    }
    table += bounded(*(const int64_t *)index, p->n) * p->table_by;
    if (ts == size && rs == size) {
        real *t = (real *)table, *r = (real *)rows;
        if (what == READ)
            memcpy(r, t, (size_t)(n * size));
        else if (what == WRITE)
            memcpy(t, r, (size_t)(n * size));
        else
            for (int64_t i = 0; i < n; i++) t[i] += r[i];
    } else {
        for (int64_t i = 0; i < n; i++) act(what, (real *)(table + i * ts), (real *)(rows + i * rs));
    }
}

static ALWAYS_INLINE void pick(action what, const tg_node *node, int64_t lo, int64_t hi, char *table, const char *index,
                               char *rows) {
    const plan *p = (const plan *)node->plan;
    const loops *l = &p->cells;
    const int64_t last = l->dims - 1;
    for (int64_t u = lo; u < hi; u++) {
        int64_t cell = u % p->cell_pieces * p->cell_piece, j0 = u / p->cell_pieces * p->j_piece;
        int64_t end = cell + p->cell_piece, j1 = TG_MIN(j0 + p->j_piece, p->k), count = 1;
        for (int64_t d = 0; d <= last; d++) count *= l->shape[d];
        end = TG_MIN(end, count);
        for (int64_t n; cell < end; cell += n) {
            int64_t at[TG_DIMS];
            index_at(l->dims, l->shape, cell, at);
            char *t = table, *r = rows;
            const char *i = index;
            for (int64_t d = 0; d <= last; d++)
                t += at[d] * l->stride[TABLE][d], i += at[d] * l->stride[INDEX][d], r += at[d] * l->stride[ROWS][d];
            n = TG_MIN(l->shape[last] - at[last], end - cell);
            if (!p->by_cell) {
                for (int64_t j = j0; j < j1; j++) pick_row(what, p, t, i + j * p->index_by, r + j * p->rows_by, n);
                continue;
            }
            for (int64_t c = 0; c < n; c++) {
                for (int64_t j = j0; j < j1; j++) {
                    int64_t position = bounded(*(const int64_t *)(i + j * p->index_by), p->n);
                    act(what, (real *)(t + position * p->table_by), (real *)(r + j * p->rows_by));
                }
                t += l->stride[TABLE][last], i += l->stride[INDEX][last], r += l->stride[ROWS][last];
            }
        }
    }
}

/* ---- reading: gather(input, index; dim), index_select(input, index; dim), a dim of -1 if strides forbid it;
 * select_each: gather, Python showing its index with a dimension of 1 ---- */

static int gather_prepare(tg_node *node) {
    plan_pick(node, 0, READ, node->ints[0], &node->args[1], &node->args[2], &node->args[0], 0);
    return 0;
}

static int index_select_prepare(tg_node *node) {
    if (node->ints[0] < 0) return 1;
    plan_pick(node, 0, READ, node->ints[0], &node->args[1], &node->args[2], &node->args[0], 1);
    return 0;
}

static void gather_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    pick(READ, node, lo, hi, node->args[1].data, node->args[2].data, node->args[0].data);
}

/* ---- their gradients: out = 0, then out[index] += g: gather_grad(g, index; dim, shape), index_add_zeros(g, index;
 * dim) ---- */

static int gather_grad_prepare(tg_node *node) {
    node->units[0] = divide_up(count_of(&node->args[0]), PIECE);
    plan_pick(node, 1, ADD, node->ints[0], &node->args[0], &node->args[2], &node->args[1], 0);
    return 0;
}

static int index_add_zeros_prepare(tg_node *node) {
    if (node->ints[0] < 0) return 1;
    node->units[0] = divide_up(count_of(&node->args[0]), PIECE);
    plan_pick(node, 1, ADD, node->ints[0], &node->args[0], &node->args[2], &node->args[1], 1);
    return 0;
}

static void add_zeros_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    const tg_array *out = &node->args[0];
    if (phase == 1) {
        pick(ADD, node, lo, hi, out->data, node->args[2].data, node->args[1].data);
        return;
    }
    int64_t end = TG_MIN(hi * PIECE, count_of(out));
    memset(out->data + lo * PIECE * (int64_t)sizeof(real), 0, (size_t)(end - lo * PIECE) * sizeof(real));
}

/* ---- writing into a copy: scatter(input, index, source; dim), index_copy(input, index, source; dim) ---- */

static int scatter_prepare(tg_node *node) {
    node->units[0] = divide_up(count_of(&node->args[0]), PIECE);
    plan_pick(node, 1, WRITE, node->ints[0], &node->args[0], &node->args[2], &node->args[3], 0);
    return 0;
}

static int index_copy_prepare(tg_node *node) {
    node->units[0] = divide_up(count_of(&node->args[0]), PIECE);
    plan_pick(node, 1, WRITE, node->ints[0], &node->args[0], &node->args[2], &node->args[3], 1);
    return 0;
}

static void write_copy_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    const tg_array *out = &node->args[0], *in = &node->args[1];
    if (phase == 1) {
        pick(WRITE, node, lo, hi, out->data, node->args[2].data, node->args[3].data);
        return;
    }
    int64_t first = lo * PIECE, end = TG_MIN(hi * PIECE, count_of(out));
    int all[TG_DIMS];
    for (int d = 0; d < in->ndim; d++) all[d] = d;
    walk w;
    walk_dims(&w, in, all, in->ndim);
    fetch(w.dims, w.shape, w.stride, in->data, first, end - first, sizeof(real),
          out->data + first * (int64_t)sizeof(real));
}

/* ---- writing in place: index_copy_(target, index, source; dim), index_add_(target, index, source; dim) ---- */

static int index_copy_into_prepare(tg_node *node) {
    plan_pick(node, 0, WRITE, node->ints[0], &node->args[0], &node->args[1], &node->args[2], 1);
    return 0;
}

static int index_add_into_prepare(tg_node *node) {
    plan_pick(node, 0, ADD, node->ints[0], &node->args[0], &node->args[1], &node->args[2], 1);
    return 0;
}

static void index_copy_into_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    pick(WRITE, node, lo, hi, node->args[0].data, node->args[1].data, node->args[2].data);
}

static void index_add_into_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    pick(ADD, node, lo, hi, node->args[0].data, node->args[1].data, node->args[2].data);
}

/* ---- positions in several dimensions as one: out = (i0 * n1 + i1) * n2 + i2 ..., flat_index(*indices; sizes), the
 * indices of one shape ---- */

#if TG_TYPE_IS == TG_IS_i64
static int flat_index_prepare(tg_node *node) {
    node->phases = 1;
    node->units[0] = divide_up(count_of(&node->args[0]), PIECE);
    node->own_bytes = PIECE * (int64_t)sizeof(int64_t);
    return 0;
}

static void flat_index_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    int64_t end = TG_MIN(hi * PIECE, count_of(&node->args[0])), *i = (int64_t *)own;
    for (int64_t first = lo * PIECE, k; first < end; first += k) {
        int64_t *out = (int64_t *)node->args[0].data + first;
        k = TG_MIN(PIECE, end - first);
        for (int a = 1; a < node->n_args; a++) {
            const tg_array *index = &node->args[a];
            int64_t n = node->ints[a - 1];
            int all[TG_DIMS] = {0, 1, 2, 3, 4, 5, 6, 7};
            walk w;
            walk_dims(&w, index, all, index->ndim);
            fetch(w.dims, w.shape, w.stride, index->data, first, k, sizeof(int64_t), own);
            for (int64_t j = 0; j < k; j++) out[j] = (a == 1 ? 0 : out[j] * n) + bounded(i[j], n);
        }
    }
}
#endif

TG_TABLE(pick) = {
#if TG_TYPE_IS == TG_IS_i64
    {"flat_index", flat_index_prepare, flat_index_run},
#endif
    {"gather", gather_prepare, gather_run},
    {"select_each", gather_prepare, gather_run},
    {"index_select", index_select_prepare, gather_run},
    {"gather_grad", gather_grad_prepare, add_zeros_run},
    {"index_add_zeros", index_add_zeros_prepare, add_zeros_run},
    {"scatter", scatter_prepare, write_copy_run},
    {"index_copy", index_copy_prepare, write_copy_run},
    {"index_copy_", index_copy_into_prepare, index_copy_into_run},
    {"index_add_", index_add_into_prepare, index_add_into_run},
    {0},
};

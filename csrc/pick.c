/* pick.c: elements read from, written to or added at positions that int64 tensors hold: gather, scatter and their like,
 * x[i], x[i, j] and what is made of it, one_hot.
 *
 * All are one loop over a table, an index and rows: for every cell (a place in all dimensions but those looked into)
 * and every j, rows[cell][j] meets table[cell][index[cell][j]]. Where the index is the same for all cells (x[i] and its
 * like), whole rows move at once; several indices first become one, in scratch. Additions to one element are made in
 * the order of j, by one thread: no atomics, and the same bits for any number of threads. Positions are made safe, not
 * checked: a negative one counts from the end, then all are clamped. Read next: loops.h, tinygrad_edu/ops/rows.py. */
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
    int64_t flat;    /* whether the first phase makes an index, in aux, of several */
} plan;
_Static_assert(sizeof(plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* Cut the work of a phase: cells and all else of the plan are known. */
static void cut(tg_node *node, int phase, action what) {
    plan *p = (plan *)node->plan;
    int64_t last = p->cells.dims - 1, count = 1;
    for (int64_t d = 0; d <= last; d++) count *= p->cells.shape[d];
    int64_t total = count * p->k, size = sizeof(real);
    int64_t table_stride = p->cells.stride[TABLE][last], stride = p->cells.stride[ROWS][last];
    int long_rows = (stride == size || (stride == 0 && table_stride == size)) && p->cells.shape[last] >= 4;
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
    } else if (what != READ && ts == size && rs == 0) { /* one value for all, as a sum's gradient is */
        real *t = (real *)table, same = *(real *)rows;
        for (int64_t i = 0; i < n; i++) t[i] = what == ADD ? t[i] + same : same;
    } else {
        for (int64_t i = 0; i < n; i++) act(what, (real *)(table + i * ts), (real *)(rows + i * rs));
    }
}

/* j from j0 to j1 - 1 in one cell. */
static ALWAYS_INLINE void pick_line(action what, const plan *p, char *table, const char *index, char *rows, int64_t j0,
                                    int64_t j1) {
    const int64_t n = p->n, ts = p->table_by, is = p->index_by, rs = p->rows_by;
    if (ts == sizeof(real) && is == 8 && rs == sizeof(real)) { /* strides known to compilers: reading becomes vectors */
        const int64_t *i = (const int64_t *)index;
        for (int64_t j = j0; j < j1; j++) act(what, (real *)table + bounded(i[j], n), (real *)rows + j);
        return;
    }
    for (int64_t j = j0; j < j1; j++)
        act(what, (real *)(table + bounded(*(const int64_t *)(index + j * is), n) * ts), (real *)(rows + j * rs));
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
                pick_line(what, p, t, i, r, j0, j1);
                t += l->stride[TABLE][last], i += l->stride[INDEX][last], r += l->stride[ROWS][last];
            }
        }
    }
}

/* ---- out = input, what most of those that write begin with ---- */

static int64_t copy_units(const tg_node *node) { return divide_up(count_of(&node->args[0]), PIECE); }

static void copy_input(const tg_node *node, int64_t lo, int64_t hi) {
    const tg_array *out = &node->args[0], *in = &node->args[1];
    int64_t first = lo * PIECE, end = TG_MIN(hi * PIECE, count_of(out));
    int all[TG_DIMS];
    for (int d = 0; d < in->ndim; d++) all[d] = d;
    walk w;
    walk_dims(&w, in, all, in->ndim);
    fetch(w.dims, w.shape, w.stride, in->data, first, end - first, sizeof(real),
          out->data + first * (int64_t)sizeof(real));
}

/* ---- element by element, the index in the shape of rows: gather(input, index; dim), select_each, which is gather,
 * Python showing its index with a dimension of 1, scatter(input, index, source; dim), scatter_add ---- */

/* An array seen along all dimensions but dim. */
static tg_array without(const tg_array *a, int64_t dim) {
    tg_array b = *a;
    b.shape[dim] = 1;
    return b;
}

static int plan_gather(tg_node *node, int phase, action what, const tg_array *table, const tg_array *index,
                       const tg_array *rows) {
    if (what == ADD && table->dtype == TG_BOOL) return 1; /* true and true is true, not 2 */
    plan *p = (plan *)node->plan;
    int64_t dim = node->ints[0], size = sizeof(real);
    tg_array cells[3] = {without(table, dim), without(index, dim), without(rows, dim)};
    memcpy(cells[TABLE].shape, cells[ROWS].shape, sizeof cells[ROWS].shape); /* a table may be larger */
    collapse(&p->cells, &cells[ROWS], cells, 3);
    p->n = table->shape[dim], p->k = rows->shape[dim];
    p->table_by = table->stride[dim] * size, p->rows_by = rows->stride[dim] * size,
    p->index_by = index->stride[dim] * 8;
    cut(node, phase, what);
    return 0;
}

static int gather_prepare(tg_node *node) {
    return plan_gather(node, 0, READ, &node->args[1], &node->args[2], &node->args[0]);
}

static void gather_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase, (void)own;
    pick(READ, node, lo, hi, node->args[1].data, node->args[2].data, node->args[0].data);
}

static int plan_scatter(tg_node *node, action what) {
    node->units[0] = copy_units(node);
    return plan_gather(node, 1, what, &node->args[0], &node->args[2], &node->args[3]);
}

static int scatter_prepare(tg_node *node) { return plan_scatter(node, WRITE); }
static int scatter_add_prepare(tg_node *node) { return plan_scatter(node, ADD); }

static ALWAYS_INLINE void run_scatter(action what, const tg_node *node, int phase, int64_t lo, int64_t hi) {
    if (phase == 0)
        copy_input(node, lo, hi);
    else
        pick(what, node, lo, hi, node->args[0].data, node->args[2].data, node->args[3].data);
}

static void scatter_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    run_scatter(WRITE, node, phase, lo, hi);
}

static void scatter_add_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)own;
    run_scatter(ADD, node, phase, lo, hi);
}

/* ---- x[:, i, j]: index(input, *indices; dims), index_put(input, source, *indices; dims), index_add, index_put_,
 * index_add_. The indices have one shape, which in rows stands for the dims: where these were if they are neighbours,
 * else in front. One index into several dims holds positions in them seen as one. ---- */

/* Plan the pick, after `before` other phases and one to make an index of several; 1 where strides forbid it. The
 * indices are the arguments from `first` on. */
static int plan_index(tg_node *node, int before, action what, const tg_array *table, const tg_array *rows, int first) {
    if (what == ADD && table->dtype == TG_BOOL) return 1;
    plan *p = (plan *)node->plan;
    const tg_array *index = &node->args[first];
    const int64_t *dims = node->ints, size = sizeof(real);
    int n = node->n_ints, wide = index->ndim, at = (int)dims[0];
    for (int i = 1; i < n; i++)
        if (dims[i] != dims[i - 1] + 1) at = 0;

    tg_array cells[3] = {*table, {.dtype = TG_I64}, *rows};
    int c = 0;
    for (int d = 0, i = 0; d < table->ndim; d++) { /* the dimensions that no index looks into */
        if (i < n && d == dims[i]) {
            i++;
            continue;
        }
        int from = c < at ? c : c + wide; /* in rows */
        cells[TABLE].stride[c] = table->stride[d], cells[ROWS].stride[c] = rows->stride[from];
        cells[TABLE].shape[c] = cells[ROWS].shape[c] = table->shape[d];
        cells[INDEX].shape[c++] = 1;
    }
    cells[TABLE].ndim = cells[INDEX].ndim = cells[ROWS].ndim = c;
    collapse(&p->cells, &cells[ROWS], cells, 3);

    int listed[TG_DIMS];
    for (int d = 0; d < wide; d++) listed[d] = at + d;
    walk in_rows, in_index, in_table;
    walk_dims(&in_rows, rows, listed, wide);
    for (int d = 0; d < wide; d++) listed[d] = d;
    walk_dims(&in_index, index, listed, wide);
    for (int i = 0; i < n; i++) listed[i] = (int)dims[i];
    walk_dims(&in_table, table, listed, n);
    if (in_rows.dims > 1) return 1;
    p->k = walk_count(&in_rows), p->rows_by = in_rows.stride[0];
    p->flat = node->n_args - first > 1 || in_index.dims > 1 || in_table.dims > 1;
    for (int64_t i = 0; i < in_table.dims; i++)
        if (p->flat && in_table.stride[i] < 0) return 1; /* a position less than 0 would count from the end */
    p->n = p->flat ? INT64_MAX : walk_count(&in_table);
    p->table_by = p->flat ? size : in_table.stride[0], p->index_by = p->flat ? 8 : in_index.stride[0];
    if (p->flat) {
        node->units[before] = divide_up(p->k, PIECE);
        node->aux_bytes = p->k * 8, node->own_bytes = PIECE * 8;
    }
    cut(node, before + (int)p->flat, what);
    return 0;
}

/* Make positions in several dimensions, in elements from the table's first, in aux. */
static void flatten(const tg_node *node, const tg_array *table, int first, int64_t lo, int64_t hi, char *own) {
    const plan *p = (const plan *)node->plan;
    int64_t *i = (int64_t *)own, whole = 1;
    for (int d = 0; d < node->n_ints; d++) whole *= table->shape[node->ints[d]];
    for (int64_t from = lo * PIECE, end = TG_MIN(hi * PIECE, p->k), k; from < end; from += k) {
        int64_t *out = (int64_t *)node->aux + from;
        k = TG_MIN(PIECE, end - from);
        memset(out, 0, (size_t)k * 8);
        for (int d = node->n_ints - 1; d >= 0; d--) {
            const int64_t n = table->shape[node->ints[d]], stride = table->stride[node->ints[d]];
            const int one = node->n_args - first == 1; /* whose remainders are the positions */
            if (!one || d == node->n_ints - 1) {
                const tg_array *index = &node->args[one ? first : first + d];
                int all[TG_DIMS] = {0, 1, 2, 3, 4, 5, 6, 7};
                walk w;
                walk_dims(&w, index, all, index->ndim);
                fetch(w.dims, w.shape, w.stride, index->data, from, k, 8, own);
                for (int64_t j = 0; j < k; j++) i[j] = bounded(i[j], one ? whole : n);
            }
            for (int64_t j = 0; j < k; j++) out[j] += (one ? i[j] % n : i[j]) * stride;
            if (one)
                for (int64_t j = 0; j < k; j++) i[j] /= n;
        }
    }
}

static ALWAYS_INLINE void run_index(action what, const tg_node *node, int phase, int64_t lo, int64_t hi, char *own,
                                    const tg_array *table, const tg_array *rows, int first) {
    const plan *p = (const plan *)node->plan;
    if (p->flat && phase == 0)
        flatten(node, table, first, lo, hi, own);
    else
        pick(what, node, lo, hi, table->data, p->flat ? node->aux : node->args[first].data, rows->data);
}

static int index_prepare(tg_node *node) { return plan_index(node, 0, READ, &node->args[1], &node->args[0], 2); }

static void index_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    run_index(READ, node, phase, lo, hi, own, &node->args[1], &node->args[0], 2);
}

static int plan_index_copy(tg_node *node, action what) {
    node->units[0] = copy_units(node);
    return plan_index(node, 1, what, &node->args[0], &node->args[2], 3);
}

static int index_put_prepare(tg_node *node) { return plan_index_copy(node, WRITE); }
static int index_add_prepare(tg_node *node) { return plan_index_copy(node, ADD); }

static ALWAYS_INLINE void run_index_copy(action what, const tg_node *node, int phase, int64_t lo, int64_t hi,
                                         char *own) {
    if (phase == 0)
        copy_input(node, lo, hi);
    else
        run_index(what, node, phase - 1, lo, hi, own, &node->args[0], &node->args[2], 3);
}

static void index_put_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    run_index_copy(WRITE, node, phase, lo, hi, own);
}

static void index_add_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    run_index_copy(ADD, node, phase, lo, hi, own);
}

static int index_put_into_prepare(tg_node *node) {
    return plan_index(node, 0, WRITE, &node->args[0], &node->args[1], 2);
}

static int index_add_into_prepare(tg_node *node) { return plan_index(node, 0, ADD, &node->args[0], &node->args[1], 2); }

static void index_put_into_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    run_index(WRITE, node, phase, lo, hi, own, &node->args[0], &node->args[1], 2);
}

static void index_add_into_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    run_index(ADD, node, phase, lo, hi, own, &node->args[0], &node->args[1], 2);
}

/* ---- one_hot(input; classes): 1 at the class in the last dimension, where there is one, else 0 ---- */

#if TG_TYPE_IS == TG_IS_i64
static int one_hot_prepare(tg_node *node) {
    int64_t group = TG_MAX(1, PIECE / TG_MAX(node->ints[0], 1));
    node->plan[0] = group;
    node->phases = 1;
    node->units[0] = divide_up(count_of(&node->args[1]), group);
    node->own_bytes = group * 8;
    return 0;
}

static void one_hot_run(const tg_node *node, int phase, int64_t lo, int64_t hi, char *own) {
    (void)phase;
    const tg_array *in = &node->args[1];
    const int64_t classes = node->ints[0], group = node->plan[0], count = count_of(in), *x = (const int64_t *)own;
    int all[TG_DIMS] = {0, 1, 2, 3, 4, 5, 6, 7};
    walk w;
    walk_dims(&w, in, all, in->ndim);
    for (int64_t first = lo * group, n; first < TG_MIN(hi * group, count); first += n) {
        int64_t *out = (int64_t *)node->args[0].data + first * classes;
        n = TG_MIN(group, count - first);
        fetch(w.dims, w.shape, w.stride, in->data, first, n, 8, own);
        memset(out, 0, (size_t)(n * classes) * 8);
        for (int64_t i = 0; i < n; i++)
            if (x[i] >= 0 && x[i] < classes) out[i * classes + x[i]] = 1;
    }
}
#endif

TG_TABLE(pick) = {
#if TG_TYPE_IS == TG_IS_i64
    {"one_hot", one_hot_prepare, one_hot_run},
#endif
    {"gather", gather_prepare, gather_run},
    {"select_each", gather_prepare, gather_run},
    {"scatter", scatter_prepare, scatter_run},
    {"scatter_add", scatter_add_prepare, scatter_add_run},
    {"index", index_prepare, index_run},
    {"index_put", index_put_prepare, index_put_run},
    {"index_add", index_add_prepare, index_add_run},
    {"index_put_", index_put_into_prepare, index_put_into_run},
    {"index_add_", index_add_into_prepare, index_add_into_run},
    {0},
};

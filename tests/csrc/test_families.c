/* test_families.c: every kernel that there is, on shapes and strides of all kinds, positions out of range included.
 *
 * What a trial checks: trial.h. A kernel without a case here, or one that refuses all that its case offers, fails.
 * Values are Python's topic, but for products and functions (test_kernels.c). */
#include "trial.h"

typedef struct {
    int ndim;
    int64_t shape[TG_DIMS];
} dims;

static const dims shapes[] = {
    {0, {0}},
    {1, {1}},
    {1, {7}},
    {1, {33}},
    {1, {0}},
    {2, {3, 5}},
    {2, {5, 17}},
    {2, {33, 4}},
    {2, {16, 16}},
    {2, {1, 31}},
    {2, {31, 1}},
    {2, {4, 67}},
    {2, {3, 80}},
    {2, {67, 4}},
    {3, {2, 3, 5}},
    {3, {4, 1, 17}},
    {3, {3, 0, 2}},
    {4, {2, 3, 2, 5}},
    {6, {2, 1, 3, 2, 1, 3}},
    /* from here on large enough to be shared by threads */
    {2, {151, 301}},
    {2, {3, 40001}},
    {2, {40001, 3}},
    {3, {17, 33, 70}},
};
enum { SMALL = 19, N_SHAPES = sizeof shapes / sizeof *shapes };

/* What one thread does alone need not be watched by the thread sanitizer, which is slow. */
#ifdef __SANITIZE_THREAD__
enum { SHARED_ONLY = 1 };
#else
enum { SHARED_ONLY = 0 };
#endif

/* Of a large shape one layout serves, of small ones every other: each kernel gets others, for each type. */
static int worth_trying(int s, int layout, int kernel) {
    if (SHARED_ONLY && s < SMALL) return 0;
    return s < SMALL ? (s + layout + kernel) % 2 == 0 : layout == (kernel + s) % LAYOUTS;
}

#define EACH_LAYOUT(s, layout)                           \
    for (int s = 0; s < N_SHAPES; s++)                   \
        for (int layout = 0; layout < LAYOUTS; layout++) \
            if (worth_trying(s, layout, kernel))

/* ---- elementwise: `types` are those of output and inputs: x the kernel's, b bool ---- */

static void elementwise(int kernel, int x, const char *types) {
    int n = (int)strlen(types);
    EACH_LAYOUT(s, layout) {
        for (int in_place = 0; in_place <= (types[1] == types[0]); in_place++) {
            trial t = trial_new(kernel, n);
            for (int i = 0; i < n; i++)
                trial_array(&t, i, types[i] == 'b' ? TG_BOOL : x, shapes[s].ndim, shapes[s].shape,
                            i && !(in_place && i == 1) ? (layout + (i - 1) * s) % LAYOUTS : PLAIN);
            t.node->floats[0] = -0.5, t.node->floats[1] = 1.5;
            t.node->ints[0] = s & 1, t.node->n_ints = 1;
            if (in_place) {
                free(t.block[0]);
                t.block[0] = NULL, t.bytes[0] = 0;
                t.node->args[0].data = t.node->args[1].data;
            }
            trial_run(&t, in_place ? 2 : 0);
        }
    }
}

/* ---- reduce: `types`: the output's: x, b bool, i int64, w x for floats and int64 for integers ---- */

static int output_type(char type, int x) {
    return type == 'b' ? TG_BOOL : type == 'i' || (type == 'w' && x > TG_F64) ? TG_I64 : x;
}

static void reduction(int kernel, int x, const char *types) {
    const double powers[7] = {1, 2, 0, 1.5, -1.5, INFINITY, -INFINITY};
    EACH_LAYOUT(s, layout)
    for (int reduced = 0; reduced < 1 << shapes[s].ndim; reduced++) {
        dims out = shapes[s];
        for (int d = 0; d < out.ndim; d++)
            if (reduced >> d & 1) out.shape[d] = 1;
        trial t = trial_new(kernel, 2);
        trial_array(&t, 0, output_type(*types, x), out.ndim, out.shape, PLAIN);
        trial_array(&t, 1, x, out.ndim, shapes[s].shape, layout);
        t.node->floats[0] = powers[(s + reduced) % 7]; /* norm's, or what var and std subtract from the number */
        trial_run(&t, 0);
    }
}

/* One input, or more of its shape, and ints[0] a dimension: cumsum, softmax and their like. */
static void along(int kernel, int x, const char *types) {
    EACH_LAYOUT(s, layout)
    for (int dim = 0; dim < shapes[s].ndim; dim++) {
        trial t = trial_new(kernel, (int)strlen(types));
        for (int i = 0; i < t.node->n_args; i++)
            trial_array(&t, i, output_type(types[i], x), shapes[s].ndim, shapes[s].shape,
                        i ? (layout + (i - 1) * s) % LAYOUTS : PLAIN);
        t.node->ints[0] = dim, t.node->n_ints = 1;
        trial_run(&t, 0);
    }
}

/* The same where ints[0] says how many of the last dimensions, floats[0] is eps; 1 stands for an array of these, which
 * may be missing with all that follow, 2 for two of them, m for two numbers for each of the others, M where these are
 * written. */
static void over_last(int kernel, int x, const char *types) {
    EACH_LAYOUT(s, layout)
    for (int n = 1; n <= shapes[s].ndim; n++) {
        const char *optional = layout & 1 ? strchr(types, '1') : NULL, *moments = strchr(types, 'M');
        const int64_t *all = shapes[s].shape, first = shapes[s].ndim - n;
        int64_t pairs[] = {2, 1};
        for (int d = 0; d < first; d++) pairs[1] *= all[d];
        trial t = trial_new(kernel, (int)(optional ? optional - types : (int64_t)strlen(types)));
        for (int i = 0; i < t.node->n_args; i++) {
            const int how = i ? (layout + (i - 1) * s) % LAYOUTS : PLAIN;
            int64_t two[TG_DIMS] = {2};
            memcpy(two + 1, all + first, (size_t)n * sizeof *two);
            if (types[i] == 'x')
                trial_array(&t, i, x, shapes[s].ndim, all, how);
            else if (types[i] == '1')
                trial_array(&t, i, x, n, all + first, how);
            else
                trial_array(&t, i, x, types[i] == '2' ? n + 1 : 2, types[i] == '2' ? two : pairs, PLAIN);
        }
        t.node->ints[0] = n, t.node->n_ints = 1, t.node->floats[0] = 1e-5;
        trial_run(&t, moments ? 1u << (moments - types) : 0);
    }
}

/* ---- move ---- */

static void copy(int kernel, int x, const char *types) {
    (void)types;
    EACH_LAYOUT(s, layout) {
        trial t = trial_new(kernel, 2);
        trial_array(&t, 0, x, shapes[s].ndim, shapes[s].shape, PLAIN);
        trial_array(&t, 1, x, shapes[s].ndim, shapes[s].shape, layout);
        trial_run(&t, 0);
    }
}

static void cast(int kernel, int x, const char *types) {
    (void)types;
    EACH_LAYOUT(s, layout)
    for (int to = TG_F32; to <= TG_BOOL; to++) {
        trial t = trial_new(kernel, 2);
        trial_array(&t, 0, to, shapes[s].ndim, shapes[s].shape, PLAIN);
        trial_array(&t, 1, x, shapes[s].ndim, shapes[s].shape, layout);
        trial_run(&t, 0);
    }
}

/* A target of any strides, a source of any strides and type. */
static void copy_into(int kernel, int x, const char *types) {
    (void)types;
    EACH_LAYOUT(s, layout)
    for (int from = TG_F32; from <= TG_BOOL; from++) {
        trial t = trial_new(kernel, 2);
        trial_array(&t, 0, x, shapes[s].ndim, shapes[s].shape, (s + from) % FIRST_REPEATED);
        trial_array(&t, 1, from, shapes[s].ndim, shapes[s].shape, layout);
        trial_run(&t, 1);
    }
}

static void flip(int kernel, int x, const char *types) {
    (void)types;
    EACH_LAYOUT(s, layout)
    for (int flipped = 0; flipped < 1 << shapes[s].ndim; flipped += 1 + (s >= SMALL)) {
        trial t = trial_new(kernel, 2);
        trial_array(&t, 0, x, shapes[s].ndim, shapes[s].shape, PLAIN);
        trial_array(&t, 1, x, shapes[s].ndim, shapes[s].shape, layout);
        for (int d = 0; d < shapes[s].ndim; d++)
            if (flipped >> d & 1) t.node->ints[t.node->n_ints++] = d;
        trial_run(&t, 0);
    }
}

static void roll(int kernel, int x, const char *types) {
    (void)types;
    EACH_LAYOUT(s, layout)
    for (int moved = 0; moved < 1 << shapes[s].ndim; moved++) {
        trial t = trial_new(kernel, 2);
        trial_array(&t, 0, x, shapes[s].ndim, shapes[s].shape, PLAIN);
        trial_array(&t, 1, x, shapes[s].ndim, shapes[s].shape, layout);
        t.node->n_ints = shapes[s].ndim;
        for (int d = 0; d < shapes[s].ndim; d++)
            if (moved >> d & 1 && shapes[s].shape[d]) t.node->ints[d] = (layout + 1) % shapes[s].shape[d];
        trial_run(&t, 0);
    }
}

/* The input comes at index 1, 1, ... of a larger output, every second element of it in the last dimension. */
static void put_in_place(int kernel, int x, const char *types) {
    (void)types;
    EACH_LAYOUT(s, layout) {
        dims out = shapes[s];
        for (int d = 0; d < out.ndim; d++) out.shape[d] = 2 * out.shape[d] + 1;
        trial t = trial_new(kernel, 2);
        trial_array(&t, 0, x, out.ndim, out.shape, PLAIN);
        trial_array(&t, 1, x, out.ndim, shapes[s].shape, layout);
        for (int d = 0; d < out.ndim; d++) {
            int64_t stride = t.node->args[0].stride[d];
            if (shapes[s].shape[d]) t.node->ints[0] += stride;
            t.node->ints[d + 1] = d == out.ndim - 1 ? 2 * stride : stride;
        }
        t.node->n_ints = out.ndim + 1, t.node->floats[0] = 3;
        trial_run(&t, 0);
    }
}

/* Three inputs of other sizes along the dimension, one of them 0. */
static void cat(int kernel, int x, const char *types) {
    (void)types;
    EACH_LAYOUT(s, layout)
    for (int dim = 0; dim < shapes[s].ndim; dim++) {
        dims out = shapes[s], in = shapes[s];
        int64_t sizes[] = {out.shape[dim], 0, out.shape[dim] + 3};
        out.shape[dim] = sizes[0] + sizes[1] + sizes[2];
        trial t = trial_new(kernel, 4);
        trial_array(&t, 0, x, out.ndim, out.shape, PLAIN);
        for (int i = 1; i <= 3; i++) {
            in.shape[dim] = sizes[i - 1];
            trial_array(&t, i, x, in.ndim, in.shape, (layout + i * s) % LAYOUTS);
        }
        t.node->ints[0] = dim, t.node->n_ints = 1;
        trial_run(&t, 0);
    }
}

static void triangle(int kernel, int x, const char *types) {
    static const int64_t diagonals[] = {-1000000, -3, -1, 0, 1, 4, 1000000};
    (void)types;
    EACH_LAYOUT(s, layout)
    for (int i = 0; i < 7 && shapes[s].ndim >= 2; i++) {
        trial t = trial_new(kernel, 2);
        trial_array(&t, 0, x, shapes[s].ndim, shapes[s].shape, PLAIN);
        trial_array(&t, 1, x, shapes[s].ndim, shapes[s].shape, layout);
        t.node->ints[0] = diagonals[i], t.node->n_ints = 1;
        trial_run(&t, 0);
    }
}

/* ---- pick: `types`: what each argument is: t the table, r the rows, n the index, and l, the index as a list of one
 * dimension; capital: updated. Tables of t and n are larger than the rows in all other dimensions. ---- */

static void positions(int kernel, int x, const char *types) {
    EACH_LAYOUT(s, layout)
    for (int dim = 0; dim < shapes[s].ndim; dim++)
        for (int more = -2; more <= 3; more += 5) { /* rows, than the table has */
            dims table = shapes[s], rows = shapes[s];
            rows.shape[dim] = more < 0 ? (table.shape[dim] + 1) / 2 : table.shape[dim] + more;
            for (int d = 0; d < table.ndim; d++)
                if (d != dim) table.shape[d]++;
            if (table.shape[dim] == 0) continue; /* nothing to pick from: Python forbids that */
            trial t = trial_new(kernel, (int)strlen(types));
            for (int i = 0; i < t.node->n_args; i++) {
                int how = i ? (layout + (i - 1) * s) % LAYOUTS : PLAIN;
                if (types[i] == 'n')
                    trial_array(&t, i, TG_I64, rows.ndim, rows.shape, how);
                else if (types[i] == 'r')
                    trial_array(&t, i, x, rows.ndim, rows.shape, how);
                else
                    trial_array(&t, i, x, table.ndim, table.shape, how);
                if (types[i] == 'n') trial_positions(&t, i, table.shape[dim]);
            }
            t.node->ints[0] = dim, t.node->n_ints = 1;
            trial_run(&t, 0);
        }
}

/* `types`: the arguments before the indices: t the table, T one that is written to, r rows. Any dimensions are looked
 * into, by an index for each or by one alone. */
static void indexed(int kernel, int x, const char *types) {
    EACH_LAYOUT(s, layout)
    for (int chosen = 1; chosen < 1 << shapes[s].ndim; chosen++)
        for (int alone = 0; alone < 2; alone++) {
            const dims *table = &shapes[s];
            int64_t into[TG_DIMS], size = 1;
            int n = 0, args = (int)strlen(types), first, wide = 1 + (s + chosen) % 2;
            const int64_t index[2] = {s % 3 + 1, 1 + 29 * (s >= SMALL)}; /* the shape of each */
            for (int d = 0; d < table->ndim; d++)
                if (chosen >> d & 1) into[n++] = d, size *= table->shape[d];
            if (size == 0 || n > 4 || (alone && n == 1)) continue;
            first = into[n - 1] - into[0] == n - 1 ? (int)into[0] : 0;
            dims rows = {.ndim = 0};
            for (int d = 0; d <= table->ndim; d++) {
                if (rows.ndim == first)
                    for (int i = 0; i < wide; i++) rows.shape[rows.ndim++] = index[i];
                if (d < table->ndim && !(chosen >> d & 1)) rows.shape[rows.ndim++] = table->shape[d];
            }
            trial t = trial_new(kernel, args + (alone ? 1 : n));
            for (int i = 0; i < args; i++) {
                const dims *shape = types[i] == 'r' ? &rows : table;
                int how = i ? (layout + (i - 1) * s) % LAYOUTS : types[i] == 'T' ? layout % FIRST_REPEATED : PLAIN;
                trial_array(&t, i, x, shape->ndim, shape->shape, how);
            }
            for (int i = args; i < t.node->n_args; i++) {
                trial_array(&t, i, TG_I64, wide, index, (layout + i) % LAYOUTS);
                trial_positions(&t, i, alone ? size : table->shape[into[i - args]]);
            }
            memcpy(t.node->ints, into, sizeof into);
            t.node->n_ints = n;
            trial_run(&t, types[0] == 'T');
        }
}

/* argsort, and topk_indices of k places: `types` is "k". */
static void ordered(int kernel, int x, const char *types) {
    EACH_LAYOUT(s, layout)
    for (int dim = 0; dim < shapes[s].ndim; dim++)
        for (int turned = 0; turned < 2; turned++) {
            dims out = shapes[s];
            trial t = trial_new(kernel, 2);
            int64_t *ints = t.node->ints;
            if (*types) *ints++ = out.shape[dim] = turned ? out.shape[dim] : (out.shape[dim] + 3) / 4;
            *ints++ = dim, *ints++ = turned;
            t.node->n_ints = (int)(ints - t.node->ints);
            trial_array(&t, 0, TG_I64, out.ndim, out.shape, PLAIN);
            trial_array(&t, 1, x, shapes[s].ndim, shapes[s].shape, layout);
            trial_run(&t, 0);
        }
}

static void one_hot(int kernel, int x, const char *types) {
    (void)types;
    EACH_LAYOUT(s, layout) {
        dims out = shapes[s];
        out.shape[out.ndim++] = 1 + s;
        trial t = trial_new(kernel, 2);
        trial_array(&t, 0, x, out.ndim, out.shape, PLAIN);
        trial_array(&t, 1, x, shapes[s].ndim, shapes[s].shape, layout);
        trial_positions(&t, 1, 1 + s);
        t.node->ints[0] = 1 + s, t.node->n_ints = 1;
        trial_run(&t, 0);
    }
}

static void assemble(int kernel, int x, const char *types) {
    (void)types;
    for (int big = 0; big < 2; big++)
        for (int channels = 1; channels <= 3; channels += 2)
            for (int layout = 0; layout < LAYOUTS; layout++) {
                int64_t n = big ? 200 : 7, b = big ? 301 : 5;
                trial t = trial_new(kernel, 3);
                trial_array(&t, 0, TG_F32, 4, (int64_t[]){b, channels, 13, big ? 31 : 3}, PLAIN);
                trial_array(&t, 1, x, 4, (int64_t[]){n, channels, 13, big ? 31 : 3}, PLAIN);
                trial_array(&t, 2, TG_I64, 1, &b, layout);
                trial_positions(&t, 2, n);
                t.node->ints[0] = big ? channels : 1, t.node->n_ints = 1;
                for (int i = 0; i < 6; i++) t.node->floats[i] = 0.25 * (i + 1);
                trial_run(&t, 0);
            }
}

/* Flips, windows of every mode (none larger than reflecting allows) and affine maps, one by one and all in a row; a map
 * that leads far away among them. A row of the program is a `step` of augment.h: kind, sizes, p, top, left, mode, ...
 */
static void augment(int kernel, int x, const char *types) {
    enum { ROW = 34, ROWS = 8 };
    (void)types;
    for (int big = SHARED_ONLY; big < 2; big++)
        for (int channels = 1; channels <= 3; channels += 2)
            for (int only = -1; only < ROWS; only++) {
                int64_t n = 9, b = big ? 65 : 5, h = big ? 13 : 3, w = big ? 535 : 4;
                int64_t program[] = {only < 0 ? ROWS : 1, ROW}, key = 2;
                int64_t wider = only < 0 ? 4 : 2 <= only && only < 6; /* each window adds a column */
                trial t = trial_new(kernel, 5);
                trial_array(&t, 0, TG_F32, 4, (int64_t[]){b, channels, h, w + wider}, PLAIN);
                trial_array(&t, 1, x, 4, (int64_t[]){n, channels, h, w}, PLAIN);
                trial_array(&t, 2, TG_I64, 1, &b, PLAIN);
                trial_positions(&t, 2, n);
                trial_array(&t, 3, TG_I64, 1, &key, PLAIN);
                trial_array(&t, 4, TG_F64, 2, program, PLAIN);
                double *row = (double *)t.block[4];
                int64_t width = w;
                for (int k = only < 0 ? 0 : only; k < (only < 0 ? ROWS : only + 1); k++, row += ROW) {
                    int is_window = 2 <= k && k < 6;
                    double far = k == 7 ? 1e6 : 1;
                    memset(row, 0, ROW * sizeof *row);
                    row[0] = k < 2 ? k : is_window ? 2 : 3;
                    row[1] = row[3] = (double)h, row[2] = (double)width, row[4] = (double)(width + is_window);
                    width += is_window;
                    row[5] = 0.5;
                    row[6] = -2, row[7] = 2, row[8] = -2, row[9] = 1;
                    row[10] = is_window ? k - 2 : 0;
                    row[11] = -170, row[12] = 200, row[13] = -3 * far, row[14] = 3 * far, row[15] = -2, row[16] = 2;
                    row[17] = 0.01, row[18] = 3, row[19] = -20, row[20] = 20;
                    row[23] = k == 6 || big, row[24] = 1.5, row[26] = row[27] = row[28] = 200;
                }
                t.node->ints[0] = channels, t.node->ints[1] = h, t.node->ints[2] = width, t.node->n_ints = 3;
                for (int i = 0; i < 6; i++) t.node->floats[i] = 0.25 * (i + 1);
                trial_run(&t, 0);
            }
}

/* ---- products and losses: `types`: the rows and columns of each argument, by letters ---- */

static const int64_t sizes[] = {1, 3, 16, 17, 33, 70};

/* Matrices but for a bias, which has one letter, and a key, K; commas between arguments; e.g. "mn,mk,kn". */
static void product(int kernel, int x, const char *types) {
    const char *name = tg_kernel_name(kernel);
    for (int batch = 0; batch < 2; batch++)
        for (int layout = 0; layout < LAYOUTS; layout++)
            for (int e = 0; e < 6 * 6 * 6 + 3; e++) {
                int64_t m = sizes[e % 6], n = sizes[e / 6 % 6], k = sizes[e / 36 % 6];
                if (e >= 216) m = 260 - e, n = 130, k = e == 216 ? 310 : 0;
                int batched = batch && (!strcmp(name, "matmul") || !strcmp(name, "addmm"));
                if (e == 218) m = 20, n = 35, k = 4400; /* a sum so long that it is cut, where strides are a weight's */
                if (batch > batched || (e < 218 && e % 4 != layout % 4) || ((batched || SHARED_ONLY) && e % 7))
                    continue;
                int n_args = 1;
                for (const char *c = types; *c; c++) n_args += *c == ',';
                trial t = trial_new(kernel, n_args);
                const char *c = types;
                for (int i = 0; i < n_args; i++, c++) {
                    int64_t shape[3] = {3};
                    int ndim = batched;
                    int key = *c == 'K';
                    for (; *c && *c != ','; c++) shape[ndim++] = key ? 2 : *c == 'm' ? m : *c == 'n' ? n : k;
                    int how = i && !key ? (layout + (i - 1) * e) % LAYOUTS : PLAIN;
                    trial_array(&t, i, key ? TG_I64 : x, ndim, shape, how);
                }
                t.node->ints[0] = e & 1, t.node->ints[1] = 30000, t.node->n_ints = 2;
                t.node->floats[0] = 2, t.node->floats[1] = 1.5;
                trial_run(&t, 0);
            }
}

/* Losses of classes, (n, c) or (n, c, k), and targets of all kinds, among them the one that is ignored. `types`: x of
 * the input's shape, o one loss or one for each row, t targets, w weights, which may be missing. */
static void classes(int kernel, int x, const char *types) {
    for (int s = 0; s < N_SHAPES; s++)
        for (int layout = 0; layout < LAYOUTS && (shapes[s].ndim == 2 || shapes[s].ndim == 3); layout++) {
            const int64_t *in = shapes[s].shape, rows[] = {in[0], in[2]};
            const int reduction = (s + layout) % 3, weighted = layout & 1;
            trial t = trial_new(kernel, (int)strlen(types) - 1 + weighted);
            for (int i = 0; i < t.node->n_args; i++) {
                const int how = i ? (layout + i * s) % LAYOUTS : PLAIN, per_row = types[i] == 'o' || types[i] == 't';
                if (types[i] == 'o' && reduction > 0)
                    trial_array(&t, i, x, 0, rows, PLAIN);
                else if (per_row)
                    trial_array(&t, i, types[i] == 't' ? TG_I64 : x, shapes[s].ndim - 1, rows, how);
                else
                    trial_array(&t, i, x, types[i] == 'w' ? 1 : shapes[s].ndim, types[i] == 'w' ? in + 1 : in, how);
                if (types[i] == 't' && in[1]) trial_positions(&t, i, in[1]);
            }
            t.node->ints[0] = reduction, t.node->ints[1] = s & 1 ? -100 : 0, t.node->n_ints = 2;
            t.node->floats[0] = s & 2 ? 0 : 0.25;
            trial_run(&t, 0);
        }
}

/* ---- pictures (N, C, H, W), a kernel of 3 x 2, its stride, padding and dilation; some leave rows out ---- */

typedef struct {
    int64_t n, c, h, w, stride, padding, dilation;
} view;

static const view views[] = {
    {2, 3, 5, 4, 1, 0, 1}, {1, 1, 3, 2, 1, 0, 1},  {2, 1, 7, 6, 2, 1, 1},    {0, 2, 5, 5, 1, 1, 1},
    {1, 2, 4, 5, 1, 3, 2}, {3, 2, 9, 11, 3, 2, 2}, {9, 17, 19, 33, 1, 1, 1}, {40, 3, 33, 31, 2, 0, 3},
};

/* `types`: the arguments: p pictures, c their windows as columns. */
static void windows(int kernel, int x, const char *types) {
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        const view *v = &views[i];
        const int64_t count[2] = {(v->h + 2 * v->padding - 2 * v->dilation - 1) / v->stride + 1,
                                  (v->w + 2 * v->padding - v->dilation - 1) / v->stride + 1};
        trial t = trial_new(kernel, 2);
        for (int arg = 0; arg < 2; arg++) {
            if (types[arg] == 'p')
                trial_array(&t, arg, x, 4, (int64_t[]){v->n, v->c, v->h, v->w}, PLAIN);
            else
                trial_array(&t, arg, x, 3, (int64_t[]){v->n, v->c * 6, count[0] * count[1]}, PLAIN);
        }
        int64_t *ints = t.node->ints;
        if (*types == 'p') *ints++ = v->h, *ints++ = v->w;
        *ints++ = 3, *ints++ = 2;
        for (int d = 0; d < 2; d++) ints[d] = v->stride, ints[2 + d] = v->padding, ints[4 + d] = v->dilation;
        t.node->n_ints = (int)(ints + 6 - t.node->ints);
        trial_run(&t, 0);
    }
}

/* ---- pooling: `types`: how windows are given (d with dilation, m those of means, a adaptive), then the arguments: L
 * the larger planes, s the smaller ones, b a byte for each element of those, i an index ---- */

typedef struct {
    int64_t n, h, w, p, q, kernel[2], stride[2], padding[2], dilation[2];
} pool_view;

static const pool_view pools[] = {
    {2, 8, 34, 4, 17, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
    {3, 9, 29, 4, 14, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
    {3, 5, 15, 2, 7, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
    {5, 4, 5, 2, 2, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
    {3, 5, 15, 3, 8, {2, 2}, {2, 2}, {0, 0}, {1, 1}}, /* the last windows reach over the end */
    {2, 9, 10, 5, 5, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {2, 5, 38, 3, 19, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
    {2, 9, 10, 4, 9, {3, 2}, {2, 1}, {1, 0}, {2, 1}},
    {2, 2, 9, 1, 2, {2, 3}, {1, 3}, {1, 1}, {3, 2}}, /* a window with nothing in it */
    {2, 1, 7, 1, 7, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
    {2, 7, 7, 1, 1, {7, 7}, {7, 7}, {0, 0}, {1, 1}},
    {0, 4, 4, 2, 2, {2, 2}, {2, 2}, {0, 0}, {1, 1}},
    {160, 14, 28, 7, 14, {2, 2}, {2, 2}, {0, 0}, {1, 1}}, /* from here on shared by threads */
    {160, 15, 29, 8, 15, {3, 3}, {2, 2}, {1, 1}, {1, 1}},
};

static void pooled(int kernel, int x, const char *types) {
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        const pool_view *v = &pools[i];
        trial t = trial_new(kernel, (int)strlen(types) - 1);
        unsigned changed = 0;
        for (int arg = 0; arg < t.node->n_args; arg++) {
            char type = types[arg + 1];
            int64_t large[] = {v->n, 3, v->h, v->w}, small[] = {v->n, 3, v->p, v->q};
            int dtype = type == 'b' ? TG_U8 : type == 'i' ? TG_I64 : x;
            trial_array(&t, arg, dtype, 4, type == 'L' ? large : small, PLAIN);
            if (type == 'b') changed |= 1u << arg; /* what max_pool2d makes, and others read */
        }
        int64_t *ints = t.node->ints;
        if (types[1] == 'L') *ints++ = v->h, *ints++ = v->w;
        for (int d = 0; d < 2; d++)
            ints[d] = v->kernel[d], ints[2 + d] = v->stride[d], ints[4 + d] = v->padding[d],
            ints[6 + d] = v->dilation[d];
        ints += *types == 'm' ? 6 : 8;
        if (*types == 'm') *ints++ = 0, *ints++ = i & 1, *ints++ = i % 3 ? 0 : 5;
        t.node->n_ints = (int)(ints - t.node->ints);
        trial_run(&t, changed);
    }
}

/* ---- conv: `types` says which array comes out: y the result, x the pictures, w the weights ---- */

static void convolution(int kernel, int x, const char *types) {
    /* pictures, channels and outputs of a group, groups, size, kernel, stride, padding, dilation */
    static const int64_t shapes_of[][14] = {
        {2, 3, 4, 1, 7, 9, 3, 3, 1, 1, 1, 1, 1, 1},     {3, 1, 33, 1, 28, 28, 3, 3, 1, 1, 1, 1, 1, 1},
        {9, 17, 33, 1, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1}, {5, 40, 15, 2, 7, 7, 1, 1, 1, 1, 0, 0, 1, 1},
        {2, 33, 20, 1, 16, 12, 1, 1, 1, 1, 0, 0, 1, 1}, {3, 16, 9, 1, 13, 17, 5, 5, 2, 2, 2, 2, 1, 1},
        {2, 8, 5, 2, 9, 31, 3, 2, 3, 2, 2, 0, 1, 2},    {33, 1, 1, 17, 12, 20, 3, 3, 1, 1, 1, 1, 1, 1},
        {2, 2, 3, 5, 6, 40, 4, 3, 1, 3, 0, 3, 2, 1},    {1, 3, 2, 1, 50, 1, 7, 1, 2, 1, 3, 0, 1, 1},
        {1, 70, 2, 1, 1, 90, 1, 5, 1, 1, 0, 2, 1, 3},   {0, 3, 4, 1, 7, 9, 3, 3, 1, 1, 1, 1, 1, 1},
        {17, 4, 40, 1, 5, 3, 5, 3, 1, 1, 0, 0, 1, 1},   {1, 50, 30, 1, 40, 60, 3, 3, 1, 1, 1, 1, 1, 1},
        {40, 40, 30, 1, 9, 9, 3, 3, 2, 2, 1, 1, 1, 1},  {20, 3, 20, 1, 64, 50, 5, 5, 1, 1, 2, 2, 1, 1},
        {70, 8, 9, 1, 2, 3, 3, 3, 1, 1, 2, 1, 1, 1},    {1, 20, 140, 1, 6, 130, 3, 3, 1, 1, 0, 2, 1, 1},
    };
    for (size_t e = 0; e < sizeof shapes_of / sizeof *shapes_of; e++)
        for (int mode = 0; mode < (types[0] == 'y' ? 4 : 2); mode++) {
            int bias = mode / 2;
            tg_winograd_set(mode % 2);
            const int64_t *v = shapes_of[e];
            int64_t p = (v[4] + 2 * v[10] - v[12] * (v[6] - 1) - 1) / v[8] + 1;
            int64_t q = (v[5] + 2 * v[11] - v[13] * (v[7] - 1) - 1) / v[9] + 1;
            trial t = trial_new(kernel, 3 + bias);
            for (int i = 0; i < 3; i++) {
                const int64_t picture[] = {v[0], v[1] * v[3], v[4], v[5]}, weight[] = {v[2] * v[3], v[1], v[6], v[7]};
                const int64_t result[] = {v[0], v[2] * v[3], p, q};
                trial_array(&t, i, x, 4, types[i] == 'x' ? picture : types[i] == 'w' ? weight : result, PLAIN);
            }
            int64_t outputs = v[2] * v[3];
            if (bias) trial_array(&t, 3, x, 1, &outputs, PLAIN);
            int64_t *ints = t.node->ints;
            if (types[0] != 'y') {
                *ints++ = v[types[0] == 'x' ? 4 : 6];
                *ints++ = v[types[0] == 'x' ? 5 : 7];
            }
            for (int i = 0; i < 6; i++) *ints++ = v[8 + i];
            *ints++ = v[3], *ints++ = bias;
            t.node->n_ints = (int)(ints - t.node->ints);
            trial_run(&t, 0);
        }
}

/* ---- resampling: `types`: which argument is the plane before (b) and after (a) ---- */

static void resampled(int kernel, int x, const char *types) {
    static const int64_t views[][5] = {{2, 5, 7, 10, 14}, {2, 5, 7, 3, 17}, {1, 1, 9, 1, 4},
                                       {1, 4, 4, 4, 4},   {0, 3, 3, 5, 5},  {90, 20, 31, 33, 40}};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        for (int mode = 0; mode < 4; mode++) {
            const int64_t *v = views[i], before[] = {v[0], 3, v[1], v[2]}, after[] = {v[0], 3, v[3], v[4]};
            trial t = trial_new(kernel, 2);
            for (int arg = 0; arg < 2; arg++) trial_array(&t, arg, x, 4, types[arg] == 'b' ? before : after, PLAIN);
            for (int d = 0; d < 2; d++) {
                t.node->ints[d] = t.node->args[0].shape[2 + d];
                t.node->floats[d] = (double)v[1 + d] / (double)v[3 + d];
            }
            t.node->ints[2] = mode, t.node->n_ints = 3;
            trial_run(&t, 0);
        }
}

/* ---- random, create: `types` as for elementwise, k for a key, K for a state that moves on, p for an output in one
 * dimension, m for a matrix; the bounds serve whole and real numbers ---- */

static void drawn(int kernel, int x, const char *types) {
    EACH_LAYOUT(s, layout) {
        if (*types == 'm' && shapes[s].ndim != 2) continue;
        trial t = trial_new(kernel, (int)strlen(types));
        int64_t two = 2, count = 1;
        for (int d = 0; d < shapes[s].ndim; d++) count *= shapes[s].shape[d];
        for (int i = 0; i < t.node->n_args; i++) {
            if (types[i] == 'k' || types[i] == 'K')
                trial_array(&t, i, TG_I64, 1, &two, PLAIN);
            else if (types[i] == 'p')
                trial_array(&t, i, x, 1, &count, PLAIN);
            else
                trial_array(&t, i, x, shapes[s].ndim, shapes[s].shape, i && s & 1 ? layout : PLAIN);
        }
        t.node->ints[0] = 3, t.node->ints[1] = 30000, t.node->n_ints = 2;
        t.node->floats[0] = 0.5, t.node->floats[1] = t.node->floats[2] = 2;
        trial_run(&t, strchr(types, 'K') ? 2 : 0);
    }
}

/* ---- batch norm: `types`: x an array of (n, c, places), m a pair of numbers for each channel, v one, k a key, i a
 * count; capital: updated. Small planes, planes of a few vectors, planes of several chunks ---- */

static void channels(int kernel, int x, const char *types) {
    static const dims planes[] = {
        {2, {5, 3}},        {2, {1, 1}},        {2, {300, 150}},     {2, {0, 3}},          {3, {3, 0, 4}},
        {4, {3, 7, 2, 2}},  {4, {40, 9, 5, 3}}, {3, {2, 3, 31}},     {3, {2, 3, 32}},      {3, {3, 4, 47}},
        {4, {2, 2, 14, 5}}, {3, {2, 2, 4097}},  {4, {9, 5, 28, 28}}, {4, {17, 33, 8, 10}}, {3, {1, 130, 70}},
    };
    for (size_t s = SHARED_ONLY ? 12 : 0; s < sizeof planes / sizeof *planes; s++)
        for (int layout = 0; layout <= FIRST_REPEATED; layout++)
            for (int optional = 0; optional < 2; optional++) {
                const int n_args = (int)(strchr(types, '-') - types) + optional * (int)strlen(strchr(types, '-') + 1);
                const char *kind = types;
                unsigned changed = 0;
                trial t = trial_new(kernel, n_args);
                for (int i = 0; i < n_args; i++, kind++) {
                    int64_t two = 2, pair[] = {2, planes[s].shape[1]};
                    if (*kind == '-') kind++;
                    if (*kind == 'k')
                        trial_array(&t, i, TG_I64, 1, &two, PLAIN);
                    else if (*kind == 'i')
                        trial_array(&t, i, TG_I64, 0, &two, PLAIN);
                    else if (*kind == 'm' || *kind == 'M')
                        trial_array(&t, i, x, 2, pair, PLAIN);
                    else if (*kind == 'v' || *kind == 'V')
                        trial_array(&t, i, x, 1, pair + 1, *kind == 'V' ? PLAIN : layout);
                    else
                        trial_array(&t, i, x, planes[s].ndim, planes[s].shape, PLAIN);
                    if (*kind < 'a') changed |= 1u << i;
                }
                t.node->ints[0] = 20000, t.node->ints[1] = layout & 1, t.node->n_ints = 2;
                t.node->floats[0] = 1e-5, t.node->floats[1] = 1.5;
                trial_run(&t, changed);
            }
}

static void take_key(int kernel, int x, const char *types) {
    (void)types;
    trial t = trial_new(kernel, 2);
    for (int i = 0; i < 2; i++) trial_array(&t, i, x, 1, (int64_t[]){2}, PLAIN);
    trial_run(&t, 2);
}

/* ---- update: `types`: of each flag the tensors that it adds, or '-'. One to three parameters, small and large ---- */

static void optimiser(int kernel, int x, const char *types) {
    const char *name = tg_kernel_name(kernel);
    for (unsigned flags = 0; flags < 1u << strlen(types); flags++)
        for (int n = 1; n <= 3; n++) {
            int per = !strcmp(name, "sgd_") ? 2 : !strcmp(name, "adam_") ? 5 : 4;
            for (int f = 0; types[f]; f++)
                if (flags >> f & 1 && types[f] != '-') per += types[f] - '0';
            trial t = trial_new(kernel, 1 + n * per);
            unsigned changed = 0;
            trial_array(&t, 0, TG_F64, 1, (int64_t[]){5}, PLAIN);
            for (int i = 0; i < 5; i++) ((double *)t.block[0])[i] = 0.125 * (i + 1);
            for (int k = 1; k < t.node->n_args; k++) {
                const dims *s = &shapes[(k - 1) / per == 1 ? SMALL : 4 + (k - 1) / per];
                int role = (k - 1) % per, one = role == per - 1 && per > 2;
                trial_array(&t, k, one ? (n & 1 ? TG_F32 : x) : x, one ? 0 : s->ndim, s->shape, PLAIN);
                if (role != 1) changed |= 1u << k;
            }
            for (int f = 0; types[f]; f++) t.node->ints[f] = flags >> f & 1;
            t.node->n_ints = (int)strlen(types);
            trial_run(&t, changed | 1); /* the settings stand where outputs do, and stay as they are */
        }
}

/* ---- which kernel is tried how ---- */

typedef struct {
    const char *name;
    void (*test)(int kernel, int x, const char *types);
    const char *types;
} family_case;

static const family_case cases[] = {
#define UNARY(name, ...) {#name, elementwise, "xx"},
#define FUNCTION UNARY
#define FLAG_FUNCTION UNARY
#define RARE_FUNCTION UNARY
#define BINARY(name, ...) {#name, elementwise, "xxx"},
#define GRADIENT BINARY
#define FUNCTION_OF_2 BINARY
#define FLAG_GRADIENT BINARY
#define RARE_BINARY BINARY
#define TERNARY(name, ...) {#name, elementwise, "xxxx"},
#define CHOICE(name, ...) {#name, elementwise, "xbxx"},
#define TEST(name, ...) {#name, elementwise, "bx"},
#define COMPARE(name, ...) {#name, elementwise, "bxx"},
#define TG_FLOATING 1
#include "elementwise.def"
#undef TG_FLOATING
#define TG_FLOATING 0
#include "elementwise.def"
    {"sum", reduction, "w"},
    {"prod", reduction, "w"},
    {"mean", reduction, "x"},
    {"norm", reduction, "x"},
    {"logsumexp", reduction, "x"},
    {"var", reduction, "x"},
    {"std", reduction, "x"},
    {"amax", reduction, "x"},
    {"amin", reduction, "x"},
    {"any", reduction, "b"},
    {"all", reduction, "b"},
    {"argmax", reduction, "i"},
    {"argmin", reduction, "i"},
    {"cumsum", along, "wx"},
    {"copy", copy, ""},
    {"repeat", copy, ""},
    {"cast", cast, ""},
    {"copy_", copy_into, ""},
    {"flip", flip, ""},
    {"roll", roll, ""},
    {"place", put_in_place, ""},
    {"cat", cat, ""},
    {"stack", cat, ""},
    {"arange", drawn, "x"},
    {"linspace", drawn, "x"},
    {"eye", drawn, "m"},
    {"tril", triangle, ""},
    {"triu", triangle, ""},
    {"gather", positions, "rtn"},
    {"select_each", positions, "rtn"},
    {"scatter", positions, "ttnr"},
    {"scatter_add", positions, "ttnr"},
    {"index", indexed, "rt"},
    {"index_put", indexed, "ttr"},
    {"index_add", indexed, "ttr"},
    {"index_put_", indexed, "Tr"},
    {"index_add_", indexed, "Tr"},
    {"one_hot", one_hot, ""},
    {"argsort", ordered, ""},
    {"topk_indices", ordered, "k"},
    {"assemble", assemble, ""},
    {"augment", augment, ""},
    {"matmul", product, "mn,mk,kn"},
    {"addmm", product, "mn,mk,kn,mn"},
    {"linear", product, "mn,mk,nk,n"},
    {"linear_dropout", product, "mn,mk,nk,K,n"},
    {"linear_grad_input_relu", product, "mn,mk,kn,mn"},
    {"conv2d", convolution, "yxw"},
    {"conv2d_grad_input", convolution, "xyw"},
    {"conv2d_grad_weight", convolution, "wyx"},
    {"softmax", along, "xx"},
    {"softmax_grad", along, "xxx"},
    {"log_softmax", along, "xx"},
    {"log_softmax_grad", along, "xxx"},
    {"layer_norm", over_last, "xxM11"},
    {"layer_norm_grad", over_last, "xxxm1"},
    {"layer_norm_sums", over_last, "2xxm"},
    {"unfold", windows, "cp"},
    {"fold", windows, "pc"},
    {"max_pool2d", pooled, "dsLb"},
    {"max_pool2d_indices", pooled, "diL"},
    {"max_pool2d_pick", pooled, "dsLb"},
    {"max_pool2d_grad", pooled, "dLsb"},
    {"adaptive_max_pool2d_indices", pooled, "aiL"},
    {"avg_pool2d", pooled, "msL"},
    {"avg_pool2d_grad", pooled, "mLs"},
    {"adaptive_avg_pool2d", pooled, "asL"},
    {"adaptive_avg_pool2d_grad", pooled, "aLs"},
    {"resample2d", resampled, "ab"},
    {"resample2d_grad", resampled, "ba"},
    {"cross_entropy", classes, "oxtw"},
    {"cross_entropy_grad", classes, "xoxtw"},
    {"nll_loss", classes, "oxtw"},
    {"nll_loss_grad", classes, "xoxtw"},
    {"random_uniform", drawn, "xK"},
    {"random_normal", drawn, "xK"},
    {"random_bernoulli", drawn, "xKx"},
    {"random_integers", drawn, "xK"},
    {"random_permutation", drawn, "pK"},
    {"dropout", drawn, "xxk"},
    {"take_key", take_key, ""},
    {"batch_moments", channels, "mx-"},
    {"batch_norm", channels, "xxmvv-"},
    {"batch_norm_grad_sums", channels, "mxxm-"},
    {"batch_norm_grad_input", channels, "xxxmmv-"},
    {"running_update_", channels, "VVm-i"},
    {"batch_norm_fused_", channels, "XMxvv-k"},
    {"batch_norm_grad_fused_", channels, "XMxxmv-k"},
    {"sgd_", optimiser, "2--"},
    {"adam_", optimiser, "1--"},
    {"rmsprop_", optimiser, "11-"},
    {"adagrad_", optimiser, "-"},
};

static const family_case *case_of(const char *name) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!strcmp(cases[i].name, name)) return &cases[i];
    return NULL;
}

void test_families(void) {
    int tried = 0;
    tg_threads_set(3);
    trial_forget();
    for (int kernel = 0; kernel < tg_kernel_count(); kernel++) {
        const char *name = tg_kernel_name(kernel);
        int dtype = tg_kernel_dtype(kernel);
        if (!strncmp(name, "probe_", 6) || tg_kernel_find(name, dtype) < 0) continue; /* or not in this set */
        const family_case *c = case_of(name);
        CHECK(c, "%s has no case in %s", name, __FILE__);
        c->test(kernel, dtype, c->types);
        if (dtype == TG_U8) c->test(kernel, TG_BOOL, c->types);
        CHECK(trial_ran(kernel), "%s refused all that it was offered, type %d", name, dtype);
        tried++;
    }
    printf("%d kernels on all kinds of arrays\n", tried);
}

/* conv_gemm.h: a convolution and its input's gradient as products: weights times patches, that no memory holds.
 *
 * The rows of C = A B are output channels, its columns output elements, k runs over input channels and taps. Panels of
 * A are packed once in a phase of their own. A unit takes some pictures, or some rows of one; for as many channels at a
 * time as fill panels it stages them (conv.h) and copies panels of B out of the stage, whole vectors at once.
 * A group of up to CONV_FEW outputs would use a panel too little to be worth packing: conv_few.h reads the stage
 * itself. Left out on purpose: Winograd's method (winograd.h). Read next: conv_few.h, gemm.h. */
#ifndef TG_CONV_GEMM_H
#define TG_CONV_GEMM_H

#include "conv_few.h"

/* Elements of output that a unit computes at most, if a row is not more: they and a chunk of the weights are to stay
 * in L2. */
#define CONV_BLOCK (1 << 17)

typedef struct {
    int64_t m, channels, few;     /* outputs and inputs of a group; whether the panels are not packed */
    int64_t height, panels;       /* of A */
    int64_t images, rows, groups; /* of a unit */
    int64_t image_blocks, row_blocks, group_blocks;
    int64_t parts_y, parts_x, weights;   /* correlations, and the elements of a group's weights */
    int64_t buffered;                    /* outputs are computed apart and copied: they do not lie side by side */
    int64_t sums;                        /* elements between channels there */
    int64_t at_stage, at_panel, at_sums; /* places in a thread's scratch, in elements */
} conv_plan;
_Static_assert(sizeof(conv_plan) <= sizeof((tg_node *)0)->plan, "node->plan is too small");

/* The correlation with number `part`. */
static inline void conv_part(const conv *c, int which, int64_t part, conv_axis *y, conv_axis *x) {
    int64_t across = which == CONV_FORWARD ? 1 : c->stride[1];
    *y = which == CONV_FORWARD ? conv_axis_forward(c, 0) : conv_axis_backward(c, 0, part / across);
    *x = which == CONV_FORWARD ? conv_axis_forward(c, 1) : conv_axis_backward(c, 1, part % across);
}

/* Elements between rows of outputs that are computed apart. */
GEMM_INLINE int64_t conv_pitch(const conv_plan *p, int64_t width) {
    return p->few ? GEMM_UP(width, GEMM_LANES) : width;
}

/* How many channels are staged and packed at a time: even shares. */
GEMM_INLINE int64_t conv_depth(const conv_plan *p, int64_t taps) {
    return taps ? gemm_share(p->channels, TG_MAX(GEMM_K / taps, 1)) : p->channels;
}

/* ---- panels of A: [group][part][panel][channel, tap][height] ---- */

/* A panel of weights: outputs i.. of group g, over all channels and the taps of one part. */
static inline void conv_weight_panel(const conv *c, int which, const conv_plan *p, int64_t panel, const real *w,
                                     real *aux) {
    int64_t parts = p->parts_y * p->parts_x, g = panel / (parts * p->panels), part = panel / p->panels % parts;
    int64_t i0 = panel % p->panels * p->height, rows = TG_MIN(p->height, p->m - i0);
    int64_t size = c->kernel[0] * c->kernel[1], forward = which == CONV_FORWARD;
    int64_t is = forward ? p->channels * size : size, cs = forward ? size : p->m * size;
    conv_axis y, x;
    real *to = aux + g * p->weights;
    conv_part(c, which, 0, &y, &x);
    for (int64_t q = 1; q <= part; q++) {
        to += p->m * p->channels * y.taps * x.taps;
        conv_part(c, which, q, &y, &x);
    }
    to += i0 * p->channels * y.taps * x.taps;
    w += g * p->m * p->channels * size + i0 * is;
    if (forward) {
        gemm_pack(to, rows, rows, p->channels * size, w, is, 1);
        return;
    }
    for (int64_t ch = 0; ch < p->channels; ch++)
        for (int64_t ty = 0; ty < y.taps; ty++)
            for (int64_t tx = 0; tx < x.taps; tx++, to += rows) {
                const real *f = w + ch * cs + (y.first + ty * y.every) * c->kernel[1] + x.first + tx * x.every;
                for (int64_t i = 0; i < rows; i++) to[i] = f[i * is];
            }
}

/* ---- panels of B ---- */

/* The vectors that make a row of a panel: which place of the stage goes where. Outputs of one row lie side by side;
 * what a vector copies beyond them is written over by the next one, past a panel's end by the panel's next row. (Masks
 * that put each vector together from two rows save stores, and were no faster.) */
static inline int conv_vectors(const conv_stage *s, int64_t step, int64_t rows, int64_t cols, int64_t j, int64_t w,
                               int64_t *from, int64_t *to) {
    int64_t q = j % cols, line = j / cols % rows, picture = j / cols / rows;
    int n = 0;
    for (int64_t at = 0; at < w; q = 0) {
        int64_t run = TG_MIN(cols - q, w - at);
        for (int64_t i = 0; i < run; i += GEMM_LANES, n++) {
            from[n] = picture * s->picture + line * step * s->pitch + q + i;
            to[n] = at + i;
        }
        at += run;
        if (++line == rows) line = 0, picture++;
    }
    return n;
}

GEMM_INLINE void conv_pack_rows(int n, const int64_t *from, const int64_t *at, int64_t channels, int64_t plane,
                                int64_t taps, const int64_t *tap, const real *stage, real *to, int64_t ld) {
    for (int64_t c = 0; c < channels; c++, stage += plane)
        for (int64_t t = 0; t < taps; t++, to += ld)
            for (int v = 0; v < n; v++) *(gemm_loose *)(to + at[v]) = *(const gemm_loose *)(stage + tap[t] + from[v]);
}

/* A panel of B: a row for each channel and tap, of the elements that some outputs read there. */
static inline void conv_pack(int n, const int64_t *from, const int64_t *at, int64_t channels, int64_t plane,
                             int64_t taps, const int64_t *tap, const real *stage, real *to, int64_t ld) {
    switch (n) { /* the compiler keeps a constant number of places in registers */
        case 1:
            conv_pack_rows(1, from, at, channels, plane, taps, tap, stage, to, ld);
            break;
        case 2:
            conv_pack_rows(2, from, at, channels, plane, taps, tap, stage, to, ld);
            break;
        case 3:
            conv_pack_rows(3, from, at, channels, plane, taps, tap, stage, to, ld);
            break;
        case 4:
            conv_pack_rows(4, from, at, channels, plane, taps, tap, stage, to, ld);
            break;
        default:
            conv_pack_rows(n, from, at, channels, plane, taps, tap, stage, to, ld);
    }
}

/* ---- a unit ---- */

/* What the loops of one correlation need. */
typedef struct {
    const conv_plan *p;
    conv_axis y, x;
    conv_stage s;
    int64_t images, row, rows; /* the unit's pictures and rows of outputs */
    const real *from;          /* the group's first channel of its first picture */
    int64_t from_image;        /* elements between pictures there */
    int64_t next;              /* whether there are pictures after these */
    const real *weights;       /* the group's panels */
    real *c;                   /* outputs: channels crs apart, elements side by side */
    int64_t crs;
    const real *bias;
    int64_t relu;
} conv_job;

/* c[rows, w] = max(0, c + bias[row]), as asked for; c's rows are crs apart. */
static inline void conv_finish(real *c, int64_t crs, int64_t rows, int64_t w, const real *bias, int64_t relu) {
    for (int64_t i = 0; i < rows; i++, c += crs) {
        if (bias)
            for (int64_t j = 0; j < w; j++) c[j] += bias[i];
        if (relu)
            for (int64_t j = 0; j < w; j++) c[j] = c[j] <= 0 ? 0 : c[j]; /* a NaN stays */
    }
}

/* All outputs of the job by tiles, of channels c0.. in a panel as deep as kc; add: to what earlier channels left. */
static inline void conv_panels(const conv_job *job, int64_t c0, int64_t channels, int last, const int64_t *tap,
                               const real *stage, real *panel) {
    const conv_plan *p = job->p;
    int64_t taps = job->y.taps * job->x.taps, kc = channels * taps, k = p->channels * taps;
    int64_t cols = job->x.out, count = job->images * job->rows * cols, plane = job->y.in * job->x.in;
    int64_t from[GEMM_COLS], at[GEMM_COLS];
    real edge[GEMM_ROWS * GEMM_COLS];
    int64_t turns = gemm_pieces(count, GEMM_COLS) * p->panels;
    conv_ahead ahead = {0};
    if (p->row_blocks == 1 && !last)
        ahead = conv_ahead_of(job->from + (c0 + channels) * plane, job->images, job->from_image,
                              TG_MIN(channels, p->channels - c0 - channels) * plane, turns);
    else if (p->row_blocks == 1 && job->next)
        ahead = conv_ahead_of(job->from + job->images * job->from_image, job->images, job->from_image,
                              TG_MIN(conv_depth(p, taps), p->channels) * plane, turns);
    for (int64_t j = 0; j < count; j += GEMM_COLS) {
        int64_t w = TG_MIN(GEMM_COLS, count - j), full = GEMM_UP(w, GEMM_LANES);
        if (stage) {
            int n = conv_vectors(&job->s, job->y.stride, job->rows, cols, j, w, from, at);
            conv_pack(n, from, at, channels, job->s.plane, taps, tap, stage, panel, full);
        } else {
            gemm_pack(panel, full, w, kc, job->from + c0 * plane + job->row * cols + j, 1, plane);
        }
        for (int64_t i = 0; i < p->m; i += p->height) {
            int64_t r = TG_MIN(p->height, p->m - i);
            gemm_tile_fn *tile = gemm_tiles[r - 1][full / GEMM_LANES - 1];
            const real *a = job->weights + i * k + c0 * taps * r;
            real *c = job->c + i * job->crs + j;
            conv_fetch(&ahead);
            if (i + r < p->m) /* the outputs of the next tile */
                for (int64_t q = 0; q < TG_MIN(r, p->m - i - r); q++)
                    for (int64_t v = 0; v < full * (int64_t)sizeof(real); v += 64)
                        __builtin_prefetch((char *)(c + (r + q) * job->crs) + v, 1);
            if (w == full || p->buffered) {
                tile(kc, a, 1, r, panel, full, c, job->crs, c0 > 0);
            } else {
                if (c0 > 0)
                    for (int64_t q = 0; q < r; q++) memcpy(edge + q * full, c + q * job->crs, (size_t)w * sizeof(real));
                tile(kc, a, 1, r, panel, full, edge, full, c0 > 0);
                for (int64_t q = 0; q < r; q++) memcpy(c + q * job->crs, edge + q * full, (size_t)w * sizeof(real));
            }
            if (last && !p->buffered && (job->bias || job->relu))
                conv_finish(c, job->crs, r, w, job->bias ? job->bias + i : NULL, job->relu);
        }
    }
}

/* Do panels of B lie in memory as they are: one tap, no padding, no stride? */
GEMM_INLINE int conv_in_place(const conv_axis *y, const conv_axis *x) {
    return y->taps * x->taps == 1 && y->stride * x->stride == 1 && y->low == 0 && x->low == 0 && x->in == x->out &&
           y->in >= y->out;
}

static inline void conv_correlate(conv_job *job, real *own) {
    const conv_plan *p = job->p;
    int64_t taps = job->y.taps * job->x.taps, depth = conv_depth(p, taps);
    int64_t *tap = (int64_t *)own;
    real *stage = !p->few && job->images == 1 && conv_in_place(&job->y, &job->x) ? NULL : own + p->at_stage;
    if (taps * p->channels == 0) {
        int64_t count = job->images * job->rows * conv_pitch(p, job->x.out);
        for (int64_t i = 0; i < p->m; i++) memset(job->c + i * job->crs, 0, (size_t)count * sizeof(real));
        if (!p->buffered) conv_finish(job->c, job->crs, p->m, count, job->bias, job->relu);
        return;
    }
    job->s = conv_stage_of(&job->y, &job->x, job->rows, job->images);
    conv_tap_places(&job->y, &job->x, &job->s, tap);
    for (int64_t c0 = 0; c0 < p->channels; c0 += depth) {
        int64_t channels = TG_MIN(depth, p->channels - c0), last = c0 + depth >= p->channels;
        if (stage)
            conv_stage_fill(&job->y, &job->x, &job->s, job->row, job->rows, channels, job->images,
                            job->from + c0 * job->y.in * job->x.in, job->from_image, stage);
        if (p->few)
            conv_few(&job->s, job->y.stride, job->images, job->rows, job->x.out, p->m, channels, taps, tap,
                     job->weights + c0 * taps * p->m, stage, job->c, job->crs, c0 > 0);
        else
            conv_panels(job, c0, channels, last, tap, stage, own + p->at_panel);
    }
}

/* to[j * parts + r] = part r's row, j = 0, 1, ...: outputs that were computed apart, in the places where they belong.
 */
static inline void conv_row_out(const conv_plan *p, const real *sums, int64_t line, real *to, int64_t width) {
    int64_t parts = p->parts_x, apart = p->m * p->sums;
    const real *first = sums + line * conv_pitch(p, gemm_pieces(width, parts));
    if (parts == 1) {
        conv_copy(to, first, width);
        return;
    }
    if (parts == 2) {
        const real *odd = sums + apart + line * conv_pitch(p, width / 2);
        for (int64_t j = 0; j < width / 2; j++) to[2 * j] = first[j], to[2 * j + 1] = odd[j];
        if (width % 2) to[width - 1] = first[width / 2];
        return;
    }
    for (int64_t r = 0; r < TG_MIN(parts, width); r++) {
        int64_t n = gemm_pieces(width - r, parts);
        const real *from = sums + r * apart + line * conv_pitch(p, n);
        for (int64_t j = 0; j < n; j++) to[j * parts + r] = from[j];
    }
}

/* Copy what a job computed apart to the group's outputs `out`, pictures `step` elements apart. */
static inline void conv_copy_out(const conv_job *job, const real *sums, real *out, int64_t step, int64_t plane,
                                 int64_t width) {
    const conv_axis *y = &job->y;
    int whole = y->apart == 1 && job->p->parts_x == 1 && conv_pitch(job->p, width) == width;
    int64_t lines = whole ? 1 : job->rows, n = whole ? job->rows * width : width; /* rows that lie side by side, too */
    for (int64_t i = 0; i < job->p->m; i++, out += plane, sums += job->p->sums)
        for (int64_t b = 0; b < job->images; b++)
            for (int64_t r = 0; r < lines; r++) {
                real *to = out + b * step + (y->place + (job->row + r) * y->apart) * width;
                if (whole)
                    conv_copy(to, sums + b * n, n);
                else
                    conv_row_out(job->p, sums, b * job->rows + r, to, width);
                conv_finish(to, 0, 1, n, job->bias ? job->bias + i : NULL, job->relu);
            }
}

static inline void conv_gemm_unit(const tg_node *node, const conv *c, int which, int64_t unit, real *own) {
    const conv_plan *p = (const conv_plan *)node->plan;
    int64_t image = unit / (p->row_blocks * p->group_blocks) * p->images, g0 = unit % p->group_blocks * p->groups;
    const int64_t *size = which == CONV_FORWARD ? c->out : c->in, *from_size = which == CONV_FORWARD ? c->in : c->out;
    int64_t width = size[1], plane = size[0] * width, from_plane = from_size[0] * from_size[1];
    conv_job job = {.p = p, .images = TG_MIN(p->images, c->n - image), .relu = c->relu};
    job.row = unit / p->group_blocks % p->row_blocks * p->rows;
    job.next = image + 2 * p->images <= c->n;
    job.from_image = c->groups * p->channels * from_plane;
    for (int64_t g = g0; g < TG_MIN(g0 + p->groups, c->groups); g++) {
        real *out = (real *)node->args[0].data + (image * c->groups + g) * p->m * plane;
        if (which == CONV_FORWARD && node->n_args == 4) job.bias = (const real *)node->args[3].data + g * p->m;
        job.from = (const real *)node->args[1].data + (image * c->groups + g) * p->channels * from_plane;
        job.weights = (const real *)node->aux + g * p->weights;
        for (int64_t part = 0; part < p->parts_y * p->parts_x; part++) {
            int64_t across = part % p->parts_x;
            conv_part(c, which, part, &job.y, &job.x);
            job.rows = TG_MIN(p->rows, job.y.out - job.row);
            if (job.rows > 0 && job.x.out > 0) {
                job.crs = p->buffered ? p->sums : plane;
                job.c = p->buffered ? own + p->at_sums + across * p->m * p->sums : out + job.row * width;
                conv_correlate(&job, own);
            }
            job.weights += p->m * p->channels * job.y.taps * job.x.taps;
            if (p->buffered && across == p->parts_x - 1 && job.rows > 0)
                conv_copy_out(&job, own + p->at_sums, out, c->groups * p->m * plane, plane, width);
        }
    }
}

/* ---- the plan ---- */

/* Pictures merged, until rounding outputs up to vectors adds less than 3 %, or rows of one; then so many groups as are
 * worth a unit. */
static inline void conv_blocks(const conv *c, int which, conv_plan *p) {
    const int64_t *size = which == CONV_FORWARD ? c->out : c->in;
    int64_t each = p->few ? 0 : size[0] * size[1] / (p->parts_y * p->parts_x); /* outputs of a correlation */
    int64_t units = c->n * c->groups, work = p->m * size[0] * size[1] * p->channels * c->kernel[0] * c->kernel[1];
    conv_axis y, x;
    conv_part(c, which, 0, &y, &x);
    if (conv_in_place(&y, &x) && each >= 4 * GEMM_COLS) each = 0;
    p->images = 1, p->rows = gemm_pieces(size[0], p->parts_y), p->groups = 1;
    while (each &&
           (p->images * each < GEMM_LANES || GEMM_UP(p->images * each, GEMM_LANES) * 32 > p->images * each * 33) &&
           (p->images + 1) * p->m * size[0] * size[1] <= CONV_BLOCK && units / (p->images + 1) >= GEMM_UNITS)
        p->images++;
    if (p->images == 1) {
        int64_t row = p->m * size[1] * p->parts_y, most = TG_MAX(CONV_BLOCK / row, 1);
        int64_t wanted = TG_MIN(GEMM_UNITS, units * work / GEMM_UNIT); /* units in all */
        if (units < wanted) most = TG_MIN(most, TG_MAX(p->rows * units / wanted, 1));
        p->rows = gemm_share(p->rows, most);
    }
    p->image_blocks = gemm_pieces(c->n, p->images);
    p->row_blocks = gemm_pieces(gemm_pieces(size[0], p->parts_y), p->rows);
    work = work * p->images / p->row_blocks;
    p->groups = gemm_share(c->groups, TG_MAX(GEMM_UNIT / TG_MAX(work, 1), 1));
    p->group_blocks = gemm_pieces(c->groups, p->groups);
}

static inline int conv_gemm_prepare(tg_node *node, int which) {
    conv c = conv_of(node, which);
    conv_plan *p = (conv_plan *)node->plan;
    int64_t forward = which == CONV_FORWARD, taps = c.kernel[0] * c.kernel[1];
    const int64_t *size = forward ? c.out : c.in;
    *p = (conv_plan){.m = c.k / c.groups, .channels = c.c / c.groups, .parts_y = 1, .parts_x = 1};
    if (!forward)
        p->m = c.c / c.groups, p->channels = c.k / c.groups, p->parts_y = c.stride[0], p->parts_x = c.stride[1];
    if (c.n * p->m * size[0] * size[1] == 0) return 0; /* no phases: nothing to do */
    p->few = p->m <= CONV_FEW;
    p->height = p->few ? p->m : gemm_share(p->m, GEMM_ROWS);
    p->panels = gemm_pieces(p->m, p->height);
    p->weights = p->m * p->channels * taps;
    conv_blocks(&c, which, p);
    p->buffered = p->few || p->images > 1 || p->parts_y * p->parts_x > 1;

    int64_t stage = 0, panel = 0, sums = 0;
    for (int64_t part = 0; part < p->parts_y * p->parts_x; part++) {
        conv_axis y, x;
        conv_part(&c, which, part, &y, &x);
        if (y.taps * x.taps * y.out * x.out == 0) continue;
        conv_stage s = conv_stage_of(&y, &x, TG_MIN(p->rows, y.out), p->images);
        int64_t depth = conv_depth(p, y.taps * x.taps);
        stage = TG_MAX(stage, depth * s.plane);
        panel = TG_MAX(panel, depth * y.taps * x.taps);
    }
    sums = GEMM_UP(p->images * p->rows * conv_pitch(p, gemm_pieces(size[1], p->parts_x)), GEMM_LANES);
    p->sums = sums;
    int64_t line = 64 / (int64_t)sizeof(real);
    p->at_stage = GEMM_UP(taps * (int64_t)(sizeof(int64_t) / sizeof(real)), line);
    p->at_panel = p->at_stage + GEMM_UP(stage + GEMM_COLS, line);
    p->at_sums = p->at_panel + (p->few ? 0 : GEMM_UP((panel + 1) * GEMM_COLS, line));
    node->own_bytes = (p->at_sums + (p->buffered ? p->parts_x * p->m * sums : 0)) * (int64_t)sizeof(real);
    node->aux_bytes = c.groups * p->weights * (int64_t)sizeof(real);
    node->units[0] = c.groups * p->parts_y * p->parts_x * p->panels;
    node->units[1] = p->image_blocks * p->row_blocks * p->group_blocks;
    node->phases = 2;
    return 0;
}

static inline void conv_gemm_run(const tg_node *node, int which, int phase, int64_t lo, int64_t hi, char *own) {
    const conv_plan *p = (const conv_plan *)node->plan;
    conv c = conv_of(node, which);
    for (int64_t u = lo; u < hi; u++) {
        if (phase == 0)
            conv_weight_panel(&c, which, p, u, (const real *)node->args[2].data, (real *)node->aux);
        else
            conv_gemm_unit(node, &c, which, u, (real *)own);
    }
}

#endif

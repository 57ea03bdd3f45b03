/* conv.h: what a convolution is in numbers, and how pictures are laid out for the loops that read them.
 *
 * All arrays are contiguous: input (N, C, H, W), weight (K, C / groups, R, S), output (N, K, P, Q). Forward and the
 * gradient of the input are both correlations: an output is a sum, over channels and taps, of a weight times an element
 * a tap away. With strides, the gradient of the input is stride * stride of them, each for the outputs of one phase:
 * nothing is multiplied with zeros. Left out on purpose: other layouts than NCHW. Read next: conv_gemm.h. */
#ifndef TG_CONV_H
#define TG_CONV_H

#include "gemm.h"

enum { CONV_FORWARD, CONV_GRAD_INPUT, CONV_GRAD_WEIGHT };

typedef struct {
    int64_t n, c, k, groups, relu;
    int64_t in[2], out[2], kernel[2], stride[2], pad[2], dilation[2]; /* rows and columns */
} conv;

static inline conv conv_of(const tg_node *node, int which) {
    static const int input[] = {1, 0, 2}, weight[] = {2, 2, 0}, output[] = {0, 1, 1};
    const int64_t *x = node->args[input[which]].shape, *w = node->args[weight[which]].shape;
    const int64_t *y = node->args[output[which]].shape, *v = node->ints + (which == CONV_FORWARD ? 0 : 2);
    conv c = {.n = x[0], .c = x[1], .k = y[1], .groups = v[6], .relu = which == CONV_FORWARD && v[7] == 1};
    int turned = x[3] == 1 && w[3] == 1 && v[3] == 0; /* columns of one element: they are rows */
    for (int d = 0; d < 2; d++) {
        int e = turned ? 1 - d : d;
        c.in[d] = x[2 + e], c.out[d] = y[2 + e], c.kernel[d] = w[2 + e];
        c.stride[d] = v[e], c.pad[d] = v[2 + e], c.dilation[d] = v[4 + e];
    }
    return c;
}

/* Rows or columns of a correlation: output i, tap t reads element i * stride + t * step + start, 0 where there is none.
 * Tap t is element first + t * every of the kernel; output i lies at place + i * apart. */
typedef struct {
    int64_t in, out, taps, stride, step, start, first, every, place, apart;
    int64_t low, reach; /* the least of t * step + start, down to whole strides; how much more the greatest is */
} conv_axis;

static inline conv_axis conv_axis_done(conv_axis a) {
    int64_t far = TG_MAX(a.taps - 1, 0) * a.step;
    int64_t least = a.start + TG_MIN(far, 0), rest = (least % a.stride + a.stride) % a.stride;
    a.low = least - rest, a.reach = rest + (far < 0 ? -far : far);
    return a;
}

/* y[i] = sum over t of w[t] * x[i * stride + t * dilation - pad]. */
static inline conv_axis conv_axis_forward(const conv *c, int d) {
    conv_axis a = {.in = c->in[d], .out = c->out[d], .taps = c->kernel[d], .stride = c->stride[d]};
    a.step = c->dilation[d], a.start = -c->pad[d], a.every = 1, a.apart = 1;
    return conv_axis_done(a);
}

/* dx[phase + i * stride] = sum over t of w[t] * dy[(phase + i * stride + pad - t * dilation) / stride], over those t
 * for which nothing remains; which these are, repeats every stride / gcd(stride, dilation). */
static inline conv_axis conv_axis_backward(const conv *c, int d, int64_t phase) {
    int64_t s = c->stride[d], from = phase + c->pad[d];
    conv_axis a = {.in = c->out[d], .stride = 1, .place = phase, .apart = s, .every = 1};
    a.out = c->in[d] > phase ? gemm_pieces(c->in[d] - phase, s) : 0;
    while (a.every * c->dilation[d] % s) a.every++;
    while (a.first < a.every && (from - a.first * c->dilation[d]) % s) a.first++;
    if (a.first < TG_MIN(a.every, c->kernel[d])) a.taps = gemm_pieces(c->kernel[d] - a.first, a.every);
    if (a.taps) a.start = (from - a.first * c->dilation[d]) / s;
    a.step = -(a.every * c->dilation[d] / s);
    return conv_axis_done(a);
}

/* ---- the stage: channels of pictures, padded, their columns sorted by what remains after division by the stride, so
 * that neighbouring outputs read neighbouring elements ---- */

typedef struct {
    int64_t phase, pitch;   /* elements between such remainders, and between rows */
    int64_t picture, plane; /* elements of a picture and of a channel, which holds several */
} conv_stage;

static inline conv_stage conv_stage_of(const conv_axis *y, const conv_axis *x, int64_t rows, int64_t images) {
    conv_stage s = {.phase = (x->out - 1) + x->reach / x->stride + 1};
    if (x->stride > 1) s.phase = GEMM_UP(s.phase, 4); /* quads are written */
    s.pitch = s.phase * x->stride;
    s.picture = ((rows - 1) * y->stride + y->reach + 1) * s.pitch;
    s.plane = images * s.picture;
    return s;
}

/* Where the taps of output 0 lie in the stage. */
static inline void conv_tap_places(const conv_axis *y, const conv_axis *x, const conv_stage *s, int64_t *tap) {
    for (int64_t i = 0; i < y->taps; i++)
        for (int64_t j = 0; j < x->taps; j++) {
            int64_t column = x->start + j * x->step - x->low;
            *tap++ = (y->start + i * y->step - y->low) * s->pitch + column % x->stride * s->phase + column / x->stride;
        }
}

/* to[i] = from[i], i < n: in whole vectors, the last of which overlap those before. */
static inline void conv_copy(real *to, const real *from, int64_t n) {
    int64_t i = 0;
    if (n >= GEMM_LANES) {
        for (; i + GEMM_LANES < n; i += GEMM_LANES) *(gemm_loose *)(to + i) = *(const gemm_loose *)(from + i);
        *(gemm_loose *)(to + n - GEMM_LANES) = *(const gemm_loose *)(from + n - GEMM_LANES);
    } else if (n >= 4) {
        for (; i + 4 < n; i += 4) *(gemm_quad *)(to + i) = *(const gemm_quad *)(from + i);
        *(gemm_quad *)(to + n - 4) = *(const gemm_quad *)(from + n - 4);
    } else {
        for (; i < n; i++) to[i] = from[i];
    }
}

/* to[i] = 0, i < n. */
static inline void conv_zero(real *to, int64_t n) {
    int64_t i = 0;
    if (n >= GEMM_LANES) {
        for (; i + GEMM_LANES < n; i += GEMM_LANES) *(gemm_loose *)(to + i) = (gemm_vec){0};
        *(gemm_loose *)(to + n - GEMM_LANES) = (gemm_vec){0};
    } else {
        for (; i < n; i++) to[i] = 0;
    }
}

/* A line of the stage: the columns from x->low on of a row of a picture, zeros around it. */
static inline void conv_stage_line(const conv_axis *x, int64_t phase, const real *from, real *to) {
    int64_t step = x->stride, lo = TG_MIN(x->low < 0 ? -x->low / step : 0, phase);
    int64_t columns = TG_MAX(x->in - x->low - lo * step, 0); /* from the first one inside on */
    from += x->low + lo * step;                              /* place lo + i of remainder r holds column r + i * step */
    if (step == 1) {
        int64_t n = TG_MIN(columns, phase - lo);
        if (phase >= GEMM_LANES && TG_MAX(lo, phase - lo - n) <= GEMM_LANES)
            *(gemm_loose *)to = *(gemm_loose *)(to + phase - GEMM_LANES) = (gemm_vec){0};
        else
            conv_zero(to, phase);
        conv_copy(to + lo, from, n);
        return;
    }
    conv_zero(to, phase * step);
    to += lo;
    int64_t pairs = step == 2 ? TG_MIN(columns / 2, phase - lo) : 0;
    for (int64_t at = 0; pairs >= 4 && at < pairs; at += 4) {
        int64_t i = TG_MIN(at, pairs - 4);
        gemm_quad a = *(const gemm_quad *)(from + 2 * i), b = *(const gemm_quad *)(from + 2 * i + 4);
        *(gemm_quad *)(to + i) = __builtin_shufflevector(a, b, 0, 2, 4, 6);
        *(gemm_quad *)(to + phase + i) = __builtin_shufflevector(a, b, 1, 3, 5, 7);
    }
    for (int64_t r = 0; r < step; r++, to += phase) {
        int64_t n = TG_MIN((columns - r + step - 1) / step, phase - lo);
        for (int64_t i = pairs >= 4 ? pairs : 0; i < n; i++) to[i] = from[r + i * step];
    }
}

/* Stage what `rows` rows of outputs from row0 on read of some channels of some pictures, which lie `step` apart. */
static inline void conv_stage_fill(const conv_axis *y, const conv_axis *x, const conv_stage *s, int64_t row0,
                                   int64_t rows, int64_t channels, int64_t images, const real *from, int64_t step,
                                   real *to) {
    int64_t lines = (rows - 1) * y->stride + y->reach + 1, top = row0 * y->stride + y->low;
    int64_t lo = TG_MIN(TG_MAX(-top, 0), lines), hi = TG_MAX(TG_MIN(y->in - top, lines), lo);
    for (int64_t c = 0; c < channels; c++, from += y->in * x->in)
        for (int64_t i = 0; i < images; i++, to += s->picture) {
            const real *f = from + i * step + (top + lo) * x->in;
            real *t = to + lo * s->pitch;
            memset(to, 0, (size_t)(lo * s->pitch) * sizeof(real));
            if (s->pitch == x->in && x->low == 0 && x->stride == 1)
                conv_copy(t, f, (hi - lo) * s->pitch);
            else
                for (int64_t line = lo; line < hi; line++, f += x->in, t += s->pitch)
                    conv_stage_line(x, s->phase, f, t);
            memset(to + hi * s->pitch, 0, (size_t)((lines - hi) * s->pitch) * sizeof(real));
        }
}

/* ---- fetching ahead: lines of memory that come next are asked for while tiles are computed (the weights' gradient of
 * 256 -> 128 1x1 at 14x14: 5.0 ms against 6.0) ---- */

typedef struct {
    const char *from; /* of `pictures` pictures, `step` bytes apart, the first `bytes` bytes */
    int64_t step, bytes, pictures;
    int64_t at, share; /* the next picture and byte; how much to ask for at a time */
} conv_ahead;

static inline conv_ahead conv_ahead_of(const real *from, int64_t pictures, int64_t step, int64_t count, int64_t turns) {
    conv_ahead a = {(const char *)from, step * (int64_t)sizeof(real), count * (int64_t)sizeof(real), pictures, 0, 0};
    a.share = GEMM_UP(gemm_pieces(a.bytes * pictures, TG_MAX(turns, 1)), 64);
    return a;
}

static inline void conv_fetch(conv_ahead *a) {
    for (int64_t left = a->share; left > 0 && a->pictures > 0;) {
        int64_t end = TG_MIN(a->at + left, a->bytes);
        left -= end - a->at;
        for (; a->at < end; a->at += 64) __builtin_prefetch(a->from + a->at, 0, 2);
        if (a->at >= a->bytes) a->at = 0, a->from += a->step, a->pictures--;
    }
}

#endif

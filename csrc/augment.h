/* augment.h: what happens to an image on its way into a batch: flips, windows, affine maps, on planes of bytes.
 *
 * The numbers are those of ops/augment.py, bit for bit: decisions come from Philox, arithmetic is made of operations
 * that IEEE 754 rounds exactly, in one order, and the build forbids FMA. Planes are small (28x28 bytes) and stay in the
 * first-level cache from step to step. Left out on purpose: expanding rotations, whose size differs from image to
 * image, and resizing. Read next: batch.c, which runs the steps; ops/augment.py, which makes them. */
#ifndef TG_AUGMENT_H
#define TG_AUGMENT_H

#include "philox.h"

enum { FLIP_H, FLIP_V, WINDOW, AFFINE };     /* kind */
enum { CONSTANT, EDGE, REFLECT, SYMMETRIC }; /* mode */
enum { NUMBERS = 8, CHANNELS = 8 };          /* drawn for a step; most channels that `fill` has room for */

/* A row of the program, a table of doubles: what Step is in Python. Pairs are limits that a number is drawn from. */
typedef struct {
    double kind, height, width, out_height, out_width;
    double p;                     /* FLIP: the probability */
    double top[2], left[2], mode; /* WINDOW: where it starts in the image, whole numbers, and what is outside of it */
    double degrees[2], shift_x[2], shift_y[2], scale[2], shear_x[2], shear_y[2], bilinear, center[2]; /* AFFINE */
    double fill[CHANNELS];
} step;

/* The numbers of step s, each in [0, 1): the words of its first lane, then those of its second. */
static inline void numbers_of(words w, int64_t s, double *u) {
    for (int j = 0; j < NUMBERS; j++) u[j] = (double)w[j % 4][2 * s + j / 4] * 0x1p-32;
}

/* ---- flips and windows ---- */

typedef uint8_t chunk __attribute__((vector_size(16)));

static inline chunk load(const uint8_t *from) {
    chunk x;
    memcpy(&x, from, 16);
    return x;
}

/* to[i] = from[n - 1 - i] */
static inline void reversed_row(uint8_t *to, const uint8_t *from, int64_t n) {
    if (n < 16) {
        for (int64_t i = 0; i < n; i++) to[i] = from[n - 1 - i];
        return;
    }
    for (int64_t i = 0;; i = TG_MIN(i + 16, n - 16)) { /* the last two chunks overlap */
        chunk x = load(from + n - 16 - i);
        x = __builtin_shufflevector(x, x, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        memcpy(to + i, &x, 16);
        if (i == n - 16) return;
    }
}

/* to[i] = from[i], without a call: an image has many rows, and short ones. */
static inline void copied_row(uint8_t *to, const uint8_t *from, int64_t n) {
    if (n < 16) {
        for (int64_t i = 0; i < n; i++) to[i] = from[i];
        return;
    }
    for (int64_t i = 0;; i = TG_MIN(i + 16, n - 16)) {
        chunk x = load(from + i);
        memcpy(to + i, &x, 16);
        if (i == n - 16) return;
    }
}

/* image[:, ::-1] or image[::-1] */
static inline void flip(uint8_t *to, const uint8_t *from, int64_t h, int64_t w, int vertical) {
    for (int64_t r = 0; r < h; r++)
        if (vertical)
            copied_row(to + r * w, from + (h - 1 - r) * w, w);
        else
            reversed_row(to + r * w, from + r * w, w);
}

/* The index inside a line of n that index i, perhaps outside, stands for; padding is never wider than the line. */
static inline int64_t inside(int64_t i, int64_t n, int mode) {
    int64_t past = mode == SYMMETRIC;
    if (mode != EDGE) i = i < 0 ? -i - past : i >= n ? 2 * n - 2 - i + past : i;
    return TG_MAX(0, TG_MIN(i, n - 1));
}

/* to[r, c] = from[top + r, left + c]; outside of `from` it is `fill`, or what `mode` finds inside. */
static inline void window(uint8_t *to, int64_t height, int64_t width, const uint8_t *from, int64_t h, int64_t w,
                          int64_t top, int64_t left, int mode, int fill) {
    int64_t first = TG_MAX(0, TG_MIN(-left, width)), last = TG_MAX(first, TG_MIN(w - left, width));
    if (mode == CONSTANT) {
        if (top < 0 || left < 0 || top + height > h || left + width > w) memset(to, fill, (size_t)(height * width));
        for (int64_t r = TG_MAX(0, -top); r < TG_MIN(height, h - top); r++)
            copied_row(to + r * width + first, from + (top + r) * w + left + first, last - first);
        return;
    }
    for (int64_t r = 0; r < height; r++, to += width) {
        const uint8_t *row = from + inside(top + r, h, mode) * w;
        for (int64_t c = 0; c < first; c++) to[c] = row[inside(left + c, w, mode)];
        copied_row(to + first, row + left + first, last - first);
        for (int64_t c = last; c < width; c++) to[c] = row[inside(left + c, w, mode)];
    }
}

/* ---- affine maps ---- */

/* Sine and cosine of an angle in degrees: series about the nearest quarter turn, so that quarter turns are exact. */
static inline void sin_cos(double degrees, double *sine, double *cosine) {
    static const double sine_series[] = {
        -1.0 / 6,        1.0 / 120,        -1.0 / 5040,          1.0 / 362880,
        -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000};
    static const double cosine_series[] = {-1.0 / 2,
                                           1.0 / 24,
                                           -1.0 / 720,
                                           1.0 / 40320,
                                           -1.0 / 3628800,
                                           1.0 / 479001600,
                                           -1.0 / 87178291200,
                                           1.0 / 20922789888000,
                                           -1.0 / 6402373705728000};
    if (degrees == 0) { /* of a shear, mostly */
        *sine = degrees, *cosine = 1;
        return;
    }
    double quarters = degrees / 90, nearest = floor(quarters + 0.5), t = (quarters - nearest) * 1.5707963267948966;
    double square = t * t, s = sine_series[7] * square, c = cosine_series[8] * square;
    for (int i = 6; i >= 0; i--) s = (s + sine_series[i]) * square;
    for (int i = 7; i >= 0; i--) c = (c + cosine_series[i]) * square;
    s = t + t * s, c = 1 + c;
    int turn = (int)((int64_t)nearest & 3);
    double a = turn & 1 ? c : s, b = turn & 1 ? -s : c;
    *sine = turn & 2 ? -a : a, *cosine = turn & 2 ? -b : b;
}

/* Where the pixels of the result come from, (x, y) -> (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]), both from the
 * middle of the image: torchvision's inverse of T C R(angle) S(shear) scale C^-1, T the shift, C the center. */
static inline void inverse_map(double *m, double angle, double shift_x, double shift_y, double scale, double shear_x,
                               double shear_y, const double *center) {
    double sine, cosine, s, c, sx, cx, sy, cy;
    sin_cos(angle, &sine, &cosine);
    s = sine, c = cosine;
    if (shear_y != 0) sin_cos(angle - shear_y, &s, &c);
    sin_cos(shear_x, &sx, &cx);
    sin_cos(shear_y, &sy, &cy);
    double tangent = sx / cx;
    m[0] = (cosine - s * tangent / cy) / scale;
    m[1] = (c * tangent / cy + sine) / scale;
    m[3] = -s / cy / scale;
    m[4] = c / cy / scale;
    m[2] = m[0] * (-center[0] - shift_x) + m[1] * (-center[1] - shift_y) + center[0];
    m[5] = m[3] * (-center[0] - shift_x) + m[4] * (-center[1] - shift_y) + center[1];
}

/* A number between the limits, u of the way from the first to the second. */
static inline double between(const double *limits, double u) { return limits[0] + u * (limits[1] - limits[0]); }

static inline void drawn_map(double *m, const step *p, const double *u) {
    inverse_map(m, between(p->degrees, u[0]), rint(between(p->shift_x, u[1])), rint(between(p->shift_y, u[2])),
                between(p->scale, u[3]), between(p->shear_x, u[4]), between(p->shear_y, u[5]), p->center);
}

enum {
    STRETCH = 128, /* pixels taken at a time, rows together: 0.47 us an image of 28x28; at 512 0.53, at 28 0.91 */
    SLACK = 16     /* past the end of rows and planes, for the last vector */
};

/* Bytes of scratch for the maps of an image of this size: its pixels with a border of 2, four neighbours each,
 * and a table for columns. */
static inline int64_t affine_bytes(int64_t h, int64_t w) {
    return 5 * ((h + 4) * (w + 4) + 2 * SLACK) + 8 * (w + SLACK);
}

static inline int64_t whole_vectors(int64_t n) { return (n + 15) / 16 * 16; }

/* Where the pixels of a part of an image come from, in the image with its border: rows first_row .. last_row - 1, of
 * each `length` columns from `first` on. */
typedef struct {
    const float *across, *across_y; /* what a column adds to x and y */
    double x0, y0, dx, dy;          /* x and y of row 0 without that, and what a row adds to them */
    float x_most, y_most;
    int32_t pitch;
    int64_t first_row, last_row, first, length;
} part;

static inline void held(float *x, float *y, float x_most, float y_most) {
    *x = *x < 0 ? 0 : *x, *y = *y < 0 ? 0 : *y;
    *x = *x < x_most ? *x : x_most, *y = *y < y_most ? *y : y_most;
}

/* A float from 0 to 2^22 rounded to the nearest whole number, ties to even: the low bits of it plus 1.5 * 2^23. */
static inline int32_t rounded_bits(float x) {
    x += 12582912.0f;
    int32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

/* For each pixel the index of the upper left one of four, and fractions. Neither inlined nor cloned, or GCC 12 fails to
 * vectorise it. The last vector of a row may reach past it, into the next one. */
static __attribute__((noinline, noclone)) void locate(int32_t *restrict at, float *restrict fx, float *restrict fy,
                                                      const part *p) {
    const float x_most = p->x_most, y_most = p->y_most;
    const int32_t pitch = p->pitch, n = (int32_t)whole_vectors(p->length);
    for (int64_t r = p->first_row; r < p->last_row; r++) {
        const float *restrict across = p->across + p->first, *restrict across_y = p->across_y + p->first;
        const float x0 = (float)(p->x0 + p->dx * (double)r), y0 = (float)(p->y0 + p->dy * (double)r);
#pragma omp simd
        for (int32_t i = 0; i < n; i++) {
            float x = x0 + across[i], y = y0 + across_y[i];
            held(&x, &y, x_most, y_most);
            int32_t column = (int32_t)x, row = (int32_t)y;
            fx[i] = x - (float)column, fy[i] = y - (float)row;
            at[i] = row * pitch + column;
        }
        at += p->length, fx += p->length, fy += p->length;
    }
}

/* For each pixel the index of the nearest one. */
static __attribute__((noinline, noclone)) void locate_nearest(int32_t *restrict at, const part *p) {
    const float x_most = p->x_most, y_most = p->y_most;
    const int32_t pitch = p->pitch, n = (int32_t)whole_vectors(p->length);
    for (int64_t r = p->first_row; r < p->last_row; r++) {
        const float *restrict across = p->across + p->first, *restrict across_y = p->across_y + p->first;
        const float x0 = (float)(p->x0 + p->dx * (double)r), y0 = (float)(p->y0 + p->dy * (double)r);
#pragma omp simd
        for (int32_t i = 0; i < n; i++) {
            float x = x0 + across[i], y = y0 + across_y[i];
            held(&x, &y, x_most, y_most);
            at[i] = (rounded_bits(y) & 0x3FFFFF) * pitch + (rounded_bits(x) & 0x3FFFFF);
        }
        at += p->length;
    }
}

typedef uint16_t halves __attribute__((vector_size(16)));
#define ZIP8_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP8_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define ZIP4_LOW(a, b) __builtin_shufflevector((halves)(a), (halves)(b), 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP4_HIGH(a, b) __builtin_shufflevector((halves)(a), (halves)(b), 4, 12, 5, 13, 6, 14, 7, 15)

/* q[i] holds four bytes, row[i], row[i + 1], below[i], below[i + 1]: one look-up finds all that lie around a point. */
static inline void neighbours(uint32_t *q, const uint8_t *row, const uint8_t *below, int64_t n) {
    for (int64_t i = 0; i < n; i += 16) {
        chunk a = load(row + i), b = load(row + i + 1), c = load(below + i), d = load(below + i + 1);
        chunk low = ZIP8_LOW(a, b), low2 = ZIP8_LOW(c, d), high = ZIP8_HIGH(a, b), high2 = ZIP8_HIGH(c, d);
        halves x0 = ZIP4_LOW(low, low2), x1 = ZIP4_HIGH(low, low2);
        halves x2 = ZIP4_LOW(high, high2), x3 = ZIP4_HIGH(high, high2);
        memcpy(q + i, &x0, 16), memcpy(q + i + 4, &x1, 16), memcpy(q + i + 8, &x2, 16), memcpy(q + i + 12, &x3, 16);
    }
}

/* q[i] = table[at[i]], four at a time. 784 of them take 0.14 us, AVX-512's gather 0.24 (Zen 5). */
static inline void look_up(uint32_t *q, const uint32_t *table, const int32_t *at, int64_t n) {
    typedef uint32_t quad __attribute__((vector_size(16)));
    for (int64_t i = 0; i < n; i += 4) {
        quad x = {table[at[i]], table[at[i + 1]], table[at[i + 2]], table[at[i + 3]]};
        memcpy(q + i, &x, 16);
    }
}

/* Between the four bytes of q[i], left to right, then top to bottom; the rounded result is the low byte. */
static __attribute__((noinline, noclone)) void interpolate(uint32_t *restrict q, const float *restrict fx,
                                                           const float *restrict fy, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float a = (float)(int32_t)(q[i] & 255), b = (float)(int32_t)(q[i] >> 8 & 255);
        float c = (float)(int32_t)(q[i] >> 16 & 255), d = (float)(int32_t)(q[i] >> 24);
        float top = a + fx[i] * (b - a), bottom = c + fx[i] * (d - c);
        q[i] = (uint32_t)rounded_bits(top + fy[i] * (bottom - top));
    }
}

/* to[i] = the low byte of q[i] */
static inline void low_bytes(uint8_t *to, const uint32_t *q, int64_t n) {
    for (int64_t i = 0; i < n; i += 16) {
#ifdef __AVX512F__
        _mm_storeu_si128((__m128i *)(to + i), _mm512_cvtepi32_epi8(_mm512_loadu_si512(q + i)));
#else
        halves x[4];
        memcpy(x, q + i, 64);
        halves y0 = __builtin_shufflevector(x[0], x[1], 0, 2, 4, 6, 8, 10, 12, 14);
        halves y1 = __builtin_shufflevector(x[2], x[3], 0, 2, 4, 6, 8, 10, 12, 14);
        chunk z =
            __builtin_shufflevector((chunk)y0, (chunk)y1, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        memcpy(to + i, &z, 16);
#endif
    }
}

/* A plane seen through the map m, of its own size; `fill` lies around it. Up to SLACK bytes past `to` are written. */
static inline void affine(uint8_t *to, const uint8_t *from, int64_t h, int64_t w, const double *m, int smooth, int fill,
                          char *scratch) {
    const int64_t pitch = smooth ? w + 3 : w + 4; /* the fourth column and row are only neighbours */
    float *across = (float *)scratch, *across_y = across + w + SLACK;
    uint32_t *table = (uint32_t *)(across_y + w + SLACK);
    uint8_t *bordered = (uint8_t *)(table + (h + 4) * (w + 4) + 2 * SLACK);
    window(bordered, h + 4, w + 4, from, h, w, -2, -2, CONSTANT, fill);
    for (int64_t r = 0; smooth && r < h + 3; r++)
        neighbours(table + r * pitch, bordered + r * (w + 4), bordered + (r + 1) * (w + 4), pitch);
    for (int64_t i = 0; i < w + SLACK; i++) {
        float column = (float)(int32_t)i;
        across[i] = (float)m[0] * column, across_y[i] = (float)m[3] * column;
    }
    const double cx = (double)(w - 1) / 2, cy = (double)(h - 1) / 2;
    const double x0 = m[2] + cx + 2 - m[0] * cx - m[1] * cy, y0 = m[5] + cy + 2 - m[3] * cx - m[4] * cy;
    part p = {.across = across, .across_y = across_y, .x0 = x0, .y0 = y0, .dx = m[1], .dy = m[4]};
    p.x_most = (float)(pitch - 1), p.y_most = (float)(smooth ? h + 2 : h + 3), p.pitch = (int32_t)pitch;
    const int64_t rows = TG_MAX(1, STRETCH / w);
    for (p.first_row = 0; p.first_row < h; p.first_row = p.last_row) {
        p.last_row = TG_MIN(p.first_row + rows, h);
        for (p.first = 0; p.first < w; p.first += p.length) {
            _Alignas(64) int32_t at[STRETCH + SLACK];
            _Alignas(64) uint32_t q[STRETCH + SLACK];
            _Alignas(64) float fx[STRETCH + SLACK], fy[STRETCH + SLACK];
            p.length = TG_MIN(STRETCH, w - p.first);
            const int64_t n = (p.last_row - p.first_row) * p.length, padded = whole_vectors(n);
            uint8_t *out = to + p.first_row * w + p.first;
            if (!smooth) {
                locate_nearest(at, &p);
                for (int64_t i = 0; i < n; i++) out[i] = bordered[at[i]];
                continue;
            }
            locate(at, fx, fy, &p);
            memset(at + n, 0, SLACK * sizeof *at); /* the last vector may reach past the last row */
            look_up(q, table, at, padded);
            interpolate(q, fx, fy, padded);
            low_bytes(out, q, padded);
        }
    }
}

/* ---- a step ---- */

/* Apply p to `channels` planes at *from, with the numbers u, writing them to `to`; *from becomes where they are. */
static inline void take_step(const step *p, const double *u, int64_t channels, const uint8_t **from, uint8_t *to,
                             char *scratch) {
    const int64_t h = (int64_t)p->height, w = (int64_t)p->width, size = h * w;
    const int64_t height = (int64_t)p->out_height, width = (int64_t)p->out_width;
    const int kind = (int)p->kind, mode = (int)p->mode;
    int64_t top = 0, left = 0;
    double m[6] = {0};
    if (kind == WINDOW) {
        top = (int64_t)p->top[0] + (int64_t)(u[0] * (p->top[1] - p->top[0] + 1));
        left = (int64_t)p->left[0] + (int64_t)(u[1] * (p->left[1] - p->left[0] + 1));
    } else if (kind == AFFINE) {
        drawn_map(m, p, u);
    } else if (!(u[0] < p->p)) {
        return;
    }
    for (int64_t c = 0; c < channels; c++) {
        const uint8_t *x = *from + c * size;
        uint8_t *y = to + c * height * width;
        if (kind == WINDOW)
            window(y, height, width, x, h, w, top, left, mode, (int)p->fill[c]);
        else if (kind == AFFINE)
            affine(y, x, h, w, m, p->bilinear != 0, (int)p->fill[c], scratch);
        else
            flip(y, x, h, w, kind == FLIP_V);
    }
    *from = to;
}

#endif

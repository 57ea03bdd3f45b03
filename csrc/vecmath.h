/* vecmath.h: exp, log and their kin for loops that the compiler turns into vectors: no branch, no table, no call.
 *
 * In float each function is a polynomial on a short interval, the rest put on by exponent bits; the fits are minimax
 * fits made for this file. Errors are the largest found against libm in double, over 100 million
 * floats of all magnitudes, in units in the last place (ulp). In double the names stand for libm's functions, which are
 * right but not vectors.
 *
 * a * b + c is written FMA(a, b, c) where one rounding is wanted. So the bits do not depend on what the compiler makes
 * of a loop: where a file is compiled with -ffp-contract=off, an element comes out the same in body and tail. Left out
 * on purpose: tables and floats wider than float, which cost gathers or half the lanes (sin and cos excepted). Read
 * next: elementwise.def, where they are used. */
#ifndef TG_VECMATH_H
#define TG_VECMATH_H

#include <float.h>

#include "kernel.h"

#if TG_TYPE_IS == 1
#define REAL(function) function##f /* libm's function of the type in hand */

#if defined(__FMA__) || defined(__aarch64__)
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

#define LN2_HI 0.693359375f /* 9 bits: its product with an exponent is exact */
#define LN2_LO -2.12194440e-4f
#define LOG2_E 1.44269504f
#define ROUNDER \
    12582912.0f /* 1.5 * 2^23: added to a number below 2^22, it leaves the nearest integer in the low bits */

#define DOUBLE_ROUNDER 6755399441055744.0 /* 1.5 * 2^52, the same for double */

static inline int32_t bits_of(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float from_bits(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float power_of_2(int32_t n) { return from_bits((n + 127) << 23); }

/* x = n ln2 + r with |r| <= ln2 / 2; returns e^r - 1. A NaN goes through. */
static inline float exp_reduced(float x, int32_t *n) {
    float t = FMA(x, LOG2_E, ROUNDER), k = t - ROUNDER;
    *n = bits_of(t) - bits_of(ROUNDER);
    float r = FMA(k, -LN2_LO, FMA(k, -LN2_HI, x));
    float q = FMA(FMA(FMA(FMA(1.38144311e-3f, r, 8.3687969e-3f), r, 0.0416683958f), r, 0.1666652f), r, 0.499999934f);
    return FMA(r * r, q, r);
}

/* vexp of an x that is at most 44: for softmax. A factor of 2^64 keeps what is scaled a normal number. */
static inline float vexp_to_1(float x) {
    x = x < -104.0f ? -104.0f : x;
    int32_t n;
    float e = 1.0f + exp_reduced(x, &n);
    return e * power_of_2(n + 64) * 0x1p-64f;
}

/* 1.0 ulp. Below -104 it is 0, from 88.73 on Inf; denormal results are rounded once. */
static inline float vexp(float x) {
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    int32_t n;
    float e = 1.0f + exp_reduced(x, &n);
    return e * power_of_2(n >> 1) * power_of_2(n - (n >> 1)); /* 2^n alone may lie beyond the normal numbers */
}

/* 1.5 ulp. */
static inline float vexpm1(float x) {
    float a = x < -18.0f ? -18.0f : x;
    a = a > 89.0f ? 89.0f : a;
    int32_t n;
    float p = exp_reduced(a, &n), half = power_of_2(n - 1);
    float y = 2.0f * FMA(half, p, half - 0.5f);
    return fabsf(x) < 1e-8f ? x : y; /* keeps denormals and -0 */
}

/* 0.9 ulp. Denormals count in full; 0 gives -Inf, less gives NaN. */
static inline float vlog(float x) {
    int tiny = x < FLT_MIN;
    int32_t bits = bits_of(tiny ? x * 8388608.0f : x) - 0x3f3504f3; /* sqrt(1/2): the mantissa lies about 1 */
    float k = (float)((bits >> 23) - (tiny ? 23 : 0));
    float f = from_bits((bits & 0x7fffff) + 0x3f3504f3) - 1.0f, s = f * f;
    float p = FMA(FMA(FMA(-0.0763625423f, f, 0.127636331f), f, -0.131605136f), f, 0.142015082f);
    p = FMA(FMA(FMA(FMA(p, f, -0.166233002f), f, 0.200012353f), f, -0.250008227f), f, 0.333333316f);
    float y = FMA(k, LN2_HI, f + FMA(-0.5f, s, FMA(k, LN2_LO, f * s * p)));
    y = x > FLT_MAX ? x : y;
    return x > 0 ? y : x == 0 ? -INFINITY : NAN;
}

/* 1.5 ulp: the logarithm of 1 + x as rounded, and what the rounding took away. */
static inline float vlog1p(float x) {
    float u = 1.0f + x, lost = x - (u - 1.0f);
    float y = vlog(u) + (u > 0 && u <= FLT_MAX ? lost / u : 0);
    return x == 0 ? x : y;
}

/* 2.5 ulp. */
static inline float vtanh(float x) {
    float a = fabsf(x);
    float e = vexpm1(-2.0f * (a > 10.0f ? 10.0f : a));
    return copysignf(-e / (e + 2.0f), x);
}

/* 2.4 ulp. exp of what is not positive does not overflow. */
static inline float vsigmoid(float x) {
    float e = vexp(-fabsf(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

/* 1.4 ulp: x + x P(x^2) near 0, else 1 - exp(-G(|x|)). */
static inline float verf(float x) {
    float a = fabsf(x), s = x * x, t = a > 4.0f ? 4.0f : a;
    float p = FMA(FMA(-5.95516801e-4f, s, 4.98622116e-3f), s, -0.0267619112f);
    p = FMA(FMA(FMA(p, s, 0.112816878f), s, -0.376124816f), s, 0.128379148f);
    float g = FMA(FMA(FMA(-1.95938262e-4f, t, 3.04322677e-3f), t, -0.0222269553f), t, 0.103931665f);
    g = t + FMA(FMA(FMA(g, t, 0.637182175f), t, 0.127675666f), t, 1.95666514e-4f);
    return a < 0.9296875f ? FMA(x, p, x) : copysignf(1.0f - vexp(-g), x);
}

/* The standard normal distribution's function, within 2.5e-7, and far below 0 within 4e-6 of the value;
 * *bell is exp(-x^2 / 2).
 * For a = |x| the part beyond a is bell times a polynomial in 1 / (1 + 0.3 a), so nothing cancels as in 1 + erf. */
static inline float vnormal(float x, float *bell) {
    float a = fabsf(x), t = 1.0f / FMA(0.3f, a, 1.0f), e = vexp(-0.5f * x * x);
    float p = FMA(FMA(FMA(0.0382710288f, t, -0.168643642f), t, 0.227578185f), t, -0.0752656866f);
    p = FMA(FMA(FMA(FMA(FMA(p, t, 0.141675777f), t, 0.0950510994f), t, 0.121825887f), t, 0.119500997f), t,
            6.38311546e-6f);
    *bell = e;
    return x > 0 ? 1.0f - e * p : e * p;
}

/* x^y for finite y and finite x > 0, by way of 2^(y log2 x) in double: 0.51 ulp. */
static inline float vpow(float x, float y) {
    double wide = x;
    int64_t bits, k;
    memcpy(&bits, &wide, sizeof bits);
    bits -= 0x3fe6a09e667f3bcd; /* sqrt(1/2): the mantissa lies about 1 */
    k = bits >> 52;
    bits = (bits & 0xfffffffffffff) + 0x3fe6a09e667f3bcd;
    double m, scale;
    memcpy(&m, &bits, sizeof m);
    double u = (m - 1) / (m + 1), s = u * u;
    double p = ((0.28290234559799893 * s + 0.3199055490419086) * s + 0.41220925580013001) * s + 0.57707794233413645;
    double z = y * ((double)k + u * ((p * s + 0.96179669411341973) * s + 2.8853900817778491));
    z = z < -200 ? -200 : z;
    z = z > 200 ? 200 : z; /* float ends long before */
    double t = z + DOUBLE_ROUNDER, f = z - (t - DOUBLE_ROUNDER);
    p = ((1.5201897176591522e-05 * f + 0.00015469317364980018) * f + 0.0013333922873204529) * f + 0.0096180271725734567;
    p = (((p * f + 0.055504103528112879) * f + 0.24022651198756548) * f + 0.69314718072872139) * f +
        0.99999999996162148;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits + 1023) << 52; /* the integer in t's low bits, as an exponent */
    memcpy(&scale, &bits, sizeof scale);
    return (float)(p * scale);
}

/* x = k pi/2 + r in double, exact enough for float up to TRIG_MAX; k's low bits say where on the circle. */
#define TRIG_MAX 1e6f
static inline double quarter_turns(float x, int64_t *k) {
    double t = x * 0.63661977236758138 + DOUBLE_ROUNDER, turns = t - DOUBLE_ROUNDER;
    memcpy(k, &t, sizeof t);
    return (x - turns * 1.57079632673412561417) - turns * 6.07710050650619224932e-11; /* pi/2 = 33 bits + the rest */
}

static inline double sin_or_cos(double r, int64_t k) {
    double s = r * r;
    double sine = r + r * s *
                          (((2.7180639511250674e-06 * s - 0.0001983930624168934) * s + 0.0083333292861739981) * s -
                           0.16666666640636604);
    double cosine = 1 - 0.5 * s +
                    s * s *
                        (((-2.720970780269385e-07 * s + 2.4799513675241978e-05) * s - 0.0013888883729752818) * s +
                         0.04166666662255817);
    double y = k & 1 ? cosine : sine;
    return k & 2 ? -y : y;
}

/* 0.51 ulp, up to TRIG_MAX; beyond, one needs libm's. */
static inline float vsin(float x) {
    int64_t k;
    double r = quarter_turns(x, &k);
    return x == 0 ? x : (float)sin_or_cos(r, k);
}

static inline float vcos(float x) {
    int64_t k;
    double r = quarter_turns(x, &k);
    return (float)sin_or_cos(r, k + 1);
}

#elif TG_TYPE_IS == 2
#define REAL(function) function
#define FMA(a, b, c) ((a) * (b) + (c))
#define TRIG_MAX INFINITY
#define vexp exp
#define vexp_to_1 exp
#define vexpm1 expm1
#define vlog log
#define vlog1p log1p
#define vtanh tanh
#define verf erf
#define vsin sin
#define vcos cos

static inline double vnormal(double x, double *bell) {
    *bell = exp(-0.5 * x * x);
    return 0.5 * erfc(x * -0.70710678118654752440);
}

static inline double vsigmoid(double x) {
    double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}
#endif

#endif

"""Random numbers from a counter: the same bits on every backend, for any number of threads, after every resume.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011) turns a key and a
counter into four words of 32 bits. The key is the seed, the counter (block, stream): every call of a random op takes a
stream of its own, and an element's place in its tensor says which block and word it gets. A generator is a tensor that
holds (seed, stream), which ops move on by one stream, so a replayed step draws anew each time. Normal numbers come from
operations that IEEE 754 rounds exactly (+ - * / sqrt), never from libm. Left out: distributions beyond PyTorch's
creation functions. Read next: csrc/random.c, the same in C; random.py, what users call.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from .. import dtypes
from ..op import Op, Spec
from ..storage import Layout
from ..tensor import Tensor
from .common import Maker, zeros_as

LANES = 16  # blocks made together; their words are stored lane by lane: word 0 of blocks 0..15, word 1 of them, ...
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = 0x9E3779B9, 0xBB67AE85
LOW = np.uint64(0xFFFFFFFF)


def philox(counter: Any, key: tuple[int, int]) -> Any:
    """Philox4x32-10: the four words for each of n counters. counter: uint64 (4, n) of 32-bit words; the result too."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ np.uint64(k0), p1 & LOW, (p0 >> 32) ^ c3 ^ np.uint64(k1), p0 & LOW
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3])


def groups(key: Any, count: int) -> Any:
    """The words of the first `count` groups of LANES blocks of a stream: uint64 (count, 4, LANES)."""
    seed, stream = key.astype(np.int64).view(np.uint64)
    block = np.arange(count * LANES, dtype=np.uint64)
    counter = np.stack([block & LOW, block >> 32, np.full_like(block, stream & LOW), np.full_like(block, stream >> 32)])
    words = philox(counter, (int(seed & LOW), int(seed >> 32)))
    return words.reshape(4, count, LANES).transpose(1, 0, 2)


def words32(key: Any, n: int) -> Any:
    """n numbers of 32 bits, as uint64: 64 a group."""
    return groups(key, -(-n // 64)).reshape(-1)[:n]


def words64(key: Any, n: int) -> Any:
    """n numbers of 64 bits: 32 a group, of words 0 (low) and 1 (high), then of words 2 and 3."""
    w = groups(key, -(-n // 32))
    return (w[:, 0::2] | (w[:, 1::2] << np.uint64(32))).reshape(-1)[:n]


def words16(key: Any, n: int) -> Any:
    """n numbers of 16 bits, as uint64: 128 a group, the low halves of a word's lanes before the high ones."""
    w = groups(key, -(-n // 128))
    return np.stack([w & np.uint64(0xFFFF), w >> np.uint64(16)], axis=2).reshape(-1)[:n]


class RandomOp(Maker):
    """An op that fills its output from a generator's state (seed, stream), int64 (2,), whose stream then moves on."""

    def writes(self, spec: Spec) -> tuple[int, ...]:
        return (0, 1)

    def specialise(self, layouts: tuple[Layout, ...], attrs: dict[str, Any]) -> Spec:
        state = layouts[0]
        if state.dtype is not dtypes.int64 or state.shape != (2,):
            raise TypeError(f"a generator's state is int64 (seed, stream), not {state.dtype} of shape {state.shape}")
        return super().specialise(layouts, attrs)

    def run(self, spec: Spec, inputs: tuple[Tensor, ...]) -> Tensor:
        out = super().run(spec, inputs)
        inputs[0].storage.version += 1
        return out


def _units(state: Any, out: Any) -> Any:
    """A number in [0, 1) for each element of out, in its dtype: multiples of 2^-24 in float32, of 2^-53 in float64."""
    if out.dtype == np.float32:
        u = (words32(state, out.size) >> np.uint64(8)).astype(np.float32) * np.float32(2**-24)
    else:
        u = (words64(state, out.size) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    state[1] += 1
    return u.reshape(out.shape)


@RandomOp
def random_uniform(out, state, *, shape, low, high, dtype):
    """low + u (high - low) with u in [0, 1)."""
    real = out.dtype.type
    out[...] = _units(state, out) * real(high - low) + real(low)


@RandomOp
def random_bernoulli(out, state, input, *, shape, dtype):
    """1 with the probability that stands in input (of the output's shape and contiguous, or one number), else 0."""
    out[...] = _units(state, out) < input


random_bernoulli.vjps(state=None, input=lambda g: zeros_as(g))


@RandomOp
def random_normal(out, state, *, shape, mean, std, dtype):
    """mean + std z with z from a standard normal distribution, by Box and Muller's method (Annals of Mathematical
    Statistics 29, 1958), computed in double: two numbers of 32 or 53 bits become two normal ones."""
    if dtype is dtypes.float32:
        w = groups(state, -(-out.size // 64))
        radius, angle = w[:, 0::2], w[:, 1::2]
        u, v, top = (radius + np.uint64(1)).astype(np.float64) * 2.0**-32, angle & np.uint64((1 << 30) - 1), angle >> 30
        turn = v.astype(np.float64) * 2.0**-30 - 0.5
    else:
        w = groups(state, -(-out.size // 32))
        radius, angle = w[:, 0] | (w[:, 1] << np.uint64(32)), w[:, 2] | (w[:, 3] << np.uint64(32))
        u = ((radius >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53
        v, top = (angle >> np.uint64(11)) & np.uint64((1 << 51) - 1), angle >> np.uint64(62)
        turn = v.astype(np.float64) * 2.0**-51 - 0.5
    r = np.sqrt(log_of_unit(u) * -2.0)
    sine, cosine = sin_cos_of_quarter(turn)
    swap, minus = (top & np.uint64(1)) != 0, (top & np.uint64(2)) != 0
    r = np.where(minus, -r, r)
    pair = np.stack([r * np.where(swap, sine, cosine), r * np.where(swap, cosine, sine)], axis=-2)
    out[...] = (pair.reshape(-1)[: out.size] * std + mean).reshape(shape)
    state[1] += 1


# Taylor coefficients that make the polynomials below exact to 1e-16; each is the quotient as Python rounds it.
LOG_SERIES = [1 / k for k in range(3, 23, 2)]  # atanh(s) = s + s^3/3 + s^5/5 + ...
SIN_SERIES = [(-1) ** k / math.factorial(2 * k + 1) for k in range(1, 9)]  # sin(t) = t - t^3/3! + ...
COS_SERIES = [(-1) ** k / math.factorial(2 * k) for k in range(1, 10)]  # cos(t) = 1 - t^2/2! + ...
SQRT_2, LN_2, HALF_PI = math.sqrt(2), math.log(2), math.pi / 2


def _polynomial(coefficients: list[float], x: Any) -> Any:
    """x (c0 + x (c1 + ...)), by Horner's rule."""
    y = coefficients[-1] * x
    for c in reversed(coefficients[:-1]):
        y = (y + c) * x
    return y


def log_of_unit(u: Any) -> Any:
    """log(u), 0 < u <= 1, by exactly rounded operations: u = m 2^e, m about 1, log m = 2 atanh((m - 1) / (m + 1))."""
    m, e = np.frexp(u)
    small = m * 2.0 < SQRT_2
    m, e = np.where(small, m * 2.0, m), np.where(small, e - 1, e)
    s = (m - 1.0) / (m + 1.0)
    return e * LN_2 + (s + s * _polynomial(LOG_SERIES, s * s)) * 2.0


def sin_cos_of_quarter(turn: Any) -> tuple[Any, Any]:
    """Sine and cosine of `turn` quarter turns, -1/2 <= turn <= 1/2, from exactly rounded operations."""
    t = turn * HALF_PI
    s = t * t
    return t + t * _polynomial(SIN_SERIES, s), 1.0 + _polynomial(COS_SERIES, s)


@partial(RandomOp, out_dtype=dtypes.int64)
def random_integers(out, state, *, shape, low, high):
    """low + w mod (high - low) of 64-bit words w: uniform but for the range's share of 2^64."""
    span = np.uint64(high - low)
    out[...] = (words64(state, out.size) % span + np.uint64(low & (2**64 - 1))).view(np.int64).reshape(shape)
    state[1] += 1


@partial(RandomOp, out_dtype=dtypes.int64)
def random_permutation(out, state, *, shape):
    """The order that sorts n random numbers of 64 bits (equal ones as they come)."""
    out[...] = np.argsort(words64(state, out.size), kind="stable")
    state[1] += 1


@partial(RandomOp, out_dtype=dtypes.int64)
def take_key(out, state, *, shape):
    """The state itself, as the key of what needs the same numbers again in the backward pass: a dropout's mask."""
    out[...] = state
    state[1] += 1


def threshold(p: float) -> int:
    """p in 65536ths: an element is dropped where its 16 random bits are below this. Off by 2^-17 at most."""
    return round(p * 65536)


def _dropout_shape(input: Layout, key: Layout, p: float) -> tuple[int, ...]:
    return input.shape


class Dropout(Op):
    """input / (1 - p) where 16 random bits say keep, else 0. Linear, so it is its own gradient: dropout(g, key)."""

    def c_arguments(self, spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
        p = spec.attrs["p"]
        return [spec.layout, *spec.inputs], [threshold(p)], [scale(p)]


def scale(p: float) -> float:
    """What kept elements are multiplied by."""
    return 1 / (1 - p) if p < 1 else 0.0


def _dropout(out, input, key, *, p):
    keep = words16(key, out.size).reshape(out.shape) >= threshold(p)
    np.copyto(out, np.where(keep, input * out.dtype.type(scale(p)), 0))


dropout_op = Dropout(_dropout, _dropout_shape, name="dropout")
dropout_op.vjps(input=lambda g, key, p: dropout_op.apply(g.contiguous(), key, p=p), key=None)

"""Random tensors and generators, by PyTorch's names.

The numbers are not PyTorch's, but the same on every backend, for any number of threads (see philox.py). A generator's
state is a tensor (seed, number of the next stream): saving it resumes the sequence where it was, and a step recorded
by tg.replay moves it on at every run. Left out: other distributions (they are compositions of these), out= and layout=.
Read next: philox.py, where the bits come from.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..dtypes import dtype as Dtype
from ..dtypes import get_default_dtype, int64
from ..modes import modes
from ..tensor import Tensor
from .common import Number, is_number, shape_args
from .compare import flat_in, lt
from .create import _finished, tensor
from .elementwise import log1p
from .inplace import change
from .philox import random_integers, random_normal, random_permutation, random_uniform, take_key

DEFAULT_SEED = 67280421310721  # PyTorch's


class Generator:
    """A sequence of random numbers. `state` is the int64 tensor (seed, stream)."""

    def __init__(self, device: Any = "cpu") -> None:
        self.state = _finished(tensor(np.array([DEFAULT_SEED, 0])), False, device)

    def manual_seed(self, seed: int) -> Generator:
        """Start the sequence of `seed`, from -2^63 to 2^64 - 1 (a negative one counts from 2^64 down).

        Raises TypeError for what is no integer, RuntimeError for one out of range."""
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"manual_seed: expected an int, got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError(f"manual_seed: {seed} is out of range; expected -2^63 to 2^64 - 1")
        signed = (int(seed) + 2**63) % 2**64 - 2**63
        self.state.copy_(tensor(np.array([signed, 0])))
        return self

    def seed(self) -> int:
        """Seed from the operating system, and return the seed."""
        fresh = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(fresh)
        return fresh

    def initial_seed(self) -> int:
        """The seed that the sequence started from."""
        return int(self.state.tolist()[0]) % 2**64

    def get_state(self) -> Tensor:
        """A copy of the state: int64 (seed, stream)."""
        return self.state.clone()

    def set_state(self, new_state: Tensor) -> Generator:
        """Go on from a state that get_state() gave. Raises TypeError for any other tensor."""
        if not isinstance(new_state, Tensor) or new_state.layout.dtype is not int64 or new_state.shape != (2,):
            raise TypeError("set_state: expected the int64 tensor of shape (2,) that get_state() gives")
        self.state.copy_(new_state)
        return self

    def take_key(self) -> Tensor:
        """A key for one call of a random op: int64 (seed, stream). The next key has the next stream."""
        return take_key.apply(self.state)

    @property
    def device(self) -> Any:
        return self.state.device

    def __repr__(self) -> str:
        seed, stream = self.state.array().tolist()
        return f"Generator(seed={seed % 2**64}, stream={stream})"


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, and return it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system, and return the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """A copy of the default generator's state: int64 (seed, stream)."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Let the default generator go on from a state that get_rng_state() gave."""
    default_generator.set_state(new_state)


def _key(generator: Generator | None) -> Tensor:
    if generator is None:
        return default_generator.take_key()
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be a tinygrad_edu.Generator, got {type(generator).__name__}")
    return generator.take_key()


def _uniform(
    shape: tuple[int, ...], low: float, high: float, d: Dtype, name: str, generator: Generator | None
) -> Tensor:
    _need_float(d, name)
    return random_uniform.apply(_key(generator), shape=shape, low=float(low), high=float(high), dtype=d)


def _normal(
    shape: tuple[int, ...], mean: float, std: float, d: Dtype, name: str, generator: Generator | None
) -> Tensor:
    _need_float(d, name)
    if not std >= 0:
        raise RuntimeError(f"{name}: expected std >= 0, got {std}")
    return random_normal.apply(_key(generator), shape=shape, mean=float(mean), std=float(std), dtype=d)


def _need_float(d: Dtype, name: str) -> None:
    if not d.is_floating_point:
        raise RuntimeError(f"{name}: expected a floating-point dtype, got {d}")


# New tensors


def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers from [0, 1)."""
    x = _uniform(shape_args(size), 0.0, 1.0, dtype or get_default_dtype(), "rand", generator)
    return _finished(x, requires_grad, device)


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from the standard normal distribution."""
    x = _normal(shape_args(size), 0.0, 1.0, dtype or get_default_dtype(), "randn", generator)
    return _finished(x, requires_grad, device)


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from low to high - 1: randint(high, size) or randint(low, high, size). int64 unless dtype is given.

    Raises RuntimeError where there is no such integer, TypeError without a size."""
    if isinstance(high, (tuple, list)) and size is None:
        high, size = None, high
    if high is None:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise TypeError("randint: expected randint(high, size) or randint(low, high, size) with size a tuple of ints")
    low, high = int(low), int(high)
    if low >= high:
        raise RuntimeError(f"randint: expected low < high, got low={low} and high={high}")
    if low < -(2**63) or high >= 2**63:
        raise RuntimeError(f"randint: low={low} or high={high} lies outside int64")
    x = random_integers.apply(_key(generator), shape=shape_args((size,)), low=low, high=high)
    return _finished(x if dtype is None else x.to(dtype), requires_grad, device)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers 0 to n - 1 in random order, int64 unless dtype says otherwise. Raises RuntimeError for n < 0."""
    if n < 0:
        raise RuntimeError(f"randperm: n must be non-negative, got {n}")
    x = random_permutation.apply(_key(generator), shape=(int(n),))
    return _finished(x if dtype is None else x.to(dtype), requires_grad, device)


def rand_like(
    input: Tensor, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """rand in the shape and dtype of input."""
    return rand(
        input.shape, generator=generator, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad
    )


def randn_like(
    input: Tensor, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """randn in the shape and dtype of input."""
    return randn(
        input.shape, generator=generator, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad
    )


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """randint in the shape and dtype of input: randint_like(input, high) or randint_like(input, low, high)."""
    low, high = (0, low) if high is None else (low, high)
    d = dtype or input.dtype
    return randint(low, high, input.shape, generator=generator, dtype=d, device=device, requires_grad=requires_grad)


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that stands in input (or p), else 0, in input's shape and dtype.

    Raises RuntimeError for integers without p and, unless a step is being recorded, for what is no probability."""
    if p is None:
        _need_float(input.dtype, "bernoulli")
        if not modes.recording and not ((input.array() >= 0) & (input.array() <= 1)).all():
            raise RuntimeError("bernoulli: expected probabilities between 0 and 1")
        drawn = lt(_uniform(input.shape, 0.0, 1.0, input.dtype, "bernoulli", generator), input.detach())
        return flat_in(input, drawn.to(input.dtype))
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli: expected a probability between 0 and 1, got {p}")
    return lt(_uniform(input.shape, 0.0, 1.0, get_default_dtype(), "bernoulli", generator), float(p)).to(input.dtype)


def normal(
    mean: Tensor | Number,
    std: Tensor | Number = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of the given means and deviations: normal(mean, std), one of them a tensor at least, or
    normal(mean, std, size) of two numbers. Raises RuntimeError for a negative std, TypeError where size is wanted."""
    if is_number(mean) and is_number(std):
        if size is None:
            raise TypeError("normal: two numbers need a size: normal(mean, std, size)")
        assert not isinstance(mean, Tensor) and not isinstance(std, Tensor)
        x = _normal(shape_args((size,)), mean, std, dtype or get_default_dtype(), "normal", generator)
        return _finished(x, requires_grad, device)
    if isinstance(std, Tensor) and not modes.recording and (std.array() < 0).any():
        raise RuntimeError("normal: expected std >= 0 everywhere")
    shaped = mean + std
    assert isinstance(shaped, Tensor)
    shaped = shaped.detach()
    return randn(shaped.shape, generator=generator, dtype=shaped.dtype) * std + mean


# In place: methods of Tensor


def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with uniform numbers from [from_, to). Raises RuntimeError for from_ > to, and for integers."""
    if not from_ <= to:
        raise RuntimeError(f"uniform_: expected from <= to, got from={from_} and to={to}")
    return change(self, lambda x: _uniform(x.shape, from_, to, x.dtype, "uniform_", generator))


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers. Raises RuntimeError for std < 0, and for integers."""
    return change(self, lambda x: _normal(x.shape, mean, std, x.dtype, "normal_", generator))


def bernoulli_(self: Tensor, p: Tensor | float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 at probability p (a number, or a tensor that broadcasts), else 0."""
    if isinstance(p, Tensor):
        chances = p.detach().expand(self.shape)
        return change(self, lambda x: bernoulli(chances, generator=generator).to(x.dtype))
    return change(self, lambda x: bernoulli(x, p, generator=generator))


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with -log(1 - u) / lambd; the logarithm is the backend's. Raises RuntimeError for lambd <= 0."""
    if not lambd > 0:
        raise RuntimeError(f"exponential_: expected lambd > 0, got {lambd}")
    return change(
        self, lambda x: log1p(-_uniform(x.shape, 0.0, 1.0, x.dtype, "exponential_", generator)) * (-1 / lambd)
    )

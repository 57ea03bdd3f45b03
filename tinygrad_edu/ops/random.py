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

from .. import storage as memory
from ..dtypes import dtype as Dtype
from ..dtypes import get_default_dtype, held, int64
from ..modes import modes, watching
from ..op import Spec
from ..tensor import Tensor
from .common import Number, constant, ints, is_number, remember, shape_args
from .create import finished, tensor
from .elementwise import log1p
from .inplace import change
from .move import contiguous
from .philox import random_bernoulli, random_integers, random_normal, random_permutation, random_uniform, take_key

DEFAULT_SEED = 67280421310721  # PyTorch's


class Generator:
    """A sequence of random numbers. `state` is the int64 tensor (seed, stream)."""

    def __init__(self, device: Any = "cpu") -> None:
        self.state = finished(tensor(np.array([DEFAULT_SEED, 0])), False, device)

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
        return take_key.apply(self.state, shape=(2,))

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


def _state(generator: Generator | None) -> Tensor:
    if generator is None:
        return default_generator.state
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be a tinygrad_edu.Generator, got {type(generator).__name__}")
    return generator.state


# What is run for sizes and numbers met before is found at once; only new ones are checked. Each returns the spec at a
# generator's state; sizes are what ints() or a layout gives.


def _uniform(name: str, state: Tensor, size: tuple[Any, ...], low: float, high: float, d: Dtype) -> Spec:
    spec = random_uniform.specs.get((size, low, high, d))
    if spec is None:
        _need_float(d, name)
        if not low <= high:
            raise RuntimeError(f"{name}: expected from <= to, got from={low} and to={high}")
        for x in (low, high, high - low):
            held(float(x), d, name)
        shape = shape_args(size, name)
        numbers = {"low": float(low), "high": float(high)}
        spec = remember(random_uniform, (state,), (shape, low, high, d), shape=shape, **numbers, dtype=d)
    return spec


def _normal(name: str, state: Tensor, size: tuple[Any, ...], mean: float, std: float, d: Dtype) -> Spec:
    spec = random_normal.specs.get((size, mean, std, d))
    if spec is None:
        _need_float(d, name)
        if not std >= 0:
            raise RuntimeError(f"{name}: expected std >= 0, got {std}")
        shape = shape_args(size, name)
        numbers = {"mean": float(mean), "std": float(std)}
        spec = remember(random_normal, (state,), (shape, mean, std, d), shape=shape, **numbers, dtype=d)
    return spec


def _bernoulli(name: str, state: Tensor, shape: tuple[int, ...], chances: Tensor) -> Spec:
    spec = random_bernoulli.specs.get((shape, chances.layout))
    if spec is None:
        d = chances.layout.dtype
        _need_float(d, name)
        spec = remember(random_bernoulli, (state, chances), (shape, chances.layout), shape=shape, dtype=d)
    return spec


def _chance(p: float) -> Tensor:
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli: expected a probability between 0 and 1, got {p}")
    return constant(float(p), get_default_dtype())


def _all_probabilities(x: Tensor) -> bool:
    """Whether all elements of a contiguous tensor are from 0 to 1; while a step is recorded, none is looked at."""
    if modes.recording:
        return True
    quick = memory.probabilities(x.address, x.layout.numel, x.layout.dtype.index)
    return bool(quick) or bool(((x.array() >= 0) & (x.array() <= 1)).all())


def _need_float(d: Dtype, name: str) -> None:
    if not d.is_floating_point:
        raise RuntimeError(f"{name}: expected a floating-point dtype, got {d}")


# New tensors


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers from [0, 1)."""
    state = _state(generator)
    spec = _uniform("rand", state, ints(sizes, "rand", size), 0.0, 1.0, dtype or get_default_dtype())
    return finished(random_uniform.run(spec, (state,)), requires_grad, device)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from the standard normal distribution."""
    state = _state(generator)
    spec = _normal("randn", state, ints(sizes, "randn", size), 0.0, 1.0, dtype or get_default_dtype())
    return finished(random_normal.run(spec, (state,)), requires_grad, device)


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

    Raises RuntimeError where there is no such integer, TypeError without a size and for what is no int."""
    if size is None and isinstance(high, (tuple, list)):
        high, size = None, high
    if high is None:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise TypeError("randint: expected randint(high, size) or randint(low, high, size) with size a tuple of ints")
    state, size, (low, high) = _state(generator), ints((size,), "randint"), ints((low, high), "randint")
    spec = random_integers.specs.get((size, low, high))
    if spec is None:
        low, high = int(low), int(high)
        if low >= high:
            raise RuntimeError(f"randint: expected low < high, got low={low} and high={high}")
        if low < -(2**63) or high >= 2**63:
            raise RuntimeError(f"randint: low={low} or high={high} lies outside int64")
        shape = shape_args(size, "randint")
        spec = remember(random_integers, (state,), (shape, low, high), shape=shape, low=low, high=high)
    x = random_integers.run(spec, (state,))
    return finished(x if dtype is None else x.to(dtype), requires_grad, device)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers 0 to n - 1 in random order, int64 unless dtype says otherwise. Raises RuntimeError for n < 0."""
    state, size = _state(generator), ints((n,), "randperm")
    spec = random_permutation.specs.get(size)
    if spec is None:
        shape = shape_args(size, "randperm")
        spec = remember(random_permutation, (state,), shape, shape=shape)
    x = random_permutation.run(spec, (state,))
    return finished(x if dtype is None else x.to(dtype), requires_grad, device)


def rand_like(
    input: Tensor, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """rand in the shape and dtype of input."""
    state, layout = _state(generator), input.layout
    spec = _uniform("rand_like", state, layout.shape, 0.0, 1.0, dtype or layout.dtype)
    return finished(random_uniform.run(spec, (state,)), requires_grad, device)


def randn_like(
    input: Tensor, *, dtype: Dtype | None = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """randn in the shape and dtype of input."""
    state, layout = _state(generator), input.layout
    spec = _normal("randn_like", state, layout.shape, 0.0, 1.0, dtype or layout.dtype)
    return finished(random_normal.run(spec, (state,)), requires_grad, device)


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
    state, chances = _state(generator), contiguous(input) if p is None else _chance(p)
    drawn = random_bernoulli.run(_bernoulli("bernoulli", state, input.layout.shape, chances), (state, chances))
    if p is not None:
        return drawn.to(input.layout.dtype)
    if not _all_probabilities(chances):
        raise RuntimeError("bernoulli: expected probabilities between 0 and 1")
    return drawn


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
        if not isinstance(size, (tuple, list)):
            raise TypeError(f"normal: size must be a tuple of ints, got {size!r}")
        state = _state(generator)
        spec = _normal("normal", state, ints((size,), "normal"), mean, std, dtype or get_default_dtype())
        return finished(random_normal.run(spec, (state,)), requires_grad, device)
    if isinstance(std, Tensor) and not modes.recording and (std.array() < 0).any():
        raise RuntimeError("normal: expected std >= 0 everywhere")
    shaped = mean + std
    assert isinstance(shaped, Tensor)
    shaped = shaped.detach()
    return randn(shaped.shape, generator=generator, dtype=shaped.dtype) * std + mean


# In place: methods of Tensor


def _into(x: Tensor, spec: Spec, *inputs: Tensor) -> Tensor:
    """Fill x with what is drawn at a spec."""
    if watching or spec.layout is not x.layout or (modes.grad and x.needs_grad):
        return change(x, lambda _: spec.op.run(spec, inputs))
    spec.launch(x, *inputs)
    x.storage.version += 1
    inputs[0].storage.version += 1
    return x


def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with uniform numbers from [from_, to). Raises RuntimeError for from_ > to, for numbers that the dtype can't
    hold, and for integers."""
    state = _state(generator)
    return _into(self, _uniform("uniform_", state, self.layout.shape, from_, to, self.layout.dtype), state)


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers. Raises RuntimeError for std < 0, and for integers."""
    state = _state(generator)
    return _into(self, _normal("normal_", state, self.layout.shape, mean, std, self.layout.dtype), state)


def bernoulli_(self: Tensor, p: Tensor | float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 at probability p (a number, or a tensor that broadcasts), else 0."""
    if isinstance(p, Tensor):
        chances = p.detach().expand(self.layout.shape)
        return change(self, lambda _: bernoulli(chances, generator=generator).to(self.layout.dtype))
    state, chance = _state(generator), _chance(p)
    return _into(self, _bernoulli("bernoulli_", state, self.layout.shape, chance), state, chance)


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with -log(1 - u) / lambd; the logarithm is the backend's. Raises RuntimeError for lambd <= 0."""
    if not lambd > 0:
        raise RuntimeError(f"exponential_: expected lambd > 0, got {lambd}")
    state = _state(generator)
    spec = _uniform("exponential_", state, self.layout.shape, 0.0, 1.0, self.layout.dtype)
    return change(self, lambda _: log1p(-random_uniform.run(spec, (state,))) * (-1 / lambd))

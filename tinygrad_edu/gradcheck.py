"""Are the gradients right? Compare them with differences of the function's values, (f(x + e) - f(x - e)) / 2e.

As torch.autograd.gradcheck, and stricter in three places where that one can be blind: an output that does not require
grad must not depend on the inputs, rules must be linear in the incoming gradient (a random one is tried beside the unit
vectors), and inputs must not share memory. Left out: complex numbers, sparse tensors, forward mode, vmap.
Read next: derivatives.py; tests/test_checker.py shows what is caught.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import storage as memory
from .autograd import grad
from .dtypes import dtype, float64
from .tensor import Tensor

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


class GradcheckError(RuntimeError):
    """The gradients of a function are not those that its values show."""


def gradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of func(*inputs) agree with its finite differences, for every input that requires grad.

    func returns a tensor or a tuple of tensors; outputs that are not floating-point are not looked at. Every element of
    the Jacobian is compared, |analytical - numerical| <= atol + rtol * |numerical|; with fast_mode only random
    projections of it, u^T J v, which takes a fixed number of calls. check_undefined_grad: an incoming gradient of zeros
    must give zeros. check_grad_dtypes: gradients must have the dtype of their input. nondet_tol: by how much two runs
    may differ. masked is for sparse tensors: without a meaning here.

    Raises GradcheckError (or returns False without raise_exception) naming the output, the input and the element that
    differs most; ValueError where no input requires grad, RuntimeError for inputs whose elements share memory;
    NotImplementedError where batches of gradients or forward mode are to be checked: there are none.
    """
    _refuse(
        "gradcheck",
        check_batched_grad=check_batched_grad,
        check_batched_forward_grad=check_batched_forward_grad,
        check_forward_ad=check_forward_ad,
    )
    if not check_backward_ad:
        raise ValueError("gradcheck: check_backward_ad=False leaves nothing to check")
    try:
        _check(func, _as_tuple(inputs), eps, atol, rtol, nondet_tol, check_undefined_grad, check_grad_dtypes, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Whether the second derivatives are right: gradcheck of the gradient as a function of `inputs`, `grad_outputs`.

    grad_outputs: one for each floating-point output; random ones by default, with gaps in memory if
    gen_non_contig_grad_outputs. Raises as gradcheck.
    """
    _refuse("gradgradcheck", check_batched_grad=check_batched_grad, check_fwd_over_rev=check_fwd_over_rev)
    if not check_rev_over_rev:
        raise ValueError("gradgradcheck: check_rev_over_rev=False leaves nothing to check")
    xs = _as_tuple(inputs)
    at = [i for i, x in enumerate(xs) if isinstance(x, Tensor) and x.requires_grad]
    outputs = _differentiable(func(*xs))
    if not outputs:
        raise ValueError("gradgradcheck: no output of the function requires grad")
    if grad_outputs is None:
        rng = np.random.default_rng(1)
        us: tuple[Any, ...] = tuple(
            _tensor(rng.uniform(-1, 1, y.shape), y.dtype, gen_non_contig_grad_outputs).requires_grad_() for y in outputs
        )
    else:
        us = _as_tuple(grad_outputs)
        if len(us) != len(outputs):
            raise ValueError(
                f"gradgradcheck: {len(outputs)} outputs require grad, but {len(us)} grad_outputs are given"
            )

    def gradient(*args: Any) -> tuple[Tensor | None, ...]:
        ys = _differentiable(func(*args[: len(xs)]))
        wanted = [args[i] for i in at]
        return grad(ys, wanted, args[len(xs) :], create_graph=True, materialize_grads=True)

    return gradcheck(
        gradient,
        (*xs, *us),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        fast_mode=fast_mode,
    )


def _refuse(name: str, **asked: bool) -> None:
    for word, value in asked.items():
        if value:
            raise NotImplementedError(f"{name}: {word}=True, but there is neither forward mode nor vmap here")


def _check(
    func: Function,
    inputs: tuple[Any, ...],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_undefined_grad: bool,
    check_grad_dtypes: bool,
    fast_mode: bool,
) -> None:
    chosen = _checked_inputs(inputs)
    outputs = _floating(func(*inputs))
    for k, (y, again) in enumerate(zip(outputs, _floating(func(*inputs)), strict=True)):
        _same_twice(y.array(), again.array(), nondet_tol, f"output {k} of the function")
    rng = np.random.default_rng(0)
    project = _projections if fast_mode else _jacobians
    for k in range(len(outputs)):
        y = _floating(func(*inputs))[k]  # anew: the differences change the inputs, and backward would refuse
        backward = _Backward(k, y, chosen, check_grad_dtypes, nondet_tol)
        if check_undefined_grad and y.requires_grad:
            for i, g in zip(chosen, backward(np.zeros(y.shape)), strict=True):
                if g.any():
                    raise GradcheckError(f"the gradient of output {k} for input {i} is not zero for a zero cotangent")
        project(func, inputs, chosen, k, y, backward, eps, atol, rtol, rng)


class _Backward:
    """vjp of one output: cotangent -> gradients of the inputs, as arrays; run twice, and compared."""

    def __init__(self, k: int, y: Tensor, chosen: dict[int, Tensor], check_dtypes: bool, nondet_tol: float) -> None:
        self.k, self.y, self.chosen, self.check_dtypes, self.nondet_tol = k, y, chosen, check_dtypes, nondet_tol

    def __call__(self, u: Array) -> list[Array]:
        results = []
        for (i, x), g, again in zip(self.chosen.items(), self._run(u), self._run(u), strict=True):
            if g is not None and g.shape != x.shape:
                raise GradcheckError(f"the gradient for input {i} has shape {g.shape}, the input {x.shape}")
            if g is not None and self.check_dtypes and g.dtype is not x.dtype:
                raise GradcheckError(f"the gradient for input {i} has dtype {g.dtype}, the input {x.dtype}")
            a, b = (np.zeros(x.shape) if t is None else t.array().copy() for t in (g, again))
            _same_twice(a, b, self.nondet_tol, f"the gradient of output {self.k} for input {i}")
            results.append(a)
        return results

    def _run(self, u: Array) -> tuple[Tensor | None, ...]:
        if not self.y.requires_grad:
            return (None,) * len(self.chosen)
        cotangent = _tensor(u, self.y.dtype)
        return grad(self.y, list(self.chosen.values()), cotangent, retain_graph=True, allow_unused=True)


def _jacobians(
    func: Function,
    inputs: tuple[Any, ...],
    chosen: dict[int, Tensor],
    k: int,
    y: Tensor,
    backward: _Backward,
    eps: float,
    atol: float,
    rtol: float,
    rng: np.random.Generator,
) -> None:
    """Compare every element: a row of the analytical Jacobian is a unit cotangent's gradient, a column of the numerical
    one the change of one input element."""
    m = y.numel()
    rows = [backward(row.reshape(y.shape)) for row in np.eye(m)]
    u = rng.uniform(0.5, 1.5, m) * rng.choice([-1, 1], m)
    mixed = backward(u.reshape(y.shape))
    for place, (i, x) in enumerate(chosen.items()):
        analytical = np.array([row[place].reshape(-1) for row in rows]).reshape(m, x.numel())
        columns = [
            _difference(func, inputs, k, x, direction.reshape(x.shape), eps).reshape(-1)
            for direction in np.eye(x.numel())
        ]
        numerical = np.array(columns).reshape(x.numel(), m).T
        what = f"Jacobian mismatch for output {k} with respect to input {i}"
        _compare(what, analytical, numerical, atol, rtol, y.shape, x.shape)
        what = f"for a random cotangent, the gradient of output {k} with respect to input {i} is not the Jacobian's"
        _compare(what, mixed[place].reshape(1, -1), u[None] @ analytical, atol, rtol, (), x.shape)


def _projections(
    func: Function,
    inputs: tuple[Any, ...],
    chosen: dict[int, Tensor],
    k: int,
    y: Tensor,
    backward: _Backward,
    eps: float,
    atol: float,
    rtol: float,
    rng: np.random.Generator,
) -> None:
    """Compare u^T J v, twice. No element of u and v is near zero, so no element of J goes unseen."""
    us = [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1, 1], y.shape) for _ in range(2)]
    gradients = [backward(u) for u in us]  # before the differences, which change the inputs
    for u, found in zip(us, gradients, strict=True):
        for (i, x), g in zip(chosen.items(), found, strict=True):
            v = rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1, 1], x.shape)
            analytical = np.sum(g * v)
            numerical = np.sum(u * _difference(func, inputs, k, x, v, eps))
            what = f"projected gradient mismatch for output {k} with respect to input {i}"
            _compare(what, analytical.reshape(1, 1), numerical.reshape(1, 1), atol, rtol, (), ())


def _difference(func: Function, inputs: tuple[Any, ...], k: int, x: Tensor, direction: Array, eps: float) -> Array:
    """(f(x + eps * direction) - f(x - eps * direction)) / (2 * eps), of output k. x is changed and restored."""
    array = x.array()
    before = array.copy()
    values = []
    try:
        for sign in (1, -1):
            array[...] = before + sign * eps * direction
            x.storage.version += 1
            values.append(_floating(func(*inputs))[k].array().astype(np.float64))
    finally:
        array[...] = before
        x.storage.version += 1
    difference: Array = (values[0] - values[1]) / (2 * eps)
    return difference


def _compare(
    what: str,
    analytical: Array,
    numerical: Array,
    atol: float,
    rtol: float,
    y_shape: tuple[int, ...],
    x_shape: tuple[int, ...],
) -> None:
    """Raise GradcheckError unless two matrices (outputs x inputs) agree. NaN agrees with nothing."""
    error = np.abs(analytical - numerical)
    wrong = ~(error <= atol + rtol * np.abs(numerical))
    if not wrong.any():
        return
    score = np.where(np.isnan(error), np.inf, error) * wrong
    row, column = np.unravel_index(int(np.argmax(score)), score.shape)
    where = ", ".join(
        f"{side} index {tuple(int(n) for n in np.unravel_index(at, shape))}"
        for side, at, shape in (("output", row, y_shape), ("input", column, x_shape))
        if shape
    )
    raise GradcheckError(
        f"{what}: {int(wrong.sum())} of {wrong.size} elements differ; the largest difference is "
        f"{error[row, column]:.6g}{' at ' + where if where else ''}: analytical {analytical[row, column]:.9g}, "
        f"numerical {numerical[row, column]:.9g}"
    )


def _same_twice(a: Array, b: Array, tolerance: float, what: str) -> None:
    with np.errstate(invalid="ignore"):
        same = (a == b) | (np.abs(a - b) <= tolerance) | (np.isnan(a) & np.isnan(b))
    if not same.all():
        raise GradcheckError(f"{what} is not deterministic: two runs differ by more than nondet_tol={tolerance}")


def _checked_inputs(inputs: tuple[Any, ...]) -> dict[int, Tensor]:
    """The inputs that require grad, by number."""
    chosen = {i: x for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad}
    if not chosen:
        raise ValueError("gradcheck expects at least one input that requires grad")
    for i, x in chosen.items():
        if x.dtype is not float64:
            warnings.warn(
                f"gradcheck: input {i} has dtype {x.dtype}; differences are accurate enough in float64 only, "
                "so the check will likely fail",
                stacklevel=4,
            )
        if _overlaps_itself(x):
            raise RuntimeError(
                f"gradcheck: input {i} of shape {x.shape} and strides {x.stride()} has elements that share memory, "
                "so one cannot be changed alone; pass x.contiguous()"
            )
        for j, other in enumerate(inputs):
            if isinstance(other, Tensor) and other is not x and np.shares_memory(x.array(), other.array()):
                raise RuntimeError(f"gradcheck: inputs {i} and {j} share memory; pass clones")
    return chosen


def _overlaps_itself(x: Tensor) -> bool:
    if x.numel() == 0:
        return False
    places = np.zeros(1, np.int64)
    for n, stride in zip(x.shape, x.stride(), strict=True):
        places = np.add.outer(places, np.arange(n) * stride).reshape(-1)
    return len(np.unique(places)) < len(places)


def _floating(outputs: Any) -> list[Tensor]:
    ys = _as_tuple(outputs)
    for k, y in enumerate(ys):
        if not isinstance(y, Tensor):
            raise ValueError(f"gradcheck: the function must return tensors; output {k} is of type {type(y).__name__}")
    return [y for y in ys if y.is_floating_point()]


def _differentiable(outputs: Any) -> list[Tensor]:
    return [y for y in _as_tuple(outputs) if isinstance(y, Tensor) and y.requires_grad]


def _as_tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _tensor(array: Array, d: dtype, gaps: bool = False) -> Tensor:
    """A copy of an array as a tensor; with gaps: every other element of a larger one."""
    if not gaps or not array.ndim:
        return Tensor.over(*memory.from_python(array, d))
    wide = Tensor.over(*memory.from_python(np.repeat(array, 2, axis=-1), d))
    strides = (*wide.layout.strides[:-1], 2)
    return Tensor.over(wide.storage, memory.layout_of(array.shape, d, strides))

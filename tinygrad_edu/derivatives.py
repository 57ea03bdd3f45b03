"""Products with, and whole, Jacobians and Hessians of a function: torch.autograd.functional.

All by reverse mode. A product J v needs forward mode, or a trick: u -> u^T J is linear in u, so its own gradient is
v -> J v, whatever u is. Left out: strategy="forward-mode", and any gain from vectorize=True.
Reached as `tg.autograd.functional`. Read next: autograd.py, whose grad() does the work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from . import autograd
from .modes import enable_grad, is_grad_enabled, set_grad_enabled
from .ops.create import eye
from .ops.join import stack
from .tensor import Tensor

Tensors = tuple[Tensor, ...]
Function = Callable[..., Any]


def vjp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), v^T J): the gradient of <func, v>, shaped as the inputs.

    v is shaped as the output; it may be left out for an output of one element. create_graph: the results can be
    differentiated again. strict: raise RuntimeError where the output does not depend on an input, instead of zeros.
    Raises TypeError for what is no tensor, RuntimeError for a v that does not fit.
    """
    with enable_grad():
        several, xs = _tensors(inputs, "inputs", "vjp")
        xs = _fresh(xs, create_graph)
        several_out, ys = _outputs(func, xs, "vjp", strict)
        vs = _vector(v, ys, several_out, "vjp", "the function returns", create_graph)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        products = _or_zeros(_grad(ys, xs, vs, create_graph), xs, strict, create_graph, "output", "input")
    return _result(ys, several_out, create_graph), _result(products, several, create_graph)


def jvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), J v): the derivative of func in the direction v, shaped as the output.

    v is shaped as the inputs; it may be left out for an input of one element. Otherwise as vjp.
    """
    with enable_grad():
        several_in, xs = _tensors(inputs, "inputs", "jvp")
        xs = _fresh(xs, create_graph)
        vs = _vector(v, xs, several_in, "jvp", "there is", create_graph)
        several_out, ys = _outputs(func, xs, "jvp", strict)
        us = tuple(y.new_zeros(y.shape).requires_grad_() for y in ys)
        gradients = _grad(ys, xs, us, True)
        _must_depend(gradients, strict, "the gradient")
    with set_grad_enabled(create_graph or is_grad_enabled()):
        products = _or_zeros(_grad(gradients, us, vs, create_graph), ys, strict, create_graph, "gradient", "cotangent")
    return _result(ys, several_out, create_graph), _result(products, several_out, create_graph)


def vhp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), v^T H) for a function that returns one number, shaped as the inputs; as hvp, and faster."""
    with enable_grad():
        several, xs, vs, ys, gradients = _hessian_product(func, inputs, v, create_graph, strict, "vhp")
    with set_grad_enabled(create_graph or is_grad_enabled()):
        products = _or_zeros(_grad(gradients, xs, vs, create_graph), xs, strict, create_graph, "gradient", "input")
    return _result(ys, False, create_graph), _result(products, several, create_graph)


def hvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), H v) for a function that returns one number, shaped as the inputs.

    v is shaped as the inputs; it may be left out for an input of one element. Otherwise as vjp. The Hessian of a
    function with continuous second derivatives is symmetric: vhp gives the same then.
    """
    with enable_grad():
        several, xs, vs, ys, gradients = _hessian_product(func, inputs, v, create_graph, strict, "hvp")
        us = tuple(x.new_zeros(x.shape).requires_grad_() for x in xs)
        twice = _grad(gradients, xs, us, True)
        _must_depend(twice, strict, "the second derivative")
    with set_grad_enabled(create_graph or is_grad_enabled()):
        products = _or_zeros(_grad(twice, us, vs, create_graph), xs, strict, create_graph, "Hessian", "direction")
    return _result(ys, False, create_graph), _result(products, several, create_graph)


def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian: a tensor of shape output.shape + input.shape for one output and one input; [i][j] of a tuple of
    tuples for output i and input j; a tuple where only one side is a tuple. One backward pass for each output element,
    vectorize or not.

    Raises as vjp; RuntimeError for strict with vectorize, NotImplementedError for strategy="forward-mode".
    """
    _only_reverse("jacobian", vectorize, strict, strategy)
    with enable_grad():
        several, xs = _tensors(inputs, "inputs", "jacobian")
        xs = _fresh(xs, create_graph)
        several_out, ys = _outputs(func, xs, "jacobian", strict)
        rows = tuple(_jacobian_of(y, xs, create_graph, strict) for y in ys)
    blocks = tuple(_result(row, several, create_graph) for row in rows)
    return blocks if several_out else blocks[0]


def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a function that returns one number: of shape input.shape + input.shape, or for a tuple of inputs
    [i][j] of a tuple of tuples. Raises as jacobian."""
    _only_reverse("hessian", vectorize, strict, outer_jacobian_strategy)
    several, xs = _tensors(inputs, "inputs", "hessian")

    def number(*args: Tensor) -> Tensor:
        y = _one_number(*_outputs(func, args, "hessian", strict), "hessian")
        return y.reshape(())

    def gradients(*args: Tensor) -> Tensors:
        found: Tensors = jacobian(number, args, create_graph=True)
        _must_depend(found, strict, "the gradient")
        return found

    blocks: tuple[Tensors, ...] = jacobian(gradients, xs, create_graph=create_graph, strict=strict)
    return blocks if several else blocks[0][0]


def _hessian_product(
    func: Function, inputs: Any, v: Any, create_graph: bool, strict: bool, name: str
) -> tuple[bool, Tensors, Tensors | None, Tensors, Sequence[Tensor | None]]:
    """What vhp and hvp begin with: whether there are several inputs, inputs, v, output and gradients."""
    several, xs = _tensors(inputs, "inputs", name)
    xs = _fresh(xs, create_graph)
    vs = _vector(v, xs, several, name, "there is", create_graph)
    several_out, ys = _outputs(func, xs, name, strict)
    _one_number(several_out, ys, name)
    gradients = _grad(ys, xs, None, True)
    _must_depend(gradients, strict, "the gradient")
    return several, xs, vs, ys, gradients


def _jacobian_of(y: Tensor, xs: Tensors, create_graph: bool, strict: bool) -> Tensors:
    rows: list[Tensors] = []
    for unit in eye(y.numel(), dtype=y.dtype):
        found = _grad((y,), xs, (unit.reshape(y.shape),), create_graph, retain_graph=True)
        rows.append(_or_zeros(found, xs, strict, create_graph, "output", "input"))
    if not rows:
        return tuple(x.new_zeros((*y.shape, *x.shape)) for x in xs)
    return tuple(stack([row[i] for row in rows]).reshape((*y.shape, *x.shape)) for i, x in enumerate(xs))


def _tensors(x: Any, what: str, name: str) -> tuple[bool, Tensors]:
    several = isinstance(x, tuple)
    for k, tensor in enumerate(x if several else (x,)):
        if not isinstance(tensor, Tensor):
            at = f" at index {k}" if several else ""
            raise TypeError(f"{name}: {what} must be a Tensor or a tuple of Tensors, got {type(tensor).__name__}{at}")
    return several, x if several else (x,)


def _fresh(xs: Tensors, create_graph: bool, need_grad: bool = True) -> Tensors:
    """New tensors on the same memory, so that what func closes over is told apart from what it is given."""
    return tuple(x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_(need_grad) for x in xs)


def _outputs(func: Function, xs: Tensors, name: str, strict: bool) -> tuple[bool, Tensors]:
    several, ys = _tensors(func(*xs), "what the function returns", name)
    for k, y in enumerate(ys):
        if strict and not y.requires_grad:
            raise RuntimeError(f"{name}: output {k} does not depend on the inputs, which strict=True does not allow")
    return several, ys


def _vector(v: Any, like: Tensors, several: bool, name: str, where: str, create_graph: bool) -> Tensors | None:
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"{name}: v can be left out only where {where} a single tensor of one element")
        return None
    _, vs = _tensors(v, "v", name)
    if len(vs) != len(like):
        raise RuntimeError(f"{name}: v must hold {len(like)} tensors, got {len(vs)}")
    for k, (given, expected) in enumerate(zip(vs, like, strict=True)):
        if given.shape != expected.shape:
            entry = f"entry {k} of v" if several else "v"
            raise RuntimeError(f"{name}: {entry} must have shape {expected.shape}, got {given.shape}")
    return _fresh(vs, create_graph, need_grad=False)


def _one_number(several: bool, ys: Tensors, name: str) -> Tensor:
    if several or ys[0].numel() != 1:
        got = "a tuple" if several else f"one of shape {ys[0].shape}"
        raise RuntimeError(f"{name}: the function must return a single tensor of one element, got {got}")
    return ys[0]


def _grad(
    ys: Sequence[Tensor | None],
    xs: Tensors,
    vs: Tensors | None,
    create_graph: bool,
    retain_graph: bool | None = None,
) -> Sequence[Tensor | None]:
    """autograd.grad where outputs may be None or without a graph: nothing flows from those."""
    pairs = [(y, v) for y, v in zip(ys, vs or (None,) * len(ys), strict=True) if y is not None and y.requires_grad]
    if not pairs:
        return (None,) * len(xs)
    return autograd.grad(
        [y for y, _ in pairs],
        xs,
        [v for _, v in pairs],
        retain_graph=retain_graph,
        create_graph=create_graph,
        allow_unused=True,
    )


def _must_depend(gradients: Sequence[Tensor | None], strict: bool, what: str) -> None:
    for k, g in enumerate(gradients):
        if strict and (g is None or not g.requires_grad):
            raise RuntimeError(
                f"{what} with respect to input {k} does not depend on the inputs, which strict=True does not allow"
            )


def _or_zeros(
    gradients: Sequence[Tensor | None], like: Sequence[Tensor], strict: bool, create_graph: bool, of: str, what: str
) -> Tensors:
    for k, g in enumerate(gradients):
        if strict and g is None:
            raise RuntimeError(f"the {of} does not depend on {what} {k}, which strict=True does not allow")
        if strict and create_graph and g is not None and not g.requires_grad:
            raise RuntimeError(
                f"the derivative for {what} {k} is constant, which strict=True with create_graph forbids"
            )
    return tuple(x.new_zeros(x.shape) if g is None else g for g, x in zip(gradients, like, strict=True))


def _result(tensors: Sequence[Tensor], several: bool, create_graph: bool) -> Any:
    found = tuple(tensors) if create_graph else tuple(t.detach() for t in tensors)
    return found if several else found[0]


def _only_reverse(name: str, vectorize: bool, strict: bool, strategy: str) -> None:
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f"{name}: the strategy must be 'reverse-mode', got {strategy!r}")
    if vectorize and strict:
        raise RuntimeError(f"{name}: strict=True and vectorize=True can't be had together, as in PyTorch")
    if strategy == "forward-mode":
        raise NotImplementedError(f"{name}: there is no strategy='forward-mode' here, only 'reverse-mode'")


# autograd is one file, not a package; yet `import tinygrad_edu.autograd.functional` must find this.
sys.modules[f"{autograd.__name__}.functional"] = sys.modules[__name__]

"""The C backend: describes a signature to the core once, as a node, and then only hands over addresses.

What the core cannot do (a dtype, a number of dimensions, an op without a kernel) falls back to the reference.
Read next: csrc/tg.h, the core's manual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..storage import Layout

if TYPE_CHECKING:
    from ..op import Spec
    from ..tensor import Tensor

try:
    from .._core import ffi, lib
except ImportError as error:
    _reason: str | None = f"the C core could not be loaded ({error})"
else:
    _reason = None
    MAX_DIMS, MAX_INTS, MAX_FLOATS = lib.TG_DIMS, lib.TG_INTS, lib.TG_FLOATS


def unavailable() -> str | None:
    return _reason


def describe(spec: Spec) -> tuple[list[Layout], list[int], list[float]]:
    """The layouts, output first, and the attributes as numbers: what csrc/tg.h calls args, ints and floats."""
    custom = getattr(spec.op, "c_arguments", None)
    if custom is not None:
        return custom(spec)  # type: ignore[no-any-return]
    ints: list[int] = []
    floats: list[float] = []
    for value in spec.attrs.values():
        if isinstance(value, float):
            floats.append(value)
        elif isinstance(value, int):
            ints.append(int(value))
        elif isinstance(value, tuple) and all(isinstance(v, int) for v in value):
            ints.extend(value)
    return list(spec.inputs) if spec.op.updates else [spec.layout, *spec.inputs], ints, floats


def make_node(spec: Spec) -> Any | None:
    """A node of the core for this signature, or None where there is no kernel for it."""
    layouts, ints, floats = describe(spec)
    working = spec.inputs[spec.op.working_input] if spec.inputs else spec.layout
    kernel = lib.tg_kernel_find(spec.op.name.encode(), working.dtype.index)
    fits = all(x.ndim <= MAX_DIMS for x in layouts) and len(ints) <= MAX_INTS and len(floats) <= MAX_FLOATS
    if kernel < 0 or not fits:
        return None
    node = ffi.gc(lib.tg_node_new(kernel, len(layouts)), lib.tg_node_free)
    for i, layout in enumerate(layouts):
        arg = node.args[i]
        arg.dtype, arg.ndim = layout.dtype.index, layout.ndim
        arg.shape[0 : layout.ndim] = layout.shape
        arg.stride[0 : layout.ndim] = layout.strides
    node.n_ints = len(ints)
    node.ints[0 : len(ints)] = ints
    node.floats[0 : len(floats)] = floats
    return None if lib.tg_node_prepare(node) else node


def prepare(spec: Spec) -> Callable[..., None] | None:
    node = make_node(spec)
    if node is None:
        return None
    count = node.n_args
    if count in _launchers:
        return _launchers[count](node)

    def launch(*tensors: Tensor) -> None:
        lib.tg_run_many(node, [x.address for x in tensors])

    return launch


def _launch1(node: Any) -> Callable[..., None]:
    run = lib.tg_run1
    return lambda out: run(node, out.address)


def _launch2(node: Any) -> Callable[..., None]:
    run = lib.tg_run2
    return lambda out, a: run(node, out.address, a.address)


def _launch3(node: Any) -> Callable[..., None]:
    run = lib.tg_run3
    return lambda out, a, b: run(node, out.address, a.address, b.address)


def _launch4(node: Any) -> Callable[..., None]:
    run = lib.tg_run4
    return lambda out, a, b, c: run(node, out.address, a.address, b.address, c.address)


_launchers = {1: _launch1, 2: _launch2, 3: _launch3, 4: _launch4}

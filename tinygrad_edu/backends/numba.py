"""The Numba backend: elementwise ops lifted from their references, loops of their own for products, reductions, images.

Lifting reads a reference's source, drops `out=`, and compiles what is left as a function of single elements; so an
elementwise op needs no line here. What cannot be lifted runs on the reference. Compiled when first used; the loops
are kept on disk where a folder can be written. Left out: multi-dimensional fancy indexing, losses, random numbers.
Read next: numba_kernels.py; numba_images.py and numba_planes.py.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import math
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..op import Op, Spec
    from ..tensor import Tensor

REDUCTIONS = ("sum", "mean", "prod", "amax", "amin")


def unavailable() -> str | None:
    """Why Numba cannot be used, or None."""
    if importlib.util.find_spec("numba") is None:
        return "numba is not installed; pip install 'tinygrad_edu[numba]'"
    return None


def prepare(spec: Spec) -> Callable[..., None] | None:
    """A launcher for this signature, or None where there is neither a lifted nor a written kernel."""
    name = spec.op.name
    if name in ("matmul", "linear"):
        return _product(spec)
    if name in REDUCTIONS:
        return _reduction(spec)
    from . import numba_images, numba_planes

    if name in numba_images.LAUNCHERS:
        return numba_images.prepare(spec)
    if name in numba_planes.LAUNCHERS:
        return numba_planes.prepare(spec)
    return _elementwise(spec)


# Elementwise


class _ToElement(ast.NodeTransformer):
    """Rewrite a reference's statements for single elements. Raises TypeError for a form that it does not know.

    np.f(x, out=out)          out = np.f(x)
    np.copyto(out, e)         out = e            out[...] = e    out = e
    where=c in either         out = np.where(c, e, out)
    x.astype(out.dtype), out.dtype.type(x)       x
    out.dtype.kind == "f"     True or False, as it is for this signature, and the branch that is taken"""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | None:
        call = node.value
        if isinstance(call, ast.Constant):  # the docstring
            return None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            raise TypeError(ast.unparse(node))
        keywords = {k.arg: k.value for k in call.keywords}
        if call.func.attr == "copyto":
            value: ast.expr = call.args[1]
        elif "out" in keywords:
            value = ast.Call(call.func, call.args, [])
        else:
            raise TypeError(ast.unparse(node))
        if "where" in keywords:
            where = ast.Attribute(ast.Name("np", ast.Load()), "where", ast.Load())
            value = ast.Call(where, [keywords["where"], value, ast.Name("out", ast.Load())], [])
        return ast.Assign([ast.Name("out", ast.Store())], self.visit(value))

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        if isinstance(node.targets[0], ast.Subscript):
            node.targets = [ast.Name("out", ast.Store())]
        node.value = self.visit(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "astype":
            return node.func.value
        return node.args[0] if ast.unparse(node.func) == "out.dtype.type" else node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if ast.unparse(node.left) == "out.dtype.kind":
            return ast.Constant(ast.literal_eval(node.comparators[0]) == self.kind)
        return node

    def visit_If(self, node: ast.If) -> Any:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self._all(node.body if test.value else node.orelse)
        node.test, node.body, node.orelse = test, self._all(node.body), self._all(node.orelse)
        return node

    def visit_With(self, node: ast.With) -> Any:
        return self._all(node.body)  # np.errstate: compiled code raises no warnings

    def _all(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        found = [self.visit(statement) for statement in statements]  # a visit gives a statement, several or none
        return [x for one in found for x in (one if isinstance(one, list) else [one] if one else [])]


@functools.cache
def _element(op: Op, kind: str) -> Callable[..., Any] | None:
    """The op as a function of single elements and attributes, or None if its reference is not of that form."""
    reference = inspect.unwrap(op.reference)
    try:
        definition = ast.parse(textwrap.dedent(inspect.getsource(reference))).body[0]
        assert isinstance(definition, ast.FunctionDef)
        rewritten = _ToElement(kind).generic_visit(definition)
    except (OSError, TypeError, SyntaxError):
        return None
    assert isinstance(rewritten, ast.FunctionDef)
    names = [a.arg for a in definition.args.args[1:] + definition.args.kwonlyargs]
    rewritten.body.append(ast.Return(ast.Name("out", ast.Load())))
    rewritten.args = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
    rewritten.decorator_list = []
    module = ast.fix_missing_locations(ast.Module([rewritten], []))
    scope = {**reference.__globals__, "_erf": math.erf}
    exec(compile(module, f"<{op.name} of single elements>", "exec"), scope)
    return scope[definition.name]  # type: ignore[no-any-return]


def _is_elementwise(spec: Spec) -> bool:
    shapes = [x.shape for x in spec.inputs]
    simple = all(isinstance(v, (bool, int, float)) for v in spec.attrs.values())
    return bool(shapes) and simple and not (spec.op.updates or spec.op.variadic) and spec.op.elementwise


def _elementwise(spec: Spec) -> Callable[..., None] | None:
    if not _is_elementwise(spec):
        return None
    function = _element(spec.op, "f" if spec.layout.dtype.is_floating_point else "i")
    if function is None:
        return None
    import numba
    from numba.core.errors import NumbaError

    attrs = tuple(spec.attrs.values())
    kinds = [_numba_type(x.dtype.name) for x in spec.inputs]
    kinds += ["boolean" if isinstance(a, bool) else "int64" if isinstance(a, int) else "float64" for a in attrs]
    try:
        ufunc = _compiled(function, f"{_numba_type(spec.layout.dtype.name)}({', '.join(kinds)})")
    except (NumbaError, NotImplementedError, numba.core.errors.TypingError):
        return None

    def launch(out: Tensor, *inputs: Tensor) -> None:
        with np.errstate(all="ignore"):
            ufunc(*[x.array() for x in inputs], *attrs, out=out.array())

    return launch


@functools.cache
def _compiled(function: Callable[..., Any], signature: str) -> Any:
    import numba

    vectorize: Any = numba.vectorize
    return vectorize([signature], nopython=True)(function)


def _numba_type(name: str) -> str:
    return "boolean" if name == "bool" else name


# Products and reductions


def _product(spec: Spec) -> Callable[..., None] | None:
    from . import numba_kernels as kernels

    if spec.op.name == "linear":
        relu = spec.attrs["activation"] == 1

        def linear(out: Tensor, x: Tensor, w: Tensor, bias: Tensor | None = None) -> None:
            y = out.array()
            kernels.matmul(y, x.array(), w.array().T)
            if bias is not None:
                y += bias.array()
            if relu:
                np.maximum(y, 0, out=y)

        return linear
    if not spec.layout.dtype.is_floating_point:
        return None

    def launch(out: Tensor, a: Tensor, b: Tensor) -> None:
        left, right = np.atleast_2d(a.array()), b.array()
        right = right[:, None] if right.ndim == 1 else right
        stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        left, right = (np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (left, right))
        y = out.array().reshape((*stack, left.shape[-2], right.shape[-1]))
        for index in np.ndindex(*stack):
            kernels.matmul(y[index], left[index], right[index])

    return launch


def _reduction(spec: Spec) -> Callable[..., None] | None:
    from . import numba_kernels as kernels

    (x,) = spec.inputs
    dims = spec.attrs["dim"]
    block = tuple(range(dims[0], dims[0] + len(dims))) if dims else ()
    if not x.dtype.is_floating_point or not x.numel or not x.contiguous or dims != block or not dims:
        return None
    outer = math.prod(x.shape[: dims[0]])
    n = math.prod([x.shape[d] for d in dims])
    kernel = getattr(kernels, spec.op.name)

    def launch(out: Tensor, input: Tensor) -> None:
        kernel(out.array().reshape(outer, -1), input.array().reshape(outer, n, -1))

    return launch

"""The table of merges: which steps, each reading what the one before it made, become which fused op.

A rule says the path by names and gives a function of the steps on it: the fused step, or None where it does not apply.
Whether a merge is safe is decided in fuse.py. Left out: anything that would change a bit. Read next: fuse_chain.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .op import Op
from .ops.philox import scale
from .steps import Operand, Step, same


class Found:
    """The tape on which a rule's path was found, for rules that must look beyond the path."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps

    def readers(self, operand: Operand) -> Iterator[Step]:
        return (step for step in self.steps if any(same(operand, o) for o in step.read()))

    def final(self, operand: Operand) -> bool:
        """Whether its buffer is written once, so that it holds the same whenever it is read."""
        buffer = operand.buffer
        return not buffer.lasting and sum(buffer in step.writes for step in self.steps) == 1


Merge = Callable[..., Step | None]  # (found, *steps of the path)


class Rule(NamedTuple):
    """A path of op names, and what it becomes."""

    path: tuple[str, ...]
    fused: Merge


def step(name: str, out: Operand, inputs: list[Operand], **attrs: Any) -> Step:
    """A step of an op: into the memory of `out`, in the shape that the op says."""
    spec = Op.registry[name].specialise(tuple([o.layout for o in inputs]), attrs)
    return Step(spec, [out.seen_as(spec.layout), *inputs])


def update(name: str, inputs: list[Operand], **attrs: Any) -> Step:
    """A step of an update op, which writes to its first inputs."""
    return Step(Op.registry[name].specialise(tuple([o.layout for o in inputs]), attrs), inputs)


def _linear_relu(_: Found, linear: Step, relu: Step) -> Step | None:
    if linear.spec.attrs["activation"] != 0:
        return None
    return step("linear", relu.operands[0], linear.operands[1:], activation=1)


def _linear_dropout(_: Found, linear: Step, dropout: Step) -> Step | None:
    out, made, key = dropout.operands
    if not same(made, linear.operands[0]):
        return None
    attrs = {"activation": linear.spec.attrs["activation"], "p": dropout.spec.attrs["p"]}
    return step("linear_dropout", out, [*linear.operands[1:3], key, *linear.operands[3:]], **attrs)


def _conv_relu(_: Found, conv: Step, relu: Step) -> Step | None:
    if conv.spec.attrs["activation"] != 0:
        return None
    return step("conv2d", relu.operands[0], conv.operands[1:], **{**conv.spec.attrs, "activation": 1})


def _dropout_relu_grad(found: Found, dropout: Step, grad: Step) -> Step | None:
    """Backward through dropout(relu(x)), where the forward pass kept d = dropout(y) of y = relu(x): what was dropped or
    negative is 0 in d, so that d alone says where the gradient is 0, and neither y nor a random bit is needed."""
    out, g, y = grad.operands
    key = dropout.operands[2]
    if not same(g, dropout.operands[0]) or not dropout.operands[1].layout.contiguous or not found.final(y):
        return None
    for forward in found.readers(y):
        if forward.name == "dropout" and same(forward.operands[1], y) and same(forward.operands[2], key):
            d = forward.operands[0]
            if forward.spec.attrs == dropout.spec.attrs and found.final(d) and found.final(key):
                inputs = [dropout.operands[1].seen_as(out.layout), d.seen_as(out.layout)]
                return step("relu_dropout_grad", out, inputs, scale=scale(forward.spec.attrs["p"]))
    return None


def _matmul_relu_grad(_: Found, matmul: Step, grad: Step) -> Step | None:
    product = matmul.operands[0]
    out, g, y = grad.operands
    matrices = all(o.layout.ndim == 2 for o in matmul.operands)
    if not matrices or not same(g, product) or not y.layout.contiguous or y.layout.numel != g.layout.numel:
        return None
    inputs = [*matmul.operands[1:], y.seen_as(product.layout)]
    return step("linear_grad_input_relu", out, inputs, scale=grad.spec.attrs.get("scale", 1.0))


def _add_into(_: Found, add: Step, copy: Step) -> Step | None:
    """x += y, a gradient's for one: recorded as a sum, and a copy of it into x."""
    target, source = copy.operands
    if target.layout is not add.operands[0].layout or not same(source, add.operands[0]):
        return None
    if any(o.buffer is target.buffer and not same(o, target) for o in add.operands[1:]):
        return None
    return Step(add.spec, [target, *add.operands[1:]])


def _batch_norm(_: Found, moments: Step, norm: Step, dropout: Step | None = None) -> Step | None:
    """Statistics, normalisation and dropout, one channel at a time in L2."""
    out, x, m, weight, bias = norm.operands
    if not same(moments.operands[1], x) or not same(moments.operands[0], m):
        return None
    inputs, p = [out, m, x, weight, bias], 0.0
    if dropout is not None:
        made, normal, key = dropout.operands
        if not same(normal, out):
            return None
        inputs, p = [made.seen_as(out.layout), m, x, weight, bias, key], dropout.spec.attrs["p"]
    return update("batch_norm_fused_", inputs, eps=norm.spec.attrs["eps"], p=p)


def _batch_norm_grad(_: Found, *path: Step) -> Step | None:
    """The gradient of the same, and of the relu that made batch norm's input; dropout and relu_grad may be missing."""
    dropout = path[0] if path[0].name == "dropout" else None
    relu_grad = path[-1] if path[-1].name == "relu_grad" else None
    to_sums, to_input = path[dropout is not None :][:2]
    s, g, x, moments = to_sums.operands
    out, g2, x2, moments2, s2, weight = to_input.operands
    if not (same(s, s2) and same(g, g2) and same(x, x2) and same(moments, moments2)):
        return None
    if relu_grad is not None:
        made, made2, result = relu_grad.operands
        if not (same(made2, out) and same(result, x)):
            return None
        out = made.seen_as(out.layout)
    inputs, p = [out, s, g, x, moments, weight], 0.0
    if dropout is not None:
        made, before, key = dropout.operands
        if not same(made, g):
            return None
        inputs, p = [out, s, before.seen_as(g.layout), x, moments, weight, key], dropout.spec.attrs["p"]
    return update("batch_norm_grad_fused_", inputs, eps=to_input.spec.attrs["eps"], p=p, relu=relu_grad is not None)


RULES = [
    Rule(("batch_moments", "batch_norm", "dropout"), _batch_norm),
    Rule(("batch_moments", "batch_norm"), _batch_norm),
    Rule(("dropout", "batch_norm_grad_sums", "batch_norm_grad_input", "relu_grad"), _batch_norm_grad),
    Rule(("dropout", "batch_norm_grad_sums", "batch_norm_grad_input"), _batch_norm_grad),
    Rule(("batch_norm_grad_sums", "batch_norm_grad_input", "relu_grad"), _batch_norm_grad),
    Rule(("batch_norm_grad_sums", "batch_norm_grad_input"), _batch_norm_grad),
    Rule(("add", "copy_"), _add_into),
    Rule(("dropout", "relu_grad"), _dropout_relu_grad),
    Rule(("matmul", "relu_dropout_grad"), _matmul_relu_grad),
    Rule(("matmul", "relu_grad"), _matmul_relu_grad),
    Rule(("linear", "relu"), _linear_relu),
    Rule(("linear", "dropout"), _linear_dropout),
    Rule(("conv2d", "relu"), _conv_relu),
]

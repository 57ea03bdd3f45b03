"""Shorten a recorded step before it is planned: drop what nobody reads, merge neighbours that one kernel can do.

A merge changes no bit of the result: the fused kernel does the same operations in the same order. Each rule is one
line in RULES: the producer, the only reader of what it made, and the op that does both. Read next: plan.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import backends
from .op import Op, Spec
from .tape import Buffer, Operand, Step


class Rule(NamedTuple):
    """producer then consumer, whose input number `place` is the producer's output -> op(*inputs, **attrs).

    fits      (producer, consumer) -> whether the rule applies
    merged    (producer, consumer) -> (operands after the output, attrs of the merged op)"""

    producer: str
    consumer: str
    place: int
    op: str
    fits: Callable[[Step, Step], bool]
    merged: Callable[[Step, Step], tuple[list[Operand], dict[str, Any]]]


RULES = [
    Rule(
        "linear",
        "relu",
        0,
        "linear",
        lambda linear, relu: linear.spec.attrs["activation"] == 0,
        lambda linear, relu: (linear.operands[1:], {"activation": 1}),
    ),
    Rule(
        "matmul",
        "relu_grad",
        0,
        "linear_grad_input_relu",
        lambda matmul, grad: len(matmul.spec.layout.shape) == 2 and grad.operands[2].layout.contiguous,
        lambda matmul, grad: ([*matmul.operands[1:], grad.operands[2]], {}),
    ),
]


def fuse(steps: list[Step]) -> list[Step]:
    """The same computation in fewer steps."""
    return merge(without_dead(steps))


def without_dead(steps: Sequence[Step]) -> list[Step]:
    """The steps whose results are read later, held by somebody, or written to memory from outside."""
    needed: set[Buffer] = set()
    alive: list[Step] = []
    for step in reversed(steps):
        if any(_lasting(o.buffer) or o.buffer in needed for o in step.written()):
            alive.append(step)
            needed.update(o.buffer for o in step.read())
    return alive[::-1]


def _lasting(buffer: Buffer) -> bool:
    return buffer.storage is not None or buffer.slot is not None


def merge(steps: list[Step]) -> list[Step]:
    """Apply the rules until none fits."""
    by_pair = {(rule.producer, rule.consumer): rule for rule in RULES}
    uses = Counter(o.buffer for step in steps for o in step.operands)
    made: dict[Buffer, Step] = {}
    result: list[Step] = []
    for step in steps:
        merged = None
        for place, operand in enumerate(step.read()):
            producer = made.get(operand.buffer)
            if producer is None or uses[operand.buffer] != 2 or _lasting(operand.buffer):
                continue  # 2: written once, read once
            rule = by_pair.get((producer.spec.op.name, step.spec.op.name))
            whole = operand.layout is producer.spec.layout
            if rule is not None and rule.place == place and whole and rule.fits(producer, step):
                unchanged = _unchanged_since(result, producer)
                operands, attrs = rule.merged(producer, step)
                candidate = _step(rule.op, [step.operands[0], *operands], attrs)
                if unchanged(operands) and backends.has_kernel(candidate.spec):  # the reference may differ in a bit
                    merged = candidate
                    result.remove(producer)
                    break
        step = merged or step
        result.append(step)
        if not step.spec.op.updates:
            made[step.operands[0].buffer] = step
    return result


def _unchanged_since(steps: list[Step], producer: Step) -> Callable[[list[Operand]], bool]:
    """Whether none of some operands is written to after `producer`, so that reading them later reads the same."""
    later = steps[steps.index(producer) + 1 :]
    written = {o.buffer for step in later for o in step.written()}
    return lambda operands: not any(o.buffer in written for o in operands)


def _step(name: str, operands: list[Operand], attrs: dict[str, Any]) -> Step:
    op = Op.registry[name]
    spec: Spec = op.specialise(tuple([o.layout for o in operands[1:]]), attrs)
    return Step(spec, operands)

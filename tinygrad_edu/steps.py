"""What a recorded step is noted in: buffers, operands in them, and steps, each of which becomes a node of the tape.

Nothing runs here. Read next: replay.py, which makes them, fuse.py, which merges them, tape.py, which places them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .op import Spec
from .storage import Layout, Storage
from .tensor import Tensor


@dataclass(eq=False)
class Buffer:
    """Memory that a step touches: an argument's slot, memory from outside the step, or memory made within it."""

    nbytes: int
    storage: Storage | None = None  # None: planned into the tape's arena
    slot: int | None = None
    kept: bool = False  # made within the step, but somebody holds it after the call

    @property
    def lasting(self) -> bool:
        """Whether what is written to it is seen after the step."""
        return self.storage is not None or self.slot is not None


@dataclass(eq=False)
class Operand:
    """An argument of a node: a layout at an offset (in elements) in a buffer."""

    buffer: Buffer
    layout: Layout
    offset: int

    def seen_as(self, layout: Layout) -> Operand:
        """The same elements in the same order in another shape."""
        return Operand(self.buffer, layout, self.offset)

    def fills(self, buffer: Buffer) -> bool:
        """Whether its elements are all that a buffer holds, in order."""
        return self.buffer is buffer and self.layout.contiguous and self.layout.nbytes == buffer.nbytes


def same(a: Operand, b: Operand) -> bool:
    """Whether two operands are the same elements in the same order; their shapes may differ."""
    if a.buffer is not b.buffer or a.offset != b.offset:
        return False
    x, y = a.layout, b.layout
    return x is y or (x.contiguous and y.contiguous and x.numel == y.numel and x.dtype is y.dtype)


# Ops that are elementwise but for their later arguments: how many go with the elements.
ALONG = {"dropout": 2, "cast": 2}


@dataclass(eq=False)
class Step:
    """One node to be: operands are the output and the inputs, for an update op the inputs.

    A chain has parts, the steps that it does block by block. Its operands are `outputs` that it writes, then what it
    reads; its spec is that of its last part."""

    spec: Spec
    operands: list[Operand]
    parts: tuple[Step, ...] = ()
    outputs: int = 1
    tensors: list[Tensor] = field(default_factory=list)

    @property
    def name(self) -> str:
        return " ".join(part.name for part in self.parts) if self.parts else self.spec.op.name

    def written(self) -> list[Operand]:
        if self.parts:
            return self.operands[: self.outputs]
        return [self.operands[i] for i in self.spec.op.writes(self.spec)]

    def read(self) -> list[Operand]:
        """All but an output that is only written."""
        if self.parts:
            return self.operands[self.outputs :]
        return self.operands if self.spec.op.updates else self.operands[1:]

    @cached_property
    def writes(self) -> frozenset[Buffer]:
        return frozenset(o.buffer for o in self.written())

    @cached_property
    def touches(self) -> frozenset[Buffer]:
        return frozenset(o.buffer for o in self.operands)

    @property
    def along(self) -> int:
        """How many of the operands, from the first, go with the elements; 0 where it is no elementwise op."""
        op = self.spec.op
        if self.parts or op.updates or not self.operands[0].layout.contiguous:
            return 0
        return len(self.operands) if op.elementwise else ALONG.get(op.name, 0)

    def flops(self) -> int:
        return sum(part.flops() for part in self.parts) or self.spec.op.flops(self.spec)

    def overwrites(self) -> Iterator[tuple[Operand, Operand]]:
        """Outputs and inputs of one dtype, of which the output may lie where the input does, if nobody reads that
        later: every element is read before the same place is written."""
        parts = self.parts or (self,)
        for k, part in enumerate(parts):
            made = part.operands[0]
            for x in part.operands[1 : part.along]:
                rest = (o for p in parts[: k + 1] for o in p.operands[1:] if o.buffer is x.buffer)
                late = any(o.buffer is x.buffer for p in parts[k + 1 :] for o in p.operands)
                if x.layout.dtype is made.layout.dtype and not late and all(same(x, o) for o in rest):
                    yield made, x

    def hidden(self) -> list[Operand]:
        """What the parts of a chain hand on to each other without memory."""
        made = [part.operands[0] for part in self.parts]
        return [o for o in made if o.buffer not in self.touches]

"""Ops that make no memory of their own: views, which look at their input's, and updates, which change it.

Read next: ops/move.py, where the views are; ops/update.py, an optimiser's step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .modes import modes, watching
from .op import Op, Spec
from .storage import Layout, layout_of
from .tensor import Tensor


class ViewOp(Op):
    """An op that computes nothing: its output is the input's memory seen through another layout.

    The reference maps (layout, **attrs) to (shape, strides, offset), all in elements."""

    skipped_parameters = 0
    is_view = True

    def __init__(self, reference: Callable[..., Any], name: str = "") -> None:
        super().__init__(reference, reference, None, name)

    def specialise(self, layouts: tuple[Layout, ...], attrs: dict[str, Any]) -> Spec:
        shape, strides, offset = self.shape(*layouts, **attrs)
        return Spec(self, layouts, attrs, layout_of(tuple(shape), layouts[0].dtype, tuple(strides)), offset)


class UpdateOp(Op):
    """An op that changes its first input and returns it: copy_, an optimiser's step. It is not differentiated, so
    calling it on what a gradient is recorded for is an error; kernels get that input as `out`.

    writes: (spec) -> the numbers of the inputs that it changes, for ops that change several."""

    skipped_parameters = 0
    updates = True

    def __init__(
        self,
        reference: Callable[..., None],
        shape: Callable[..., Any],
        writes: Callable[[Spec], tuple[int, ...]] | None = None,
    ) -> None:
        super().__init__(reference, shape)
        self._writes = writes

    def writes(self, spec: Spec) -> tuple[int, ...]:
        return (0,) if self._writes is None else self._writes(spec)

    def run(self, spec: Spec, inputs: tuple[Tensor, ...]) -> Tensor:
        """Run the op at a known signature."""
        changed = inputs[:1] if self._writes is None else [inputs[i] for i in self.writes(spec)]
        for x in changed:
            if x.needs_grad and modes.grad:
                raise RuntimeError(f"{self.name} would change a tensor that requires grad; do it under no_grad()")
        spec.launch(*inputs)
        for x in changed:
            x.storage.version += 1
        if watching:
            for watcher in modes.watchers:
                watcher.ran(spec, inputs, inputs[0])
        return inputs[0]


def update(
    shape: Callable[..., Any] = lambda target, *_, **__: target.shape,
    writes: Callable[[Spec], tuple[int, ...]] | None = None,
) -> Callable[[Callable[..., None]], UpdateOp]:
    """Decorator: make an op that changes its first input, or those that `writes` numbers."""
    return lambda reference: UpdateOp(reference, shape, writes)

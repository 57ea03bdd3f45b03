"""A user's own function with its own gradient: autograd.Function, with PyTorch's names.

A call leaves one node for itself, at which `backward` runs, and one for each output, which hands its gradient on to it.
`forward` records nothing; what `backward` computes is recorded with create_graph, so it can be differentiated again.
Left out: jvp, vmap, once_differentiable. Read next: op.py, for ops that have a kernel.
"""

from __future__ import annotations

import weakref
from typing import Any

from .modes import modes, no_grad
from .op import Node, Op, Spec
from .ops.create import zeros
from .tensor import Tensor


class _Gradients(dict[int, Tensor]):
    """What has come for the outputs of one call, by their number: what autograd's walk adds up at the call's node."""

    def __add__(self, other: _Gradients) -> _Gradients:
        both = {k: self[k] + other[k] for k in self.keys() & other.keys()}
        return _Gradients({**self, **other, **both})


class _UsersOp(Op):
    """The op of a call's node: its rules are the user's `backward`."""

    def __init__(self, name: str) -> None:  # no reference, no kernel, and not in the registry
        self.name, self.inputs, self.keeps = name, (), {}

    def find_kept(self, wanted: tuple[bool, ...]) -> tuple[tuple[int, ...], bool]:
        return (), False  # the context keeps what the user saves

    def vjp(self, node: Any, i: int, g: Any) -> Tensor | None:
        if node.shared is None or node.shared[0] is not g:
            node.shared = g, node.gradients(g)
        return node.shared[1][i]  # type: ignore[no-any-return]


class _OutputOp(_UsersOp):
    """The op of an output's node: hands the gradient on, with the output's number."""

    def vjp(self, node: Node, i: int, g: Tensor) -> Any:
        return _Gradients({node.spec.attrs["number"]: g})


class _Call(Node):
    """The node of one call."""

    __slots__ = ("args", "context", "function", "layouts")

    def __init__(self, function: type[Function], context: FunctionCtx, args: tuple[Any, ...], outputs: list[Any]):
        tensors = tuple([x for x in args if isinstance(x, Tensor)])
        made = [y for y in outputs if isinstance(y, Tensor)]
        spec = Spec(_UsersOp(function.__name__), tuple([x.layout for x in tensors]), {}, made[0].layout, 0)
        super().__init__(spec, tensors, made[0])
        self.function, self.context = function, context
        self.args = [x.layout if isinstance(x, Tensor) else None for x in args]
        self.layouts = [y.layout if isinstance(y, Tensor) else None for y in outputs]

    def at_output(self, number: int, y: Tensor) -> Tensor:
        """Let y stand in the graph as that output of the call."""
        through = Tensor.over(y.storage, y.layout, y.offset)
        through.node, through.needs_grad = self, True
        op = _OutputOp(self.name())
        y.node = Node(Spec(op, (y.layout,), {"number": number}, y.layout, 0), (through,), y)
        y.needs_grad = True
        return y

    def release(self) -> None:
        super().release()
        self.context._saved = None

    def gradients(self, received: _Gradients) -> list[Tensor | None]:
        """The gradient of each input that is a tensor, by the user's `backward`. Raises RuntimeError, TypeError."""
        name = self.name()
        given: list[Tensor | None] = []
        for k, layout in enumerate(self.layouts):
            g = received.get(k)
            if g is None and layout is not None and self.context._materializes:
                g = zeros(layout.shape, dtype=layout.dtype)
            given.append(g)
        result = self.function.backward(self.context, *given)
        results = result if isinstance(result, tuple) else (result,)
        count = len(self.args)
        if len(results) < count or any(g is not None for g in results[count:]):
            raise RuntimeError(f"{name}.backward returned {len(results)} gradients, but forward took {count} inputs")
        gradients: list[Tensor | None] = []
        for k, (layout, g) in enumerate(zip(self.args, results, strict=False)):
            if layout is None:
                if g is not None:
                    raise RuntimeError(f"{name}.backward returned a gradient for input {k}, which is no tensor")
                continue
            if g is not None and not isinstance(g, Tensor):
                raise TypeError(f"{name}.backward: the gradient for input {k} must be a Tensor or None, got {type(g)}")
            if g is not None and g.layout.shape != layout.shape:
                try:
                    g = g.sum_to_size(layout.shape)
                except RuntimeError:
                    raise RuntimeError(
                        f"{name}.backward: the gradient for input {k} has shape {tuple(g.shape)}, "
                        f"the input {layout.shape}"
                    ) from None
            gradients.append(g if g is None or g.layout.dtype is layout.dtype else g.to(layout.dtype))
        return gradients


class FunctionCtx:
    """What `forward` leaves for `backward`: attributes of any name, and tensors through save_for_backward.

    needs_input_grad: for each argument of forward, whether a gradient is wanted."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._to_save: tuple[Tensor | None, ...] = ()
        self._saved: list[tuple[Tensor, int, int | None] | None] | None = []  # tensor, version, number of the output
        self._constants: tuple[Tensor, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._materializes = True
        self._call: weakref.ref[_Call] | None = None  # the call refers to its context

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or others for saved_tensors; whoever changes them in place is noticed."""
        for x in tensors:
            if not (x is None or isinstance(x, Tensor)):
                raise TypeError(f"save_for_backward: expected Tensors or None, got {type(x).__name__}")
        self._to_save = tensors

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """These outputs get no gradient. Integer outputs never do."""
        self._constants = outputs

    def mark_dirty(self, *inputs: Tensor) -> None:
        """These inputs were changed in place; they must be returned, too."""
        self._dirty = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default) or None for an output that nothing depends on."""
        self._materializes = value

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What was saved. Raises RuntimeError when it was freed by the first backward, or changed since."""
        call = None if self._call is None else self._call()
        if call is None:
            return self._to_save
        if self._saved is None:
            raise call._released()
        found: list[Tensor | None] = []
        for kept in self._saved:
            if kept is None:
                found.append(None)
                continue
            x, version, number = kept
            if x.storage.version != version:
                raise call._changed("a saved tensor", x.layout)
            found.append(x if number is None else call.at_output(number, x.detach()))
        return tuple(found)

    def _seal(self, call: _Call, outputs: list[Any]) -> None:
        """Note what was saved as it is now. Outputs without their node: it leads back to this context."""
        self._call, self._saved = weakref.ref(call), []
        for x in self._to_save:
            number = next((k for k, y in enumerate(outputs) if y is x), None)
            constant = any(x is y for y in self._constants)
            if x is None:
                self._saved.append(None)
            elif number is None or constant:
                self._saved.append((x, x.storage.version, None))
            else:
                self._saved.append((x.detach(), x.storage.version, number))
        self._to_save = self._constants = self._dirty = ()


class Function:
    """Base of functions with a gradient of their own; call them as `MyFunction.apply(*args)`.

    Subclasses define static methods: forward(ctx, *args), or forward(*args) and setup_context(ctx, inputs, output); and
    backward(ctx, *grad_outputs), which returns one gradient for each argument of forward, None for what has none."""

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("an autograd.Function must define forward")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        raise NotImplementedError("setup_context is not defined")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError("an autograd.Function must define backward to be differentiated")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward on args and return what it returns, its floating-point tensors at a node of this function.

        Raises RuntimeError where a leaf that requires grad was marked dirty."""
        needs = tuple([isinstance(x, Tensor) and x.needs_grad and modes.grad for x in args])
        context = FunctionCtx(needs)
        with no_grad():
            if cls.setup_context is Function.setup_context:
                result = cls.forward(context, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(context, args, result)
        outputs = list(result) if isinstance(result, tuple) else [result]
        if any(needs) and any(isinstance(y, Tensor) for y in outputs):
            cls._record(context, args, outputs)
        return tuple(outputs) if isinstance(result, tuple) else outputs[0]

    @classmethod
    def _record(cls, context: FunctionCtx, args: tuple[Any, ...], outputs: list[Any]) -> None:
        """Let the outputs stand in the graph."""
        dirty, constants = context._dirty, context._constants
        call = _Call(cls, context, args, outputs)
        context._seal(call, outputs)
        for k, y in enumerate(outputs):
            if not isinstance(y, Tensor):
                continue
            changed, constant = any(y is x for x in dirty), any(y is c for c in constants)
            if changed and y.node is None and y.needs_grad:
                raise RuntimeError(f"{cls.__name__}: a leaf tensor that requires grad was changed in place")
            if not changed:
                y = outputs[k] = y.detach()  # forward may return an input, or what somebody holds
            if y.layout.dtype.is_floating_point and not constant:
                call.at_output(k, y)

"""The central pattern: an op is a name, a shape rule, a NumPy reference and one gradient rule per input.

Calling an op allocates its output, runs the current backend's kernel into it and, where a gradient will be wanted,
leaves a Node behind. Rules are written in ops, so the backward pass leaves nodes too, and any order of derivative is
free. No mathematics here: the ops stand in ops/, the kernels in backends/. Read next: autograd.py, which walks
nodes; op_kinds.py, ops that look at memory or change it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from . import backends
from .dtypes import dtype
from .modes import modes, watching
from .storage import Layout, layout_of
from .tensor import Tensor

_ages = itertools.count()
_empty = Tensor.empty  # looked up once: every op asks for it


class Spec:
    """One op at one signature (layouts and attributes): all that a call needs to know but the addresses."""

    __slots__ = ("attrs", "differentiable", "inputs", "launch", "layout", "offset", "op")

    def __init__(self, op: Op, inputs: tuple[Layout, ...], attrs: dict[str, Any], layout: Layout, offset: int) -> None:
        self.op, self.inputs, self.attrs, self.layout, self.offset = op, inputs, attrs, layout, offset
        self.differentiable = layout.dtype.is_floating_point
        self.launch: Callable[..., None]  # (out, *inputs) -> None, set by whoever runs a kernel


class Node:
    """One call of an op in the graph: where its gradient goes on to, and what its rules need to know.

    An edge is the node that made the input, or the input itself where that is a leaf, or None where no gradient is
    wanted. A node never refers to its own output tensor (only to its storage), so graphs have no reference cycles.
    """

    __slots__ = (
        "__weakref__",
        "age",
        "edges",
        "hooks",
        "kept",
        "output",
        "saved",
        "shared",
        "spec",
        "trace",
        "versions",
    )

    def __init__(self, spec: Spec, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        self.spec = spec
        self.hooks: list[Callable[[Tensor], Tensor | None]] | None = None
        self.trace: str | None = None  # the user's line, kept by the anomaly detector
        self.shared: tuple[Tensor, dict[str, Any]] | None = None  # a gradient, and what rules share for it
        self.edges: tuple[Any, ...]
        wanted: tuple[bool, ...]
        count = len(inputs)
        if count == 1:  # the common cases, without the cost of a comprehension
            self.edges, wanted = (inputs[0].node or inputs[0],), (True,)
        elif count == 2:
            a, b = inputs
            wanted = first, second = a.needs_grad, b.needs_grad
            self.edges = (a.node or a) if first else None, (b.node or b) if second else None
        else:
            self.edges = tuple([x.node or x if x.needs_grad else None for x in inputs])
            wanted = tuple([x.needs_grad for x in inputs])
        self.kept, output = spec.op.keeps.get(wanted) or spec.op.find_kept(wanted)
        self.saved: tuple[Tensor, ...] | None = ()
        self.versions: Sequence[int] = ()
        if self.kept:
            if len(self.kept) != count:
                inputs = tuple([inputs[i] for i in self.kept])
            self.saved = inputs
            if len(inputs) == 1:
                self.versions = (inputs[0].storage.version,)
            elif len(inputs) == 2:
                self.versions = inputs[0].storage.version, inputs[1].storage.version
            else:
                self.versions = [x.storage.version for x in inputs]
        self.output: Any = (out.storage, out.offset, out.storage.version) if output else None
        self.age = next(_ages)  # an input is always older: sorting by age is a topological order

    def name(self) -> str:
        return self.spec.op.name

    def __repr__(self) -> str:
        return f"<Node {self.name()}>"

    def release(self) -> None:
        """Forget the saved tensors: backward has gone through."""
        self.saved = None
        if self.output is not None:
            self.output = ()

    def recall(self, i: int) -> Tensor:
        """Input i as it was in the forward pass. Raises RuntimeError when it is gone or was changed."""
        if self.saved is None:
            raise self._released()
        at = self.kept.index(i)
        x = self.saved[at]
        if x.storage.version != self.versions[at]:
            raise self._changed(f"input {self.spec.op.input_name(i)!r}", x.layout)
        return x

    def recall_output(self) -> Tensor:
        """The output, as a tensor that stands at this node of the graph."""
        if not self.output:
            raise self._released()
        storage, offset, version = self.output
        if storage.version != version:
            raise self._changed("the output", self.spec.layout)
        y = Tensor.over(storage, self.spec.layout, offset)
        y.node, y.needs_grad = self, True
        return y

    def _released(self) -> RuntimeError:
        return RuntimeError(
            f"backward through {self.name()!r} a second time: the values it saved were freed by the first backward. "
            "Call the first one with retain_graph=True, or compute the forward pass again."
        )

    def _changed(self, what: str, layout: Layout) -> RuntimeError:
        return RuntimeError(
            f"the gradient of {self.name()!r} needs {what} of shape {layout.shape}, which was changed in place after "
            "the forward pass (by an in-place operation, an optimiser step, or through .numpy()). "
            "Use an out-of-place form, or change a .clone() instead."
        )


class Op:
    """A function of tensors. `apply(*inputs, **attrs)` is the only way a kernel is ever called.

    reference  writes the result into `out` with NumPy; its parameters name the inputs, its keyword-only ones the attrs
    shape      (*layouts, **attrs) -> shape of the output; raises an error that names op, shapes and sizes
    dtype      of the output: a dtype, or (*layouts, **attrs) -> dtype; default: the first input's
    gradients  set by `vjps`: a rule per input, called with what its parameter names ask for: g (the incoming gradient),
               y (the output), an input's name (None where it was left out), NAME_shape, NAME_dtype, an attr; for ops of
               any number of inputs also i (which input) and shapes (of all), what `shares` names.
               None: no gradient flows to that input.
    """

    registry: ClassVar[dict[str, Op]] = {}

    def __init__(
        self,
        reference: Callable[..., None],
        shape: Callable[..., Any],
        out_dtype: dtype | Callable[..., dtype] | None = None,
        name: str = "",
    ) -> None:
        self.name = name or reference.__name__
        self.reference, self.shape, self.dtype = reference, shape, out_dtype
        self.elementwise = bool(getattr(shape, "elementwise", False))  # one element of each input each
        self.__doc__ = reference.__doc__
        code = reference.__code__
        self.variadic = bool(code.co_flags & 0x04)  # takes *inputs
        first = self.skipped_parameters
        last = code.co_argcount
        self.inputs = code.co_varnames[first:last] if not self.variadic else ("inputs",)
        self.rules: dict[str, tuple[list[Fetch], Callable[..., Tensor | None]] | None] = {}
        self.shared: dict[str, Callable[..., Any]] = {}
        self.keeps: dict[tuple[bool, ...], tuple[tuple[int, ...], bool]] = {}  # see find_kept
        self.specs: dict[tuple[Any, ...], Spec] = {}
        if self.name in Op.registry:
            raise ValueError(f"an op named {self.name!r} exists already")
        Op.registry[self.name] = self

    skipped_parameters = 1  # the reference's first parameter is `out`
    updates = False  # whether the first input is what is written to
    is_view = False  # whether the output is the input's memory
    working_input: int | None = 0  # the input whose dtype chooses the kernel; None: the output's does

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def writes(self, spec: Spec) -> tuple[int, ...]:
        """Which of a kernel's arguments it writes to."""
        return (0,)

    def flops(self, spec: Spec) -> int:
        """Floating-point operations of a call, where counting them says something (products); else 0."""
        return 0

    def input_name(self, i: int) -> str:
        return f"{self.inputs[0]}[{i}]" if self.variadic else self.inputs[i]

    def shares(self, **values: Callable[..., Any]) -> None:
        """Name what several rules read, so that a node computes it once: functions of what rules may ask for."""
        self.shared.update(values)

    def vjps(self, **rules: Callable[..., Tensor | None] | None) -> None:
        """Set the rules, one for each input by name (vector-Jacobian products)."""
        for name, rule in rules.items():
            if name not in self.inputs:
                raise ValueError(f"op {self.name!r} has no input {name!r}; its inputs are {', '.join(self.inputs)}")
            if rule is None:
                self.rules[name] = None
                continue
            self.rules[name] = ([self._fetch(word) for word in _parameters(rule)], rule)

    def find_kept(self, wanted: tuple[bool, ...]) -> tuple[tuple[int, ...], bool]:
        """What the rules of the wanted inputs read: the numbers of inputs, and whether the output."""
        rules = [self.rules.get(self.inputs[0 if self.variadic else i]) for i, want in enumerate(wanted) if want]
        words = {word for rule in rules if rule is not None for word in self._words(rule[1])}
        read = tuple([i for i in range(len(wanted)) if self.inputs[0 if self.variadic else i] in words])
        self.keeps[wanted] = read, "y" in words
        return self.keeps[wanted]

    def _words(self, function: Callable[..., Any]) -> set[str]:
        """What a rule asks for, directly or through what it shares with others."""
        own = set(_parameters(function))
        return own.union(*[self._words(self.shared[word]) for word in own if word in self.shared])

    def _fetch_shared(self, word: str) -> Fetch:
        function = self.shared[word]
        fetches = [self._fetch(w) for w in _parameters(function)]

        def fetch(node: Node, g: Tensor, i: int) -> Any:
            if node.shared is None or node.shared[0] is not g:
                node.shared = g, {}
            known = node.shared[1]
            if word not in known:
                known[word] = function(*[get(node, g, i) for get in fetches])
            return known[word]

        return fetch

    def _fetch(self, word: str) -> Fetch:
        if word in self.shared:
            return self._fetch_shared(word)
        if word == "g":
            return lambda node, g, i: g
        if word == "y":
            return lambda node, g, i: node.recall_output()
        if self.variadic:
            own: dict[str, Fetch] = {
                "i": lambda node, g, i: i,
                "shapes": lambda node, g, i: [x.shape for x in node.spec.inputs],
                "inputs": lambda node, g, i: [node.recall(k) for k in range(len(node.spec.inputs))],
            }
            if word in own:
                return own[word]
        elif word in self.inputs:
            at = self.inputs.index(word)
            return lambda node, g, i: node.recall(at) if at < len(node.spec.inputs) else None
        elif word.rpartition("_")[0] in self.inputs and word.endswith(("_shape", "_dtype")):
            stem, _, field = word.rpartition("_")
            at = self.inputs.index(stem)
            return lambda node, g, i: getattr(node.spec.inputs[at], field)
        return lambda node, g, i: node.spec.attrs[word]

    def vjp(self, node: Node, i: int, g: Tensor) -> Tensor | None:
        """The gradient for input i of `node`, given g, that of its output. Raises RuntimeError without a rule."""
        name = self.inputs[0] if self.variadic else self.inputs[i]
        if name not in self.rules:
            raise RuntimeError(
                f"op {self.name!r} has no gradient rule for its input {name!r}; "
                "detach() that input if no gradient shall flow through it"
            )
        rule = self.rules[name]
        if rule is None:
            return None
        fetches, function = rule
        gradient = function(*[fetch(node, g, i) for fetch in fetches])
        layout = node.spec.inputs[i]
        if gradient is not None and gradient.layout.shape != layout.shape:
            try:
                gradient = gradient.sum_to_size(layout.shape)  # undo the forward pass's broadcasting
            except RuntimeError:
                raise RuntimeError(
                    f"the rule of {self.name!r} for {name!r} gave a gradient of shape {gradient.layout.shape} "
                    f"for an input of shape {layout.shape}"
                ) from None
        if gradient is not None and gradient.layout.dtype is not layout.dtype:
            raise RuntimeError(
                f"the rule of {self.name!r} for {name!r} gave a gradient of dtype {gradient.layout.dtype} "
                f"for an input of dtype {layout.dtype}"
            )
        return gradient

    def spec(self, inputs: tuple[Tensor, ...], attrs: dict[str, Any]) -> Spec:
        """What this op does at this signature, worked out once. Raises what the shape rule raises."""
        try:
            key: tuple[Any, ...] = (inputs[0].layout,) if len(inputs) == 1 else tuple([x.layout for x in inputs])
        except AttributeError:
            given = ", ".join(type(x).__name__ for x in inputs)
            raise TypeError(f"{self.name}: expected Tensors, got {given}") from None
        key = (*key, *attrs.items()) if attrs else key
        spec = self.specs.get(key)
        if spec is None:
            if len(self.specs) > 4096:
                self.specs.clear()
            spec = self.specs[key] = self.specialise(tuple([x.layout for x in inputs]), attrs)
        return spec

    def specialise(self, layouts: tuple[Layout, ...], attrs: dict[str, Any]) -> Spec:
        shape = self.shape(*layouts, **attrs)
        d = self.dtype
        if not isinstance(d, dtype):
            d = layouts[0].dtype if d is None else d(*layouts, **attrs)
        spec = Spec(self, layouts, attrs, layout_of(tuple(shape), d), 0)
        spec.launch = backends.launcher(spec)
        return spec

    def apply(self, *inputs: Tensor, **attrs: Any) -> Tensor:
        """Run the op. Raises the shape rule's error; values are never checked."""
        return self.run(self.spec(inputs, attrs), inputs)

    __call__ = apply

    def run(self, spec: Spec, inputs: tuple[Tensor, ...]) -> Tensor:
        """Run the op at a known signature."""
        if self.is_view:
            x = inputs[0]
            x.storage.viewed = True
            out = Tensor.over(x.storage, spec.layout, x.offset + spec.offset)
        else:
            out = _empty(spec.layout)
            if len(inputs) == 1:  # the common cases, without the cost of a star
                spec.launch(out, inputs[0])
            elif len(inputs) == 2:
                spec.launch(out, inputs[0], inputs[1])
            else:
                spec.launch(out, *inputs)
        if spec.differentiable:
            for x in inputs:
                if x.needs_grad:
                    if modes.grad:
                        out.node, out.needs_grad = Node(spec, inputs, out), True
                    break
        if watching:
            for watcher in modes.watchers:
                watcher.ran(spec, inputs, out)
        return out


Fetch = Callable[[Node, Tensor, int], Any]


def _parameters(rule: Callable[..., Any]) -> tuple[str, ...]:
    return rule.__code__.co_varnames[: rule.__code__.co_argcount]


def op(
    shape: Callable[..., Any], dtype: dtype | Callable[..., dtype] | None = None
) -> Callable[[Callable[..., None]], Op]:
    """Decorator: make an op of its NumPy reference."""
    return lambda reference: Op(reference, shape, dtype)


def forget_specs() -> None:
    """Work every signature out anew: the backend has changed."""
    for known in Op.registry.values():
        known.specs.clear()


backends.on_change.append(forget_specs)

"""Reverse mode: walk the nodes from an output back to its leaves, youngest first, and add up what the rules give.

Un-broadcasting, accumulation and the question who needs a gradient live here and in Op.vjp, once for every op. The
walk is a loop, so the depth of a graph is bounded by memory only. With create_graph the rules' own ops leave nodes,
and gradients can be differentiated again. Read next: ops/elementwise.py, where rules look like a table of derivatives;
gradcheck.py and derivatives.py build on this.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any

from .hooks import After
from .modes import enable_grad, modes, no_grad, set_grad_enabled  # noqa: F401  (autograd.no_grad, as in PyTorch)
from .op import Node
from .tensor import Tensor

Vertex = Node | Tensor  # a node, or a leaf


def walk(
    roots: Sequence[Tensor],
    seeds: Sequence[Tensor],
    targets: Iterable[Vertex] | None,
    retain_graph: bool,
    create_graph: bool,
) -> dict[Vertex, Tensor]:
    """The gradient at every leaf (targets None), or at the targets, of sum(<root, seed>)."""
    pending: dict[Vertex, Tensor] = {}
    for root, seed in zip(roots, seeds, strict=True):
        _accumulate(pending, root.node or root, seed)
    nodes = _youngest_first([v for v in pending if isinstance(v, Node)])
    aims = None if targets is None else set(targets)
    useful = None if aims is None else _leading_to(aims, nodes)
    found: dict[Vertex, Tensor] = {}
    before, modes.grad = modes.grad, create_graph
    try:  # and not `with`: a Ctrl-C may come before an __exit__ has begun
        for node in nodes:
            g = pending.pop(node, None)
            if g is None:
                continue
            for watcher in modes.watchers:
                watcher.enters(node)
            g = _through_hooks(node, g)
            if aims is not None and node in aims:
                found[node] = g
            for i, edge in enumerate(node.edges):
                if edge is None or (useful is not None and edge not in useful):
                    continue
                gradient = node.spec.op.vjp(node, i, g)
                if gradient is not None:
                    _accumulate(pending, edge, gradient)
            node.shared = None
            if not retain_graph:
                node.release()
        for watcher in modes.watchers:
            watcher.enters(None)
        for leaf, g in pending.items():
            if aims is None or leaf in aims:
                found[leaf] = _through_hooks(leaf, g)
    finally:
        modes.grad = before
    return found


def _accumulate(pending: dict[Vertex, Tensor], vertex: Vertex, g: Tensor) -> None:
    known = pending.get(vertex)
    pending[vertex] = g if known is None else known + g


def _youngest_first(roots: list[Node]) -> list[Node]:
    seen = set(roots)
    stack = list(roots)
    while stack:
        for edge in stack.pop().edges:
            if isinstance(edge, Node) and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    return sorted(seen, key=lambda node: node.age, reverse=True)


def _leading_to(aims: set[Vertex], nodes: list[Node]) -> set[Vertex]:
    """The aims, and every node from which one of them can be reached."""
    useful = set(aims)
    for node in reversed(nodes):
        if any(edge in useful for edge in node.edges if edge is not None):
            useful.add(node)
    return useful


def _through_hooks(vertex: Vertex, g: Tensor) -> Tensor:
    for hook in list(vertex.hooks or ()):
        changed = hook(g)
        if changed is not None:
            if not isinstance(changed, Tensor):
                raise TypeError(f"a hook must return a gradient or None, got {type(changed).__name__}")
            if changed.shape != g.shape or changed.dtype is not g.dtype:
                raise RuntimeError(f"a hook must return a gradient of shape {g.shape} and dtype {g.dtype}, or None")
            g = changed
    return g


def _seeds(outputs: Sequence[Tensor], given: Sequence[Tensor | None] | None, create_graph: bool) -> list[Tensor]:
    if given is not None and len(given) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} outputs but {len(given)} gradients for them")
    seeds = []
    for k, output in enumerate(outputs):
        if not isinstance(output, Tensor):
            raise TypeError(f"output {k} must be a Tensor, got {type(output).__name__}")
        if not output.requires_grad:
            raise RuntimeError(
                f"output {k} of shape {output.shape} does not require grad and has no graph behind it: "
                "no input required grad, or it was computed under no_grad() or detached"
            )
        seed = None if given is None else given[k]
        if seed is None:
            if output.layout.numel != 1:
                raise RuntimeError(
                    f"backward of a tensor of shape {output.shape}: only scalars have an implicit gradient of 1; "
                    "pass gradient=, or reduce with sum() or mean()"
                )
            seed = output.new_ones(output.shape)
        elif not isinstance(seed, Tensor):
            raise TypeError(f"the gradient for output {k} must be a Tensor, got {type(seed).__name__}")
        elif seed.shape != output.shape:
            raise RuntimeError(f"the gradient for output {k} has shape {seed.shape}, the output {output.shape}")
        elif seed.dtype is not output.dtype:
            seed = seed.to(output.dtype)
        seeds.append(seed)
    return seeds


def _as_list(x: Any) -> list[Any]:
    return [x] if isinstance(x, Tensor) or x is None else list(x)


def _check_inputs(name: str, inputs: Sequence[Tensor]) -> None:
    if not inputs:
        raise RuntimeError(f"{name}: inputs is empty")
    for k, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: input {k} must be a Tensor, got {type(x).__name__}")
        if not x.requires_grad:
            raise RuntimeError(f"{name}: input {k} of shape {x.shape} does not require grad")


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of `tensors` to the `.grad` of every leaf that requires one (or of `inputs` only).

    grad_tensors: the vectors of the vector-Jacobian products; may be left out for tensors of one element.
    Raises RuntimeError for a tensor without a graph, a missing or misshapen gradient, a graph already freed, data
    changed in place, an op without a rule.
    """
    outputs = _as_list(tensors)
    seeds = _seeds(outputs, None if grad_tensors is None else _as_list(grad_tensors), create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    wanted = None if inputs is None else {x.node or x: x for x in _as_list(inputs)}
    if wanted is not None:
        _check_inputs("backward", list(wanted.values()))
    found = walk(outputs, seeds, wanted, retain, create_graph)
    lent = {id(seed.storage) for seed in seeds}  # memory that somebody else holds too
    for vertex, g in found.items():
        leaf = vertex if wanted is None else wanted[vertex]
        assert isinstance(leaf, Tensor)
        before, modes.grad = modes.grad, create_graph
        try:
            if leaf.grad is not None:
                if create_graph:
                    leaf.grad = leaf.grad + g
                else:
                    leaf.grad.add_(g)
            else:
                own = g.layout.contiguous and id(g.storage) not in lent and g.layout.nbytes == g.storage.nbytes
                leaf.grad = g if own else g.clone()
                lent.add(id(g.storage))
        finally:
            modes.grad = before
        for hook in list(leaf.hooks or ()):
            if isinstance(hook, After):
                hook.hook(leaf)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of sum(<output, grad_output>) with respect to `inputs`, without touching any `.grad`.

    Raises RuntimeError as `backward` does, and where an input does not require grad or, unless allow_unused or
    materialize_grads (zeros then), where no output depends on it.
    """
    ys, xs = _as_list(outputs), _as_list(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: materialize_grads=True needs allow_unused to be True or None")
    _check_inputs("grad", xs)
    seeds = _seeds(ys, None if grad_outputs is None else _as_list(grad_outputs), create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    found = walk(ys, seeds, [x.node or x for x in xs], retain, create_graph)
    result: list[Tensor | None] = []
    for k, x in enumerate(xs):
        g = found.get(x.node or x)
        if g is None and materialize_grads:
            g = x.new_zeros(x.shape)
        if g is None and not allow_unused:
            raise RuntimeError(
                f"grad: no output depends on input {k} of shape {x.shape}; pass allow_unused=True to get None for it"
            )
        result.append(g)
    return tuple(result)


def __getattr__(name: str) -> Any:
    """What builds on this module and would make importing it slower: loaded when asked for."""
    for module in ("gradcheck", "anomaly", "function"):
        found = importlib.import_module(f".{module}", __package__)
        if getattr(getattr(found, name, None), "__module__", None) == found.__name__:  # not what it imports itself
            return getattr(found, name)
    if name in ("functional", "function"):
        return importlib.import_module(".derivatives" if name == "functional" else ".function", __package__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

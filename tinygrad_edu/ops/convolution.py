"""Convolution as users call it: PyTorch's functions with its arguments, in terms of the three ops of conv.py.

A transposed convolution is the input gradient; one spatial dimension is two, of which the first has size 1; a missing
batch is a batch of one. Read next: conv.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor
from .common import as_tensor, no_tensor, refuse_bools, same_dtype
from .conv import check_groups, conv2d_grad_input, conv2d_op, conv_shape
from .elementwise import add
from .fold import Ints, check_window, ints_of, nearer
from .matmul import NONE
from .pad import pad


def _batched(name: str, input: Any, weight: Tensor, dims: int) -> tuple[Tensor, bool]:
    """The input with a batch dimension, and whether it had one."""
    x = as_tensor(input, name)
    refuse_bools(name, x)
    if not isinstance(weight, Tensor):
        raise no_tensor(name, weight)
    if weight.layout.ndim != dims + 2:
        raise RuntimeError(f"{name}: expected a weight of {dims + 2} dimensions, got shape {weight.layout.shape}")
    if x.layout.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{name}: expected an input of {dims + 1} dimensions, or {dims + 2} with a batch, got {x.layout.shape}"
        )
    if 0 in x.layout.shape[-dims:]:
        raise RuntimeError(f"{name}: only the batch and the channels may be empty, got input shape {x.layout.shape}")
    return (x, True) if x.layout.ndim == dims + 2 else (x.unsqueeze(0), False)


def same_padding(kernel: Ints, dilation: Ints) -> list[tuple[int, int]]:
    """What padding='same' adds before and after, so that the result is as large as the input; an odd one after."""
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return [(n // 2, n - n // 2) for n in total]


def _conv(
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int] | str,
    dilation: int | Sequence[int],
    groups: int,
) -> Tensor:
    """conv1d and conv2d."""
    name = f"conv{dims}d"
    x, batched = _batched(name, input, weight, dims)
    s, d = ints_of(stride, dims, name, "stride"), ints_of(dilation, dims, name, "dilation")
    if padding == "same":
        if any(n != 1 for n in s):
            raise RuntimeError(f"{name}: padding='same' is not supported for a stride other than 1, got {s}")
        pairs = same_padding(weight.layout.shape[2:], d)
        p = tuple(before for before, _ in pairs)
        if any(after > before for before, after in pairs):  # the kernels pad both sides alike
            x = pad(x, [n for before, after in reversed(pairs) for n in (0, after - before)])
    elif isinstance(padding, str) and padding != "valid":
        raise RuntimeError(f"{name}: padding must be 'same', 'valid' or ints, got {padding!r}")
    else:
        p = ints_of(0 if padding == "valid" else padding, dims, name, "padding")
    if dims == 1:
        conv_shape(name, x.layout, weight.layout, bias.layout if bias is not None else None, s, p, d, groups)
        x, weight, s, p, d = x.unsqueeze(2), weight.unsqueeze(2), (1, *s), (0, *p), (1, *d)
    operands = (x, weight) if bias is None else (x, weight, bias)
    s = nearer(s, x.layout.shape[2:], p)
    y = conv2d_op(*operands, stride=s, padding=p, dilation=d, groups=groups, activation=NONE)
    y = y.squeeze(2) if dims == 1 else y
    return y if batched else y.squeeze(0)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of signals (N, C, L), or (C, L), with weight (K, C / groups, S): (N, K, Q), or (K, Q), where
    Q = (L + 2 padding - dilation (S - 1) - 1) // stride + 1.

    padding may be 'valid' (none) or 'same' (as much as keeps the size, for stride 1).
    Raises RuntimeError for shapes that don't fit, different dtypes, or a kernel larger than the padded input."""
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of pictures (N, C, H, W), or (C, H, W), with weight (K, C / groups, R, S): (N, K, P, Q), or
    (K, P, Q), where P = (H + 2 padding - dilation (R - 1) - 1) // stride + 1, and Q likewise.

    Channels and weights fall into `groups` that don't see each other. padding, zeros on both sides, may be 'valid'
    (none) or 'same' (as much as keeps the size, for stride 1).
    Raises RuntimeError for shapes that don't fit, different dtypes, or a kernel larger than the padded input."""
    operands = (input, weight) if bias is None else (input, weight, bias)
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "activation": NONE}
    try:  # of a layer, whose arguments are pairs, a signature met before is found without checks
        spec = conv2d_op.specs.get((*[x.layout for x in operands], *attrs.items()))
    except (AttributeError, TypeError):  # of what is no tensor, or lists
        spec = None
    if spec is not None:
        return conv2d_op.run(spec, operands)
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    output_padding: int | Sequence[int],
    groups: int,
    dilation: int | Sequence[int],
) -> Tensor:
    name = f"conv_transpose{dims}d"
    x, batched = _batched(name, input, weight, dims)
    s, d = ints_of(stride, dims, name, "stride"), ints_of(dilation, dims, name, "dilation")
    p, more = ints_of(padding, dims, name, "padding"), ints_of(output_padding, dims, name, "output_padding")
    operands = [t.layout for t in (x, weight, bias) if t is not None]
    same_dtype(name, *operands)
    kernel = weight.layout.shape[2:]
    check_groups(name, weight.layout, groups)
    check_window(name, kernel, s, p, d)
    channels = weight.layout.shape[1] * groups
    if x.layout.shape[1] != weight.layout.shape[0]:
        raise RuntimeError(
            f"{name}: weight {weight.layout.shape} takes {weight.layout.shape[0]} input channels, but the input "
            f"{x.layout.shape} has {x.layout.shape[1]}"
        )
    if bias is not None and bias.layout.shape != (channels,):
        raise RuntimeError(
            f"{name}: bias has shape {bias.layout.shape}, expected ({channels},) from weight {weight.layout.shape} "
            f"with groups={groups}"
        )
    if min(more) < 0 or any(m >= max(a, b) for m, a, b in zip(more, s, d, strict=True)):
        raise RuntimeError(
            f"{name}: output_padding must be from 0 to below the stride or the dilation, got {more} with stride {s} "
            f"and dilation {d}"
        )
    size = tuple(
        (n - 1) * a - 2 * b + e * (k - 1) + m + 1
        for n, k, a, b, e, m in zip(x.layout.shape[2:], kernel, s, p, d, more, strict=True)
    )
    if min(size) < 1:
        raise RuntimeError(
            f"{name}: the result would have size {size}: input {x.layout.shape}, kernel {kernel}, padding {p}"
        )
    if any(m >= a for m, a in zip(more, s, strict=True)):  # whole strides of it are as if the input had zeros there
        x = pad(x, [v for m, a in zip(reversed(more), reversed(s), strict=True) for v in (0, m // a)])
    if dims == 1:
        x, weight, size, s, p, d = x.unsqueeze(2), weight.unsqueeze(2), (1, *size), (1, *s), (0, *p), (1, *d)
    s = nearer(s, size, p)
    y = conv2d_grad_input(x, weight, size=size, stride=s, padding=p, dilation=d, groups=groups)
    y = y if bias is None else add(y, bias.view(channels, 1, 1))
    y = y.squeeze(2) if dims == 1 else y
    return y if batched else y.squeeze(0)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The gradient of conv1d for its input, as a layer: signals (N, C, Q), or (C, Q), and weight (C, K / groups, S)
    give (N, K, L), where L = (Q - 1) stride - 2 padding + dilation (S - 1) + output_padding + 1.

    Raises RuntimeError for shapes that don't fit, different dtypes, or an output_padding that is too large."""
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """The gradient of conv2d for its input, as a layer: pictures (N, C, P, Q), or (C, P, Q), and weight
    (C, K / groups, R, S) give (N, K, H, W), where H = (P - 1) stride - 2 padding + dilation (R - 1) + output_padding
    + 1, and W likewise.

    Raises RuntimeError for shapes that don't fit, different dtypes, or an output_padding that is too large."""
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)

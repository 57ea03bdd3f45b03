"""BatchNorm1d/2d, InstanceNorm1d/2d and GroupNorm: normalisation by statistics of a batch, or of an example.

The running statistics are buffers that forward changes while training; they are tensors, so a replayed step changes
them too. Left out on purpose: the 3-D forms, lazy modules, SyncBatchNorm. Read next: ops/batch_norm.py; norm.py.
"""

from __future__ import annotations

from typing import Any

from ..dtypes import dtype as DType
from ..dtypes import int64
from ..modes import modes, watching
from ..ops import batch_norm as ops
from ..ops.create import empty, ones, zeros
from ..tensor import Tensor
from . import init
from .module import Module
from .parameter import Parameter


def _register_affine(module: Module, n: int, wanted: bool, bias: bool, dtype: DType | None, device: Any) -> None:
    """weight and bias, (n), or None."""
    for name, present in (("weight", wanted), ("bias", wanted and bias)):
        parameter = Parameter(empty(n, dtype=dtype, device=device)) if present else None
        module.register_parameter(name, parameter)


class _Norm(Module):
    """What batch and instance normalisation share: parameters, running statistics, checks of the input's dimensions."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    dims: tuple[int, ...]  # an input may have

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: DType | None,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        _register_affine(self, num_features, affine, bias, dtype, device)
        tracked = (
            zeros(num_features, dtype=dtype, device=device),
            ones(num_features, dtype=dtype, device=device),
            zeros((), dtype=int64, device=device),
        )
        for name, buffer in zip(("running_mean", "running_var", "num_batches_tracked"), tracked, strict=True):
            self.register_buffer(name, buffer if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batch so far."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_dims(self, input: Tensor) -> None:
        if input.ndim not in self.dims:
            expected = " or ".join(f"{n}D" for n in self.dims)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")

    def _momentum(self) -> float:
        """The momentum as a number; a recorded step holds for this one only."""
        if watching:
            for watcher in modes.watchers:
                watcher.guards(lambda: self.momentum)
        return 0.0 if self.momentum is None else self.momentum

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Norm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias for each channel, by statistics of the batch while training.

    num_features: the channels C. momentum: the share of the newest batch in the running statistics, which eval() uses;
    None: all batches count alike. affine, bias: whether there are weight and bias, (C). track_running_stats=False: the
    batch's statistics in eval() too. Source: Ioffe, Szegedy, arXiv:1502.03167.
    Raises ValueError for an input of other dimensions, and for a single value a channel while training."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_dims(input)
        momentum, batches = self._momentum(), None
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            batches = self.num_batches_tracked if self.momentum is None else None
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        tracked = not self.training or self.track_running_stats
        return ops.batch_norm(
            input,
            self.running_mean if tracked else None,
            self.running_var if tracked else None,
            self.weight,
            self.bias,
            by_batch,
            momentum,
            self.eps,
            batches=batches,
        )


class BatchNorm1d(_BatchNorm):
    """BatchNorm of (N, C) or (N, C, L); arguments as in _BatchNorm, above."""

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """BatchNorm of (N, C, H, W); arguments as in _BatchNorm, above."""

    dims = (4,)


class _InstanceNorm(_Norm):
    """As BatchNorm, by statistics of each example's channel alone; an input without the batch's dimension is one such.

    By default without weight and bias and without running statistics, so the same in eval(). Source: Ulyanov et al.,
    arXiv:1607.08022. Raises ValueError for an input of other dimensions, a single place a channel, and, if affine,
    another number of channels."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_dims(input)
        batched = input.ndim == self.dims[-1]
        channels = input.shape[1 if batched else 0]
        if channels != self.num_features and self.affine:
            raise ValueError(f"expected {self.num_features} channels (num_features), but the input has {channels}")
        y = ops.instance_norm(
            input if batched else input.unsqueeze(0),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self._momentum(),
            self.eps,
        )
        return y if batched else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """InstanceNorm of (C, L) or (N, C, L); arguments as in _InstanceNorm, above."""

    dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """InstanceNorm of (C, H, W) or (N, C, H, W); arguments as in _InstanceNorm, above."""

    dims = (3, 4)


class GroupNorm(Module):
    """Normalises groups of num_channels / num_groups neighbouring channels of each example, then weight and bias, (C).

    Source: Wu, He, arXiv:1803.08494. Raises ValueError for channels that do not divide into the groups."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        _register_affine(self, num_channels, affine, bias, dtype, device)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return ops.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine, bias = self.affine, self.bias is not None
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={affine}, bias={bias}"

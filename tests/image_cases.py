"""Rows of the table in cases.py for images: convolution, pooling, normalisation over a batch, resampling.

Read next: cases.py, which says what a row is; makers.py.
"""

from __future__ import annotations

from typing import Any

from makers import A, Case, Int, Maker, N, P, U

from tinygrad_edu.ops import augment
from tinygrad_edu.ops.batch_norm import batch_moments
from tinygrad_edu.ops.pool import max_pool2d_op, max_pool2d_pick


def F(t: Any) -> Any:
    return t.nn.functional


def convolution(label: str, name: str, *makers: Maker, **keywords: Any) -> Case:
    """A convolution of a picture and a weight, and a bias where there is a third maker."""
    return Case(f"{name}-{label}", lambda t, *xs: getattr(t, name)(*xs, **keywords), makers)


CONVOLUTIONS: list[Case] = [
    convolution("plain", "conv2d", N(2, 3, 5, 6), N(4, 3, 3, 3)),
    convolution("bias", "conv2d", N(2, 3, 5, 6), N(4, 3, 3, 3), N(4), padding=1),
    convolution("stride", "conv2d", N(2, 2, 9, 8), N(5, 2, 5, 5), N(5), stride=2, padding=2),
    convolution("uneven", "conv2d", N(2, 2, 9, 8), N(3, 2, 3, 2), stride=(3, 2), padding=(0, 1), dilation=(2, 1)),
    convolution("pointwise", "conv2d", N(3, 5, 4, 3), N(7, 5, 1, 1), N(7)),
    convolution("one-channel", "conv2d", N(2, 1, 8, 8), N(16, 1, 3, 3), N(16)),
    convolution("3x3", "conv2d", N(2, 8, 9, 7), N(17, 8, 3, 3), N(17), padding=1),
    convolution("groups", "conv2d", N(2, 4, 5, 5), N(6, 2, 3, 3), N(6), groups=2, padding=(1, 0)),
    convolution("depthwise", "conv2d", N(2, 3, 6, 6), N(6, 1, 3, 3), groups=3, padding=1),
    convolution("dilation", "conv2d", N(2, 2, 9, 9), N(3, 2, 3, 3), dilation=3, padding=2),
    convolution("same", "conv2d", N(2, 2, 5, 6), N(3, 2, 2, 4), padding="same"),
    convolution("valid", "conv2d", N(2, 2, 5, 6), N(3, 2, 2, 4), padding="valid"),
    convolution("unbatched", "conv2d", N(2, 5, 6), N(3, 2, 3, 3), N(3)),
    convolution("left-over", "conv2d", N(1, 2, 8, 8), N(3, 2, 3, 3), stride=3),  # the last rows are never read
    convolution("whole", "conv2d", N(3, 2, 4, 5), N(6, 2, 4, 5), N(6)),  # the kernel is as large as the picture
    convolution("plain", "conv1d", N(2, 3, 9), N(4, 3, 3), N(4)),
    convolution("all", "conv1d", N(2, 4, 9), N(6, 2, 3), stride=2, padding=1, dilation=2, groups=2),
    convolution("same", "conv1d", N(3, 9), N(4, 3, 4), padding="same"),
    convolution("plain", "conv_transpose2d", N(2, 3, 4, 5), N(3, 4, 3, 3), N(4)),
    convolution(
        "all",
        "conv_transpose2d",
        N(2, 4, 3, 4),
        N(4, 3, 3, 2),
        N(6),
        stride=(2, 3),
        padding=(1, 0),
        output_padding=(1, 2),
        groups=2,
        dilation=(1, 2),
    ),
    convolution("unbatched", "conv_transpose2d", N(3, 4, 4), N(3, 2, 2, 2), stride=2),
    convolution("wide", "conv_transpose2d", N(1, 2, 3, 3), N(2, 2, 2, 2), output_padding=2, dilation=3),
    convolution("plain", "conv_transpose1d", N(2, 3, 5), N(3, 2, 3), N(2), stride=2, padding=1, output_padding=1),
    Case("unfold", lambda t, x: F(t).unfold(x, 3), (N(2, 3, 5, 6),)),
    Case("unfold-all", lambda t, x: F(t).unfold(x, (2, 3), (2, 1), (1, 2), (1, 2)), (N(2, 3, 5, 6),)),
    Case("unfold-unbatched", lambda t, x: F(t).unfold(x, 2, stride=2), (N(3, 4, 4),)),
    Case("fold", lambda t, x: F(t).fold(x, (5, 6), 3), (N(2, 18, 12),)),
    Case("fold-all", lambda t, x: F(t).fold(x, (5, 6), (2, 3), (2, 1), (1, 2), (1, 2)), (N(2, 12, 20),)),
    Case("fold-unbatched", lambda t, x: F(t).fold(x, 4, 2, stride=2), (N(12, 4),)),
]


def pooling(name: str, label: str, maker: Maker, *args: Any, **keywords: Any) -> Case:
    return Case(f"{name}-{label}" if label else name, lambda t, x: getattr(F(t), name)(x, *args, **keywords), (maker,))


def picked(t: Any, x: Any) -> Any:
    """What stands where the largest stood in x's square: the gradient's gradient, whose own only third orders need."""
    window = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)}
    places = t.zeros(2, 3, 3, 4, dtype=t.uint8)
    max_pool2d_op.apply((x * x).detach(), places, **window, ceil_mode=False)
    return max_pool2d_pick.apply(x, places, **window)


POOLS = [
    Case("max_pool2d_pick", picked, (A(2, 3, 6, 8),), torch=False),
    pooling("max_pool2d", "", A(2, 3, 6, 8), 2),
    pooling("max_pool2d", "left-over", A(2, 2, 5, 7), 2),
    pooling("max_pool2d", "wide", A(1, 1, 2, 66), 2),
    pooling("max_pool2d", "overlapping", A(2, 2, 7, 6), 3, 2, 1),
    pooling("max_pool2d", "dilated", A(2, 2, 7, 8), (3, 2), (1, 2), (1, 0), (1, 3)),
    pooling("max_pool2d", "ceil", A(2, 2, 6, 7), 3, 2, ceil_mode=True),
    pooling("max_pool2d", "indices", A(2, 2, 6, 7), 3, 2, 1, return_indices=True),
    pooling("max_pool2d", "large", A(1, 2, 17, 18), 17, return_indices=False),  # more places than a byte can tell apart
    pooling("max_pool2d", "unbatched", A(2, 4, 4), 2),
    pooling("max_pool1d", "", A(2, 3, 9), 2),
    pooling("max_pool1d", "all", A(3, 11), 3, 2, 1, 2, True, return_indices=True),
    pooling("avg_pool2d", "", N(2, 3, 6, 8), 2),
    pooling("avg_pool2d", "left-over", N(2, 2, 5, 7), 2),
    pooling("avg_pool2d", "overlapping", N(2, 2, 7, 6), 3, 2, 1),
    pooling("avg_pool2d", "inside", N(2, 2, 7, 6), (3, 2), (1, 2), (1, 0), count_include_pad=False),
    pooling("avg_pool2d", "ceil", N(2, 2, 6, 7), 3, 2, 1, ceil_mode=True),
    pooling("avg_pool2d", "divisor", N(2, 2, 6, 6), 2, divisor_override=3),
    pooling("avg_pool2d", "whole", N(2, 2, 5, 6), (5, 6)),
    pooling("avg_pool2d", "unbatched", N(2, 4, 4), 2),
    pooling("avg_pool1d", "", N(2, 3, 9), 3, 2, 1),
    pooling("adaptive_avg_pool2d", "", N(2, 2, 5, 7), (3, 4)),
    pooling("adaptive_avg_pool2d", "even", N(2, 2, 6, 4), (3, None)),
    pooling("adaptive_avg_pool2d", "global", N(2, 3, 5, 4), 1),
    pooling("adaptive_avg_pool2d", "larger", N(2, 2, 3, 4), 5),
    pooling("adaptive_avg_pool1d", "", N(2, 3, 7), 3),
    pooling("adaptive_max_pool2d", "", A(2, 2, 5, 7), (3, 4)),
    pooling("adaptive_max_pool2d", "even", A(2, 2, 6, 4), (3, None)),
    pooling("adaptive_max_pool2d", "indices", A(2, 2, 5, 7), (3, 2), return_indices=True),
    pooling("adaptive_max_pool1d", "", A(3, 7), 3),
    Case("lp_pool2d", lambda t, x: F(t).lp_pool2d(x, 3, (3, 2), 2, True), (P(2, 2, 6, 7),), ulps=64),
    Case("lp_pool1d", lambda t, x: F(t).lp_pool1d(x, 2.5, 3), (P(2, 9),), ulps=64),
    Case(
        "max_unpool2d",
        lambda t, x: F(t).max_unpool2d(*F(t).max_pool2d(x, 2, return_indices=True), 2, output_size=(5, 6)),
        (A(2, 2, 5, 6),),
    ),
    Case("max_unpool1d", lambda t, x: F(t).max_unpool1d(*F(t).max_pool1d(x, 3, return_indices=True), 3), (A(2, 9),)),
]


def running(t: Any, like: Any, c: int) -> tuple[Any, Any]:
    """A running mean and variance."""
    mean = [0.25 * k - 0.5 for k in range(c)]
    return t.tensor(mean, dtype=like.dtype), t.tensor([v * v + 0.5 for v in mean], dtype=like.dtype)


def batch_norm(label: str, *makers: Maker, training: bool = True, ulps: float = 16, **keywords: Any) -> Case:
    """Batch normalisation of the first tensor, the others weight and bias."""

    def call(t: Any, x: Any, *affine: Any) -> Any:
        mean, var = running(t, x, x.shape[1]) if keywords.get("tracked", True) else (None, None)
        settings = {k: v for k, v in keywords.items() if k != "tracked"}
        return F(t).batch_norm(x, mean, var, *affine, training=training, **settings)

    return Case(f"batch_norm-{label}", call, makers, ulps=ulps)


NORMALISATIONS: list[Case] = [
    Case("batch_moments", lambda t, x: batch_moments.apply(x), (N(4, 3, 5),), torch=False),
    batch_norm("rows", N(7, 3), N(3), N(3)),
    batch_norm("plain", N(5, 4), tracked=False),
    batch_norm("small-planes", N(4, 3, 2, 3), N(3), N(3), eps=1e-2),
    batch_norm("large-planes", N(3, 2, 6, 7), N(2), N(2), ulps=32),
    batch_norm("weight-only", N(5, 3, 4), N(3)),
    batch_norm("one-channel", N(2, 1, 5, 8), N(1), N(1), momentum=0.3),
    batch_norm("eval", N(5, 3, 4), N(3), N(3), training=False),
    batch_norm("eval-large", N(2, 2, 6, 6), N(2), N(2), training=False),
    batch_norm("eval-plain", N(4, 3), training=False),
    Case(
        "batch_norm-strided", lambda t, x: F(t).batch_norm(x.transpose(0, 1), None, None, training=True), (N(3, 5, 4),)
    ),
    Case("instance_norm", lambda t, x: F(t).instance_norm(x), (N(2, 3, 4, 2),)),
    Case("instance_norm-affine", lambda t, x, w, b: F(t).instance_norm(x, weight=w, bias=b), (N(2, 3, 5), N(3), N(3))),
    Case(
        "instance_norm-running",
        lambda t, x: F(t).instance_norm(x, *running(t, x, 3), use_input_stats=False),
        (N(2, 3, 5),),
    ),
    Case("group_norm", lambda t, x, w, b: F(t).group_norm(x, 2, w, b), (N(2, 6, 3, 2), N(6), N(6))),
    Case("group_norm-plain", lambda t, x: F(t).group_norm(x, 2, eps=1e-3), (N(3, 10),)),
    Case("rms_norm", lambda t, x, w: F(t).rms_norm(x, (3, 4), w, 1e-3), (N(2, 3, 4), N(3, 4))),
    Case("local_response_norm", lambda t, x: F(t).local_response_norm(x, 3, 0.5, 0.6), (N(2, 5, 3, 2),)),
]
FUSED: list[Case] = []


def augmented(t: Any, images: Any, rows: Any, key: Any) -> Any:
    """A batch of images (9, 2, 6, 5) that every kind of step has changed."""
    fill = (9.0,) * augment.CHANNELS
    steps = [
        augment.Step(augment.FLIP_H, 6, 5, 6, 5, p=0.5),
        augment.Step(augment.FLIP_V, 6, 5, 6, 5, p=0.5),
        augment.Step(augment.WINDOW, 6, 5, 7, 4, top=(-2, 1), left=(-2, 3), fill=fill),
        augment.Step(augment.WINDOW, 7, 4, 7, 5, left=(-2, 1), mode=2),
        augment.Step(augment.AFFINE, 7, 5, 7, 5, degrees=(-90, 90), shift_x=(-2, 2), scale=(0.5, 2), bilinear=True),
        augment.Step(augment.AFFINE, 7, 5, 7, 5, shear_x=(-40, 40), shear_y=(-20, 20), center=(1, 0.5), fill=fill),
    ]
    return augment.augment(images.to(t.uint8), rows, key, steps, mean=(0.5, 0.2), std=(0.3, 2.0))


def resampling(mode: str, maker: Maker, label: str = "", **keywords: Any) -> Case:
    name = f"interpolate-{mode}-{label}" if label else f"interpolate-{mode}"
    return Case(name, lambda t, x: F(t).interpolate(x, mode=mode, **keywords), (maker,))


def padding(mode: str, maker: Maker, *counts: int) -> Case:
    return Case(f"pad-{mode}-{len(counts) // 2}d", lambda t, x: F(t).pad(x, counts, mode=mode), (maker,))


RESAMPLING = [
    Case("augment", augmented, (Int(256, 9, 2, 6, 5), Int(9, 4), Int(99, 2)), first=False, second=False, torch=False),
    resampling("nearest", N(2, 3, 4, 5), scale_factor=2),
    resampling("nearest", N(2, 2, 5, 4), "size", size=(3, 7)),
    resampling("nearest", N(2, 3, 7), "1d", scale_factor=1.6),
    resampling("nearest-exact", N(2, 2, 5, 4), size=(3, 7)),
    resampling("linear", N(2, 3, 7), scale_factor=2.5),
    resampling("bilinear", N(2, 2, 4, 5), scale_factor=2),
    resampling("bilinear", N(2, 2, 5, 4), "size", size=(3, 7)),
    resampling("bilinear", N(2, 2, 5, 4), "corners", size=(8, 3), align_corners=True),
    resampling("bilinear", N(2, 2, 5, 4), "scales", scale_factor=(1.3, 0.6)),
    resampling("bilinear", N(2, 2, 5, 4), "recomputed", scale_factor=(1.3, 0.6), recompute_scale_factor=True),
    resampling("area", N(2, 2, 5, 6), size=(3, 4)),
    resampling("bicubic", N(2, 2, 5, 4), size=(3, 7)),
    resampling("bicubic", N(1, 2, 5, 4), "corners", size=(7, 3), align_corners=True),
    resampling("bicubic", N(1, 2, 6, 5), "scales", scale_factor=(1.7, 0.6)),
    resampling("bilinear", N(1, 2, 9, 5), "antialias", size=(3, 7), antialias=True),
    resampling("bicubic", N(1, 2, 9, 5), "antialias", size=(3, 7), antialias=True),
    resampling("nearest", N(1, 2, 4, 3, 2), "3d", size=(3, 5, 4)),
    resampling("area", N(1, 2, 4, 3, 5), "3d", size=(3, 2, 4)),
    resampling("trilinear", N(1, 2, 4, 3, 2), size=(3, 5, 4)),
    resampling("trilinear", N(1, 2, 3, 4, 2), "corners", scale_factor=1.7, align_corners=True),
    *[
        Case(
            f"grid_sample-{mode}-{outside}",
            lambda t, x, g, mode=mode, outside=outside: F(t).grid_sample(
                x, g * 1.6, mode, outside, align_corners=False
            ),
            (N(2, 2, 4, 5), U(2, 3, 2, 2)),
            torch_grad=mode != "nearest",  # that of the points is None, PyTorch's zeros
            ulps=64,
        )
        for mode in ("bilinear", "nearest", "bicubic")
        for outside in ("zeros", "border", "reflection")
    ],
    Case(
        "grid_sample-corners",
        lambda t, x, g: F(t).grid_sample(x, g, align_corners=True),
        (N(1, 2, 4, 5), U(1, 3, 2, 2)),
        ulps=64,
    ),
    Case("affine_grid", lambda t, x: F(t).affine_grid(x, (2, 1, 3, 4), align_corners=False), (N(2, 2, 3),)),
    *[
        row
        for mode in ("reflect", "replicate", "circular")
        for row in (
            padding(mode, N(2, 3, 5), 2, 1),
            padding(mode, N(2, 3, 4, 5), 1, 2, 3, 0),
            padding(mode, N(2, 3, 4, 3), 1, 2, 0, 1, 2, 1),
        )
    ],
    Case("pad-cut", lambda t, x: F(t).pad(x, (-1, 2, 1, -2), mode="circular"), (N(2, 3, 4, 5),)),
    Case("channel_shuffle", lambda t, x: F(t).channel_shuffle(x, 3), (N(2, 6, 2, 2),)),
    Case("pixel_shuffle", lambda t, x: t.pixel_shuffle(x, 2), (N(2, 8, 3, 2),)),
    Case("pixel_unshuffle", lambda t, x: t.pixel_unshuffle(x, 2), (N(2, 3, 4, 6),)),
]

IMAGES = [*CONVOLUTIONS, *POOLS, *NORMALISATIONS, *RESAMPLING, *FUSED]

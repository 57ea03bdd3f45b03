"""Augmented batches: the kernel against NumPy's truth to the last bit, and both against what can be said without them.

Read next: test_transforms.py, for what users call.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import backends
from tinygrad_edu.ops.augment import (
    AFFINE,
    CHANNELS,
    FLIP_H,
    FLIP_V,
    MODES,
    MOST_STEPS,
    WINDOW,
    Step,
    augment,
    inverse_map,
    sin_cos,
)
from tinygrad_edu.ops.batch import assemble

DIRECT = [b for b in ("c", "numpy") if b in backends.available()]
on_backends = pytest.mark.parametrize("backend", DIRECT)
KEY = (3, 5)


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def run(images, steps, rows=None, key=KEY, **scaling):
    rows = np.arange(len(images)) if rows is None else rows
    arguments = {"scale": 1.0, **scaling}
    return augment(tg.from_numpy(images), tg.from_numpy(rows), tg.tensor(key), steps, **arguments).numpy()


def fixed(kind, h, w, **attrs):
    return Step(kind, h, w, attrs.pop("out_height", h), attrs.pop("out_width", w), **attrs)


def grey(value):
    return (float(value),) * CHANNELS


pairs = lambda low, high: st.tuples(st.floats(low, high), st.floats(low, high)).map(sorted).map(tuple)


@st.composite
def programs(draw):
    """Images and a list of steps for them."""
    h, w, channels = draw(st.integers(1, 20)), draw(st.integers(1, 40)), draw(st.sampled_from([1, 2, 3]))
    if draw(st.integers(0, 9)) == 0:
        w = draw(st.integers(120, 300))  # longer than the kernel's stretch
    images = pictures(draw(st.integers(1, 9)), channels, h, w, seed=draw(st.integers(0, 99)))
    steps = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([FLIP_H, FLIP_V, WINDOW, AFFINE]))
        fill = tuple(float(draw(st.integers(0, 255))) for _ in range(CHANNELS))
        if kind == WINDOW:
            mode = draw(st.integers(0, 3))
            far = [min(4, n - 1) for n in (h, w)]
            low = [draw(st.integers(-f, 0)) for f in far]
            room = [draw(st.integers(0, f)) for f in far]
            size = [draw(st.integers(1, n + f - lo - r)) for n, f, lo, r in zip((h, w), far, low, room, strict=True)]
            limits = [(float(lo), float(lo + r)) for lo, r in zip(low, room, strict=True)]
            steps.append(Step(WINDOW, h, w, *size, top=limits[0], left=limits[1], mode=mode, fill=fill))
            h, w = size
        elif kind == AFFINE:
            steps.append(
                Step(
                    AFFINE, h, w, h, w, degrees=draw(pairs(-720, 720)), shift_x=draw(pairs(-9, 9)),
                    shift_y=draw(pairs(-50, 50)), scale=draw(pairs(0.1, 4)), shear_x=draw(pairs(-60, 60)),
                    shear_y=draw(pairs(-60, 60)), bilinear=draw(st.booleans()),
                    center=(draw(st.floats(-9, 9)), draw(st.floats(-9, 9))), fill=fill,
                )
            )  # fmt: skip
        else:
            steps.append(Step(kind, h, w, h, w, p=draw(st.floats(0, 1))))
    return images, steps


@pytest.mark.skipif("c" not in DIRECT, reason="the C core is not here")
@given(programs(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**62))
@settings(max_examples=200, deadline=None)
def test_the_kernel_equals_numpy_to_the_last_bit(program, seed, stream):
    images, steps = program
    rows = np.random.default_rng(1).integers(0, len(images), 13)
    results = []
    for backend in ("numpy", "c"):
        with backends.use(backend):
            results.append(run(images, steps, rows, (seed, stream), scale=1 / 255, mean=0.3, std=0.2).copy())
    assert "augment" not in backends.fell_back
    assert results[0].dtype == np.float32 and np.array_equal(*results)


@on_backends
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "step",
    [
        fixed(FLIP_H, 28, 28, p=0.0),
        fixed(WINDOW, 28, 28, mode=2),
        fixed(AFFINE, 28, 28),
        fixed(AFFINE, 28, 28, bilinear=True, center=(3.5, -2.0), fill=grey(99)),
    ],
    ids=["flip", "window", "nearest", "bilinear"],
)
def test_parameters_that_change_nothing_give_what_assemble_gives(backend, channels, step):
    images, rows = pictures(9, channels, 28, 28), np.array([3, 8, 0, 0, 5])
    scaling = {"scale": 1 / 255, "mean": (0.1, 0.2, 0.3)[:channels], "std": (0.4, 0.5, 0.6)[:channels]}
    with backends.use(backend):
        expected = assemble(tg.from_numpy(images), tg.from_numpy(rows), **scaling).numpy()
        assert np.array_equal(run(images, [step], rows, **scaling), expected)


@on_backends
@pytest.mark.parametrize("shape", [(28, 28), (5, 16), (3, 17), (1, 1), (7, 100)])
def test_flips(backend, shape):
    images = pictures(4, 2, *shape)
    with backends.use(backend):
        horizontal, vertical = (fixed(kind, *shape, p=1.0) for kind in (FLIP_H, FLIP_V))
        assert np.array_equal(run(images, [horizontal]), images[..., ::-1])
        assert np.array_equal(run(images, [vertical]), images[..., ::-1, :])
        for step in (horizontal, vertical):
            assert np.array_equal(run(images, [step, step]), images)


@on_backends
@pytest.mark.parametrize("mode", MODES)
def test_windows_equal_padding_and_slicing(backend, mode):
    images = pictures(6, 3, 9, 20)
    wide = np.pad(
        images, ((0, 0), (0, 0), (5, 5), (5, 5)), mode, **({"constant_values": 7} if mode == "constant" else {})
    )
    with backends.use(backend):
        for top, left, height, width in ((-5, -5, 19, 30), (-2, 3, 9, 20), (0, 0, 4, 4), (8, 1, 6, 24), (-5, 0, 3, 1)):
            step = fixed(
                WINDOW, 9, 20, out_height=height, out_width=width, top=(top, top), left=(left, left),
                mode=MODES.index(mode), fill=grey(7),
            )  # fmt: skip
            rows, columns = slice(top + 5, top + 5 + height), slice(left + 5, left + 5 + width)
            assert np.array_equal(run(images, [step]), wide[..., rows, columns])


@on_backends
@pytest.mark.parametrize("bilinear", [False, True])
def test_whole_shifts_equal_slicing_and_quarter_turns_are_exact(backend, bilinear):
    images = pictures(5, 2, 12, 12)
    with backends.use(backend):
        for x, y in ((3, 0), (0, -4), (-2, 5), (40, 0)):
            step = fixed(AFFINE, 12, 12, shift_x=(x, x), shift_y=(y, y), bilinear=bilinear, fill=grey(50))
            wide = np.full((5, 2, 100, 100), 50)
            wide[..., 44:56, 44:56] = images
            assert np.array_equal(run(images, [step]), wide[..., 44 - y : 56 - y, 44 - x : 56 - x])
        for turns in range(-5, 6):  # clockwise; np.rot90 turns the other way
            step = fixed(AFFINE, 12, 12, degrees=(90.0 * turns, 90.0 * turns), bilinear=bilinear)
            assert np.array_equal(run(images, [step]), np.rot90(images, -turns, (2, 3)))
        doubled = run(images, [fixed(AFFINE, 12, 12, scale=(2.0, 2.0))])  # every pixel of the middle four times
        assert np.array_equal(doubled, images[..., 3:9, 3:9].repeat(2, -1).repeat(2, -2))


def test_the_inverse_map_is_the_inverse_of_shift_turn_shear_and_scale():
    rng = np.random.default_rng(0)
    for _ in range(100):
        angle, sx, sy = rng.uniform(-180, 180), *rng.uniform(-50, 50, 2)
        shift, center, scale = rng.uniform(-9, 9, 2), rng.uniform(-9, 9, 2), rng.uniform(0.3, 3)
        a, x, y = np.radians([angle, sx, sy])
        move = lambda v: np.array([[1, 0, v[0]], [0, 1, v[1]], [0, 0, 1]])
        turn = np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
        shear = np.array([[1, 0, 0], [-math.tan(y), 1, 0], [0, 0, 1]]) @ np.array(
            [[1, -math.tan(x), 0], [0, 1, 0], [0, 0, 1]]
        )
        forward = move(shift) @ move(center) @ turn @ shear @ np.diag([scale, scale, 1]) @ move(-center)
        expected = np.linalg.inv(forward)[:2].reshape(-1)
        np.testing.assert_allclose(inverse_map(angle, shift, scale, (sx, sy), center), expected, rtol=1e-9, atol=1e-9)
    for degrees in np.linspace(-1000, 1000, 999):
        np.testing.assert_allclose(
            sin_cos(degrees), [math.sin(math.radians(degrees)), math.cos(math.radians(degrees))], atol=3e-15
        )


@on_backends
def test_equals_pytorchs_sampling(backend):
    """grid_sample has zeros around the image: of the image less fill, they are fill."""
    torch = pytest.importorskip("torch")
    h, w, fill = 28, 20, 30
    images = pictures(1, 3, h, w)
    rng = np.random.default_rng(0)
    for _ in range(20):
        angle, x, y, scale, sx, sy = (
            *rng.uniform(-90, 90, 1),
            *rng.integers(-4, 5, 2),
            *rng.uniform(0.5, 2, 1),
            *rng.uniform(-30, 30, 2),
        )
        step = fixed(
            AFFINE, h, w, degrees=(angle, angle), shift_x=(x, x), shift_y=(y, y), scale=(scale, scale),
            shear_x=(sx, sx), shear_y=(sy, sy), bilinear=True, fill=grey(fill),
        )  # fmt: skip
        m = np.array(inverse_map(angle, (x, y), scale, (sx, sy), (0, 0))).reshape(2, 3)
        m = m * [[w, h, 2]] / [[w], [h]]  # in units of half a side
        grid = torch.nn.functional.affine_grid(torch.tensor(m)[None], (1, 3, h, w), align_corners=False)
        theirs = torch.nn.functional.grid_sample(torch.tensor(images).double() - fill, grid, align_corners=False) + fill
        with backends.use(backend):
            ours = run(images, [step])
        assert np.abs(ours - theirs.numpy()).max() < 0.51  # we round to bytes


# ---- random numbers ----

MIX = [
    Step(FLIP_H, 28, 28, 28, 28, p=0.5),
    Step(WINDOW, 28, 28, 28, 28, top=(-2, 2), left=(-2, 2)),
    Step(AFFINE, 28, 28, 28, 28, degrees=(-10, 10), shift_x=(-2, 2), scale=(0.9, 1.1), bilinear=True),
]  # fmt: skip


def test_the_same_for_any_number_of_threads():
    images, before = pictures(50, 1, 28, 28), tg.get_num_threads()
    rows = np.random.default_rng(0).integers(0, 50, 301)
    try:
        results = []
        for n in (1, 2, 3):
            tg.set_num_threads(n)
            results.append(run(images, MIX, rows).copy())
    finally:
        tg.set_num_threads(before)
    assert all(np.array_equal(results[0], r) for r in results)


@on_backends
def test_a_place_in_the_batch_decides_not_its_neighbours(backend):
    images = pictures(20, 1, 28, 28)
    rows = np.random.default_rng(0).integers(0, 20, 30)
    with backends.use(backend):
        whole = run(images, MIX, rows).copy()
        assert np.array_equal(run(images, MIX, rows[:11]), whole[:11])
        rows[:10] = 0
        assert np.array_equal(run(images, MIX, rows)[10:], whole[10:])
        same = run(images, MIX, np.zeros(30, np.int64))
        assert len({picture.tobytes() for picture in same}) == 30
        assert not np.array_equal(run(images, MIX, rows, (3, 6)), run(images, MIX, rows))
        assert not np.array_equal(run(images, MIX, rows, (4, 5)), run(images, MIX, rows))


@on_backends
def test_draws_are_uniform_between_their_limits(backend):
    n = 4000
    image = np.zeros((1, 1, 9, 9), np.uint8)
    image[0, 0, 4, 4] = 255  # one point: where it goes tells what was drawn
    rows = np.zeros(n, np.int64)
    with backends.use(backend):
        image[0, 0, 4, 1] = 100
        flipped = run(image, [fixed(FLIP_H, 9, 9, p=0.3)], rows)[:, 0, 4, 7] == 100
        assert abs(flipped.mean() - 0.3) < 4 * math.sqrt(0.21 / n)
        image[0, 0, 4, 1] = 0
        out = run(image, [fixed(WINDOW, 9, 9, top=(-2.0, 2.0), left=(-1.0, 0.0))], rows)
        counts = out.sum(0)[0] / 255
        assert counts[2:7, 4:6].sum() == n and (np.abs(counts[2:7, 4:6] - n / 10) < 5 * math.sqrt(n * 0.09)).all()
        out = run(image, [fixed(AFFINE, 9, 9, shift_x=(-2.0, 2.0), shift_y=(0.6, 0.9))], rows)
        counts = out.sum(0)[0, 5] / 255  # rounded: the ends are half as likely
        expected = n * np.array([0, 0, 1, 2, 2, 2, 1, 0, 0]) / 8
        assert (np.abs(counts - expected) <= 5 * math.sqrt(n * 0.2)).all() and counts.sum() == n


@on_backends
def test_a_replayed_step_draws_anew_and_as_an_eager_one(backend):
    images = tg.from_numpy(pictures(20, 1, 28, 28))
    rows = tg.arange(20)
    with backends.use(backend):
        generator = tg.Generator().manual_seed(1)
        batch = lambda rows: augment(images, rows, generator.take_key(), MIX)
        eager = [batch(rows).numpy().copy() for _ in range(4)]
        generator.manual_seed(1)
        step = tg.replay(batch)
        replayed = [step(rows).numpy().copy() for _ in range(2)]
        state = generator.get_state()
        replayed += [step(rows).numpy().copy() for _ in range(2)]
        assert all(np.array_equal(a, b) for a, b in zip(eager, replayed, strict=True))
        assert not np.array_equal(eager[0], eager[1])
        generator.set_state(state)  # resumed
        assert np.array_equal(step(rows).numpy(), eager[2])


def test_what_does_not_fit_is_refused():
    images, rows, key = tg.from_numpy(pictures(5, 1, 8, 8)), tg.arange(3), tg.tensor([1, 2])
    step = fixed(FLIP_H, 8, 8, p=1.0)
    with pytest.raises(TypeError, match="augment: images must be uint8"):
        augment(images.float(), rows, key, [step])
    with pytest.raises(TypeError, match="augment: indices must be int64"):
        augment(images, rows.float(), key, [step])
    with pytest.raises(IndexError, match="augment: index 5"):
        augment(images, tg.tensor([5]), key, [step])
    with pytest.raises(TypeError, match="key"):
        augment(images, rows, tg.tensor([1, 2, 3]), [step])
    with pytest.raises(RuntimeError, match="channels"):
        augment(images.squeeze(1), rows, key, [step])
    with pytest.raises(RuntimeError, match="channels"):
        augment(tg.zeros(5, CHANNELS + 1, 8, 8, dtype=tg.uint8), rows, key, [step])
    with pytest.raises(ValueError, match="steps"):
        augment(images, rows, key, [])
    with pytest.raises(ValueError, match="steps"):
        augment(images, rows, key, [step] * (MOST_STEPS + 1))
    with pytest.raises(ValueError, match="step 1 is for images of 9 x 8, it gets 8 x 8"):
        augment(images, rows, key, [step, fixed(FLIP_H, 9, 8, p=1.0)])
    with pytest.raises(RuntimeError, match="2 means"):
        augment(images, rows, key, [step], mean=(0.1, 0.2))


@on_backends
def test_layouts_doubles_and_no_rows(backend):
    images = pictures(9, 1, 8, 8)
    step = fixed(FLIP_H, 8, 8, p=1.0)
    with backends.use(backend):
        x, key = tg.from_numpy(images), tg.tensor([1, 2])
        got = augment(x[::2], tg.tensor([0, 9, 1, 9])[::2], key, [step], scale=1.0)
        assert np.array_equal(got.numpy(), images[[0, 2], :, :, ::-1])
        got = augment(x.transpose(2, 3), tg.tensor([3]), key, [step], scale=1.0)
        assert np.array_equal(got.numpy(), images[[3]].transpose(0, 1, 3, 2)[..., ::-1])
        doubles = augment(x, tg.tensor([3]), key, [step], dtype=tg.float64)
        assert doubles.dtype is tg.float64 and np.array_equal(doubles.numpy(), images[[3], :, :, ::-1] * (1 / 255))
        assert augment(x, tg.tensor([], dtype=tg.int64), key, [step]).shape == (0, 1, 8, 8)

"""Transforms: what each does to an image, their arguments and errors (torchvision's), and that a batch by the kernel is
what the transforms do one by one, for any number of workers.

Read next: test_augment.py, for the kernel.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import backends, transforms
from tinygrad_edu.datasets.vision import ImageDataset
from tinygrad_edu.ops.augment import numbers_of
from tinygrad_edu.transforms import (
    CenterCrop,
    Compose,
    InterpolationMode,
    Lambda,
    Normalize,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    ToTensor,
    draws,
)
from tinygrad_edu.transforms import functional as F
from tinygrad_edu.utils.data import DataLoader, Subset


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def same(tensor, array):
    return tensor.shape == array.shape and np.array_equal(tensor.numpy(), array)


class Pictures(ImageDataset):
    classes = ("a", "b")

    def load(self, root, train, download):
        return tg.from_numpy(pictures(23, 3, 12, 10)), tg.arange(23) % 2


IMAGE = pictures(3, 9, 7)
x = tg.from_numpy(IMAGE)

# ---- one image ----


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("shape", [(6, 5), (1, 6, 5), (3, 6, 5), (2, 4, 3, 6, 5), (6, 1)])
def test_any_leading_dimensions_and_dtypes(dtype, shape):
    array = pictures(*shape).astype(dtype)
    image = tg.from_numpy(array)
    before = array.copy()
    results = {
        "hflip": (F.hflip(image), array[..., ::-1]),
        "vflip": (F.vflip(image), array[..., ::-1, :]),
        "crop": (F.crop(image, 1, 0, 3, 1), array[..., 1:4, :1]),
        "rotate": (F.rotate(image, 90, expand=True), np.rot90(array, 1, (-2, -1))),
        "affine": (F.affine(image, 180, (0, 0), 1.0, 0.0, "bilinear"), array[..., ::-1, ::-1]),
    }
    for name, (got, expected) in results.items():
        assert same(got, expected) and got.numpy().dtype == array.dtype, name
        got.numpy()[...] = 1
        assert np.array_equal(array, before), f"{name} shares memory with its input"


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("padding", [2, (2,), (1, 3), [3, 0, 1, 2]])
def test_pad_equals_numpys(mode, padding):
    left, top, right, bottom = {2: (2,) * 4, (2,): (2,) * 4, (1, 3): (1, 3, 1, 3)}.get(
        padding if not isinstance(padding, list) else None, (3, 0, 1, 2)
    )
    fill = {"constant_values": 9} if mode == "constant" else {}
    expected = np.pad(IMAGE, ((0, 0), (top, bottom), (left, right)), mode, **fill)
    assert same(F.pad(x, padding, 9, mode), expected) and same(Pad(padding, 9, mode)(x), expected)


def test_pad_with_a_colour_and_negative_padding():
    out = F.pad(x, 1, (1, 2, 3)).numpy()
    assert (out[:, 0] == [[1], [2], [3]]).all() and (out[:, :, -1] == [[1], [2], [3]]).all()
    assert same(F.pad(x, (-1, -2, 0, -3)), IMAGE[:, 2:-3, 1:])
    assert same(F.pad(x.float(), 1, -0.5)[:, 1:-1, 1:-1], IMAGE) and float(F.pad(x.float(), 1, -0.5)[0, 0, 0]) == -0.5


def test_crops():
    assert same(F.crop(x, -1, 5, 4, 4), np.pad(IMAGE, ((0, 0), (1, 0), (0, 2)))[:, :4, 5:9])
    for size, rows, columns in (((4, 3), (2, 6), (2, 5)), (5, (2, 7), (1, 6)), ((9, 7), (0, 9), (0, 7))):
        assert same(CenterCrop(size)(x), IMAGE[:, slice(*rows), slice(*columns)])
    wide = np.pad(IMAGE, ((0, 0), (1, 1), (1, 2)))  # what is missing: the larger half right and below
    assert same(CenterCrop((11, 10))(x), wide) and same(F.center_crop(x, (4, 10)), wide[:, 3:7])


@given(st.integers(1, 9), st.integers(1, 7), st.sampled_from([None, 1, (2, 1), (0, 1, 2, 3)]))
def test_random_crop_is_a_window_of_the_padded_image(height, width, padding):
    image = np.arange(1, 64, dtype=np.uint8).reshape(9, 7)
    borders = {None: (0,) * 4, 1: (1,) * 4, (2, 1): (2, 1, 2, 1)}.get(padding, padding)
    wide = np.pad(image, ((borders[1], borders[3]), (borders[0], borders[2])), constant_values=99)
    windows = np.lib.stride_tricks.sliding_window_view(wide, (height, width)).reshape(-1, height, width)
    transform = RandomCrop((height, width), padding, fill=99)
    for _ in range(5):
        out = transform(tg.from_numpy(image)).numpy()
        assert out.shape == (height, width) and (windows == out).all((1, 2)).any()


def test_random_crop_reaches_every_place_and_pads_if_needed():
    image = tg.from_numpy(np.arange(1, 7, dtype=np.uint8).reshape(2, 3))
    tg.manual_seed(0)
    found = {RandomCrop(2, padding=1)(image).numpy().tobytes() for _ in range(300)}
    wide = np.pad(image.numpy(), 1)
    assert found == {wide[i : i + 2, j : j + 2].tobytes() for i in range(3) for j in range(4)}
    tall = RandomCrop((5, 3), pad_if_needed=True, padding_mode="edge")
    found = {tall(image).numpy().tobytes() for _ in range(100)}
    wide = np.pad(image.numpy(), ((3, 3), (0, 0)), "edge")
    assert found == {wide[i : i + 5].tobytes() for i in range(4)}
    both = RandomCrop((4, 6), padding=1, pad_if_needed=True)  # borders, then more of them left and right
    found = {both(image).numpy().tobytes() for _ in range(100)}
    wide = np.pad(image.numpy(), ((1, 1), (2, 2)))
    assert found == {wide[:, j : j + 6].tobytes() for j in range(2)}


@pytest.mark.parametrize(("cls", "axis"), [(RandomHorizontalFlip, 2), (RandomVerticalFlip, 1)])
def test_random_flips(cls, axis):
    tg.manual_seed(0)
    assert same(cls(1.0)(x), np.flip(IMAGE, axis)) and same(cls(0.0)(x), IMAGE)
    results = [cls(0.25)(x).numpy().tobytes() for _ in range(400)]
    assert set(results) == {IMAGE.tobytes(), np.flip(IMAGE, axis).tobytes()}
    assert 60 < results.count(np.flip(IMAGE, axis).tobytes()) < 140


def test_directions():
    square = x[:, :7]
    array = IMAGE[:, :7]
    assert same(RandomRotation((90, 90))(square), np.rot90(array, 1, (1, 2)))  # counter-clockwise
    assert same(F.rotate(square, -90), np.rot90(array, -1, (1, 2)))
    assert same(RandomAffine((90, 90))(square), np.rot90(array, -1, (1, 2)))  # clockwise
    assert same(
        F.affine(x, 0, (2, -1), 1.0, 0.0, fill=5), np.pad(IMAGE, ((0, 0), (0, 1), (2, 0)), constant_values=5)[:, 1:, :7]
    )
    point = np.zeros((1, 9, 9), np.uint8)
    point[0, 2, 4] = 255
    sheared = F.affine(tg.from_numpy(point), 0, (0, 0), 1.0, (45.0, 0.0)).numpy()
    assert sheared[0, 2, 6] == 255  # a shear along x moves what is above the middle to the right, as torchvision's
    assert same(F.rotate(x, 180, center=(0, 0), fill=1), np.ones_like(IMAGE))  # turned about a corner, out of sight
    assert same(F.rotate(x, 180, center=(3.5, 4.5)), IMAGE[:, ::-1, ::-1])


def test_random_affine_stays_within_its_limits():
    image = np.zeros((1, 101, 101), np.uint8)
    image[0, 48:53, 48:53] = 255
    tg.manual_seed(0)
    rows, columns = [], []
    for _ in range(200):
        out = RandomAffine(0, translate=(0.1, 0.3), scale=(1.0, 1.0))(tg.from_numpy(image)).numpy()[0]
        assert out.sum() == image.sum()
        r, c = np.nonzero(out)
        rows.append(r.mean() - 50), columns.append(c.mean() - 50)
    assert max(map(abs, columns)) == 10 and 27 <= max(map(abs, rows)) <= 30 and np.ptp(rows) > 50
    areas = []
    for _ in range(200):
        areas.append((RandomAffine(0, scale=(0.5, 2.0))(tg.from_numpy(image)).numpy() > 0).sum() / 25)
    assert 0.1 < min(areas) < 0.5 and 3 < max(areas) <= 4.84


@pytest.mark.parametrize("angle", [0, 13, 45, 90, 200])
def test_an_expanded_rotation_shows_all_of_the_image(angle):
    white = tg.full((20, 30), 255, dtype=tg.uint8)
    out = F.rotate(white, angle, "bilinear", expand=True).numpy() / 255
    assert abs(out.sum() / 600 - 1) < 0.01
    edge = [out[0].max(), out[-1].max(), out[:, 0].max(), out[:, -1].max()]
    assert min(edge) > 0, "a border line holds nothing: the result is too large"
    assert RandomRotation((angle, angle), expand=True)(white).shape == out.shape


@pytest.mark.parametrize("size", [(9, 7), (4, 3), (20, 15), (5, 30), (1, 1)])
@pytest.mark.parametrize("antialias", [True, False])
def test_resize_equals_pytorchs(size, antialias):
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(0).normal(size=(3, 9, 7))
    theirs = torch.nn.functional.interpolate(torch.tensor(images)[None], size, mode="bilinear", antialias=antialias)[0]
    np.testing.assert_allclose(Resize(size, antialias=antialias)(tg.from_numpy(images)).numpy(), theirs, atol=1e-6)
    near = torch.nn.functional.interpolate(torch.tensor(IMAGE)[None], size, mode="nearest")[0]
    assert same(Resize(size, InterpolationMode.NEAREST)(x), near.numpy())


def test_resize_of_the_shorter_side():
    image = tg.zeros(40, 100)
    assert Resize(20)(image).shape == (20, 50) and Resize([20])(image.T).shape == (50, 20)
    assert Resize(20, max_size=30)(image).shape == (12, 30) and Resize(20, max_size=60)(image).shape == (20, 50)
    assert Resize(8)(tg.full((9, 7), 200, dtype=tg.uint8)).tolist()[0] == [200] * 8
    with pytest.raises(ValueError, match="max_size"):
        Resize((5, 5), max_size=9)(image)
    with pytest.raises(ValueError, match="max_size"):
        Resize(5, max_size=5)(image)


# ---- arguments ----


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomHorizontalFlip(1.5), ValueError, "interval"),
        (lambda: RandomVerticalFlip(-0.1), ValueError, "interval"),
        (lambda: RandomCrop((1, 2, 3)), ValueError, "two dimensions"),
        (lambda: RandomCrop(0), ValueError, "positive"),
        (lambda: RandomCrop(3, padding=(1, 2, 3)), ValueError, "1, 2, or 4"),
        (lambda: RandomCrop(10)(x), ValueError, "larger than input image size"),
        (lambda: Pad("a"), TypeError, "padding"),
        (lambda: Pad(1, fill={}), TypeError, "fill"),
        (lambda: Pad(1, padding_mode="mirror"), ValueError, "constant, edge, reflect, symmetric"),
        (lambda: Pad(7, padding_mode="reflect")(x), ValueError, "too much"),
        (lambda: Pad(8, padding_mode="symmetric")(x), ValueError, "too much"),
        (lambda: Pad(-4)(x), ValueError, "nothing is left"),
        (lambda: Pad(1, fill=(1, 2))(x), ValueError, "2 numbers in fill for an image of 3"),
        (lambda: Pad(1, fill=300)(x), ValueError, "0 to 255"),
        (lambda: CenterCrop([]), ValueError, "two dimensions"),
        (lambda: RandomAffine(-1), ValueError, "degrees is a single number, it must be positive"),
        (lambda: RandomAffine([1, 2, 3]), ValueError, "degrees should be a sequence of length 2"),
        (lambda: RandomAffine(None), TypeError, "degrees"),
        (lambda: RandomAffine(0, translate=2), TypeError, "translate"),
        (lambda: RandomAffine(0, translate=(0.1, 1.5)), ValueError, "between 0 and 1"),
        (lambda: RandomAffine(0, scale=(0.0, 1.0)), ValueError, "positive"),
        (lambda: RandomAffine(0, shear=(1, 2, 3)), ValueError, "2 or 4"),
        (lambda: RandomAffine(0, center=(1, 2, 3)), ValueError, "center"),
        (lambda: RandomAffine(0, fill="red"), TypeError, "fill"),
        (lambda: RandomAffine(0, interpolation="cubic"), ValueError, "nearest or bilinear"),
        (lambda: RandomAffine(0, interpolation=1.5), TypeError, "InterpolationMode"),
        (lambda: RandomRotation(-5), ValueError, "positive"),
        (lambda: RandomRotation((1,)), ValueError, "length 2"),
        (lambda: Lambda(3), TypeError, "callable"),
        (lambda: F.affine(x, 0, (0, 0), 0.0, 0.0), ValueError, "scale"),
        (lambda: F.affine(x, "a", (0, 0), 1.0, 0.0), TypeError, "angle"),
        (lambda: F.hflip(IMAGE), TypeError, "hflip: expected a tensor .* got ndarray"),
        (lambda: F.hflip(tg.arange(3)), TypeError, "int64 of shape"),
        (lambda: F.hflip(tg.zeros(3, 0, 4)), ValueError, "no pixel"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_representations():
    shown = Compose(
        [
            RandomHorizontalFlip(),
            RandomCrop(28, padding=4),
            RandomAffine(10, (0.1, 0.2), interpolation=InterpolationMode.BILINEAR),
            RandomRotation(5),
            Pad(1),
            CenterCrop(3),
            Lambda(abs),
        ]
    )
    assert repr(shown) == (
        "Compose(RandomHorizontalFlip(p=0.5), RandomCrop(size=(28, 28), padding=4), "
        "RandomAffine(degrees=(-10.0, 10.0), "
        "translate=(0.1, 0.2), interpolation=bilinear), RandomRotation(degrees=(-5.0, 5.0), interpolation=nearest, "
        "expand=False, fill=0), Pad(padding=1, fill=0, padding_mode=constant), CenterCrop(size=(3, 3)), Lambda())"
    )
    assert RandomAffine(0, interpolation=2).interpolation is InterpolationMode.BILINEAR


# ---- batches ----

LISTS = [
    [RandomHorizontalFlip()],
    [RandomVerticalFlip(0.3), RandomCrop((12, 10), padding=2, padding_mode="reflect")],
    [RandomCrop((9, 11), padding=(0, 1), pad_if_needed=True, fill=(1, 2, 3)), Compose([Pad(1), CenterCrop(8)])],
    [RandomAffine(15, (0.1, 0.2), (0.8, 1.2), (-5, 5, -3, 3), InterpolationMode.BILINEAR, 7, (4, 4))],
    [RandomHorizontalFlip(), RandomRotation((-20, 40), InterpolationMode.BILINEAR, fill=(9, 8, 7)), RandomAffine(9)],
]


@pytest.mark.parametrize("backend", [b for b in ("c", "numpy") if b in backends.available()])
@pytest.mark.parametrize("geometry", LISTS, ids=lambda parts: "-".join(type(p).__name__ for p in parts))
def test_a_batch_is_what_the_transforms_do_one_by_one(geometry, backend, monkeypatch):
    dataset = Pictures()
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    images, generator = dataset.data, tg.Generator().manual_seed(5)
    rows = tg.tensor([3, 22, 0, 0, 7])
    with backends.use(backend):
        for transform in (Compose([*geometry, ToTensor()]), Compose([*geometry, ToTensor(), Normalize(mean, std)])):
            assembler = transforms.assembler(transform, images, generator)
            key = generator.get_state()
            batch = assembler(rows).numpy()
            drawn = numbers_of(key.numpy(), len(rows), len(assembler.steps))
            for k, row in enumerate(rows.tolist()):
                in_turn = iter(drawn[k])
                monkeypatch.setattr("tinygrad_edu.transforms.geometry.numbers", lambda it=in_turn: next(it))
                single = transform(images[row]).numpy()
                if type(transform.transforms[-1]) is ToTensor:
                    assert np.array_equal(batch[k], single)
                else:
                    np.testing.assert_allclose(batch[k], single, rtol=1e-6, atol=1e-6)
                assert next(in_turn, None) is None  # as many draws as steps


class Mine(RandomHorizontalFlip):
    def __call__(self, image):
        return image


@pytest.mark.parametrize(
    "transform",
    [
        RandomHorizontalFlip(),
        Compose([]),
        Compose([ToTensor(), RandomHorizontalFlip()]),
        Compose([RandomHorizontalFlip(), Lambda(tg.Tensor.float), Normalize(0.5, 0.5)]),
        Compose([Mine(), ToTensor()]),
        Compose([RandomRotation(10, expand=True), CenterCrop(5), ToTensor()]),
        Compose([Lambda(F.hflip), ToTensor()]),
        Compose([RandomHorizontalFlip()] * 9 + [ToTensor()]),
        Compose([Resize(5), ToTensor()]),
        lambda image: image,
    ],
)
def test_what_the_kernel_cannot_do_comes_image_by_image(transform):
    dataset = Pictures(transform=transform)
    assert transforms.assembler(transform, dataset.data) is None and dataset.batch(tg.arange(3)) is None
    batch, labels = next(iter(DataLoader(dataset, 4)))
    assert batch.shape[0] == 4 and labels.tolist() == [0, 1, 0, 1]


BY_KERNEL = Compose([RandomHorizontalFlip(), RandomAffine(20, (0.2, 0.2), interpolation="bilinear"), ToTensor()])
ONE_BY_ONE = Compose([*BY_KERNEL.transforms, Lambda(lambda image: image)])


def epochs(transform, workers, n=2, seed=1, subset=False, shuffle=True):
    dataset = Pictures(transform=transform)
    if subset:
        dataset = Subset(dataset, list(range(20)))
    loader = DataLoader(dataset, 6, shuffle=shuffle, generator=tg.Generator().manual_seed(seed), num_workers=workers)
    return [[images.numpy().tobytes() for images, _ in loader] for _ in range(n)]


@pytest.mark.parametrize("transform", [BY_KERNEL, ONE_BY_ONE], ids=["kernel", "one by one"])
@pytest.mark.parametrize("subset", [False, True])
def test_a_loader_gives_the_same_for_any_number_of_workers(transform, subset):
    first = epochs(transform, 0, subset=subset)
    assert first == epochs(transform, 1, subset=subset) == epochs(transform, 3, subset=subset)
    assert first[0] != first[1] and first != epochs(transform, 0, seed=2, subset=subset)
    in_order = epochs(transform, 0, subset=subset, shuffle=False)
    assert in_order[0] != in_order[1], "each epoch draws anew, even where its order is the same"


def test_epochs_resume_from_the_generators_state():
    generator = tg.Generator().manual_seed(3)
    loader = DataLoader(Pictures(transform=BY_KERNEL), 6, shuffle=True, generator=generator)
    list(loader)
    state = generator.get_state()
    second = [images.numpy().copy() for images, _ in loader]
    generator.set_state(state)
    assert all(np.array_equal(a, b.numpy()) for a, (b, _) in zip(second, loader, strict=True))


def test_outside_a_loader_the_default_generator_is_drawn_from():
    transform = RandomAffine(50, (0.5, 0.5))
    tg.manual_seed(4)
    first = [transform(x).numpy().copy() for _ in range(3)]
    tg.manual_seed(4)
    assert all(np.array_equal(a, transform(x).numpy()) for a in first)
    assert not np.array_equal(first[0], first[1])
    with draws.drawing_from(draws.Draws(7, 1)):
        inside = transform(x).numpy().copy()
    state = tg.get_rng_state()
    with draws.drawing_from(draws.Draws(7, 1)):
        assert np.array_equal(inside, transform(x).numpy())
    with draws.drawing_from(draws.Draws(7, 2)):
        assert not np.array_equal(inside, transform(x).numpy())
    assert tg.get_rng_state().tolist() == state.tolist()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 360))
def test_nothing_but_image_and_fill_comes_out_of_a_map(h, w, angle):
    image = np.full((h, w), 100, np.uint8)
    out = F.affine(tg.from_numpy(image), angle, (1, 2), 0.7, (10, 20), "bilinear", fill=100).numpy()
    assert (out == 100).all()

"""Samplers, collation, splitting and the loader: what comes in which order, and what is refused."""

from __future__ import annotations

import itertools
import threading
import time
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import backends
from tinygrad_edu.ops.batch import assemble
from tinygrad_edu.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)


def generator(seed=0):
    return tg.Generator().manual_seed(seed)


class Squares(Dataset):
    """Sample by sample only."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i, float(i * i)


def numbers(n):
    return TensorDataset(tg.arange(n), tg.arange(n) * 10)


# ---- the loader ----


@given(
    n=st.integers(1, 40), size=st.integers(1, 17), drop=st.booleans(), shuffle=st.booleans(), workers=st.integers(0, 2)
)
def test_every_sample_once(n, size, drop, shuffle, workers):
    for dataset in (numbers(n), Squares(n)):
        loader = DataLoader(dataset, size, shuffle=shuffle, drop_last=drop, generator=generator(), num_workers=workers)
        batches = [x.tolist() for x, _ in loader]
        assert len(batches) == len(loader) == (n // size if drop else -(-n // size))
        assert all(len(b) == size for b in batches[: n // size])
        seen = list(itertools.chain(*batches))
        assert len(seen) == (n // size * size if drop else n) and len(set(seen)) == len(seen)
        if not shuffle:
            assert seen == list(range(len(seen)))


def test_shuffling_is_seeded_and_differs_from_epoch_to_epoch():
    def epochs(seed, workers=0):
        loader = DataLoader(numbers(100), 10, shuffle=True, generator=generator(seed), num_workers=workers)
        return [[x.tolist() for x, _ in loader] for _ in range(2)]

    assert epochs(1) == epochs(1) == epochs(1, workers=2)
    assert epochs(1)[0] != epochs(1)[1] and epochs(1) != epochs(2)
    tg.manual_seed(5)
    first = [x.tolist() for x, _ in DataLoader(numbers(100), 10, shuffle=True)]
    tg.manual_seed(5)
    assert first == [x.tolist() for x, _ in DataLoader(numbers(100), 10, shuffle=True)]


def test_a_whole_batch_is_asked_for_where_it_can_be_had():
    class Counting(TensorDataset):
        batches = singles = 0

        def batch(self, indices):
            self.batches += 1
            return super().batch(indices)

        def __getitem__(self, index):
            self.singles += 1
            return super().__getitem__(index)

    dataset = Counting(tg.arange(10))
    assert [b[0].tolist() for b in DataLoader(dataset, 5)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert (dataset.batches, dataset.singles) == (2, 0)
    assert list(DataLoader(dataset, 5, collate_fn=len)) == [5, 5]  # a user's collate_fn gets samples
    assert (dataset.batches, dataset.singles) == (2, 10)


def test_batches_equal_pytorch():
    torch = pytest.importorskip("torch")
    x = np.arange(30.0, dtype=np.float32).reshape(10, 3)
    ours = DataLoader(TensorDataset(tg.from_numpy(x), tg.arange(10)), 4)
    theirs = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(x), torch.arange(10)), 4)
    for a, b in zip(ours, theirs, strict=True):
        assert type(a) is type(b)
        for p, q in zip(a, b, strict=True):
            assert np.array_equal(p.numpy(), q.numpy()) and str(p.numpy().dtype) == str(q.numpy().dtype)


def test_without_batching():
    assert list(DataLoader(Squares(3), batch_size=None)) == [(0, 0.0), (1, 1.0), (2, 4.0)]
    assert len(DataLoader(Squares(3), batch_size=None)) == 3


def test_samplers_of_the_user():
    assert [x.tolist() for x, _ in DataLoader(numbers(10), 2, sampler=[7, -1, 3])] == [[7, 9], [3]]
    assert [x.tolist() for x, _ in DataLoader(numbers(10), batch_sampler=[[1], [2, 3]])] == [[1], [2, 3]]
    with pytest.raises(IndexError, match="10"):
        list(DataLoader(numbers(10), 2, sampler=[1, 10]))
    with pytest.raises(IndexError, match="-11"):
        list(DataLoader(numbers(10), 2, sampler=[-11, 1]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"num_workers": -1},
        {"shuffle": True, "sampler": [1]},
        {"batch_sampler": [[1]], "batch_size": 3},
        {"batch_sampler": [[1]], "shuffle": True},
        {"batch_size": None, "drop_last": True},
        {"prefetch_factor": 2},
        {"timeout": -1},
        {"persistent_workers": True},
    ],
)
def test_arguments_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        DataLoader(numbers(4), **wrong)


def test_workers_prepare_ahead_in_order_and_pass_errors_on():
    seen, ready = set(), []

    class Slow(Squares):
        def __getitem__(self, i):
            seen.add(threading.current_thread().name)
            time.sleep(0.002 * (i % 2))
            if i == 17:
                raise LookupError("sample 17 is gone")
            return i

    loader = DataLoader(Slow(17), 1, num_workers=3, worker_init_fn=ready.append)
    assert [x.item() for x in loader] == list(range(17))
    assert threading.current_thread().name not in seen and ready == sorted(set(ready)) and max(ready) < 3
    with pytest.raises(LookupError, match="17"):
        list(DataLoader(Slow(20), 1, num_workers=2))
    iterator = iter(loader)  # given up half way: no thread is left behind
    next(iterator)
    iterator.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("DataLoader")]


# ---- samplers ----


def test_random_sampler():
    assert sorted(RandomSampler(range(9), generator=generator())) == list(range(9))
    assert len(list(RandomSampler(range(4), num_samples=10))) == len(RandomSampler(range(4), num_samples=10)) == 10
    drawn = list(RandomSampler(range(5), replacement=True, num_samples=200, generator=generator()))
    assert set(drawn) == set(range(5)) and len(drawn) == 200
    assert list(RandomSampler([])) == []
    for wrong in ({"num_samples": 0}, {"num_samples": 1.5}):
        with pytest.raises(ValueError, match="num_samples"):
            RandomSampler(range(3), **wrong)
    with pytest.raises(TypeError, match="replacement"):
        RandomSampler(range(3), replacement=1)


def test_subset_random_sampler():
    sampler = SubsetRandomSampler([3, 5, 9], tg.Generator().manual_seed(0))
    orders = {tuple(sampler) for _ in range(100)}
    assert len(sampler) == 3 and len(orders) == 6 and {tuple(sorted(order)) for order in orders} == {(3, 5, 9)}


@pytest.mark.parametrize("replacement", [False, True])
def test_weighted_random_sampler(replacement):
    weights = np.array([0.0, 1.0, 3.0, 0.0, 4.0, 0.0])
    sampler = WeightedRandomSampler(weights, 2, replacement, tg.Generator().manual_seed(0))
    draws = np.array([list(sampler) for _ in range(4000)])
    assert len(sampler) == 2 and draws.shape == (4000, 2)
    for k, p in enumerate(weights / 8):
        assert abs((draws[:, 0] == k).mean() - p) <= 5 * np.sqrt(p * (1 - p) / 4000)  # five standard deviations
    twice = (draws[:, 0] == draws[:, 1]).mean()  # sum of p^2 = 26 / 64
    assert abs(twice - 26 / 64) < 0.04 if replacement else twice == 0


def test_batch_sampler():
    assert list(BatchSampler(SequentialSampler(range(5)), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(SequentialSampler(range(5)), 2, True)) == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="drop_last"):
        BatchSampler(range(3), 2, 1)


# ---- data sets ----


def test_tensor_dataset_refuses_unequal_lengths():
    with pytest.raises(ValueError, match=r"\(3, 2\), \(4,\)"):
        TensorDataset(tg.zeros(3, 2), tg.zeros(4))
    with pytest.raises(ValueError):
        TensorDataset()
    with pytest.raises(ValueError):
        TensorDataset(tg.tensor(1.0))


def test_subset_and_concatenation():
    part = Subset(numbers(10), [4, 2, 8])
    assert [x.tolist() for x, _ in DataLoader(part, 2)] == [[4, 2], [8]] and part[1][1].item() == 20
    both = numbers(3) + numbers(2)
    assert isinstance(both, ConcatDataset) and [both[i][0].item() for i in range(5)] == [0, 1, 2, 0, 1]
    assert both[-1][0].item() == 1 and [x.tolist() for x, _ in DataLoader(both, 4)] == [[0, 1, 2, 0], [1]]
    with pytest.raises(IndexError):
        both[5]
    with pytest.raises(ValueError):
        ConcatDataset([])


@given(n=st.integers(3, 50), seed=st.integers(0, 99))
def test_random_split_is_a_partition(n, seed):
    parts = random_split(Squares(n), [n - 3, 2, 1], generator(seed))
    assert [len(p) for p in parts] == [n - 3, 2, 1]
    assert sorted(itertools.chain(*[p.indices for p in parts])) == list(range(n))
    again = random_split(Squares(n), [n - 3, 2, 1], generator(seed))
    assert [list(p.indices) for p in parts] == [list(p.indices) for p in again]


def test_random_split_by_fractions():
    assert [len(p) for p in random_split(Squares(10), [0.5, 0.25, 0.25])] == [6, 2, 2]
    assert [len(p) for p in random_split(Squares(7), [0.9, 0.1])] == [7, 0]
    with pytest.raises(ValueError, match="10 samples"):
        random_split(Squares(10), [3, 3])
    with pytest.raises(ValueError):
        random_split(Squares(10), [1.5, -0.5])


# ---- collation ----


def test_collate_by_structure():
    pair = namedtuple("pair", "a b")
    batch = default_collate(
        [{"x": pair(1, [2.0, "s"]), "y": np.float32(3)}, {"x": pair(4, [5.0, "t"]), "y": np.float32(6)}]
    )
    assert isinstance(batch["x"], pair) and batch["x"].a.tolist() == [1, 4] and batch["x"].a.dtype is tg.int64
    assert (
        batch["x"].b[0].tolist() == [2.0, 5.0] and batch["x"].b[0].dtype is tg.float64 and batch["x"].b[1] == ["s", "t"]
    )
    assert batch["y"].dtype is tg.float32
    assert default_collate([np.ones(2), np.zeros(2)]).shape == (2, 2)
    with pytest.raises(RuntimeError, match="as many parts"):
        default_collate([[1, 2], [1]])
    with pytest.raises(TypeError, match="object"):
        default_collate([object()])


# ---- batch assembly ----

images = np.random.default_rng(0).integers(0, 256, (23, 3, 5, 7), dtype=np.uint8)


@pytest.mark.parametrize("backend", [b for b in ("c", "numba", "numpy") if b in backends.available()])
@pytest.mark.parametrize(
    ("mean", "std"), [(0.0, 1.0), (0.3, 0.2), ((0.1, 0.2, 0.3), 0.5), ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))]
)
@pytest.mark.parametrize("rows", [0, 1, 2, 17, 400])
def test_assemble(backend, mean, std, rows):
    order = np.random.default_rng(1).integers(0, 23, rows)
    with backends.use(backend):
        got = assemble(tg.from_numpy(images), tg.from_numpy(order), mean=mean, std=std).numpy()
    m, s = (np.reshape(v, (-1, 1, 1)) for v in (mean, std))
    expected = (images[order] / 255 - m) / s
    assert got.shape == expected.shape and got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1.2e-7, atol=1e-7)
    if (mean, std) == (0.0, 1.0):  # every byte, exactly as the division of two floats
        assert np.array_equal(got, images[order].astype(np.float32) / np.float32(255))


def test_assemble_is_the_same_everywhere():
    order = tg.from_numpy(np.random.default_rng(1).integers(0, 23, 300))
    results = []
    for backend in backends.available():
        with backends.use(backend):
            results.append(assemble(tg.from_numpy(images), order, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)).numpy())
    assert all(np.array_equal(r, results[0]) for r in results)


def test_assemble_of_views_and_doubles():
    x = tg.from_numpy(images)
    order = tg.tensor([3, 0, 22])
    expected = images.transpose(0, 1, 3, 2)[[3, 0, 22]]
    assert np.array_equal(assemble(x.transpose(2, 3), order, scale=1.0).numpy(), expected)
    assert np.array_equal(assemble(x[::2], tg.tensor([1]), scale=1.0).numpy(), images[[2]])
    assert np.array_equal(assemble(x, tg.tensor([9, 22, 9, 3, 9, 0])[1::2], scale=1.0).numpy(), images[[22, 3, 0]])
    doubles = assemble(x, order, dtype=tg.float64)
    assert doubles.dtype is tg.float64 and np.array_equal(doubles.numpy(), images[[3, 0, 22]] * (1 / 255))


def test_assemble_refuses_what_does_not_fit():
    x, order = tg.from_numpy(images), tg.tensor([0])
    with pytest.raises(TypeError, match="uint8"):
        assemble(x.float(), order)
    with pytest.raises(TypeError, match="int64"):
        assemble(x, order.float())
    with pytest.raises(IndexError, match="23"):
        assemble(x, tg.tensor([23]))
    with pytest.raises(RuntimeError, match="2 means"):
        assemble(x, order, mean=(0.1, 0.2))
    with pytest.raises(ValueError, match="std"):
        assemble(x, order, std=0.0)

"""The DataLoader: from a data set and an order to batches, by PyTorch's arguments.

Where the set can give a whole batch at once (Dataset.batch) it is asked to, so that a batch of images is one kernel
call. Workers are threads, which share memory and let go of the interpreter's lock inside kernels; so there is nothing
to pin and nothing to pickle. Read next: ../../datasets/vision.py.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ...ops.create import tensor
from ...ops.random import Generator, randint
from ...transforms.draws import Draws, drawing_from
from .collate import default_collate
from .dataset import Dataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler


class DataLoader:
    """Iterate over a data set in batches.

    batch_size=None turns batching off: samples come one by one, as they are. num_workers: how many threads prepare
    batches ahead (0: none), each prefetch_factor of them. generator: the source of the order and of random transforms,
    which are the same for any number of workers. pin_memory, timeout, multiprocessing_context and
    persistent_workers are PyTorch's and have no effect here. Raises ValueError for arguments that exclude each other
    or make no sense.
    """

    def __init__(
        self,
        dataset: Dataset[Any] | Sequence[Any],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        if not isinstance(num_workers, int) or isinstance(num_workers, bool):
            raise TypeError(f"DataLoader: num_workers must be an int, got {num_workers!r}")
        if num_workers < 0:
            raise ValueError(f"DataLoader: num_workers must not be negative, got {num_workers}")
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout must not be negative, got {timeout}")
        if persistent_workers and num_workers == 0:
            raise ValueError("DataLoader: persistent_workers is for num_workers > 0")
        if prefetch_factor is not None and (num_workers == 0 or prefetch_factor < 1):
            raise ValueError("DataLoader: prefetch_factor is a positive number, and only for num_workers > 0")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle exclude each other")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None turns batching off, so there is no last batch to drop")
        if sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler, self.batch_sampler, self.generator = sampler, batch_sampler, generator
        self.num_workers, self.prefetch_factor = num_workers, 2 if prefetch_factor is None else prefetch_factor
        self.worker_init_fn, self.timeout, self.pin_memory = worker_init_fn, timeout, pin_memory
        self.collate_fn = collate_fn or (default_collate if batch_sampler is not None else None)

    def __len__(self) -> int:
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        wanted: Iterable[Any] = self.sampler if self.batch_sampler is None else self.batch_sampler
        seed = randint(2**63 - 1, (), generator=self.generator).item()  # as PyTorch: one an epoch, before the order's
        numbered = ((Draws(seed, k), indices) for k, indices in enumerate(wanted))
        return self._ahead(numbered) if self.num_workers else itertools.starmap(self._fetch, numbered)

    def _fetch(self, draws: Draws, indices: Any) -> Any:
        """One batch, or with batching off one sample; random transforms draw from `draws`."""
        with drawing_from(draws):
            return self._collated(indices)

    def _collated(self, indices: Any) -> Any:
        if self.batch_sampler is None:
            sample = self.dataset[indices]
            return sample if self.collate_fn is None else self.collate_fn(sample)
        if self.collate_fn is default_collate and isinstance(self.dataset, Dataset):
            batch = self.dataset.batch(tensor(self._checked(indices)))
            if batch is not None:
                return batch
        assert self.collate_fn is not None
        return self.collate_fn([self.dataset[i] for i in indices])

    def _checked(self, indices: list[int]) -> list[int]:
        """The indices, counted from 0: a kernel would not notice one that is outside. Raises IndexError for such."""
        n = len(self.dataset)
        if not indices:
            raise IndexError("the batch sampler gave a batch without indices")
        low, high = min(indices), max(indices)
        if low < -n or high >= n:
            raise IndexError(f"index {low if low < -n else high} is out of range for a data set of {n} samples")
        return indices if low >= 0 else [i % n for i in indices]

    def _ahead(self, wanted: Iterable[tuple[Draws, Any]]) -> Iterator[Any]:
        """The batches in order, prepared by threads while the caller works."""
        numbers = itertools.count()

        def start() -> None:
            if self.worker_init_fn is not None:
                self.worker_init_fn(next(numbers))

        pool = ThreadPoolExecutor(self.num_workers, "DataLoader", start)
        pending: deque[Future[Any]] = deque()
        try:
            for draws, indices in wanted:
                pending.append(pool.submit(self._fetch, draws, indices))
                if len(pending) >= self.num_workers * self.prefetch_factor:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

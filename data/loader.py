"""DataLoader: the batches of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backends.generator import Generator
from ..errors import DataError, OptionError
from .dataset import Dataset, supports_batches

Batch = tuple[np.ndarray, ...]


class DataLoader:
    """Goes over a data set in batches; every iteration is one epoch.

    A batch is a tuple of C-contiguous NumPy arrays, one for each part of a sample. With `shuffle`
    the order of epoch e follows from (seed, e) alone; set `epoch` to resume. The last batch may be
    smaller, unless `drop_last`.

    >>> from tercet.data import TensorDataset
    >>> loader = DataLoader(TensorDataset(range(5)), batch_size=2)
    >>> [batch[0].tolist() for batch in loader], len(loader)
    ([[0, 1], [2, 3], [4]], 3)
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 32,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise OptionError(
                f"DataLoader: batch_size must be an integer of at least 1, found {batch_size!r}"
            )
        if not len(dataset):
            raise DataError("DataLoader: the data set is empty")
        if drop_last and len(dataset) < batch_size:
            raise DataError(
                f"DataLoader: {len(dataset)} samples give no full batch of {batch_size}; lower "
                "batch_size or leave drop_last off"
            )
        self.dataset, self.batch_size = dataset, batch_size
        self.shuffle, self.drop_last, self.seed = shuffle, drop_last, seed
        self.epoch = 0

    @property
    def samples(self) -> int:
        """How many samples an epoch goes through."""
        return len(self.dataset)

    def __len__(self) -> int:
        n = self.samples
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        # Not a generator itself: the epoch counts when it is asked for, not at its first batch.
        order = self._order()
        fetch = self._fetch_batch if supports_batches(self.dataset) else self._fetch_samples
        return (fetch(s if order is None else order[s]) for s in self._slices())

    def indices(self) -> Iterator[np.ndarray]:
        """The next epoch as the numbers of each batch's samples, for data that lies elsewhere.

        >>> from tercet.data import TensorDataset
        >>> [i.tolist() for i in DataLoader(TensorDataset(range(3)), batch_size=2).indices()]
        [[0, 1], [2]]
        """
        order = self._order()
        everything = np.arange(len(self.dataset)) if order is None else order
        return (everything[s] for s in self._slices())

    def _order(self) -> np.ndarray | None:
        """The order of the next epoch; None for that of the data set."""
        n, epoch = len(self.dataset), self.epoch
        self.epoch += 1
        return Generator(self.seed, epoch).permutation(n) if self.shuffle else None

    def _slices(self) -> Iterator[slice]:
        n = self.samples
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield slice(start, min(start + self.batch_size, n))

    def _fetch_batch(self, index: Any) -> Batch:
        batch: Batch = self.dataset[index]
        return batch

    def _fetch_samples(self, index: Any) -> Batch:
        rows = range(index.start, index.stop) if isinstance(index, slice) else index
        samples = [self.dataset[int(i)] for i in rows]
        if not isinstance(samples[0], tuple):
            samples = [(s,) for s in samples]
        try:
            return tuple(
                np.stack([s.numpy() if hasattr(s, "numpy") else np.asarray(s) for s in part])
                for part in zip(*samples, strict=True)
            )
        except ValueError as error:
            raise DataError(
                f"DataLoader: the samples of a batch differ in shape or length ({error}); make "
                "them equal, or use batch_size=1"
            ) from error

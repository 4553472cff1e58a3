"""Data sets: things of a length that give samples by index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from ..backends.generator import Generator
from ..errors import DataError, OptionError
from .checks import check_same_length


class Dataset(Protocol):
    """Anything with a length and samples by index; a sample is a tuple of arrays and numbers."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> Any: ...


class TensorDataset:
    """Arrays with one row for each sample: `ds[i]` is the tuple of their rows i.

    An index array or a slice in place of i gives a tuple of batches. Arrays are kept as NumPy
    arrays; lists and tensors are converted. Raises DataError for arrays that are empty, ragged, or
    of different lengths.

    >>> ds = TensorDataset([[1.0], [2.0], [3.0]], [0, 1, 0])
    >>> len(ds), ds[1], ds[1:][1].tolist()
    (3, (array([2.]), np.int64(1)), [1, 0])
    """

    def __init__(self, *arrays: Any) -> None:
        self.arrays = tuple(_as_array(a, i) for i, a in enumerate(arrays))
        if not arrays or any(np.ndim(a) == 0 or len(a) == 0 for a in self.arrays):
            raise DataError("TensorDataset needs one array or more, none of them empty")
        check_same_length(**{f"array {i}": a for i, a in enumerate(self.arrays)})

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        # take is two to four times as fast as a[index], but takes booleans for numbers.
        if isinstance(index, np.ndarray) and index.dtype.kind in "iu":
            return tuple(a.take(index, axis=0) for a in self.arrays)
        return tuple(a[index] for a in self.arrays)


def _as_array(values: Any, position: int) -> np.ndarray:
    try:
        return np.asarray(values.numpy() if hasattr(values, "numpy") else values, order="C")
    except ValueError as error:
        raise DataError(
            f"TensorDataset: the rows of array {position} differ in shape; pad or cut them"
        ) from error


class Subset:
    """The samples of `dataset` at `indices`, in that order.

    >>> Subset(TensorDataset([10, 20, 30]), [2, 0])[0]
    (np.int64(30),)
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int] | np.ndarray) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64)
        n = len(dataset)
        if self.indices.size and not (self.indices.min() >= 0 and self.indices.max() < n):
            raise DataError(f"Subset: indices must lie in [0, {n}), the length of the data set")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        picked: Any = self.indices[index]
        return self.dataset[picked if isinstance(picked, np.ndarray) else int(picked)]


def random_split(dataset: Dataset, lengths: Sequence[float], seed: int = 0) -> list[Subset]:
    """Disjoint random subsets, of the given lengths or of fractions that sum to 1.

    With fractions, what rounding down leaves over goes to the first subsets, one sample each.

    >>> [len(s) for s in random_split(TensorDataset(range(10)), [0.75, 0.25])]
    [8, 2]
    """
    n = len(dataset)
    fractions = any(isinstance(v, float) for v in lengths)
    if any(v < 0 for v in lengths):
        raise OptionError(f"random_split: lengths must not be negative, found {list(lengths)}")
    if fractions and math.isclose(sum(lengths), 1.0, abs_tol=1e-9):
        sizes = [math.floor(v * n) for v in lengths]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
    else:
        sizes = [int(v) for v in lengths]
        if fractions or sum(sizes) != n:
            raise OptionError(
                f"random_split: lengths must sum to the data set's length {n}, or fractions to 1; "
                f"found {list(lengths)}"
            )
    order = Generator(seed).permutation(n)
    ends = np.cumsum([0, *sizes])
    return [Subset(dataset, order[a:b]) for a, b in pairwise(ends)]


def supports_batches(dataset: Dataset) -> bool:
    """Whether the data set gives a whole batch for an index array or a slice."""
    if isinstance(dataset, Subset):
        return supports_batches(dataset.dataset)
    return isinstance(dataset, TensorDataset)

"""Data sets that live where they are trained on: a batch is then a few numbers, and a gather."""

from __future__ import annotations

import math

from ..autograd import Tensor, tensor
from ..autograd.functions.shape import TakeRows
from ..autograd.tape import apply
from ..data import DataLoader, TensorDataset
from ..layers import Module

# Of the memory that is free, what a data set may take: the rest is for the step.
SHARE = 0.5


class Resident:
    """The arrays of a loader's data set, copied to the model's backend once."""

    def __init__(self, dataset: TensorDataset, model: Module) -> None:
        self.host, self._backend, self._dtype = dataset.arrays, model.backend, model.dtype
        self._tensors = [
            tensor(a, model.dtype if a.dtype.kind == "f" else None, model.backend)
            for a in dataset.arrays
        ]

    @classmethod
    def of(cls, loader: DataLoader, model: Module) -> Resident | None:
        """For arrays in memory that fit on a device of its own memory, else None."""
        dataset, free = loader.dataset, model.backend.free_bytes()
        if free is None or type(dataset) is not TensorDataset:
            return None
        size = sum(a.nbytes for a in dataset.arrays)
        return cls(dataset, model) if size <= SHARE * free else None

    def suits(self, model: Module) -> bool:
        """Whether the model is still where it was, and of the same dtype."""
        return (model.backend, model.dtype) == (self._backend, self._dtype)

    def rows(self, index: Tensor) -> list[Tensor]:
        """The samples of these numbers: each array's rows, gathered on the backend."""
        found = []
        for t in self._tensors:
            matrix = t.reshape(t.shape[0], math.prod(t.shape[1:]))
            rows: Tensor = apply(TakeRows, matrix, index)
            found.append(rows.reshape(index.shape[0], *t.shape[1:]))
        return found

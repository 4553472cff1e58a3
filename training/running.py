"""Sums that training keeps from step to step, on the backend: no step has to be waited for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import Tensor, is_float
from ..backends import Array, Backend

FLOAT64 = np.dtype("float64")


class RunningTotal:
    """A weighted sum and the sum of the weights, (2,) float64 on the backend that adds to it."""

    def __init__(self) -> None:
        self._backend: Backend | None = None
        self._array: Array = None

    def on(self, backend: Backend) -> Array:
        """The array, for kernels to add to."""
        if backend is not self._backend:
            self._backend, self._array = backend, backend.full((2,), 0.0, FLOAT64)
        return self._array

    def reset(self) -> None:
        """Begin again from zero."""
        if self._backend is not None:
            self._backend.ops.fill(shape=(2,), dtype="float64", value=0.0, out=(self._array,))

    def read(self) -> tuple[float, float]:
        """The sum and the weight: waits for what adds to them."""
        if self._backend is None:
            return 0.0, 0.0
        total, weight = self._backend.to_numpy(self._array)
        return float(total), float(weight)


class RunningMean:
    """The mean of the losses of an epoch, weighed by batch size."""

    def __init__(self) -> None:
        self._total = RunningTotal()

    def reset(self) -> None:
        self._total.reset()

    def add(self, loss: Tensor, count: int) -> None:
        backend = loss.backend
        backend.ops.add_loss(self._total.on(backend), loss.data, count=count)

    def result(self) -> float:
        total, weight = self._total.read()
        return total / weight if weight else math.nan


def count_hits(
    total: RunningTotal, outputs: Tensor, target: Any, weight: Any, threshold: float
) -> bool:
    """Add to `total` the samples whose class is predicted, if kernels can tell; whether they can.

    They can where outputs are (n, c) and targets n whole numbers.
    """
    if outputs.ndim != 2 or not is_float(outputs.dtype) or target.dtype.kind not in "iu":
        return False
    if target.size != len(outputs):
        return False
    backend = outputs.backend
    index = _on(backend, target.reshape(-1), "int64")
    weights = None if weight is None else _on(backend, weight, outputs.dtype.name)
    backend.ops.count_hits(
        total.on(backend), outputs.data, index, weights, threshold=float(threshold)
    )
    return True


def _on(backend: Backend, values: Any, dtype: str) -> Array:
    if isinstance(values, Tensor):
        return values.astype(dtype).data
    return backend.asarray(np.asarray(values, dtype))

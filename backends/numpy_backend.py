"""The NumPy backend: every kernel runs its reference, which is readable and depends on nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.spec import Array
from .backend import Backend, DType
from .pool import Pool


class HostBackend(Backend):
    """A backend whose arrays are NumPy's, in pooled host memory."""

    xp = np

    def __init__(self, seed: int = 0) -> None:
        self.pool = Pool()
        super().__init__(seed)

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        return self.pool.empty(shape, dtype)

    def asarray(self, host: np.ndarray) -> Array:
        out = self.pool.empty(host.shape, host.dtype)
        out[...] = host
        return out

    def to_numpy(self, x: Array) -> np.ndarray:
        return np.array(x)

    def from_dlpack(self, x: Any) -> Array:
        return np.from_dlpack(x)

    def memory_summary(self) -> str:
        return (
            f"{self.name}: {self.pool.in_use / 2**20:.1f} MiB of pooled arrays in use, "
            f"{self.pool.held / 2**20:.1f} MiB held"
        )


class NumpyBackend(HostBackend):
    """Every kernel by its reference."""

    name = "numpy"
    flavour = "reference"

"""The NumPy backend: every kernel runs its reference, which is readable and depends on nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels.spec import Array
from .backend import Backend, DType
from .pool import Pool
from .recording import READ, Recorder


class HostBackend(Backend):
    """A backend whose arrays are NumPy's, in pooled host memory."""

    xp = np
    captures = True

    def __init__(self, seed: int = 0) -> None:
        self.pool = Pool()
        super().__init__(seed)

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        recorder = self.recorder
        pool = self.pool if recorder is None or not recorder.here else recorder.pool
        return pool.empty(shape, dtype)

    def asarray(self, host: np.ndarray) -> Array:
        out = self.pool.empty(host.shape, host.dtype)
        out[...] = host
        if self.recorder is not None and self.recorder.here:
            self.recorder.constant(out, host)
        return out

    def to_numpy(self, x: Array) -> np.ndarray:
        if self.recorder is not None and self.recorder.here:
            self.recorder.refuse(READ)
        return np.array(x)

    def from_dlpack(self, x: Any) -> Array:
        return np.from_dlpack(x)

    def release_memory(self) -> None:
        self.pool.release()

    def set_memory_limit(self, limit: int | None) -> None:
        self.pool.limit = limit

    def private_pool(self) -> Pool:
        return Pool(self.pool)

    def record(self, pool: Pool, inputs: Sequence[Array]) -> Recorder:
        return Recorder(pool, inputs)

    def copy(self, x: Array) -> Array:
        return x.copy()

    def memory_summary(self) -> str:
        pool = self.pool
        limit = "" if pool.limit is None else f", limit {pool.limit / 2**20:.1f} MiB"
        return (
            f"{self.name}: {pool.in_use / 2**20:.1f} MiB of pooled arrays in use, "
            f"{pool.held / 2**20:.1f} MiB held, {pool.peak / 2**20:.1f} MiB at the peak{limit}"
        )


class NumpyBackend(HostBackend):
    """Every kernel by its reference."""

    name = "numpy"
    flavour = "reference"

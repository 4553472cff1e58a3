"""The CuPy backend: fused CUDA kernels on an NVIDIA GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..kernels import FAMILIES
from ..kernels.dense.spec import THROUGH
from ..kernels.spec import Array
from .backend import Backend, DType, Implementation
from .cuda_recording import DevicePool, DeviceRecorder
from .cuda_runtime import CupyRuntime, Runtime
from .pool import Pool
from .recording import READ, Recorder, changed


def problem() -> str | None:
    """Why CuPy cannot be used here, or None if it can; the cheapest question first."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver was found (libcuda.so.1 does not load)"
    if find_spec("cupy") is None:
        return 'CuPy is not installed; run: pip install "tercet[cuda12]" (or cuda13)'
    try:
        import cupy

        if not cupy.cuda.is_available():
            return "CuPy finds no usable GPU (cupy.cuda.is_available() is False)"
    except Exception as error:  # a broken CUDA installation raises many kinds
        return f"CuPy does not load: {error}"
    return None


class CupyBackend(Backend):
    """Every kernel by its family's CUDA code, launched on `runtime`: a GPU unless one is given."""

    name = "cupy"
    flavour = "cuda"
    halves = True
    captures = True

    def __init__(self, seed: int = 0, runtime: Runtime | None = None) -> None:
        self.runtime = CupyRuntime() if runtime is None else runtime
        self.xp = self.runtime.xp
        if self.runtime.has_epilogues:
            self.through = THROUGH
        super().__init__(seed)

    def implementations(self) -> dict[str, Implementation]:
        return {
            name: partial(launcher, self.runtime)
            for family in FAMILIES
            for name, launcher in import_module(
                f"..kernels.{family}.cuda", __package__
            ).LAUNCHERS.items()
        }

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        recorder = self.recorder
        if recorder is not None and recorder.here:
            return recorder.pool.empty(shape, dtype)
        return self.runtime.empty(shape, dtype)

    def asarray(self, host: np.ndarray) -> Array:
        out = self.runtime.asarray(host)
        if self.recorder is not None and self.recorder.here:
            self.recorder.constant(out, host)
        return out

    def to_numpy(self, x: Array) -> np.ndarray:
        if self.recorder is not None and self.recorder.here:
            self.recorder.refuse(READ)
        return self.runtime.to_numpy(x)

    def from_dlpack(self, x: Any) -> Array:
        return self.xp.from_dlpack(x)

    def set_tf32(self, enabled: bool) -> None:
        if enabled is not self.tf32:
            self.tf32 = self.runtime.tf32 = enabled
            changed()

    def synchronize(self) -> None:
        self.runtime.synchronize()

    def memory_summary(self) -> str:
        return self.runtime.memory_summary()

    def description(self) -> list[str]:
        return self.runtime.description()

    def free_bytes(self) -> int:
        return self.runtime.free_bytes()

    def release_memory(self) -> None:
        self.runtime.release_memory()

    def private_pool(self) -> Pool:
        return DevicePool(self.runtime)

    def record(self, pool: Pool, inputs: Sequence[Array]) -> Recorder:
        return DeviceRecorder(self, self.runtime, pool, inputs)

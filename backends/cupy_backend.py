"""The CuPy backend: fused CUDA kernels on an NVIDIA GPU."""

from __future__ import annotations

import ctypes
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..kernels import FAMILIES
from ..kernels.spec import Array
from .backend import Backend, DType, Implementation
from .cuda_runtime import CupyRuntime, Runtime
from .recording import changed


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

    def __init__(self, seed: int = 0, runtime: Runtime | None = None) -> None:
        self.runtime = CupyRuntime() if runtime is None else runtime
        self.xp = self.runtime.xp
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
        return self.runtime.empty(shape, dtype)

    def asarray(self, host: np.ndarray) -> Array:
        return self.runtime.asarray(host)

    def to_numpy(self, x: Array) -> np.ndarray:
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

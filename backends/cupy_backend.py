"""The CuPy backend: fused CUDA kernels on an NVIDIA GPU."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec


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

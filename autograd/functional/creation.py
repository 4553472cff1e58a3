"""Tensors made from sizes: constants, ranges, random numbers."""

from __future__ import annotations

import numpy as np

from ...backends import Backend, DType, generator, get_backend
from ..dtypes import dtype_on, float_dtype
from ..tensor import Tensor, tensor


def zeros(
    *shape: int, dtype: str | DType | None = None, backend: str | Backend | None = None
) -> Tensor:
    """A tensor of zeros."""
    return full(shape, 0.0, dtype, backend)


def ones(
    *shape: int, dtype: str | DType | None = None, backend: str | Backend | None = None
) -> Tensor:
    """A tensor of ones."""
    return full(shape, 1.0, dtype, backend)


def full(
    shape: tuple[int, ...],
    value: float,
    dtype: str | DType | None = None,
    backend: str | Backend | None = None,
) -> Tensor:
    """A tensor filled with one value."""
    target = get_backend(backend)
    found = dtype_on(target, float_dtype(None) if dtype is None else dtype)
    return Tensor(target.full(tuple(shape), value, found), target)


def arange(*bounds: int, backend: str | Backend | None = None) -> Tensor:
    """int64 0 .. stop-1, or start .. stop-1, with an optional step."""
    return tensor(np.arange(*bounds), backend=backend)


def rand(
    *shape: int, dtype: str | DType | None = None, backend: str | Backend | None = None
) -> Tensor:
    """Uniform on [0, 1), from the backend's counter-based generator: equal on every backend."""
    target = get_backend(backend)
    random = target.random
    out = target.ops.random_uniform(
        random.state,
        shape=shape,
        dtype=float_dtype(dtype).name,
        stream=random.stream(),
        low=0.0,
        high=1.0,
    )
    return Tensor(out, target)


def randn(
    *shape: int, dtype: str | DType | None = None, backend: str | Backend | None = None
) -> Tensor:
    """Standard normal, drawn on the host from the global seed: equal on every backend."""
    return tensor(generator().normal(shape), float_dtype(dtype), backend)

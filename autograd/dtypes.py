"""Which dtypes tensors have: the default for floating ones, and what two meet in."""

from __future__ import annotations

import numpy as np

from ..backends import Backend, DType
from ..errors import DTypeError
from ..kernels.spec import FLOAT_KINDS, accumulator, dtype_named

_FLOATS = (np.dtype("float32"), np.dtype("float64"))
_default_dtype = np.dtype("float32")


def set_default_dtype(dtype: str | DType) -> None:
    """The floating dtype of new tensors and parameters: "float32" (at first) or "float64".

    >>> set_default_dtype("float64"); get_default_dtype().name
    'float64'
    >>> set_default_dtype("float32")
    """
    global _default_dtype
    _default_dtype = float_dtype(dtype)


def get_default_dtype() -> DType:
    """The floating dtype of new tensors and parameters."""
    return _default_dtype


def float_dtype(dtype: str | DType | None) -> DType:
    """`dtype` if tercet trains in it, the default for None, else an error."""
    if dtype is None:
        return _default_dtype
    found = dtype_named(dtype)
    if found not in _FLOATS:
        raise DTypeError(
            f"a model's dtype is float32 or float64, found {found}; to compute in 16 bits, use "
            "tercet.autocast or precision= of compile"
        )
    return found


def dtype_on(backend: Backend, dtype: str | DType) -> DType:
    """`dtype` if arrays on `backend` may have it, else an error: not all take 16-bit numbers."""
    found = dtype_named(dtype)
    if accumulator(found) != found and not backend.halves:
        raise DTypeError(
            f"the {backend.name} backend computes in float32 and float64, found {found}. Convert "
            "with .astype('float32'), or move the tensor with .to('cupy')"
        )
    return found


def is_float(dtype: DType) -> bool:
    """Whether tensors of this dtype have gradients."""
    return dtype.kind in FLOAT_KINDS


def common_dtype(a: DType, b: DType) -> DType:
    """The dtype in which two tensors meet: the floating one, the wider of two alike.

    A 16-bit one and float32 meet in float32; other floating dtypes do not meet.
    """
    if a == b:
        return a
    if is_float(a) != is_float(b):
        return a if is_float(a) else b
    if is_float(a):
        if accumulator(a) == accumulator(b) and accumulator(a) in (a, b):
            return accumulator(a)
        raise DTypeError(f"arrays of {a} and {b} meet; convert one with .astype(...)")
    return np.promote_types(a, b)

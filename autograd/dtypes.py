"""Which dtypes tensors have: the default for floating ones, and what two meet in."""

from __future__ import annotations

import numpy as np

from ..backends import DType
from ..errors import DTypeError

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
    found = np.dtype(dtype)
    if found not in _FLOATS:
        raise DTypeError(f"a model's dtype is float32 or float64, found {found}")
    return found


def common_dtype(a: DType, b: DType) -> DType:
    """The dtype in which two tensors meet: the floating one, the wider of two alike."""
    if a == b:
        return a
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    if a.kind == "f":
        raise DTypeError(f"arrays of {a} and {b} meet; convert one with .astype(...)")
    return np.promote_types(a, b)

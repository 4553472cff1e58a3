"""Choosing between tensors, joining them, cutting them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from ...errors import ShapeError
from ..dtypes import common_dtype, is_float
from ..functions.elementwise import Where
from ..functions.shape import Concatenate
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor


def where(condition: Operand, a: Operand, b: Operand) -> Tensor:
    """a where the condition holds, else b; all three broadcast.

    >>> import tercet as tc
    >>> where(tc.tensor([True, False]), 1.0, 2.0).tolist()
    [1.0, 2.0]
    """
    first = next((t for t in (a, b, condition) if isinstance(t, Tensor)), None)
    backend = None if first is None else first.backend
    test = as_tensor(condition, backend).astype("bool")
    left = a if isinstance(a, Tensor) else None
    right = b if isinstance(b, Tensor) else None
    if left is None:
        left = right._operand(a) if right is not None else as_tensor(a, backend)
    if right is None:
        right = left._operand(b)
    if is_float(left.dtype) and is_float(right.dtype):
        dtype = common_dtype(left.dtype, right.dtype)
        left, right = left.astype(dtype), right.astype(dtype)
    return apply(Where, test, left, right)


def concatenate(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """The tensors one after the other along an axis that they have.

    >>> import tercet as tc
    >>> concatenate([tc.tensor([1.0]), tc.tensor([2.0, 3.0])]).tolist()
    [1.0, 2.0, 3.0]
    """
    parts = [as_tensor(t) for t in tensors]
    if not parts:
        raise ShapeError("concatenate needs at least one tensor")
    first = parts[0]
    if not -first.ndim <= axis < first.ndim:
        raise ShapeError(f"concatenate: axis {axis} does not fit shape {first.shape}")
    at = axis % first.ndim
    for t in parts:
        rest = (t.shape[:at], t.shape[at + 1 :])
        if t.ndim != first.ndim or rest != (first.shape[:at], first.shape[at + 1 :]):
            raise ShapeError(
                f"concatenate along axis {axis}: shapes must agree on the other axes, found "
                f"{[p.shape for p in parts]}"
            )
    if all(is_float(t.dtype) for t in parts):
        dtype = reduce(common_dtype, [t.dtype for t in parts])
        parts = [t.astype(dtype) for t in parts]
    return apply(Concatenate, *parts, axis=at)


cat = concatenate


def stack(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    return concatenate([as_tensor(t).expand_dims(axis) for t in tensors], axis)


def split(x: Tensor, size: int, axis: int = 0) -> list[Tensor]:
    """Pieces of `size` along an axis; the last one may be smaller."""
    at = axis % x.ndim
    before = (slice(None),) * at
    return [x[(*before, slice(i, i + size))] for i in range(0, x.shape[at], size)]

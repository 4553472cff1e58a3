"""Mixed precision: what runs in 16 bits inside an autocast block, and what stays in float32.

Parameters stay float32. Dense products take 16-bit copies of their operands and give their result
in 16 bits; a gradient arrives in the dtype of what it is the gradient of, so that a parameter's is
float32. Losses, softmax, sums and functions of a large range are computed in float32.

Source: Micikevicius et al., "Mixed precision training", ICLR 2018.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, ContextDecorator, nullcontext
from typing import TYPE_CHECKING

from ..backends import Array, Backend, DType
from ..errors import BackendError, OptionError, choose
from ..kernels.spec import FLOAT32, HALVES, accumulator, dtype_named

if TYPE_CHECKING:
    from .tensor import Tensor

PRECISIONS = ("float32", "tf32", *HALVES)


class _Mode(threading.local):
    """Each thread's own: the dtype in use, what enclosing blocks found, copies of parameters."""

    def __init__(self) -> None:
        self.dtype: DType | None = None
        self.outer: list[DType | None] = []
        # By identity and dtype: an array, and its copy.
        self.copies: dict[tuple[int, DType], tuple[Array, Array]] = {}


_mode = _Mode()


class autocast(ContextDecorator):
    """Inside the block, or the decorated function, dense products run in 16 bits.

    `dtype` is "bfloat16" or "float16"; "float32" ends the effect of an enclosing block. Wrap the
    forward pass and the loss; the backward pass follows them. Results of `dense`, Dense layers and
    `matmul` are 16-bit; losses, softmax, sums, means, exponentials and logarithms are float32, and
    so is what a 16-bit tensor and a float32 one make together. Normalization gives the dtype that
    it takes, and computes in float32. Parameters, gradients and optimizer state stay float32; each
    parameter is rounded once, until `optimizer.step()` or the block's end.
    float64 is left alone. With float16 use a `LossScaler`, too.

    Raises BackendError, where it is first used, on a backend without 16-bit kernels.

    >>> import tercet as tc
    >>> with autocast("float32"):
    ...     tc.dense(tc.ones(1, 2), tc.ones(2, 1)).dtype.name
    'float32'
    """

    def __init__(self, dtype: str = "bfloat16") -> None:
        if dtype not in ("float32", *HALVES):
            raise OptionError(choose("autocast dtype", dtype, ("float32", *HALVES)))
        self.dtype = None if dtype == "float32" else dtype_named(dtype)

    def __enter__(self) -> None:
        _mode.outer.append(_mode.dtype)
        _mode.dtype = self.dtype

    def __exit__(self, *exc: object) -> None:
        _mode.dtype = _mode.outer.pop()
        if not _mode.outer:
            forget()


def casting(precision: str) -> AbstractContextManager[None]:
    """The autocast block of a precision; of one that is not 16-bit, a block without effect."""
    return autocast(precision) if precision in HALVES else nullcontext()


def current() -> str:
    """The name of the dtype in which dense products of float32 tensors run."""
    return "float32" if _mode.dtype is None else _mode.dtype.name


def forget() -> None:
    """Drop the 16-bit copies of parameters: their values are about to change, or have."""
    _mode.copies.clear()


def half_of(*operands: Tensor | None) -> DType | None:
    """The dtype to which a dense product rounds these operands, or None for none."""
    dtype = _mode.dtype
    if dtype is None:
        return None
    for t in operands:
        if t is None:
            continue
        if accumulator(t.data.dtype) != FLOAT32:
            return None
        check(t.backend, dtype.name)
    return dtype


def rounded(t: Tensor | None, dtype: DType) -> Array | None:
    """The array of `t` in a 16-bit dtype.

    A parameter is rounded once and kept; with it all in the same flat buffer, in one kernel.
    """
    if t is None or t.data.dtype == dtype:
        return None if t is None else t.data
    if t.node is not None or not t.requires_grad:
        return t.backend.ops.copy(t.data, dtype=dtype.name)
    whole, start = t.whole()
    held = _mode.copies.get((id(whole), dtype))
    if held is None:
        held = whole, t.backend.ops.copy(whole, dtype=dtype.name)
        _mode.copies[id(whole), dtype] = held
    copy = held[1]
    return copy if whole is t.data else copy[start : start + t.size].reshape(t.shape)


def wide(t: Tensor) -> Tensor:
    """Inside a block a 16-bit tensor in float32; else the tensor itself."""
    if _mode.dtype is None:
        return t
    return t.astype(accumulator(t.data.dtype))


def check(backend: Backend, precision: str, dtype: DType = FLOAT32) -> None:
    """Raise where parameters of `dtype` on `backend` cannot be trained in `precision`."""
    if precision not in PRECISIONS:
        raise OptionError(choose("precision", precision, PRECISIONS))
    if precision == "float32":
        return
    if dtype != FLOAT32:
        raise OptionError(
            f"precision {precision} is for float32 parameters, found {dtype}: leave precision out, "
            "or use model.to(dtype='float32')"
        )
    if not backend.halves:
        raise BackendError(
            f"the {backend.name} backend computes in float32 and float64; {precision} needs an "
            "NVIDIA GPU. Use precision float32 here, or move the model with .to('cupy')"
        )

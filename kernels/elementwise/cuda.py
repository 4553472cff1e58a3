"""Launchers of elementwise/cuda.cu, and of elementwise/numbers.cu for what every dtype has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from ..cuda import Launcher, Runtime, launch_elements, source_beside
from ..spec import FLOATS, HALVES, NUMBERS, Array, accumulator
from .reference import ARITHMETIC, COMPARISON, UNARY

SOURCE = source_beside(__file__)
NUMBERS_SOURCE = SOURCE.with_name("numbers.cu")
NUMBER = {
    kind: number for kinds in (UNARY, ARITHMETIC, COMPARISON) for number, kind in enumerate(kinds)
}
RANK = 6
OPERANDS = 4
BROADCAST = np.dtype([("size", np.int64, RANK), ("stride", np.int64, (OPERANDS, RANK))])


def broadcast(shape: tuple[int, ...], *operands: Array) -> np.ndarray:
    """The kernels' struct Broadcast for operands that broadcast to `shape`, as few axes as can be.

    Neighbouring axes are one where every operand's stride over the outer is its stride over the
    inner times the inner's length: always so for contiguous operands of the full shape.
    """
    axes: list[tuple[int, tuple[int, ...]]] = []  # (length, strides), fastest first
    for axis in range(1, len(shape) + 1):
        length = shape[-axis]
        if length == 1:
            continue
        strides = tuple(
            0 if axis > x.ndim or x.shape[-axis] == 1 else x.strides[-axis] // x.itemsize
            for x in operands
        )
        if axes:
            inner, steps = axes[-1]
            if all(s == t * inner for s, t in zip(strides, steps, strict=True)):
                axes[-1] = inner * length, steps
                continue
        axes.append((length, strides))
    if len(axes) > RANK:
        raise ShapeError(
            f"operands of shapes {', '.join(str(x.shape) for x in operands)} broadcast over "
            f"{len(axes)} axes that cannot be merged; the CUDA kernels take at most {RANK}. "
            "Make the operands contiguous, or reshape them to fewer axes"
        )
    out = np.zeros((), BROADCAST)
    out["size"] = 1
    for place, (length, strides) in enumerate(axes):
        out["size"][RANK - 1 - place] = length
        out["stride"][: len(operands), RANK - 1 - place] = strides
    return out


def unary_forward(runtime: Runtime, out: Array, x: Array, *, kind: str) -> None:
    _elements(runtime, "unary_forward", out, x, x.size, NUMBER[kind])


def unary_backward(
    runtime: Runtime, dx: Array, dout: Array, x: Array, out: Array, *, kind: str
) -> None:
    _elements(runtime, "unary_backward", dx, dout, x, out, x.size, NUMBER[kind])


def binary_forward(runtime: Runtime, out: Array, a: Array, b: Array, *, kind: str) -> None:
    common = np.result_type(a.dtype, b.dtype)
    a, b = _as(runtime, a, common), _as(runtime, b, common)
    if kind in COMPARISON:
        _strided(runtime, NUMBERS_SOURCE, "comparison_strided", (out, a, b), (a, b), NUMBER[kind])
        return
    result = out if out.dtype == common else runtime.workspace(out.shape, common)
    if common.name not in (*FLOATS, *HALVES):
        _whole_arithmetic(runtime, result, a, b, kind)
    elif a.shape == b.shape and a.flags.c_contiguous and b.flags.c_contiguous:
        _elements(runtime, "arithmetic", result, a, b, result.size, NUMBER[kind])
    else:
        _strided(runtime, SOURCE, "arithmetic_strided", (result, a, b), (a, b), NUMBER[kind])
    if result is not out:
        copy(runtime, out, result, dtype=out.dtype.name)


def _whole_arithmetic(runtime: Runtime, out: Array, a: Array, b: Array, kind: str) -> None:
    if kind == "divide" or (kind == "subtract" and out.dtype == np.bool_):
        raise DTypeError(
            f"binary_forward: {kind} is not defined for {out.dtype} operands; convert them with "
            ".astype(...) first"
        )
    _strided(runtime, NUMBERS_SOURCE, "whole_arithmetic", (out, a, b), (a, b), NUMBER[kind])


def binary_backward(
    runtime: Runtime,
    da: Array | None,
    db: Array | None,
    dout: Array,
    a: Array,
    b: Array,
    out: Array,
    *,
    kind: str,
    needs: tuple[bool, bool],
) -> None:
    operands = (dout, a, b, out)
    _strided(runtime, SOURCE, "arithmetic_backward", (da, db, *operands), operands, NUMBER[kind])


def where(runtime: Runtime, out: Array, condition: Array, a: Array, b: Array) -> None:
    a, b = _as(runtime, a, out.dtype), _as(runtime, b, out.dtype)
    condition = _as(runtime, condition, np.dtype(bool))
    operands = (condition, a, b)
    _strided(runtime, NUMBERS_SOURCE, "where_strided", (out, *operands), operands)


def clip_forward(runtime: Runtime, out: Array, x: Array, *, low: float, high: float) -> None:
    _elements(runtime, "clip_forward", out, x, x.size, low, high)


def clip_backward(
    runtime: Runtime, dx: Array, dout: Array, x: Array, *, low: float, high: float
) -> None:
    _elements(runtime, "clip_backward", dx, dout, x, x.size, low, high)


def accumulate(runtime: Runtime, acc: Array, x: Array) -> None:
    _elements(runtime, "accumulate", acc, x, acc.size)


def copy(runtime: Runtime, out: Array, x: Array, *, dtype: str) -> None:
    number = NUMBERS.index(x.dtype.name)
    args: tuple[object, ...] = (out, x, out.size, number)
    kernel = "copy"
    if not (x.flags.c_contiguous and out.flags.c_contiguous and x.shape == out.shape):
        kernel, args = "copy_strided", (out, x, out.size, broadcast(out.shape, out, x), number)
    launch_elements(runtime, NUMBERS_SOURCE, kernel, out.dtype, out.size, *args)


def fill(runtime: Runtime, out: Array, *, shape: tuple[int, ...], dtype: str, value: float) -> None:
    scalar = accumulator(out.dtype).type(value)
    if out.flags.c_contiguous:
        launch_elements(runtime, NUMBERS_SOURCE, "fill", out.dtype, out.size, out, out.size, scalar)
    else:
        one = runtime.workspace((), out.dtype)
        fill(runtime, one, shape=(), dtype=dtype, value=value)
        copy(runtime, out, one, dtype=dtype)


def _elements(runtime: Runtime, kernel: str, first: Array, *args: object) -> None:
    launch_elements(runtime, SOURCE, kernel, first.dtype, first.size, first, *args)


def _as(runtime: Runtime, x: Array, dtype: np.dtype[Any]) -> Array:
    """x in a dtype; no copy where it is in it."""
    if x.dtype == dtype:
        return x
    out = runtime.workspace(x.shape, dtype)
    copy(runtime, out, x, dtype=dtype.name)
    return out


def _strided(
    runtime: Runtime,
    source: Path,
    kernel: str,
    arrays: tuple[Array | None, ...],
    operands: tuple[Array, ...],
    *rest: int,
) -> None:
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    size = int(np.prod(shape, dtype=np.int64))
    if size:
        args = (*arrays, size, broadcast(shape, *operands), *rest)
        launch_elements(runtime, source, kernel, operands[-1].dtype, size, *args)


LAUNCHERS: dict[str, Launcher] = {
    "unary_forward": unary_forward,
    "unary_backward": unary_backward,
    "binary_forward": binary_forward,
    "binary_backward": binary_backward,
    "where": where,
    "clip_forward": clip_forward,
    "clip_backward": clip_backward,
    "accumulate": accumulate,
    "copy": copy,
    "fill": fill,
}

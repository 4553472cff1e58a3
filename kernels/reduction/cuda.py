"""Launchers of reduction/cuda.cu."""

from __future__ import annotations

from typing import Any

from ..cuda import (
    Launcher,
    Runtime,
    blocks_for,
    ceil_div,
    column_block,
    launch_elements,
    most_blocks,
    row_blocks,
    source_beside,
)
from ..spec import Array, accumulator

SOURCE = source_beside(__file__)
OPERATIONS = {"sum": 0, "max": 1, "min": 2, "count": 3}
# What a group of threads should reduce at least before a row or a column is cut into chunks.
CHUNK = 4096


def reduce(
    runtime: Runtime,
    out: Array,
    x: Array,
    shape: tuple[int, int, int],
    operation: str,
    divisor: float = 1.0,
    extremum: Array | None = None,
) -> None:
    """out (outer, inner) = the reduction of x, of `shape` (outer, n, inner), over n, / divisor.

    "count" counts the elements that equal `extremum` (outer, inner). `out` has the dtype of x, or
    its accumulator.
    """
    outer, n, inner = shape
    if outer * inner == 0:
        return
    wide = accumulator(x.dtype)
    block = column_block(runtime, inner)
    items = outer if inner == 1 else outer * ceil_div(inner, block[0])
    chunks = max(1, min(ceil_div(n, CHUNK), most_blocks(runtime) // items))
    if chunks > 1:
        parts = runtime.workspace((outer, chunks, inner), wide)
        _reduce_once(runtime, None, parts, x, extremum, shape, chunks, operation, 1.0)
        second = "sum" if operation == "count" else operation
        reduce_parts(runtime, out, parts, (outer, chunks, inner), second, divisor)
    elif out.dtype == x.dtype:
        _reduce_once(runtime, out, None, x, extremum, shape, 1, operation, divisor)
    else:
        _reduce_once(runtime, None, out, x, extremum, shape, 1, operation, divisor)


def _reduce_once(
    runtime: Runtime,
    out: Array | None,
    parts: Array | None,
    x: Array,
    extremum: Array | None,
    shape: tuple[int, int, int],
    chunks: int,
    operation: str,
    divisor: float,
) -> None:
    outer, n, inner = shape
    arrays, rest = (out, parts, x, extremum), (chunks, OPERATIONS[operation], divisor)
    if inner == 1:
        args: tuple[Any, ...] = (*arrays, outer, n, *rest)
        _rows(runtime, "reduce_rows", x.dtype, outer * chunks, ceil_div(n, chunks), args)
    else:
        args = (*arrays, outer, n, inner, *rest)
        _columns(runtime, "reduce_columns", x.dtype, outer * chunks, inner, args)


def reduce_parts(
    runtime: Runtime,
    out: Array,
    parts: Array,
    shape: tuple[int, int, int],
    operation: str,
    divisor: float = 1.0,
) -> None:
    """The same for parts that an earlier launch left in the accumulator of out's dtype."""
    outer, n, inner = shape
    number = OPERATIONS[operation]
    if inner == 1:
        args: tuple[Any, ...] = (out, parts, outer, n, number, divisor)
        _rows(runtime, "reduce_parts_of_rows", out.dtype, outer, n, args)
    else:
        args = (out, parts, outer, n, inner, number, divisor)
        _columns(runtime, "reduce_parts_of_columns", out.dtype, outer, inner, args)


def _rows(
    runtime: Runtime, kernel: str, dtype: Any, rows: int, n: int, args: tuple[Any, ...]
) -> None:
    blocks, wide = row_blocks(runtime, rows, n)
    runtime.launch(SOURCE, kernel, dtype, (blocks,), (runtime.block,), (*args, wide))


def _columns(
    runtime: Runtime, kernel: str, dtype: Any, outer: int, inner: int, args: tuple[Any, ...]
) -> None:
    block = column_block(runtime, inner)
    blocks = min(outer * ceil_div(inner, block[0]), most_blocks(runtime))
    shared = runtime.block * accumulator(dtype).itemsize
    runtime.launch(SOURCE, kernel, dtype, (blocks,), block, args, shared=shared)


def reduce_forward(runtime: Runtime, out: Array, x: Array, *, kind: str) -> None:
    if kind == "mean":
        reduce(runtime, out, x, x.shape, "sum", x.shape[1])
    else:
        reduce(runtime, out, x, x.shape, kind)


def reduce_backward(
    runtime: Runtime, dx: Array, dout: Array, x: Array, out: Array, *, kind: str
) -> None:
    _, n, inner = x.shape
    extremum, count = None, None
    if kind in ("max", "min"):
        extremum, count = out, runtime.workspace(out.shape, accumulator(out.dtype))
        reduce(runtime, count, x, x.shape, "count", extremum=out)
    args = (dx, dout, x, extremum, count, x.size, n, inner, n if kind == "mean" else 1)
    launch_elements(runtime, SOURCE, "reduce_backward", x.dtype, x.size, *args)


def argreduce(runtime: Runtime, out: Array, x: Array, *, kind: str) -> None:
    outer, n, inner = x.shape
    if out.size == 0:
        return
    if inner == 1:
        blocks, wide = row_blocks(runtime, outer, n)
    else:
        blocks, wide = blocks_for(runtime, outer * inner), False
    args = (out, x, outer, n, inner, kind == "max", wide)
    runtime.launch(SOURCE, "argreduce", x.dtype, (blocks,), (runtime.block,), args)


LAUNCHERS: dict[str, Launcher] = {
    "reduce_forward": reduce_forward,
    "reduce_backward": reduce_backward,
    "argreduce": argreduce,
}

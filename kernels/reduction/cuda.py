"""Launchers of reduction/cuda.cu."""

from __future__ import annotations

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
from ..spec import Array

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

    "count" counts the elements that equal `extremum` (outer, inner).
    """
    outer, n, inner = shape
    if outer * inner == 0:
        return
    block = column_block(runtime, inner)
    items = outer if inner == 1 else outer * ceil_div(inner, block[0])
    chunks = max(1, min(ceil_div(n, CHUNK), most_blocks(runtime) // items))
    if chunks == 1:
        _reduce_once(runtime, out, x, extremum, shape, 1, operation, divisor)
        return
    parts = runtime.workspace((outer, chunks, inner), x.dtype)
    _reduce_once(runtime, parts, x, extremum, shape, chunks, operation, 1.0)
    second = "sum" if operation == "count" else operation
    _reduce_once(runtime, out, parts, None, (outer, chunks, inner), 1, second, divisor)


def _reduce_once(
    runtime: Runtime,
    out: Array,
    x: Array,
    extremum: Array | None,
    shape: tuple[int, int, int],
    chunks: int,
    operation: str,
    divisor: float,
) -> None:
    outer, n, inner = shape
    number = OPERATIONS[operation]
    if inner == 1:
        blocks, wide = row_blocks(runtime, outer * chunks, ceil_div(n, chunks))
        args = (out, x, extremum, outer, n, chunks, number, divisor, wide)
        runtime.launch(SOURCE, "reduce_rows", x.dtype, (blocks,), (runtime.block,), args)
    else:
        block = column_block(runtime, inner)
        work = outer * chunks * ceil_div(inner, block[0])
        runtime.launch(
            SOURCE,
            "reduce_columns",
            x.dtype,
            (min(work, most_blocks(runtime)),),
            block,
            (out, x, extremum, outer, n, inner, chunks, number, divisor),
            shared=runtime.block * x.dtype.itemsize,
        )


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
        extremum, count = out, runtime.workspace(out.shape, out.dtype)
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

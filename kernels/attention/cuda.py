"""Launchers of attention/cuda.cu."""

from typing import Any

import numpy as np

from ..cuda import WARP, Launcher, Runtime, blocks_for, ceil_div, launch_elements, source_beside
from ..dropout.reference import threshold
from ..elementwise.cuda import copy, fill
from ..random.philox import MASK
from ..spec import Array, accumulator
from .layout import mask_steps

SOURCE = source_beside(__file__)
DEPTH = 32  # as in cuda.cu
# Rows of a warp by columns of a lane, half as many in float64: as many sums as registers hold.
ROWS = {1: 8, 2: 8, 4: 4, 8: 2}
ARRAYS = ("q", "k", "v", "out", "dout", "dq", "dk", "dv")
GEOMETRY = np.dtype(
    [(n, np.int64) for n in ("batch", "heads", "groups", "queries", "keys", "width", "other")]
    + [("mask", np.int64, 4)]
    + [(name, np.int64, 3) for name in ARRAYS]
)


def attention_forward(
    runtime: Runtime,
    out: Array,
    stats: Array,
    key: Array | None,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    padding: Array | None,
    lengths: Array | None,
    start: Array | None,
    state: Array | None,
    *,
    causal: bool,
    scale: float,
    p: float,
    stream: int,
) -> None:
    if out.size == 0:
        if key is not None:
            copy(runtime, key, state, dtype="uint32")
        return
    q, k, v = (_with_rows(runtime, x) for x in (q, k, v))
    geometry = _geometry(mask, q=q, k=k, v=v, out=out)
    sight = _sight(runtime, mask, padding, lengths, start)
    state = None if state is None else _contiguous(runtime, state)
    args = (out, stats, key, q, k, v, *sight, state, geometry, causal, scale)
    args += _dropout(key, p, stream)
    _launch(runtime, "attention_forward", args, out, q.shape[:3])


def attention_backward(
    runtime: Runtime,
    dq: Array,
    dk: Array,
    dv: Array,
    dout: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    padding: Array | None,
    lengths: Array | None,
    start: Array | None,
    out: Array,
    stats: Array,
    key: Array | None,
    *,
    causal: bool,
    scale: float,
    p: float,
    stream: int,
) -> None:
    if q.size == 0 or k.size == 0 or v.size == 0:
        for gradient in (dq, dk, dv):
            fill(runtime, gradient, shape=gradient.shape, dtype=gradient.dtype.name, value=0.0)
        return
    q, k, v, out, dout = (_with_rows(runtime, x) for x in (q, k, v, out, dout))
    geometry = _geometry(mask, q=q, k=k, v=v, out=out, dout=dout, dq=dq, dk=dk, dv=dv)
    stats = _contiguous(runtime, stats)
    key = None if key is None else _contiguous(runtime, key)
    deltas = runtime.workspace(stats.shape, stats.dtype)
    blocks = blocks_for(runtime, stats.size * WARP)
    runtime.launch(
        SOURCE, "attention_deltas", q.dtype, (blocks,), (runtime.block,),
        (deltas, dout, out, geometry),
    )  # fmt: skip
    sight = _sight(runtime, mask, padding, lengths, start)
    args = (dout, q, k, v, *sight, stats, deltas, key, geometry, causal, scale)
    args += _dropout(key, p, stream)
    _launch(runtime, "attention_dq", (dq, *args), dq, q.shape[:3])
    for gradient, of_values in ((dk, False), (dv, True)):
        _launch(runtime, "attention_dkv", (gradient, *args), gradient, k.shape[:3], of_values)


def append_rows(runtime: Runtime, cache: Array, x: Array, start: Array) -> None:
    x = _with_rows(runtime, x)
    steps = [step // x.dtype.itemsize for step in x.strides[:3]]
    args = (cache, x, start, x.size, *x.shape[1:], cache.shape[2], *steps)
    launch_elements(runtime, SOURCE, "append_rows", x.dtype, x.size, *args)


def _launch(
    runtime: Runtime,
    kernel: str,
    args: tuple[Any, ...],
    out: Array,
    rows: tuple[int, int, int],
    *more: bool,
) -> None:
    """A block for some of the rows (batch, heads, rows) and some of the columns of `out`."""
    if out.size == 0:
        return
    columns = next((c for c in ROWS if c * WARP >= out.shape[3]), max(ROWS))
    item = accumulator(out.dtype).itemsize
    some = runtime.block // WARP * (ROWS[columns] // 2 if item == 8 else ROWS[columns])
    shared = (some + WARP) * (DEPTH * item + 16) + some * WARP * item
    grid = (rows[0] * rows[1] * ceil_div(rows[2], some), ceil_div(out.shape[3], columns * WARP))
    args = (*args, columns, *more)
    runtime.launch(SOURCE, kernel, out.dtype, grid, (runtime.block,), args, shared=shared)


def _dropout(key: Array | None, p: float, stream: int) -> tuple[int, int, float]:
    return (0, 0, 1.0) if key is None else (stream & MASK, threshold(p), 1.0 / (1.0 - p))


def _sight(
    runtime: Runtime,
    mask: Array | None,
    padding: Array | None,
    lengths: Array | None,
    start: Array | None,
) -> tuple[Array | None, ...]:
    """The kernels' arguments added, seen, padding, lengths, start."""
    boolean = mask is not None and mask.dtype.kind == "b"
    return (
        None if boolean else mask,
        mask if boolean else None,
        None if padding is None else _contiguous(runtime, padding),
        None if lengths is None else _contiguous(runtime, lengths),
        start,
    )


def _geometry(mask: Array | None, **arrays: Array) -> np.ndarray:
    """The kernels' struct Geometry."""
    q, k, v = arrays["q"], arrays["k"], arrays["v"]
    geometry = np.zeros((), GEOMETRY)
    for name in ("batch", "heads", "queries", "width"):
        geometry[name] = q.shape[("batch", "heads", "queries", "width").index(name)]
    geometry["groups"], geometry["keys"], geometry["other"] = k.shape[1], k.shape[2], v.shape[3]
    if mask is not None:
        geometry["mask"] = [step // mask.dtype.itemsize for step in mask_steps(mask)]
    for name, x in arrays.items():
        geometry[name] = [step // x.dtype.itemsize for step in x.strides[:3]]
    return geometry


def _contiguous(runtime: Runtime, x: Array) -> Array:
    if x.flags.c_contiguous:
        return x
    copied = runtime.workspace(x.shape, x.dtype)
    copy(runtime, copied, x, dtype=x.dtype.name)
    return copied


def _with_rows(runtime: Runtime, x: Array) -> Array:
    """x, or a copy, whose rows are adjacent numbers."""
    adjacent = x.strides[-1] == x.dtype.itemsize or x.shape[-1] == 1
    return x if adjacent else _contiguous(runtime, x)


LAUNCHERS: dict[str, Launcher] = {
    "attention_forward": attention_forward,
    "attention_backward": attention_backward,
    "append_rows": append_rows,
}

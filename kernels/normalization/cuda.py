"""Launchers of normalization/cuda.cu."""

from __future__ import annotations

from ..cuda import (
    Launcher,
    Runtime,
    ceil_div,
    column_block,
    launch_elements,
    most_blocks,
    row_blocks,
    source_beside,
)
from ..reduction.cuda import reduce_parts
from ..spec import Array, accumulator

SOURCE = source_beside(__file__)
# Elements of a channel that each thread should add up at least before channels are cut into chunks.
EACH = 8


def layer_norm_forward(
    runtime: Runtime,
    out: Array,
    summed: Array | None,
    stats: Array,
    x: Array,
    residual: Array | None,
    scale: Array | None,
    shift: Array | None,
    *,
    eps: float,
    centered: bool,
) -> None:
    arrays = (out, summed, stats, x, residual, scale, shift)
    _rows(runtime, "rows_forward", arrays, (*x.shape, 1, 1), eps, centered)


def layer_norm_backward(
    runtime: Runtime,
    dx: Array | None,
    dscale: Array | None,
    dshift: Array | None,
    dout: Array,
    dsummed: Array | None,
    summed: Array,
    stats: Array,
    scale: Array | None,
    *,
    eps: float,
    centered: bool,
    needs: tuple[bool, bool, bool],
) -> None:
    rows, columns = dout.shape
    if dx is not None:
        arrays = (dx, dout, dsummed, summed, stats, scale)
        _rows(runtime, "rows_backward", arrays, (rows, columns, 1, 1), eps, centered)
    cube, kinds = (rows, columns, 1), (1, columns)
    _parameters(runtime, dscale, dshift, (dout, summed, None, stats), cube, kinds, eps)


def group_norm_forward(
    runtime: Runtime,
    out: Array,
    stats: Array,
    x: Array,
    scale: Array | None,
    shift: Array | None,
    *,
    groups: int,
    eps: float,
) -> None:
    arrays = (out, None, stats, x, None, scale, shift)
    _rows(runtime, "rows_forward", arrays, _grouped(x, groups), eps, True)


def group_norm_backward(
    runtime: Runtime,
    dx: Array | None,
    dscale: Array | None,
    dshift: Array | None,
    dout: Array,
    x: Array,
    stats: Array,
    scale: Array | None,
    *,
    groups: int,
    eps: float,
    needs: tuple[bool, bool, bool],
) -> None:
    if dx is not None:
        arrays = (dx, dout, None, x, stats, scale)
        _rows(runtime, "rows_backward", arrays, _grouped(x, groups), eps, True)
    kinds = groups, x.shape[1] // groups
    _parameters(runtime, dscale, dshift, (dout, x, None, stats), x.shape, kinds, eps)


def _grouped(x: Array, groups: int) -> tuple[int, int, int, int]:
    """Rows, columns, groups and places of x (n, c, s)."""
    n, channels, places = x.shape
    return n * groups, channels // groups * places, groups, places


def _rows(
    runtime: Runtime,
    kernel: str,
    arrays: tuple[Array | None, ...],
    sizes: tuple[int, int, int, int],
    eps: float,
    centered: bool,
) -> None:
    out = arrays[0]
    if out is None or out.size == 0:
        return
    blocks, wide = row_blocks(runtime, *sizes[:2])
    args = (*arrays, *sizes, eps, centered, wide)
    runtime.launch(SOURCE, kernel, out.dtype, (blocks,), (runtime.block,), args)


def _geometry(
    runtime: Runtime, cube: tuple[int, int, int]
) -> tuple[tuple[int, int], int, tuple[int]]:
    """Block, chunks and grid of a kernel that sums over the channels of (n, c, s)."""
    n, channels, places = cube
    block = column_block(runtime, channels) if places == 1 else (1, runtime.block)
    tiles, most = ceil_div(channels, block[0]), most_blocks(runtime)
    chunks = max(1, min(ceil_div(n * places, EACH * block[1]), most // tiles))
    return block, chunks, (min(chunks * tiles, most),)


def _parameters(
    runtime: Runtime,
    dscale: Array | None,
    dshift: Array | None,
    arrays: tuple[Array, Array, Array | None, Array],
    cube: tuple[int, int, int],
    kinds: tuple[int, int],
    eps: float,
) -> None:
    """dscale, dshift from (dout, x, out, stats); kinds: statistics a sample, channels of each."""
    dout, stats, channels = arrays[0], arrays[3], cube[1]
    if channels == 0 or (dscale is None and dshift is None):
        return
    kept = accumulator(dout.dtype)
    block, chunks, grid = _geometry(runtime, cube)
    parts = [
        None if whole is None else runtime.workspace((1, chunks, channels), kept)
        for whole in (dscale, dshift)
    ]
    args = (*parts, *arrays, *cube, *kinds, stats.shape[1], chunks, eps)
    shared = runtime.block * kept.itemsize
    runtime.launch(SOURCE, "parameter_gradients", dout.dtype, grid, block, args, shared=shared)
    for whole, part in zip((dscale, dshift), parts, strict=True):
        if whole is not None:
            reduce_parts(runtime, whole, part, (1, chunks, channels), "sum")


def batch_norm_forward(
    runtime: Runtime,
    out: Array,
    stats: Array,
    x: Array,
    scale: Array | None,
    shift: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    eps: float,
    training: bool,
    activation: str,
) -> None:
    n, channels, places = x.shape
    if training and x.size:
        block, chunks, grid = _geometry(runtime, x.shape)
        parts = runtime.workspace((2, chunks, channels), stats.dtype)
        args = (parts, x, *x.shape, chunks)
        shared = runtime.block * stats.dtype.itemsize
        runtime.launch(SOURCE, "batch_moments", x.dtype, grid, block, args, shared=shared)
        blocks, _ = row_blocks(runtime, channels, 1)
        args = (stats, parts, channels, n * places, chunks)
        runtime.launch(SOURCE, "batch_statistics", x.dtype, (blocks,), (runtime.block,), args)
    running = (None, None) if training else (running_mean, running_var)
    arrays = (out, stats, x, scale, shift, *running)
    args = (*arrays, x.size, channels, places, eps, activation == "relu")
    launch_elements(runtime, SOURCE, "batch_normalize", x.dtype, max(x.size, channels), *args)


def batch_norm_backward(
    runtime: Runtime,
    dx: Array | None,
    dscale: Array | None,
    dshift: Array | None,
    dout: Array,
    x: Array,
    out: Array | None,
    stats: Array,
    scale: Array | None,
    *,
    eps: float,
    training: bool,
    activation: str,
    needs: tuple[bool, bool, bool],
) -> None:
    if activation == "identity":
        out = None
    channels, places = x.shape[1:]
    if training and dx is not None:
        dscale, dshift = (
            runtime.workspace((channels,), stats.dtype) if whole is None else whole
            for whole in (dscale, dshift)
        )
    _parameters(runtime, dscale, dshift, (dout, x, out, stats), x.shape, (0, 1), eps)
    if dx is not None:
        sums = (dscale, dshift) if training else (None, None)
        args = (dx, *sums, dout, x, out, stats, scale, x.size, channels, places, eps)
        launch_elements(runtime, SOURCE, "batch_backward", x.dtype, x.size, *args)


def track_statistics(
    runtime: Runtime,
    running_mean: Array,
    running_var: Array,
    tracked: Array | None,
    stats: Array,
    *,
    momentum: float | None,
    count: int,
) -> None:
    channels = running_mean.size
    if channels == 0:
        return
    factors = (momentum is None, momentum or 0.0, count / (count - 1))
    args = (running_mean, running_var, tracked, stats, channels, stats.shape[1] // channels)
    dtype, block = running_mean.dtype, (runtime.block,)
    runtime.launch(SOURCE, "track_statistics", dtype, (1,), block, (*args, *factors))


LAUNCHERS: dict[str, Launcher] = {
    "layer_norm_forward": layer_norm_forward,
    "layer_norm_backward": layer_norm_backward,
    "batch_norm_forward": batch_norm_forward,
    "batch_norm_backward": batch_norm_backward,
    "track_statistics": track_statistics,
    "group_norm_forward": group_norm_forward,
    "group_norm_backward": group_norm_backward,
}

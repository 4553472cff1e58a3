"""Launchers of normalization/cuda.cu."""

from ..cuda import (
    Launcher,
    Runtime,
    ceil_div,
    column_block,
    most_blocks,
    row_blocks,
    source_beside,
)
from ..reduction.cuda import reduce_parts
from ..spec import Array, accumulator

SOURCE = source_beside(__file__)
# Rows that a block should add up at least before columns are cut into chunks.
CHUNK = 256


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
    rows, columns = x.shape
    if rows * columns == 0:
        return
    blocks, wide = row_blocks(runtime, rows, columns)
    arrays = (out, summed, stats, x, residual, scale, shift)
    args = (*arrays, rows, columns, eps, centered, wide)
    runtime.launch(SOURCE, "layer_norm_forward", x.dtype, (blocks,), (runtime.block,), args)


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
    if dx is not None and dx.size:
        blocks, wide = row_blocks(runtime, rows, columns)
        args = (dx, dout, dsummed, summed, stats, scale, rows, columns, eps, centered, wide)
        runtime.launch(SOURCE, "layer_norm_backward", dx.dtype, (blocks,), (runtime.block,), args)
    if columns and not (dscale is None and dshift is None):
        block = column_block(runtime, columns)
        tiles, most = ceil_div(columns, block[0]), most_blocks(runtime)
        chunks = max(1, min(ceil_div(rows, CHUNK), most // tiles))
        kept = accumulator(dout.dtype)
        parts = [
            None if whole is None else runtime.workspace((1, chunks, columns), kept)
            for whole in (dscale, dshift)
        ]
        runtime.launch(
            SOURCE,
            "layer_norm_parameters",
            dout.dtype,
            (min(chunks * tiles, most),),
            block,
            (*parts, dout, summed, stats, rows, columns, chunks, eps),
            shared=runtime.block * kept.itemsize,
        )
        for whole, part in zip((dscale, dshift), parts, strict=True):
            if whole is not None:
                reduce_parts(runtime, whole, part, (1, chunks, columns), "sum")


LAUNCHERS: dict[str, Launcher] = {
    "layer_norm_forward": layer_norm_forward,
    "layer_norm_backward": layer_norm_backward,
}

"""The launchers of convolution/cuda.cu, for what the runtime has no plan of its own."""

from typing import Any

import numpy as np

from ..activation.cuda import NUMBER, activation_backward, activation_forward
from ..cuda import Launcher, Runtime, ceil_div, most_blocks, source_beside
from ..elementwise.cuda import fill
from ..reduction.cuda import reduce_parts
from ..spec import Array, accumulator
from .reference import Pair

SOURCE = source_beside(__file__)
MINE, DEPTH = 4, 8  # as in cuda.cu
# Pixels of a gradient by weight before it is worth cutting their sum into another chunk.
PIXELS_A_CHUNK = 16 * DEPTH
GEOMETRY = np.dtype(
    [(name, np.int64) for name in ("batch", "channels", "height", "width")]
    + [(name, np.int64) for name in ("outputs", "out_height", "out_width", "rows", "columns")]
    + [(name, np.int64, 2) for name in ("stride", "padding", "dilation")]
)
# What a runtime's plan computes on its way out.
PLANNED = ("identity", "relu")


def _geometry(
    x: Array,
    weight: Array,
    z: Array,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """The convolution that makes z of x."""
    batch, channels, height, width = x.shape
    before = (padding[0][0], padding[1][0])
    geometry = np.zeros((), GEOMETRY)
    geometry[()] = (
        batch, channels // groups, height, width, z.shape[1] // groups, *z.shape[2:],
        *weight.shape[2:], stride, before, dilation,
    )  # fmt: skip
    return geometry


def _launch(
    runtime: Runtime,
    kernel: str,
    dtype: Any,
    columns: int,
    rows: int,
    stack: int,
    *args: Any,
) -> None:
    """Launch a kernel of rows by columns, as tiles."""
    side = 1 << (runtime.block.bit_length() - 1) // 2
    block = (runtime.block // side, side)
    across, down = block[0] * MINE, block[1] * MINE
    grid = (ceil_div(columns, across), ceil_div(rows, down), stack)
    shared = DEPTH * (across + down) * accumulator(dtype).itemsize
    runtime.launch(SOURCE, kernel, dtype, grid, block, args, shared=shared)


def _tiles(runtime: Runtime, columns: int, rows: int) -> int:
    side = 1 << (runtime.block.bit_length() - 1) // 2
    return ceil_div(columns, runtime.block // side * MINE) * ceil_div(rows, side * MINE)


def convolution_forward(
    runtime: Runtime,
    out: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
) -> None:
    if out.size == 0:
        return
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    fused = activation if activation in PLANNED else "identity"
    if runtime.convolve(out, x, weight, bias, activation=fused, **options):
        if fused != activation:
            activation_forward(runtime, out, out, kind=activation, alpha=alpha)
        return
    _by_output(runtime, out, x, weight, bias, options, activation, alpha)


def convolution_backward(
    runtime: Runtime,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    dout: Array,
    x: Array,
    weight: Array,
    out: Array,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
    needs: tuple[bool, bool, bool],
) -> None:
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    dz = _through(runtime, dout, out, activation, alpha)
    if dx is not None:
        _by_input(runtime, dx, dz, weight, None, options, "identity", 0.0)
    if dweight is not None:
        _by_weight(runtime, dweight, dz, x, options)
    if dbias is not None:
        _channel_sums(runtime, dbias, dz)


def conv_transpose_forward(
    runtime: Runtime,
    out: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
) -> None:
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    _by_input(runtime, out, x, weight, bias, options, activation, alpha)


def conv_transpose_backward(
    runtime: Runtime,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    dout: Array,
    x: Array,
    weight: Array,
    out: Array,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    activation: str,
    alpha: float,
    needs: tuple[bool, bool, bool],
) -> None:
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    dz = _through(runtime, dout, out, activation, alpha)
    if dx is not None:
        # Windows that only `output_padding` makes room for give nothing: no plan leaves them out.
        _by_output(runtime, dx, dz, weight, None, options, "identity", 0.0)
    if dweight is not None:
        _by_weight(runtime, dweight, x, dz, options)
    if dbias is not None:
        _channel_sums(runtime, dbias, dz)


def _through(runtime: Runtime, dout: Array, out: Array, activation: str, alpha: float) -> Array:
    """dz = dout * f'(z)"""
    if activation == "identity":
        return dout
    dz = runtime.workspace(dout.shape, dout.dtype)
    activation_backward(runtime, dz, dout, out, kind=activation, alpha=alpha)
    return dz


def _by_output(
    runtime: Runtime,
    z: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    options: dict[str, Any],
    activation: str,
    alpha: float,
) -> None:
    if z.size == 0:
        return
    groups, pixels = options["groups"], z.shape[0] * z.shape[2] * z.shape[3]
    _launch(
        runtime, "convolution", z.dtype, pixels, z.shape[1] // groups, groups,
        z, x, weight, bias, _geometry(x, weight, z, **options), NUMBER[activation], alpha,
    )  # fmt: skip


def _by_input(
    runtime: Runtime,
    dx: Array,
    dz: Array,
    weight: Array,
    bias: Array | None,
    options: dict[str, Any],
    activation: str,
    alpha: float,
) -> None:
    if dx.size == 0:
        return
    groups, pixels = options["groups"], dx.shape[0] * dx.shape[2] * dx.shape[3]
    _launch(
        runtime, "convolution_by_input", dx.dtype, pixels, dx.shape[1] // groups, groups,
        dx, dz, weight, bias, _geometry(dx, weight, dz, **options), NUMBER[activation], alpha,
    )  # fmt: skip


def _by_weight(
    runtime: Runtime, dweight: Array, dz: Array, x: Array, options: dict[str, Any]
) -> None:
    groups, pixels = options["groups"], dz.shape[0] * dz.shape[2] * dz.shape[3]
    if pixels == 0 or dweight.size == 0:
        fill(runtime, dweight, shape=dweight.shape, dtype=dweight.dtype.name, value=0.0)
        return
    rows, columns = dz.shape[1] // groups, dweight.size // dweight.shape[0]
    wanted = ceil_div(most_blocks(runtime), groups * _tiles(runtime, columns, rows))
    chunks = max(1, min(wanted, ceil_div(pixels, PIXELS_A_CHUNK)))
    length = ceil_div(pixels, chunks)
    chunks = ceil_div(pixels, length)
    partials = dweight
    if chunks > 1:
        partials = runtime.workspace((chunks, *dweight.shape), dweight.dtype)
    _launch(
        runtime, "convolution_by_weight", dz.dtype, columns, rows, groups * chunks,
        partials, dz, x, _geometry(x, dweight, dz, **options), groups, length,
    )  # fmt: skip
    if chunks > 1:
        reduce_parts(runtime, dweight, partials, (1, chunks, dweight.size), "sum")


def _channel_sums(runtime: Runtime, dbias: Array, dz: Array) -> None:
    batch, channels = dz.shape[:2]
    if dz.size == 0:
        fill(runtime, dbias, shape=dbias.shape, dtype=dbias.dtype.name, value=0.0)
        return
    image = dz.shape[2] * dz.shape[3]
    chunks = max(1, min(batch, ceil_div(most_blocks(runtime), channels)))
    length = ceil_div(batch, chunks)
    chunks = ceil_div(batch, length)
    partials = dbias if chunks == 1 else runtime.workspace((chunks, channels), dbias.dtype)
    runtime.launch(
        SOURCE,
        "channel_sums",
        dz.dtype,
        (channels, chunks),
        (runtime.block,),
        (partials, dz, batch, image, length),
    )
    if chunks > 1:
        reduce_parts(runtime, dbias, partials, (1, chunks, channels), "sum")


LAUNCHERS: dict[str, Launcher] = {
    "convolution_forward": convolution_forward,
    "convolution_backward": convolution_backward,
    "conv_transpose_forward": conv_transpose_forward,
    "conv_transpose_backward": conv_transpose_backward,
}

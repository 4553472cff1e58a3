"""The launcher of convolution/cuda.cu, for where the runtime has no plan of its own."""

import numpy as np

from ..cuda import Launcher, Runtime, ceil_div, source_beside
from ..spec import Array, accumulator

SOURCE = source_beside(__file__)
MINE, DEPTH = 4, 8  # as in cuda.cu
GEOMETRY = np.dtype(
    [(name, np.int64) for name in ("batch", "channels", "height", "width")]
    + [(name, np.int64) for name in ("outputs", "out_height", "out_width", "rows", "columns")]
    + [(name, np.int64, 2) for name in ("stride", "padding", "dilation")]
)


def convolution(
    runtime: Runtime,
    out: Array,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    activation: str,
) -> None:
    if out.size == 0:
        return
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if runtime.convolve(out, x, weight, bias, activation=activation, **options):
        return
    batch, channels, height, width = x.shape
    filters, _, rows, columns = weight.shape
    geometry = np.zeros((), GEOMETRY)
    geometry[()] = (
        batch, channels // groups, height, width, filters // groups, *out.shape[2:], rows, columns,
        stride, padding, dilation,
    )  # fmt: skip
    side = 1 << (runtime.block.bit_length() - 1) // 2
    block = (runtime.block // side, side)
    across, down = block[0] * MINE, block[1] * MINE
    pixels = batch * out.shape[2] * out.shape[3]
    runtime.launch(
        SOURCE,
        "convolution",
        out.dtype,
        (ceil_div(pixels, across), ceil_div(filters // groups, down), groups),
        block,
        (out, x, weight, bias, geometry, activation == "relu"),
        shared=DEPTH * (across + down) * accumulator(out.dtype).itemsize,
    )


LAUNCHERS: dict[str, Launcher] = {"convolution": convolution}

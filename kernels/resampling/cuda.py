"""Launchers of resampling/cuda.cu."""

import numpy as np

from ..cuda import Launcher, Runtime, launch_elements, source_beside
from ..spec import Array
from .reference import Pair, Scales

SOURCE = source_beside(__file__)
SIZES = np.dtype(
    [("size", np.int64, 2), ("output", np.int64, 2)]
    + [(name, np.int64) for name in ("linear", "align_corners")]
)


def upsample_forward(
    runtime: Runtime,
    out: Array,
    x: Array,
    *,
    mode: str,
    align_corners: bool,
    output: Pair,
    scale: Scales,
) -> None:
    _launch(runtime, "upsample_forward", out, x, (x.shape[2:], output, scale), mode, align_corners)


def upsample_backward(
    runtime: Runtime,
    dx: Array,
    dout: Array,
    *,
    size: Pair,
    mode: str,
    align_corners: bool,
    output: Pair,
    scale: Scales,
) -> None:
    _launch(runtime, "upsample_backward", dx, dout, (size, output, scale), mode, align_corners)


def _launch(
    runtime: Runtime,
    kernel: str,
    target: Array,
    source: Array,
    sizes: tuple[Pair, Pair, Scales],
    mode: str,
    align_corners: bool,
) -> None:
    size, output, scale = sizes
    packed = np.zeros((), SIZES)
    packed[()] = (size, output, mode == "linear", align_corners)
    planes = target.shape[0] * target.shape[1]
    args = (target, source, planes, packed, *scale)
    launch_elements(runtime, SOURCE, kernel, target.dtype, target.size, *args)


LAUNCHERS: dict[str, Launcher] = {
    "upsample_forward": upsample_forward,
    "upsample_backward": upsample_backward,
}

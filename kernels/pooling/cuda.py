"""Launchers of pooling/cuda.cu."""

from typing import Any

import numpy as np

from ..cuda import Launcher, Runtime, launch_elements, source_beside
from ..spec import Array
from .reference import Pair

SOURCE = source_beside(__file__)
WINDOWS = np.dtype(
    [(name, np.int64, 2) for name in ("size", "output", "window", "stride", "padding", "dilation")]
)


def max_pool_forward(
    runtime: Runtime,
    out: Array,
    index: Array,
    x: Array,
    *,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    windows = (x.shape[2:], output, window, stride, padding, dilation)
    _launch(runtime, "max_pool_forward", (out, index, x), windows)


def max_pool_backward(
    runtime: Runtime,
    dx: Array,
    dout: Array,
    index: Array,
    *,
    size: Pair,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    windows = (size, output, window, stride, padding, dilation)
    _launch(runtime, "max_pool_backward", (dx, dout, index), windows)


def avg_pool_forward(
    runtime: Runtime,
    out: Array,
    x: Array,
    *,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    include_pad: bool,
    divisor: int,
) -> None:
    windows = (x.shape[2:], output, window, stride, padding, (1, 1))
    counted = include_pad and window != (0, 0)
    _launch(runtime, "avg_pool_forward", (out, x), windows, counted, divisor)


def avg_pool_backward(
    runtime: Runtime,
    dx: Array,
    dout: Array,
    *,
    size: Pair,
    output: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    include_pad: bool,
    divisor: int,
) -> None:
    windows = (size, output, window, stride, padding, (1, 1))
    counted = include_pad and window != (0, 0)
    _launch(runtime, "avg_pool_backward", (dx, dout), windows, counted, divisor)


def _launch(
    runtime: Runtime, kernel: str, arrays: tuple[Array, ...], windows: tuple[Any, ...], *rest: Any
) -> None:
    """A thread for each element of the first array."""
    packed = np.zeros((), WINDOWS)
    packed[()] = windows
    target = arrays[0]
    args = (*arrays, target.shape[0] * target.shape[1], packed, *rest)
    launch_elements(runtime, SOURCE, kernel, target.dtype, target.size, *args)


LAUNCHERS: dict[str, Launcher] = {
    "max_pool_forward": max_pool_forward,
    "max_pool_backward": max_pool_backward,
    "avg_pool_forward": avg_pool_forward,
    "avg_pool_backward": avg_pool_backward,
}

"""Launchers of softmax/cuda.cu."""

from ..cuda import Launcher, Runtime, row_blocks, source_beside
from ..spec import Array

SOURCE = source_beside(__file__)


def softmax_forward(runtime: Runtime, out: Array, x: Array) -> None:
    _rows(runtime, "softmax_forward", (out, x), False)


def softmax_backward(runtime: Runtime, dx: Array, dout: Array, out: Array) -> None:
    _rows(runtime, "softmax_backward", (dx, dout, out), False)


def log_softmax_forward(runtime: Runtime, out: Array, x: Array) -> None:
    _rows(runtime, "softmax_forward", (out, x), True)


def log_softmax_backward(runtime: Runtime, dx: Array, dout: Array, out: Array) -> None:
    _rows(runtime, "softmax_backward", (dx, dout, out), True)


def _rows(runtime: Runtime, kernel: str, arrays: tuple[Array, ...], logarithm: bool) -> None:
    rows, columns = arrays[0].shape
    if rows * columns == 0:
        return
    blocks, wide = row_blocks(runtime, rows, columns)
    args = (*arrays, rows, columns, wide, logarithm)
    runtime.launch(SOURCE, kernel, arrays[0].dtype, (blocks,), (runtime.block,), args)


LAUNCHERS: dict[str, Launcher] = {
    "softmax_forward": softmax_forward,
    "softmax_backward": softmax_backward,
    "log_softmax_forward": log_softmax_forward,
    "log_softmax_backward": log_softmax_backward,
}

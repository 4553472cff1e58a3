"""Launchers of dropout/cuda.cu."""

from ..cuda import Launcher, Runtime, blocks_for, ceil_div, source_beside
from ..random.cuda import WORDS
from ..random.philox import MASK
from ..spec import Array
from .reference import threshold

SOURCE = source_beside(__file__)


def dropout_forward(
    runtime: Runtime,
    out: Array,
    key: Array,
    x: Array,
    state: Array,
    *,
    p: float,
    span: int,
    stream: int,
) -> None:
    _dropout(runtime, out, key, x, state, p, span, stream)


def dropout_backward(
    runtime: Runtime, dx: Array, dout: Array, key: Array, *, p: float, span: int, stream: int
) -> None:
    _dropout(runtime, dx, None, dout, key, p, span, stream)


def _dropout(
    runtime: Runtime,
    out: Array,
    key: Array | None,
    x: Array,
    state: Array,
    p: float,
    span: int,
    stream: int,
) -> None:
    if x.size == 0 and key is None:
        return
    # Without elements there is still the key to leave.
    blocks = blocks_for(runtime, ceil_div(x.size, WORDS))
    args = (out, key, x, state, x.size, span, stream & MASK, threshold(p), 1.0 / (1.0 - p))
    kernel = "dropout" if span == 1 else "dropout_spans"
    runtime.launch(SOURCE, kernel, x.dtype, (blocks,), (runtime.block,), args)


LAUNCHERS: dict[str, Launcher] = {
    "dropout_forward": dropout_forward,
    "dropout_backward": dropout_backward,
}

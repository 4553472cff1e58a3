"""Launchers of rotary/cuda.cu."""

from ..cuda import Launcher, Runtime, launch_elements, source_beside
from ..spec import Array

SOURCE = source_beside(__file__)


def rotary_forward(
    runtime: Runtime, out: Array, x: Array, table: Array, start: Array | None, *, heads: int
) -> None:
    _launch(runtime, out, x, table, start, heads, 1.0)


def rotary_backward(
    runtime: Runtime, dx: Array, dout: Array, table: Array, start: Array | None, *, heads: int
) -> None:
    _launch(runtime, dx, dout, table, start, heads, -1.0)


def _launch(
    runtime: Runtime,
    out: Array,
    x: Array,
    table: Array,
    start: Array | None,
    heads: int,
    direction: float,
) -> None:
    args = (out, x, table, start, x.size, *x.shape[1:], *table.shape[1:], heads, direction)
    launch_elements(runtime, SOURCE, "rotary", x.dtype, x.size, *args)


LAUNCHERS: dict[str, Launcher] = {
    "rotary_forward": rotary_forward,
    "rotary_backward": rotary_backward,
}

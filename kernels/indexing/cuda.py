"""Launchers of indexing/cuda.cu."""

from ..cuda import WARP, Launcher, Runtime, launch_elements, source_beside
from ..spec import Array

SOURCE = source_beside(__file__)


def take_rows(runtime: Runtime, out: Array, x: Array, index: Array) -> None:
    rows, columns = x.shape
    args = (out, x, index, rows, index.size, columns)
    launch_elements(runtime, SOURCE, "take_rows", x.dtype, out.size, *args)


def scatter_add_rows(runtime: Runtime, dx: Array, dout: Array, index: Array, *, rows: int) -> None:
    args = (dx, dout, index, rows, index.size, dout.shape[1])
    launch_elements(runtime, SOURCE, "scatter_add_rows", dx.dtype, rows * WARP, *args)


LAUNCHERS: dict[str, Launcher] = {"take_rows": take_rows, "scatter_add_rows": scatter_add_rows}

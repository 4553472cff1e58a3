"""Launchers of indexing/cuda.cu."""

from ..cuda import WARP, Launcher, Runtime, ceil_div, launch_elements, source_beside
from ..spec import Array

SOURCE = source_beside(__file__)
KEPT = 4  # as in cuda.cu


def take_rows(runtime: Runtime, out: Array, x: Array, index: Array) -> None:
    rows, columns = x.shape
    args = (out, x, index, rows, index.size, columns)
    launch_elements(runtime, SOURCE, "take_rows", x.dtype, out.size, *args)


def scatter_add_rows(
    runtime: Runtime, dx: Array, dout: Array, index: Array, *, rows: int, skip: int
) -> None:
    columns = dout.shape[1]
    warps = rows * ceil_div(columns, KEPT * WARP)
    args = (dx, dout, index, rows, index.size, columns, skip)
    launch_elements(runtime, SOURCE, "scatter_add_rows", dx.dtype, warps * WARP, *args)


LAUNCHERS: dict[str, Launcher] = {"take_rows": take_rows, "scatter_add_rows": scatter_add_rows}

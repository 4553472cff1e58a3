"""What the launchers in kernels/*/cuda.py share: the runtime that they ask, and launch geometry.

A launcher is `f(runtime, *outputs, *inputs, **attributes)`. It chooses a grid from sizes and from
the device's properties and launches kernels of its family's cuda.cu; it never reads a value back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from .spec import Array

# Enough blocks to hide each other's latency; more would only be started and ended.
BLOCKS_A_MULTIPROCESSOR = 16
WARP = 32
# The longest row that a warp takes alone: beyond it, a block's threads are used better.
WARP_COLUMNS = 1024
# The same where there are too few rows to occupy the device.
FEW_ROWS_COLUMNS = 128


class Runtime(Protocol):
    """Where kernels run: see backends/cuda_runtime.py.

    block            threads of a block where a launcher has no reason for another number
    multiprocessors  how many the device has
    """

    xp: Any
    block: int
    multiprocessors: int

    def workspace(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An uninitialized C-contiguous array for partial results."""
        ...

    def launch(
        self,
        source: Path,
        kernel: str,
        dtype: Any,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: tuple[Any, ...],
        shared: int = 0,
    ) -> None:
        """Start a kernel of `source`, compiled for elements of `dtype`."""
        ...

    def gemm(
        self,
        out: Array,
        a: Array,
        b: Array,
        *,
        epilogue: str = "none",
        bias: Array | None = None,
        aux: Array | None = None,
    ) -> bool:
        """out = a b with an epilogue, and whether there is one for these arrays."""
        ...

    def convolve(
        self, out: Array, x: Array, weight: Array, bias: Array | None, **options: Any
    ) -> bool:
        """out = the convolution (kernels/convolution), and whether the runtime computes it."""
        ...


Launcher = Callable[..., None]


def source_beside(file: str) -> Path:
    """The cuda.cu in the folder of a launcher's module."""
    return Path(file).with_name("cuda.cu")


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def most_blocks(runtime: Runtime) -> int:
    """How many blocks are enough to fill the device."""
    return runtime.multiprocessors * BLOCKS_A_MULTIPROCESSOR


def blocks_for(runtime: Runtime, threads: int) -> int:
    """Blocks of a loop in which each of `threads` elements can have a thread: at least one."""
    return max(1, min(ceil_div(threads, runtime.block), most_blocks(runtime)))


def launch_elements(
    runtime: Runtime, source: Path, kernel: str, dtype: Any, threads: int, *args: Any
) -> None:
    """Launch a kernel that shares `threads` elements among its threads, if there are any."""
    if threads:
        grid = (blocks_for(runtime, threads),)
        runtime.launch(source, kernel, dtype, grid, (runtime.block,), args)


def row_blocks(runtime: Runtime, rows: int, columns: int) -> tuple[int, bool]:
    """Blocks of a kernel that gives each row a warp, or a block where that is better (True)."""
    few = rows < runtime.multiprocessors and columns > FEW_ROWS_COLUMNS
    wide = few or columns > WARP_COLUMNS
    blocks = rows if wide else ceil_div(rows * WARP, runtime.block)
    return max(1, min(blocks, most_blocks(runtime))), wide


def column_block(runtime: Runtime, columns: int) -> tuple[int, int]:
    """A two-dimensional block, as wide as a warp where there are that many columns."""
    across = min(WARP, 1 << (columns - 1).bit_length())
    return across, runtime.block // across

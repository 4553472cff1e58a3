"""A caching allocator for the CPU backends.

A fresh large array costs a page fault for every 4 KiB that is first written, which is more than
many kernels cost. So blocks that Python drops are kept, by size class, and handed out again.

Small arrays go to NumPy's own allocator, which is faster for them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import BackendError

SMALL = 1 << 16  # bytes below which malloc reuses memory without page faults
ALIGNMENT = 64  # a cache line, and the widest vector register


class _Lease:
    """A block while an array uses it: NumPy keeps it as the array's base, and its end frees it."""

    __slots__ = ("__array_interface__", "block", "pool", "size_class")

    def __init__(
        self,
        pool: Pool,
        size_class: int,
        block: np.ndarray,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self.pool, self.size_class, self.block = pool, size_class, block
        address = block.ctypes.data
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (address + -address % ALIGNMENT, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self.pool._free.setdefault(self.size_class, []).append(self.block)
        self.pool.in_use -= self.size_class


class Pool:
    """Hands out uninitialized arrays and takes their memory back when they are dropped.

    >>> pool = Pool()
    >>> a = pool.empty((1000, 1000), np.dtype("float32"))
    >>> address = a.ctypes.data
    >>> del a
    >>> pool.empty((500, 2000), np.dtype("float32")).ctypes.data == address
    True
    """

    def __init__(self) -> None:
        self._free: dict[int, list[np.ndarray]] = {}
        self.in_use = 0  # bytes leased now
        self.held = 0  # bytes taken from the system, leased or free

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """An uninitialized C-contiguous array."""
        size = math.prod(shape) * dtype.itemsize
        if size < SMALL:
            return np.empty(shape, dtype)
        size_class = self._size_class(size)
        blocks = self._free.get(size_class)
        if blocks:
            block = blocks.pop()
        else:
            block = self._allocate(size_class)
            self.held += size_class
        self.in_use += size_class
        return np.asarray(_Lease(self, size_class, block, shape, dtype))

    def _allocate(self, size_class: int) -> np.ndarray:
        try:
            return np.empty(size_class + ALIGNMENT, np.uint8)
        except MemoryError:
            # What lies free in other sizes may be enough.
            self.release()
        try:
            return np.empty(size_class + ALIGNMENT, np.uint8)
        except MemoryError:
            raise BackendError(
                f"out of memory: an array needs {size_class / 2**20:,.1f} MiB, and "
                f"{self.in_use / 2**20:,.1f} MiB are in use by others. Use a smaller batch or model"
            ) from None

    def release(self) -> None:
        """Give every free block back to the system."""
        for size_class, blocks in self._free.items():
            self.held -= size_class * len(blocks)
        self._free.clear()

    @staticmethod
    def _size_class(size: int) -> int:
        """The next of eight steps to each power of two, so that at most 1/8 is wasted."""
        step = 1 << max((size - 1).bit_length() - 4, 0)
        return -(-size // step) * step

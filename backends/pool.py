"""A caching allocator for the CPU backends.

A fresh large array costs a page fault for every 4 KiB that is first written, which is more than
many kernels cost. So blocks that Python drops are kept, by size class, and handed out again.

Small arrays go to NumPy's own allocator, which is faster for them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import OutOfMemoryError

SMALL = 1 << 16  # bytes below which malloc reuses memory without page faults
ALIGNMENT = 64  # a cache line, and the widest vector register


class Lease:
    """A block while an array uses it: NumPy keeps it as the array's base, and its end frees it."""

    __slots__ = (
        "__array_interface__", "__weakref__", "address", "block", "dtype", "pool", "size_class"
    )  # fmt: skip

    def __init__(
        self,
        pool: Pool,
        size_class: int,
        block: Any,
        address: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self.pool, self.size_class, self.block, self.address = pool, size_class, block, address
        self.dtype = dtype  # of bfloat16 the interface tells only the size
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (address, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self.pool._take_back(self.size_class, self.block)


class Pool:
    """Hands out uninitialized arrays and takes their memory back when they are dropped.

    With `source` it is a private pool: it has its blocks, small ones too, from that pool, keeps
    them for its own arrays, and gives them back at its end.

    >>> pool = Pool()
    >>> a = pool.empty((1000, 1000), np.dtype("float32"))
    >>> address = a.ctypes.data
    >>> del a
    >>> pool.empty((500, 2000), np.dtype("float32")).ctypes.data == address
    True
    """

    def __init__(self, source: Pool | None = None) -> None:
        self._source = source
        self._smallest = SMALL if source is None else 0
        self._free: dict[int, list[Any]] = {}
        self.in_use = 0  # bytes leased now
        self.peak = 0  # the most that were ever leased
        self.held = 0  # bytes taken from the system, leased or free
        self.limit: int | None = None  # bytes that may be leased

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """An uninitialized C-contiguous array."""
        size = math.prod(shape) * dtype.itemsize
        if size < self._smallest:
            return np.empty(shape, dtype)
        size_class = self._size_class(size)
        block = self._take(size_class)
        return self._array(Lease(self, size_class, block, self._address(block), shape, dtype))

    def _address(self, block: Any) -> int:
        """Where arrays in a block begin."""
        address: int = block.ctypes.data
        return address + -address % ALIGNMENT

    def _array(self, lease: Lease) -> Any:
        """The array for which a block is leased."""
        return np.asarray(lease)

    def _take(self, size_class: int) -> Any:
        """A free block, or a new one."""
        if self.limit is not None and self.in_use + size_class > self.limit:
            raise OutOfMemoryError(
                f"the memory limit of {self.limit / 2**20:,.1f} MiB is reached: an array needs "
                f"{size_class / 2**20:,.1f} MiB, and {self.in_use / 2**20:,.1f} MiB are in use. "
                "Use a smaller batch or model, or raise it with tercet.set_memory_limit"
            )
        blocks = self._free.get(size_class)
        if blocks:
            block = blocks.pop()
        else:
            take = self._allocate if self._source is None else self._source._take
            block = take(size_class)
            self.held += size_class
        self.in_use += size_class
        self.peak = max(self.peak, self.in_use)
        return block

    def _take_back(self, size_class: int, block: Any) -> None:
        self._free.setdefault(size_class, []).append(block)
        self.in_use -= size_class

    def _allocate(self, size_class: int) -> Any:
        try:
            return np.empty(size_class + ALIGNMENT, np.uint8)
        except MemoryError:
            # What lies free in other sizes may be enough.
            self.release()
        try:
            return np.empty(size_class + ALIGNMENT, np.uint8)
        except MemoryError:
            raise OutOfMemoryError(
                f"out of memory: an array needs {size_class / 2**20:,.1f} MiB, and "
                f"{self.in_use / 2**20:,.1f} MiB are in use by others. Use a smaller batch or model"
            ) from None

    def release(self) -> None:
        """Give every free block back to where it came from."""
        for size_class, blocks in self._free.items():
            self.held -= size_class * len(blocks)
            if self._source is not None:
                for block in blocks:
                    self._source._take_back(size_class, block)
        self._free.clear()

    def __del__(self) -> None:
        self.release()

    @staticmethod
    def _size_class(size: int) -> int:
        """The next of eight steps to each power of two, so that at most 1/8 is wasted."""
        size = max(size, ALIGNMENT)
        step = 1 << max((size - 1).bit_length() - 4, 0)
        return -(-size // step) * step

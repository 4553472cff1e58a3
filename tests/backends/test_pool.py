"""The caching allocator of the CPU backends."""

import numpy as np
import pytest
from tercet.backends.pool import ALIGNMENT, SMALL, Pool
from tercet.errors import BackendError

FLOAT = np.dtype("float32")


def test_blocks_come_back_when_arrays_and_their_views_are_dropped() -> None:
    pool = Pool()
    a = pool.empty((512, 512), FLOAT)
    view = a[10:20].T
    held, used = pool.held, pool.in_use
    assert held == used >= a.nbytes
    del a
    assert pool.in_use == used
    del view
    assert (pool.held, pool.in_use) == (held, 0)
    pool.empty((500, 512), FLOAT)
    assert pool.held == held
    pool.release()
    assert pool.held == 0


def test_arrays_are_aligned_contiguous_and_apart() -> None:
    pool = Pool()
    arrays = [pool.empty((n,), FLOAT) for n in (SMALL // 4, 30_000, 30_001, 99_999)]
    for value, a in enumerate(arrays):
        assert a.ctypes.data % ALIGNMENT == 0
        assert a.flags.c_contiguous
        a[:] = value
    assert [float(a.min()) for a in arrays] == [0.0, 1.0, 2.0, 3.0]
    assert [float(a.max()) for a in arrays] == [0.0, 1.0, 2.0, 3.0]


def test_at_most_an_eighth_is_wasted() -> None:
    pool = Pool()
    for n in range(SMALL, 40 * SMALL, 1237):
        assert n <= pool._size_class(n) <= n * 9 / 8


def test_small_and_empty_arrays_take_no_block() -> None:
    pool = Pool()
    assert pool.empty((0, 5), FLOAT).shape == (0, 5)
    assert pool.empty((), FLOAT).shape == ()
    assert pool.held == 0


def test_out_of_memory_says_how_much() -> None:
    pool = Pool()
    with pytest.raises(BackendError, match=r"out of memory: an array needs .* MiB"):
        pool.empty((2**50,), FLOAT)

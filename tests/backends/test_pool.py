"""The caching allocator of the CPU backends."""

import numpy as np
import pytest
import tercet as tc
from tercet.backends.pool import ALIGNMENT, SMALL, Pool
from tercet.errors import BackendError, OptionError

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


def test_a_limit_is_kept_and_named() -> None:
    pool = Pool()
    pool.limit = 4 << 20
    a = pool.empty((3 << 18,), FLOAT)
    with pytest.raises(BackendError, match=r"limit of 4\.0 MiB .* needs 2\.0 MiB, and 3\.0 MiB"):
        pool.empty((1 << 19,), FLOAT)
    del a
    pool.empty((1 << 19,), FLOAT)
    assert pool.peak == 3 << 20


def test_a_private_pool_keeps_its_blocks_and_returns_them_at_its_end() -> None:
    source = Pool()
    private = Pool(source)
    small, large = private.empty((3,), FLOAT), private.empty((1 << 18,), FLOAT)
    assert source.in_use == private.in_use == private.held > 1 << 20
    del small, large
    assert (private.in_use, source.in_use) == (0, private.held)
    used = source.in_use
    private.empty((1 << 18,), FLOAT)
    assert source.in_use == used
    source.limit = used
    with pytest.raises(BackendError, match="memory limit"):
        private.empty((1 << 19,), FLOAT)
    del private
    assert source.in_use == 0
    assert source.held == used


def test_the_limit_and_the_summary_of_a_backend() -> None:
    with tc.use_backend("numpy") as backend:
        tc.set_memory_limit(backend.pool.in_use + (1 << 20), "numpy")
        try:
            with pytest.raises(BackendError, match=r"raise it with tercet\.set_memory_limit"):
                tc.zeros(1024, 1024)
            assert "limit" in tc.memory_summary()
        finally:
            tc.set_memory_limit(None, "numpy")
        tc.zeros(1024, 1024)
    with pytest.raises(OptionError, match="number of bytes or None, found 0"):
        tc.set_memory_limit(0)

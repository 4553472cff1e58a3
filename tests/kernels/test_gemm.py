"""Products inside loops: every shape and transpose, what is left alone, the machine code."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("numba")

from numba import njit
from tercet.kernels import numba_gemm, numba_tile
from tercet.kernels.numba_blas import PLAIN, TRANSPOSED
from tercet.kernels.numba_gemm import gemm, product

DTYPES = ("float32", "float64")
ORDERS = [(p, q) for p in (PLAIN, TRANSPOSED) for q in (PLAIN, TRANSPOSED)]


def rows_apart(x: np.ndarray, gap: int) -> np.ndarray:
    """x with `gap` numbers that must not count between its rows."""
    wide = np.full((x.shape[0], x.shape[1] + gap), np.nan, x.dtype)
    wide[:, : x.shape[1]] = x
    return wide[:, : x.shape[1]]


def shapes(rng: np.random.Generator) -> Iterator[tuple[int, int, int]]:
    """m, n, k: all small edges, sizes about the tile's and the blocks', and random ones."""
    for m in (1, 2, 3, 7):
        for n in (1, 2, 9, 40):
            for k in (0, 1, 5, 33):
                yield m, n, k
    blocks = numba_gemm.BLOCK // 4
    yield from ((blocks + 9, 150, 20), (12, 290, numba_gemm.DEPTH + 1), (150, 300, 3))
    yield from ((1, 700, 300), (700, 1, 300), (1, 300, 1000), (5, 5, 2 * numba_gemm.DEPTH))
    for _ in range(60):
        m, n, k = (int(x) for x in np.exp(rng.uniform(0, np.log(300), 3)))
        yield m, n, k


def check(
    function: object, a: np.ndarray, b: np.ndarray, orders: tuple[int, int], gap: int
) -> None:
    """The product in four blocks, against float64: off by k eps of the terms' sizes at most."""
    a_wide, b_wide = a.astype(np.float64), b.astype(np.float64)
    a, b = (x.T if order == TRANSPOSED else x for x, order in zip((a, b), orders, strict=True))
    m, n, k = a_wide.shape[0], b_wide.shape[1], a_wide.shape[1]
    c = rows_apart(np.full((m, n), np.nan, a.dtype), gap)
    a, b = rows_apart(a, gap), rows_apart(b, 2 * gap)
    for top, bottom in ((0, m // 3), (m // 3, m)):
        for left, right in ((0, n // 2), (n // 2, n)):
            function(c, a, b, *orders, top, bottom, left, right)  # type: ignore[operator]
    bound = (k + 1) * np.finfo(a.dtype).eps * (np.abs(a_wide) @ np.abs(b_wide))
    assert (np.abs(c - a_wide @ b_wide) <= bound).all(), (m, n, k, orders)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [product, gemm], ids=["product", "gemm"])
def test_every_shape_and_transpose(function: object, dtype: str, rng: np.random.Generator) -> None:
    for m, n, k in shapes(rng):
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        for orders in ORDERS:
            check(function, a, b, orders, gap=int(rng.integers(0, 3)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("orders", ORDERS)
def test_special_values_spread_as_in_numpy(
    dtype: str, orders: tuple[int, int], rng: np.random.Generator
) -> None:
    for m, n, k in ((1, 40, 20), (3, 17, 40), (40, 1, 20), (70, 45, 30)):
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        a[0, 1], a[m // 2, 0], a[m - 1, 2] = np.nan, np.inf, -np.inf
        b[0, 0], b[2, n // 2] = 0.0, np.inf
        with np.errstate(invalid="ignore"):
            want = np.array([[(a[i] * b[:, j]).sum() for j in range(n)] for i in range(m)])
        a, b = (
            x.T.copy() if order == TRANSPOSED else x
            for x, order in zip((a, b), orders, strict=True)
        )
        c = np.zeros((m, n), dtype)
        product(c, a, b, *orders, 0, m, 0, n)
        for kind in (np.isnan, np.isposinf, np.isneginf):
            np.testing.assert_array_equal(kind(c), kind(want))


@pytest.mark.parametrize("function", [product, gemm], ids=["product", "gemm"])
@pytest.mark.parametrize("orders", ORDERS)
def test_nothing_outside_the_block_is_written(
    function: object, orders: tuple[int, int], rng: np.random.Generator
) -> None:
    m, n, k = 30, 70, 11
    a = rng.normal(size=(k, m) if orders[0] == TRANSPOSED else (m, k)).astype(np.float32)
    b = rng.normal(size=(n, k) if orders[1] == TRANSPOSED else (k, n)).astype(np.float32)
    for top, bottom, left, right in ((3, 20, 5, 66), (4, 5, 1, 69), (0, 30, 7, 8), (9, 9, 0, 70)):
        c = np.full((m, n), 7.0, np.float32)
        function(c, a, b, *orders, top, bottom, left, right)  # type: ignore[operator]
        inside = np.zeros(c.shape, bool)
        inside[top:bottom, left:right] = True
        assert (c[~inside] == 7.0).all()
        assert (c[inside] != 7.0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("orders", ORDERS)
def test_an_element_does_not_depend_on_the_split(
    dtype: str, orders: tuple[int, int], rng: np.random.Generator
) -> None:
    m, n, k = 61, 150, 600
    a = rng.normal(size=(k, m) if orders[0] == TRANSPOSED else (m, k)).astype(dtype)
    b = rng.normal(size=(n, k) if orders[1] == TRANSPOSED else (k, n)).astype(dtype)
    whole, parts = np.empty((m, n), dtype), np.empty((m, n), dtype)
    product(whole, a, b, *orders, 0, m, 0, n)
    for top, bottom in ((0, 23), (23, m)):
        for left, right in ((0, 37), (37, 39), (39, n)):
            product(parts, a, b, *orders, top, bottom, left, right)
    assert parts.tobytes() == whole.tobytes()


def test_threads_have_scratch_of_their_own(rng: np.random.Generator) -> None:
    a, b = (rng.normal(size=(300, 300)).astype(np.float32) for _ in range(2))
    want = np.empty_like(a)
    product(want, a, b, TRANSPOSED, TRANSPOSED, 0, 300, 0, 300)
    found = [np.empty_like(a) for _ in range(4)]

    @njit(nogil=True)
    def compute(c, a, b):  # type: ignore[no-untyped-def]
        for _ in range(20):
            product(c, a, b, TRANSPOSED, TRANSPOSED, 0, 300, 0, 300)

    threads = [threading.Thread(target=compute, args=(c, a, b)) for c in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for c in found:
        assert c.tobytes() == want.tobytes()


WITHOUT_OPENBLAS = """
import numpy as np
from tercet.kernels import numba_blas, numba_gemm
from tercet.kernels.dense.loops import LOOPS
assert not numba_blas.AVAILABLE
assert numba_gemm.gemm is numba_gemm.product
numba_blas.restore(numba_blas.single())
x, w = np.arange(60.0).reshape(12, 5) % 7, np.arange(35.0).reshape(5, 7) % 4
out, dx, dw = np.empty((12, 7)), np.empty_like(x), np.empty_like(w)
LOOPS["matmul"](out, x, w)
assert (out == x @ w).all()
options = {"activation": "identity", "alpha": 0.0, "save_pre": False, "save_signs": False}
LOOPS["dense_forward"](out, None, None, x, w, None, **options)
assert (out == x @ w).all()
options = {"activation": "identity", "alpha": 0.0, "needs": (True, True, False)}
LOOPS["dense_backward"](None, dx, dw, None, out, x, w, out, **options)
assert (dx == out @ w.T).all()
assert (dw == x.T @ out).all()
"""


def test_without_openblas_the_loops_have_their_own_product() -> None:
    """In a process of its own: the choice is made at import. The numbers are small integers."""
    environment = {**os.environ, "TERCET_NUMPY_GEMM": "1"}
    subprocess.run([sys.executable, "-c", WITHOUT_OPENBLAS], check=True, env=environment)


def inner_loops(assembly: str) -> list[list[str]]:
    """The instructions of every loop that holds no label: from a label to the jump back to it."""
    loops, label, body = [], "", []
    for line in assembly.splitlines():
        line = line.split("#")[0].strip()
        if line.endswith(":"):
            label, body = line[:-1], []
        elif line and not line.startswith("."):
            body.append(line)
            if re.match(rf"j\w+\s+{re.escape(label)}$", line):
                loops.append(body)
    return loops


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_tile_stays_in_vector_registers(dtype: str) -> None:
    if numba_tile.VECTOR == 16:
        pytest.skip("the names of this CPU's instructions are not known here")
    fresh = njit(numba_gemm.product_at.py_func)  # Numba does not show the code that it has kept
    fresh(np.dtype(dtype).type(0), *(0,) * 11, False, False)
    (assembly,) = fresh.inspect_asm().values()
    register = {64: "%zmm", 32: "%ymm"}[numba_tile.VECTOR]
    letter = "s" if dtype == "float32" else "d"
    multiply_add = re.compile(rf"vfmadd\d+p{letter}\s.*{register}\d+$")
    store = re.compile(rf"vmov\w+\s+{register}\d+, .*\(")
    tile = numba_tile.ROWS * numba_tile.VECTORS
    steps = []  # the tile's own loop may take several steps of the sum in a turn
    for body in inner_loops(assembly):
        multiplies = sum(map(bool, map(multiply_add.match, body)))
        if multiplies >= tile:
            assert multiplies % tile == 0
            assert not any(map(store.match, body)), "accumulators are spilled"
            steps.append(multiplies // tile)
    assert steps

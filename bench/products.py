"""Time of matrix products inside loops: NumPy's OpenBLAS beside the microkernel, by shape.

    python bench/products.py [--rounds 15] [--dtype float32]

Every product of the training steps below is timed as the block of it that one of two threads gets,
on one thread: forward x W, then x^T dz and dz W^T. This table is why numba_gemm chooses as it does.
The two are timed in turns, so that a change of the machine's speed meets both; medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from tercet.kernels import numba_blas, numba_gemm
from tercet.kernels.numba_blas import PLAIN, TRANSPOSED

# name, widths of the layers, batch, threads, whether it trains
STEPS = (
    ("tiny MLP", (10, 64, 32, 2), 16, 1, True),
    ("MLP, batch 32", (784, 256, 128, 10), 32, 2, True),
    ("MLP, batch 512", (784, 256, 128, 10), 512, 2, True),
    ("large MLP", (1024, 4096, 4096, 1024), 256, 2, True),
    ("one sample", (784, 256, 128, 10), 1, 1, False),
    ("batch of 256", (784, 256, 128, 10), 256, 2, False),
    ("LSTM", (128, 512), 32, 2, True),
    ("attention", (64, 128), 128, 1, True),
)
Case = tuple[str, int, int, int, Any, Any]


def half(rows: int, columns: int, threads: int) -> tuple[int, int]:
    """The block of one thread: the longer side is split, as numba_loop.region does."""
    return (rows // threads, columns) if rows >= columns else (rows, columns // threads)


def cases() -> Iterator[Case]:
    """Name, m, n, k and transposes of every product."""
    for name, widths, batch, threads, trains in STEPS:
        for inner, outer in pairwise(widths):
            yield f"{name}: x W", *half(batch, outer, threads), inner, PLAIN, PLAIN
            if trains:
                yield f"{name}: x^T dz", *half(inner, outer, threads), batch, TRANSPOSED, PLAIN
                if inner != widths[0] or len(widths) == 2:
                    yield f"{name}: dz W^T", *half(batch, inner, threads), outer, PLAIN, TRANSPOSED
    for n, k in ((256, 784), (4096, 1024)):
        yield "vector, W as rows: x W^T", 1, n, k, PLAIN, TRANSPOSED
        yield "vector: W v", n, 1, k, PLAIN, PLAIN
        yield "vector: W^T v", n, 1, k, TRANSPOSED, PLAIN


def repeated(gemm: Any) -> Any:
    """The product, many times in one compiled call, so that Python's share does not show."""

    @njit
    def run(times: int, c: Any, a: Any, b: Any, a_order: int, b_order: int, m: int, n: int) -> None:
        for _ in range(times):
            gemm(c, a, b, a_order, b_order, 0, m, 0, n)

    return run


def timed(run: Any, times: int, *arguments: Any) -> float:
    began = time.perf_counter()
    run(times, *arguments)
    return (time.perf_counter() - began) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    options = parser.parse_args()
    if not numba_blas.AVAILABLE:
        sys.exit("this NumPy has no OpenBLAS that a loop can call: nothing to compare with")
    numba_blas.single()
    runs = [repeated(numba_blas.gemm), repeated(numba_gemm.product)]
    rng = np.random.default_rng(0)
    print(f"{'product':26} {'m':>5} {'n':>5} {'k':>5} {'OpenBLAS us':>12} {'tile us':>10} "
          f"{'GF/s':>6} {'ratio':>6} {'chosen':>9}")  # fmt: skip
    for name, m, n, k, a_order, b_order in cases():
        a = rng.normal(size=(k, m) if a_order == TRANSPOSED else (m, k)).astype(options.dtype)
        b = rng.normal(size=(n, k) if b_order == TRANSPOSED else (k, n)).astype(options.dtype)
        arguments = (np.empty((m, n), a.dtype), a, b, a_order, b_order, m, n)
        times = 1
        while timed(runs[0], times, *arguments) * times < 2e-3:
            times *= 2
        for run in runs:
            run(1, *arguments)
        rounds = [[timed(run, times, *arguments) for run in runs] for _ in range(options.rounds)]
        blas, tile = (statistics.median(column) for column in zip(*rounds, strict=True))
        narrow = numba_gemm.is_narrow(n, a.itemsize)
        print(f"{name:26} {m:5} {n:5} {k:5} {blas * 1e6:12.2f} {tile * 1e6:10.2f} "
              f"{2e-9 * m * n * k / (blas if narrow else tile):6.1f} {blas / tile:6.2f} "
              f"{'OpenBLAS' if narrow else 'tile':>9}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

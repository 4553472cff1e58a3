"""What this machine can do at most: products on one thread and on all, and memory traffic by size.

The rate of products is NumPy's sgemm on 2048 x 2048. Memory traffic is measured by one process a
thread, each on arrays of its own, all at once: `copy` (one array read, one written) and `add` (two
read, one written, as in STREAM's triad: McCalpin, "Memory bandwidth and machine balance", 1995).
The sizes are those of all arrays of all processes together, from what a core's own cache holds to
what only memory holds.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .turns import Worker

PRODUCT = 2048
PRODUCTS = 6
SIZES = tuple(1 << power for power in (17, 19, 21, 23, 25, 27, 29))  # bytes
ARRAYS = {"copy": 2, "add": 3}
SECONDS = 0.05  # of traffic a size
LEAD = 0.05  # seconds until all processes are ready to begin at once
REPEATS = 2


def measure_limits(threads: int) -> dict[str, Any]:
    """{"sgemm": {threads: flop/s}, "traffic": [{"bytes", "copy", "add"} in bytes/s]}."""
    return {
        "sgemm": {str(n): _products(n) for n in sorted({1, threads})},
        "traffic": _traffic(threads),
    }


def best_of(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """The larger of two measurements, figure by figure."""
    return {
        "sgemm": {n: max(rate, b["sgemm"][n]) for n, rate in a["sgemm"].items()},
        "traffic": [
            {name: max(value, other[name]) for name, value in row.items()}
            for row, other in zip(a["traffic"], b["traffic"], strict=True)
        ],
    }


def _worker(threads: int) -> Worker:
    return Worker([sys.executable, "-m", "tercet.bench.limits"], threads)


def _products(threads: int) -> float:
    worker = _worker(threads)
    try:
        return 2 * PRODUCT**3 / float(worker.ask({"products": PRODUCTS}))
    finally:
        worker.close()


def _traffic(threads: int) -> list[dict[str, float]]:
    workers = [_worker(1) for _ in range(threads)]
    table: list[dict[str, float]] = [{"bytes": size} for size in SIZES]
    try:
        for row in table:
            for kind in ARRAYS:
                row[kind] = max(_together(workers, kind, row["bytes"]) for _ in range(REPEATS))
    finally:
        for worker in workers:
            worker.close()
    return table


def _together(workers: Sequence[Worker], kind: str, size: float) -> float:
    request = {kind: size / len(workers), "at": time.monotonic() + LEAD}
    for worker in workers:
        worker.send(request)
    return math.fsum(worker.receive() for worker in workers)


def at_size(traffic: Sequence[dict[str, float]], size: float) -> float:
    """bytes/s of `add` at a working set, by straight lines over the logarithm of the size.

    >>> table = [{"bytes": 1e3, "add": 30.0}, {"bytes": 1e5, "add": 10.0}]
    >>> round(at_size(table, 1e4), 6), at_size(table, 10), at_size(table, 1e9)
    (20.0, 30.0, 10.0)
    """
    sizes = [math.log(row["bytes"]) for row in traffic]
    return float(np.interp(math.log(size), sizes, [row["add"] for row in traffic]))


def _best_product(count: int) -> float:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((PRODUCT, PRODUCT), np.float32) for _ in range(2))
    out = np.empty_like(a)
    return min(_timed(lambda: np.matmul(a, b, out=out)) for _ in range(count))


def _timed(function: Any) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _rate(kind: str, size: float, at: float) -> float:
    """Bytes a second of one process, from the moment `at`."""
    count = ARRAYS[kind]
    out, *inputs = (np.ones(int(size) // count // 4, np.float32) for _ in range(count))

    def run() -> None:
        if kind == "copy":
            np.copyto(out, inputs[0])
        else:
            np.add(inputs[0], inputs[1], out=out)

    run()
    while time.monotonic() < at:
        run()
    runs, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < SECONDS:
        run()
        runs += 1
    return runs * out.nbytes * count / elapsed


def main() -> None:
    """Answer requests as worker.py does."""
    for line in sys.stdin:
        request = json.loads(line)
        if "products" in request:
            answer = _best_product(request["products"])
        else:
            kind = next(kind for kind in ARRAYS if kind in request)
            answer = _rate(kind, request[kind], request["at"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

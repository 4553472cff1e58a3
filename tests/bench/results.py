"""A result as the suite makes it, small and known."""

from typing import Any

from tercet.bench.cases import CASES
from tercet.bench.measure import record_of

MIB = 1 << 20


def figures(seconds: list[float], host: bool = True) -> dict[str, Any]:
    memory = {
        "imported": {"now": 30 * MIB, "peak": 31 * MIB},
        "after": {"now": 40 * MIB, "peak": 42 * MIB},
        "own": "numpy: 1.0 MiB",
    }
    return {
        "results": [1.0], "ready": 0.5, "seconds": seconds, "memory": memory, "host": host,
    }  # fmt: skip


def record(name: str, **times: list[float]) -> dict[str, Any]:
    found = record_of(CASES[name])
    found["figures"] = {n.replace("_", " "): figures(ys) for n, ys in times.items()}
    return found


def results() -> dict[str, Any]:
    step = record(
        "mlp-32",
        tercet_numpy=[2e-3, 4e-3, 2e-3],
        tercet_numba=[1e-3, 2e-3, 1e-3],
        torch=[5e-4, 1e-3, 5e-4],
    )
    step["figures"]["hand-written NumPy"] = figures([1e-3, 2e-3, 1e-3])
    step["left_out"]["Thinc"] = "not <this> model & more"
    points = [
        record("tiny", tercet_numpy=[1e-5], tercet_numba=[4e-5], torch=[1e-4]),
        record("mlp-32", tercet_numpy=[1e-4], tercet_numba=[4e-5], torch=[1e-4]),
    ]
    return {
        "format": 1,
        "environment": {
            "date": "2026-01-01T00:00+00:00", "cpu": "a <cpu>", "cores": 2, "threads": 2,
            "system": "Linux", "python": "3.11", "versions": {"numpy": "2"},
        },
        "plan": {"rounds": 3, "seconds": 0.1, "threads": 2},
        "limits": {
            "sgemm": {"1": 1e11, "2": 2e11},
            "traffic": [{"bytes": 1e5, "copy": 9e10, "add": 8e10},
                        {"bytes": 1e8, "copy": 3e10, "add": 2e10}],
        },
        "steps": [step],
        "sweeps": [{"name": "by-batch", "title": "By batch", "axis": "batch size",
                    "values": [1, 100], "records": points}],
        "ops": [{"name": "dense", "kernel": "dense_forward", "flops": 10**8, "bytes": 10**6,
                 "figures": {"numpy": [1e-3], "numba": [5e-4]}}],
    }  # fmt: skip

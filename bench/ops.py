"""The kernels on their own, through `backend.ops`, on arrays of about 1e5 and 1e6 elements and
dense layers at the shapes of the multilayer perceptrons.

Bytes are those of a kernel's arrays: inputs read, outputs written, what is updated both. Flops are
those of its products.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backends import use_backend
from ..kernels import TABLE
from ..kernels.random.spec import random_state
from .job import Job
from .measure import Plan, Say
from .turns import Worker, take_turns

SHAPES = {"1e5": (1000, 100), "1e6": (10000, 100)}
DENSE = ((32, 784, 256), (512, 784, 256), (512, 256, 128))
INDEX_ROWS = 5000


@dataclass(frozen=True)
class OpCase:
    """A kernel with arguments. `make` draws its inputs; flops are counted where it has products."""

    name: str
    kernel: str
    make: Callable[[np.random.Generator], Sequence[np.ndarray | None]]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    flops: int = 0


def _floats(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.random(shape, np.float32) * np.float32(0.9) + np.float32(0.1)


def elementwise(size: str, n: int, m: int) -> Iterator[OpCase]:
    """Kernels whose time is that of their memory traffic, on (n, m); `size` is put in the names."""

    def arrays(count: int) -> Callable[[np.random.Generator], Sequence[np.ndarray]]:
        return lambda rng: [_floats(rng, n, m) for _ in range(count)]

    for kind in ("relu", "gelu", "tanh"):
        attributes = {"kind": kind, "alpha": 0.0}
        yield OpCase(f"{kind} {size}", "activation_forward", arrays(1), attributes)
        yield OpCase(f"{kind} backward {size}", "activation_backward", arrays(2), attributes)
    yield OpCase(f"exp {size}", "unary_forward", arrays(1), {"kind": "exp"})
    yield OpCase(f"add {size}", "binary_forward", arrays(2), {"kind": "add"})
    yield OpCase(f"copy {size}", "copy", arrays(1), {"dtype": "float32"})
    yield OpCase(
        f"sum by rows {size}",
        "reduce_forward",
        lambda rng: [_floats(rng, n, m, 1)],
        {"kind": "sum"},
    )
    yield OpCase(f"softmax {size}", "softmax_forward", arrays(1))
    yield OpCase(f"softmax backward {size}", "softmax_backward", arrays(2))
    yield OpCase(
        f"dropout {size}",
        "dropout_forward",
        lambda rng: [_floats(rng, n, m), random_state(rng)],
        {"p": 0.3, "span": 1, "stream": 0},
    )
    yield OpCase(
        f"uniform {size}",
        "random_uniform",
        lambda rng: [random_state(rng)],
        {"shape": (n, m), "stream": 0, "dtype": "float32", "low": 0.0, "high": 1.0},
    )
    yield OpCase(
        f"cross-entropy {size}",
        "cross_entropy_forward",
        lambda rng: [_floats(rng, n, m), rng.integers(0, m, n), None, None],
        {"label_smoothing": 0.0, "ignore_index": -100, "reduction": "mean"},
    )
    yield OpCase(
        f"take rows {size}",
        "take_rows",
        lambda rng: [_floats(rng, INDEX_ROWS, m), rng.integers(0, INDEX_ROWS, n)],
    )
    yield OpCase(
        f"Adam {size}",
        "adam_update",
        lambda rng: [*(_floats(rng, n * m) for _ in range(4)), np.array([1e-3, 3.0, 0.0])],
        {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "decoupled": False},
    )


def dense(n: int, k: int, m: int) -> Iterator[OpCase]:
    """A dense layer, (n, k) times (k, m), forward and backward."""
    shape, flops = f"{n}x{k}x{m}", 2 * n * k * m
    yield OpCase(
        f"dense relu {shape}",
        "dense_forward",
        lambda rng: [_floats(rng, n, k), _floats(rng, k, m), _floats(rng, m)],
        {"activation": "relu", "alpha": 0.0, "save_pre": False, "save_signs": False},
        flops,
    )
    yield OpCase(
        f"dense relu backward {shape}",
        "dense_backward",
        lambda rng: [
            _floats(rng, n, m),
            _floats(rng, n, k),
            _floats(rng, k, m),
            _floats(rng, n, m),
        ],
        {"activation": "relu", "alpha": 0.0, "needs": (True, True, True)},
        2 * flops,
    )


OPS = {
    case.name: case
    for part in (
        *(elementwise(size, *shape) for size, shape in SHAPES.items()),
        *(dense(*shape) for shape in DENSE),
    )
    for case in part
}


def bytes_of(case: OpCase, inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Bytes read and written."""
    kernel = TABLE[case.kernel]
    updated = [x for name, x in zip(kernel.inputs, inputs, strict=True) if name in kernel.updates]
    return sum(int(x.nbytes) for x in (*inputs, *outputs, *updated) if x is not None)


def measure_ops(backends: Sequence[str], plan: Plan, say: Say) -> list[dict[str, Any]]:
    """One record a kernel: bytes, flops, and every backend's seconds."""
    workers: dict[str, Worker] = {}
    records: dict[str, dict[str, Any]] = {}
    try:
        for backend in backends:
            say(f"{len(OPS)} kernels: {backend} starts")
            command = [sys.executable, "-m", "tercet.bench.ops", backend]
            workers[backend] = Worker(command, plan.threads)
            for name, case in OPS.items():
                answer = workers[backend].ask({"build": {"name": name}})
                record = {"name": name, "kernel": case.kernel, "flops": case.flops, **answer}
                records.setdefault(name, record | {"figures": {}})
                records[name]["figures"][backend] = []
        request = {"time": list(OPS), "seconds": plan.seconds}
        for backend, answer in take_turns(workers, dict.fromkeys(workers, request), plan.rounds):
            say(f"{len(OPS)} kernels: {backend}")
            for name, seconds in answer["seconds"].items():
                records[name]["figures"][backend].append(seconds)
    finally:
        for worker in workers.values():
            worker.close()
    return list(records.values())


def main() -> None:
    from .worker import serve

    with use_backend(sys.argv[1]) as backend:

        def build(content: dict[str, Any]) -> tuple[dict[str, Any], Job]:
            case = OPS[content["name"]]
            made = case.make(np.random.default_rng(0))
            inputs = [None if x is None else backend.asarray(x) for x in made]
            kernel = getattr(backend.ops, case.kernel)

            def run() -> Any:
                return kernel(*inputs, **case.attributes)

            result = run()
            outputs = result if isinstance(result, tuple) else (result,)
            job = Job(run, np.asarray, lambda result: backend.synchronize())
            return {"bytes": bytes_of(case, inputs, outputs)}, job

        serve(build)


if __name__ == "__main__":
    main()

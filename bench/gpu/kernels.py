"""Every kernel that memory bounds, and dense layers: their share of what the device can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import BenchmarkError
from ..frameworks.tercet_steps import in_precision
from ..job import Job, NotHere
from ..ops import OpCase, bytes_of, dense, elementwise
from ..worker import measure
from .processes import Deadline, Process, device, serve
from .replay import PRECISIONS
from .scale import GPU, MINIATURE, Scale
from .steps import host


def cases(scale: Scale) -> Iterator[tuple[OpCase, str]]:
    """Kernels with the precision to run them in."""
    rows, columns = scale.elements
    for case in elementwise(f"{rows}x{columns}", rows, columns):
        yield case, "float32"
    # By precision: tf32, once switched on, stays on, and float32 comes before it.
    for precision in PRECISIONS:
        for shape in scale.products:
            for case in dense(*shape):
                yield case, precision


def run(
    scale: Scale, simulate: bool, deadline: Deadline, keep: Callable[[Any], None]
) -> list[dict[str, Any]]:
    """One record a kernel and precision; `keep` is given all of them now and then."""
    records: list[dict[str, Any]] = []
    worker: Process | None = None
    try:
        for number, (case, precision) in enumerate(cases(scale)):
            record: dict[str, Any] = {"name": case.name, "flops": case.flops}
            records.append(record | {"precision": precision})
            if not deadline.left:
                records[-1]["failed"] = "not run: the time was over"
                continue
            if worker is None:
                worker = Process("kernels", simulate)
            try:
                records[-1] |= worker.ask(deadline, "time", number=number)
            except NotHere as why:
                records[-1]["not_here"] = str(why)
            except BenchmarkError as error:
                # A fault of the device stays with its process.
                records[-1]["failed"] = str(error)
                worker.close()
                worker = None
            if number % 8 == 0:
                keep(records)
    finally:
        if worker is not None:
            worker.close()
    return records


# --- In the process ------------------------------------------------------------------------------


def functions(options: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    backend = device(options["simulate"])
    scale = MINIATURE if options["simulate"] else GPU
    known = list(cases(scale))

    def timed(number: int) -> dict[str, Any]:
        case, precision = known[number]
        in_precision(precision)
        made = [
            None if x is None else backend.asarray(x) for x in case.make(np.random.default_rng(0))
        ]
        if precision not in ("float32", "tf32"):
            made = [None if x is None else backend.ops.copy(x, dtype=precision) for x in made]
        kernel = getattr(backend.ops, case.kernel)

        def run() -> Any:
            return kernel(*made, **case.attributes)

        result = run()
        outputs = result if isinstance(result, tuple) else (result,)
        moved = bytes_of(case, made, outputs)
        job = Job(run, np.asarray, lambda _: backend.synchronize())
        return {"bytes": moved, "seconds": measure(job, scale.seconds), "host": host(job)}

    return {"time": timed}


if __name__ == "__main__":
    serve(functions)

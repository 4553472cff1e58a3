"""Training steps: tercet beside PyTorch, at every precision, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ...backends import Backend
from ...errors import BenchmarkError
from ...kernels.observing import observe
from ..cases import Case
from ..frameworks import tercet_steps, torch_cuda_steps
from ..job import Job, NotHere
from ..measure import record_of
from ..variants import Variant
from ..worker import RUNS_COMPARED, measure
from .processes import Deadline, Process, device, serve
from .replay import PRECISIONS
from .scale import Scale

TORCH = {"module": "torch_cuda_steps", "imports": ("torch",)}
VARIANTS = (
    Variant("tercet", "tercet_steps", "eager", "cupy"),
    Variant("tercet, captured", "tercet_steps", "captured", "cupy"),
    Variant("torch", mode="eager", **TORCH),  # type: ignore[arg-type]
    Variant("torch, CUDA graph", mode="graph", **TORCH),  # type: ignore[arg-type]
    Variant("torch.compile", mode="compiled", **TORCH),  # type: ignore[arg-type]
    Variant("torch.compile, max-autotune", mode="max-autotune", **TORCH),  # type: ignore[arg-type]
)
# Relative, between the losses of the first steps: that of float32 is bench/measure.py's; the others
# allow what their operands are rounded to, 2^-11 and 2^-8, at each of a dozen products.
TOLERANCE = {"float32": 1e-3, "tf32": 12 * 2.0**-11, "bfloat16": 12 * 2.0**-8}
FIRST = 3  # times as much time for the first case of a process, which loads and compiles most
BURST = 8  # steps whose launches are timed without waiting for them: far from filling a queue
BURSTS = 5
GRACE = 10.0  # seconds beyond the time in which a turn that was begun may end


def run(
    scale: Scale, simulate: bool, deadline: Deadline, keep: Callable[[Any], None]
) -> list[dict[str, Any]]:
    """One record a precision and a case; `keep` is given all of them after each."""
    records: list[dict[str, Any]] = []
    shares = [FIRST, *([1] * (len(scale.cases) - 1))] * len(PRECISIONS)
    for precision in PRECISIONS:
        processes: dict[str, Process] = {}
        try:
            for case in scale.cases:
                record = record_of(case) | {"precision": precision, "failed": {}}
                records.append(record)
                _start(processes, record, simulate)
                mine = Deadline(deadline.left * shares[0] / sum(shares))
                _cell(scale, case, processes, record, mine)
                del shares[0]
                keep(records)
        finally:
            for process in processes.values():
                process.close()
    return records


def _start(processes: dict[str, Process], record: dict[str, Any], simulate: bool) -> None:
    """Start the processes that are not there: at first all, later those that ended."""
    for variant in VARIANTS:
        if variant.missing:
            why = f"not installed: {', '.join(variant.missing)}"
            record["left_out"][variant.name] = why
        elif variant.name not in processes:
            options = {"framework": variant.module, "mode": variant.mode}
            options["precision"] = record["precision"]
            processes[variant.name] = Process("steps", simulate, **options)


def _cell(
    scale: Scale,
    case: Case,
    processes: dict[str, Process],
    record: dict[str, Any],
    deadline: Deadline,
) -> None:
    """Make one case ready in every process that is alive, then time it in turns."""
    turns = scale.rounds * (scale.seconds + 0.05) * len(processes)
    building = Deadline(max(deadline.left - turns, deadline.left / 2))
    for names in _together(processes):
        for name in names:
            _try(record, processes, name, lambda p: p.send("build", content=case.to_json()))
        for name in names:
            if name in processes:
                found = _try(record, processes, name, lambda p: p.receive(building))
                if found is not None:
                    record["figures"][name] = found | {"seconds": []}
    _compare(record)
    ready = [name for name in processes if name in record["figures"]]
    late = Deadline(deadline.left + GRACE)
    for i in range(scale.rounds):
        first = i % max(1, len(ready))
        for name in ready[first:] + ready[:first]:
            if name not in processes or name in record["failed"]:
                continue
            if not deadline.left:
                record["cut"] = f"{i} of {scale.rounds} rounds: the time was over"
                return
            found = _try(
                record, processes, name,
                lambda p: p.ask(late, "time", name=case.name, seconds=scale.seconds),
            )  # fmt: skip
            if found is not None:
                record["figures"][name]["seconds"].append(found)


def _together(processes: dict[str, Process]) -> list[list[str]]:
    """Which processes make a case ready at once: compilers do, the others are alone."""
    modes = {variant.name: variant.mode for variant in VARIANTS}
    compiling = [name for name in processes if modes[name] in torch_cuda_steps.COMPILED]
    return [*([name] for name in processes if name not in compiling), compiling]


def _try(
    record: dict[str, Any],
    processes: dict[str, Process],
    name: str,
    ask: Callable[[Process], Any],
) -> Any:
    """What a process says; where it fails that is written down, and one that is gone is dropped."""
    try:
        return ask(processes[name])
    except NotHere as why:
        record["left_out"][name] = str(why)
    except BenchmarkError as error:
        record["failed"][name] = str(error)
        if not processes[name].alive:
            processes.pop(name).close()
    return None


def _compare(record: dict[str, Any]) -> None:
    """Write down whose losses differ from the first one's by more than the precision explains."""
    tolerance = TOLERANCE[record["precision"]]
    figures = record["figures"]
    for name in figures:
        expected = next(iter(figures.values()))["losses"]
        if not np.allclose(figures[name]["losses"], expected, rtol=tolerance, atol=0.0):
            record.setdefault("different", []).append(name)


# --- In the processes ----------------------------------------------------------------------------


class Launches:
    """Counts what a device is told to do (kernels/observing.py)."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.count = 0

    def device(self, function: Any, arguments: Any) -> None:
        self.count += 1

    def host(self, function: Any, arguments: Any, attributes: Any) -> None:
        pass

    def loop(self, call: Any, arguments: Any) -> None:
        pass

    def workspace(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return self._backend.empty(shape, dtype)


def functions(options: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    mode, precision = options["mode"], options["precision"]
    ours = options["framework"] == "tercet_steps"
    if ours:
        backend = device(options["simulate"])
    elif not options["simulate"]:
        # Nobody's first step pays for its imports and the device's beginning.
        import torch

        if torch.cuda.is_available():
            torch.cuda.init()
    jobs: dict[str, Job] = {}

    def make(case: Case) -> Job:
        if ours:
            return tercet_steps.build(case, mode, 1, precision)
        where = "cpu" if options["simulate"] else "cuda"
        return torch_cuda_steps.build(case, mode, precision, where)

    def launches(job: Job) -> int:
        if not ours:
            return torch_cuda_steps.launches(job)
        counted = Launches(backend)
        with observe(counted):
            job.wait(job.run())
        return counted.count + (mode != "eager")  # and the graph

    def build(content: dict[str, Any]) -> dict[str, Any]:
        case = Case.from_json(content)
        began = time.perf_counter()
        job = make(case)
        losses = [float(job.value(job.run()))]
        first = time.perf_counter() - began
        losses += [float(job.value(job.run())) for _ in range(RUNS_COMPARED - 1)]
        jobs[case.name] = job
        found: dict[str, Any] = {"losses": losses, "first_step": first, "host": host(job)}
        try:
            found["launches"] = launches(job)
        except Exception as error:  # a profiler that does not work costs this figure only
            found["launches"], found["not_counted"] = None, str(error)[:200]
        return found | {"memory": job.memory()}

    def timed(name: str, seconds: float) -> float:
        return measure(jobs[name], seconds)

    return {"build": build, "time": timed}


def host(job: Job) -> float:
    """Seconds of the host for one step, with a device that has nothing waiting."""

    def burst() -> float:
        job.wait(job.run())
        began = time.perf_counter()
        for _ in range(BURST):
            result = job.run()
        issued = time.perf_counter() - began
        job.wait(result)
        return issued / BURST

    return statistics.median(burst() for _ in range(BURSTS))


if __name__ == "__main__":
    serve(functions)

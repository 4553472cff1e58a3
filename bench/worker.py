"""One process of the suite: makes cases ready and times them, as lines of JSON ask.

    python -m tercet.bench.worker VARIANT THREADS

{"build": case} is answered by what making the case ready took and what its first results were, or
by {"not_here": why} where this framework cannot do the case. {"time": [names], "seconds": s} is
answered by the seconds of one step or inference of each of these cases, and the memory.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from typing import Any

import numpy as np

from ..backends import use_backend
from .cases import TRAIN, Case
from .job import Job, NotHere
from .memory import resident
from .variants import Variant

RUNS_COMPARED = 6  # the first ones; in the last of them a captured function is replayed
ROWS_COMPARED = 4  # of an inference's outputs
BURSTS = 5  # a turn's time is the median of so many measurements


def serve(build: Callable[[dict[str, Any]], tuple[dict[str, Any], Job]]) -> None:
    """Answer standard input line by line; `build` makes an answer and a job of a case."""
    imported = resident()
    jobs: dict[str, Job] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "build" in request:
            try:
                answer, job = build(request["build"])
                jobs[request["build"]["name"]] = job
            except NotHere as why:
                answer = {"not_here": str(why)}
        else:
            seconds = {name: measure(jobs[name], request["seconds"]) for name in request["time"]}
            # What the framework holds is asked for once, of the last case: it is for all of them.
            memory = {"imported": imported, "after": resident(), "own": job.memory()}
            answer = {"seconds": seconds, "memory": memory}
        print(json.dumps(answer), flush=True)


def measure(job: Job, seconds: float) -> float:
    """Seconds of one step or inference, from some `seconds` of running.

    Bursts are waited for as a whole, so that a framework may work ahead of Python.
    """

    def burst(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            result = job.run()
        job.wait(result)
        return (time.perf_counter() - began) / (count * job.steps)

    burst(1)  # after the pause nothing is in the caches
    share = seconds / (BURSTS + 1)
    count = max(1, int(share / (burst(1) * job.steps)))
    count = max(1, int(share / (burst(count) * job.steps)))
    return statistics.median(burst(count) for _ in range(BURSTS))


def first_results(case: Case, job: Job) -> list[float]:
    """What frameworks are compared by: the losses of the first training steps, or the
    probabilities of the first rows."""
    results = [job.value(job.run()) for _ in range(RUNS_COMPARED)]
    if case.kind == TRAIN:
        return [float(loss) for loss in np.hstack(results)[:RUNS_COMPARED]]
    logits = np.asarray(results[-1], np.float64)[:ROWS_COMPARED]
    unnormalized = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: list[float] = (
        (unnormalized / unnormalized.sum(axis=1, keepdims=True)).ravel().tolist()
    )
    return probabilities


def main() -> None:
    variant, threads = Variant(**json.loads(sys.argv[1])), int(sys.argv[2])
    for name in variant.imports:
        import_module(name)
    builder = import_module(f".frameworks.{variant.module}", __package__)

    def build(content: dict[str, Any]) -> tuple[dict[str, Any], Job]:
        case = Case.from_json(content)
        if case.network != "mlp" and not getattr(builder, "OTHER_NETWORKS", False):
            raise NotHere("multilayer perceptrons only")
        began = time.perf_counter()
        job = builder.build(case, variant.mode, threads)
        results = first_results(case, job)
        return {"ready": time.perf_counter() - began, "results": results}, job

    with use_backend(variant.backend) if variant.backend else nullcontext():
        serve(build)


if __name__ == "__main__":
    main()

"""Cases by frameworks: processes are started, checked against each other, and timed in turns."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import BenchmarkError
from . import counts
from .cases import Case
from .turns import Worker, take_turns
from .variants import HOST, Variant

# Relative, of losses and probabilities, and a hundredth of it absolute. In float32, 1 - 0.999^t is
# off by 6e-5 in the first step, and so is the step of a framework that computes it there.
TOLERANCE = 1e-3
# torch.compile's step of the CNN is not that of all others, which agree to 1e-6: its second loss is
# off by 2e-3, its fourth by 2e-2. It is timed nevertheless: people would use it. Only it.
LOOSE = {("cnn", "torch.compile"): 0.1}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much is measured: turns a case, seconds a turn, threads of every process."""

    rounds: int
    seconds: float
    threads: int


def measure(
    cases: Sequence[Case], variants: Sequence[Variant], plan: Plan, say: Say
) -> list[dict[str, Any]]:
    """One record a case: what it is, the figures of every variant, and who was left out and why.

    All cases share a variant's process, so its memory is that of all of them.
    """
    records = [record_of(case) for case in cases]
    if not cases:
        return records
    workers: dict[str, Worker] = {}
    try:
        for variant in variants:
            say(f"{', '.join(case.name for case in cases)}: {variant.name} starts")
            workers[variant.name] = _start(variant, plan.threads)
            try:
                for case, record in zip(cases, records, strict=True):
                    _build(variant, workers[variant.name], case, record)
            except BenchmarkError as error:
                # A process that ended has no case left.
                workers.pop(variant.name).close()
                for record in records:
                    record["figures"].pop(variant.name, None)
                    record["left_out"][variant.name] = f"failed: {error}"
        for record in records:
            check(record)
        _time(workers, records, plan, say)
    finally:
        for worker in workers.values():
            worker.close()
    return records


def record_of(case: Case) -> dict[str, Any]:
    """A case's record before anything is known of it but what it is."""
    return {
        "case": case.to_json(),
        "title": case.title,
        "flops": counts.flops(case),
        "bytes": counts.bytes_moved(case),
        "working_set": counts.working_set(case),
        "figures": {},
        "left_out": {},
    }


def _start(variant: Variant, threads: int) -> Worker:
    description = json.dumps(asdict(variant))
    return Worker([sys.executable, "-m", "tercet.bench.worker", description, str(threads)], threads)


def _build(variant: Variant, worker: Worker, case: Case, record: dict[str, Any]) -> None:
    answer = worker.ask({"build": case.to_json()})
    if "not_here" in answer:
        record["left_out"][variant.name] = answer["not_here"]
    else:
        host = variant.backend in HOST
        record["figures"][variant.name] = answer | {"host": host, "seconds": []}


def _time(workers: dict[str, Worker], records: list[dict[str, Any]], plan: Plan, say: Say) -> None:
    """Take turns; the figures go into the records."""
    named = {record["case"]["name"]: record for record in records}
    requests: dict[str, dict[str, Any]] = {
        name: {
            "time": [n for n, record in named.items() if name in record["figures"]],
            "seconds": plan.seconds,
        }
        for name in workers
    }
    busy = {name: worker for name, worker in workers.items() if requests[name]["time"]}
    for name, answer in take_turns(busy, requests, plan.rounds):
        say(f"{', '.join(requests[name]['time'])}: {name}")
        for case, seconds in answer["seconds"].items():
            figures = named[case]["figures"][name]
            figures["seconds"].append(seconds)
            figures["memory"] = answer["memory"]


def check(record: dict[str, Any]) -> None:
    """Raise unless all frameworks computed the same: nothing else would be a comparison."""
    results = {name: np.array(f["results"]) for name, f in record["figures"].items()}
    network = record["case"]["network"]
    allowed = {name: LOOSE.get((network, name), TOLERANCE) for name in results}
    for name, found in results.items():
        for other, expected in results.items():
            tolerance = max(allowed[name], allowed[other])
            if not np.allclose(found, expected, rtol=tolerance, atol=tolerance * 1e-2):
                raise BenchmarkError(
                    f"{record['title']}: {name} and {other} do not compute the same: "
                    f"{found[:3].tolist()} and {expected[:3].tolist()}. Nothing was timed"
                )

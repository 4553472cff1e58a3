"""The whole suite: from what is asked for to a result that tables and plots are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .cases import Case, Sweep
from .environment import environment
from .limits import best_of, measure_limits
from .measure import Plan, Say, measure
from .ops import measure_ops
from .variants import Variant

FORMAT = 1


def run(
    cases: Sequence[Case],
    sweeps: Sequence[Sweep],
    ops: Sequence[str],
    variants: Sequence[Variant],
    plan: Plan,
    say: Say,
) -> dict[str, Any]:
    """Measure; the result holds only what JSON knows. `ops`: the backends to time kernels on.

    Every case has processes of its own, so that the memory of each is told apart; a sweep's cases
    share them. The machine's limits are the best seen before and after all else.
    """
    say("the machine's limits")
    results: dict[str, Any] = {
        "format": FORMAT,
        "environment": environment(plan.threads),
        "plan": asdict(plan),
        "limits": measure_limits(plan.threads),
        "steps": [],
        "sweeps": [],
        "ops": [],
    }
    for case in cases:
        results["steps"] += measure([case], variants, plan, say)
    records = measure([case for sweep in sweeps for case in sweep.cases], variants, plan, say)
    by_name = {record["case"]["name"]: record for record in records}
    for sweep in sweeps:
        results["sweeps"].append(
            {
                "name": sweep.name,
                "title": sweep.title,
                "axis": sweep.axis,
                "values": list(sweep.values),
                "records": [by_name[case.name] for case in sweep.cases],
            }
        )
    if ops:
        results["ops"] = measure_ops(ops, plan, say)
    say("the machine's limits again")
    results["limits"] = best_of(results["limits"], measure_limits(plan.threads))
    return results

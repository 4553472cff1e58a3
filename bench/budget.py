"""What eager execution may cost in Python: a budget that a test holds.

    python -m tercet.bench.budget        # measure, and write budget.json anew

Arrays are tiny, so that what is timed is the way to a kernel and back, not the kernel. Figures are
in units of a loop of plain Python and NumPy that is timed beside them, in turns: a slower machine
slows both. What else runs only adds time, so the least of many measurements is taken.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import tercet as tc

from ..backends import usable

BUDGET = "budget.json"
ROUNDS = 60
SECONDS = 2e-3  # of one measurement
ALLOWED = 2.0  # times what was measured when the budget was made

Function = Callable[[], Any]


def unit() -> None:
    """Some calls, attributes and small arrays, as a framework's own Python does."""
    for i in range(10):
        shape = (2, 2)
        out = np.zeros(shape, np.float32)
        np.add(out, out, out=out)
        entries = {"shape": out.shape, "dtype": out.dtype, "at": i}
        assert isinstance(entries["shape"], tuple)


def functions() -> dict[str, Function]:
    """What is timed, on the current backend, by name."""
    a, b = tc.ones(2, 2), tc.ones(2, 2)
    with_grad = tc.ones(2, 2).requires_grad_()
    layer = tc.layers.Dense(2, 2, activation="relu")
    model = tc.models.Sequential(
        [
            tc.layers.Dense(2, 2, activation="relu"),
            tc.layers.Dense(2, 2, activation="relu"),
            tc.layers.Dense(2, 2),
        ]
    )
    optimizer = tc.Adam(model.parameters())
    y = tc.tensor(np.array([0, 1]))

    def no_grad() -> Any:
        with tc.no_grad():
            return layer(a)

    def step() -> None:
        optimizer.zero_grad()
        tc.cross_entropy(model(a), y).backward()
        optimizer.step()

    return {
        "add": lambda: a + b,
        "add and its gradient": lambda: (with_grad + b).sum().backward(),
        "dense": lambda: layer(a),
        "dense without gradients": no_grad,
        "training step": step,
    }


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Time of each function, in units, by "backend: function"."""
    timed: dict[str, Function] = {}
    for backend in usable():
        with tc.use_backend(backend):
            for name, function in functions().items():
                timed[f"{backend}: {name}"] = function
    counts = {name: _calls(function) for name, function in timed.items()}
    least = dict.fromkeys(timed, float("inf"))
    unit_calls, least_unit = _calls(unit), float("inf")
    for _ in range(rounds):
        least_unit = min(least_unit, _timed(unit, unit_calls))
        for name, function in timed.items():
            least[name] = min(least[name], _timed(function, counts[name]))
    return {name: time / least_unit for name, time in least.items()}


def _calls(function: Function) -> int:
    """How many calls take SECONDS; the first ones warm up."""
    _timed(function, 5)
    return max(1, int(SECONDS / _timed(function, 5)))


def _timed(function: Function, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - began) / calls


def load() -> dict[str, float]:
    """The budget: the most that each function may take, in units."""
    content = json.loads((files(__package__) / BUDGET).read_text())
    return {name: ALLOWED * units for name, units in content.items()}


def main() -> None:
    measured = {name: round(units, 2) for name, units in measure().items()}
    (Path(__file__).parent / BUDGET).write_text(json.dumps(measured, indent=1) + "\n")
    json.dump(measured, sys.stdout, indent=1)


if __name__ == "__main__":
    main()

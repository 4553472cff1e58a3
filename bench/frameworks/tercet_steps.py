"""tercet itself: eager, captured (recorded kernels replayed), compiled (one native function)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tercet as tc

from ..cases import LR, TRAIN, Case, batch, weights
from ..job import Job

CAPTURE: dict[str, dict[str, Any]] = {"captured": {}, "compiled": {"compile": True}}


def build(case: Case, mode: str, threads: int) -> Job:
    """On the current backend."""
    backend = tc.get_backend()
    model = _model(case)
    inputs, classes = batch(case)
    x, y = tc.tensor(inputs), tc.tensor(classes)
    arguments: tuple[Any, ...] = (x, y)
    function = _training(model)
    if case.kind != TRAIN:
        arguments, function = (x,), model.eval()
    if mode in CAPTURE:
        function = tc.capture(function, **CAPTURE[mode])

    def run() -> Any:
        return function(*arguments)

    def infer() -> Any:
        with tc.no_grad():
            return function(*arguments)

    return Job(
        run if case.kind == TRAIN else infer,
        lambda result: np.asarray(result.numpy()),
        lambda result: backend.synchronize(),
        backend.memory_summary,
    )


def _model(case: Case) -> Any:
    last = len(case.layers) - 1
    model = tc.models.Sequential(
        [
            tc.layers.Dense(a, b, activation=None if i == last else case.activation)
            for i, (a, b) in enumerate(case.layers)
        ]
    )
    values = [array for layer in weights(case) for array in layer]
    model.load_state_dict(dict(zip(model.state_dict(), values, strict=True)))
    return model


def _training(model: Any) -> Any:
    optimizer = tc.Adam(model.parameters(), lr=LR)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = tc.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step

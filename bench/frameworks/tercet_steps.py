"""tercet itself: eager, captured (recorded kernels replayed), compiled (one native function)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tercet as tc

from ..cases import LR, TRAIN, Case, batch, weights
from ..job import Job, NotHere
from .tercet_networks import model_of

CAPTURE: dict[str, dict[str, Any]] = {"captured": {}, "compiled": {"compile": True}}


OTHER_NETWORKS = True


def build(case: Case, mode: str, threads: int, precision: str = "float32") -> Job:
    """On the current backend."""
    backend = tc.get_backend()
    if mode in CAPTURE and not backend.captures:
        raise NotHere(f"not captured yet: the {backend.name} backend does not capture steps")
    casting = in_precision(precision)
    model = _mlp(case) if case.network == "mlp" else model_of(case.network)
    inputs, classes = batch(case)
    x, y = tc.tensor(inputs), tc.tensor(classes)
    arguments: tuple[Any, ...] = (x, y)
    function = _training(model, casting)
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


def _mlp(case: Case) -> Any:
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


def in_precision(precision: str) -> AbstractContextManager[Any]:
    """What forward and loss stand in to be computed in a precision, on the current backend.

    tf32 is a switch of the backend's products, and stays on.
    """
    backend = tc.get_backend()
    if precision != "float32" and not backend.halves:
        raise NotHere(f"the {backend.name} backend has no {precision}")
    if precision == "tf32":
        backend.set_tf32(True)
    return nullcontext() if precision in ("float32", "tf32") else tc.autocast(precision)


def _training(model: Any, casting: AbstractContextManager[Any]) -> Any:
    optimizer = tc.Adam(model.parameters(), lr=LR)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        with casting:
            loss = tc.cross_entropy(model(x), y.flatten())
        loss.backward()
        optimizer.step()
        return loss

    return step

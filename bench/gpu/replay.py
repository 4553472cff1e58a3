"""Whether a captured step equals the same step in Python, bit for bit, on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import BenchmarkError
from ..job import NotHere
from .processes import Deadline, device, process, serve

STEPS = 12  # the first few are Python's, then recorded, then replayed
PRECISIONS = ("float32", "tf32", "bfloat16")


def run(simulate: bool, widths: tuple[int, ...], batch: int, deadline: Deadline) -> dict[str, Any]:
    """{precision: what was found}, of the precisions that tercet has."""
    found: dict[str, Any] = {}
    for precision in PRECISIONS:
        # A process each: a switch of the backend, once thrown, stays.
        with process("replay", simulate) as worker:
            arguments = {"widths": widths, "batch": batch, "precision": precision}
            try:
                found[precision] = worker.ask(deadline, "compare", **arguments)
            except NotHere as why:
                found[precision] = {"not_here": str(why)}
            except BenchmarkError as error:
                found[precision] = {"failed": str(error)}
    return found


def compare(widths: list[int], batch: int, precision: str) -> dict[str, Any]:
    """Losses and parameters of a multilayer perceptron with dropout and clipping, both ways."""
    import tercet as tc

    from ..frameworks.tercet_steps import in_precision

    if not tc.get_backend().captures:
        raise NotHere("not captured yet")
    rng = np.random.default_rng(0)
    xs = rng.standard_normal((STEPS, batch, widths[0]), np.float32)
    ys = rng.integers(0, widths[-1], (STEPS, batch))

    def train(captured: bool) -> tuple[np.ndarray, list[np.ndarray], int]:
        tc.seed(0)
        casting = in_precision(precision)
        model = tc.models.MLP(widths[-1], hidden=widths[1:-1], dropout=0.1).build(widths[:1])
        optimizer = tc.Adam(model.parameters(), lr=1e-3, clip_norm=1.0)

        def step(x: Any, y: Any) -> Any:
            tc.get_backend().random.advance()
            optimizer.zero_grad()
            with casting:
                loss = tc.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        function: Any = tc.capture(step) if captured else step
        losses = [function(tc.tensor(x), tc.tensor(y)).item() for x, y in zip(xs, ys, strict=True)]
        recordings = function.recordings if captured else []
        confirmed = sum(r.confirmed for r in recordings)
        return np.array(losses), [p.numpy() for p in model.parameters()], confirmed

    eager, expected, _ = train(captured=False)
    losses, parameters, recordings = train(captured=True)
    different = np.flatnonzero(losses != eager)
    off = [i for i, (a, b) in enumerate(zip(parameters, expected, strict=True)) if (a != b).any()]
    return {
        "equal": not (len(different) or off),
        "steps": STEPS,
        "replayed": recordings > 0,
        "first_different_step": int(different[0]) if len(different) else None,
        "different_parameters": off,
        "losses": losses.tolist(),
        "eager_losses": eager.tolist(),
    }


def functions(options: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    device(options["simulate"])
    return {"compare": compare}


if __name__ == "__main__":
    serve(functions)

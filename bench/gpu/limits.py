"""What the device can do at most, measured in the same run: copies, and products by precision."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from ...errors import BenchmarkError
from ..frameworks.tercet_steps import in_precision
from ..job import Job, NotHere
from ..worker import measure
from .processes import Deadline, device, process, serve
from .replay import PRECISIONS
from .scale import Scale


def run(scale: Scale, simulate: bool, deadline: Deadline) -> dict[str, Any]:
    """{"copy": bytes/s, "products": {precision: {who: flop/s, or why not}}}.

    Products are cuBLAS's in both cases: asked by tercet, and by PyTorch where it is installed.
    """
    found: dict[str, Any] = {"products": {p: {} for p in PRECISIONS}}
    askers = {"tercet": True} | ({"torch": False} if find_spec("torch") else {})
    for name, ours in askers.items():
        for precision in PRECISIONS:
            with process("limits", simulate, ours=ours, seconds=scale.seconds) as worker:
                if ours and "copy" not in found:
                    found["copy"] = worker.ask(deadline, "copy", size=scale.copied)
                try:
                    rate = worker.ask(deadline, "product", size=scale.square, precision=precision)
                except (NotHere, BenchmarkError) as why:
                    rate = str(why)
                found["products"][precision][name] = rate
    return found


def most(limits: dict[str, Any], precision: str) -> float | None:
    """flop/s of products at a precision, by whoever is faster; None where nobody has one."""
    rates = [r for r in limits["products"][precision].values() if isinstance(r, float)]
    return max(rates, default=None)


# --- In the processes ----------------------------------------------------------------------------


def functions(options: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    simulate, seconds = options["simulate"], options["seconds"]
    if not options["ours"]:
        return {
            "product": lambda size, precision: (
                2 * size**3 / measure(_torch_product(size, precision, simulate), seconds)
            )
        }
    backend: Any = device(simulate)
    runtime = backend.runtime

    def job(run: Callable[[], Any]) -> Job:
        return Job(run, np.asarray, lambda _: backend.synchronize())

    def copy(size: int) -> float:
        """The device's own copy: what is read and what is written, a second."""
        out, x = (backend.full((size // 4,), 1.0, np.dtype("float32")) for _ in range(2))
        stream, _ = runtime.streams()
        return 2 * size / measure(job(lambda: stream.copy(out, x)), seconds)

    def product(size: int, precision: str) -> float:
        in_precision(precision)
        dtype = "float32" if precision == "tf32" else precision
        a, b = (
            backend.ops.copy(backend.asarray(x), dtype=dtype)
            for x in np.random.default_rng(0).standard_normal((2, size, size), np.float32)
        )
        out = backend.empty(a.shape, a.dtype)
        return 2 * size**3 / measure(job(lambda: runtime.gemm(out, a, b)), seconds)

    return {"copy": copy, "product": product}


def _torch_product(size: int, precision: str, simulate: bool) -> Job:
    import torch

    if not simulate and not torch.cuda.is_available():
        raise NotHere(f"PyTorch {torch.__version__} finds no usable GPU")
    where = "cpu" if simulate else "cuda"
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(size, size, device=where).to(dtype) for _ in range(2))
    out = torch.empty(size, size, device=where, dtype=dtype)

    def wait(result: Any) -> None:
        if not simulate:
            torch.cuda.current_stream().synchronize()

    return Job(lambda: torch.mm(a, b, out=out), np.asarray, wait)


if __name__ == "__main__":
    serve(functions)

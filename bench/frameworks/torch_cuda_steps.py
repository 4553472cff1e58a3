"""PyTorch on a GPU at its best: fused Adam, the matrix precision that is asked for, autocast.

Eager, compiled, compiled with max-autotune, and one CUDA graph of the whole step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..cases import LR, Case, batch
from ..job import Job, NotHere
from .torch_networks import model_of as network_of
from .torch_steps import model_of

COMPILED = {"compiled": "default", "max-autotune": "max-autotune"}
GRAPH = "graph"
WARM_UPS = 3  # eager steps on a side stream before a capture, as PyTorch's manual has it


def build(case: Case, mode: str, precision: str, device: str) -> Job:
    """A training step on `device`: "cuda", or "cpu" where the run is a simulation."""
    if device != "cuda" and mode == GRAPH:
        raise NotHere("a CUDA graph needs a GPU")
    if device != "cuda" and mode in COMPILED:
        raise NotHere("compiling takes half a minute, for no figure that means anything")
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise NotHere(f"PyTorch {torch.__version__} finds no usable GPU")
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    mlp = case.network == "mlp"
    model = (model_of(torch, case) if mlp else network_of(torch, case.network)).to(device)
    inputs, classes = batch(case)
    x, y = torch.from_numpy(inputs).to(device), torch.from_numpy(classes).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True, capturable=mode == GRAPH)

    def loss_of(x: Any, y: Any) -> Any:
        # The copies of weights that autocast keeps must not outlive a capture.
        with torch.autocast(
            device, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=mode != GRAPH
        ):
            return torch.nn.functional.cross_entropy(model(x), y.flatten())

    forward = torch.compile(loss_of, mode=COMPILED[mode]) if mode in COMPILED else loss_of

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = forward(x, y)
        loss.backward()
        optimizer.step()
        return loss

    run = _graph(torch, model, optimizer, step) if mode == GRAPH else step

    def wait(result: Any) -> None:
        if device == "cuda":
            torch.cuda.current_stream().synchronize()

    def memory() -> str | None:
        if device != "cuda":
            return None
        return f"torch: {torch.cuda.max_memory_allocated() / 2**20:.1f} MiB at the peak"

    return Job(run, lambda loss: loss.detach().float().cpu().numpy(), wait, memory)


def _graph(torch: Any, model: Any, optimizer: Any, step: Callable[[], Any]) -> Callable[[], Any]:
    """The step as one CUDA graph, beginning from the case's weights."""
    values = [parameter.detach().clone() for parameter in model.parameters()]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(value)
        for state in optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()

    def run() -> Any:
        graph.replay()
        return loss

    return run


def launches(job: Job) -> int:
    """Kernels, copies and graphs that the host starts in one run."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        job.wait(job.run())
    names = [event.name for event in profiled.events()]
    started = sum(name.startswith(STARTS) for name in names)
    if torch.cuda.is_available() and not started:
        raise NotHere("PyTorch's profiler saw no launch")
    return started


STARTS = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cudaMemcpyAsync",
          "cudaMemsetAsync")  # fmt: skip

"""Convolutions and layer norms beside PyTorch's, one by one, forward and backward.

    python bench/layers.py [--rounds 5] [--seconds 0.2] [--threads N] [--out FILE.json]

tercet's kernels are called through `backend.ops` on the Numba backend, PyTorch's as its layers call
them, on images with channels second and with channels last: the faster of the two counts. Each runs
in a process of its own, in turns, on the same numbers; what they compute is compared before it is
timed. The table shows medians, and PyTorch's time over tercet's within each turn.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tercet.bench.job import Job
from tercet.bench.summary import paired_ratio, spread
from tercet.bench.turns import Worker, processors, take_turns

FRAMEWORKS = ("tercet", "torch", "torch, channels last")
PASSES = ("forward", "backward")
TOLERANCE = 1e-3  # of what a result adds up to, relative


@dataclass(frozen=True)
class Convolution:
    """n images of c channels, h x h, to k channels; windows of r x r."""

    n: int
    c: int
    k: int
    h: int
    r: int = 3
    stride: int = 1
    groups: int = 1

    @property
    def name(self) -> str:
        more = f" / {self.stride}" if self.stride > 1 else ""
        more += f" in {self.groups} groups" if self.groups > 1 else ""
        return f"{self.r}x{self.r}{more}, {self.n} x {self.c} to {self.k}, {self.h}x{self.h}"

    def arrays(self, rng: np.random.Generator) -> list[np.ndarray]:
        """x, weight, bias, and the gradient of the output."""
        pad = self.r // 2
        out = (self.h + 2 * pad - self.r) // self.stride + 1
        shapes = [
            (self.n, self.c, self.h, self.h),
            (self.k, self.c // self.groups, self.r, self.r),
            (self.k,),
            (self.n, self.k, out, out),
        ]
        return [rng.normal(size=shape).astype(np.float32) for shape in shapes]

    def tercet(self, backend: Any, arrays: list[np.ndarray]) -> dict[str, Callable[[], Any]]:
        x, weight, bias, dout = (backend.asarray(a) for a in arrays)
        pad = (self.r // 2,) * 2
        options: dict[str, Any] = {
            "stride": (self.stride,) * 2, "padding": (pad, pad), "dilation": (1, 1),
            "groups": self.groups, "activation": "identity", "alpha": 0.0,
        }  # fmt: skip
        needs, ops = (True, True, True), backend.ops
        return {
            "forward": lambda: ops.convolution_forward(x, weight, bias, **options),
            "backward": lambda: ops.convolution_backward(
                dout, x, weight, dout, needs=needs, **options
            ),
        }

    def torch(self, tensors: list[Any]) -> dict[str, Callable[[], Any]]:
        import torch

        x, weight, bias, dout = tensors
        stride, pad = [self.stride] * 2, [self.r // 2] * 2
        ops, needs = torch.ops.aten, [True] * 3
        return {
            "forward": lambda: torch.conv2d(x, weight, bias, stride, pad, 1, self.groups),
            "backward": lambda: ops.convolution_backward(
                dout, x, weight, [self.k], stride, pad, [1, 1], False, [0, 0], self.groups, needs
            ),
        }


@dataclass(frozen=True)
class LayerNorm:
    """Rows of some columns, with scale and shift."""

    rows: int
    columns: int

    @property
    def name(self) -> str:
        return f"LayerNorm {self.rows} x {self.columns}"

    def arrays(self, rng: np.random.Generator) -> list[np.ndarray]:
        """x, scale, shift, and the gradient of the output."""
        shape = self.rows, self.columns
        shapes = [shape, (self.columns,), (self.columns,), shape]
        return [rng.normal(size=shape).astype(np.float32) for shape in shapes]

    def tercet(self, backend: Any, arrays: list[np.ndarray]) -> dict[str, Callable[[], Any]]:
        x, scale, shift, dout = (backend.asarray(a) for a in arrays)
        options: dict[str, Any] = {"eps": 1e-5, "centered": True}
        stats = backend.ops.layer_norm_forward(x, None, scale, shift, **options)[-1]
        needs, ops = (True, True, True), backend.ops
        return {
            "forward": lambda: ops.layer_norm_forward(x, None, scale, shift, **options)[0],
            "backward": lambda: ops.layer_norm_backward(
                dout, None, x, stats, scale, needs=needs, **options
            ),
        }

    def torch(self, tensors: list[Any]) -> dict[str, Callable[[], Any]]:
        import torch

        x, scale, shift, dout = tensors
        sizes, ops = [self.columns], torch.ops.aten
        _, mean, rstd = torch.native_layer_norm(x, sizes, scale, shift, 1e-5)
        return {
            "forward": lambda: torch.native_layer_norm(x, sizes, scale, shift, 1e-5)[0],
            "backward": lambda: ops.native_layer_norm_backward(
                dout, x, sizes, mean, rstd, scale, shift, [True] * 3
            ),
        }


CASES: tuple[Convolution | LayerNorm, ...] = (
    Convolution(64, 1, 32, 28),
    Convolution(64, 32, 64, 28),
    Convolution(64, 64, 64, 14),
    Convolution(64, 128, 128, 7),
    Convolution(64, 64, 64, 4),
    Convolution(16, 256, 256, 14),
    Convolution(16, 512, 512, 7),
    Convolution(16, 64, 64, 56),
    Convolution(64, 32, 64, 28, stride=2),
    Convolution(8, 3, 64, 112, r=7, stride=2),
    Convolution(32, 96, 24, 28, r=1),
    Convolution(32, 160, 960, 7, r=1),
    Convolution(32, 144, 144, 28, groups=144),
    Convolution(32, 128, 128, 14, groups=32),
    LayerNorm(1024, 128),
    LayerNorm(1024, 256),
    LayerNorm(4096, 768),
)


def work(framework: str, threads: int) -> None:
    """Answer standard input with jobs of one framework."""
    from tercet.bench.worker import serve

    def build(content: dict[str, Any]) -> tuple[dict[str, Any], Job]:
        case, which = CASES[content["case"]], content["pass"]
        arrays = case.arrays(np.random.default_rng(0))
        if framework == "tercet":
            run = case.tercet(tc.get_backend("numba"), arrays)[which]
        else:
            tensors = [torch.from_numpy(a) for a in arrays]
            if framework.endswith("last"):
                last = {"memory_format": torch.channels_last}
                tensors = [t.contiguous(**last) if t.ndim == 4 else t for t in tensors]
            run = case.torch(tensors)[which]
        results = run()
        results = results if isinstance(results, tuple) else (results,)
        found = [np.asarray(r, np.float64) for r in results]
        return {"sums": [[float(r.sum()), float(np.abs(r).sum())] for r in found]}, Job(run, float)

    if framework == "tercet":
        import tercet as tc

        tc.set_num_threads(threads)
        serve(build)
    else:
        import torch

        torch.set_num_threads(threads)
        with torch.no_grad():
            serve(build)


def measure(rounds: int, seconds: float, threads: int) -> list[dict[str, Any]]:
    """A record for each layer and pass: seconds by framework."""
    workers: dict[str, Worker] = {}
    records: list[dict[str, Any]] = []
    try:
        for name in FRAMEWORKS:
            command = [sys.executable, __file__, "--worker", name, "--threads", str(threads)]
            workers[name] = Worker(command, threads)
        for i, case in enumerate(CASES):
            for which in PASSES:
                job = f"{case.name}, {which}"
                request = {"build": {"name": job, "case": i, "pass": which}}
                sums = {name: worker.ask(request)["sums"] for name, worker in workers.items()}
                check(job, sums)
                records.append({"name": job, "figures": {name: [] for name in FRAMEWORKS}})
        names = [record["name"] for record in records]
        timing = {"time": names, "seconds": seconds}
        for name, answer in take_turns(workers, dict.fromkeys(workers, timing), rounds):
            for record in records:
                record["figures"][name].append(answer["seconds"][record["name"]])
    finally:
        for worker in workers.values():
            worker.close()
    return records


def check(job: str, sums: dict[str, list[list[float]]]) -> None:
    """That all have computed the same."""
    ours = np.array(sums["tercet"])
    for name, theirs in sums.items():
        if not (np.abs(ours - np.array(theirs)) <= TOLERANCE * ours[:, 1:]).all():
            sys.exit(f"{job}: {name} does not compute what tercet does")


def report(records: list[dict[str, Any]]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("layer", "pass", "tercet ms", "torch ms", "torch over tercet", "spread")
    for record in records:
        figures = record["figures"]
        best = _best(figures)
        ratio = paired_ratio(figures[best], figures["tercet"])
        table.add_row(
            *record["name"].rsplit(", ", 1),
            f"{spread(figures['tercet']).median * 1e3:.3g}",
            f"{spread(figures[best]).median * 1e3:.3g}{' (last)' if best.endswith('last') else ''}",
            f"{ratio.median:.2f}",
            f"{ratio.low:.2f}-{ratio.high:.2f}",
        )
    Console(width=118).print(table)


def _best(figures: dict[str, list[float]]) -> str:
    """PyTorch's faster layout."""
    return min(FRAMEWORKS[1:], key=lambda name: spread(figures[name]).median)


def write(out: Path, records: list[dict[str, Any]], plan: dict[str, Any]) -> None:
    """The records as JSON, and a chart of them."""
    from tercet.bench.environment import environment
    from tercet.bench.svg import Dot, dot_chart, seconds, standalone

    content = {"environment": environment(plan["threads"]), "plan": plan, "layers": records}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + "\n")
    dots = []
    for record in records:
        for name in ("tercet", _best(record["figures"])):
            time = spread(record["figures"][name])
            label = f"tercet: {record['name']}" if name == "tercet" else name
            dots.append(Dot(label, time.median, time.low, time.high, seconds(time.median)))
    chart = dot_chart("Layers of tercet and of PyTorch, forward and backward", dots, left=420.0)
    out.with_suffix(".svg").write_text(standalone(chart))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a turn")
    parser.add_argument("--threads", type=int, default=len(processors()))
    parser.add_argument("--out", type=Path, help="a .json file; its plot goes beside it")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.threads)
        return
    plan = {k: getattr(options, k) for k in ("rounds", "seconds", "threads")}
    records = measure(**plan)
    report(records)
    if options.out:
        write(options.out, records, plan)


if __name__ == "__main__":
    main()

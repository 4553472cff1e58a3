"""Time of an epoch, by backend, beside PyTorch where it is installed.

    python bench/epochs.py [--data digits] [--batch-size 64] [--rounds 5] [--out FILE.json]

Every framework trains the same MLP (256 and 128 hidden units, AdamW) on the same data in a process
of its own; epochs are taken in turns, so that a change of the machine's speed meets all alike.
Reported: the import, the first epoch (with what is compiled or loaded for it), and the median of
the later epochs with their range. All start from the same weights, and the losses of their first
epochs are compared before any time is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

HIDDEN = (256, 128)
LR, DECAY = 1e-3, 1e-2
TOLERANCE = 1e-3  # of the first epoch's mean loss, relative, between frameworks


def worker(framework: str, data: str, batch_size: int) -> None:
    """Print import and first epoch as JSON, then an epoch's time for every line of input."""
    began = time.perf_counter()
    if framework == "torch":
        import torch  # noqa: F401
    import tercet as tc
    from tercet.data import load

    imported = time.perf_counter() - began
    source = load(data)
    make = torch_epoch if framework == "torch" else tercet_epoch
    tc.seed(0)
    with tc.use_backend("numpy" if framework == "torch" else framework):
        model = tc.models.MLP(source.num_classes, HIDDEN).build(source.x_train.shape[1:])
        epoch = make(model, source, batch_size)
        began = time.perf_counter()
        loss = epoch()
        first = time.perf_counter() - began
        print(json.dumps({"import": imported, "first": first, "loss": loss}), flush=True)
        for _ in sys.stdin:
            began = time.perf_counter()
            epoch()
            print(json.dumps(time.perf_counter() - began), flush=True)


def tercet_epoch(model: Any, source: Any, batch_size: int) -> Any:
    """A function that trains for an epoch and returns the mean loss."""
    import tercet as tc

    model.compile(tc.AdamW(lr=LR, weight_decay=DECAY), "cross_entropy")

    def epoch() -> float:
        options: dict[str, Any] = {"batch_size": batch_size, "shuffle": False, "verbose": 0}
        return float(model.fit(source.x_train, source.y_train, **options)["loss"][-1])

    return epoch


def torch_epoch(model: Any, source: Any, batch_size: int) -> Any:
    """The same in PyTorch, from the same weights: fused AdamW, tensors made once, sliced."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    state = list(model.state_dict().values())
    sizes = [state[0].shape[0], *(w.shape[1] for w in state[::2])]
    layers: list[Any] = [torch.nn.Flatten()]
    for a, b in pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for p, value in zip(net.parameters(), state, strict=True):
            p.copy_(torch.tensor(value.T))
    optimizer = torch.optim.AdamW(net.parameters(), LR, weight_decay=DECAY, fused=True)
    x, y = torch.tensor(source.x_train), torch.tensor(source.y_train)

    def epoch() -> float:
        total = torch.zeros(())
        for i in range(0, len(x), batch_size):
            optimizer.zero_grad()
            xb, yb = x[i : i + batch_size], y[i : i + batch_size]
            loss = torch.nn.functional.cross_entropy(net(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(xb)
        return float(total) / len(x)

    return epoch


def frameworks() -> list[str]:
    """What can be measured here."""
    from importlib.util import find_spec

    from tercet.backends import usable

    return [*usable(), *(["torch"] if find_spec("torch") else [])]


def measure(data: str, batch_size: int, rounds: int) -> dict[str, Any]:
    """Run every framework in turns; figures by framework."""
    from tercet.bench.turns import Worker, processors, take_turns

    workers, figures = {}, {}
    try:
        for name in frameworks():
            command = [sys.executable, __file__, "--worker", name, "--data", data]
            threads = len(processors())
            workers[name] = Worker([*command, "--batch-size", str(batch_size)], threads)
            figures[name] = workers[name].receive() | {"epochs": []}
        losses = {name: f["loss"] for name, f in figures.items()}
        if max(losses.values()) - min(losses.values()) > TOLERANCE * max(losses.values()):
            sys.exit(f"the frameworks do not train the same model: first losses {losses}")
        for name, seconds in take_turns(workers, dict.fromkeys(workers), rounds):
            figures[name]["epochs"].append(seconds)
    finally:
        for worker in workers.values():
            worker.close()
    return figures


def report(figures: dict[str, Any]) -> None:
    """Print the table; ratios are to the fastest."""
    from rich.console import Console
    from rich.table import Table

    medians = {name: statistics.median(f["epochs"]) for name, f in figures.items()}
    best = min(medians.values())
    table = Table("framework", "import s", "first epoch s", "epoch ms", "range ms", "ratio")
    for name, f in sorted(figures.items(), key=lambda item: medians[item[0]]):
        low, high = min(f["epochs"]) * 1e3, max(f["epochs"]) * 1e3
        table.add_row(
            name,
            f"{f['import']:.2f}",
            f"{f['first']:.2f}",
            f"{medians[name] * 1e3:.1f}",
            f"{low:.1f}-{high:.1f}",
            f"{medians[name] / best:.2f}",
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.data, options.batch_size)
        return
    figures = measure(options.data, options.batch_size, options.rounds)
    report(figures)
    if options.out:
        environment = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
        }
        content = {"options": vars(options) | {"out": str(options.out)}, "environment": environment}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(content | {"figures": figures}, indent=1))


if __name__ == "__main__":
    main()

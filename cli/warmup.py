"""`tercet warmup`: compile the Numba loops ahead of their first use."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any


def add_parser(commands: Any) -> None:
    """Declare the command."""
    p = commands.add_parser(
        "warmup",
        help="compile the Numba backend's loops ahead",
        description="Compile the loops of the Numba backend that multilayer perceptrons need, in "
        "float32, and keep them in Numba's disk cache. Later trainings start without a pause.",
    )
    p.add_argument(
        "--all", action="store_true", help="every kind of every op, in float32 and float64"
    )
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Compile, showing what; then say how much was compiled and how much was there already."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from ..backends import get_backend
    from ..backends.warming import tasks, warm_replays

    backend = get_backend("numba")
    from ..backends.compiling import announced

    began = time.perf_counter()
    work = list(tasks(options.all))
    compiled: list[str] = []
    cached = 0
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task("reading the cache", total=len(work))

        def say(what: str) -> None:
            compiled.append(what)
            progress.update(bar, description=f"compiling {what}", refresh=True)

        with announced(say):
            for task in work:
                before = len(compiled)
                task.run(backend)
                cached += len(compiled) == before
                progress.advance(bar)
            warm_replays()
    seconds = time.perf_counter() - began
    print(
        f"compiled {len(compiled)} loops in {seconds:.1f} s; "
        f"{cached} of {len(work)} ops had all theirs in the cache"
    )

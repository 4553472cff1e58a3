"""`tercet bench`: which backend is fastest here, and how it compares."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from ..errors import DataError
from .options import HelpFormatter, integer, names, number

LEAST_WIDTH = 132


def add_parser(commands: Any) -> None:
    """Declare the command."""
    from ..bench.turns import processors

    p = commands.add_parser(
        "bench",
        help="time training steps and inference on every backend, beside other frameworks",
        description="Time the same training steps and inferences on every usable backend. Every "
        "framework runs in a process of its own; the processes take turns; all have to compute "
        "the same before anything is timed.",
        formatter_class=HelpFormatter,
    )
    p.set_defaults(run=run)
    p.add_argument("--steps", type=names, help="what to time, by name, commas between (default: "
                   "all but large)")  # fmt: skip
    p.add_argument("--large", action="store_true", help="the large training step, too")
    p.add_argument("--ops", action="store_true", help="time the kernels instead of the steps")
    p.add_argument("--backends", type=names, default=[], help="those to time (default: all that "
                   "work here)")  # fmt: skip
    p.add_argument(
        "--peers", type=names, default=[], help="torch, jax, sklearn, thinc, onnxruntime; or all"
    )
    p.add_argument("--rounds", type=integer(1), default=3, help="turns of every framework")
    p.add_argument(
        "--seconds", type=number(0.0, open_low=True), default=0.05, help="length of a turn"
    )
    p.add_argument(
        "--threads", type=integer(1), default=len(processors()), help="threads of every framework"
    )
    p.add_argument("--read", help="show an earlier result, a .json file, instead of measuring")
    p.add_argument("--out", help="where to keep the result, a .json file; its plots go beside it")
    p.add_argument("--report", help="write tables and plots as one page, a .html file")
    p.add_argument("--markdown", help="write the tables into this .md file, between its markers")


def run(options: argparse.Namespace) -> None:
    """Measure or read, print the tables, write what is asked for."""
    from rich.console import Console

    from ..bench.document import fill
    from ..bench.report import page, setting, write_plots
    from ..bench.tables import tables, terminal

    results = _read(Path(options.read)) if options.read else _measure(options)
    # Where it does not fit, a terminal had better break lines than figures be left out.
    width = max(get_terminal_size().columns, LEAST_WIDTH)
    console = Console(highlight=False, markup=False, width=width)
    console.print(setting(results))
    for table in tables(results):
        console.print()
        console.print(terminal(table))
        for note in table.notes:
            console.print(f"  {note}")
    if options.out:
        out = Path(options.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=1) + "\n")
        write_plots(results, out.parent, out.stem)
    if options.report:
        Path(options.report).write_text(page(results))
    if options.markdown:
        fill(Path(options.markdown), results)


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from rich.console import Console

    from ..bench.cases import choose_steps
    from ..bench.measure import Plan
    from ..bench.suite import run as run_suite
    from ..bench.variants import choose_backends, choose_variants

    cases, sweeps = choose_steps(options.steps, options.large)
    if options.ops and not options.steps and not options.large:
        cases, sweeps = [], []
    plan = Plan(options.rounds, options.seconds, options.threads)
    backends = choose_backends(options.backends)
    variants = choose_variants(backends, options.peers)

    with Console(stderr=True, highlight=False, markup=False).status("") as status:
        return run_suite(
            cases, sweeps, backends if options.ops else [], variants, plan, status.update
        )


def _read(path: Path) -> dict[str, Any]:
    from ..bench.suite import FORMAT

    try:
        results = json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"{path} is not a result of tercet bench: {error}") from None
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise DataError(
            f"{path} is not a result of tercet bench: expected a .json file of format {FORMAT}, "
            "as --out writes it"
        )
    return results

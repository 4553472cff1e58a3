"""`tercet info`: versions, what each backend can do here, and why not."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("numpy", "numba", "llvmlite", "cupy-cuda12x", "cupy-cuda13x", "safetensors", "rich")


def add_parser(commands: Any) -> None:
    """Declare the command."""
    p = commands.add_parser(
        "info",
        help="versions, backends, and which op is fused where",
        description="Show versions, each backend (usable, or exactly why not), the GPU and its "
        "libraries, and for every op which implementation each usable backend runs.",
    )
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the report."""
    from rich.console import Console
    from rich.table import Table

    from .. import __version__
    from ..backends import PREFERENCE, choice, get_backend, problem, threads
    from ..kernels import FAMILY_OF, TABLE

    # Messages hold brackets: pip install "tercet[cuda12]".
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"tercet {__version__}, Python {platform.python_version()}, {_machine()}")
    console.print(", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name))))
    console.print()
    usable = []
    for name in PREFERENCE:
        why = problem(name)
        console.print(f"{name:6} {'usable' if why is None else f'not usable: {why}'}")
        if why is None:
            usable.append(get_backend(name))
            for line in usable[-1].description():
                console.print(f"       {line}")
    name, rule = choice()
    console.print(f"chosen: {name} ({rule})")
    if "numba" in (backend.name for backend in usable):
        of_loops = threads()
        console.print(f"threads of the numba loops: {of_loops.number} ({of_loops.reason})")
    for backend in usable:
        console.print(backend.memory_summary())
    console.print()
    table = Table("family", "op", *(b.name for b in usable), title="Implementations")
    for op in TABLE:
        table.add_row(FAMILY_OF[op], op, *(b.ops.source[op] for b in usable))
    console.print(table)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.system()} {platform.machine()}, {cores} cores"

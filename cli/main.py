"""The `tercet` command: reads the arguments, runs a command, turns errors into one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from ..errors import TercetError

FAILED = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(FAILED)


def build_parser() -> Parser:
    """The parser with all commands."""
    from . import bench, evaluate, generate, info, predict, train, warmup

    parser = Parser(
        prog="tercet",
        description="Train and use neural networks on NumPy, Numba or CuPy.",
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for module in (train, evaluate, predict, generate, info, bench, warmup):
        module.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = build_parser().parse_args(arguments)
    try:
        options.run(options)
        return 0
    except TercetError as error:
        print(f"tercet {options.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"tercet {options.command}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"tercet {options.command}: interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())

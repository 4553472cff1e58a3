"""Argument types and options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ..backends import PREFERENCE


def integer(least: int) -> Callable[[str], int]:
    """An argument type: an integer of at least `least`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected an integer >= {least}, found {text!r}")
        return value

    return convert


def number(
    low: float, high: float = float("inf"), open_low: bool = False
) -> Callable[[str], float]:
    """An argument type: a number in [low, high), or above `low` with `open_low`."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (low < value if open_low else low <= value) or not value < high:
            bounds = f"> {low:g}" if open_low else f">= {low:g}"
            top = "" if high == float("inf") else f" and < {high:g}"
            raise argparse.ArgumentTypeError(f"expected a number {bounds}{top}, found {text!r}")
        return value

    return convert


def widths(text: str) -> list[int]:
    """An argument type: layer widths separated by commas; empty for no hidden layer."""
    try:
        values = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        values = [0]
    if any(v < 1 for v in values):
        raise argparse.ArgumentTypeError(
            f"expected positive integers separated by commas, such as 256,128; found {text!r}"
        )
    return values


def names(text: str) -> list[str]:
    """An argument type: names separated by commas."""
    return [name for part in text.split(",") if (name := part.strip())]


class HelpFormatter(argparse.HelpFormatter):
    """Help that shows defaults where there are any, as they would be typed."""

    def _get_help_string(self, action: argparse.Action) -> str:
        default = action.default
        if default in (None, False, [], argparse.SUPPRESS):
            return action.help or ""
        text = ",".join(map(str, default)) if isinstance(default, list) else default
        return f"{action.help} (default: {text})"


def add_backend(parser: argparse.ArgumentParser) -> None:
    """--backend, for every command that computes."""
    parser.add_argument(
        "--backend",
        choices=sorted(PREFERENCE),
        help="where to compute; without it TERCET_BACKEND, else the best that works",
    )

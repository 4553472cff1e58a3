"""Medians, spreads, and ratios of rounds that were run side by side."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

ROUNDING = 1e-12  # of a fraction
MARGIN = 1.05  # times faster, to be called so


@dataclass(frozen=True)
class Spread:
    """The median of some figures, and the quartiles beside it."""

    median: float
    low: float
    high: float


def spread(figures: Sequence[float]) -> Spread:
    """Median and quartiles; the least and the largest where there are fewer than four figures.

    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.0, high=3.0)
    """
    if len(figures) < 4:
        return Spread(statistics.median(figures), min(figures), max(figures))
    low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
    return Spread(median, low, high)


def paired_ratio(figures: Sequence[float], baseline: Sequence[float]) -> Spread:
    """The ratio to a baseline, taken within each round.

    A round in which the whole machine was slow changes both and so not their ratio.

    >>> paired_ratio([2.0, 8.0, 4.0], [1.0, 4.0, 2.0]).median
    2.0
    """
    return spread([a / b for a, b in zip(figures, baseline, strict=True)])


@dataclass(frozen=True)
class Crossing:
    """Where, along x, `after` becomes faster than `before`, and the time of both there."""

    x: float
    y: float
    before: str
    after: str


def fastest_changes(xs: Sequence[float], curves: Mapping[str, Sequence[float]]) -> list[Crossing]:
    """Where the fastest of some curves of time changes; straight lines on two logarithmic axes.

    >>> [c] = fastest_changes([1, 100], {"a": [1.0, 100.0], "b": [10.0, 10.0]})
    >>> c.before, c.after, round(c.x, 6), round(c.y, 6)
    ('a', 'b', 10.0, 10.0)
    """
    logs = {name: [math.log(y) for y in ys] for name, ys in curves.items()}
    name = min(logs, key=lambda n: logs[n][:2])
    found: list[Crossing] = []
    for i in range(len(xs) - 1):
        at = 0.0  # as a fraction of this interval
        while meetings := _meetings(logs, name, i, at):
            at, after = min(meetings)
            x = math.log(xs[i]) + at * (math.log(xs[i + 1]) - math.log(xs[i]))
            y = logs[name][i] + at * (logs[name][i + 1] - logs[name][i])
            found.append(Crossing(math.exp(x), math.exp(y), name, after))
            name = after
    return found


def _meetings(
    logs: dict[str, list[float]], name: str, i: int, at: float
) -> list[tuple[float, str]]:
    """Where in interval i, from `at` on, other curves come below the curve `name`."""
    found = []
    for other, ys in logs.items():
        gap = ys[i] - logs[name][i]
        gain = gap - (ys[i + 1] - logs[name][i + 1])
        if other != name and gain > 0 and at - ROUNDING <= gap / gain < 1:
            found.append((max(at, gap / gain), other))
    return found


def lasting(
    changes: Sequence[Crossing], xs: Sequence[float], curves: Mapping[str, Sequence[float]]
) -> list[Crossing]:
    """The changes that bring MARGIN at some x before the next one; the others are noise."""
    found: list[Crossing] = []
    for i, change in enumerate(changes):
        before = found[-1].after if found else changes[0].before
        end = changes[i + 1].x if i + 1 < len(changes) else math.inf
        old, new = curves[before], curves[change.after]
        if any(
            change.x <= x <= end and a > MARGIN * b for x, a, b in zip(xs, old, new, strict=True)
        ):
            found.append(replace(change, before=before))
    return found

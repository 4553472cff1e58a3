"""Small charts as SVG: lines over two logarithmic axes, and dots with whiskers over one.

Colours follow the reader's light or dark setting. A chart refers to the classes of STYLE, which a
page holds once; `standalone` puts it into a file of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LIGHT = ("#0b62c4", "#c2410c", "#15803d", "#a21caf", "#0e7490", "#a16207", "#be123c", "#4b5563")
DARK = ("#6cb2ff", "#ff9a5c", "#5fd38a", "#e58df5", "#4fd0e0", "#e6c04a", "#ff8aa0", "#b0b8c4")
DASHES = ("", "6 4", "2 3")  # one more round of the colours each


def _colours(colours: Sequence[str]) -> str:
    return "".join(
        f".tc-s{i}{{stroke:{c};fill:none}}.tc-f{i}{{fill:{c}}}" for i, c in enumerate(colours)
    )


def _theme(page: str, ink: str, muted: str, grid: str, colours: Sequence[str]) -> str:
    return (
        f".tc-page{{fill:{page}}}.tc-text{{fill:{ink}}}.tc-muted{{fill:{muted}}}"
        f".tc-grid{{stroke:{grid}}}.tc-mark{{stroke:{ink};fill:{page}}}" + _colours(colours)
    )


STYLE = (
    ".tc-text,.tc-muted{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}"
    ".tc-title{font-size:14px;font-weight:600}"
    + _theme("#ffffff", "#1f2328", "#59636e", "#dde2e7", LIGHT)
    + "@media (prefers-color-scheme:dark){"
    + _theme("#14181d", "#e6e9ec", "#9aa4af", "#313941", DARK)
    + "}"
)


@dataclass(frozen=True)
class Line:
    """A named curve; its points have rising x and positive y."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Mark:
    """A point worth naming."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Dot:
    """A named figure with its spread."""

    name: str
    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Axis:
    """A logarithmic scale from `low` to `high` onto pixels `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + part * (self.end - self.start)


def ticks(low: float, high: float) -> list[float]:
    """Round values within [low, high]: powers of ten, with 2 and 5 times these where few fit.

    >>> ticks(0.5, 200), ticks(1, 9)
    ([1.0, 10.0, 100.0], [1.0, 2.0, 5.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if high / low >= 100 else (1, 2, 5)
    values = [s * 10.0**p for p in powers for s in steps]
    return [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]


def spread_out(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near those given, in the same order, at least `gap` apart and within [low, high].

    >>> spread_out([10, 12, 50], 10, 0, 100)
    [10, 20, 50]
    >>> spread_out([95, 99], 10, 0, 100)
    [90, 100]
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed = [max(low, min(high, positions[i])) for i in order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    limit = high
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    found = [0.0] * len(placed)
    for i, position in zip(order, placed, strict=True):
        found[i] = position
    return found


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, text: str, anchor: str = "start", css: str = "tc-text") -> str:
    return (
        f'<text class="{css}" x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _segment(x1: float, y1: float, x2: float, y2: float, css: str = "tc-grid") -> str:
    a, b, c, d = map(_number, (x1, y1, x2, y2))
    return f'<line class="{css}" x1="{a}" y1="{b}" x2="{c}" y2="{d}"/>'


def _frame(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_number(width)} {_number(height)}" '
        f'width="{_number(width)}" height="{_number(height)}" role="img">'
        f"<title>{escape(title)}</title>"
        f'<rect class="tc-page" width="{_number(width)}" height="{_number(height)}"/>'
        + _text(16, 24, title, css="tc-text tc-title")
        + "".join(parts)
        + "</svg>\n"
    )


def standalone(chart: str) -> str:
    """A chart with its style, for a file of its own."""
    return chart.replace("<title>", f"<style>{STYLE}</style><title>", 1)


def seconds(value: float) -> str:
    """A time in words.

    >>> seconds(2.5e-5), seconds(0.0123), seconds(3)
    ('25 us', '12.3 ms', '3 s')
    """
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= unit * 0.9995 or unit == 1e-6:
            return f"{value / unit:.3g} {name}"
    raise AssertionError


def line_chart(
    title: str, axis: str, values: Sequence[float], lines: Sequence[Line], marks: Sequence[Mark]
) -> str:
    """Times (seconds) over `axis`, ticked at `values`; each line's name stands at its end."""
    width, height, left, right, top, bottom = 780.0, 430.0, 66.0, 196.0, 44.0, 52.0
    times = [y for line in lines for _, y in line.points]
    x = Axis(min(values), max(values), left, width - right)
    y = Axis(min(times) / 1.25, max(times) * 1.25, height - bottom, top)
    parts = []
    for value in ticks(y.low, y.high):
        parts.append(_segment(left, y(value), width - right, y(value)))
        parts.append(_text(left - 8, y(value) + 4, seconds(value), "end", "tc-muted"))
    for value in values:
        parts.append(_segment(x(value), height - bottom, x(value), height - bottom + 5))
        parts.append(_text(x(value), height - bottom + 20, f"{value:g}", "middle", "tc-muted"))
    parts.append(_text((left + width - right) / 2, height - 12, axis, "middle", "tc-muted"))
    ends = [y(line.points[-1][1]) for line in lines]
    labels = spread_out(ends, 16, top, height - bottom)
    for i, (line, end, label) in enumerate(zip(lines, ends, labels, strict=True)):
        parts.append(_curve(line, i, x, y))
        at = x(line.points[-1][0])
        parts.append(_segment(at + 5, end, at + 18, label, f"tc-s{i % len(LIGHT)}"))
        parts.append(_text(at + 22, label + 4, line.name, css=f"tc-text tc-f{i % len(LIGHT)}"))
    for mark in marks:
        place = f'cx="{_number(x(mark.x))}" cy="{_number(y(mark.y))}"'
        parts.append(
            f'<circle class="tc-mark" stroke-width="1.5" {place} r="6">'
            f"<title>{escape(mark.text)}</title></circle>"
        )
        parts.append(_text(x(mark.x), y(mark.y) + 22, f"{mark.x:.3g}", "middle"))
    return _frame(title, width, height, parts)


def _curve(line: Line, index: int, x: Axis, y: Axis) -> str:
    colour, dash = index % len(LIGHT), DASHES[index // len(LIGHT) % len(DASHES)]
    points = [(_number(x(a)), _number(y(b))) for a, b in line.points]
    path = " ".join(f"{a},{b}" for a, b in points)
    dots = "".join(f'<circle class="tc-f{colour}" cx="{a}" cy="{b}" r="3"/>' for a, b in points)
    return (
        f'<polyline class="tc-s{colour}" stroke-width="2" stroke-dasharray="{dash}" '
        f'points="{path}"/>' + dots
    )


def dot_chart(title: str, dots: Sequence[Dot], left: float = 190.0) -> str:
    """A row a figure: its name, a dot on a logarithmic time axis, whiskers, and its text.

    `left`: the room for names, in pixels.
    """
    width, right, top, row = left + 590.0, 150.0, 44.0, 24.0
    bottom = top + row * len(dots)
    x = Axis(min(d.low for d in dots) / 1.25, max(d.high for d in dots) * 1.25, left, width - right)
    parts = []
    for value in ticks(x.low, x.high):
        parts.append(_segment(x(value), top, x(value), bottom))
        parts.append(_text(x(value), bottom + 18, seconds(value), "middle", "tc-muted"))
    for i, dot in enumerate(dots):
        at, ours = top + row * (i + 0.5), 0 if dot.name.startswith("tercet") else 1
        parts.append(_text(left - 12, at + 4, dot.name, "end"))
        whisker = _segment(x(dot.low), at, x(dot.high), at, f"tc-s{ours}")
        parts.append(whisker.replace("<line ", '<line stroke-width="2" '))
        place = f'cx="{_number(x(dot.value))}" cy="{_number(at)}"'
        parts.append(f'<circle class="tc-f{ours}" {place} r="5"/>')
        parts.append(_text(width - right + 12, at + 4, dot.text, css="tc-muted"))
    return _frame(title, width, bottom + 32, parts)

"""The tables of a result, for the terminal, for Markdown and for HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .limits import at_size
from .summary import Crossing, Spread, fastest_changes, lasting, paired_ratio, spread
from .svg import seconds
from .variants import HOST, PLAIN

OURS = "tercet"
NUMPY = "tercet numpy"
PROMISED = 1.3  # the NumPy backend's eager step over one written by hand
NONE = "-"


@dataclass(frozen=True)
class Table:
    """Rows of text under columns; the first column is left-aligned. Notes stand below, and details
    below them where there is room: not on the terminal."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    details: Sequence[str] = ()


def tables(results: dict[str, Any]) -> list[Table]:
    """All tables of a result."""
    found = [limits_table(results["limits"])]
    found += [step_table(record, results["limits"]) for record in results["steps"]]
    by_hand = numpy_table(results["steps"])
    if by_hand.rows:
        found.append(by_hand)
    found += [sweep_table(sweep) for sweep in results["sweeps"]]
    if results["ops"]:
        found.append(ops_table(results["ops"], results["limits"]))
    return found


def limits_table(limits: dict[str, Any]) -> Table:
    """The machine's own limits, to which the others are compared."""
    rows = [
        [f"sgemm, {threads} thread{'s' * (threads != '1')}", f"{rate / 1e9:.0f} GFLOP/s"]
        for threads, rate in limits["sgemm"].items()
    ]
    for row in limits["traffic"]:
        size = f"{size_text(row['bytes'])} of arrays"
        rows.append([size, f"copy {row['copy'] / 1e9:.0f} GB/s, add {row['add'] / 1e9:.0f} GB/s"])
    return Table("What this machine can do at most", ("limit", "measured"), rows)


def size_text(count: float) -> str:
    """Bytes in words.

    >>> size_text(128 * 1024), size_text(3.5 * 2**20), size_text(2**29)
    ('128 KiB', '3.5 MiB', '512 MiB')
    """
    if count < 2**20:
        return f"{count / 2**10:.3g} KiB"
    return f"{count / 2**20:.3g} MiB"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _width(figures: Spread) -> str:
    """How far the quartiles lie apart, relative to the median."""
    return _percent((figures.high - figures.low) / figures.median)


def fastest_of_ours(record: dict[str, Any]) -> str | None:
    """The name of tercet's fastest variant of a case."""
    ours = {n: f for n, f in record["figures"].items() if n.startswith(OURS)}
    if not ours:
        return None
    return min(ours, key=lambda name: spread(ours[name]["seconds"]).median)


def step_table(record: dict[str, Any], limits: dict[str, Any]) -> Table:
    """One case, its fastest first."""
    figures = record["figures"]
    best = fastest_of_ours(record)
    rows = []
    for name in sorted(figures, key=lambda n: spread(figures[n]["seconds"]).median):
        f = figures[name]
        time = spread(f["seconds"])
        ratio = NONE if best is None else _ratio(f["seconds"], figures[best]["seconds"])
        rows.append(
            [
                name,
                seconds(time.median),
                _width(time),
                ratio,
                *_rates(record, time.median, limits, f["host"]),
                f"{f['ready']:.2f} s",
                *_memory(f["memory"]),
            ]
        )
    columns = (
        "framework", "time", "spread", "ratio", "GFLOP/s", "GB/s", "ready", "memory", "peak"
    )  # fmt: skip
    notes = [f"{name}: left out, {why}" for name, why in record["left_out"].items()]
    own = ((name, f["memory"]["own"]) for name, f in figures.items())
    details = [f"memory of {name} by its own count: {text}" for name, text in own if text]
    return Table(record["title"], columns, rows, notes, details)


def _ratio(figures: Sequence[float], baseline: Sequence[float]) -> str:
    return f"{paired_ratio(figures, baseline).median:.2f}"


def _rates(record: dict[str, Any], time: float, limits: dict[str, Any], host: bool) -> list[str]:
    """Flops and bytes a second, each with its share of the machine's limit."""
    most = (sgemm(limits), at_size(limits["traffic"], record["working_set"]))
    rates = (record["flops"] / time, record["bytes"] / time)
    return [
        f"{rate / 1e9:.3g} ({_percent(rate / limit)})" if host else f"{rate / 1e9:.3g}"
        for rate, limit in zip(rates, most, strict=True)
    ]


def sgemm(limits: dict[str, Any]) -> float:
    """flop/s of products on all threads."""
    return float(max(limits["sgemm"].values()))


def _memory(memory: dict[str, Any]) -> tuple[str, str]:
    """The step's growth of the resident memory, and the process's peak."""
    before, after = memory["imported"], memory["after"]
    if not before or not after:
        return NONE, NONE
    return size_text(after["peak"] - before["now"]), size_text(after["peak"])


def numpy_table(records: Sequence[dict[str, Any]]) -> Table:
    """What the NumPy backend costs over the same step written by hand."""
    rows = []
    for record in records:
        figures = record["figures"]
        if NUMPY in figures and PLAIN.name in figures:
            ratio = paired_ratio(figures[NUMPY]["seconds"], figures[PLAIN.name]["seconds"])
            rows.append([record["title"], f"{ratio.median:.2f}", _width(ratio)])
    note = f"{PROMISED} is what the backend aims at; tiny steps are Python's own time."
    title = "The NumPy backend, over the same written by hand in NumPy"
    return Table(title, ("case", "ratio", "spread"), rows, [note])


def sweep_curves(sweep: dict[str, Any]) -> dict[str, list[float]]:
    """Median seconds at every value, of the variants that have all of them."""
    records = sweep["records"]
    names = [n for n in records[0]["figures"] if all(n in r["figures"] for r in records)]
    return {name: [spread(r["figures"][name]["seconds"]).median for r in records] for name in names}


def sweep_changes(sweep: dict[str, Any]) -> list[Crossing]:
    """Where the fastest of tercet's variants changes."""
    ours = {name: ys for name, ys in sweep_curves(sweep).items() if name.startswith(OURS)}
    if not ours:
        return []
    return lasting(fastest_changes(sweep["values"], ours), sweep["values"], ours)


def advice(sweep: dict[str, Any]) -> str:
    """Which of tercet's variants to use along a sweep."""
    ours = {name: ys for name, ys in sweep_curves(sweep).items() if name.startswith(OURS)}
    if not ours:
        return "nothing to compare"
    parts = [f"{min(ours, key=lambda name: ours[name][0])} is the fastest of tercet's"]
    for change in sweep_changes(sweep):
        parts.append(f"{change.after} from {sweep['axis']} {change.x:.3g} on")
    return ", ".join(parts) if len(parts) > 1 else f"{parts[0]} throughout"


def sweep_table(sweep: dict[str, Any]) -> Table:
    """Times along a sweep."""
    rows = [[name, *map(seconds, ys)] for name, ys in sweep_curves(sweep).items()]
    columns = (sweep["axis"], *(f"{value:g}" for value in sweep["values"]))
    left = {n: why for record in sweep["records"] for n, why in record["left_out"].items()}
    notes = [advice(sweep) + ".", *(f"{name}: left out, {why}" for name, why in left.items())]
    return Table(sweep["title"], columns, rows, notes)


def ops_table(records: Sequence[dict[str, Any]], limits: dict[str, Any]) -> Table:
    """Kernels: for every backend its time, rates, and the larger of its shares of the limits."""
    backends = list(records[0]["figures"])
    columns = ["kernel", "MB"]
    for backend in backends:
        columns += [backend, "GB/s", "GFLOP/s", "of limit"]
    rows = []
    for record in records:
        row = [record["name"], f"{record['bytes'] / 1e6:.2f}"]
        for backend in backends:
            time = spread(record["figures"][backend]).median
            flops, moved = record["flops"] / time, record["bytes"] / time
            share = max(flops / sgemm(limits), moved / at_size(limits["traffic"], record["bytes"]))
            row += [
                seconds(time),
                f"{moved / 1e9:.3g}",
                f"{flops / 1e9:.3g}" if flops else NONE,
                _percent(share) if backend in HOST else NONE,
            ]
        rows.append(row)
    return Table("Kernels", columns, rows)


def markdown(table: Table) -> str:
    """The table as Markdown."""
    head = [f"### {table.title}", "", "| " + " | ".join(table.columns) + " |"]
    rule = "|" + "|".join(["---"] + ["---:"] * (len(table.columns) - 1)) + "|"
    rows = ["| " + " | ".join(row) + " |" for row in table.rows]
    notes = [f"- {note}" for note in (*table.notes, *table.details)]
    return "\n".join([*head, rule, *rows, *([""] if notes else []), *notes, ""])


def html(table: Table) -> str:
    """The table as HTML."""

    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    notes = "".join(f"<li>{escape(note)}</li>" for note in (*table.notes, *table.details))
    return (
        f"<h2>{escape(table.title)}</h2><div class=scroll><table><thead>"
        + row(table.columns, "th")
        + "</thead><tbody>"
        + "".join(row(cells, "td") for cells in table.rows)
        + "</tbody></table></div>"
        + (f"<ul>{notes}</ul>" if notes else "")
    )


def terminal(table: Table) -> Any:
    """The table for rich."""
    from rich.box import SIMPLE
    from rich.table import Table as RichTable

    found = RichTable(title=table.title, title_justify="left", box=SIMPLE)
    for i, column in enumerate(table.columns):
        found.add_column(column, justify="right" if i else "left", no_wrap=True)
    for row in table.rows:
        found.add_row(*row)
    return found

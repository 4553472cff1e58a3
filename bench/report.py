"""A result's plots, and the page that shows tables and plots without anything from outside."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from .summary import spread
from .svg import STYLE, Dot, Line, Mark, dot_chart, line_chart, seconds, standalone
from .tables import Table, advice, html, sweep_changes, sweep_curves, tables

PAGE_STYLE = """
:root{color-scheme:light dark;
--ink:#1f2328;--muted:#59636e;--page:#fff;--line:#dde2e7;--row:#f6f8fa}
@media (prefers-color-scheme:dark){
:root{--ink:#e6e9ec;--muted:#9aa4af;--page:#14181d;--line:#313941;--row:#1b2027}}
body{margin:0 auto;padding:2rem 1.25rem;max-width:64rem;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2.25rem 0 .5rem}
p,li{max-width:48rem}.muted,ul{color:var(--muted)}ul{font-size:.85rem;padding-left:1.2rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;white-space:nowrap;
font-variant-numeric:tabular-nums}th,td{padding:.3rem .7rem;text-align:right;
border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left;
padding-left:.2rem}
tbody tr:nth-child(even){background:var(--row)}th{color:var(--muted);font-weight:600}
svg{max-width:100%;height:auto;display:block;margin:1rem 0}
"""

COLUMNS = {
    "time": "the median of all turns",
    "spread": "how far the quartiles of the turns lie apart, relative to the median",
    "ratio": "time over that of tercet's fastest variant, the median over rounds, in each of which "
    "both had a turn; above 1 is slower",
    "GFLOP/s": "matrix products alone, and their share of this machine's sgemm",
    "GB/s": "the arrays that a step has to read and write at least, and the share of what this "
    "machine moves (add) on a working set of that size",
    "ready": "making the model and six runs, with whatever is compiled or loaded for them",
    "memory": "how far the process's resident memory grew beyond what its imports took",
    "peak": "the most that the process held",
}


def plots(results: dict[str, Any]) -> dict[str, str]:
    """Charts by name: one a case, one a sweep."""
    found = {r["case"]["name"]: _case_chart(r) for r in results["steps"] if r["figures"]}
    return found | {sweep["name"]: _sweep_chart(sweep) for sweep in results["sweeps"]}


def _case_chart(record: dict[str, Any]) -> str:
    dots = []
    for name, f in record["figures"].items():
        time = spread(f["seconds"])
        dots.append(Dot(name, time.median, time.low, time.high, seconds(time.median)))
    return dot_chart(record["title"], sorted(dots, key=lambda dot: dot.value))


def _sweep_chart(sweep: dict[str, Any]) -> str:
    curves = sweep_curves(sweep)
    lines = [Line(name, list(zip(sweep["values"], ys, strict=True))) for name, ys in curves.items()]
    marks = [
        Mark(c.x, c.y, f"{c.after} becomes faster than {c.before} at {sweep['axis']} {c.x:.3g}")
        for c in sweep_changes(sweep)
    ]
    return line_chart(sweep["title"], sweep["axis"], sweep["values"], lines, marks)


def write_plots(results: dict[str, Any], folder: Path, stem: str) -> None:
    """Every chart as a file of its own."""
    for name, chart in plots(results).items():
        (folder / f"{stem}-{name}.svg").write_text(standalone(chart))


def page(results: dict[str, Any]) -> str:
    """The report."""
    charts = plots(results)
    by_title = {r["title"]: charts.get(r["case"]["name"], "") for r in results["steps"]}
    by_title |= {sweep["title"]: charts[sweep["name"]] for sweep in results["sweeps"]}
    parts = [html(table) + by_title.get(table.title, "") for table in _in_order(tables(results))]
    answers = "".join(
        f"<li>{escape(sweep['title'])}: {escape(advice(sweep))}.</li>"
        for sweep in results["sweeps"]
    )
    columns = "".join(
        f"<li><b>{name}</b>: {escape(meaning)}</li>" for name, meaning in COLUMNS.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>tercet bench</title><style>{PAGE_STYLE}{STYLE}</style></head><body>"
        f'<h1>tercet bench</h1><p class="muted">{escape(setting(results))}</p>'
        + (f"<h2>Which backend</h2><ul>{answers}</ul>" if answers else "")
        + "".join(parts)
        + f"<h2>The columns</h2><ul>{columns}</ul></body></html>\n"
    )


def _in_order(found: list[Table]) -> list[Table]:
    """The machine's limits last: the answer comes first."""
    return found[1:] + found[:1]


def setting(results: dict[str, Any]) -> str:
    """Where, when and with what the figures were taken, in one line."""
    e, plan = results["environment"], results["plan"]
    versions = ", ".join(f"{name} {version}" for name, version in e["versions"].items())
    return (
        f"{e['date']}: {e['cpu']}, {e['threads']} threads on {e['cores']} cores, {e['system']}, "
        f"Python {e['python']}, {versions}; {plan['rounds']} rounds"
    )

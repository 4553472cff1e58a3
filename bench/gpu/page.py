"""A result as a page of Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..summary import spread
from ..svg import seconds as in_words
from ..tables import NONE, Table, markdown
from .limits import most

HOST_BOUND = 0.8  # of a time that is the host's share from which on the kernel waits for it
TITLES = {
    "card": "The card",
    "limits": "What the device can do at most",
    "replay": "Captured steps against eager ones, bit for bit",
    "tests": "Tests on the device",
    "steps": "Training steps",
    "kernels": "Kernels",
    "sanitizer": "compute-sanitizer",
}


def page(result: dict[str, Any]) -> str:
    """Every part, in order; those that gave nothing say why."""
    environment = result["environment"]
    card = result["parts"]["card"].get("found", {})
    lines = [f"# {card.get('name', 'CUDA kernels on the CPU')}", ""]
    if result["simulated"]:
        lines += [f"**{result['simulated']}**", ""]
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    lines += [
        f"{environment['date']}, {environment['cpu']}, {environment['system']}, Python "
        f"{environment['python']}, {versions}; {result['minutes']:g} minutes in all.",
        "",
    ]
    for name, part in result["parts"].items():
        lines += [f"## {TITLES[name]}", ""]
        if part["status"] != "done":
            why = part.get("why", "what follows is what was found until then")
            lines += [f"{part['status'].capitalize()}: {why}.", ""]
        if "found" in part:
            lines += _PARTS[name](part["found"], _limits(result))
    return "\n".join(lines)


def _limits(result: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = result["parts"]["limits"].get("found")
    return found


def _card(found: dict[str, Any], limits: Any) -> Iterator[str]:
    for line in found["description"]:
        yield f"- {line}"
    yield ""


def _limits_table(found: dict[str, Any], _: Any) -> Iterator[str]:
    rows = [["copy in the device's memory", f"{found['copy'] / 1e9:.0f} GB/s"]]
    for precision, rates in found["products"].items():
        for who, rate in rates.items():
            text = f"{rate / 1e12:.3g} TFLOP/s" if isinstance(rate, float) else rate
            rows.append([f"products in {precision}, by {who}", text])
    yield markdown(Table("Limits", ("limit", "measured"), rows))


def _replay(found: dict[str, Any], _: Any) -> Iterator[str]:
    for precision, seen in found.items():
        if "not_here" in seen:
            yield f"- {precision}: {seen['not_here']}"
        elif "failed" in seen:
            yield f"- {precision}: **failed**: {seen['failed']}"
        elif not seen["replayed"]:
            yield f"- {precision}: **no step was replayed**, in {seen['steps']} steps"
        elif seen["equal"]:
            yield f"- {precision}: equal, losses and parameters, over {seen['steps']} steps"
        else:
            yield (
                f"- {precision}: **different**, first at step {seen['first_different_step']}; "
                f"parameters {seen['different_parameters']}"
            )
    yield ""


def _tests(found: dict[str, Any], _: Any) -> Iterator[str]:
    counts = ", ".join(f"{n} {what}" for what, n in found["counts"].items()) or "none ran"
    ended = "ended by the time" if found["status"] is None else f"status {found['status']}"
    yield f"{counts}; {ended}. {found['last']}"
    yield ""
    for failure in found["failures"]:
        yield f"- {failure}"
    yield ""


def _sanitizer(found: dict[str, Any], limits: Any) -> Iterator[str]:
    for tool, seen in found.items():
        errors = "no summary" if seen["errors"] is None else f"{seen['errors']} errors"
        yield f"{tool}: {errors}."
        yield from _tests(seen, limits)
        if seen["complaints"]:
            yield from ("```", *seen["complaints"], "```", "")


def _steps(found: list[dict[str, Any]], limits: dict[str, Any] | None) -> Iterator[str]:
    for record in found:
        yield markdown(_step_table(record, limits))


def _step_table(record: dict[str, Any], limits: dict[str, Any] | None) -> Table:
    rate = None if limits is None else most(limits, record["precision"])
    timed = {name: f for name, f in record["figures"].items() if f["seconds"]}
    rows = []
    for name in sorted(timed, key=lambda n: spread(timed[n]["seconds"]).median):
        f = timed[name]
        time = spread(f["seconds"])
        share = NONE if rate is None else f"{100 * record['flops'] / time.median / rate:.0f} %"
        launches = NONE if f["launches"] is None else str(f["launches"])
        rows.append(
            [name, in_words(time.median), f"{in_words(time.low)} to {in_words(time.high)}",
             in_words(f["host"]), launches, in_words(f["first_step"]), share]
        )  # fmt: skip
    notes = [f"{name}: left out, {why}" for name, why in record["left_out"].items()]
    notes += [f"{name}: **failed**, {why}" for name, why in record["failed"].items()]
    if record.get("different"):
        notes.append(f"**losses differ from the first one's**: {', '.join(record['different'])}")
    if "cut" in record:
        notes.append(f"cut short: {record['cut']}")
    columns = (
        "framework", "step", "quartiles", "host", "launches", "first step", "of products' limit"
    )  # fmt: skip
    return Table(f"{record['title']}, {record['precision']}", columns, rows, notes)


def _kernels(found: list[dict[str, Any]], limits: dict[str, Any] | None) -> Iterator[str]:
    rows, notes = [], []
    for record in found:
        title = f"{record['name']}, {record['precision']}"
        if "seconds" not in record:
            notes.append(f"{title}: {record.get('failed') or record.get('not_here')}")
            continue
        time = record["seconds"]
        share = _share(record, limits)
        rows.append(
            [title, in_words(time), f"{record['bytes'] / time / 1e9:.0f}",
             f"{record['flops'] / time / 1e12:.3g}" if record["flops"] else NONE,
             NONE if share is None else f"{100 * share:.0f} %", in_words(record["host"])]
        )  # fmt: skip
        if record["host"] > HOST_BOUND * time:
            notes.append(f"{title}: the host's time, not the kernel's")
    columns = ("kernel", "time", "GB/s", "TFLOP/s", "of limit", "host")
    yield markdown(Table("Share of the device's limits", columns, rows, notes))


def _share(record: dict[str, Any], limits: dict[str, Any] | None) -> float | None:
    """Of the rate of products where there are any, else of the bandwidth of a copy."""
    if limits is None:
        return None
    if not record["flops"]:
        return float(record["bytes"] / record["seconds"] / limits["copy"])
    rate = most(limits, record["precision"])
    return None if rate is None else float(record["flops"] / record["seconds"] / rate)


_PARTS: dict[str, Callable[[Any, Any], Iterator[str]]] = {
    "card": _card,
    "limits": _limits_table,
    "replay": _replay,
    "tests": _tests,
    "steps": _steps,
    "kernels": _kernels,
    "sanitizer": _sanitizer,
}

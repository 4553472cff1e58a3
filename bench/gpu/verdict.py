"""What a result says is wrong with tercet, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .steps import VARIANTS

OURS = {variant.name for variant in VARIANTS if variant.backend}


def problems(result: dict[str, Any]) -> list[str]:
    """Parts and cases that failed, results that differ; not what was left out or not run."""
    found = []
    for name, part in result["parts"].items():
        if part["status"] == "failed":
            found.append(f"{name}: {part['why']}")
        if name in _WRONG and "found" in part:
            found += [f"{name}: {text}" for text in _WRONG[name](part["found"])]
    return found


def _tests(found: dict[str, Any]) -> Iterator[str]:
    wrong = sum(found["counts"].get(result, 0) for result in ("failed", "error"))
    if wrong:
        yield f"{wrong} failed"
    # 0: all passed; 5: none was selected; None: the time was over.
    elif found["status"] not in (0, 5, None):
        yield f"pytest ended with status {found['status']}: {found['last']}"


def _sanitizer(found: dict[str, Any]) -> Iterator[str]:
    for tool, seen in found.items():
        if seen["errors"]:
            yield f"{tool} counted {seen['errors']} errors"


def _replay(found: dict[str, Any]) -> Iterator[str]:
    for precision, seen in found.items():
        if "failed" in seen:
            yield f"{precision}: {seen['failed']}"
        elif "not_here" not in seen and not seen["replayed"]:
            yield f"{precision}: no step was replayed"
        elif "not_here" not in seen and not seen["equal"]:
            yield f"{precision}: captured steps differ from eager ones"


def _steps(found: list[dict[str, Any]]) -> Iterator[str]:
    for record in found:
        title = f"{record['title']}, {record['precision']}"
        for name, why in record["failed"].items():
            if name in OURS:
                yield f"{title}: {name}: {why}"
        if record.get("different"):
            yield f"{title}: other losses than the first one's: {', '.join(record['different'])}"


def _kernels(found: list[dict[str, Any]]) -> Iterator[str]:
    for record in found:
        if "failed" in record:
            yield f"{record['name']}, {record['precision']}: {record['failed']}"


_WRONG: dict[str, Callable[[Any], Iterator[str]]] = {
    "tests": _tests,
    "sanitizer": _sanitizer,
    "replay": _replay,
    "steps": _steps,
    "kernels": _kernels,
}

"""See the package's docstring: python -m tercet.bench.gpu --help."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...backends import problem
from ...errors import BenchmarkError
from ..environment import environment
from ..job import NotHere
from ..turns import processors
from . import checks, kernels, limits, replay, steps
from .clone import clone
from .page import page
from .processes import Deadline, process
from .scale import GPU, MINIATURE, Scale
from .verdict import problems

WRONG, FAILED = 1, 2  # exit statuses: something computed or ran wrong; nothing could be run
FORMAT = 1
SIMULATED = "simulated: no time in it means anything"
FOLDER = (clone() or Path()) / "bench" / "results"
# Part, its title, its share of the time; what one leaves is for those after it.
SHARES = (
    ("card", "the card", 2),
    ("limits", "what the device can do at most", 6),
    ("replay", "captured steps against eager ones", 6),
    ("tests", "tests marked gpu", 13),
    ("steps", "training steps", 59),
    ("kernels", "kernels", 7),
    ("sanitizer", "kernels under compute-sanitizer", 7),
)
NOT_RUN = {"status": "not run", "why": "the run ended before"}


class Result:
    """What has been found so far, kept in two files that are written anew after every change."""

    def __init__(self, content: dict[str, Any], path: Path) -> None:
        self.content, self.path = content, path

    def write(self) -> None:
        text = json.dumps(self.content, indent=1) + "\n"
        for path, body in ((self.path, text), (self.path.with_suffix(".md"), page(self.content))):
            new = path.with_name(f".{path.name}.new")
            new.write_text(body)
            new.replace(path)

    def keep(self, part: str) -> Callable[[Any], None]:
        """What a part calls with what it has found so far."""

        def write(found: Any) -> None:
            self.content["parts"][part] = {"status": "running", "found": found}
            self.write()

        return write


def file_name(date: str, card: str) -> str:
    """The day and the card, in letters, digits and hyphens.

    >>> file_name("2026-01-02", "NVIDIA GeForce RTX 4090 (Laptop)")
    '2026-01-02-nvidia-geforce-rtx-4090-laptop'
    """
    return f"{date}-{re.sub(r'[^a-z0-9]+', '-', card.lower()).strip('-')}"


def free_path(folder: Path, name: str) -> Path:
    """A .json file of that name; a second one of a day gets a number."""
    path, number = folder / f"{name}.json", 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}.json"
    return path


def run(simulate: bool, seconds: float, folder: Path, say: Callable[[str], None]) -> Result:
    """Run every part."""
    deadline = Deadline(seconds)
    scale = MINIATURE if simulate else GPU
    card, first = _card(simulate, deadline)
    date = datetime.now(UTC).date().isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {name: NOT_RUN for name, _, _ in SHARES} | {"card": first}
    content = {
        "format": FORMAT,
        "simulated": SIMULATED if simulate else None,
        "environment": environment(len(processors())),
        "minutes": seconds / 60,
        "parts": parts,
    }
    result = Result(content, free_path(folder, file_name(date, card)))
    result.write()
    left = sum(share for _, _, share in SHARES[1:])
    for name, title, share in SHARES[1:]:
        say(f"{title}: {deadline.left:.0f} s left of {seconds:.0f}")
        part = Deadline(deadline.left * share / left)
        left -= share
        ended = _part(part, _work(name, scale, simulate, result))
        # What a part had found before it failed stays.
        kept = {k: v for k, v in parts[name].items() if k == "found"}
        parts[name] = kept | ended
        result.write()
    return result


def _card(simulate: bool, deadline: Deadline) -> tuple[str, dict[str, Any]]:
    """The card's name, for the file's, and the part that describes it."""
    if simulate:
        return "simulated", {"status": "not here", "why": "the simulation has no card"}

    def ask(part: Deadline) -> Any:
        with process("card", simulate) as worker:
            return worker.ask(part, "describe")

    found = _part(deadline, ask)
    return (found["found"]["name"] if "found" in found else "unknown card"), found


def _work(name: str, scale: Scale, simulate: bool, result: Result) -> Callable[[Deadline], Any]:
    case = scale.cases[0]
    work: dict[str, Callable[[Deadline], Any]] = {
        "limits": lambda part: limits.run(scale, simulate, part),
        "replay": lambda part: replay.run(simulate, case.widths, case.batch, part),
        "tests": lambda part: checks.run_tests(scale.tests, part),
        "steps": lambda part: steps.run(scale, simulate, part, result.keep("steps")),
        "kernels": lambda part: kernels.run(scale, simulate, part, result.keep("kernels")),
        "sanitizer": lambda part: checks.run_sanitizer(scale.checked, part),
    }
    return work[name]


def _part(deadline: Deadline, work: Callable[[Deadline], Any]) -> dict[str, Any]:
    """What a part found, or why it found nothing, and how long that took."""
    began = time.monotonic()
    try:
        found = {"status": "done", "found": work(deadline)}
    except NotHere as why:
        found = {"status": "not here", "why": str(why)}
    except BenchmarkError as error:
        found = {"status": "failed", "why": str(error)}
    except Exception as error:  # the other parts are worth as much without this one
        found = {"status": "failed", "why": f"{type(error).__name__}: {error}"}
    return found | {"seconds": time.monotonic() - began}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tercet.bench.gpu",
        description="Test and measure the CUDA path on this machine's GPU, and write a result file "
        "with a page beside it.",
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="all parts together (default 9)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the result goes")
    parser.add_argument(
        "--simulate", action="store_true", help="in miniature, on the CPU, to try the command"
    )
    options = parser.parse_args(arguments)
    why = None if options.simulate else problem("cupy")
    if why is not None:
        print(f"{parser.prog}: there is no GPU to measure: {why}", file=sys.stderr)
        return FAILED
    result = run(options.simulate, 60 * options.minutes, options.folder, _say)
    print(result.path)
    wrong = problems(result.content)
    for text in wrong:
        _say(text)
    return WRONG if wrong else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

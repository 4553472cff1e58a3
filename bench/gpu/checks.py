"""The tests that are marked `gpu`, and the tests of kernels under compute-sanitizer."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..job import NotHere
from .clone import clone
from .processes import Deadline

TOOLS = ("memcheck", "racecheck", "synccheck")
FOUND = 86  # compute-sanitizer's exit status if it found something
_RESULT = re.compile(r"^(tests/.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b", re.MULTILINE)
_SUMMARY = re.compile(r"^(?:FAILED|ERROR) tests/.*", re.MULTILINE)
_ERRORS = re.compile(r"ERROR SUMMARY: (\d+) error")
_COMPLAINT = re.compile(
    r"^=========     ?\S.*|^========= (?!COMPUTE|ERROR SUMMARY)\S.*", re.MULTILINE
)
MOST_LINES = 30


def run_tests(selection: Sequence[str], deadline: Deadline) -> dict[str, Any]:
    """Counts of what pytest said of the tests selected, and the failures."""
    text, status = _pytest(selection, deadline)
    return _counts(text, status)


def run_sanitizer(selection: Sequence[str], deadline: Deadline) -> dict[str, Any]:
    """The same under each tool of compute-sanitizer, with the errors that it found."""
    program = sanitizer()
    if program is None:
        raise NotHere("compute-sanitizer is not installed; it comes with the CUDA toolkit")
    found = {}
    for i, tool in enumerate(TOOLS):
        prefix = (program, "--tool", tool, "--target-processes", "all", "--error-exitcode",
                  str(FOUND))  # fmt: skip
        text, status = _pytest(selection, deadline.share(len(TOOLS) - i), prefix)
        totals = [int(n) for n in _ERRORS.findall(text)]
        found[tool] = _counts(text, status) | {
            "errors": max(totals, default=None),
            "complaints": _COMPLAINT.findall(text)[:MOST_LINES] if any(totals) else [],
        }
    return found


def sanitizer() -> str | None:
    """compute-sanitizer on the PATH, or in the toolkit's usual place."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    return shutil.which("compute-sanitizer") or shutil.which(
        "compute-sanitizer", path=f"{home}/bin"
    )


def _pytest(
    selection: Sequence[str], deadline: Deadline, prefix: Sequence[str] = ()
) -> tuple[str, int | None]:
    """What pytest printed, and its exit status; None if the time ended it."""
    root = clone()
    if root is None:
        raise NotHere("the installed package has no tests: run the command in a clone")
    command = [*prefix, sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *selection]
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command, cwd=root, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status: int | None = process.wait(deadline.left)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        return output.read(), status


def _counts(text: str, status: int | None) -> dict[str, Any]:
    counts = Counter(result.lower() for _, result in _RESULT.findall(text))
    failures = _SUMMARY.findall(text) or [
        f"{result} {name}"
        for name, result in _RESULT.findall(text)
        if result in ("FAILED", "ERROR")
    ]
    lines = text.strip().splitlines()
    return {
        "status": status,
        "counts": dict(counts),
        "failures": [line[:300] for line in failures[:MOST_LINES]],
        "last": lines[-1] if lines else "",
    }

"""Worker processes, and taking turns between them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import BenchmarkError

PAUSE = 0.3  # seconds before a turn, in which the threads of the one before stop spinning
# What tells each library how many threads to start. JAX's reads NPROC.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",
)


def processors() -> list[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class Worker:
    """A process that answers a line of JSON with a line of JSON.

    It sees as many processors as it is to have threads, and so do the libraries in it.
    """

    def __init__(self, command: Sequence[str], threads: int) -> None:
        mine = processors()[:threads]

        def restrict() -> None:
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, mine)

        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `close`)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | {name: str(threads) for name in THREAD_VARIABLES},
            preexec_fn=restrict,
        )

    def send(self, request: Any) -> None:
        """Hand it a request; `receive` waits for the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._died()

    def receive(self, seconds: float | None = None) -> Any:
        """The next answer; a process that gives none within so many seconds is ended."""
        assert self._process.stdout is not None
        if seconds is not None:
            ready, _, _ = select.select([self._process.stdout], [], [], max(seconds, 0.0))
            if not ready:
                self._process.kill()
                self._process.wait()
                raise BenchmarkError(f"no answer within {seconds:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            self._died()
        return json.loads(line)

    def ask(self, request: Any, seconds: float | None = None) -> Any:
        """The answer to a request."""
        self.send(request)
        return self.receive(seconds)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def _died(self) -> None:
        self._process.wait()
        self._errors.seek(0)
        lines = [line for line in self._errors.read().splitlines() if line.strip()]
        raise BenchmarkError(lines[-1] if lines else "the process ended without a word")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def take_turns(
    workers: Mapping[str, Worker], requests: Mapping[str, Any], rounds: int
) -> Iterator[tuple[str, Any]]:
    """(name, answer to its request) of every worker in every round.

    Each round begins with another worker, so that none always follows the same one.
    """
    names = list(workers)
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            time.sleep(PAUSE)
            yield name, workers[name].ask(requests[name])

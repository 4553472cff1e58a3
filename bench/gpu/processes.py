"""Processes that work for the run: started by it, asked within a time, ended by it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ... import backends
from ...backends import Backend
from ...errors import BenchmarkError
from ..job import NotHere
from ..turns import Worker, processors

# What compilers keep on disk; every process begins with none of it.
CACHES = ("CUPY_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")


class Deadline:
    """A moment by which something has to be done."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def share(self, parts: int) -> Deadline:
        """A deadline for the first of so many parts of equal length."""
        return Deadline(self.left / parts)


class Process:
    """`python -m tercet.bench.gpu.<module> options`, which serves the functions of that module."""

    def __init__(self, module: str, simulate: bool, **options: Any) -> None:
        self._caches = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [sys.executable, "-m", f"{__package__}.{module}"]
        content = json.dumps({"simulate": simulate, "caches": self._caches.name} | options)
        self._worker = Worker([*command, content], len(processors()))

    def send(self, do: str, **arguments: Any) -> None:
        self._worker.send({"do": do, "with": arguments})

    def receive(self, deadline: Deadline) -> Any:
        """What the function returned; raises NotHere where the process says so.

        Raises BenchmarkError if the function failed or the process ended, or was ended at the
        deadline.
        """
        answer = self._worker.receive(deadline.left)
        if "not_here" in answer:
            raise NotHere(answer["not_here"])
        if "failed" in answer:
            raise BenchmarkError(answer["failed"])
        return answer["result"]

    def ask(self, deadline: Deadline, do: str, **arguments: Any) -> Any:
        """`receive` after `send`."""
        self.send(do, **arguments)
        return self.receive(deadline)

    @property
    def alive(self) -> bool:
        return self._worker.alive

    def close(self) -> None:
        self._worker.close()
        self._caches.cleanup()


@contextmanager
def process(module: str, simulate: bool, **options: Any) -> Iterator[Process]:
    """A Process that is ended with the block."""
    made = Process(module, simulate, **options)
    try:
        yield made
    finally:
        made.close()


def device(simulate: bool) -> Backend:
    """tercet's backend on the GPU, current from here on; or on the simulation of one."""
    if simulate:
        from ...backends.cuda_simulation import SimulatedRuntime
        from ...backends.cupy_backend import CupyBackend

        backends._made["cupy"] = CupyBackend(runtime=SimulatedRuntime())
    os.environ["TERCET_BACKEND"] = "cupy"
    return backends.get_backend()


def serve(make: Callable[[dict[str, Any]], dict[str, Callable[..., Any]]]) -> None:
    """Answer standard input line by line with what the functions that `make` gives return.

    A function that fails is an answer; what libraries print is not.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    options = json.loads(sys.argv[1])
    for name in CACHES:
        os.environ[name] = os.path.join(options["caches"], name)
    functions: dict[str, Callable[..., Any]] | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if functions is None:
                functions = make(options)
            answer = {"result": functions[request["do"]](**request["with"])}
        except NotHere as why:
            answer = {"not_here": str(why)}
        except Exception as error:  # whatever a framework raises belongs into the result
            text = " ".join(str(error).split())
            answer = {"failed": f"{type(error).__name__}: {text[:500]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

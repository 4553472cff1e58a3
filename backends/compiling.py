"""Says which loop Numba is compiling, so that a first run's pauses have a name.

On a terminal a line appears once compiling has taken a second, and after every further second of
it: many small loops, one after another, make one long pause. With the environment variable
TERCET_VERBOSE set every loop has its line. Numba tells its listeners of a compilation only when the
disk cache has nothing to load.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from numba.core import event, types

PATIENCE = 1.0  # seconds


class Announcer(event.Listener):  # type: ignore[misc,unused-ignore]
    """Calls say(what) when one of tercet's loops is compiled, after `patience` seconds of that.

    What is compiled into a loop counts as part of it.
    """

    def __init__(self, say: Callable[[str], None], patience: float = 0.0) -> None:
        self._say, self._patience = say, patience
        self._waited = 0.0

    def on_start(self, event: Any) -> None:
        function = event.data["dispatcher"].py_func
        if getattr(function, "is_loop", False):
            if self._waited >= self._patience:
                self._say(describe(function.__name__, event.data["args"]))
                self._waited = 0.0
            self._began = time.perf_counter()

    def on_end(self, event: Any) -> None:
        if getattr(event.data["dispatcher"].py_func, "is_loop", False):
            self._waited += time.perf_counter() - self._began


def describe(name: str, arguments: tuple[Any, ...]) -> str:
    """A loop of this name and of arguments of these Numba types, in words."""
    dtypes = [a.dtype for a in arguments if isinstance(a, types.Array)]
    return name.lstrip("_") + (f" for {dtypes[0]}" if dtypes else "")


def announced(say: Callable[[str], None]) -> AbstractContextManager[Any]:
    """Within the block, say(what) is called for every loop that is compiled."""
    context: AbstractContextManager[Any] = event.install_listener("numba:compile", Announcer(say))
    return context


def announce() -> None:
    """Begin to announce on stderr, if anyone would read it; the second call changes nothing."""
    global _announcer
    verbose = bool(os.environ.get("TERCET_VERBOSE"))
    if _announcer is None and (verbose or sys.stderr.isatty()):
        _announcer = Announcer(_print, 0.0 if verbose else PATIENCE)
        event.register("numba:compile", _announcer)


def _print(what: str) -> None:
    line = f"tercet: compiling {what} (once; kept in the disk cache)"
    print(line, file=sys.stderr, flush=True)


_announcer: Announcer | None = None

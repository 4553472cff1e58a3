"""Says on stderr which loop Numba is compiling, so that a first run's pauses have a name.

One line a loop, only when stderr is a terminal or the environment variable TERCET_VERBOSE is set.
Numba tells its listeners of a compilation only when the disk cache has nothing to load.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from numba.core import event, types


class Announcer(event.Listener):  # type: ignore[misc,unused-ignore]
    """Announces tercet's own loops; not the functions that are compiled into them."""

    def on_start(self, event: Any) -> None:
        function = event.data["dispatcher"].py_func
        if getattr(function, "is_loop", False):
            print(message(function.__name__, event.data["args"]), file=sys.stderr, flush=True)

    def on_end(self, event: Any) -> None:
        pass


def message(name: str, arguments: tuple[Any, ...]) -> str:
    """The line for a loop of this name and of arguments of these Numba types."""
    dtypes = [a.dtype for a in arguments if isinstance(a, types.Array)]
    of = f" for {dtypes[0]}" if dtypes else ""
    return f"tercet: compiling {name.lstrip('_')}{of} (once; kept in the disk cache)"


def announce() -> None:
    """Begin to announce, if anyone would read it; the second call changes nothing."""
    global _announcer
    if _announcer is None and (sys.stderr.isatty() or os.environ.get("TERCET_VERBOSE")):
        _announcer = Announcer()
        event.register("numba:compile", _announcer)


_announcer: Announcer | None = None

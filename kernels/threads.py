"""How many threads the Numba loops use, by which rule, and how they wait for one another.

The number, in this order: `set_num_threads`; the environment variables TERCET_NUM_THREADS,
OMP_NUM_THREADS and NUMBA_NUM_THREADS; the cores that the process may use or its container's limit
of CPU time, whichever is smaller. It holds for the whole process, and for tercet's loops only:
NumPy's own threads and `numba.set_num_threads` are left alone.

The loops run on Numba's pool, whose size is fixed when Numba is imported. `prepare_pool` asks for
the right size before that; where the program has imported Numba first, the pool is a limit.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import OptionError

VARIABLES = ("TERCET_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
# GNU OpenMP's threads spin for milliseconds when they wait. Where another program wants the cores,
# a thread then spins while the one that it waits for has none, and a step of half a millisecond
# takes fifty. So they go to sleep after as many spins as GNU OpenMP itself allows where it knows
# that there are more threads than cores: some 20 us, the time between the loops of a step.
SPINS = "1000"


@dataclass(frozen=True)
class Threads:
    """A number of threads and the rule that it comes from."""

    number: int
    reason: str


_set: Threads | None = None
_settled: Threads | None = None
_forked = False


def get_num_threads() -> int:
    """The number of threads on which the Numba backend runs large loops.

    >>> get_num_threads() >= 1
    True
    """
    return threads().number


def set_num_threads(number: int) -> None:
    """Run the Numba backend's loops on `number` threads from now on, in the whole process.

    The limit is the size of Numba's pool, which is fixed once the backend has been used. Equal
    results bit for bit need equal numbers of threads.

    Raises OptionError if `number` is no integer from 1 to that limit.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _set, _settled
    limit = _limit()
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not whole or number < 1 or (limit is not None and number > limit.number):
        most = "" if limit is None else f" to {limit.number} ({limit.reason})"
        raise OptionError(
            f"set_num_threads: expected an integer from 1{most}, found {number!r}. For more "
            "threads, set the environment variable TERCET_NUM_THREADS before the program starts"
        )
    _set, _settled = Threads(number, "set_num_threads"), None


def threads() -> Threads:
    """The number of threads of the loops and the rule that it comes from."""
    global _settled
    if _settled is None:
        limit, found = _limit(), _set or by_environment() or by_machine()
        if limit is None:
            return found
        if found.number > limit.number:
            found = Threads(limit.number, f"{limit.reason}; {found.reason}: {found.number}")
        _settled = found
    return _settled


def prepare_pool() -> None:
    """Give Numba's pool its size and its way of waiting; to be called before Numba is imported."""
    if "numba" not in sys.modules:
        # As large as the environment asks for, even if the loops are to use fewer threads now.
        own = os.environ.get("NUMBA_NUM_THREADS")
        sizes = [threads().number, (by_environment() or by_machine()).number]
        size = max(sizes + ([_positive("NUMBA_NUM_THREADS", own)] if own else []))
        # Said only where Numba would not find it: programs that this one starts see it, too.
        if size != (int(own) if own else _cores()):
            os.environ["NUMBA_NUM_THREADS"] = str(size)
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


def by_environment() -> Threads | None:
    """What the first of VARIABLES that is set says."""
    for name in VARIABLES:
        if text := os.environ.get(name):
            # OpenMP's variable may go on with numbers for nested regions.
            first = text.split(",")[0] if name == "OMP_NUM_THREADS" else text
            return Threads(_positive(name, first), f"the environment variable {name}")
    return None


def by_machine() -> Threads:
    """The cores that the process may use, or its container's limit if that is smaller."""
    cores, limit = _cores(), container_limit()
    if limit is not None and limit < cores:
        return Threads(limit, "the container's limit of CPU time")
    return Threads(cores, "the cores that this process may use")


def container_limit(root: Path = Path("/")) -> int | None:
    """The cores' worth of time that the control groups of this process allow, rounded up.

    `root` is where /proc and /sys are found. See the Linux kernel's documentation of cpu.max
    (cgroup v2) and of cpu.cfs_quota_us and cpu.cfs_period_us (cgroup v1).
    """
    limits = list(_quotas(root))
    return max(1, math.ceil(min(limits))) if limits else None


def _quotas(root: Path) -> Iterator[float]:
    mounts = root / "sys/fs/cgroup"
    for line in _words(root / "proc/self/cgroup", "\n"):
        number, controllers, path = line.split(":", 2)
        if number == "0":
            hierarchies = [mounts, mounts / "unified"]
        elif "cpu" in controllers.split(","):
            hierarchies = [mounts / controllers, mounts / "cpu"]
        else:
            continue
        # A container may see its own group where the path's beginning would be: each group up to
        # the top is tried, and those that are not there say nothing.
        group = PurePosixPath("/", path)
        for hierarchy in hierarchies:
            for each in (group, *group.parents):
                folder = hierarchy / each.relative_to("/")
                quota = _words(folder / "cpu.max") or [
                    *_words(folder / "cpu.cfs_quota_us"),
                    *_words(folder / "cpu.cfs_period_us"),
                ]
                if len(quota) == 2 and quota[0] not in ("max", "-1"):
                    yield int(quota[0]) / int(quota[1])


def _words(file: Path, separator: str | None = None) -> list[str]:
    try:
        return [word for word in file.read_text().split(separator) if word]
    except OSError:
        return []


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _positive(name: str, text: str) -> int:
    number = int(text) if text.strip().isdecimal() else 0
    if number < 1:
        raise OptionError(
            f"the environment variable {name} is the number of threads: expected an integer >= 1, "
            f"found {text!r}. Correct it, or unset it to use all cores"
        )
    return number


def _limit() -> Threads | None:
    """The most threads that the loops can have, once that is known."""
    if _forked:
        return Threads(1, "this process was forked when the threads had started")
    numba: Any = sys.modules.get("numba")
    if numba is None:
        return None
    return Threads(numba.config.NUMBA_NUM_THREADS, "the size of Numba's pool")


def _after_fork() -> None:
    """GNU OpenMP ends a forked process that starts threads: the loops run on one there."""
    global _forked, _settled
    numba: Any = sys.modules.get("numba")
    if numba is None:
        return
    try:
        started = numba.threading_layer()
    except ValueError:  # no thread has been started yet: the child may start its own
        return
    if started == "omp":
        _forked, _settled = True, None

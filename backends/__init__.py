"""Backends: where arrays live and which code computes each op; which one is used, and why.

The choice, in this order: an explicit argument; a `with use_backend("numba"):` block; the
environment variable TERCET_BACKEND; the best that works here (cupy with a GPU, numba, numpy).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from importlib.util import find_spec

from ..errors import BackendError, OptionError, choose
from ..kernels import threads as loop_threads
from ..kernels.spec import Array
from ..kernels.threads import Threads, get_num_threads, threads
from .backend import Backend, DType
from .generator import Generator
from .recording import changed

PREFERENCE = ("cupy", "numba", "numpy")
_CLASSES = {
    "numpy": (".numpy_backend", "NumpyBackend"),
    "numba": (".numba_backend", "NumbaBackend"),
    "cupy": (".cupy_backend", "CupyBackend"),
}

_made: dict[str, Backend] = {}
_chosen: ContextVar[str | None] = ContextVar("tercet_backend", default=None)
_seed = 0


def _numba_problem() -> str | None:
    if find_spec("numba") is None:
        return "the package numba is not installed; run: pip install numba"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return "the environment variable NUMBA_DISABLE_JIT turns Numba's compiler off; unset it"
    return None


def _cupy_problem() -> str | None:
    from .cupy_backend import problem

    return problem()


_PROBLEMS: dict[str, Callable[[], str | None]] = {
    "numpy": lambda: None,
    "numba": _numba_problem,
    "cupy": _cupy_problem,
}


def problem(name: str) -> str | None:
    """Why the backend `name` cannot be used here, or None if it can."""
    if name not in _PROBLEMS:
        raise BackendError(choose("backend", name, PREFERENCE))
    return _PROBLEMS[name]()


def usable() -> list[str]:
    """The backends that work here, best first."""
    return [name for name in PREFERENCE if problem(name) is None]


def get_backend(name: str | Backend | None = None) -> Backend:
    """The backend called `name`, made once; without a name, the current one.

    >>> get_backend("numpy").name
    'numpy'
    """
    if isinstance(name, Backend):
        return name
    if name is None:
        name = current_name()
    backend = _made.get(name)
    if backend is None:
        why = problem(name)
        if why is not None:
            raise BackendError(
                f"the {name} backend cannot be used here: {why}. Usable: {', '.join(usable())}"
            )
        module, cls = _CLASSES[name]
        backend = _made[name] = getattr(import_module(module, __name__), cls)(_seed)
    return backend


def current_name() -> str:
    """The name of the backend that is used where none is given, and by which rule."""
    return choice()[0]


def choice() -> tuple[str, str]:
    """The current backend's name and the rule that chose it."""
    chosen = _chosen.get()
    if chosen is not None:
        return chosen, "the enclosing use_backend block"
    environment = os.environ.get("TERCET_BACKEND")
    if environment:
        if environment not in PREFERENCE:
            raise BackendError(f"TERCET_BACKEND: {choose('backend', environment, PREFERENCE)}")
        return environment, "the environment variable TERCET_BACKEND"
    return _best(), "the best that works here"


def _best() -> str:
    global _best_name
    if _best_name is None:
        _best_name = usable()[0]
    return _best_name


_best_name: str | None = None


@contextmanager
def use_backend(name: str) -> Iterator[Backend]:
    """Use the backend `name` for what is made inside the block.

    >>> with use_backend("numpy") as backend:
    ...     get_backend() is backend
    True
    """
    backend = get_backend(name)
    token = _chosen.set(name)
    try:
        yield backend
    finally:
        _chosen.reset(token)


def memory_summary() -> str:
    """The memory of every backend used so far, a line each: in use, held for reuse, the peak.

    Arrays below 64 KiB outside captured steps are not counted: they come from the system.

    >>> with use_backend("numpy"):
    ...     print("MiB of pooled arrays in use" in memory_summary())
    True
    """
    return "\n".join(backend.memory_summary() for backend in _made.values())


def set_memory_limit(limit: int | None, backend: str | Backend | None = None) -> None:
    """Let a backend's arrays take at most `limit` bytes; None for as many as there are.

    An array beyond it raises OutOfMemoryError. Arrays below 64 KiB outside captured steps do not
    count.

    >>> set_memory_limit(2**30, "numpy"); set_memory_limit(None, "numpy")
    """
    if limit is not None and limit < 1:
        raise OptionError(f"set_memory_limit: expected a number of bytes or None, found {limit}")
    get_backend(backend).set_memory_limit(limit)


def set_num_threads(number: int) -> None:
    loop_threads.set_num_threads(number)
    changed()  # recorded steps know their numbers of parts


set_num_threads.__doc__ = loop_threads.set_num_threads.__doc__


_generator = Generator(0)


def seed(value: int) -> None:
    """Begin all randomness again from `value`: initial weights, dropout, shuffles; every backend.

    >>> seed(7)
    """
    global _seed, _generator
    _generator = Generator(value)
    _seed = value
    for backend in _made.values():
        backend.random.seed(value)


def generator() -> Generator:
    """The host-side generator from which initial weights and shuffles are drawn."""
    return _generator


__all__ = [
    "PREFERENCE",
    "Array",
    "Backend",
    "DType",
    "Generator",
    "Threads",
    "choice",
    "current_name",
    "generator",
    "get_backend",
    "get_num_threads",
    "memory_summary",
    "problem",
    "seed",
    "set_memory_limit",
    "set_num_threads",
    "threads",
    "usable",
    "use_backend",
]

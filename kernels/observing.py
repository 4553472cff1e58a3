"""Tells a recorder what implementations do to arrays, so that it can be done again without them.

Implementations on the CPU touch the contents of arrays in two ways only: by a compiled loop, and by
NumPy over whole arrays, through `host`. Arrays for their own use come from `workspace`. On a GPU
they launch kernels and products, and the runtime tells of these. Everything else that they do
depends on shapes, dtypes and attributes, and is the same the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from .spec import Array


class Observer(Protocol):
    """Who is told, in order. What is told of happens right after."""

    def loop(self, call: Any, arguments: tuple[Any, ...]) -> None:
        """A loop runs; `call` is a numba_loop.Call."""

    def host(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], attributes: dict[str, Any]
    ) -> None:
        """function(*arguments, **attributes) runs, over NumPy arrays."""

    def device(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """function(*arguments) starts work on the device."""

    def workspace(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array that an implementation needs for itself."""


observer: Observer | None = None


@contextmanager
def observe(by: Observer) -> Iterator[None]:
    """Tell `by` of what happens inside the block."""
    global observer
    outer, observer = observer, by
    try:
        yield
    finally:
        observer = outer


def host(function: Callable[..., Any], *arguments: Any, **attributes: Any) -> None:
    """function(*arguments, **attributes), which fills some of its arguments."""
    if observer is not None:
        observer.host(function, arguments, attributes)
    function(*arguments, **attributes)


def workspace(shape: tuple[int, ...], dtype: Any) -> Array:
    """An uninitialized array for partial results; a recording needs it for as long as itself."""
    if observer is None:
        return np.empty(shape, dtype)
    return observer.workspace(shape, np.dtype(dtype))

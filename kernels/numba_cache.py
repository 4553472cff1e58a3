"""Numba's disk cache: what keeps it right, and doing without it where nothing can be written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit


def cached_njit(function: Callable[..., Any]) -> Any:
    """`numba.njit(cache=True)`; without the cache if no folder for it can be written."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:
        return njit(function)


def of_these_sources(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function's qualified name, by which Numba keeps it, with `sources_digest`."""
    function.__qualname__ += "." + sources_digest()
    return function


@cache
def sources_digest() -> str:
    """A digest of all files from which loops are made: Numba itself watches one file a loop."""
    folder = Path(__file__).parent
    others = ("spec.py", "cuda.py")  # which no loop is made from
    files = sorted(file for file in folder.rglob("*.py") if file.name not in others)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]

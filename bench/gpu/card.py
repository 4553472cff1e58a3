"""The card and the parts of CUDA, asked in a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ...backends.cuda_device import card, libraries
from .processes import serve


def describe() -> dict[str, Any]:
    """As JSON keeps it."""
    found = card()
    return found.to_json() | {"libraries": [asdict(x) for x in libraries(found.runtime)]}


def functions(options: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    return {"describe": describe}


if __name__ == "__main__":
    serve(functions)

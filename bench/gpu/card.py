"""The card and the parts of CUDA, asked in a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...backends.cuda_device import card
from ...errors import BackendError
from .processes import device, serve


def describe() -> dict[str, Any]:
    """The card, and what `tercet info` says of it and of its libraries."""
    found = card().to_json()
    try:
        lines = device(simulate=False).description()
    except BackendError as error:  # no kernel can be compiled: all that is left is its name
        lines = [str(error)]
    return found | {"description": lines}


def functions(options: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    return {"describe": describe}


if __name__ == "__main__":
    serve(functions)

"""What every framework's file makes of a case, and what it says where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class NotHere(Exception):
    """This framework, or this machine, cannot do this case; the text says why."""


def _nothing(result: Any) -> None:
    pass


def _no_memory() -> str | None:
    return None


@dataclass(frozen=True)
class Job:
    """A case that is ready to run.

    run     one training step or one inference; returns what the framework returns
    value   that result as NumPy: the loss before the update, or the outputs
    steps   how many training steps one run makes; their losses are then an array
    wait    returns once the result is computed, where `run` returns earlier
    memory  the framework's own words about its memory, if it counts it
    """

    run: Callable[[], Any]
    value: Callable[[Any], np.ndarray | float]
    wait: Callable[[Any], None] = field(default=_nothing)
    memory: Callable[[], str | None] = field(default=_no_memory)
    steps: int = 1

"""Makes recorded calls of loops again, one after another, without Python between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from .numba_blas import AVAILABLE, restore, single
from .numba_cache import cached_njit, of_these_sources
from .numba_loop import POINTER, TASK_TYPE, Call, launch

ALIGNMENT = 64


@intrinsic
def _run_task(typing: Any, task: Any, parts: Any, data: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        task, parts, data = values
        function = builder.inttoptr(task, TASK_TYPE.as_pointer())
        launch(builder, function, parts, builder.inttoptr(data, POINTER))
        return context.get_dummy_value()

    return types.none(task, parts, data), emit


def _marked(function: Callable[..., None]) -> Callable[..., None]:
    """With what its code depends on in the name by which Numba keeps it."""
    function.__qualname__ += f".{AVAILABLE}"
    return of_these_sources(function)


@cached_njit
@_marked
def _play(program: np.ndarray) -> None:
    """program: int64 (n, 3), a call a row: its task, its number of parts, its frame's address."""
    before = single()
    for i in range(program.shape[0]):
        _run_task(program[i, 0], program[i, 1], program[i, 2])  # type: ignore[call-arg]
    restore(before)


class Program:
    """Recorded calls, packed. Calling it makes them in order.

    `pointers` are the places of arrays' addresses in `words`, the frames as int64: to write another
    address there is to call with another array.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        sizes = [-(-c.frame.size // ALIGNMENT) * ALIGNMENT for c in calls]
        frames = np.zeros(sum(sizes) + ALIGNMENT, np.uint8)
        first = -frames.ctypes.data % ALIGNMENT
        self.frames = frames[first : first + sum(sizes)]
        self.table = np.empty((len(calls), 3), np.int64)
        self.pointers: list[int] = []
        at = 0
        for row, call, size in zip(self.table, calls, sizes, strict=True):
            self.frames[at : at + call.frame.size] = call.frame
            row[:] = call.task, call.parts, self.frames.ctypes.data + at
            self.pointers += [(at + place) // 8 for place in call.pointers]
            at += size
        self.words: Any = memoryview(self.frames.view(np.int64))  # type: ignore[arg-type]
        # The compiled code of a task lives as long as its loop.
        self.loops = [c.loop for c in calls]

    def __call__(self) -> None:
        play: Callable[[np.ndarray], None] = _play
        play(self.table)

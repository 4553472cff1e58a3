"""Parameters as views of one flat buffer, and their gradients as views of another.

An optimizer step, a clip or a norm is then one kernel over one array, however many layers there
are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...backends import Array
from ...errors import BackendError, DTypeError
from ...layers import Parameter

ALIGNMENT = 16  # elements: every parameter begins on a cache line


class FlatParameters:
    """One flat buffer of values and one of gradients, in the order of the parameters given.

    Making it copies the values in and turns every parameter's array, and its gradient's, into a
    view. The gaps between parameters hold zeros.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = list(parameters)
        first = self.parameters[0]
        self.backend, self.dtype = first.backend, first.dtype
        for p in self.parameters:
            if p.backend is not self.backend:
                raise BackendError(
                    f"parameters live on two backends, {self.backend.name} and {p.backend.name}; "
                    "move the whole model with model.to(...)"
                )
            if p.dtype != self.dtype:
                raise DTypeError(
                    f"parameters have two dtypes, {self.dtype} and {p.dtype}; convert the whole "
                    "model with model.to(dtype=...)"
                )
        self.starts: list[int] = []
        end = 0
        for p in self.parameters:
            self.starts.append(end)
            end += -(-p.size // ALIGNMENT) * ALIGNMENT
        self.size = end
        self.values = self.backend.full((end,), 0.0, self.dtype)
        self.grads = self.backend.full((end,), 0.0, self.dtype)
        for p, start in zip(self.parameters, self.starts, strict=True):
            self._adopt(p, start)
        # The parameters' former memory is of no size that a step would ask for.
        self.backend.release_memory()

    def _adopt(self, p: Parameter, start: int) -> None:
        stop = start + math.prod(p.shape)
        copy = self.backend.ops.copy
        value = self.values[start:stop].reshape(p.shape)
        copy(p.data, dtype=self.dtype.name, out=(value,))
        p.data = value
        grad = self.grads[start:stop].reshape(p.shape)
        if p.grad is not None:
            copy(p.grad.data, dtype=self.dtype.name, out=(grad,))
        p.attach(self, self.values, start, grad)

    @property
    def current(self) -> bool:
        """Whether the parameters are still views of these buffers."""
        return all(p.flat is self for p in self.parameters)

    def stop(self, i: int) -> int:
        """Where parameter i's place, with the gap behind it, ends."""
        return self.starts[i + 1] if i + 1 < len(self.starts) else self.size

    def written(self, first: int, last: int) -> list[tuple[int, int]]:
        """The runs [start, stop) of parameters first .. last-1 that have a gradient."""
        runs: list[tuple[int, int]] = []
        for i in range(first, last):
            if self.parameters[i].has_grad:
                start, stop = self.starts[i], self.stop(i)
                if runs and runs[-1][1] == start:
                    runs[-1] = (runs[-1][0], stop)
                else:
                    runs.append((start, stop))
        return runs

    def part(self, buffer: Array, run: tuple[int, int]) -> Array:
        """A run of one of the buffers; the whole buffer, uncut, where the run is all of it."""
        return buffer if run == (0, self.size) else buffer[run[0] : run[1]]

"""Recordings of steps on a GPU: kernel launches and products, replayed as one CUDA graph.

While a step is recorded it runs as always; the runtime tells of every launch. When the recording is
replayed for the first time, its launches are issued once more, over the same memory, into a graph,
and from then on a step is one launch of that graph. So nothing is allocated, read back or chosen
while CUDA captures, and what a step does is looked at, compared and printed as on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..kernels.spec import Array
from .backend import Backend
from .cuda_runtime import Runtime, Upload
from .pool import Lease, Pool
from .recording import Place, Recorder, Recording


class DevicePool(Pool):
    """The arrays of recorded steps, in blocks of device memory."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self._runtime = runtime
        self._smallest = 0

    def _allocate(self, size_class: int) -> Array:
        return self._runtime.empty((size_class,), np.dtype(np.uint8))

    def _address(self, block: Array) -> int:
        return self._runtime.address(block)

    def _array(self, lease: Lease) -> Array:
        return self._runtime.leased(lease)


class Fixed:
    """An argument that is neither array nor plain number, told from others by its bytes."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self._key = np.asarray(value).dtype, np.asarray(value).tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


class DeviceRecorder(Recorder):
    """Writes down what is launched on a device."""

    def __init__(
        self, backend: Backend, runtime: Runtime, pool: Pool, inputs: Sequence[Array]
    ) -> None:
        super().__init__(pool, inputs)
        self.backend, self.runtime = backend, runtime

    def device(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if not self.here:
            return
        if not getattr(function, "capturable", True):
            self.refuse(f"{function} cannot be part of a CUDA graph")
        super().host(function, arguments, {})

    def host(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], attributes: dict[str, Any]
    ) -> None:
        if self.here:
            name = getattr(function, "func", function).__name__
            self.refuse(
                f"{name} has no CUDA kernel for these arguments, and CuPy's own cannot be part of "
                "a CUDA graph. Convert the operands to one floating dtype with .astype(...), or "
                "run the step without capture"
            )

    def _described(self, argument: Any) -> Any:
        if isinstance(argument, self.runtime.array_type) and argument.dtype.names is None:
            return self._place(argument)
        # A structure; or NaN, which does not equal itself.
        if isinstance(argument, np.ndarray) or argument != argument:
            return Fixed(argument)
        return argument

    def _recording(self, outputs: Sequence[Array]) -> Recording:
        return GraphRecording(self, outputs)

    def _address(self, x: Array) -> int:
        return self.runtime.address(x)

    def _owner(self, x: Array) -> Any:
        return self.runtime.owner(x)


class GraphRecording(Recording):
    """A recording that is replayed as one graph."""

    def __init__(self, recorder: DeviceRecorder, outputs: Sequence[Array]) -> None:
        self._backend, self._runtime = recorder.backend, recorder.runtime
        super().__init__(recorder, outputs)
        self._graph: Callable[[], None] | None = None
        self._uploads: list[Upload | None] = [None] * len(self.inputs)

    def __call__(self) -> None:
        if self._graph is None:
            self._graph = self._runtime.graph([self._call(a) for a in self.actions])
        self._graph()

    def _call(self, action: Any) -> Callable[[], None]:
        return partial(action.what, *map(self._argument, action.arguments))

    def _argument(self, described: Any) -> Any:
        if isinstance(described, Place):
            return self._array(described)
        return described.value if isinstance(described, Fixed) else described

    def _view(self, holder: Array, offset: int, place: Place) -> Array:
        return self._runtime.view(holder, offset, place)

    def feed(self, i: int, x: Any) -> None:
        """Copy `x` to input i: from the host beside the step before it, by way of pinned memory."""
        static = self.inputs[i]
        if not isinstance(x, np.ndarray):
            self._backend.ops.copy(x, dtype=static.dtype.name, out=(static,))
            return
        upload = self._uploads[i]
        if upload is None:
            upload = self._uploads[i] = Upload(self._runtime, static)
        upload(x)

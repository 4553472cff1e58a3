"""What a backend is: memory, a random state, and a table from kernel name to implementation.

Layer and training code holds a backend and calls `backend.ops.dense_forward(x, w, b, ...)`. The
call allocates the outputs that the kernel's row in kernels.TABLE describes, runs the backend's
implementation (its own, or the reference where it has none) and returns them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ..errors import BackendError, DTypeError, OptionError, ShapeError
from ..kernels import TABLE
from ..kernels.observing import host
from ..kernels.random.reference import STATE_WORDS
from ..kernels.spec import FLOAT_KINDS, FLOATS, HALVES, SUMS, WIDE, Array, Kernel
from .pool import Pool
from .recording import Recorder

Implementation = Callable[..., None]
DType = np.dtype[Any]


class Ops:
    """The kernels of one backend, each a method that allocates, runs and returns its outputs.

    `source` maps each kernel's name to where its implementation comes from, for `tercet info`.
    """

    def __init__(self, backend: Backend) -> None:
        self.source: dict[str, str] = {}
        own = backend.implementations()
        for name, kernel in TABLE.items():
            implementation = own.get(name)
            self.source[name] = backend.flavour if implementation else "reference"
            if implementation is None:
                implementation = _reference(kernel, backend.xp)
            setattr(self, name, _bind(kernel, implementation, backend))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # Reached only when the name is no kernel: mypy learns the type of the others from here.
        raise OptionError(f"no kernel is named {name!r}; kernels.TABLE lists them")


def _reference(kernel: Kernel, xp: Any) -> Implementation:
    function = partial(kernel.reference, xp)

    def run(*arrays: Array, **attributes: Any) -> None:
        # Infinities and NaN are legitimate values of an array program, not warnings.
        with np.errstate(all="ignore"):
            host(function, *arrays, **attributes)

    return run


def _bind(kernel: Kernel, implementation: Implementation, backend: Backend) -> Callable[..., Any]:
    """The method of Ops for one kernel."""
    shapes, empty, contiguous = kernel.shapes, backend.empty, backend.contiguous
    count = len(kernel.outputs)
    names = backend.dtypes_of(kernel)
    allowed = {np.dtype(d) for d in names if d not in HALVES}
    checked = tuple(i for i, name in enumerate(kernel.inputs) if name not in (*WIDE, *SUMS))
    updated = tuple(i for i, name in enumerate(kernel.inputs) if name in kernel.updates)
    strided = kernel.strided
    absent = (None,) * count

    def call(*inputs: Array | None, out: tuple[Array | None, ...] = (), **attributes: Any) -> Any:
        dtype = None
        for i in checked:
            x = inputs[i]
            if x is not None and x.dtype.kind in FLOAT_KINDS and x.dtype != dtype:
                if dtype is not None or (x.dtype not in allowed and x.dtype.name not in names):
                    raise DTypeError(_dtype_message(kernel, inputs, backend))
                dtype = x.dtype
        for i in updated:
            x = inputs[i]
            if x is not None and not x.flags.c_contiguous:
                raise ShapeError(
                    f"{kernel.name} writes {kernel.inputs[i]} in place: it must be C-contiguous, "
                    "found a strided view"
                )
        if not strided:
            for x in inputs:
                if x is not None and not x.flags.c_contiguous:
                    inputs = tuple([None if x is None else contiguous(x) for x in inputs])
                    break
        wanted = shapes(*inputs, **attributes)
        outputs = [
            None if shape is None else empty(*shape) if given is None else given
            for shape, given in zip(wanted, out or absent, strict=True)
        ]
        recorder = backend.recorder
        if recorder is None or not recorder.here:
            implementation(*outputs, *inputs, **attributes)
        else:
            recorder.run(kernel, implementation, outputs, inputs, attributes)
        if count == 1:
            return outputs[0]
        return tuple(outputs) if count else None

    call.__name__ = kernel.name
    call.__doc__ = kernel.reference.__doc__
    return call


def _dtype_message(kernel: Kernel, inputs: tuple[Array | None, ...], backend: Backend) -> str:
    found = ", ".join(
        f"{name} {x.dtype}" for name, x in zip(kernel.inputs, inputs, strict=True) if x is not None
    )
    takes = " or ".join(d for d in backend.dtypes_of(kernel) if d in (*FLOATS, *HALVES))
    return (
        f"{kernel.name} on the {backend.name} backend takes floating arrays of one dtype, {takes}; "
        f"found {found}. Convert with .astype(...), or build the model with the dtype of its data"
    )


class RandomState:
    """A backend's random numbers: (seed, step, streams drawn) in an array that kernels read.

    Each draw takes the next stream of the current step. `advance` begins the next step.
    """

    def __init__(self, backend: Backend, seed: int) -> None:
        self._backend = backend
        self.state = backend.empty((STATE_WORDS,), np.dtype("uint32"))
        self.seed(seed)

    def seed(self, seed: int, step: int = 0) -> None:
        """Begin again from `seed`, an integer in [0, 2**64), at `step`."""
        if not 0 <= seed < 2**64:
            raise OptionError(f"seed must be an integer in [0, 2**64), found {seed}")
        words = np.array([seed & 0xFFFFFFFF, seed >> 32, step, 0], np.uint32)
        # In place: kernels that were given the array see the new values.
        source = self._backend.asarray(words)
        self._backend.ops.copy(source, dtype="uint32", out=(self.state,))
        self._drawn = 0

    def advance(self) -> None:
        """Begin the next step: the same streams give new numbers."""
        self._backend.ops.next_step(self.state)
        self._drawn = 0

    def stream(self) -> int:
        """The next unused stream, counted from the last `settle` or `advance`."""
        self._drawn += 1
        return self._drawn - 1

    def settle(self) -> None:
        """Count the streams drawn so far in the array: a recorded step begins and ends so."""
        if self._drawn:
            self._backend.ops.skip_streams(self.state, count=self._drawn)
            self._drawn = 0


class Backend:
    """Base of the backends. A subclass says where arrays live and which kernels it has itself.

    name      what users call it: "numpy", "numba", "cupy"
    flavour   how `tercet info` names its own implementations
    halves    whether its kernels take bfloat16 and float16
    xp        the array module on which reference code runs
    through   activations whose derivative a product takes along (`dense_through`)
    """

    name: ClassVar[str]
    flavour: ClassVar[str]
    halves: ClassVar[bool] = False
    xp: Any
    through: tuple[str, ...] = ()
    # Whether products of float32 matrices may round them to TensorFloat-32.
    tf32 = False
    # Whether steps can be recorded (recording.py), and these compiled; who records one now.
    captures: ClassVar[bool] = False
    compiles: ClassVar[bool] = False
    recorder: Recorder | None = None

    def __init__(self, seed: int = 0) -> None:
        self.ops = Ops(self)
        self.random = RandomState(self, seed)

    def implementations(self) -> dict[str, Implementation]:
        """The kernels that this backend implements itself, by name."""
        return {}

    def dtypes_of(self, kernel: Kernel) -> tuple[str, ...]:
        """The dtypes that `kernel` takes here."""
        return tuple(d for d in kernel.dtypes if self.halves or d not in HALVES)

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Array:
        """An uninitialized C-contiguous array."""
        raise NotImplementedError

    def asarray(self, host: np.ndarray) -> Array:
        """A copy of a NumPy array in this backend's memory."""
        raise NotImplementedError

    def to_numpy(self, x: Array) -> np.ndarray:
        """A copy of an array of this backend in host memory."""
        raise NotImplementedError

    def from_dlpack(self, x: Any) -> Array:
        """An array of this backend that shares memory with `x`, through the DLPack protocol."""
        raise NotImplementedError

    def synchronize(self) -> None:
        """Wait until everything asked for has been computed."""

    def memory_summary(self) -> str:
        """One line on the memory that this backend holds."""
        raise NotImplementedError

    def description(self) -> list[str]:
        """What there is to say of the device and its libraries, a line each, for `tercet info`."""
        return []

    def free_bytes(self) -> int | None:
        """What is free of memory of its own; None where arrays are in the host's."""
        return None

    def release_memory(self) -> None:
        """Give memory that is held for reuse back to the system."""

    def set_memory_limit(self, limit: int | None) -> None:
        """Let arrays take at most `limit` bytes together."""
        raise OptionError(f"the {self.name} backend has no memory limit of its own")

    def set_tf32(self, enabled: bool) -> None:
        """Set `tf32`, for all products from here on."""
        if enabled:
            raise BackendError(
                f"the {self.name} backend has no TensorFloat-32, which needs an NVIDIA GPU. Use "
                "precision float32 here, or move the model with .to('cupy')"
            )

    def private_pool(self) -> Pool:
        """A pool for the arrays of recorded steps, for backends that capture."""
        raise NotImplementedError

    def record(self, pool: Pool, inputs: Sequence[Array]) -> Recorder:
        """A recorder of a step with these inputs, for backends that capture."""
        raise NotImplementedError

    def copy(self, x: Array) -> Array:
        """A copy of `x`, which no pool of a recording owns."""
        return self.ops.copy(x, dtype=x.dtype.name)

    def full(self, shape: tuple[int, ...], value: float, dtype: DType) -> Array:
        """An array filled with one value."""
        return self.ops.fill(shape=shape, dtype=dtype.name, value=value)

    def contiguous(self, x: Array) -> Array:
        """`x` itself if it is C-contiguous, else a copy that is."""
        return x if x.flags.c_contiguous else self.ops.copy(x, dtype=x.dtype.name)

    def __repr__(self) -> str:
        return f"<tercet backend {self.name}>"

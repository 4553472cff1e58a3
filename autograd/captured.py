"""capture: a function of arrays that is run once in Python and then replayed without it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backends import Array, Backend, get_backend
from ..backends import recording as recordings
from ..backends.pool import Pool
from ..backends.recording import Recorder, Recording
from ..errors import CaptureError, OptionError
from . import precision
from .dtypes import is_float
from .tape import is_grad_enabled
from .tensor import Tensor, tensor

# Recordings of one function, for inputs of different shapes and in different states of what it
# uses; beyond these it is no step that is repeated.
MOST_RECORDINGS = 32


class Captured:
    """A captured function; see `capture`.

    print() shows its recordings: the kernels with their arrays, and the memory that they use.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        backend: str | Backend | None = None,
        compile: bool = False,
        strict: bool = True,
    ) -> None:
        self._function, self._backend = function, backend
        self.compile, self._strict = compile, strict
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget all recordings: the function's Python has changed what it does."""
        # Whether the function has been called: buffers that live on, such as those of gradients,
        # come about in the first call.
        self.warm = False
        # Why the function runs in Python, where it is not `strict`.
        self.problem: str | None = None
        self._pools: dict[Backend, Pool] = {}
        self._recordings: dict[Any, list[_Entry]] = {}

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What the function returns, in tensors of their own."""
        with self._lock:
            return self._run(arguments, options, copied=True)

    def view(self, *arguments: Any, **options: Any) -> Any:
        """The same in tensors that the next call overwrites."""
        with self._lock:
            return self._run(arguments, options, copied=False)

    def _run(self, arguments: tuple[Any, ...], options: dict[str, Any], copied: bool) -> Any:
        if self.problem is not None:
            return self._function(*arguments, **options)
        key, arrays = self._key(arguments, options)
        for entry in self._recordings.get(key, ()):
            if entry.holds():
                result = entry.replay(arrays, copied)
                precision.forget()  # replays do not tell which parameters they change
                return result
        return self._record(key, arguments, options)

    @property
    def recordings(self) -> list[Recording]:
        """What has been recorded so far."""
        return [e.recording for entries in self._recordings.values() for e in entries]

    def __str__(self) -> str:
        name = _name(self._function)
        if not self._recordings:
            return f"{name}: nothing recorded yet"
        return "\n\n".join(f"{name}:\n{r}" for r in self.recordings)

    def _key(
        self, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[Any, list[Array | np.ndarray]]:
        """What must be equal for a recording to apply, and the arrays among the arguments."""
        arrays: list[Any] = []
        key: list[Any] = [is_grad_enabled(), precision.current()]
        for value in (*arguments, *options.values()) if options else arguments:
            if isinstance(value, Tensor):
                array = value.data
                key += (value.backend.xp, array.shape, array.dtype)
            elif isinstance(value, list) or hasattr(value, "shape"):
                array = np.asarray(value)
                key += (np, array.shape, array.dtype)
            else:
                key += (type(value), value)
                continue
            arrays.append(array)
        key += options
        try:
            hash(found := tuple(key))
        except TypeError:
            raise OptionError(
                "a captured function takes arrays, tensors, numbers, strings and None as "
                "arguments; pass arrays one by one, not inside a dict or a tuple"
            ) from None
        return found, arrays

    def _record(self, key: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run the function in Python; from its second call on, write down what it does."""
        given = [*arguments, *options.values()]
        # A module says itself where it lives, and in which dtype.
        where = self._backend or getattr(self._function, "backend", None)
        backend = next((v.backend for v in given if isinstance(v, Tensor)), get_backend(where))
        if not backend.captures:
            raise CaptureError(
                f"the {backend.name} backend does not capture steps; use numba or numpy, or "
                "call the function itself"
            )
        if self.compile and not backend.compiles:
            raise CaptureError(
                f"the {backend.name} backend does not compile recordings; use numba, or leave "
                "compile out: they are replayed all the same"
            )
        if backend.recorder is not None:  # inside another captured function
            return self._function(*arguments, **options)
        values = [self._input(v, i, backend) for i, v in enumerate(given)]
        inputs = [v for v in values if isinstance(v, Tensor)]
        call = values[: len(arguments)], dict(zip(options, values[len(arguments) :], strict=True))
        if not self.warm:
            result = self._function(*call[0], **call[1])
            self.warm = True
            return result
        before = backend.copy(backend.random.state)
        precision.forget()  # neither copies from before the step nor its own may outlive it
        recorder = self._begin(backend, inputs)
        try:
            result = self._function(*call[0], **call[1])
            backend.random.settle()
            precision.forget()
        except CaptureError as error:
            backend.recorder = None
            if self._strict:
                raise
            self.problem = str(error)
            backend.ops.copy(before, dtype=before.dtype.name, out=(backend.random.state,))
            return self._function(*arguments, **options)
        finally:
            backend.recorder = None
        outputs: list[Array] = []
        try:
            structure = _take_arrays(result, outputs)
            copies = _give_arrays(structure, [backend.copy(o) for o in outputs], backend)
            del result
            self._keep(key, _Entry(backend, recorder.finish(outputs), structure))
        except CaptureError as error:
            if self._strict:
                raise
            self.problem = str(error)
        return copies

    def _input(self, value: Any, i: int, backend: Backend) -> Any:
        """A copy of an argument that is an array, as a tensor; anything else as it is."""
        if isinstance(value, Tensor):
            if value.requires_grad:
                raise CaptureError(
                    f"argument {i + 1} of a captured function requires a gradient; captured "
                    "functions take data. Make it a Parameter that the function uses"
                )
            value = value.numpy()
            return Tensor(backend.asarray(value), backend)
        if isinstance(value, list) or hasattr(value, "shape"):
            host = np.asarray(value)
            dtype = getattr(self._function, "dtype", None) if is_float(host.dtype) else None
            return tensor(host, dtype, backend)
        return value

    def _begin(self, backend: Backend, inputs: list[Tensor]) -> Recorder:
        backend.random.settle()
        if backend not in self._pools:
            self._pools[backend] = backend.private_pool()
        recorder = backend.record(self._pools[backend], [t.data for t in inputs])
        backend.recorder = recorder
        return recorder

    def _keep(self, key: Any, new: _Entry) -> None:
        """Confirm the recording that the new one equals, or keep the new one beside the others."""
        entries = self._recordings.setdefault(key, [])
        for entry in entries:
            if entry.same_as(new):
                recording = entry.recording
                if self.compile and not recording.confirmed:
                    recording.compile()
                recording.confirmed, recording.version = True, new.recording.version
                return
        unconfirmed = [e for e in entries if not e.recording.confirmed]
        if len(unconfirmed) == MOST_UNCONFIRMED:
            raise CaptureError(
                f"{_name(self._function)} does something else at every call, so that it cannot be "
                f"replayed: {unconfirmed[-1].recording.difference(new.recording)}. What changes "
                "from call to call must be an argument, or live in an array"
            )
        if len(self.recordings) == MOST_RECORDINGS:
            raise CaptureError(
                f"{_name(self._function)} was recorded {MOST_RECORDINGS} times, for as many shapes "
                "or values of its arguments. Pass numbers that change as arrays, and pad inputs "
                "to few shapes"
            )
        entries.append(new)


MOST_UNCONFIRMED = 2


class _Entry:
    """A recording with what surrounds it: the shape of its result, and the leaves' gradients."""

    def __init__(self, backend: Backend, recording: Recording, structure: Any) -> None:
        self.backend, self.recording, self.structure = backend, recording, structure

    def holds(self) -> bool:
        """Whether a replay would do what the function would do now."""
        recording = self.recording
        if not recording.confirmed or recording.version != recordings.version:
            return False
        # Whether they have gradients is what it asked these leaves.
        return all(leaf.has_grad is flag for leaf, flag in recording.leaves_before)

    def same_as(self, other: _Entry) -> bool:
        mine, theirs = self.recording, other.recording
        return (
            self.structure == other.structure
            and mine.same_as(theirs)
            and mine.leaves_before == theirs.leaves_before
        )

    def replay(self, arrays: list[Array], copied: bool) -> Any:
        backend, recording = self.backend, self.recording
        for i, array in enumerate(arrays):
            recording.feed(i, array)
        backend.random.settle()
        recording()
        for leaf, flag in recording.leaves_after:
            leaf.set_has_grad(flag)
        outputs = recording.outputs
        if copied:
            outputs = [backend.copy(o) for o in outputs]
        return _give_arrays(self.structure, outputs, backend)


class _Output:
    """Stands for output `number` in a result's structure."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Output) and self.number == other.number

    __hash__ = None  # type: ignore[assignment]


def _take_arrays(result: Any, arrays: list[Array]) -> Any:
    """`result` with its tensors replaced by `_Output`s, and their arrays added to `arrays`."""
    if isinstance(result, Tensor):
        arrays.append(result.data)
        return _Output(len(arrays) - 1)
    if isinstance(result, dict):
        return {k: _take_arrays(v, arrays) for k, v in result.items()}
    if isinstance(result, (tuple, list)):
        return type(result)([_take_arrays(v, arrays) for v in result])
    if result is None or isinstance(result, (str, bool, int, float)):
        return result
    raise CaptureError(
        f"a captured function returned {type(result).__name__}; it may return tensors, numbers, "
        "and tuples, lists and dicts of them"
    )


def _give_arrays(structure: Any, arrays: list[Array], backend: Backend) -> Any:
    if isinstance(structure, _Output):
        return Tensor(arrays[structure.number], backend)
    if isinstance(structure, dict):
        return {k: _give_arrays(v, arrays, backend) for k, v in structure.items()}
    if isinstance(structure, (tuple, list)):
        return type(structure)([_give_arrays(v, arrays, backend) for v in structure])
    return structure


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def capture(
    function: Callable[..., Any], backend: str | Backend | None = None, *, compile: bool = False
) -> Captured:
    """`function`, run by Python a few times while its kernels are recorded, then replayed.

    A replay makes the same kernel calls over the same memory without Python between them, which
    is where a small network's time goes. The result is what the function itself would give, bit for
    bit.

    The function takes arrays or tensors (and numbers, strings, None) and returns tensors, or
    tuples, lists or dicts of them; what it does to parameters, gradients and optimizer state
    happens in every replay. Its first three calls run in Python: one to warm up, two that are
    recorded and must agree. Another shape, dtype or number among its arguments makes another
    recording; so does a change of what it uses (`model.eval()`, a new layer, an optimizer's
    options).

    Fixed at the recording, as everything that Python does: branches, prints, numbers drawn from
    Python's or NumPy's generators, values copied in from NumPy. Call `reset()` on the result when
    such a thing has changed. Learning rates, step counts and tercet's own random numbers live in
    arrays, and go on.

    `backend` is where arguments that are NumPy arrays go, unless a tensor among them has one.
    With `compile`, which needs the numba backend, a recording becomes one native function: some
    seconds the first time, from the disk cache later; worth it for tiny networks and long runs.
    Results then equal those of the function to rounding.

    Raises CaptureError where a replay could not do what the function does: reading a value
    (`float(loss)`), setting the learning rate, keeping an array beyond the step.

    >>> import tercet as tc
    >>> layer = tc.layers.Dense(3, 1)
    >>> optimizer = tc.SGD(layer.parameters(), lr=0.1)
    >>> @tc.capture
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = tc.mse_loss(layer(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> losses = [step(tc.ones(2, 3), tc.zeros(2, 1)).item() for _ in range(20)]
    >>> losses[-1] < losses[0], len(step.recordings)
    (True, 1)
    """
    return Captured(function, backend, compile)

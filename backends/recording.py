"""Recordings: what a step did to arrays, kept so that it can be done again without its Python.

A `Recorder` stands by while a step runs. The backend tells it of every kernel, and the kernel's
implementation of every loop and NumPy call (kernels/observing.py). Arrays that the step makes come
from a private pool, so that their addresses stay its own; the recorder keeps descriptions of them
(block, offset, shape, strides, dtype) and never the arrays: what the step drops, it may use again,
and since a replay goes through the same addresses in the same order, that stays right.

`finish` makes a `Recording`. Replaying a `HostRecording` runs compiled loops by one native call for
each run of them, and NumPy calls from a list. Recordings of a GPU are in cuda_recording.py.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..errors import CaptureError
from ..kernels.observing import observe
from ..kernels.spec import Array, Kernel
from .pool import Lease, Pool

# Stands for all that recordings take as given: modules' modes and attributes, where parameters
# live, optimizers' options.
version = 0
_numbers = itertools.count(1)


def changed() -> None:
    """Have recordings compared with what their steps do now, before they are replayed again."""
    global version
    version ^= hash((next(_numbers), "change"))


if hasattr(os, "register_at_fork"):
    # The loops of a forked process may have other numbers of threads.
    os.register_at_fork(after_in_child=changed)


def toggled(switch: object) -> None:
    """A switch was thrown; thrown twice, all is as it was before."""
    global version
    version ^= hash((id(switch), "switch"))


@dataclass(frozen=True)
class Place:
    """Where an array lies: in a block of the private pool, an input, a constant, or outside.

    `number` counts blocks, inputs and constants in the order of their first use; outside it is the
    address. Two recordings of one step have equal places.
    """

    kind: str
    number: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        names = {"block": "b", "input": "in", "constant": "c"}
        name = "ext" if self.kind == "outside" else f"{names[self.kind]}{self.number}"
        offset = f"+{self.offset}" if self.offset else ""
        return f"{name}{offset}{list(self.shape)}"


@dataclass(frozen=True)
class Action:
    """One loop or NumPy call: what is called, and its arguments with places instead of arrays."""

    what: Any
    arguments: tuple[Any, ...]
    attributes: tuple[tuple[str, Any], ...] = ()
    call: Any = field(default=None, compare=False)  # numba_loop.Call


@dataclass(frozen=True)
class Step:
    """One kernel of a recording."""

    name: str
    outputs: tuple[Any, ...]
    inputs: tuple[Any, ...]
    attributes: tuple[tuple[str, Any], ...]
    actions: list[Action]

    def __str__(self) -> str:
        def listed(places: Iterable[Any]) -> list[str]:
            return ["-" if p is None else str(p) for p in places]

        made = f"{', '.join(listed(self.outputs))} = " if self.outputs else ""
        options = [f"{k}={v}" for k, v in self.attributes]
        return f"{made}{self.name}({', '.join([*listed(self.inputs), *options])})"

    @property
    def bytes(self) -> int:
        """Bytes of the arrays that it reads and writes."""
        places = {p for p in (*self.outputs, *self.inputs) if p is not None}
        return sum(_nbytes(p) for p in places)


def _nbytes(place: Place) -> int:
    return int(np.prod(place.shape, dtype=np.int64)) * np.dtype(place.dtype).itemsize


class Recorder:
    """Writes down what happens on its thread until `finish`.

    `inputs` are the arrays that stand for the step's arguments.
    """

    def __init__(self, pool: Pool, inputs: Sequence[Array]) -> None:
        self.pool = pool
        self.steps: list[Step] = []
        # Leaf tensors that were asked whether they have a gradient, or told; what the first said.
        # Those that the step makes for itself do not outlive it here.
        self._leaves: dict[int, tuple[weakref.ref[Any], bool | None]] = {}
        self._thread = threading.get_ident()
        self._before = pool.in_use
        self._inputs = list(inputs)
        self._constants: list[Array] = []
        self._constant_bytes: list[bytes] = []
        self._blocks: dict[int, int] = {}
        self._memory: list[Memory] = []
        self._kept: dict[Place, Array] = {}
        self._actions: list[Action] = []

    @property
    def here(self) -> bool:
        """Whether the caller is on the recorded thread."""
        return threading.get_ident() == self._thread

    # What the backend tells

    def run(
        self,
        kernel: Kernel,
        implementation: Callable[..., None],
        outputs: Sequence[Array | None],
        inputs: Sequence[Array | None],
        attributes: dict[str, Any],
    ) -> None:
        """Run a kernel and write it down."""
        self._actions = []
        step = Step(
            kernel.name,
            tuple(self._place(x) for x in outputs),
            tuple(self._place(x) for x in inputs),
            tuple(attributes.items()),
            self._actions,
        )
        with observe(self):
            implementation(*outputs, *inputs, **attributes)
        self.steps.append(step)

    def constant(self, x: Array, host: np.ndarray) -> None:
        """`x` was copied in from the host: every replay finds the same values there."""
        self._constants.append(x)
        self._constant_bytes.append(host.tobytes())

    def refuse(self, what: str) -> None:
        """Raise because the step does what no replay could, naming the user's line."""
        raise CaptureError(f"{_user_line()}: {what}")

    # What leaf tensors tell: whether they have a gradient is kept in Python

    def asked(self, leaf: Any, has_grad: bool) -> None:
        """The step looked whether `leaf` has a gradient."""
        self._note(leaf, has_grad)

    def set(self, leaf: Any) -> None:
        """The step is about to say whether `leaf` has a gradient."""
        self._note(leaf, None)

    def _note(self, leaf: Any, has_grad: bool | None) -> None:
        known = self._leaves.get(id(leaf))
        if known is None or known[0]() is not leaf:
            self._leaves[id(leaf)] = weakref.ref(leaf), has_grad

    def leaves(self) -> list[tuple[Any, bool | None]]:
        """The leaf tensors that live on."""
        found = [(leaf(), has_grad) for leaf, has_grad in self._leaves.values()]
        return [(leaf, has_grad) for leaf, has_grad in found if leaf is not None]

    # What implementations tell (kernels/observing.py)

    def loop(self, call: Any, arguments: tuple[Any, ...]) -> None:
        if self.here:
            places = (call.parts, *(self._described(a) for a in arguments))
            self._actions.append(Action(call.loop, places, call=call))

    def host(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], attributes: dict[str, Any]
    ) -> None:
        if self.here:
            places = tuple(self._described(a) for a in arguments)
            self._actions.append(Action(function, places, tuple(attributes.items())))

    def device(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        raise NotImplementedError("only recorders of a device are told of its work")

    def workspace(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return self.pool.empty(shape, dtype)

    def _described(self, argument: Any) -> Any:
        if isinstance(argument, np.ndarray):
            return self._place(argument)
        # One NaN for all, because descriptions are compared.
        return (
            NAN if isinstance(argument, (float, np.floating)) and argument != argument else argument
        )

    def _place(self, x: Array | None) -> Place | None:
        if x is None:
            return None
        address, shape, strides, dtype = self._address(x), x.shape, x.strides, x.dtype.name
        owner = self._owner(x)
        if isinstance(owner, Lease) and owner.pool is self.pool:
            number = self._blocks.get(owner.address)
            if number is None:
                number = self._blocks[owner.address] = len(self._blocks)
                offset = owner.address - self._address(owner.block)
                self._memory.append(Memory(owner.block, offset, owner.size_class))
            return Place("block", number, address - owner.address, shape, strides, dtype)
        for kind, known in (("input", self._inputs), ("constant", self._constants)):
            for number, held in enumerate(known):
                first = self._address(held)
                if first <= address < first + max(held.nbytes, 1):
                    return Place(kind, number, address - first, shape, strides, dtype)
        place = Place("outside", address, 0, shape, strides, dtype)
        self._kept[place] = x
        return place

    # The end

    def finish(self, outputs: Sequence[Array]) -> Recording:
        """The recording, whose results are `outputs`."""
        held = {id(o): o.size_class for o in map(self._owner, outputs) if self._is_own(o)}
        if self.pool.in_use - self._before > sum(held.values()):
            gc.collect()
        if self.pool.in_use - self._before > sum(held.values()):
            raise CaptureError(
                "an array that the step made outlives it, in an attribute or a list; the next "
                "replay would overwrite it. Return it from the step instead"
            )
        return self._recording(outputs)

    def _is_own(self, owner: Any) -> bool:
        return isinstance(owner, Lease) and owner.pool is self.pool

    # What differs between the host's arrays and a device's

    def _recording(self, outputs: Sequence[Array]) -> Recording:
        return HostRecording(self, outputs)

    def _address(self, x: Array) -> int:
        return _address(x)

    def _owner(self, x: Array) -> Any:
        """The lease that holds an array's memory, or whatever else does."""
        while isinstance(x, np.ndarray) and x.base is not None:
            x = x.base
        return x


class Memory(NamedTuple):
    """A block of the private pool, where its arrays begin in it, and their bytes."""

    block: Array
    offset: int
    bytes: int


class Recording(ABC):
    """A step as a list of kernels over fixed memory. Calling it runs them.

    str() lists the kernels with the places of their arrays, and the memory that they use.
    """

    def __init__(self, recorder: Recorder, outputs: Sequence[Array]) -> None:
        self.steps = recorder.steps
        self.inputs = recorder._inputs
        self.outputs = list(outputs)
        self.pool = recorder.pool
        leaves = recorder.leaves()
        self.leaves_before = [(t, flag) for t, flag in leaves if flag is not None]
        # Set once more after every replay.
        self.leaves_after = [(t, t.has_grad) for t, _ in leaves]
        self.version = version
        self.confirmed = False
        self._kept = recorder._kept
        self._memory = recorder._memory
        self._constants = recorder._constants
        self._constant_bytes = recorder._constant_bytes
        self._output_places = [recorder._place(x) for x in outputs]

    @abstractmethod
    def __call__(self) -> None:
        """Do what the step did."""

    @abstractmethod
    def feed(self, i: int, x: Array) -> None:
        """Give input i the values of `x`."""

    def compile(self) -> None:
        """Make native code of it, on backends that can."""
        raise NotImplementedError

    def same_as(self, other: Recording) -> bool:
        """Whether both run the same kernels on the same arrays and give the same results."""
        return (
            self.steps == other.steps
            and self._output_places == other._output_places
            and self._constant_bytes == other._constant_bytes
        )

    def difference(self, other: Recording) -> str:
        """The first thing in which two recordings differ."""
        for i, (a, b) in enumerate(zip(self.steps, other.steps, strict=False)):
            if a != b:
                return f"kernel {i + 1} was first {a}, then {b}"
        if len(self.steps) != len(other.steps):
            return f"it ran first {len(self.steps)} kernels, then {len(other.steps)}"
        if self._constant_bytes != other._constant_bytes:
            return "values that it copied in from the host changed"
        return "it returned other arrays"

    @property
    def actions(self) -> list[Action]:
        """What its kernels do, in order."""
        return [a for step in self.steps for a in step.actions]

    def _array(self, place: Place) -> Array:
        """The array at a place."""
        if place.kind == "block":
            memory = self._memory[place.number]
            return self._view(memory.block, memory.offset + place.offset, place)
        if place.kind == "outside":
            return self._kept[place]
        held = (self.inputs if place.kind == "input" else self._constants)[place.number]
        return self._view(held, place.offset, place)

    @abstractmethod
    def _view(self, holder: Array, offset: int, place: Place) -> Array:
        """The array of a place, `offset` bytes from the beginning of another that holds it."""

    @property
    def peak_bytes(self) -> int:
        """The memory that the arrays made in the step share."""
        return sum(memory.bytes for memory in self._memory)

    def __str__(self) -> str:
        lines = [
            f"{i + 1:4}  {step.bytes / 2**10:10.1f} KiB  {step}"
            for i, step in enumerate(self.steps)
        ]
        buffers = f"{len(self._memory)} buffers of {self.peak_bytes / 2**20:.2f} MiB together"
        return "\n".join([*lines, f"{len(self.steps)} kernels in {buffers}"])


class HostRecording(Recording):
    """A recording over NumPy arrays: native programs of loops, and calls of NumPy."""

    def __init__(self, recorder: Recorder, outputs: Sequence[Array]) -> None:
        super().__init__(recorder, outputs)
        self._input_words: list[list[tuple[memoryview, int, int]]] = [[] for _ in self.inputs]
        self._bound = list(self.inputs)
        self._needs_copy = [False] * len(self.inputs)
        self.segments = self._link(self._program)

    def __call__(self) -> None:
        for segment in self.segments:
            segment()

    def compile(self) -> None:
        """Have each run of loops compiled into one function; it takes seconds, then stays on disk.

        Known shapes let the compiler add in another order: results are equal to rounding.
        """
        self._input_words = [[] for _ in self.inputs]
        self.segments = self._link(self._compiled_program)

    def _link(self, program: Callable[[Sequence[Action]], Any]) -> list[Callable[[], None]]:
        """Runs of loops become programs; NumPy calls stay calls."""
        segments: list[Callable[[], None]] = []
        actions = self.actions
        at = 0
        while at < len(actions):
            end = at
            while end < len(actions) and actions[end].call is not None:
                end += 1
            if end > at:
                segments.append(program(actions[at:end]))
            else:
                end = at + 1
                segments.append(self._host_call(actions[at]))
            at = end
        if any(a.call is None for a in actions):
            return [_quietly(segments)]
        return segments

    def _program(self, actions: Sequence[Action]) -> Callable[[], None]:
        from ..kernels.numba_player import Program

        program = Program([a.call for a in actions])
        places = [p for a in actions for p in a.arguments if isinstance(p, Place)]
        for word, place in zip(program.pointers, places, strict=True):
            if place.kind == "input":
                self._input_words[place.number].append((program.words, word, place.offset))
        return program

    def _compiled_program(self, actions: Sequence[Action]) -> Callable[[], None]:
        from ..kernels.numba_compiled import CompiledProgram, LoopCall, View

        numbers: dict[tuple[str, int], int] = {}
        bases: list[int] = []

        def view(argument: Any) -> Any:
            if not isinstance(argument, Place):
                return argument
            array, key = self._array(argument), (argument.kind, argument.number)
            if key not in numbers:
                numbers[key] = len(bases)
                bases.append(_address(array) - argument.offset)
            return View(numbers[key], argument.offset, array)

        calls = [
            LoopCall(a.what, a.call.parts, tuple(view(x) for x in a.arguments[1:])) for a in actions
        ]
        program = CompiledProgram(calls, bases)
        for (kind, number), base in numbers.items():
            if kind == "input":
                self._input_words[number].append((program.words, base, 0))
        return program

    def _host_call(self, action: Action) -> Callable[[], None]:
        arguments = [self._array(a) if isinstance(a, Place) else a for a in action.arguments]
        for a in action.arguments:
            if isinstance(a, Place) and a.kind == "input":
                self._needs_copy[a.number] = True
        return partial(action.what, *arguments, **dict(action.attributes))

    def _view(self, holder: np.ndarray, offset: int, place: Place) -> np.ndarray:
        return view(holder, offset, place)

    # Inputs

    def feed(self, i: int, x: Array) -> None:
        """Give input i the values of `x`: by its address where that is possible and pays."""
        static = self.inputs[i]
        if (
            x.nbytes < BIND_FROM
            or self._needs_copy[i]
            or x.dtype != static.dtype
            or not x.flags.c_contiguous
        ):
            if self._bound[i] is not static:
                self._bind(i, static)
            static[...] = x
        elif self._bound[i] is not x:
            self._bind(i, x)

    def _bind(self, i: int, x: Array) -> None:
        address = _address(x)
        for words, word, offset in self._input_words[i]:
            words[word] = address + offset
        self._bound[i] = x


READ = (
    "a value is read inside a captured step, which runs without Python when it is replayed. Return "
    "the tensor and read it outside, or use tc.where"
)
NAN = float("nan")
# Bytes from which on the address of an input is written into the calls instead of its values being
# copied: a copy of less costs no more than that.
BIND_FROM = 1 << 15


def _quietly(segments: list[Callable[[], None]]) -> Callable[[], None]:
    """All segments under one errstate: infinities and NaN are legitimate values."""

    def run() -> None:
        with np.errstate(all="ignore"):
            for segment in segments:
                segment()

    return run


def view(holder: np.ndarray, offset: int, place: Place) -> np.ndarray:
    """The array of a place in the memory of another one, which is contiguous."""
    source: Any = holder.reshape(-1).view(np.uint8)
    return np.ndarray(place.shape, place.dtype, source, offset, place.strides)


def _address(x: Array) -> int:
    address: int = x.__array_interface__["data"][0]
    return address


def _user_line() -> str:
    """File and line of the innermost call from outside the package."""
    package = __name__.partition(".")[0] + "."
    frame: Any = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(package):
        frame = frame.f_back
    return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"

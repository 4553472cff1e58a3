"""How a loop is compiled and run: one compiled function, for small work and for many threads.

A loop is a function `f(t, parts, *outputs, *inputs, *numbers)` that does part t of the work (see
`share`). Small work is one call, f(0, 1, ...), because starting threads would cost more than it
brings; large work is one call for every t, on the threads of Numba's own pool. Both go through one
entry, compiled when first used and kept in Numba's disk cache. What f computes depends on `parts`
alone, so equal inputs and an equal number of threads give equal bits.

Numba's `prange` would do the same, but compiles the loop four times on its way to the threads, a
second for each kernel where this takes a quarter of it; and it would need a second, serial version.

A call of a loop can be recorded (see `Call`): what it would hand to its parts is written down, and
numba_player makes the same call again without Python.

A loop that comes in kinds is made by a function that takes the kind as integers, over which the
loop closes. Numba sees literals there: functions that are chosen by one (see `chosen_by_kind`)
compile for that kind alone, and the disk cache tells the kinds apart.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import FunctionType
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.compiler import Flags
from numba.core.cpu_options import FastMathOptions
from numba.extending import intrinsic, overload, register_jitable

from . import numba_blas, observing
from .numba_cache import cached_njit, sources_digest
from .threads import get_num_threads

# Elements below which a loop runs serially: starting threads costs some 2 us, and they fetch what
# the other core has in its cache. Together that is as much as 2^15 elements of a plain loop.
SERIAL_BELOW = 1 << 15

# The order of operations as written, but a product and a sum may become one instruction.
STRICT: Any = {"fastmath": {"contract"}, "forceinline": True}
# A running sum may be split into lanes, too. Nothing is assumed about NaN and infinities.
FAST = {"contract", "nsz", "reassoc"}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Call:
    """A call of a loop, ready to be made again: the task, its number of parts, and its arguments.

    `frame` holds the arguments as the task reads them; `pointers` are the places in it, in bytes,
    of the addresses of the arrays among them.
    """

    loop: Loop
    parts: int
    task: int
    frame: np.ndarray
    pointers: tuple[int, ...]


class Loop:
    """A compiled loop: loop(parts, *arguments) runs all its parts."""

    def __init__(self, part: Callable[..., None], kind: tuple[int, ...] = ()) -> None:
        self._source = cast(FunctionType, part)
        self.kind = kind

    def __call__(self, parts: int, *arguments: Any) -> None:
        if observing.observer is not None:
            observing.observer.loop(self.record(parts, *arguments), arguments)
        self._entry(parts, 0, *arguments)

    @property
    def name(self) -> str:
        """What to call it where people read it."""
        return self._source.__name__.lstrip("_")

    @property
    def module(self) -> str:
        """Where it is defined."""
        return self._source.__module__

    @cached_property
    def run_parts(self) -> Any:
        """The intrinsic (parts, record, arguments) behind it."""
        return _run_parts(self._source)

    def record(self, parts: int, *arguments: Any) -> Call:
        """The call loop(parts, *arguments), not made but written down."""
        words = np.zeros(RECORD_WORDS, np.int64)
        self._entry(parts, words.ctypes.data, *arguments)
        task, size, count = (int(w) for w in words[:3])
        places = words[HEADER_WORDS : HEADER_WORDS + count]
        first = 8 * (HEADER_WORDS + count)
        frame = words.view(np.uint8)[first : first + size].copy()
        return Call(self, parts, task, frame, tuple(int(p) for p in places))

    @cached_property
    def _entry(self) -> Callable[..., None]:
        numba.get_num_threads()  # starts Numba's pool, which defines numba_parallel_for
        source = self._source
        arguments = ", ".join(list(inspect.signature(source).parameters)[2:])
        code = source.__code__
        text = ENTRY.format(name=source.__name__, arguments=arguments)
        # Compiled as if it stood in the part's file, beside which Numba keeps its disk cache. The
        # cache is valid for as long as that file does not change, and is keyed by the qualified
        # name; what other files contribute to the code is told apart by their digest in it, and
        # so is code that calls OpenBLAS, which may be gone at the next run. Numba also reads the
        # lines there: the entry stands where the part does.
        text = "\n" * (code.co_firstlineno - 1) + text
        scope = {"run_parts": self.run_parts}
        exec(compile(text, code.co_filename, "exec"), scope)
        entry = cast(FunctionType, scope[source.__name__])
        entry.__module__ = source.__module__
        marks = (*self.kind, numba_blas.AVAILABLE, sources_digest())
        entry.__qualname__ = ".".join([source.__name__, *map(str, marks)])
        entry.is_loop = True  # type: ignore[attr-defined]  # for backends/compiling.py
        compiled: Callable[..., None] = cached_njit(entry)
        return compiled


ENTRY = """def {name}(parts, record, {arguments}):
    run_parts(parts, record, ({arguments},))
"""


def _run_parts(part: Callable[..., None]) -> Any:
    """An intrinsic that calls part(t, parts, *arguments) for every t, or records that call.

    `record` is 0, or the address of RECORD_WORDS words to write a `Call` to: the task, the size of
    the frame, the number of arrays, the places of their addresses, the frame.
    """

    @intrinsic
    def run_parts(context: Any, parts: Any, record: Any, arguments: Any) -> Any:
        return types.none(parts, record, arguments), emit

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        parts, record, arguments = values
        parts_type, _, argument_types = signature.args
        unpacked = [
            _borrowed(builder, builder.extract_value(arguments, i), argument_type)
            for i, argument_type in enumerate(argument_types)
        ]
        frame_type = ir.LiteralStructType([v.type for v in (parts, *unpacked)])
        frame = cgutils.alloca_once(builder, frame_type)
        for i, value in enumerate((parts, *unpacked)):
            builder.store(value, cgutils.gep_inbounds(builder, frame, 0, i))
        places = [
            _offset(frame_type, 0, 1 + i, ARRAY_DATA)
            for i, argument_type in enumerate(argument_types)
            if isinstance(argument_type, types.Array)
        ]

        flags: Any = Flags()
        flags.nrt = True
        flags.fastmath = FastMathOptions(FAST)
        flags.error_model = "numpy"  # x / 0 is infinite; no check that would stop vectorization
        part_signature = types.none(types.int64, parts_type, *argument_types)
        compiled = context.compile_subroutine(builder, part, part_signature, flags=flags)
        task = _task(context, builder, compiled.fndesc, part_signature, frame_type)

        running = builder.icmp_signed("==", record, SIZE(0))
        with builder.if_else(running, likely=True) as (run, write):
            with run:
                launch(builder, task, parts, builder.bitcast(frame, POINTER))
            with write:
                size = _offset(frame_type, 1)
                words = builder.inttoptr(record, SIZE.as_pointer())
                header = [task.ptrtoint(SIZE), size, SIZE(len(places)), *places]
                for i, word in enumerate(header):
                    builder.store(word, builder.gep(words, [SIZE(i)]))
                target = builder.gep(words, [SIZE(len(header))])
                cgutils.raw_memcpy(builder, target, frame, size, SIZE(1))
        return context.get_dummy_value()

    return run_parts


def launch(builder: Any, task: Any, parts: Any, data: Any) -> None:
    """Emit the call of every part of a task: here if there is one, else by Numba's pool."""
    # numba_parallel_for hands base + t * step to task t; base 0 and step 1 make that t itself.
    count = cgutils.alloca_once_value(builder, parts)
    base = cgutils.alloca_once_value(builder, ir.Constant(POINTER, None))
    step = cgutils.alloca_once_value(builder, SIZE(1))
    with builder.if_else(builder.icmp_signed("==", parts, SIZE(1))) as (small, large):
        with small:
            builder.call(task, [base, count, step, data])
        with large:
            pool = cgutils.get_or_insert_function(builder.module, LAUNCH_TYPE, "numba_parallel_for")
            threads = builder.trunc(parts, ir.IntType(32))
            function = builder.bitcast(task, POINTER)
            builder.call(pool, [function, base, count, step, data, SIZE(0), SIZE(1), threads])


def _borrowed(builder: Any, value: Any, numba_type: Any) -> Any:
    """An array without its owner, who outlives the call: no counting, and nothing to go stale."""
    if not isinstance(numba_type, types.Array):
        return value
    for i in (ARRAY_OWNER, ARRAY_PARENT):
        value = builder.insert_value(value, ir.Constant(value.type.elements[i], None), i)
    return value


def _offset(struct: Any, *indices: int) -> Any:
    """Bytes from a struct's beginning to what a getelementptr of these indices would reach."""
    at = [SIZE(indices[0]), *(ir.IntType(32)(i) for i in indices[1:])]
    return ir.Constant(struct.as_pointer(), None).gep(at).ptrtoint(SIZE)


SIZE = ir.IntType(64)
POINTER = ir.IntType(8).as_pointer()
_ARRAYS = (POINTER.as_pointer(), SIZE.as_pointer(), SIZE.as_pointer(), POINTER)
TASK_TYPE = ir.FunctionType(ir.VoidType(), _ARRAYS)
# (function, bases, counts, steps, data, inner dimensions, arrays, threads)
LAUNCH_TYPE = ir.FunctionType(ir.VoidType(), (POINTER, *_ARRAYS, SIZE, SIZE, ir.IntType(32)))
# Places in Numba's struct for an array.
ARRAY_OWNER, ARRAY_PARENT, ARRAY_DATA = 0, 1, 4
HEADER_WORDS = 3
RECORD_WORDS = 512  # room for some forty arrays


def _task(context: Any, builder: Any, part: Any, signature: Any, frame_type: Any) -> Any:
    """What Numba's pool calls: the parts from bases[0] on, counts[0] of them, from a frame."""
    name = part.llvm_func_name + ".task"
    if name in builder.module.globals:  # numba_compiled calls a loop more than once
        return builder.module.globals[name]
    task = ir.Function(builder.module, TASK_TYPE, name=name)
    task.linkage = "internal"
    inner = ir.IRBuilder(task.append_basic_block("entry"))
    bases, counts, _, data = task.args
    first = inner.ptrtoint(inner.load(bases), SIZE)
    frame = inner.bitcast(data, frame_type.as_pointer())
    arguments = [
        inner.load(cgutils.gep_inbounds(inner, frame, 0, i))
        for i in range(len(frame_type.elements))
    ]
    function = context.declare_function(builder.module, part)
    with cgutils.for_range(inner, inner.load(counts)) as turn:
        t = inner.add(first, turn.index)
        context.call_conv.call_function(
            inner, function, signature.return_type, signature.args, [t, *arguments]
        )
    inner.ret_void()
    return task


def loop(part: Callable[..., None]) -> Loop:
    """Decorator: a loop without kinds."""
    return Loop(part)


def loops(make: Callable[..., Callable[..., None]]) -> Callable[..., Loop]:
    """Decorator of a function that takes a loop's kind, as integers, and returns its part."""
    return cache(lambda *kind: Loop(make(*kind), kind))


def parts_for(work: int, most: int | None = None, serial_below: int = SERIAL_BELOW) -> int:
    """Into how many parts to split `work` elements, of which at most `most` are separable."""
    if work < serial_below:
        return 1
    threads = get_num_threads()
    return threads if most is None else max(min(threads, most), 1)


@register_jitable
def share(n: Any, parts: Any, t: Any) -> Any:
    """The bounds of part t of n things."""
    return n * t // parts, n * (t + 1) // parts


@register_jitable
def region(parts: Any, t: Any, rows: Any, columns: Any) -> Any:
    """The bounds (top, bottom, left, right) of part t of a matrix, split along its longer side."""
    if rows >= columns:
        low, high = share(rows, parts, t)
        return low, high, 0, columns
    low, high = share(columns, parts, t)
    return 0, rows, low, high


Rules = Callable[[Any], Sequence[Callable[..., Any]]]


def chosen_by_kind(rules: Rules) -> Any:
    """Decorator: a scalar function of (kind, *operands) from a table of rules.

    `rules` takes the loop's float class, to build constants with, and returns the scalar functions
    by kind. Only the one that a loop asks for is compiled.
    """

    def function(kind: Any, *operands: Any) -> Any:
        raise NotImplementedError(f"{rules.__name__} is for compiled loops")

    @overload(function, jit_options=STRICT)
    def choose(kind: Any, *operands: Any) -> Any:
        if not isinstance(kind, types.IntegerLiteral):
            return None
        float_class = np.float32 if operands[0] == types.float32 else np.float64
        rule = register_jitable(**STRICT)(rules(float_class)[kind.literal_value])

        def implementation(kind: Any, *operands: Any) -> Any:
            return rule(*operands)

        return implementation

    return function


def flat(x: Any) -> Any:
    """x in one dimension, so that a loop is not compiled again for every number of axes."""
    return x if x is None or x.ndim == 1 else x.reshape(-1)

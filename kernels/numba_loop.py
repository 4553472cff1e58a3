"""How a loop is compiled and run: one compiled function, for small work and for many threads.

A loop is a function `f(t, parts, *outputs, *inputs, *numbers)` that does part t of the work (see
`share`). Small work is one call, f(0, 1, ...), because starting threads would cost more than it
brings; large work is one call for every t, on the threads of Numba's own pool. Both go through one
entry, compiled when first used and kept in Numba's disk cache. What f computes depends on `parts`
alone, so equal inputs and an equal number of threads give equal bits.

Numba's `prange` would do the same, but compiles the loop four times on its way to the threads, a
second for each kernel where this takes a quarter of it; and it would need a second, serial version.

A loop that comes in kinds is made by a function that takes the kind as integers, over which the
loop closes. Numba sees literals there: functions that are chosen by one (see `chosen_by_kind`)
compile for that kind alone, and the disk cache tells the kinds apart.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
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

from .numba_cache import cached_njit, sources_digest
from .threads import get_num_threads

# Elements below which a loop runs serially: starting threads costs some 2 us, as much as 2^14
# elements of a plain loop.
SERIAL_BELOW = 1 << 14

# The order of operations as written, but a product and a sum may become one instruction.
STRICT: Any = {"fastmath": {"contract"}, "forceinline": True}
# A running sum may be split into lanes, too. Nothing is assumed about NaN and infinities.
FAST = {"contract", "nsz", "reassoc"}

F = TypeVar("F", bound=Callable[..., Any])


class Loop:
    """A compiled loop: loop(parts, *arguments) runs all its parts."""

    def __init__(self, part: Callable[..., None], kind: tuple[int, ...] = ()) -> None:
        self._source = cast(FunctionType, part)
        self._kind = kind

    def __call__(self, parts: int, *arguments: Any) -> None:
        self._entry(parts, *arguments)

    @cached_property
    def _entry(self) -> Callable[..., None]:
        numba.get_num_threads()  # starts Numba's pool, which defines numba_parallel_for
        source = self._source
        arguments = ", ".join(list(inspect.signature(source).parameters)[2:])
        code = source.__code__
        text = ENTRY.format(name=source.__name__, arguments=arguments)
        # Compiled as if it stood in the part's file, beside which Numba keeps its disk cache. The
        # cache is valid for as long as that file does not change, and is keyed by the qualified
        # name; what other files contribute to the code is told apart by their digest in it. Numba
        # also reads the lines there: the entry stands where the part does.
        text = "\n" * (code.co_firstlineno - 1) + text
        scope = {"run_parts": _run_parts(source)}
        exec(compile(text, code.co_filename, "exec"), scope)
        entry = cast(FunctionType, scope[source.__name__])
        entry.__module__ = source.__module__
        entry.__qualname__ = ".".join([source.__name__, *map(str, self._kind), sources_digest()])
        entry.is_loop = True  # type: ignore[attr-defined]  # for backends/compiling.py
        compiled: Callable[..., None] = cached_njit(entry)
        return compiled


ENTRY = """def {name}(parts, {arguments}):
    run_parts(parts, ({arguments},))
"""


def _run_parts(part: Callable[..., None]) -> Any:
    """An intrinsic that calls part(t, parts, *arguments) for every t."""

    @intrinsic
    def run_parts(context: Any, parts: Any, arguments: Any) -> Any:
        return types.none(parts, arguments), emit

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        parts, arguments = values
        parts_type, argument_types = signature.args
        unpacked = [builder.extract_value(arguments, i) for i in range(len(argument_types))]
        frame_type = ir.LiteralStructType([v.type for v in (parts, *unpacked)])
        frame = cgutils.alloca_once(builder, frame_type)
        for i, value in enumerate((parts, *unpacked)):
            builder.store(value, cgutils.gep_inbounds(builder, frame, 0, i))

        flags: Any = Flags()
        flags.nrt = True
        flags.fastmath = FastMathOptions(FAST)
        flags.error_model = "numpy"  # x / 0 is infinite; no check that would stop vectorization
        part_signature = types.none(types.int64, parts_type, *argument_types)
        compiled = context.compile_subroutine(builder, part, part_signature, flags=flags)
        task = _task(context, builder, compiled.fndesc, part_signature, frame_type)

        # numba_parallel_for hands base + t * step to task t; base 0 and step 1 make that t itself.
        count = cgutils.alloca_once_value(builder, parts)
        base = cgutils.alloca_once_value(builder, ir.Constant(POINTER, None))
        step = cgutils.alloca_once_value(builder, SIZE(1))
        data = builder.bitcast(frame, POINTER)
        with builder.if_else(builder.icmp_signed("==", parts, SIZE(1))) as (small, large):
            with small:
                builder.call(task, [base, count, step, data])
            with large:
                launch = cgutils.get_or_insert_function(
                    builder.module, LAUNCH_TYPE, "numba_parallel_for"
                )
                threads = builder.trunc(parts, ir.IntType(32))
                function = builder.bitcast(task, POINTER)
                builder.call(launch, [function, base, count, step, data, SIZE(0), SIZE(1), threads])
        return context.get_dummy_value()

    return run_parts


SIZE = ir.IntType(64)
POINTER = ir.IntType(8).as_pointer()
_ARRAYS = (POINTER.as_pointer(), SIZE.as_pointer(), SIZE.as_pointer(), POINTER)
TASK_TYPE = ir.FunctionType(ir.VoidType(), _ARRAYS)
# (function, bases, counts, steps, data, inner dimensions, arrays, threads)
LAUNCH_TYPE = ir.FunctionType(ir.VoidType(), (POINTER, *_ARRAYS, SIZE, SIZE, ir.IntType(32)))


def _task(context: Any, builder: Any, part: Any, signature: Any, frame_type: Any) -> Any:
    """What Numba's pool calls: the parts from bases[0] on, counts[0] of them, from a frame."""
    task = ir.Function(builder.module, TASK_TYPE, name=part.llvm_func_name + ".task")
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

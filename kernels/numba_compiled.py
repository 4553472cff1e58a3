"""Recorded calls of loops as one compiled function, with the shapes of their arrays known to LLVM.

The function's text is made from the calls: a view for each array, then a call of each loop's parts.
Addresses come in an array, so that the compiled code does not depend on them and can be kept in
Numba's disk cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from .numba_blas import AVAILABLE, restore, single
from .numba_cache import cached_njit, sources_digest
from .numba_loop import Loop


@dataclass(frozen=True)
class View:
    """An array `offset` bytes behind base address number `base`, of the layout of `like`."""

    base: int
    offset: int
    like: np.ndarray


@dataclass(frozen=True)
class LoopCall:
    """loop(parts, *arguments), with a View for each array."""

    loop: Loop
    parts: int
    arguments: tuple[Any, ...]


class CompiledProgram:
    """Calls of loops, compiled together when first called. `bases` are the addresses of views."""

    def __init__(self, calls: Sequence[LoopCall], bases: Sequence[int]) -> None:
        self.bases = np.array(bases, np.int64)
        self.words: Any = memoryview(self.bases)  # type: ignore[arg-type]
        self._entry = _compile(calls)

    def __call__(self) -> None:
        self._entry(self.bases)


def _compile(calls: Sequence[LoopCall]) -> Callable[[np.ndarray], None]:
    scope: dict[str, Any] = {"single": single, "restore": restore}
    lines: list[str] = []
    digest = hashlib.sha256(f"{sources_digest()} {AVAILABLE}".encode())

    def named(prefix: str, key: Any, make: Callable[[], Any]) -> str:
        """The name in the scope of what `make` makes for `key`."""
        if (prefix, key) not in names:
            names[prefix, key] = f"{prefix}{len(names)}"
            scope[names[prefix, key]] = make()
            digest.update(repr((prefix, key)).encode())
        return names[prefix, key]

    names: dict[tuple[str, Any], str] = {}

    def expression(argument: Any) -> str:
        if argument is None:
            return "None"
        if isinstance(argument, View):
            x = argument.like
            kind = numba.typeof(x)
            view = named("view", (str(kind), x.shape, x.strides), lambda: _view(kind, x))
            return f"{view}(bases[{argument.base}] + {argument.offset})"
        kind = numba.typeof(argument)
        return named("c", (str(kind), repr(argument)), lambda: _constant(kind, argument)) + "()"

    for call in calls:
        source = call.loop
        key = (source.name, source.kind, source.module)
        run = named("run", key, lambda source=source: source.run_parts)  # type: ignore[misc]
        arguments = ", ".join(map(expression, call.arguments))
        lines.append(f"    {run}({expression(call.parts)}, {expression(0)}, ({arguments},))")
    body = ["def step(bases):", "    before = single()", *lines, "    restore(before)"]
    text = "\n".join(body)
    digest.update(text.encode())
    exec(compile(text, __file__, "exec"), scope)
    step = scope["step"]
    step.__module__ = __name__
    step.__qualname__ = f"step.{digest.hexdigest()[:16]}"
    step.is_loop = True  # for backends/compiling.py
    compiled: Callable[[np.ndarray], None] = cached_njit(step)
    return compiled


def _constant(kind: Any, value: Any) -> Any:
    """An intrinsic without arguments: a number that LLVM knows and Numba types as any other."""

    @intrinsic
    def constant(typing: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return context.get_constant(kind, value)

        return kind(), emit

    return constant


def _view(kind: Any, like: np.ndarray) -> Any:
    """An intrinsic from an address to an array of the layout of `like`."""
    shape, strides, itemsize = like.shape, like.strides, like.itemsize

    @intrinsic
    def view(typing: Any, address: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            array = make_array(kind)(context, builder)
            size = ir.IntType(64)
            populate_array(
                array,
                data=builder.inttoptr(values[0], array.data.type),
                shape=[size(n) for n in shape],
                strides=[size(n) for n in strides],
                itemsize=size(itemsize),
                meminfo=None,
            )
            return array._getvalue()

        return kind(types.int64), emit

    return view

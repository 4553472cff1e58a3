"""What a kernel is: the contract that every backend's implementation fulfils.

A kernel fills output arrays that it is given and returns nothing:

    reference(xp, *outputs, *inputs, **attributes)      in reference.py, over an array module
    loops(*outputs, *inputs, **attributes)              in loops.py, Numba
    cuda(runtime, *outputs, *inputs, **attributes)      in cuda.py, which launches cuda.cu

The reference function's signature is the source of truth: positional parameters named as outputs
are outputs, the other positional ones are inputs, the keyword-only ones are attributes (static:
strings, numbers, booleans). An input or output that may be absent is None. `shapes` tells the
shape and dtype of every output, so that a backend allocates in one place.

Names carry meaning. For a kernel `f_forward` with inputs `a`, `b` and output `out`, the kernel
`f_backward` takes `dout` (the gradient of a scalar by `out`), whatever it needs of `a`, `b`, `out`
by their names, and fills `da`, `db`. The conformance suite checks gradients from the names alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ..errors import BackendError

Array: TypeAlias = Any
ShapeDType: TypeAlias = tuple[tuple[int, ...], Any]
Shapes: TypeAlias = Callable[..., tuple[ShapeDType | None, ...]]

FLOATS = ("float32", "float64")
# Dtypes that hold numbers in 16 bits and are computed in float32: by backends that say so.
HALVES = ("bfloat16", "float16")
NUMBERS = (*FLOATS, *HALVES, "int32", "int64", "uint8", "uint32", "bool")
# Kinds of floating dtypes: to NumPy, bfloat16 is a foreign type (V).
FLOAT_KINDS = "fV"
FLOAT32 = np.dtype("float32")
# Inputs that are float64 whatever the dtype of the others: small state, and sums of many squares.
WIDE = ("hyper", "total", "scaling")
# Inputs in the `accumulator` of the others' dtype: sums over many elements, saved by an earlier
# kernel, the states of cells, the parameters and statistics of normalization, fixed tables.
SUMS = (
    "stats", "norm", "c0", "cells", "dcell", "scale", "shift", "running_mean", "running_var",
    "table",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """Arguments to try a kernel on: arrays (floating ones are cast to each dtype) and attributes.

    `kinks` are values of the first input at which the kernel has no derivative.
    """

    inputs: Mapping[str, np.ndarray | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    kinks: tuple[float, ...] = ()


def _one(*_: Any, **__: Any) -> int:
    return 1


@dataclass(frozen=True)
class Kernel:
    """One kernel's row in its family's table.

    reference   the NumPy-style function; its signature names outputs, inputs and attributes
    shapes      (*inputs, **attributes) -> (shape, dtype) or None for each output
    samples     draws arguments for the conformance suite from a NumPy generator
    outputs     names of the outputs, allocated by the backend unless the caller gives them
    updates     names of inputs that the kernel writes in place
    dtypes      dtypes of its inputs; all its floating inputs but those in WIDE and SUMS share one
    strided     whether implementations take non-contiguous inputs as they are
    depth       (*inputs, **attributes) -> the longest chain of additions behind one output element,
                from which tolerances are derived
    special     whether inputs may hold NaN, infinities and denormals in the conformance suite
    """

    reference: Callable[..., None]
    shapes: Shapes
    samples: Callable[[np.random.Generator], Iterator[Sample]]
    outputs: tuple[str, ...] = ("out",)
    updates: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = (*FLOATS, *HALVES)
    strided: bool = False
    depth: Callable[..., int] = _one
    special: bool = False

    name: str = field(init=False)
    inputs: tuple[str, ...] = field(init=False)
    attributes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        parameters = list(inspect.signature(self.reference).parameters.values())[1:]
        positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        if tuple(positional[: len(self.outputs)]) != self.outputs:
            raise TypeError(f"{self.reference.__name__}: outputs come first in its signature")
        set_ = object.__setattr__
        set_(self, "name", self.reference.__name__)
        set_(self, "inputs", tuple(positional[len(self.outputs) :]))
        set_(self, "attributes", tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY))


def accumulator(dtype: Any) -> Any:
    """The dtype in which numbers of `dtype` are computed and added: float32 for 16-bit ones.

    >>> accumulator(np.dtype("float16")).name, accumulator(np.dtype("float64")).name
    ('float32', 'float64')
    """
    return FLOAT32 if dtype.itemsize == 2 and dtype.kind in FLOAT_KINDS else dtype


def dtype_named(dtype: Any) -> np.dtype[Any]:
    """The dtype called so; NumPy knows bfloat16 once ml_dtypes is imported.

    >>> dtype_named("float16").itemsize
    2
    """
    if isinstance(dtype, str) and dtype == "bfloat16":
        try:
            import ml_dtypes  # noqa: F401
        except ImportError:
            raise BackendError(
                "bfloat16 arrays need the package ml_dtypes; run: pip install ml_dtypes"
            ) from None
    return np.dtype(dtype)


def like_first(x: Array, *_: Any, **__: Any) -> tuple[ShapeDType]:
    """Shapes of a kernel whose only output has the shape and dtype of its first input."""
    return ((x.shape, x.dtype),)


def nothing(*_: Any, **__: Any) -> tuple[()]:
    """Shapes of a kernel that only updates in place."""
    return ()

"""Compiling ahead: calls ops on their specs' samples, so that later calls find all in the cache.

A call compiles the loops that it needs for its arguments' types, which the samples share with real
calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..kernels import FAMILY_OF, TABLE
from ..kernels.spec import WIDE, Kernel, Sample
from .backend import Backend

# What multilayer perceptrons use. Elementwise arithmetic has hundreds of loops, of which they need
# few; loops of convolutions, recurrent cells and attention take minutes together, and are compiled
# when a network first asks for one.
FAMILIES = (
    "activation", "dense", "dropout", "elementwise", "indexing", "loss", "metric", "optimizer",
    "random", "reduction", "regularization", "softmax",
)  # fmt: skip
ACTIVATIONS = ("identity", "relu", "leaky_relu", "elu", "gelu", "sigmoid", "silu", "tanh")
ARITHMETIC = ("add", "multiply")


@dataclass(frozen=True)
class Task:
    """One op for one dtype."""

    kernel: Kernel
    dtype: str
    samples: list[Sample]

    def run(self, backend: Backend) -> None:
        """Call the op on every sample."""
        op = getattr(backend.ops, self.kernel.name)
        for sample in self.samples:
            arrays = [
                None if x is None else backend.asarray(self._cast(name, x))
                for name, x in sample.inputs.items()
            ]
            op(*arrays, **sample.attributes)

    def _cast(self, name: str, x: np.ndarray) -> np.ndarray:
        return x.astype(self.dtype) if x.dtype.kind == "f" and name not in WIDE else x


def tasks(everything: bool = False) -> Iterator[Task]:
    """What multilayer perceptrons need in float32, or every kind of every op in both dtypes."""
    for dtype in ("float32", "float64") if everything else ("float32",):
        for kernel in TABLE.values():
            samples = [
                sample
                for sample in kernel.samples(np.random.default_rng(0))
                if everything or _is_common(kernel, sample)
            ]
            if samples:
                yield Task(kernel, dtype, samples)


def warm_replays() -> None:
    """Compile what replays captured steps."""
    from ..kernels.numba_player import Program

    Program([])()


def _is_common(kernel: Kernel, sample: Sample) -> bool:
    attributes = sample.attributes
    if FAMILY_OF[kernel.name] not in FAMILIES:
        return False
    if FAMILY_OF[kernel.name] == "elementwise":
        return attributes.get("kind", "add") in ARITHMETIC
    if FAMILY_OF[kernel.name] == "activation":
        return attributes["kind"] in ACTIVATIONS
    return attributes.get("activation", "identity") in ACTIVATIONS

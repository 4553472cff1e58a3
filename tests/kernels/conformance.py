"""What every kernel of every backend is held to, from the specs alone.

The oracle is the family's reference, run in float64. The error of a float32 result is bounded from
dtype and size: every output is at most `depth` additions deep, each rounding by eps / 2 of the
magnitude of what it adds, on top of a fixed number of roundings for the elementwise part.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from tercet.backends import Backend
from tercet.kernels import TABLE
from tercet.kernels.spec import WIDE, Kernel, Sample

# Roundings behind one element apart from sums: the longest elementwise chain (mish's derivative)
# has some 20 operations, and exp, tanh, erf and log are allowed 4 units in the last place each.
ROUNDINGS = 40
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 1.0, -1e4, 1e4])


def samples(kernel: Kernel) -> Iterator[Sample]:
    yield from kernel.samples(np.random.default_rng(zlib.crc32(kernel.name.encode())))


def cast(kernel: Kernel, sample: Sample, dtype: str) -> list[np.ndarray | None]:
    """The sample's arrays with the floating ones in `dtype`."""
    return [
        None
        if x is None
        else x.astype(dtype)
        if x.dtype.kind == "f" and name not in WIDE
        else x.copy()
        for name, x in sample.inputs.items()
    ]


def oracle(
    kernel: Kernel, inputs: list[np.ndarray | None], attributes: dict[str, Any]
) -> dict[str, np.ndarray | None]:
    """Outputs and updated inputs of the reference in float64, by name."""
    wide = [
        x.astype(np.float64)
        if x is not None and x.dtype.kind == "f"
        else None
        if x is None
        else x.copy()
        for x in inputs
    ]
    outputs = [
        None if s is None else np.empty(s[0], np.float64 if np.dtype(s[1]).kind == "f" else s[1])
        for s in kernel.shapes(*wide, **attributes)
    ]
    with np.errstate(all="ignore"):
        kernel.reference(np, *outputs, *wide, **attributes)
    named = dict(zip(kernel.outputs, outputs, strict=True))
    return named | {k: wide[kernel.inputs.index(k)] for k in kernel.updates}


def run(
    backend: Backend, kernel: Kernel, inputs: list[np.ndarray | None], attributes: dict[str, Any]
) -> dict[str, np.ndarray | None]:
    """The backend's outputs and updated inputs, by name; asserts that nothing else was written."""
    arrays = [None if x is None else backend.asarray(x) for x in inputs]
    result = getattr(backend.ops, kernel.name)(*arrays, **attributes)
    results = (result,) if len(kernel.outputs) == 1 else result or ()
    for name, before, after in zip(kernel.inputs, inputs, arrays, strict=True):
        if before is not None and name not in kernel.updates:
            assert np.array_equal(
                backend.to_numpy(after), before, equal_nan=before.dtype.kind == "f"
            ), f"{kernel.name} changed its input {name}"
    named = dict(zip(kernel.outputs, results, strict=True))
    named |= {k: arrays[kernel.inputs.index(k)] for k in kernel.updates}
    return {k: None if x is None else backend.to_numpy(x) for k, x in named.items()}


def compare(
    kernel: Kernel,
    inputs: list[np.ndarray | None],
    attributes: dict[str, Any],
    got: dict[str, np.ndarray | None],
    dtype: str,
) -> None:
    want = oracle(kernel, inputs, attributes)
    depth = kernel.depth(*inputs, **attributes)
    expected_shapes = kernel.shapes(*inputs, **attributes)
    for name, shape in zip(kernel.outputs, expected_shapes, strict=True):
        assert (shape is None) == (got[name] is None), f"{kernel.name}: {name}"
        if shape is not None:
            assert (got[name].shape, got[name].dtype) == (shape[0], np.dtype(shape[1])), name
    for name, reference in want.items():
        if reference is None or name == "dz":
            continue
        value = got[name]
        if value.dtype.kind != "f":
            np.testing.assert_array_equal(value, reference, err_msg=f"{kernel.name} {attributes}")
            continue
        limits = np.finfo(value.dtype)
        eps = max(float(np.finfo(dtype).eps), float(limits.eps))
        with np.errstate(over="ignore"):
            reference = np.where(
                np.abs(reference) > limits.max, np.copysign(np.inf, reference), reference
            )
        bound = tolerance(reference, inputs, depth, eps) + float(limits.smallest_normal)
        same = (np.isnan(value) & np.isnan(reference)) | (value == reference)
        with np.errstate(invalid="ignore"):
            off = ~same & ~(np.abs(value - reference) <= bound)
        assert not off.any(), (
            f"{kernel.name} {attributes} {dtype}: output {name} is off at {np.argwhere(off)[0]}: "
            f"expected {reference[off][0]!r}, found {value[off][0]!r}, "
            f"bound {np.broadcast_to(bound, off.shape)[off][0]:.2e}; "
            f"shapes {[None if x is None else x.shape for x in inputs]}"
        )


def tolerance(
    reference: np.ndarray, inputs: list[np.ndarray | None], depth: int, eps: float
) -> np.ndarray:
    """How far each element may be off: roundings times eps times the size of what is added.

    Elementwise kernels round relative to their result, and where terms cancel to results of the
    size of 1. A sum rounds relative to its terms, which are as large as the inputs at least.
    """
    largest = np.abs(reference[np.isfinite(reference)]).max(initial=0.0)
    least = min(1.0, largest)
    if depth > 1:
        floats = [x for x in inputs if x is not None and x.dtype.kind == "f"]
        terms = [np.abs(x[np.isfinite(x)]).max(initial=0.0) for x in floats]
        least = max(1.0, largest, *terms)
    scale = np.maximum(np.abs(reference), least)
    return eps * (ROUNDINGS + depth) * np.where(np.isfinite(scale), scale, 0.0)


def gradient_pairs() -> list[tuple[Kernel, Kernel]]:
    """(forward, backward) kernels that belong together by name."""
    return [
        (TABLE[name], TABLE[name.removesuffix("_forward") + "_backward"])
        for name in TABLE
        if name.endswith("_forward")
    ]

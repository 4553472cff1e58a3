"""What every kernel of every backend is held to, from the specs alone.

The oracle is the family's reference, run in float64. The error of a float32 result is bounded from
dtype and size: every output is at most `depth` additions deep, each rounding by eps / 2 of the
magnitude of what it adds, on top of a fixed number of roundings for the elementwise part. 16-bit
kernels compute in float32 and round each result once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from tercet.backends import Backend
from tercet.kernels import TABLE
from tercet.kernels.spec import (
    FLOAT_KINDS,
    SUMS,
    WIDE,
    Kernel,
    Sample,
    accumulator,
    dtype_named,
)

# Roundings behind one element apart from sums: the longest elementwise chain (mish's derivative)
# has some 20 operations, and exp, tanh, erf and log are allowed 4 units in the last place each.
ROUNDINGS = 40
# Outputs that are computed from an array that was rounded to 16 bits between two launches: the
# product before its activation, dz before its products; a sum with a residual, which is kept.
ROUNDED_BETWEEN = (("dense_forward", "out"), ("dense_forward", "pre"), ("dense_backward", "dx"),
                   ("dense_backward", "dweight"), ("layer_norm_forward", "out"),
                   ("layer_norm_forward", "stats"))  # fmt: skip
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 1.0, -1e4, 1e4])


def samples(kernel: Kernel) -> Iterator[Sample]:
    yield from kernel.samples(np.random.default_rng(zlib.crc32(kernel.name.encode())))


def cast(kernel: Kernel, sample: Sample, dtype: str) -> list[np.ndarray | None]:
    """The sample's arrays with the floating ones in `dtype`."""
    wanted = dtype_named(dtype)

    def converted(name: str, x: np.ndarray) -> np.ndarray:
        if x.dtype.kind != "f" or name in WIDE:
            return x.copy()
        with np.errstate(over="ignore"):
            return x.astype(accumulator(wanted) if name in SUMS else wanted)

    return [None if x is None else converted(name, x) for name, x in sample.inputs.items()]


def finfo(dtype: Any) -> Any:
    """The limits of a floating dtype, bfloat16 among them."""
    if dtype.name == "bfloat16":
        import ml_dtypes

        return ml_dtypes.finfo(dtype)
    return np.finfo(dtype)


def oracle(
    kernel: Kernel, inputs: list[np.ndarray | None], attributes: dict[str, Any]
) -> dict[str, np.ndarray | None]:
    """Outputs and updated inputs of the reference in float64, by name."""
    wide = [
        x.astype(np.float64)
        if x is not None and x.dtype.kind in FLOAT_KINDS
        else None
        if x is None
        else x.copy()
        for x in inputs
    ]
    outputs = [
        None if s is None else np.empty(s[0], np.float64 if s[1].kind in FLOAT_KINDS else s[1])
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
            unchanged = backend.to_numpy(after).tobytes() == before.tobytes()
            assert unchanged, f"{kernel.name} changed its input {name}"
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
        if value.dtype.kind not in FLOAT_KINDS:
            np.testing.assert_array_equal(value, reference, err_msg=f"{kernel.name} {attributes}")
            continue
        largest = float(finfo(value.dtype).max)
        with np.errstate(over="ignore"):
            reference = np.where(
                np.abs(reference) > largest, np.copysign(np.inf, reference), reference
            )
        bound = tolerance(kernel, name, value.dtype, reference, inputs, depth, dtype)
        value = value.astype(np.float64)
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
    kernel: Kernel,
    name: str,
    dtype: np.dtype[Any],
    reference: np.ndarray,
    inputs: list[np.ndarray | None],
    depth: int,
    given: str,
) -> np.ndarray:
    """How far each element of output `name`, of `dtype`, may be off where inputs are `given`.

    Roundings times eps times the size of what is added. Elementwise kernels round relative to
    their result, and where terms cancel to results of the size of 1. A sum rounds relative to its
    terms, which are as large as the inputs at least.
    """
    source = dtype_named(given)
    largest = np.abs(reference[np.isfinite(reference)]).max(initial=0.0)
    least = min(1.0, largest)
    if depth > 1:
        floats = [x.astype(float) for x in inputs if x is not None and x.dtype.kind in FLOAT_KINDS]
        terms = [np.abs(x[np.isfinite(x)]).max(initial=0.0) for x in floats]
        least = max(1.0, largest, *terms)
    size = np.where(np.isfinite(reference), np.abs(reference), 0.0)
    scale = np.where(np.isfinite(reference), np.maximum(size, least), 0.0)
    eps = max(float(np.finfo(accumulator(d)).eps) for d in (source, dtype))
    bound = eps * (ROUNDINGS + depth) * scale
    if source != accumulator(source) and (kernel.name, name) in ROUNDED_BETWEEN:
        # The independent roundings of `depth` terms: 3.5 standard deviations of their sum.
        bound += float(finfo(source).eps) * depth**0.5 * scale
    limits = finfo(dtype)
    if dtype == accumulator(dtype):
        return bound + float(limits.smallest_normal)  # below it, zero is as good
    return bound + float(limits.eps) / 2 * size + float(limits.smallest_subnormal)


def gradient_pairs() -> list[tuple[Kernel, Kernel]]:
    """(forward, backward) kernels that belong together by name."""
    return [
        (TABLE[name], TABLE[name.removesuffix("_forward") + "_backward"])
        for name in TABLE
        if name.endswith("_forward")
    ]

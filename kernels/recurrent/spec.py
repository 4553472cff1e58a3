"""The recurrent family's table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from ..spec import Array, Kernel, Sample, ShapeDType, accumulator
from .reference import (
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    rnn_backward,
    rnn_forward,
)

NONLINEARITIES = ("tanh", "relu")
# (length, batch, hidden)
SIZES = ((1, 1, 1), (5, 3, 4), (4, 9, 33), (3, 40, 20), (0, 2, 3), (3, 0, 3))


def _sequence(projected: Array, weight: Array, columns: int, dtype: Any) -> ShapeDType:
    return (*projected.shape[:2], columns * weight.shape[0]), dtype


def _states(projected: Array, weight: Array) -> tuple[ShapeDType, ShapeDType]:
    """out and last."""
    last = ((projected.shape[1], weight.shape[0]), projected.dtype)
    return _sequence(projected, weight, 1, projected.dtype), last


def _rnn_shapes(
    projected: Array, weight: Array, *_: Array | None, nonlinearity: str, reverse: bool
) -> tuple[ShapeDType, ...]:
    return _states(projected, weight)


def _lstm_shapes(
    projected: Array, weight: Array, *_: Array | None, reverse: bool
) -> tuple[ShapeDType, ...]:
    out, last = _states(projected, weight)
    wide = accumulator(projected.dtype)
    gates = _sequence(projected, weight, 4, projected.dtype)
    return out, last, (last[0], wide), gates, _sequence(projected, weight, 1, wide)


def _gru_shapes(
    projected: Array, weight: Array, *_: Array | None, reverse: bool
) -> tuple[ShapeDType, ...]:
    return (*_states(projected, weight), _sequence(projected, weight, 4, projected.dtype))


def _gradient_shapes(
    gates: int, needs: tuple[bool, ...], dout: Array, weight: Array
) -> tuple[ShapeDType | None, ...]:
    """Of dprojected, dweight, dbias, dh0 and, where `needs` tells of it, dc0."""
    # Parameters are kept in float32 where the layer computes in 16 bits: so are their gradients.
    kept = accumulator(weight.dtype)
    state = dout.shape[1:]
    given = [(weight.shape, kept), (weight.shape[1:], kept), (state, dout.dtype), (state, kept)]
    wanted = [g if need else None for g, need in zip(given, needs[1:], strict=False)]
    return _sequence(dout, weight, gates, dout.dtype), *wanted


def _rnn_gradients(
    dout: Array,
    dlast: Array,
    weight: Array,
    *_: Array | None,
    nonlinearity: str,
    reverse: bool,
    needs: tuple[bool, bool, bool, bool],
) -> tuple[ShapeDType | None, ...]:
    return _gradient_shapes(1, needs, dout, weight)


def _lstm_gradients(
    dout: Array,
    dlast: Array,
    dcell: Array,
    weight: Array,
    *_: Array | None,
    reverse: bool,
    needs: tuple[bool, bool, bool, bool, bool],
) -> tuple[ShapeDType | None, ...]:
    return _gradient_shapes(4, needs, dout, weight)


def _gru_gradients(
    dout: Array,
    dlast: Array,
    weight: Array,
    *_: Array | None,
    reverse: bool,
    needs: tuple[bool, bool, bool, bool],
) -> tuple[ShapeDType | None, ...]:
    return _gradient_shapes(3, needs, dout, weight)


def _forward_depth(projected: Array, weight: Array, *_: Any, **__: Any) -> int:
    """Every step adds `hidden` products and what its elementwise part rounds."""
    return int(max(1, projected.shape[0]) * (weight.shape[0] + 10))


def _backward_depth(dout: Array, *_: Any, **__: Any) -> int:
    length, batch, hidden = dout.shape
    return int(max(1, length) * (batch + 4 * hidden + 10))


def _lengths(rng: np.random.Generator, length: int, batch: int) -> np.ndarray:
    """0 and all of `length` among them, and some that a caller should not have given."""
    lengths = rng.integers(0, length + 1, size=batch)
    lengths[:2] = [0, length + 5][:batch]
    return lengths


def _arguments(
    rng: np.random.Generator, gates: int, cell: bool
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Every size read both ways; lengths, bias and states there or absent, by turns."""
    cases = product(SIZES, (False, True))
    for i, ((length, batch, hidden), reverse) in enumerate(cases):
        scale = hidden**-0.5
        full = i % 3 != 2
        arrays = {
            "projected": rng.normal(size=(length, batch, gates * hidden)),
            "weight": rng.uniform(-scale, scale, size=(hidden, gates * hidden)),
            "bias": rng.normal(size=gates * hidden) if full else None,
            "h0": rng.normal(size=(batch, hidden)) if full else None,
        }
        if cell:
            arrays["c0"] = rng.normal(size=(batch, hidden)) if full else None
        arrays["lengths"] = None
        yield arrays, reverse
        yield arrays | {"lengths": _lengths(rng, length, batch)}, reverse


def _forward_samples(gates: int, **kinds: tuple[str, ...]) -> Any:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for arrays, reverse in _arguments(rng, gates, cell=gates == 4):
            for values in product(*kinds.values()):
                attributes = dict(zip(kinds, values, strict=True)) | {"reverse": reverse}
                yield Sample(arrays, attributes)

    return samples


def _backward_samples(forward: Kernel, backward: Callable[..., None]) -> Any:
    """Of each forward sample what its forward pass saves, and gradients by its states."""
    names = list(inspect.signature(backward).parameters)

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for i, sample in enumerate(forward.samples(rng)):
            arrays, attributes = dict(sample.inputs), sample.attributes
            wanted = forward.shapes(*arrays.values(), **attributes)
            outputs = [None if s is None else np.empty(*s) for s in wanted]
            forward.reference(np, *outputs, *arrays.values(), **attributes)
            known: dict[str, Any] = arrays | dict(zip(forward.outputs, outputs, strict=True))
            for name in ("out", "last", "cell"):
                if name in known:
                    known[f"d{name}"] = rng.normal(size=known[name].shape)
            needs = tuple(i % 5 != 4 and arrays[k] is not None for k in arrays if k != "lengths")
            yield Sample({k: known[k] for k in names if k in known}, attributes | {"needs": needs})

    return samples


_RNN = Kernel(
    rnn_forward,
    _rnn_shapes,
    _forward_samples(1, nonlinearity=NONLINEARITIES),
    outputs=("out", "last"),
    depth=_forward_depth,
)
_LSTM = Kernel(
    lstm_forward,
    _lstm_shapes,
    _forward_samples(4),
    outputs=("out", "last", "cell", "gates", "cells"),
    depth=_forward_depth,
)
_GRU = Kernel(
    gru_forward,
    _gru_shapes,
    _forward_samples(3),
    outputs=("out", "last", "gates"),
    depth=_forward_depth,
)
_GRADIENTS = ("dprojected", "dweight", "dbias", "dh0")

KERNELS = [
    _RNN,
    Kernel(
        rnn_backward,
        _rnn_gradients,
        _backward_samples(_RNN, rnn_backward),
        outputs=_GRADIENTS,
        depth=_backward_depth,
    ),
    _LSTM,
    Kernel(
        lstm_backward,
        _lstm_gradients,
        _backward_samples(_LSTM, lstm_backward),
        outputs=(*_GRADIENTS, "dc0"),
        depth=_backward_depth,
    ),
    _GRU,
    Kernel(
        gru_backward,
        _gru_gradients,
        _backward_samples(_GRU, gru_backward),
        outputs=_GRADIENTS,
        depth=_backward_depth,
    ),
]

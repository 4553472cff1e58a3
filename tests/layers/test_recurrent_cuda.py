"""Recurrent layers on the simulation of CUDA: as elsewhere, and in mixed precision."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet import backends
from tercet.backends import Backend
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cupy_backend import CupyBackend
from tercet.kernels.spec import HALVES, dtype_named

from ..kernels.conformance import finfo

pytest.importorskip("torch")  # the tests that are collected here compare with it
from .test_recurrent import (  # noqa: F401 - collected here, for this module's backend
    LAYERS,
    as_pair,
    test_a_padded_sequence_is_what_it_is_alone,
    test_an_empty_batch,
    test_captured_steps_equal_eager_ones,
    test_layers_agree_with_pytorch,
)

pytestmark = pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """The backend called cupy is one on the simulation, and the current one."""
    monkeypatch.setitem(backends._made, "cupy", CupyBackend(runtime=SimulatedRuntime()))
    with tc.use_backend("cupy") as made:
        tc.seed(0)
        yield made


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kind", LAYERS)
def test_in_mixed_precision(
    backend: Backend, rng: np.random.Generator, kind: str, dtype: str
) -> None:
    """Outputs are 16-bit, cells and gradients float32; within a rounding a step and product.

    Every step rounds its operands, and hands its error on times the recurrent weight, which is
    1 in size where it is drawn.
    """
    length, hidden = 6, 8
    tc.seed(0)
    layer = LAYERS[kind](5, hidden, 2, bidirectional=True)
    with tc.use_backend("numpy"):
        wide = LAYERS[kind](5, hidden, 2, bidirectional=True, dtype="float64")
        wide.load_state_dict(layer.state_dict())
    values = rng.normal(size=(length, 3, 5))
    state = rng.normal(size=(4, 3, hidden))
    weight = rng.normal(size=(length, 3, 2 * hidden))

    def run(layer: Any, name: str, floats: str, precision: str) -> tuple[Any, Any, list[Any]]:
        with tc.use_backend(name), tc.autocast(precision):
            x = tc.tensor(values, floats, requires_grad=True)
            h0 = tc.tensor(state, floats, requires_grad=True)
            out, last = layer(x, (h0, h0) if kind == "LSTM" else h0, lengths=[6, 4, 1])
            loss = (out * tc.tensor(weight, floats)).sum() + as_pair(last)[-1].sum()
        loss.backward()
        return out, last, [x.grad, h0.grad, *(p.grad for p in layer.parameters())]

    out, last, gradients = run(layer, "cupy", "float32", dtype)
    reference, _, wanted = run(wide, "numpy", "float64", "float32")
    assert [t.dtype.name for t in (out, as_pair(last)[0])] == [dtype, dtype]
    if kind == "LSTM":
        assert last[1].dtype.name == "float32"
    assert {g.dtype.name for g in gradients} == {"float32"}
    eps = float(finfo(dtype_named(dtype)).eps)
    bound = 2 * eps * length * 2  # two layers, and forward and backward
    for got, want in zip((out, *gradients), (reference, *wanted), strict=True):
        want = want.numpy()
        error = np.abs(got.numpy().astype(np.float64) - want).max()
        assert error <= bound * max(1.0, np.abs(want).max())

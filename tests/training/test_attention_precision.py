"""A transformer in mixed precision, on the simulation of CUDA."""

import numpy as np
import pytest
import tercet as tc
from tercet import backends
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cupy_backend import CupyBackend
from tercet.kernels.spec import HALVES, dtype_named
from tercet.layers import RotaryPositions, TransformerDecoderLayer

from ..kernels.conformance import finfo

pytestmark = pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")


@pytest.fixture(autouse=True)
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend called cupy is one on the simulation."""
    monkeypatch.setitem(backends._made, "cupy", CupyBackend(runtime=SimulatedRuntime()))


def gradients(name: str, precision: str) -> list[np.ndarray]:
    """The output of a layer and the gradients of its inputs and parameters."""
    rng = np.random.default_rng(0)
    with tc.use_backend(name):
        tc.seed(0)
        layer = TransformerDecoderLayer(
            16, 4, 24, 0.2, "gelu", norm_first=True, causal=True, num_kv_heads=2,
            rotary=RotaryPositions(4),
        )  # fmt: skip
        x, memory = (tc.tensor(rng.normal(size=(2, n, 16)), requires_grad=True) for n in (5, 7))
        bias = rng.normal(size=(5, 7)).astype(np.float32)
        bias[:, 3] = -np.inf
        if precision == "float32":
            out = layer(x, memory, memory_mask=bias)
        else:
            with tc.autocast(precision):
                out = layer(x, memory, memory_mask=bias)
        (out * out).mean().backward()
        found = [out, x.grad, memory.grad, *(p.grad for p in layer.parameters())]
        assert all(t.dtype == np.float32 for t in found[1:])
        return [t.numpy().astype(np.float64) for t in found]


@pytest.mark.parametrize("precision", ["float32", *HALVES])
def test_a_layer_agrees_with_float32_on_numpy(precision: str) -> None:
    expected = gradients("numpy", "float32")
    found = gradients("cupy", precision)
    eps = float(finfo(dtype_named(precision)).eps)
    # Some thirty roundings lie one behind the other in a layer and back.
    for got, want in zip(found, expected, strict=True):
        scale = max(1e-2, float(np.abs(want).max()))
        assert np.abs(got - want).max() <= 30 * eps * scale

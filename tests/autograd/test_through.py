"""Gradients that go through two dense layers in one product, on a backend that can."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends.cuda_simulation import SimulatedRuntime
from tercet.backends.cupy_backend import CupyBackend

SIZES = (3, 16, 24, 2)


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> tuple[CupyBackend, list[str]]:
    """The simulated backend, and the names of the products that a backward pass asks it for."""
    backend, asked = CupyBackend(runtime=SimulatedRuntime()), []
    for name in ("dense_through", "dense_backward"):
        op = getattr(backend.ops, name)

        def call(*inputs: Any, name: str = name, op: Any = op, **attributes: Any) -> Any:
            asked.append(f"{name} {attributes['activation']}")
            return op(*inputs, **attributes)

        monkeypatch.setattr(backend.ops, name, call)
    return backend, asked


def gradients(backend: Any, activation: str, use: Any, leading: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(3)
    x = tc.tensor(rng.normal(size=(*leading, SIZES[0])), backend=backend, requires_grad=True)
    leaves = [x]
    for k, n in pairwise(SIZES):
        leaves += [
            tc.tensor(rng.normal(size=s), backend=backend, requires_grad=True) for s in ((k, n), n)
        ]
    use(activation, *leaves).backward()
    return [leaf.grad.numpy() for leaf in leaves]


def chain(activation: str, x: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
    h = tc.dense(tc.dense(x, w1, b1, activation), w2, b2, activation)
    return tc.dense(h, w3, b3).sum()


def shared(activation: str, x: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
    h = tc.dense(x, w1, b1, activation)
    return tc.dense(tc.dense(h, w2, b2, activation), w3, b3).sum() + (h * h).sum()


@pytest.mark.parametrize("leading", [(5,), (2, 3), (0,)])
@pytest.mark.parametrize("use", [chain, shared])
@pytest.mark.parametrize("activation", ["relu", "gelu_tanh", "tanh"])
def test_the_gradients_are_those_of_one_layer_after_the_other(
    kernels: tuple[CupyBackend, list[str]], activation: str, use: Any, leading: tuple[int, ...]
) -> None:
    backend, asked = kernels
    ours = gradients(backend, activation, use, leading)
    for got, wanted in zip(ours, gradients("numpy", activation, use, leading), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    through = [name for name in asked if name.startswith("dense_through")]
    layers = 0 if activation == "tanh" else 2 if use is chain else 1
    assert through == [f"dense_through {activation}"] * layers


def test_a_graph_that_is_kept_can_be_gone_through_again(
    kernels: tuple[CupyBackend, list[str]],
) -> None:
    backend, asked = kernels
    x = tc.tensor(np.linspace(-1, 1, 16).reshape(2, 8), backend=backend)
    w, v = (tc.tensor(np.eye(8) + i, backend=backend, requires_grad=True) for i in range(2))
    loss = tc.dense(tc.dense(x, w, None, "relu"), v).sum()
    loss.backward(retain_graph=True)
    first = w.grad.numpy()
    loss.backward()
    np.testing.assert_array_equal(w.grad.numpy(), 2 * first)
    assert asked.count("dense_through relu") == 2
    with pytest.raises(tc.errors.GradientError, match="saved values are freed"):
        loss.backward()

"""A layer beside PyTorch's: equal leaves, parameters and buffers; do results agree?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tercet as tc
from tercet.layers import Module

Pairs = Iterable[tuple[Any, Any]]
# Roundings behind one element apart from sums; float64 leaves room for other orders of adding.
ROUNDINGS = {"float32": 40 * 2.0**-23, "float64": 1e-9}


def both(values: np.ndarray, dtype: str) -> tuple[tc.Tensor, Any]:
    """The same leaf in both frameworks."""
    import torch

    ours = tc.tensor(values, dtype=dtype, requires_grad=True)
    return ours, torch.tensor(values, dtype=getattr(torch, dtype), requires_grad=True)


def follow(ours: Module, theirs: Any, rng: np.random.Generator) -> None:
    """Random parameters, equal in both."""
    import torch

    with torch.no_grad():
        other = dict(theirs.named_parameters())
        named = dict(ours.named_parameters())
        assert named.keys() == other.keys()
        for name, p in named.items():
            values = rng.normal(size=p.shape)
            p.replace(values)
            other[name].copy_(torch.tensor(values))


def close(ours: Any, theirs: Any, factor: float = 1.0) -> None:
    """Equal to within roundings of the largest number, times `factor`, and of sums over them."""
    found, wanted = ours.numpy(), theirs.detach().numpy()
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted)
        return
    bound = ROUNDINGS[found.dtype.name] * factor * max(1.0, np.abs(wanted).max(initial=0.0))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=bound)


def agree(
    rng: np.random.Generator,
    layer: Module,
    theirs: Any,
    outputs: Pairs,
    inputs: Pairs,
    factor: float = 1.0,
) -> None:
    """Outputs, gradients by inputs and parameters, and buffers are close."""
    import torch

    total: Any = 0
    total_theirs: Any = 0
    for out, reference in outputs:
        close(out, reference, factor)
        weight = rng.normal(size=out.shape)
        total = total + (out * tc.tensor(weight, dtype=out.dtype.name)).sum()
        total_theirs = (
            total_theirs + (reference * torch.tensor(weight, dtype=reference.dtype)).sum()
        )
    if total.requires_grad:
        total.backward()
        total_theirs.backward()
    for x, t in inputs:
        close(x.grad, t.grad, factor)
    other = dict(theirs.named_parameters())
    for name, p in layer.named_parameters():
        close(p.grad, other[name].grad, factor)
    buffers = dict(theirs.named_buffers())
    for name, b in layer.named_buffers():
        close(b, buffers[name], factor)


def train(make: Callable[[], Module], shape: tuple[int, ...], classes: int, capture: bool) -> Any:
    """Losses of six steps on other batches, and the state after them."""
    tc.seed(1)
    rng = np.random.default_rng(2)
    model = make()
    batches = [(rng.normal(size=shape), rng.integers(0, classes, size=shape[0])) for _ in range(6)]
    model(batches[0][0])  # makes what is made of the first input
    optimizer = tc.Adam(model.parameters(), lr=0.01)

    def step(x: tc.Tensor, y: tc.Tensor) -> tc.Tensor:
        optimizer.zero_grad()
        loss = tc.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = tc.capture(step) if capture else step
    losses = [run(tc.tensor(x, model.dtype), tc.tensor(y)).item() for x, y in batches]
    return losses, model.state_dict()


def captured_equals_eager(
    make: Callable[[], Module], shape: tuple[int, ...], classes: int
) -> dict[str, np.ndarray]:
    """Replayed training gives the bits of eager training, in parameters and buffers; its state."""
    eager, state = train(make, shape, classes, capture=False)
    replayed, other = train(make, shape, classes, capture=True)
    assert eager == replayed
    assert len(set(eager)) == len(eager)
    for name, value in state.items():
        assert value.tobytes() == other[name].tobytes(), name
    return state

"""Batch, group and instance normalization beside PyTorch's; running statistics, also replayed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Dense,
    Flatten,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
)
from tercet.models import Sequential

from .agreement import agree, both, captured_equals_eager, close, follow

torch: Any = pytest.importorskip("torch")
TRACKING = (BatchNorm1d, BatchNorm2d, InstanceNorm1d, InstanceNorm2d)


def to_last(x: Any) -> Any:
    """Channels from second to last."""
    axes = (0, *range(2, x.ndim), 1)
    return x.permute(axes) if isinstance(x, torch.Tensor) else x.transpose(axes)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", TRACKING)
def test_agrees_with_pytorch(backend: Backend, rng: np.random.Generator, kind, dtype: str) -> None:
    for case in range(24):
        images = kind.__name__.endswith("2d")
        shape = [int(n) for n in rng.integers(1, 7, size=4 if images else 3)]
        shape[0] += 1
        shape[-1] = int(rng.choice([2, 5, 40]))
        options: dict[str, Any] = {
            "eps": float(rng.choice([1e-5, 1e-2])),
            "momentum": (0.1, 0.7, None)[rng.integers(3)],
            "affine": bool(rng.integers(2)),
            "track_running_stats": bool(rng.integers(2)),
        }
        last = bool(rng.integers(2))
        if kind is BatchNorm1d and case % 2:
            shape, last = shape[:2], False
        own: dict[str, Any] = {"layout": kind.layouts[last]}
        relu = kind in (BatchNorm1d, BatchNorm2d) and bool(rng.integers(2))
        if relu:
            own["activation"] = "relu"
        features = shape[1] if rng.integers(2) else None
        layer = kind(features, **options, **own).to(dtype=dtype)
        theirs = getattr(torch.nn, kind.__name__)(shape[1], **options).to(getattr(torch, dtype))
        if features is None:
            layer._build(shape[1], backend)
        follow(layer, theirs, rng)
        for training in (True, True, False):
            layer.train(training), theirs.train(training)
            layer.zero_grad(), theirs.zero_grad()
            values = rng.normal(size=shape) + 3 * rng.normal(
                size=(shape[1], *[1] * (len(shape) - 2))
            )
            x, t = both(to_last(values) if last else values, dtype)
            reference = theirs(t.permute(0, t.ndim - 1, *range(1, t.ndim - 1)) if last else t)
            reference = to_last(reference) if last else reference
            reference = torch.relu(reference) if relu else reference
            factor = options["eps"] ** -0.5  # what roundings are multiplied by
            agree(rng, layer, theirs, ((layer(x), reference),), ((x, t),), factor)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_group_norm_agrees_with_pytorch(backend: Backend, rng, dtype: str) -> None:
    for _ in range(16):
        groups, own = (int(n) for n in rng.integers(1, 4, size=2))
        shape = [int(n) for n in rng.integers(1, 6, size=rng.integers(2, 6))]
        shape[:2] = [shape[0] + 1, groups * own]
        affine, last = (bool(n) for n in rng.integers(2, size=2))
        layout = GroupNorm.layouts[last]
        layer = GroupNorm(groups, groups * own, affine=affine, eps=1e-3, layout=layout)
        layer.to(dtype=dtype)
        theirs = torch.nn.GroupNorm(groups, groups * own, affine=affine, eps=1e-3)
        theirs.to(getattr(torch, dtype))
        follow(layer, theirs, rng)
        values = rng.normal(size=shape)
        x, t = both(to_last(values) if last else values, dtype)
        reference = theirs(t.permute(0, t.ndim - 1, *range(1, t.ndim - 1)) if last else t)
        reference = to_last(reference) if last else reference
        agree(rng, layer, theirs, ((layer(x), reference),), ((x, t),), 1e-3**-0.5)


def test_samples_without_a_batch(backend: Backend, rng: np.random.Generator) -> None:
    for kind, shape in ((InstanceNorm1d, (3, 5)), (InstanceNorm2d, (3, 4, 5))):
        layer, theirs = kind(3), getattr(torch.nn, kind.__name__)(3)
        x, t = both(rng.normal(size=shape), "float64")
        close(layer(x), theirs(t))


def test_gradcheck(backend: Backend, rng: np.random.Generator) -> None:
    x, weight, bias = (
        tc.tensor(rng.normal(size=shape), dtype="float64", requires_grad=True)
        for shape in ((3, 4, 2, 3), (4,), (4,))
    )
    for training in (True, False):
        running = () if training else (tc.zeros(4, dtype="float64"), tc.ones(4, dtype="float64"))
        mean, var = running or (None, None)
        tc.gradcheck(lambda x, w, b, m=mean, v=var, t=training: tc.batch_norm(x, m, v, w, b, t),
                     (x, weight, bias))  # fmt: skip
    tc.gradcheck(lambda x, w, b: tc.group_norm(x, 2, w, b), (x, weight, bias))
    tc.gradcheck(lambda x, w, b: tc.instance_norm(x, weight=w, bias=b), (x, weight, bias))


def test_statistics_of_many_numbers_far_from_zero(backend: Backend) -> None:
    """A sum in float32 of a million squares would have lost most of the variance."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(16, 2, 256, 128)) + 300).astype("float32")
    layer = BatchNorm2d(2, momentum=1.0)
    layer(x)
    wide = x.astype("float64")
    axes = (0, 2, 3)
    np.testing.assert_allclose(layer.running_mean.numpy(), wide.mean(axes), rtol=2.0**-23)
    np.testing.assert_allclose(layer.running_var.numpy(), wide.var(axes, ddof=1), rtol=1e-5)


def test_wrong_input(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"takes inputs NC=3 HW of 4 axes, found shape \(2, 4, 5"):
        BatchNorm2d(3)(np.zeros((2, 4, 5, 5)))
    with pytest.raises(ShapeError, match=r"takes inputs NC=3 L of 2 or 3 axes, found shape \(3,\)"):
        BatchNorm1d(3)(np.zeros(3))
    with pytest.raises(ShapeError, match="more than one value a channel"):
        BatchNorm1d(3)(np.zeros((1, 3)))
    with pytest.raises(ShapeError, match="more than one place a channel"):
        InstanceNorm1d(3)(np.zeros((2, 3, 1)))
    with pytest.raises(OptionError, match=r"layout of BatchNorm2d.*NLC"):
        BatchNorm2d(3, layout="NLC")
    with pytest.raises(OptionError, match="found 5 channels and 2 groups"):
        GroupNorm(2, 5)
    with pytest.raises(OptionError, match="momentum must be in"):
        BatchNorm1d(3, momentum=-0.1)
    with pytest.raises(OptionError, match="without running statistics, training must be True"):
        tc.batch_norm(tc.zeros(2, 3), None, None)
    with pytest.raises(ShapeError, match=r"expected weight \(3,\), found \(2,\)"):
        tc.group_norm(tc.zeros(2, 3), 1, tc.zeros(2))
    with pytest.raises(OptionError, match="activation of BatchNorm1d"):
        BatchNorm1d(3, activation="tanh")
    assert BatchNorm1d(3).eval()(np.zeros((1, 3))).shape == (1, 3)


def network() -> Sequential:
    return Sequential(
        Dense(12), BatchNorm1d(momentum=None), Reshape(), BatchNorm2d(3, activation="relu"),
        InstanceNorm2d(3, track_running_stats=True), GroupNorm(3), Flatten(), Dense(2),
    )  # fmt: skip


class Reshape(tc.Module):
    """Features as images of 3 channels."""

    def forward(self, x: tc.Tensor) -> tc.Tensor:
        return x.reshape(x.shape[0], 3, 2, 2)


def test_a_model_with_it_is_saved(backend: Backend, rng, tmp_path: Path) -> None:
    model = network()
    model.compile("adam", tc.CrossEntropyLoss())
    x, y = rng.normal(size=(40, 3)), rng.integers(0, 2, size=40)
    model.fit(x, y, epochs=2, batch_size=8, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = tc.load(tmp_path / "m.safetensors")
    assert loaded[1].num_batches_tracked.item() == 10
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    loaded.fit(x, y, verbose=0)


def test_replayed_steps_update_running_statistics(backend: Backend) -> None:
    if not backend.captures:
        pytest.skip(f"{backend.name} does not capture")
    state = captured_equals_eager(network, (6, 3), 2)
    assert state["1.num_batches_tracked"] == 7  # six steps after a first call
    for name in ("1.running_mean", "3.running_var", "4.running_mean"):
        assert (state[name] != np.round(state[name])).all()

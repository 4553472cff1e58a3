"""LayerNorm and RMSNorm beside PyTorch's, with and without a residual; errors; capture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.layers import Dense, LayerNorm, RMSNorm
from tercet.models import Model, Sequential

from .agreement import agree, both, captured_equals_eager, follow


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [LayerNorm, RMSNorm])
def test_agrees_with_pytorch(backend: Backend, rng: np.random.Generator, kind, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    for _ in range(20):
        shape = tuple(int(n) for n in rng.integers(1, 7, size=rng.integers(1, 5)))
        normalized = shape[rng.integers(len(shape)) :]
        options: dict[str, Any] = {
            "eps": float(rng.choice([1e-5, 1e-2])),
            "elementwise_affine": bool(rng.integers(2)),
        }
        if kind is LayerNorm:
            options["bias"] = bool(rng.integers(2))
        layer = kind(list(normalized), **options).to(dtype=dtype)
        theirs = getattr(torch.nn, kind.__name__)(normalized, **options).to(getattr(torch, dtype))
        follow(layer, theirs, rng)
        x, t = both(rng.normal(size=shape) + 2, dtype)
        if rng.integers(2):
            residual, other = both(rng.normal(size=shape), dtype)
            out, summed = layer(x, residual)
            sums = t + other
            reference, pairs = theirs(sums), ((summed, sums),)
            inputs = ((x, t), (residual, other))
        else:
            out, reference, pairs, inputs = layer(x), theirs(t), (), ((x, t),)
        # Roundings are multiplied by 1 / sqrt(var + eps).
        agree(rng, layer, theirs, ((out, reference), *pairs), inputs, options["eps"] ** -0.5)


def test_only_one_of_two_outputs_is_used(backend: Backend, rng: np.random.Generator) -> None:
    layer = LayerNorm(5)
    for used in (0, 1):
        x = tc.tensor(rng.normal(size=(3, 5)), requires_grad=True)
        residual = tc.tensor(rng.normal(size=(3, 5)), requires_grad=True)
        (layer(x, residual)[used] * 2).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), residual.grad.numpy())
        wanted = 2.0 if used else 0.0  # each row of a normalized output has the sum 0
        np.testing.assert_allclose(x.grad.numpy(), wanted, atol=1e-5)


def test_gradcheck(backend: Backend, rng: np.random.Generator) -> None:
    x, residual, weight, bias = (
        tc.tensor(rng.normal(size=shape), dtype="float64", requires_grad=True)
        for shape in ((4, 2, 3), (4, 2, 3), (2, 3), (2, 3))
    )

    def scaled(*pair: tc.Tensor) -> tc.Tensor:
        return pair[0] * 2 + pair[1]

    tc.gradcheck(lambda *a: scaled(*tc.add_layer_norm(a[0], a[1], (2, 3), a[2], a[3])),
                 (x, residual, weight, bias))  # fmt: skip
    tc.gradcheck(lambda *a: tc.rms_norm(a[0], (2, 3), a[1]), (x, weight))


def test_far_from_zero_the_statistics_keep_their_digits(backend: Backend) -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(2, 20_000)) + 1e4).astype("float32")
    wide = x.astype("float64")
    wanted = (wide - wide.mean(1, keepdims=True)) / wide.std(1, keepdims=True)
    found = tc.layer_norm(tc.tensor(x), 20_000, eps=0.0).numpy()
    # The mean itself is rounded to float32: 1e4 to within 5e-4.
    np.testing.assert_allclose(found, wanted, atol=1e-3, rtol=1e-4)


def test_without_a_shape_it_is_the_last_axis(backend: Backend) -> None:
    layer = LayerNorm()
    assert not layer.built
    assert layer(np.zeros((2, 3, 4))).shape == (2, 3, 4)
    assert layer.weight.shape == (4,)
    assert layer(np.zeros((0, 4))).shape == (0, 4)


def test_wrong_input(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"LayerNorm\(.*takes inputs \(\.\.\., 3, 4\), .*\(3, 5\)"):
        LayerNorm((3, 4))(np.zeros((3, 5)))
    with pytest.raises(OptionError, match="normalized_shape is a positive integer or a sequence"):
        LayerNorm((3, 0))
    with pytest.raises(OptionError, match="RMSNorm: eps must be a number that is not negative"):
        RMSNorm(3, eps=-1.0)
    with pytest.raises(ShapeError, match=r"x \(2, 3\) and residual \(3,\) differ in shape"):
        LayerNorm(3)(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ShapeError, match=r"rms_norm: expected weight \(3,\), found \(2,\)"):
        tc.rms_norm(tc.zeros(2, 3), 3, tc.ones(2))
    with pytest.raises(ShapeError, match=r"expected x of shape \(\.\.\., 4\), found \(2, 3\)"):
        tc.layer_norm(tc.zeros(2, 3), 4)


def test_a_model_with_it_is_saved_and_trained(
    backend: Backend, rng: np.random.Generator, tmp_path: Path
) -> None:
    model = Sequential(Dense(8), LayerNorm(), Dense(8), RMSNorm((8,), eps=1e-6), Dense(2))
    model.compile("adam", tc.CrossEntropyLoss())
    x, y = rng.normal(size=(40, 3)), rng.integers(0, 2, size=40)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = tc.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    loaded.fit(x, y, verbose=0)


class Block(Model):
    """A residual connection around a layer, normalized in one op."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = Dense(6, 8), LayerNorm(8), Dense(8, 3)

    def forward(self, x: tc.Tensor) -> tc.Tensor:
        hidden = self.first(x)
        out, summed = self.norm(hidden, hidden * 0.5)
        return self.last(out + summed)


def test_captured_training_equals_eager(backend: Backend) -> None:
    if not backend.captures:
        pytest.skip(f"{backend.name} does not capture")
    captured_equals_eager(Block, (5, 6), 3)

"""The MLP for numbers and categories: what it computes, that it learns, that it is saved."""

from pathlib import Path

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.layers import Standardize
from tercet.models import TabularMLP
from tercet.models.tabular import width


def test_the_network_gets_numbers_then_vectors(backend: Backend, rng: np.random.Generator) -> None:
    model = TabularMLP(2, [0, 3, 0, 0, 5], hidden=(), before=[Standardize([1.0] * 3, [2.0] * 3)])
    x = np.stack([rng.normal(size=6) if size == 0 else rng.integers(0, size, size=6)
                  for size in model.sizes], axis=1).astype(np.float32)  # fmt: skip
    out = model(x).numpy()
    weight = {name: value.numpy() for name, value in model.named_parameters()}
    tables = [weight[f"embeddings.{i}.weight"] for i in (0, 1)]
    assert [t.shape for t in tables] == [(3, width(3)), (5, width(5))]
    vectors = [t[x[:, c].astype(int)] for t, c in zip(tables, (1, 4), strict=True)]
    joined = np.concatenate([(x[:, [0, 2, 3]] - 1) / 2, *vectors], axis=1)
    dense = next(w for w in weight.values() if w.shape == (joined.shape[1], 2))
    # Sums of eight products of numbers near 1, in float32.
    np.testing.assert_allclose(out, joined @ dense, atol=8 * 8 * np.finfo(np.float32).eps)


@pytest.mark.parametrize("sizes", [[4, 0, 0], [4, 6]])
def test_learns_what_categories_mean_and_is_saved(
    backend: Backend, rng: np.random.Generator, tmp_path: Path, sizes: list[int]
) -> None:
    tc.seed(0)
    x = rng.normal(size=(600, len(sizes))).astype(np.float32)
    for column, size in enumerate(sizes):
        if size:
            x[:, column] = rng.integers(1, size, size=600)
    # The first category says which way the last column counts.
    y = ((x[:, 0] == 2) ^ (x[:, -1] > np.median(x[:, -1]))).astype(np.int64)
    model = TabularMLP(2, sizes, hidden=(32,))
    model.compile(tc.AdamW(lr=0.02), "cross_entropy", ["accuracy"])
    model.fit(x[:500], y[:500], epochs=15, verbose=0)
    assert model.evaluate(x[500:], y[500:])["accuracy"] > 0.95
    assert not model.embeddings[0].weight.numpy()[0].any()
    x[:5, 0] = 0
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(tc.load(tmp_path / "m").predict(x), model.predict(x))


def test_a_captured_step_is_the_eager_one(backend: Backend, rng: np.random.Generator) -> None:
    x = np.stack([rng.integers(0, 4, size=64), rng.normal(size=64)], axis=1).astype(np.float32)
    y = rng.integers(0, 2, size=64)
    states = []
    for capture in (True, False):
        tc.seed(0)
        model = TabularMLP(2, [4, 0], hidden=(8,), dropout=0.2)
        model.compile("adamw", "cross_entropy")
        model.fit(x, y, epochs=3, batch_size=16, verbose=0, capture=capture)
        states.append(model.state_dict())
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name])


def test_wrong_arguments() -> None:
    for sizes in ([], [0, -1], [2.5]):
        with pytest.raises(OptionError, match="sizes has a number of categories for each feature"):
            TabularMLP(1, sizes)
    with pytest.raises(ShapeError, match=r"takes rows \(n, 2\), found shape \(3, 3\)"):
        TabularMLP(1, [0, 3])(tc.zeros(3, 3))

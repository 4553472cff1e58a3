"""The linear baseline against scikit-learn's linear models."""

import numpy as np
import pytest
from tercet.backends import Backend
from tercet.data import DataSource, load_digits
from tercet.models.baseline import linear_baseline, one_hot


def test_classes(backend: Backend) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    digits = load_digits()
    theirs = linear_model.LogisticRegression(max_iter=2000)
    flat = [x.reshape(len(x), -1) for x in (digits.x_train, digits.x_test)]
    expected = theirs.fit(flat[0], digits.y_train).score(flat[1], digits.y_test)
    # Of 450 samples near 0.96 the figure's own standard deviation is 0.009.
    assert abs(linear_baseline(digits) - expected) < 0.02


def test_values(backend: Backend, rng: np.random.Generator) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    x = rng.normal(size=(300, 4)).astype(np.float32) * [1, 100, 0.01, 0] + [0, 7, 0, 3]
    y = (x @ [1.0, 0.02, 30.0, 0.0] + rng.normal(size=300)).astype(np.float32)
    x = x.astype(np.float32)
    source = DataSource("t", x[:200], y[:200], x[200:], y[200:], "regression")
    expected = linear_model.LinearRegression().fit(x[:200], y[:200]).score(x[200:], y[200:])
    assert abs(linear_baseline(source) - expected) < 0.01


def test_categories_are_one_hot(backend: Backend, rng: np.random.Generator) -> None:
    """By their numbers alone, which mean nothing, no line predicts these values."""
    effects = np.array([0.0, 5.0, -4.0, 3.0, -5.0])
    x = np.stack([rng.normal(size=400), rng.integers(1, 5, size=400)], axis=1).astype(np.float32)
    y = (x[:, 0] + effects[x[:, 1].astype(int)]).astype(np.float32)
    parts = x[:300], y[:300], x[300:], y[300:]
    categories = (None, ("a", "b", "c", "d"))
    source = DataSource("t", *parts, "regression", categories=categories)
    assert linear_baseline(source) > 0.999
    assert linear_baseline(DataSource("t", *parts, "regression")) < 0.5
    source.x_test[0, 1] = 0
    train, test = one_hot(source)
    np.testing.assert_array_equal(train[:, 0], x[:300, 0])
    assert set(train[:, 1:].sum(axis=1)) == {1.0}
    assert test[0, 1:].tolist() == [0, 0, 0, 0]

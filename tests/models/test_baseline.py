"""The linear baseline against scikit-learn's linear models."""

import numpy as np
import pytest
from tercet.backends import Backend
from tercet.data import DataSource, load_digits
from tercet.models.baseline import linear_baseline


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

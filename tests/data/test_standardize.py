"""Standardizer against scikit-learn."""

import numpy as np
import pytest
from tercet.data import Standardizer
from tercet.errors import DataError, ShapeError

EPS = float(np.finfo(np.float32).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_equals_scikit_learn(rng, dtype: str) -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x = rng.normal(3, [1, 10, 1000, 0.01 if dtype != "int32" else 5], size=(200, 4)).astype(dtype)
    other = x[:50] * 2
    mine = Standardizer().fit(x)
    theirs = preprocessing.StandardScaler().fit(x.astype(np.float64))
    # Sums of 200 terms in float64, in another order.
    np.testing.assert_allclose(mine.mean, theirs.mean_, rtol=1e-12)
    np.testing.assert_allclose(mine.scale, theirs.scale_, rtol=1e-12)
    assert mine.transform(x).dtype == np.float32
    for part in (x, other):
        # One rounding to float32 at the end; values up to a few hundred.
        expected = theirs.transform(part.astype(np.float64))
        np.testing.assert_allclose(mine.transform(part), expected, rtol=2 * EPS, atol=1e-10)


def test_mean_zero_and_variance_one(rng) -> None:
    x = rng.uniform(-5, 100, size=(500, 3, 2)).astype(np.float32)
    s = Standardizer().fit(x)
    assert s.mean.shape == s.scale.shape == (3, 2)
    z = s.transform(x).astype(np.float64)
    # Each z is off by a rounding of at most EPS * 2; so are their mean and deviation.
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=2 * EPS)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=2 * EPS)


def test_inverse(rng) -> None:
    x = rng.normal(50, 3, size=(40, 3)).astype(np.float32)
    s = Standardizer().fit(x)
    # z of up to 4 is rounded by 2 EPS, times a scale of 3; x of 60 itself by 60 EPS.
    np.testing.assert_allclose(s.inverse(s.transform(x)), x, rtol=4 * EPS)


@pytest.mark.parametrize("value", [0.0, 5.0, 0.1, 1e-30, -3e30, 1e6])
def test_constant_columns(rng, value: float) -> None:
    x = np.stack([np.full(33, value), rng.normal(size=33)], axis=1)
    s = Standardizer().fit(x)
    assert s.scale[0] == 1.0
    assert s.scale[1] != 1.0
    # The mean of equal values is off by roundings of it at most.
    assert np.abs(s.transform(x)[:, 0]).max() <= 33 * 2.3e-16 * abs(value)


def test_a_long_constant_column() -> None:
    """The mean of a million equal values is off by far more than one rounding."""
    x = np.full((1_000_000, 2), 0.1)
    s = Standardizer().fit(x)
    assert s.scale.tolist() == [1.0, 1.0]
    assert np.abs(s.transform(x)).max() < 1e-9


def test_a_small_spread_on_a_large_mean_is_kept() -> None:
    x = np.array([[1e6], [1e6 + 1e-3]])
    # The spread itself is known to 1e6 * 2^-53 / 1e-3 of its size.
    assert Standardizer().fit(x).scale[0] == pytest.approx(5e-4, rel=1e-6)


def test_errors() -> None:
    for x in (np.zeros(3), np.zeros((0, 3))):
        with pytest.raises(DataError, match=r"takes samples \(n, features\), found \("):
            Standardizer().fit(x)
    with pytest.raises(DataError, match=r"x holds nan at \(0, 0\)"):
        Standardizer().fit(np.array([[np.nan]]))
    fitted = Standardizer().fit(np.arange(6.0).reshape(2, 3))
    for method in ("transform", "inverse", "__call__"):
        with pytest.raises(DataError, match="call fit on the training part first"):
            getattr(Standardizer(), method)(np.zeros((2, 3)))
        with pytest.raises(ShapeError, match=r"samples of shape \(3,\), found \(4,\)"):
            getattr(fitted, method)(np.zeros((2, 4)))
        with pytest.raises(DataError, match=r"x holds inf at \(1, 2\)"):
            getattr(fitted, method)([[0, 0, 0], [0, 0, np.inf]])
    with pytest.raises(DataError, match="call fit on the training part first"):
        Standardizer().state_dict()


def test_the_state_restores_it_exactly(rng) -> None:
    x = rng.normal(5, 3, size=(20, 4))
    s = Standardizer().fit(x)
    state = s.state_dict()
    restored = Standardizer.from_state_dict(state)
    np.testing.assert_array_equal(restored(x), s.transform(x))
    state["mean"][:] = 0  # a copy: neither of them changes
    np.testing.assert_array_equal(restored(x), s(x))


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({}, DataError, "lacks mean, scale; expected mean and scale, found nothing"),
        ({"mean": [0.0]}, DataError, "lacks scale; .* found mean"),
        ({"mean": [0.0], "scale": [1.0, 2.0]}, ShapeError, r"\(1,\) and scale \(2,\) differ"),
        ({"mean": [0.0], "scale": [0.0]}, DataError, "scale must be positive"),
        ({"mean": [0.0], "scale": [np.nan]}, DataError, "scale must be positive"),
    ],
)
def test_states_that_are_none(state: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Standardizer.from_state_dict(state)

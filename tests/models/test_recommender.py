"""The recommender: what it computes, that it learns more than biases, that it is saved."""

from pathlib import Path

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import DataError, DTypeError, ShapeError
from tercet.models import Recommender


def test_the_sum_of_a_match_and_two_biases(backend: Backend, rng: np.random.Generator) -> None:
    model = Recommender(5, 4, dim=3, hidden=(), after=[tc.layers.Standardize([2.0], [0.5], True)])
    state = model.build((2,)).state_dict()
    for name in ("user_bias.weight", "item_bias.weight"):
        state[name] = rng.normal(size=state[name].shape).astype(np.float32)
    model.load_state_dict(state)
    x = np.stack([rng.integers(0, n, size=6) for n in (5, 4)], axis=1)
    users, items = x.T
    vectors = [state["users.weight"][users], state["items.weight"][items]]
    weight = next(w for n, w in state.items() if n.startswith("network") and w.shape == (6, 1))
    expected = np.concatenate(vectors, axis=1) @ weight
    expected += state["user_bias.weight"][users] + state["item_bias.weight"][items]
    # Sums of eight numbers below 4, in float32.
    np.testing.assert_allclose(
        model.predict(x), expected * 0.5 + 2.0, atol=8 * 4 * np.finfo(np.float32).eps
    )


def test_learns_who_likes_what_and_is_saved(backend: Backend, tmp_path: Path) -> None:
    """Two kinds of users like two kinds of items: a match, of which biases know nothing."""
    tc.seed(0)
    x = np.stack(np.meshgrid(np.arange(40), np.arange(30), indexing="ij"), axis=-1).reshape(-1, 2)
    y = np.where(x[:, 0] % 2 == x[:, 1] % 2, 1.0, -1.0).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[300:], order[:300]
    model = Recommender(40, 30, dim=4, hidden=(16,))
    model.compile(tc.AdamW(lr=0.02), "mse")
    model.fit(x[train], y[train], epochs=15, verbose=0)
    # Biases alone predict 0, whose error is 1.
    assert model.evaluate(x[test], y[test])["loss"] < 0.1
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(tc.load(tmp_path / "m").predict(x), model.predict(x))


def test_wrong_input(backend: Backend) -> None:
    model = Recommender(5, 4)
    with pytest.raises(ShapeError, match=r"takes pairs \(n, 2\) .* found shape \(3, 3\)"):
        model(np.zeros((3, 3), np.int64))
    with pytest.raises(DTypeError, match="whole numbers that say which user and item, found float"):
        model(np.zeros((3, 2), np.float32))
    if backend.free_bytes() is None:
        with pytest.raises(DataError, match=r"number 5 at \(1,\) is outside \[0, 5\)"):
            model(np.array([[0, 0], [5, 0]]))

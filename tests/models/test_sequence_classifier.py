"""The classifier of sequences: padding is not looked at, it learns what order says, it is saved."""

from pathlib import Path

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.layers import Standardize
from tercet.models import SequenceClassifier
from tercet.models.recurrent import CELLS, sequence_lengths


def rising_or_falling(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Walks of unequal length whose class no single step tells: only their order does."""
    x = np.zeros((n, 12, 1), np.float32)
    y = rng.integers(0, 2, size=n)
    for row, label in zip(x, y, strict=True):
        length = rng.integers(6, 13)
        walk = np.sort(rng.normal(size=length)) + 3.0
        row[:length, 0] = walk if label else walk[::-1]
    return x, y


def test_lengths(backend: Backend) -> None:
    x = np.zeros((3, 4, 2), np.float32)
    x[0, 2, 1], x[1, :, 0] = -1.0, 5.0
    assert sequence_lengths(tc.tensor(x)).tolist() == [3, 4, 0]


@pytest.mark.parametrize("cell", CELLS)
def test_learns_and_ignores_padding(
    backend: Backend, rng: np.random.Generator, cell: str, tmp_path: Path
) -> None:
    tc.seed(0)
    x, y = rising_or_falling(rng, 240)
    model = SequenceClassifier(2, cell, 16, before=[Standardize([3.0], [1.0])])
    model.compile(tc.AdamW(lr=0.02, clip_norm=1.0), "cross_entropy", ["accuracy"])
    model.fit(x[:200], y[:200], epochs=12, verbose=0)
    assert model.evaluate(x[200:], y[200:])["accuracy"] > 0.9
    longer = np.pad(x, ((0, 0), (0, 3), (0, 0)))
    np.testing.assert_array_equal(model.predict(longer), model.predict(x))
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(tc.load(tmp_path / "m").predict(x), model.predict(x))


def test_layers_directions_and_an_empty_sequence(backend: Backend) -> None:
    model = SequenceClassifier(3, "gru", 5, num_layers=2, bidirectional=True, dropout=0.5).eval()
    out = model(np.zeros((2, 4, 6), np.float32))
    assert out.shape == (2, 3)
    assert np.isfinite(out.numpy()).all()
    assert model.head.in_features == 10


def test_wrong_arguments() -> None:
    with pytest.raises(OptionError, match="unknown recurrent cell 'ltsm'"):
        SequenceClassifier(2, "ltsm")
    with pytest.raises(ShapeError, match=r"takes sequences \(n, length, features\), found shape"):
        SequenceClassifier(2)(tc.zeros(3, 4))

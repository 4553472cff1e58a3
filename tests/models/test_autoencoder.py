"""The autoencoder: shapes, its two halves, that it learns more than PCA, that it is saved."""

from pathlib import Path

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError
from tercet.models import Autoencoder


def on_a_circle(rng: np.random.Generator, n: int) -> np.ndarray:
    """Points (n, 2, 3) around a circle in two of six axes: one number tells them, no line does."""
    angle = rng.uniform(0.3, 2 * np.pi - 0.3, size=n)
    x = np.zeros((n, 6), np.float32)
    x[:, 1], x[:, 4] = np.cos(angle), np.sin(angle)
    return x.reshape(n, 2, 3)


def test_learns_more_than_pca_and_is_saved(
    backend: Backend, rng: np.random.Generator, tmp_path: Path
) -> None:
    tc.seed(0)
    x = on_a_circle(rng, 600)
    flat = x.reshape(len(x), -1) - x.reshape(len(x), -1).mean(axis=0)
    spread = np.linalg.svd(flat, compute_uv=False) ** 2
    pca = spread[1:].sum() / flat.size
    model = Autoencoder((2, 3), code=1, hidden=(32, 16), activation="tanh")
    model.compile(tc.AdamW(lr=0.01), "mse")
    model.fit(x, x, epochs=40, verbose=0)
    new = on_a_circle(rng, 200)
    restored = model.predict(new)
    assert restored.shape == new.shape
    assert np.mean((restored - new) ** 2) < 0.3 * pca
    code = model.encoder.predict(new)
    assert code.shape == (200, 1)
    np.testing.assert_array_equal(model.decoder.predict(code), restored)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(tc.load(tmp_path / "m").predict(new), restored)


def test_the_output_may_be_bounded(backend: Backend) -> None:
    model = Autoencoder((4,), code=2, hidden=(), output="sigmoid")
    out = model(100 * np.eye(4, dtype=np.float32)).numpy()
    assert ((out >= 0) & (out <= 1)).all()


@pytest.mark.parametrize(("shape", "code"), [((), 2), ((0, 3), 2), ((4,), 0)])
def test_wrong_sizes(shape: tuple[int, ...], code: int) -> None:
    with pytest.raises(OptionError, match="Autoencoder: shape is that of one sample and code its"):
        Autoencoder(shape, code)

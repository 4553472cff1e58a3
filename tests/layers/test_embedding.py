"""Embedding against PyTorch, its fixed row, and numbers that no row has."""

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import DataError, DTypeError, OptionError
from tercet.layers import Dense, Embedding, Flatten


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agrees_with_pytorch(backend: Backend, rng: np.random.Generator, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    for _ in range(10):
        rows, width = (int(v) for v in rng.integers(1, 90, size=2))
        padding = None if rng.random() < 0.5 else int(rng.integers(-rows, rows))
        index = rng.integers(0, rows, size=tuple(rng.integers(0, 9, size=rng.integers(1, 4))))
        layer = Embedding(rows, width, padding, dtype=dtype)
        theirs = torch.nn.Embedding(rows, width, padding, dtype=getattr(torch, dtype))
        with torch.no_grad():
            theirs.weight.copy_(torch.tensor(layer.weight.numpy()))
        out, expected = layer(index), theirs(torch.tensor(index))
        np.testing.assert_array_equal(out.numpy(), expected.detach().numpy())
        dout = rng.normal(size=out.shape).astype(dtype)
        (out * tc.tensor(dout, dtype)).sum().backward()
        expected.backward(torch.tensor(dout))
        eps = np.finfo(dtype).eps
        # As many additions as the number came up, each of a number near 1.
        np.testing.assert_allclose(
            layer.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=0, atol=8 * index.size * eps
        )


def test_the_padding_row_stays_zero(backend: Backend) -> None:
    model = tc.models.Sequential(Embedding(6, 3, padding_idx=-1), Flatten(), Dense(12, 2))
    model.compile("adam", "cross_entropy")
    x = np.array([[0, 1, 5, 5], [2, 5, 5, 5], [3, 4, 1, 5]] * 6)
    model.fit(x, np.arange(18) % 2, epochs=3, batch_size=9, verbose=0)
    weight = model[0].weight.numpy()
    assert (weight[5] == 0).all()
    assert (weight[:5] != 0).all()


def test_saved_and_loaded(backend: Backend, tmp_path) -> None:
    model = tc.models.Sequential(Embedding(6, 3, weight_init="uniform"), Flatten(), Dense(12, 2))
    x = np.array([[0, 1, 5, 5]])
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(tc.load(tmp_path / "m")(x).numpy(), model(x).numpy())


def test_wrong_numbers(backend: Backend) -> None:
    layer = Embedding(5, 2)
    with pytest.raises(DataError, match=r"number 5 at \(1, 0\) is outside \[0, 5\).*5 rows"):
        layer([[1, 2], [5, 0]])
    with pytest.raises(DataError, match="number -1 at"):
        layer([-1])
    with pytest.raises(DTypeError, match=r"expected whole numbers .* found float32"):
        layer([0.5])


def test_wrong_arguments() -> None:
    with pytest.raises(OptionError, match="Embedding sizes are positive integers, found 0 and 3"):
        Embedding(0, 3)
    with pytest.raises(OptionError, match=r"padding_idx 4 is outside \[-4, 4\)"):
        Embedding(4, 3, padding_idx=4)

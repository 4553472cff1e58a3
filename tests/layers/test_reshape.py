"""Reshape and Permute."""

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.layers import Dense, Flatten, Permute, Reshape
from tercet.models import Sequential


def test_shapes_and_order(backend: Backend, tmp_path) -> None:
    x = np.arange(48.0).reshape(2, 24)
    assert Reshape(2, -1, 4)(x).numpy().tolist() == x.reshape(2, 2, 3, 4).tolist()
    assert Reshape()(np.zeros((3, 1))).shape == (3,)
    assert Reshape(0, 2)(np.zeros((3, 0))).shape == (3, 0, 2)
    assert Permute(3, 1, 2)(x.reshape(2, 2, 3, 4)).numpy().tolist() == (
        x.reshape(2, 2, 3, 4).transpose(0, 3, 1, 2).tolist()
    )
    model = Sequential(Reshape(4, 6), Permute(2, 1), Flatten(), Dense(2))
    out = model(x).numpy()
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(tc.load(tmp_path / "m")(x).numpy(), out)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Reshape(-1, -1), OptionError, "one may be -1"),
        (lambda: Reshape(2.0), OptionError, "whole sizes"),
        (lambda: Reshape(5)(tc.zeros(2, 6)), ShapeError, "cannot take samples of 6 numbers"),
        (lambda: Reshape(4, -1)(tc.zeros(2, 6)), ShapeError, "cannot take samples of 6 numbers"),
        (lambda: Permute(0, 1), OptionError, "the axes 1 .. n"),
        (lambda: Permute(2, 1)(tc.zeros(2, 6)), ShapeError, "samples of 2 axes"),
    ],
)
def test_wrong_arguments(make, error, message) -> None:
    with pytest.raises(error, match=message):
        make()

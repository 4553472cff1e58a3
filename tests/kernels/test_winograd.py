"""Winograd's tiles against the sum that they stand for, however images are cut in blocks."""

import numpy as np
import pytest

pytest.importorskip("numba")

from tercet.kernels.convolution import reference, winograd
from tercet.kernels.threads import get_num_threads, set_num_threads

# (n, c, h, w), outputs, padding before and after
SHAPES = [
    ((1, 1, 4, 4), 1, ((0, 0), (0, 0))),
    ((2, 5, 7, 9), 3, ((1, 1), (1, 1))),
    ((3, 8, 8, 5), 40, ((2, 0), (0, 1))),  # more outputs than go at a time
    ((5, 33, 6, 6), 9, ((1, 1), (2, 2))),
    ((1, 2, 37, 70), 2, ((1, 1), (0, 2))),
    ((17, 3, 4, 3), 8, ((1, 0), (1, 0))),
]


def sums(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, dz: np.ndarray, padding: tuple
) -> list[np.ndarray]:
    """relu(z), and the sums of dz by input and by weight, in float64."""
    x, weight, bias, dz = (a.astype(np.float64) for a in (x, weight, bias, dz))
    options = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1, "alpha": 0.0}
    out, dx, dweight = np.empty(dz.shape), np.empty(x.shape), np.empty(weight.shape)
    reference.convolution_forward(np, out, x, weight, bias, activation="relu", **options)
    reference.convolution_backward(
        np, dx, dweight, None, dz, x, weight, out,
        activation="identity", needs=(True, True, False), **options,
    )  # fmt: skip
    return [out, dx, dweight]


def with_walls(shape: tuple[int, ...], dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """An array of NaN with more around it, and what is around it."""
    wall = 64
    size = int(np.prod(shape))
    memory = np.full(size + 2 * wall, np.nan, dtype)
    return memory[wall : wall + size].reshape(shape), memory


@pytest.fixture(params=["as it is", "small blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "small blocks":
        monkeypatch.setattr(winograd, "BLOCK_BYTES", 0)
        monkeypatch.setattr(winograd, "LEAST_TILES", 5)
    winograd._describe.cache_clear()
    yield
    winograd._describe.cache_clear()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "outputs", "padding"), SHAPES)
def test_tiles_give_the_sum(
    shape: tuple[int, ...], outputs: int, padding: tuple, dtype: str, rng: np.random.Generator
) -> None:
    n, c, *size = shape
    out_size = [s + sum(p) - 2 for s, p in zip(size, padding, strict=True)]
    before = padding[0][0], padding[1][0]
    x, memory = with_walls(shape, dtype)
    dz, dz_memory = with_walls((n, outputs, *out_size), dtype)
    x[...], dz[...] = rng.normal(size=x.shape), rng.normal(size=dz.shape)
    weight = rng.normal(size=(outputs, c, 3, 3)).astype(dtype)
    bias = rng.normal(size=outputs).astype(dtype)
    found, walls = zip(*(with_walls(a.shape, dtype) for a in (dz, x, weight)), strict=True)
    out, dx, dweight = found
    winograd.forward(out, x, weight, bias, before, "relu", turned=False)
    back = 2 - before[0], 2 - before[1]
    winograd.forward(dx, dz, weight, None, back, "identity", turned=True)
    winograd.by_weight(dweight, dz, x, before)

    # Terms of a sum, the four that each of the two transformations adds, and four more of A^T.
    lengths = (9 * c + 12, 9 * outputs + 12, n * out_size[0] * out_size[1] + 12)
    largest = [
        float(np.abs(a).max() * np.abs(b).max()) for a, b in ((x, weight), (dz, weight), (dz, x))
    ]
    for got, want, length, term in zip(
        found, sums(x, weight, bias, dz, padding), lengths, largest, strict=True
    ):
        # Errors of a sum's roundings add up like steps of a random walk: 6 standard deviations.
        bound = 6 * np.sqrt(length) * np.finfo(dtype).eps * term * 4
        assert np.abs(got - want).max() <= bound
    for wall in (memory, dz_memory, *walls):
        assert np.isnan(wall[[*range(64), *range(-64, 0)]]).all()


def test_the_number_of_threads_changes_roundings_alone(rng: np.random.Generator) -> None:
    x = rng.normal(size=(6, 16, 20, 20)).astype(np.float32)
    weight = rng.normal(size=(16, 16, 3, 3)).astype(np.float32)
    dz = rng.normal(size=x.shape).astype(np.float32)
    threads = get_num_threads()
    found = []
    try:
        for count in (1, threads):
            set_num_threads(count)
            out, dweight = np.empty_like(x), np.empty_like(weight)
            winograd.forward(out, x, weight, None, (1, 1), "identity", turned=False)
            winograd.by_weight(dweight, dz, x, (1, 1))
            found.append((out, dweight))
    finally:
        set_num_threads(threads)
    (out, dweight), (again, dweight_again) = found
    # An element of z is computed alike in every block; dweight is a sum over the threads' parts.
    np.testing.assert_array_equal(out, again)
    scale = np.abs(dz).max() * np.abs(x).max()
    bound = 6 * np.sqrt(dz.size / 16) * np.finfo(np.float32).eps * scale
    assert np.abs(dweight - dweight_again).max() <= bound


def test_what_suits() -> None:
    fits = {
        "x": (64, 32, 14, 14), "weight": (64, 32, 3, 3), "z": (64, 64, 14, 14), "stride": (1, 1),
        "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1,
    }  # fmt: skip
    assert winograd.suits(**fits)
    others = {
        "weight": [(64, 32, 1, 1), (64, 32, 3, 2), (64, 32, 5, 5), (4, 32, 3, 3), (64, 4, 3, 3)],
        "stride": [(2, 2), (1, 2)],
        "padding": [((3, 0), (1, 1))],
        "dilation": [(2, 2)],
        "groups": [2],
        "z": [(1, 64, 14, 14), (64, 64, 3, 3), (0, 64, 14, 14)],
    }
    for name, values in others.items():
        for value in values:
            assert not winograd.suits(**fits | {name: value}), (name, value)

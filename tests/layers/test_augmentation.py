"""Random flips and shifts: what they do, alike on every backend, in both layouts, and in a fit."""

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.layers import Dense, Flatten, RandomFlip, RandomShift

SHAPE = (64, 3, 5, 7)


@pytest.fixture
def images(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(1.0, 2.0, size=SHAPE).astype(np.float32)


def shifted(image: np.ndarray, down: int, right: int) -> np.ndarray:
    out = np.zeros_like(image)
    _, h, w = image.shape
    for r in range(h):
        for c in range(w):
            if 0 <= r + down < h and 0 <= c + right < w:
                out[:, r, c] = image[:, r + down, c + right]
    return out


def test_an_image_is_itself_or_turned_round(backend: Backend, images: np.ndarray) -> None:
    got = RandomFlip()(tc.tensor(images)).numpy()
    turned = [np.array_equal(g, x[:, :, ::-1]) for g, x in zip(got, images, strict=True)]
    same = [np.array_equal(g, x) for g, x in zip(got, images, strict=True)]
    assert all(a != b for a, b in zip(turned, same, strict=True))
    # Of 64 fair coins fewer than 12 or more than 52 fall the same way once in a million.
    assert 12 <= sum(turned) <= 52


def test_every_shift_comes_up_and_nothing_else(backend: Backend, images: np.ndarray) -> None:
    layer, seen = RandomShift((1, 2)), set()
    for _ in range(4):
        for got, x in zip(layer(tc.tensor(images)).numpy(), images, strict=True):
            found = [
                (d, r)
                for d in (-1, 0, 1)
                for r in (-2, -1, 0, 1, 2)
                if np.array_equal(got, shifted(x, d, r))
            ]
            assert len(found) == 1
            seen.add(found[0])
    assert len(seen) == 15


@pytest.mark.parametrize("layer", [RandomFlip("horizontal_and_vertical"), RandomShift(2)])
def test_layouts_and_backends_agree(backend: Backend, images: np.ndarray, layer: tc.Module) -> None:
    layer.layout = "NCHW"
    tc.seed(7)
    first = layer(tc.tensor(images)).numpy()
    layer.layout = "NHWC"
    tc.seed(7)
    last = layer(tc.tensor(images.transpose(0, 2, 3, 1).copy())).numpy()
    np.testing.assert_array_equal(first, last.transpose(0, 3, 1, 2))
    layer.layout = "NCHW"
    with tc.use_backend("numpy"):
        tc.seed(7)
        np.testing.assert_array_equal(first, layer(tc.tensor(images)).numpy())


def test_the_gradient_goes_back_where_the_pixel_came_from(
    backend: Backend, images: np.ndarray
) -> None:
    x = tc.tensor(images, requires_grad=True)
    out = RandomShift(2)(x)
    (out * out).sum().backward()
    kept = (x.grad.numpy() != 0).reshape(SHAPE[0], -1).sum(1)
    assert np.array_equal(kept, (out.numpy() != 0).reshape(SHAPE[0], -1).sum(1))
    np.testing.assert_allclose(x.grad.numpy()[x.grad.numpy() != 0], 2 * images[x.grad.numpy() != 0])


def test_a_captured_fit_draws_anew_at_every_step(backend: Backend, images: np.ndarray) -> None:
    losses = []
    for capture in (True, False):
        tc.seed(3)
        model = tc.models.Sequential([RandomFlip(), RandomShift(1), Flatten(), Dense(105, 2)])
        model.compile("sgd", "cross_entropy")
        history = model.fit(
            images, np.arange(64) % 2, batch_size=16, epochs=3, verbose=0, capture=capture
        )
        losses.append(history["loss"])
    assert losses[0] == losses[1]


def test_evaluation_mode_and_whole_numbers(backend: Backend) -> None:
    x = tc.tensor(np.arange(12, dtype=np.uint8).reshape(1, 3, 4))
    assert RandomFlip().eval()(x) is x
    assert sorted(RandomFlip()(x).numpy().ravel()) == list(range(12))


def test_wrong_arguments() -> None:
    with pytest.raises(OptionError, match=r"unknown mode of RandomFlip 'horizontl'.*horizontal'"):
        RandomFlip("horizontl")
    with pytest.raises(OptionError, match="unknown layout 'HWC'"):
        RandomFlip(layout="HWC")
    with pytest.raises(OptionError, match="pixels is one whole number from 0 on, or two, found -1"):
        RandomShift(-1)
    with pytest.raises(ShapeError, match=r"takes images \(n, h, w\).*found shape \(4, 49\)"):
        RandomShift(1)(tc.zeros(4, 49))

"""Upsample and interpolate beside PyTorch's; gradients; errors; saving and capture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.layers import Dense, Flatten, Upsample
from tercet.models import Sequential

from .agreement import agree, both, captured_equals_eager

torch: Any = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "bilinear"])
def test_agrees_with_pytorch(backend: Backend, rng: np.random.Generator, mode, dtype: str) -> None:
    for _ in range(30):
        axes = 1 if mode == "linear" else 2
        options: dict[str, Any] = {"mode": mode}
        if mode != "nearest":
            options["align_corners"] = (None, False, True)[rng.integers(3)]
        shape = [int(n) for n in rng.integers(1, 9, size=2 + axes)]
        if rng.integers(2):
            options["size"] = tuple(int(n) for n in rng.integers(1, 20, size=axes))
        else:
            # At least 1 element is left of each axis.
            least = 1 / min(shape[2:]) + 1e-6
            factors = tuple(float(f) for f in rng.uniform(least, least + 3, size=axes))
            options["scale_factor"] = factors if rng.integers(2) else factors[0]
            options["recompute_scale_factor"] = (None, True, False)[rng.integers(3)]
        layer, theirs = Upsample(**options), torch.nn.Upsample(**options)
        x, t = both(rng.normal(size=shape), dtype)
        agree(rng, layer, theirs, ((layer(x), theirs(t)),), ((x, t),))


def test_nearest_of_a_sequence_is_that_of_an_image_of_one_row(backend: Backend, rng) -> None:
    """PyTorch's is, too, but where its images have a rule that its sequences lack; see `step`."""
    for factor in (0.4, 1.17, 2.03, 3.3):
        values = rng.normal(size=(2, 3, 7))
        found = tc.interpolate(values, scale_factor=factor).numpy()
        image = torch.nn.functional.interpolate(
            torch.tensor(values[:, :, None]), scale_factor=(1.0, factor)
        )
        np.testing.assert_array_equal(found, image[:, :, 0].numpy().astype(found.dtype))


def test_infinity_stays_where_it_is(backend: Backend) -> None:
    out = tc.interpolate([[[np.inf, 1.0, -np.inf]]], scale_factor=2).tolist()
    assert out == [[[np.inf, np.inf, 1.0, 1.0, -np.inf, -np.inf]]]


def test_gradcheck(backend: Backend, rng: np.random.Generator) -> None:
    x = tc.tensor(rng.normal(size=(2, 3, 4, 5)), dtype="float64", requires_grad=True)
    tc.gradcheck(lambda x: tc.interpolate(x, (7, 3)), x)
    for corners in (False, True):
        tc.gradcheck(
            lambda x, c=corners: tc.interpolate(x, (9, 3), mode="bilinear", align_corners=c), x
        )
        tc.gradcheck(
            lambda x, c=corners: tc.interpolate(x[0], 8, mode="linear", align_corners=c), x
        )


def test_wrong_input(backend: Backend) -> None:
    x = np.zeros((1, 2, 3, 4))
    with pytest.raises(OptionError, match="give either size or scale_factor; found size=None"):
        Upsample()
    with pytest.raises(OptionError, match="give either size or scale_factor; found size=3"):
        Upsample(3, 2)
    with pytest.raises(OptionError, match=r"mode of Upsample.*bicubic"):
        Upsample(3, mode="bicubic")
    with pytest.raises(OptionError, match="align_corners is for linear modes"):
        Upsample(3, align_corners=False)
    with pytest.raises(ShapeError, match=r"mode 'linear' takes x \(n, c, l\), found shape"):
        Upsample(3, mode="linear")(x)
    with pytest.raises(OptionError, match="size is a number or 2 of them"):
        Upsample((1, 2, 3))(x)
    with pytest.raises(ShapeError, match=r"positive integers, found \(3, 4\) and \(0, 0\)"):
        Upsample(scale_factor=0.1)(x)
    assert Upsample(2)(np.zeros((0, 2, 3, 4))).shape == (0, 2, 2, 2)


class Image(tc.Module):
    """Features as images of 2 channels."""

    def forward(self, x: tc.Tensor) -> tc.Tensor:
        return x.reshape(x.shape[0], 2, 3, 3)


def network() -> Sequential:
    return Sequential(
        Dense(18), Image(), Upsample(scale_factor=(2, 1.5)), Upsample((4, 4), mode="bilinear"),
        Flatten(), Dense(3),
    )  # fmt: skip


def test_a_model_with_it_is_saved(backend: Backend, rng, tmp_path: Path) -> None:
    model = network().build((4,))
    model.save(tmp_path / "m.safetensors")
    x = rng.normal(size=(5, 4))
    loaded = tc.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_captured_training_equals_eager(backend: Backend) -> None:
    if not backend.captures:
        pytest.skip(f"{backend.name} does not capture")
    captured_equals_eager(network, (6, 4), 3)

"""Pooling beside PyTorch's on random windows; gradients; errors; saving and capture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet import layers
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.models import Sequential

from .agreement import agree, both, captured_equals_eager

torch: Any = pytest.importorskip("torch")
WINDOWED = ("MaxPool1d", "MaxPool2d", "AvgPool1d", "AvgPool2d")
ADAPTIVE = ("AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d")


def drawn(rng: np.random.Generator, name: str) -> tuple[Any, dict[str, Any]]:
    """A window that PyTorch takes, and sizes for it."""
    axes = int(name[-2])

    def numbers(low: int, high: int) -> Any:
        return [int(n) for n in rng.integers(low, high, size=axes)]

    window, dilation = numbers(1, 4), numbers(1, 3) if "Max" in name else [1] * axes
    reach = [d * (w - 1) + 1 for w, d in zip(window, dilation, strict=True)]
    # PyTorch lets windows without elements be; their gradient has no place.
    padding = [int(rng.integers(0, w // 2 + 1)) for w in window]
    options: dict[str, Any] = {
        "kernel_size": tuple(window),
        "stride": tuple(numbers(1, 4)) if rng.integers(2) else None,
        "padding": tuple(padding),
        "ceil_mode": bool(rng.integers(2)),
    }
    if "Max" in name:
        options["dilation"] = tuple(dilation)
    else:
        options["count_include_pad"] = bool(rng.integers(2))
    if name == "AvgPool2d" and rng.integers(2):
        options["divisor_override"] = int(rng.integers(1, 9))
    return options, [r + int(n) for r, n in zip(reach, numbers(0, 9), strict=True)]


def compare(rng: np.random.Generator, name: str, options: Any, places: Any, dtype: str) -> None:
    kind = getattr(layers, name)
    last, batch = bool(rng.integers(2)), [int(n) for n in rng.integers(1, 4, size=2)]
    batch = batch[rng.integers(2) :]
    shape = [*batch, *places]
    # Distinct numbers: where two are equal, the frameworks' gradients may go to either.
    values = rng.permutation(np.prod(shape)).reshape(shape) / 7.0
    layer = kind(**options, layout=kind.layouts[last])
    theirs = getattr(torch.nn, name)(**options)
    to_last = (*range(len(batch) - 1), *range(len(batch), len(shape)), len(batch) - 1)
    x, t = both(values.transpose(to_last) if last else values, dtype)
    reference = theirs(t.permute(*np.argsort(to_last)) if last else t)
    reference = reference.permute(*to_last) if last else reference
    agree(rng, layer, theirs, ((layer(x), reference),), ((x, t),))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WINDOWED)
def test_windows_agree_with_pytorch(backend: Backend, rng, name: str, dtype: str) -> None:
    for _ in range(30):
        compare(rng, name, *drawn(rng, name), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_adaptive_windows_agree_with_pytorch(backend: Backend, rng, name: str, dtype: str) -> None:
    axes = int(name[-2])
    for _ in range(12):
        sizes: Any = tuple(None if n == 7 else int(n) for n in rng.integers(1, 8, size=axes))
        sizes = int(rng.integers(1, 6)) if rng.integers(2) else sizes
        sizes = sizes[0] if axes == 1 and isinstance(sizes, tuple) and sizes[0] else sizes
        sizes = 3 if sizes == (None,) else sizes
        places = [int(n) for n in rng.integers(1, 9, size=axes)]
        compare(rng, name, {"output_size": sizes}, places, dtype)


def test_global_pooling(backend: Backend, rng: np.random.Generator) -> None:
    values = rng.normal(size=(2, 3, 4, 5))
    for name, wanted in (("Avg", values.mean((2, 3))), ("Max", values.max((2, 3)))):
        kind = getattr(layers, f"Global{name}Pool2d")
        np.testing.assert_allclose(kind()(values).numpy(), wanted, rtol=1e-6)
        last = kind(keepdims=True, layout="NHWC")(values.transpose(0, 2, 3, 1))
        np.testing.assert_allclose(last.numpy(), wanted[:, None, None], rtol=1e-6)
        kind = getattr(layers, f"Global{name}Pool1d")
        assert kind()(values[:, :, 0]).shape == (2, 3)
    with pytest.raises(ShapeError, match=r"GlobalAvgPool2d\(\) takes inputs NCHW"):
        layers.GlobalAvgPool2d()(values[0])


def test_nan_is_handed_on(backend: Backend) -> None:
    x = np.arange(16.0).reshape(1, 4, 4)
    x[0, 0, 1] = np.nan
    for out in (tc.max_pool2d(x, 2), tc.avg_pool2d(x, 2), tc.max_pool2d(x, 3, 1)):
        found = np.isnan(out.numpy())
        assert found[0, 0, 0]
        assert not found[0, 1:].any()


def test_gradcheck(backend: Backend, rng: np.random.Generator) -> None:
    x = tc.tensor(rng.permutation(144).reshape(1, 2, 8, 9), dtype="float64", requires_grad=True)
    tc.gradcheck(lambda x: tc.max_pool2d(x, 3, 2, 1, ceil_mode=True), x)
    tc.gradcheck(lambda x: tc.avg_pool2d(x, 3, 2, 1, count_include_pad=False), x)
    tc.gradcheck(lambda x: tc.adaptive_avg_pool2d(x, (3, 4)), x)
    tc.gradcheck(lambda x: tc.adaptive_max_pool1d(x[0], 4), x)


def test_wrong_input(backend: Backend) -> None:
    x = np.zeros((1, 2, 5, 5))
    with pytest.raises(OptionError, match=r"padding must be at most half .* 3; found 2"):
        tc.max_pool2d(x, 3, padding=2)
    with pytest.raises(ShapeError, match="reaches over 6 elements; the input has 5"):
        tc.avg_pool2d(x, 6)
    with pytest.raises(OptionError, match="stride is an integer from 1 on, or 2 of them; found 0"):
        tc.max_pool2d(x, 2, 0)
    with pytest.raises(OptionError, match=r"kernel_size .* found \(1, 2, 3\)"):
        tc.max_pool2d(x, (1, 2, 3))
    with pytest.raises(ShapeError, match=r"expected x \(n, c, l\) or \(c, l\), found \(1, 2, 5, 5"):
        tc.max_pool1d(x, 2)
    with pytest.raises(OptionError, match="divisor_override must not be 0"):
        tc.avg_pool2d(x, 2, divisor_override=0)
    with pytest.raises(OptionError, match="output_size is an integer from 1 on"):
        tc.adaptive_avg_pool2d(x, 0)
    with pytest.raises(OptionError, match=r"layout of MaxPool2d"):
        layers.MaxPool2d(2, layout="NCL")
    assert tc.max_pool2d(np.zeros((0, 2, 4, 4)), 2).shape == (0, 2, 2, 2)


class Image(tc.Module):
    """Features as images of 2 channels."""

    def forward(self, x: tc.Tensor) -> tc.Tensor:
        return x.reshape(x.shape[0], 2, 6, 6)


def network() -> Sequential:
    return Sequential(
        layers.Dense(72), Image(), layers.MaxPool2d(3, 1, (1, 0), ceil_mode=True),
        layers.AvgPool2d((2, 1)), layers.AdaptiveMaxPool2d((2, None)), layers.GlobalAvgPool2d(),
        layers.Dense(3),
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

"""Convolution and padding layers: PyTorch's on random options, in values and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.layers import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d

torch = pytest.importorskip("torch")

ACTIVATIONS = {
    None: lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "leaky_relu": torch.nn.functional.leaky_relu,
    "gelu": torch.nn.functional.gelu,
}
MODES = ("zeros", "zeros", "reflect", "replicate", "circular")


def pick(rng: np.random.Generator, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def sizes(rng: np.random.Generator, axes: int, low: int, high: int) -> Any:
    """One number, or one for each axis."""
    if rng.integers(2):
        return int(rng.integers(low, high))
    return tuple(int(n) for n in rng.integers(low, high, axes))


def draw(rng: np.random.Generator, axes: int, transposed: bool) -> tuple[Any, ...]:
    """Positional sizes, options of PyTorch's layer, and the shape of an input."""
    groups = pick(rng, (1, 1, 2, 3))
    inside, outside = (groups * int(n) for n in rng.integers(1, 5, 2))
    if rng.integers(4) == 0:  # depthwise
        groups = inside
        outside = inside * int(rng.integers(1, 3))
    window, stride, dilation = (sizes(rng, axes, 1, high) for high in (4, 4, 3))
    options: dict[str, Any] = {
        "stride": stride,
        "dilation": dilation,
        "groups": groups,
        "bias": bool(rng.integers(2)),
    }
    each = np.broadcast_to(stride, axes), np.broadcast_to(dilation, axes)
    reach = (each[1] * (np.broadcast_to(window, axes) - 1) + 1).tolist()
    if transposed:
        options["padding"] = sizes(rng, axes, 0, 2)
        most = np.maximum(*each)
        options["output_padding"] = tuple(int(rng.integers(n)) for n in most)
        before = [2 * int(p) for p in np.broadcast_to(options["padding"], axes)]
        size = [max(int(rng.integers(1, 9)), p + 1) for p in before]
    else:
        options["padding"] = pick(rng, (sizes(rng, axes, 0, 3), "valid", "same"))
        if options["padding"] == "same":
            options["stride"] = 1
        options["padding_mode"] = pick(rng, MODES)
        # As much as a window reaches over, and more than is padded.
        size = [max(int(rng.integers(4, 12)), r) for r in reach]
    return (inside, outside, window), options, (int(rng.integers(1, 4)), inside, *size)


LAYERS = {
    "Conv1d": (Conv1d, 1, False),
    "Conv2d": (Conv2d, 2, False),
    "ConvTranspose1d": (ConvTranspose1d, 1, True),
    "ConvTranspose2d": (ConvTranspose2d, 2, True),
}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", LAYERS)
def test_agrees_with_pytorch(backend: Backend, name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    make, axes, transposed = LAYERS[name]
    given, options, shape = draw(rng, axes, transposed)
    activation = pick(rng, list(ACTIVATIONS))
    last = bool(rng.integers(2))
    layout = {1: ("NCL", "NLC"), 2: ("NCHW", "NHWC")}[axes][last]
    for dtype in ("float64", "float32"):
        mine = make(*given, **options, activation=activation, layout=layout, dtype=dtype)
        theirs = getattr(torch.nn, name)(*given, **options, dtype=getattr(torch, dtype))
        values = rng.normal(size=shape)
        with torch.no_grad():
            theirs.weight.copy_(torch.tensor(mine.weight.numpy()))
            if mine.bias is not None:
                mine.bias.replace(rng.normal(size=mine.bias.shape))
                theirs.bias.copy_(torch.tensor(mine.bias.numpy()))
        there = torch.tensor(values, dtype=getattr(torch, dtype), requires_grad=True)
        order = (0, *range(2, axes + 2), 1) if last else tuple(range(axes + 2))
        here = tc.tensor(values.transpose(order), dtype=dtype, requires_grad=True)
        expected = ACTIVATIONS[activation](theirs(there)).permute(order)
        out = mine(here)
        seen = rng.normal(size=out.shape)
        (out * tc.tensor(seen, dtype=dtype)).sum().backward()
        (expected * torch.tensor(seen, dtype=getattr(torch, dtype))).sum().backward()
        pairs = [(out.numpy(), expected.detach().numpy())]
        pairs += [(here.grad.numpy(), there.grad.permute(order).numpy())]
        pairs += [(mine.weight.grad.numpy(), theirs.weight.grad.numpy())]
        if mine.bias is not None:
            pairs += [(mine.bias.grad.numpy(), theirs.bias.grad.numpy())]
        # Sums over a batch's pixels and a window: both round each addition.
        depth = out.size + int(np.prod(mine.weight.shape))
        tolerance = 1e-9 if dtype == "float64" else 2 * depth * np.finfo("f4").eps
        for found, wanted in pairs:
            scale = max(np.abs(wanted).max(initial=0.0), 1.0)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * scale)


PADS = ("ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad")


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("name", PADS)
def test_padding_agrees_with_pytorch(backend: Backend, name: str, axes: int, rng: Any) -> None:
    for padding in (1, tuple(range(2 * axes)), 0):
        values = rng.normal(size=(2, 3, 5, 6)[: axes + 2])
        here = tc.tensor(values, dtype="float64", requires_grad=True)
        there = torch.tensor(values, requires_grad=True)
        out = getattr(tc.layers, f"{name}{axes}d")(padding)(here)
        expected = getattr(torch.nn, f"{name}{axes}d")(padding)(there)
        np.testing.assert_array_equal(out.numpy(), expected.detach().numpy())
        (out * out).sum().backward()
        (expected * expected).sum().backward()
        np.testing.assert_allclose(here.grad.numpy(), there.grad.numpy(), rtol=1e-12)


def test_gradients(backend: Backend, rng: np.random.Generator) -> None:
    x, weight, bias = (
        tc.tensor(rng.normal(size=shape), dtype="float64", requires_grad=True)
        for shape in ((2, 4, 5, 6), (4, 2, 3, 2), (4,))
    )
    options: dict[str, Any] = {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "groups": 2}
    options["activation"] = "tanh"
    assert tc.gradcheck(lambda *given: tc.conv2d(*given, **options), (x, weight, bias))
    options["output_padding"] = (1, 0)
    assert tc.gradcheck(lambda *given: tc.conv_transpose2d(*given, **options), (x, weight, bias))
    assert tc.gradcheck(lambda x: tc.pad(x, (1, 2, 3, 0), "reflect"), (x,))


def network() -> tc.models.Sequential:
    return tc.models.Sequential(
        [
            tc.layers.ReflectionPad2d(1),
            Conv2d(None, 4, 3, activation="relu"),
            Conv2d(None, 4, 3, padding="same", groups=4),
            ConvTranspose2d(None, 2, (2, 3), stride=[2, 1], activation="gelu"),
            tc.layers.Flatten(),
            tc.layers.Dense(3),
        ]
    )


def test_saved_and_loaded(backend: Backend, tmp_path: Path, rng: np.random.Generator) -> None:
    model, x = network(), rng.normal(size=(3, 2, 6, 5)).astype("f4")
    expected = model(x).numpy()
    model.save(str(tmp_path / "m.safetensors"))
    same = tc.load(str(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(same(x).numpy(), expected)


def test_a_captured_step_is_an_eager_one(backend: Backend, rng: np.random.Generator) -> None:
    if not backend.captures:
        pytest.skip(f"{backend.name} does not capture")
    batches = [(rng.normal(size=(4, 2, 6, 5)).astype("f4"), rng.integers(0, 3, 4)) for _ in "12345"]
    results = []
    for captured in (False, True):
        tc.seed(0)
        model = network()
        model(batches[0][0])
        optimizer = tc.SGD(model.parameters(), lr=0.1)

        def step(x: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = tc.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        run = tc.capture(step) if captured else step
        results.append([run(tc.tensor(x), tc.tensor(y)).item() for x, y in batches])
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(3, 8), "kernel_size is an integer from 1 on"),
        (lambda: Conv2d(3, None, 3), "out_channels is a positive integer, found None"),
        (lambda: Conv2d(3, 8, 3, groups=2), "in_channels=3 cannot be divided into groups=2"),
        (lambda: Conv2d(4, 9, 3, groups=2), "out_channels=9 cannot be divided into groups=2"),
        (lambda: Conv2d(3, 8, 3, groups=0), "groups is a positive integer"),
        (lambda: Conv2d(3, 8, 3, padding=-1), "padding is an integer from 0 on"),
        (lambda: Conv2d(3, 8, 3, padding="full"), "'valid', 'same' or given by numbers"),
        (lambda: Conv2d(3, 8, 3, stride=2, padding="same"), "takes a stride of 1"),
        (lambda: Conv2d(3, 8, (3, 3, 3)), "one for each of the two axes"),
        (lambda: Conv2d(3, 8, 3, padding_mode="mirror"), "unknown Conv2d padding_mode 'mirror'"),
        (lambda: Conv2d(3, 8, 3, layout="NLC"), "unknown Conv2d layout 'NLC'"),
        (lambda: Conv2d(3, 8, 3, activation="rellu"), "Did you mean 'relu'"),
        (lambda: ConvTranspose2d(3, 8, 3, padding="same"), "given by numbers"),
        (lambda: ConvTranspose2d(3, 8, 3, padding_mode="reflect"), "padding_mode is 'zeros'"),
        (lambda: tc.layers.ZeroPad2d((1, 2)), "left, right, top, bottom"),
        (lambda: tc.pad([1.0], (1,)), "before, after"),
        (lambda: tc.pad([1.0], (1, 1), "mirror"), "unknown padding mode 'mirror'"),
    ],
)
def test_wrong_options(make: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(3, 8, 3)(tc.zeros(1, 4, 5, 5)), r"NCHW of 3 channels.*\(1, 4, 5, 5\)"),
        (lambda: Conv2d(3, 8, 3)(tc.zeros(3, 5, 5)), r"NCHW of 3 channels.*\(3, 5, 5\)"),
        (lambda: Conv1d(None, 8, 3)(tc.zeros(2, 3)), r"NCL, found shape \(2, 3\)"),
        (lambda: Conv2d(3, 8, 7)(tc.zeros(1, 3, 5, 9)), "reaches over 7 elements; the input has 5"),
        (lambda: ConvTranspose1d(1, 1, 1, padding=1)(tc.zeros(1, 1, 2)), "would give 0"),
        (lambda: tc.conv2d(tc.zeros(1, 4, 5, 5), tc.zeros(3, 2, 3, 3), groups=2), "3 channels"),
        (
            lambda: tc.conv2d(tc.zeros(1, 2, 5, 5), tc.zeros(3, 2, 3, 3), tc.zeros(2)),
            r"bias \(3,\)",
        ),
        (lambda: tc.pad([1.0, 2.0], (2, 0), "reflect"), "gives axis 0 of 2 elements 1 more"),
        (lambda: tc.pad([1.0, 2.0], (0, 3), "circular"), "gives axis 0 of 2 elements 2 more"),
        (lambda: tc.pad([1.0], (1, 1, 1, 1)), "are for 2 axes"),
        (lambda: tc.layers.CircularPad2d(1)(tc.zeros(3, 4)), r"found shape \(3, 4\)"),
    ],
)
def test_wrong_shapes(make: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        make()


def test_output_padding_is_smaller_than_stride_or_dilation() -> None:
    layer = ConvTranspose2d(1, 1, 3, stride=2, output_padding=2)
    with pytest.raises(OptionError, match="output_padding is smaller than stride or dilation"):
        layer(tc.zeros(1, 1, 3, 3))


def test_parameters_wait_for_the_first_input(backend: Backend) -> None:
    layer = Conv2d(None, 4, 3, groups=2, layout="NHWC")
    assert not layer.built
    assert layer(np.zeros((2, 8, 8, 6))).shape == (2, 6, 6, 4)
    assert layer.weight is not None
    assert layer.weight.shape == (4, 3, 3, 3)
    with pytest.raises(OptionError, match="in_channels=3 cannot be divided into groups=2"):
        Conv2d(None, 4, 3, groups=2)(np.zeros((2, 3, 8, 8)))


def test_weights_are_drawn_for_the_activation() -> None:
    tc.seed(1)
    weight = Conv2d(32, 64, 3, activation="relu", dtype="float64").weight.numpy()
    bound = (6 / (32 * 9)) ** 0.5  # He's, uniform
    assert 0.99 * bound < np.abs(weight).max() <= bound


def test_no_images_give_no_images(backend: Backend) -> None:
    x = tc.zeros(0, 3, 5, 5).requires_grad_()
    layer = Conv2d(3, 4, 3, padding=1)
    out = layer(x)
    out.sum().backward()
    assert out.shape == (0, 4, 5, 5)
    assert x.grad.shape == (0, 3, 5, 5)
    assert not layer.weight.grad.numpy().any()

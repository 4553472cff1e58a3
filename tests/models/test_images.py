"""Convolutional networks: they learn, are saved, and have the parameters that they should."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.data import load_digits
from tercet.errors import OptionError
from tercet.layers import RandomShift, Reshape
from tercet.models import CNN, ResNet, resnet18, resnet34, resnet50

MODELS = {
    "cnn": lambda: CNN(10, (8, 16), 32, dropout=0.1, before=[Reshape(1, 8, 8)]),
    "resnet": lambda: ResNet(
        10, (1, 1), (8, 16), in_channels=1, before=[RandomShift(1), Reshape(1, 8, 8)]
    ),
    "bottleneck": lambda: ResNet(
        10, (1, 1), (4, 8), "bottleneck", in_channels=1, before=[Reshape(1, 8, 8)]
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_learns_digits_and_is_saved(backend: Backend, name: str, tmp_path: Path) -> None:
    digits = load_digits()
    tc.seed(0)
    model = MODELS[name]()
    model.compile(tc.AdamW(lr=5e-3), "cross_entropy", ["accuracy"])
    history = model.fit(digits.x_train[:600], digits.y_train[:600], epochs=6, verbose=0)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert model.evaluate(digits.x_test, digits.y_test)["accuracy"] > 0.8
    model.save(tmp_path / "m")
    outputs = model.predict(digits.x_test)
    np.testing.assert_array_equal(tc.load(tmp_path / "m").predict(digits.x_test), outputs)


def test_a_resnet_agrees_with_the_same_in_pytorch(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    model = ResNet(5, (1, 1), (4, 6), in_channels=2).double().eval()
    for name, buffer in model.named_buffers():
        if "running" in name:
            values = rng.uniform(0.5, 1.5, buffer.shape)
            buffer.backend.ops.copy(
                buffer.backend.asarray(values), dtype="float64", out=(buffer.data,)
            )
    state = {name: torch.tensor(value) for name, value in model.state_dict().items()}
    f = torch.nn.functional

    def norm(name: str, x: Any) -> Any:
        keys = ("running_mean", "running_var", "weight", "bias")
        return f.batch_norm(x, *(state[f"{name}.{k}"] for k in keys))

    def conv(name: str, x: Any, stride: int = 1) -> Any:
        weight = state[f"{name}.weight"]
        return f.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)

    x = torch.tensor(rng.normal(size=(3, 2, 9, 8)))
    h = f.relu(norm("bn1", conv("conv1", x)))
    for i, stride in ((1, 1), (2, 2)):
        at = f"layer{i}.0"
        out = f.relu(norm(f"{at}.bn1", conv(f"{at}.conv1", h, stride)))
        out = norm(f"{at}.bn2", conv(f"{at}.conv2", out))
        if i == 2:
            h = norm(f"{at}.downsample.1", conv(f"{at}.downsample.0", h, stride))
        h = f.relu(out + h)
    expected = h.mean((2, 3)) @ state["fc.weight"] + state["fc.bias"]
    np.testing.assert_allclose(model(x.numpy()).numpy(), expected.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "count"),
    [(resnet18, 11_689_512), (resnet34, 21_797_672), (resnet50, 25_557_032)],
)
def test_as_many_parameters_as_torchvisions(make: Any, count: int) -> None:
    model = make()
    assert model.num_parameters() == count
    names = {name for name, _ in model.named_parameters()}
    assert {"conv1.weight", "layer2.0.downsample.1.bias", "layer4.1.bn2.weight"} <= names


def test_wrong_arguments() -> None:
    with pytest.raises(OptionError, match="unknown block of ResNet 'bottlenek'"):
        ResNet(10, block="bottlenek")
    with pytest.raises(OptionError, match="unknown stem of ResNet 'big'"):
        ResNet(10, stem="big")
    with pytest.raises(OptionError, match="blocks and widths give a number for each stage"):
        ResNet(10, blocks=(1, 1), widths=(8,))

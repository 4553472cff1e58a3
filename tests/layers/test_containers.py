"""Containers, hooks and shared weights: what they hold, how they train, how they are saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.layers import Dense, Module, ModuleDict, ModuleList, Parallel, Residual
from tercet.models import Model, Sequential


class Tower(Model):
    """Lists and dictionaries of modules inside a model of the user's."""

    def __init__(self, widths: list[int], heads: list[str]) -> None:
        super().__init__()
        self.layers = ModuleList(Dense(w, activation="tanh") for w in widths)
        self.heads = ModuleDict({name: Dense(2) for name in heads})

    def forward(self, x: tc.Tensor) -> tc.Tensor:
        for layer in self.layers:
            x = layer(x)
        out = self.heads["a"](x)
        for name in list(self.heads)[1:]:
            out = out + self.heads[name](x)
        return out


def trained(model: Model, rng: np.random.Generator) -> np.ndarray:
    x = rng.normal(size=(64, 5)).astype("float32")
    model.compile(tc.Adam(lr=0.02), "cross_entropy")
    history = model.fit(x, (x[:, 0] > 0).astype(int), epochs=15, verbose=0)
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    return x


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tower([6, 4], ["a", "b"]),
        lambda: Sequential(
            Dense(6), Residual([Dense(8, activation="relu"), Dense(6)], drop=0.2), Dense(2)
        ),
        lambda: Sequential(
            Residual(Dense(4), Dense(5, 4, bias=False), activation="relu"), Dense(2)
        ),
        lambda: Sequential(Parallel([Dense(3), Dense(4, activation="relu")]), Dense(2)),
        lambda: Sequential(Parallel([Dense(3), Dense(3)], "add"), Dense(2)),
    ],
)
def test_trains_and_is_saved(
    backend: Backend, rng: np.random.Generator, tmp_path: Path, make: Any
) -> None:
    model = make()
    x = trained(model, rng)
    model.eval().save(tmp_path / "m")
    np.testing.assert_array_equal(tc.load(tmp_path / "m").predict(x), model.predict(x))


def test_a_residual_adds(backend: Backend, rng: np.random.Generator) -> None:
    x, body, short = tc.tensor(rng.normal(size=(4, 3))), Dense(3, 3), Dense(3, 3)
    np.testing.assert_allclose(
        Residual(body, short, activation="relu")(x).numpy(),
        np.maximum(short(x).numpy() + body(x).numpy(), 0),
        rtol=1e-6,
    )
    whole = Residual(body, drop=0.5)
    changed = (whole(tc.ones(200, 3)).numpy() != 1).any(1)
    # 200 draws: five standard deviations of a fair coin.
    assert abs(changed.mean() - 0.5) < 5 * (0.25 / 200) ** 0.5


def test_a_shared_weight_is_one(backend: Backend, rng: np.random.Generator) -> None:
    class Tied(Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Dense(5, 5), Dense(5, 5)
            self.second.weight = self.first.weight

        def forward(self, x: tc.Tensor) -> tc.Tensor:
            return self.second(self.first(x))

    model = Tied()
    assert [name for name, _ in model.named_parameters()] == [
        "first.weight", "first.bias", "second.bias",
    ]  # fmt: skip
    x = tc.tensor(rng.normal(size=(3, 5)))
    model(x).sum().backward()
    w, ones = model.first.weight.numpy(), np.ones((3, 5))
    expected = x.numpy().T @ (ones @ w.T) + (x.numpy() @ w).T @ ones
    np.testing.assert_allclose(model.first.weight.grad.numpy(), expected, rtol=1e-4, atol=1e-5)
    model.compile("sgd", "mse")
    model.fit(x.numpy(), ones, epochs=1, verbose=0)
    assert model.second.weight is model.first.weight


def test_hooks_before_after_and_backward(backend: Backend) -> None:
    layer, seen = Dense(2, 2, bias=False), []
    layer.weight.replace(np.eye(2))
    removers = [
        layer.register_forward_pre_hook(lambda m, inputs: (inputs[0] * 2,)),
        layer.register_forward_hook(lambda m, inputs, out: out + 1),
        layer.register_backward_hook(lambda m, g: seen.append(g.tolist())),
        layer.register_backward_hook(lambda m, g: g * 10),
    ]
    x = tc.tensor([[1.0, 2.0]], requires_grad=True)
    out = layer(x)
    assert out.tolist() == [[3.0, 5.0]]
    out.sum().backward()
    assert seen == [[[10.0, 10.0]]]
    assert x.grad.tolist() == [[20.0, 20.0]]
    for remove in removers:
        remove()
    assert layer(x).tolist() == [[1.0, 2.0]]
    layer.register_backward_hook(lambda m, g: g.sum())
    with pytest.raises(ShapeError, match=r"gradient of shape \(\) in place of one of shape"):
        layer(x).sum().backward()


def test_lists_and_dictionaries() -> None:
    items = ModuleList([Dense(1)])
    items.append(Dense(2))
    assert [m.out_features for m in items] == [1, 2]
    named = ModuleDict({"x": Dense(1)})
    named["y"] = Dense(2)
    assert list(named.keys()) == ["x", "y"]
    assert [m.out_features for m in named.values()] == [1, 2]
    assert dict(named.items())["y"] is named["y"]
    assert len(named) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModuleList([3]), "ModuleList holds modules, found 3 of type int"),
        (lambda: ModuleDict({"a.b": Dense(1)}), "a string without dots"),
        (lambda: ModuleDict({"forward": Dense(1)}), "a string without dots"),
        (lambda: ModuleDict({"head": Dense(1)})["haed"], "unknown module 'haed'.*'head'"),
        (lambda: Parallel([]), "at least one branch"),
        (lambda: Parallel([Dense(1)], "sum"), "unknown way to combine 'sum'"),
        (lambda: Residual(Dense(1), drop=1.0), "Residual: p must be in"),
        (lambda: Residual(Dense(1), activation="rleu"), "unknown activation 'rleu'"),
        (lambda: Residual(Dense(4))(tc.zeros(2, 3)), r"body gives \(2, 4\), the shortcut \(2, 3\)"),
        (lambda: Parallel([Dense(1), Dense(2)], "add")(tc.zeros(2, 3)), "branches to be added"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises((OptionError, ShapeError), match=message):
        make()


def test_a_module_takes_options(backend: Backend) -> None:
    class Scaled(Module):
        def forward(self, x: tc.Tensor, scale: Any = None) -> tc.Tensor:
            return x if scale is None else x * scale

    layer = Scaled()
    assert layer([[1.0, 2.0]], scale=2.0).tolist() == [[2.0, 4.0]]
    assert layer([[1.0]]).tolist() == [[1.0]]

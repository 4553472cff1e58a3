"""The vision transformer: beside PyTorch, better than a linear model, captured, saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import OptionError, ShapeError
from tercet.models import ViT

from ..layers.agreement import close
from ..test_textbook import example


def small(**options: Any) -> ViT:
    sizes = {"image": 6, "patch": 3, "channels": 2, "width": 8, "layers": 2, "heads": 2}
    return ViT(5, **(sizes | options))


def torch_logits(model: ViT, x: np.ndarray) -> tuple[Any, Any]:
    """The same model in PyTorch's own ops, and its weights by name."""
    import torch
    import torch.nn.functional as F

    w = {
        name: torch.tensor(v, dtype=torch.float64, requires_grad=True)
        for name, v in model.state_dict().items()
    }

    def norm(x: Any, name: str) -> Any:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    def dense(x: Any, name: str) -> Any:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    patches = F.conv2d(torch.tensor(x), w["conv_proj.weight"], w["conv_proj.bias"], stride=3)
    rows = patches.flatten(2).transpose(1, 2)
    z = torch.cat([w["class_token"].expand(len(x), 1, 8), rows], dim=1) + w["positions.weight"]
    for i in range(2):
        joined = dense(norm(z, f"layers.{i}.norm1"), f"layers.{i}.self_attn.in_proj")
        q, k, v = (t.reshape(len(x), 5, 2, 4).transpose(1, 2) for t in joined.chunk(3, dim=-1))
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(len(x), 5, 8)
        z = z + dense(attended, f"layers.{i}.self_attn.out_proj")
        hidden = F.gelu(dense(norm(z, f"layers.{i}.norm2"), f"layers.{i}.linear1"))
        z = z + dense(hidden, f"layers.{i}.linear2")
    return dense(norm(z[:, 0], "norm"), "head"), w


def test_beside_pytorch(backend: Backend, rng: np.random.Generator) -> None:
    pytest.importorskip("torch")
    model = small().double()
    for p in model.parameters():
        p.replace(p.numpy() + 0.3 * rng.normal(size=p.shape))
    x = rng.normal(size=(3, 2, 6, 6))
    out = model(x)
    wanted, weights = torch_logits(model, x)
    close(out, wanted)
    out.square().sum().backward()
    wanted.square().sum().backward()
    for name, p in model.named_parameters():
        close(p.grad, weights[name].grad)


def test_better_than_a_linear_model_on_the_digits(backend: Backend) -> None:
    accuracy, linear = example("vision_transformer").main(verbose=0)
    assert accuracy > linear


def test_captured_and_eager_training_agree(backend: Backend, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(40, 2, 6, 6)), rng.integers(0, 5, size=40)
    losses = []
    for capture in (False, True):
        tc.seed(0)
        model = small(dropout=0.2)
        model.compile(tc.AdamW(lr=1e-2), "cross_entropy")
        losses.append(model.fit(x, y, epochs=4, batch_size=8, capture=capture, verbose=0)["loss"])
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0]


def test_saved_and_loaded(tmp_path: Path, rng: np.random.Generator) -> None:
    model = small()
    x = rng.normal(size=(4, 2, 6, 6)).astype(np.float32)
    model.compile(tc.AdamW(lr=1e-2), "cross_entropy")
    model.fit(x, [0, 1, 2, 3], epochs=1, verbose=0)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(tc.load(tmp_path / "m").predict(x), model.predict(x))


def test_wrong_sizes_and_inputs() -> None:
    for options in ({"patch": 4}, {"patch": 0}, {"patch": 12}):
        with pytest.raises(OptionError, match="image must be a multiple of patch"):
            small(**options)
    with pytest.raises(OptionError, match="multiple of num_heads"):
        small(heads=3)
    with pytest.raises(ShapeError, match=r"takes images \(n, 2, 6, 6\), found shape \(1, 1, 6, 6"):
        small()(np.zeros((1, 1, 6, 6)))

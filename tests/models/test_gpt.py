"""The generative transformer: beside PyTorch, trained by fit, generating, saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.backends.generator import Generator
from tercet.errors import DataError, OptionError, ShapeError
from tercet.models import GPT
from tercet.models.gpt import choose_token

from ..layers.agreement import close


def small(**options: Any) -> GPT:
    sizes = {"vocabulary": 11, "context": 8, "width": 8, "layers": 2, "heads": 2, "dropout": 0.0}
    return GPT(**(sizes | options))


def opinionated(**options: Any) -> GPT:
    """A model whose logits differ."""
    model = small(**options)
    for p in model.parameters():
        p.replace(3.0 * p.numpy() + (0.1 if p.ndim == 1 else 0.0))
    return model


def torch_loss(model: GPT, tokens: np.ndarray, targets: np.ndarray) -> tuple[Any, Any, Any]:
    """Logits, loss and weights by name of the same model in PyTorch's own ops."""
    import torch
    import torch.nn.functional as F

    w = {
        name: torch.tensor(v, dtype=torch.float64, requires_grad=True)
        for name, v in model.state_dict().items()
    }
    x = w["wte.weight"][torch.tensor(tokens)] + w["wpe.weight"][: tokens.shape[1]]
    n, length, width = x.shape

    def norm(x: Any, name: str) -> Any:
        return F.layer_norm(x, (width,), w[f"{name}.weight"], w[f"{name}.bias"])

    def dense(x: Any, name: str) -> Any:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    for i in range(len(model.h)):
        joined = dense(norm(x, f"h.{i}.norm1"), f"h.{i}.self_attn.in_proj")
        q, k, v = (
            t.reshape(n, length, 2, width // 2).transpose(1, 2) for t in joined.chunk(3, dim=-1)
        )
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        attended = attended.transpose(1, 2).reshape(n, length, width)
        x = x + dense(attended, f"h.{i}.self_attn.out_proj")
        hidden = dense(norm(x, f"h.{i}.norm2"), f"h.{i}.linear1")
        x = x + dense(F.gelu(hidden, approximate="tanh"), f"h.{i}.linear2")
    logits = norm(x, "ln_f") @ w["wte.weight"].T
    loss = F.cross_entropy(logits.reshape(n * length, -1), torch.tensor(targets).reshape(-1))
    return logits, loss, w


def test_beside_pytorch(backend: Backend, rng: np.random.Generator) -> None:
    pytest.importorskip("torch")
    model = opinionated().double()
    tokens, targets = rng.integers(0, 11, size=(2, 3, 6))
    logits = model(tokens)
    loss = tc.training.losses.CrossEntropyLoss()(logits, targets)
    loss.backward()
    wanted, wanted_loss, weights = torch_loss(model, tokens, targets)
    wanted_loss.backward()
    close(logits, wanted)
    close(loss, wanted_loss)
    for name, p in model.named_parameters():
        close(p.grad, weights[name].grad)


def test_a_place_does_not_see_what_follows(backend: Backend, rng: np.random.Generator) -> None:
    for rotary in (False, True):
        model = opinionated(rotary=rotary).eval()
        tokens = rng.integers(0, 11, size=(1, 8))
        other = tokens.copy()
        other[0, 5] = (other[0, 5] + 1) % 11
        a, b = model(tokens).numpy(), model(other).numpy()
        np.testing.assert_array_equal(a[:, :5], b[:, :5])
        assert (a[:, 5:] != b[:, 5:]).all(axis=-1).all()
        assert (model.wpe is None) == rotary


def test_fit_learns_what_comes_next(backend: Backend) -> None:
    """Counting in turn to 11 has nothing left to guess."""
    tokens = np.arange(2000) % 11
    histories = []
    for capture in (False, True):
        tc.seed(0)
        model = small(width=16, dropout=0.1)
        model.compile(tc.AdamW(lr=1e-2), "cross_entropy")
        loader = tc.data.TextLoader(tokens, 8, batch_size=16)
        history = model.fit(loader, epochs=6, capture=capture, verbose=0, validation_data=loader)
        histories.append(history.history)
        assert history["loss"][0] < np.log(11) + 0.2
        assert history["val_loss"][-1] < 0.1
        assert model.nats(tokens[:40]) < 0.1
        follows = model.generate([3], 20, temperature=0.0)
        assert follows.tolist() == [(4 + i) % 11 for i in range(20)]
    assert histories[0] == histories[1]


def test_labels_outside_the_vocabulary(backend: Backend) -> None:
    model = small()
    model.compile(tc.SGD(lr=0.0), "cross_entropy")
    x = np.zeros((24, 4), np.int64)
    y = x.copy()
    y[20, 1] = 11
    with pytest.raises(DataError, match="label 11 at row"):
        model.fit(x, y, epochs=1, batch_size=4, verbose=0, shuffle=False)


def without_a_cache(model: GPT, prompt: list[int], count: int, **options: Any) -> list[int]:
    """What `generate` gives, every token read anew."""
    tokens, first = list(prompt), 0
    options = {"temperature": 1.0, "top_k": None, "top_p": None} | options
    seed = options.pop("seed", 0)
    for draw in Generator(seed).uniform((count,)):
        if len(tokens) - first > model.context:
            first = len(tokens) - model.context // 2
        logits = model(np.array([tokens[first:]])).numpy()[0, -1].astype(np.float64)
        tokens.append(choose_token(logits, float(draw), **options))
    return tokens[len(prompt) :]


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.5, "top_k": 4, "seed": 3}])
def test_generating_with_a_cache(backend: Backend, rotary: bool, options: dict[str, Any]) -> None:
    """Beyond the context, too, which is read anew from its last half on."""
    model = opinionated(rotary=rotary, dropout=0.3).double().eval()
    for prompt in ([1], [1, 2, 3], [4, 5, 6, 7, 8, 9, 10, 0]):
        expected = without_a_cache(model, prompt, 24, **options)
        assert len(set(expected)) > 3
        model.train()
        found = model.generate(prompt, 24, **options)
        assert model.training
        model.eval()
        assert found.dtype == np.int64
        assert found.tolist() == expected
    assert model.generate([1], 0).shape == (0,)
    assert model.generate([1], 9, seed=1).tolist() != model.generate([1], 9, seed=2).tolist()


def test_what_generate_refuses() -> None:
    model = small()
    unfit: list[Any] = [[], [[1, 2]], list(range(9))]
    for prompt in unfit:
        with pytest.raises(ShapeError, match=r"the prompt is a list of 1 to 8 tokens"):
            model.generate(prompt, 1)
    unknown: list[list[Any]] = [[1, 11], [-1], [0.5]]
    for prompt in unknown:
        with pytest.raises(DataError, match=rf"integers in \[0, 11\), found {prompt[-1]}"):
            model.generate(prompt, 1)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"temperature": -0.1}, "temperature is a number of at least 0, found -0.1"),
        ({"temperature": float("nan")}, "temperature is a number of at least 0, found nan"),
        ({"top_k": 0}, "top_k is at least 1, found 0"),
        ({"top_p": 0.0}, r"top_p is in \(0, 1\], found 0"),
        ({"top_p": 1.5}, r"top_p is in \(0, 1\], found 1.5"),
    ]
    for options, message in wrong:
        with pytest.raises(OptionError, match=message):
            model.generate([1], 1, **options)
    with pytest.raises(OptionError, match="count is at least 0, found -1"):
        model.generate([1], -1)


def test_drawing_follows_the_distribution() -> None:
    p = np.array([0.1, 0.4, 0.2, 0.3])
    draws = (np.arange(10_000) + 0.5) / 10_000

    def shares(**options: Any) -> np.ndarray:
        found = [choose_token(np.log(p), d, **options) for d in draws]
        return np.bincount(found, minlength=4) / len(draws)

    # Evenly spaced draws leave at most one of them on the wrong side of each border.
    exact: dict[str, Any] = {"rtol": 0, "atol": 2e-4}
    np.testing.assert_allclose(shares(), p, **exact)
    np.testing.assert_allclose(shares(temperature=0.5), p**2 / (p**2).sum(), **exact)
    np.testing.assert_allclose(shares(top_k=2), [0, 4 / 7, 0, 3 / 7], **exact)
    np.testing.assert_allclose(shares(top_p=0.65), [0, 4 / 7, 0, 3 / 7], **exact)
    np.testing.assert_allclose(shares(top_p=0.75), [0, 4 / 9, 2 / 9, 3 / 9], **exact)
    np.testing.assert_allclose(shares(top_p=1e-9), [0, 1, 0, 0], **exact)
    np.testing.assert_allclose(shares(top_k=9, top_p=1.0), p, **exact)
    assert choose_token(np.log(p), 0.99, temperature=0.0) == 1
    assert choose_token(np.array([1e300, 0.0]), 0.5, temperature=1e-9) == 0


@pytest.mark.parametrize("count", [2, 5, 9, 10, 23, 40])
def test_nats_predicts_each_token_once(count: int, rng: np.random.Generator) -> None:
    model = opinionated().eval()
    tokens = rng.integers(0, 11, size=count)
    total, done = 0.0, 1
    length = min(8, count - 1)
    while done < count:
        # The window whose second half begins where nothing is predicted yet.
        first = min(max(done - length // 2 - 1, 0), count - 1 - length) if done > 1 else 0
        logits = model(tokens[None, first : first + length]).numpy()[0].astype(np.float64)
        for i in range(done - 1 - first, length):
            row = logits[i] - logits[i].max()
            total += np.log(np.exp(row).sum()) - row[tokens[first + i + 1]]
        done = first + length + 1
    found = model.nats(tokens, batch_size=3)
    assert found == pytest.approx(total / (count - 1), rel=1e-5)
    with pytest.raises(DataError, match="at least two tokens"):
        model.nats(tokens[:1])


@pytest.mark.parametrize("rotary", [False, True])
def test_saved_and_loaded(backend: Backend, tmp_path: Path, rotary: bool) -> None:
    model = opinionated(rotary=rotary)
    x = np.arange(8)[None]
    model.compile(tc.AdamW(lr=1e-3), "cross_entropy")
    expected = model.predict(x)
    model.save(tmp_path / "m")
    same = tc.load(tmp_path / "m")
    assert isinstance(same, GPT)
    np.testing.assert_array_equal(same.predict(x), expected)
    np.testing.assert_array_equal(same.generate([1], 20), model.generate([1], 20))


def test_wrong_sizes_and_inputs() -> None:
    with pytest.raises(OptionError, match="GPT: layers must be a positive integer, found 0"):
        small(layers=0)
    with pytest.raises(OptionError, match="multiple of num_heads"):
        small(heads=3)
    with pytest.raises(ShapeError, match=r"a length of 1 to 8, its context; found shape \(1, 9\)"):
        small()(np.zeros((1, 9), np.int64))
    with pytest.raises(ShapeError, match=r"takes tokens \(n, length\)"):
        small()(np.zeros(3, np.int64))
    with pytest.raises(DataError, match=r"number 11 at \(0, 1\) is outside \[0, 11\)"):
        small()(np.array([[1, 11]]))

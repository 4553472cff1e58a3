"""Activations, softmax, losses, dense and dropout against PyTorch on random cases."""

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import DataError, OptionError, ShapeError

torch = pytest.importorskip("torch")
F = torch.nn.functional

ACTIVATIONS = {
    "relu": (tc.relu, F.relu),
    "leaky_relu": (lambda x: tc.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2)),
    "elu": (lambda x: tc.elu(x, 1.3), lambda x: F.elu(x, 1.3)),
    "selu": (tc.selu, F.selu),
    "gelu": (tc.gelu, F.gelu),
    "gelu_tanh": (lambda x: tc.gelu(x, "tanh"), lambda x: F.gelu(x, approximate="tanh")),
    "silu": (tc.silu, F.silu),
    "softplus": (tc.softplus, F.softplus),
    "sigmoid": (tc.sigmoid, torch.sigmoid),
    "tanh": (tc.tanh, torch.tanh),
    "hard_sigmoid": (tc.hard_sigmoid, F.hardsigmoid),
    "relu6": (tc.relu6, F.relu6),
    "hard_swish": (tc.hard_swish, F.hardswish),
    "mish": (tc.mish, F.mish),
    "softmax": (tc.softmax, lambda x: F.softmax(x, -1)),
    "softmax of axis 0": (lambda x: tc.softmax(x, 0), lambda x: F.softmax(x, 0)),
    "log_softmax": (tc.log_softmax, lambda x: F.log_softmax(x, -1)),
}
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def both(values: np.ndarray, dtype: str) -> tuple[tc.Tensor, "torch.Tensor"]:
    """The same leaf in both frameworks."""
    ours = tc.tensor(values, dtype=dtype, requires_grad=True)
    theirs = torch.tensor(values, dtype=getattr(torch, dtype), requires_grad=True)
    return ours, theirs


def agree(ours, theirs, dtype: str) -> None:
    """Equal to within the dtype's rounding; softplus is log(1 + e^x) only up to 20 in torch."""
    np.testing.assert_allclose(
        ours.numpy(), theirs.detach().numpy(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(backend: Backend, rng: np.random.Generator, name: str, dtype: str) -> None:
    ours_f, theirs_f = ACTIVATIONS[name]
    for shape in ((7,), (3, 5), (2, 3, 4)):
        x, t = both(rng.normal(size=shape) * 3, dtype)
        out, reference = ours_f(x), theirs_f(t)
        agree(out, reference, dtype)
        weight = rng.normal(size=shape)
        (out * tc.tensor(weight, dtype=dtype)).sum().backward()
        (reference * torch.tensor(weight, dtype=t.dtype)).sum().backward()
        # torch's derivative of hardsigmoid is a float32 1/6 in float64 too; ours passes gradcheck.
        agree(x.grad, t.grad, "float32" if name == "hard_sigmoid" else dtype)


def test_stability_at_ten_thousand(backend: Backend) -> None:
    x = tc.tensor([-1e4, 0.0, 1e4], requires_grad=True)
    assert tc.sigmoid(x).tolist() == [0.0, 0.5, 1.0]
    assert tc.softmax(x).tolist() == [0.0, 0.0, 1.0]
    assert tc.log_softmax(x).tolist() == [-2e4, -1e4, 0.0]
    logits = tc.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = tc.cross_entropy(logits, [1, 1], reduction="none")
    assert loss.tolist() == [2e4, 0.0]
    loss.sum().backward()
    assert logits.grad.tolist() == [[1.0, -1.0], [0.0, 0.0]]
    assert tc.binary_cross_entropy_with_logits(x, [1.0, 0.5, 0.0], reduction="none").tolist()[
        ::2
    ] == [1e4, 1e4]
    probabilities = tc.tensor([0.0, 1.0], requires_grad=True)
    bce = tc.binary_cross_entropy(probabilities, [1.0, 0.0])
    bce.backward()
    assert bce.item() == 100.0
    assert np.isfinite(probabilities.grad.numpy()).all()
    for loss_function in (tc.mse_loss, tc.mae_loss, tc.huber_loss):
        y = tc.tensor([1e4, -1e4], requires_grad=True)
        value = loss_function(y, [-1e4, 1e4])
        value.backward()
        assert np.isfinite(value.item())
        assert np.isfinite(y.grad.numpy()).all()


def options(rng: np.random.Generator, draws: int):
    """Random option sets for the losses."""
    for _ in range(draws):
        yield {
            "reduction": str(rng.choice(["mean", "sum", "none"])),
            "label_smoothing": float(rng.choice([0.0, 0.1, 0.4])),
            "weighted": bool(rng.integers(2)),
            "ignored": bool(rng.integers(2)),
            "n": int(rng.integers(1, 20)),
            "c": int(rng.integers(1, 12)),
        }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy(backend: Backend, rng: np.random.Generator, dtype: str) -> None:
    for o in options(rng, 40):
        n, c = o["n"] + 1, o["c"]
        x, t = both(rng.normal(size=(n, c)) * 2, dtype)
        target = rng.integers(0, c, size=n)
        if o["ignored"]:
            target[0] = -100
        weight = rng.uniform(0.5, 2, size=c) if o["weighted"] else None
        arguments = {"reduction": o["reduction"], "label_smoothing": o["label_smoothing"]}
        loss = tc.cross_entropy(x, target, weight, **arguments)
        tw = None if weight is None else torch.tensor(weight, dtype=t.dtype)
        reference = F.cross_entropy(t, torch.tensor(target), tw, **arguments)
        agree(loss, reference, dtype)
        loss.sum().backward()
        reference.sum().backward()
        agree(x.grad, t.grad, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_of_probabilities(backend: Backend, rng, dtype: str) -> None:
    for o in options(rng, 30):
        n, c = o["n"], o["c"]
        x, t = both(rng.normal(size=(n, c)) * 2, dtype)
        target = rng.dirichlet(np.ones(c), size=n)
        weight = rng.uniform(0.5, 2, size=c) if o["weighted"] else None
        arguments = {"reduction": o["reduction"], "label_smoothing": o["label_smoothing"]}
        loss = tc.cross_entropy(x, target, weight, **arguments)
        tw = None if weight is None else torch.tensor(weight, dtype=t.dtype)
        reference = F.cross_entropy(t, torch.tensor(target, dtype=t.dtype), tw, **arguments)
        agree(loss, reference, dtype)
        loss.sum().backward()
        reference.sum().backward()
        agree(x.grad, t.grad, dtype)


POINTWISE = {
    "mse": (tc.mse_loss, F.mse_loss, {}),
    "mae": (tc.mae_loss, F.l1_loss, {}),
    "huber": (tc.huber_loss, F.huber_loss, {"delta": 0.6}),
    "bce": (tc.binary_cross_entropy, F.binary_cross_entropy, {}),
    "bce_logits": (
        tc.binary_cross_entropy_with_logits,
        F.binary_cross_entropy_with_logits,
        {},
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise_losses(backend: Backend, rng, name: str, dtype: str) -> None:
    ours_f, theirs_f, extra = POINTWISE[name]
    for reduction in ("mean", "sum", "none"):
        for shape in ((5,), (4, 3), (2, 3, 2)):
            values = (
                rng.uniform(0.05, 0.95, size=shape) if name == "bce" else rng.normal(size=shape)
            )
            target = rng.uniform(size=shape)
            x, t = both(values, dtype)
            loss = ours_f(x, target, reduction=reduction, **extra)
            theirs = torch.tensor(target, dtype=t.dtype)
            reference = theirs_f(t, theirs, reduction=reduction, **extra)
            assert loss.shape == tuple(reference.shape)
            agree(loss, reference, dtype)
            loss.sum().backward()
            reference.sum().backward()
            agree(x.grad, t.grad, dtype)


def test_sample_weights_multiply_each_loss(backend: Backend, rng: np.random.Generator) -> None:
    logits, target = tc.tensor(rng.normal(size=(6, 4))), rng.integers(0, 4, size=6)
    weight = rng.uniform(size=6)
    each = tc.cross_entropy(logits, target, reduction="none").numpy()
    weighted = tc.cross_entropy(logits, target, sample_weight=weight)
    assert weighted.item() == pytest.approx((each * weight).mean(), rel=1e-5)
    x, y = tc.tensor(rng.normal(size=(6, 2))), rng.normal(size=(6, 2))
    each = tc.mse_loss(x, y, reduction="none").numpy()
    weighted = tc.mse_loss(x, y, sample_weight=weight)
    assert weighted.item() == pytest.approx((each * weight[:, None]).mean(), rel=1e-5)


def test_distillation_gradient_reaches_both_sides(backend: Backend, rng) -> None:
    for loss in (tc.mse_loss, tc.mae_loss, tc.huber_loss):
        a = tc.tensor(rng.normal(size=(3, 2)), dtype="float64", requires_grad=True)
        b = tc.tensor(rng.normal(size=(3, 2)), dtype="float64", requires_grad=True)
        assert tc.gradcheck(lambda a, b, loss=loss: loss(a, b), (a, b))


@pytest.mark.parametrize(
    "activation", ["identity", *(k for k in ACTIVATIONS if "softmax" not in k)]
)
def test_dense_is_one_node_and_right(backend: Backend, rng, activation: str) -> None:
    x, w, b = (
        tc.tensor(rng.normal(size=s), dtype="float64", requires_grad=True)
        for s in ((2, 4, 3), (3, 5), (5,))
    )
    assert tc.gradcheck(lambda x, w, b: tc.dense(x, w, b, activation), (x, w, b))
    assert tc.gradcheck(lambda x, w: tc.dense(x, w, None, activation), (x, w))
    rows = x.reshape(8, 3).detach()
    out = tc.dense(rows, w, b, activation)
    assert out.node is not None
    assert out.node.parents == (rows, w, b)


def test_dropout(backend: Backend) -> None:
    x = tc.ones(1000, 10).requires_grad_()
    out = tc.dropout(x, 0.3)
    kept = out.numpy() > 0
    # 10,000 draws: three standard deviations of the share kept are 0.014.
    assert abs(kept.mean() - 0.7) < 0.014
    np.testing.assert_allclose(out.numpy()[kept], 1 / 0.7, rtol=1e-6)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), out.numpy())
    assert (tc.dropout(x, 0.3).numpy() != out.numpy()).any()
    assert tc.dropout(x, 0.3, training=False) is x
    tc.seed(0)
    with tc.use_backend("numpy"):
        same = tc.dropout(tc.ones(1000, 10), 0.3).numpy()
    np.testing.assert_array_equal(same, out.numpy())


def test_gradient_of_dropout_survives_a_change_of_seed(backend: Backend) -> None:
    x = tc.ones(100).requires_grad_()
    out = tc.dropout(x, 0.5)
    tc.seed(99)
    backend.random.advance()
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), out.numpy())


def test_penalty(backend: Backend, rng: np.random.Generator) -> None:
    w = tc.tensor(rng.normal(size=(4, 3)), dtype="float64", requires_grad=True)
    expected = 0.3 * np.abs(w.numpy()).sum() + 0.2 * (w.numpy() ** 2).sum()
    assert tc.penalty(w, 0.3, 0.2).item() == pytest.approx(expected)
    assert tc.gradcheck(lambda w: tc.penalty(w, 0.3, 0.2), w)


def test_errors_say_what_to_do(backend: Backend) -> None:
    logits = tc.zeros(2, 3)
    with pytest.raises(DataError, match=r"label 3 at row 1 is outside \[0, 3\)"):
        tc.cross_entropy(logits, [0, 3])
    with pytest.raises(ShapeError, match=r"expected integer class indices of shape \(2,\)"):
        tc.cross_entropy(logits, [0, 1, 2])
    with pytest.raises(ShapeError, match=r"expected logits \(n, classes\), found \(3,\)"):
        tc.cross_entropy(tc.zeros(3), 1)
    with pytest.raises(OptionError, match="unknown reduction"):
        tc.cross_entropy(logits, [0, 1], reduction="avg")
    with pytest.raises(OptionError, match="label_smoothing must be in"):
        tc.cross_entropy(logits, [0, 1], label_smoothing=2.0)
    with pytest.raises(ShapeError, match=r"expected weight of shape \(3,\)"):
        tc.cross_entropy(logits, [0, 1], weight=[1.0])
    with pytest.raises(ShapeError, match=r"differ\. Give the target the prediction's shape"):
        tc.mse_loss(tc.zeros(3, 1), np.zeros(3))
    with pytest.raises(DataError, match=r"must lie in \[0, 1\]"):
        tc.binary_cross_entropy_with_logits(tc.zeros(2), [0.0, 2.0])
    with pytest.raises(OptionError, match="Did you mean 'relu'"):
        tc.dense(tc.zeros(1, 2), tc.zeros(2, 2), activation="relo")
    with pytest.raises(OptionError, match="alpha must not be negative"):
        tc.leaky_relu(logits, -0.1)
    with pytest.raises(ShapeError, match=r"found x \(2, 3\) and weight \(4, 5\)"):
        tc.dense(logits, tc.zeros(4, 5))
    with pytest.raises(OptionError, match=r"p must be in \[0, 1\)"):
        tc.dropout(logits, 1.0)
    with pytest.raises(ShapeError, match="must agree on the other axes"):
        tc.concatenate([tc.zeros(2, 3), tc.zeros(2, 4)])

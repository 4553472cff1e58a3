"""scaled_dot_product_attention against PyTorch, its dropout, its masks, its memory."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.autograd.functional.attention import attend, attend_fused
from tercet.backends import Backend
from tercet.errors import DTypeError, GradientError, OptionError, ShapeError


def drawn(rng: np.random.Generator, trial: int) -> tuple[list[np.ndarray], dict[str, Any]]:
    """q, k, v and options, over all that PyTorch's function takes but dropout."""
    batch, groups, share, queries, keys, width, other = (int(n) for n in rng.integers(1, 9, 7))
    grouped = bool(rng.integers(2))
    heads = groups * share if grouped else groups
    leading = ((batch,), (), (2, batch))[trial % 3]
    q, k, v = (
        rng.normal(size=(*leading, h, *sizes))
        for h, sizes in (
            (heads, (queries, width)),
            (groups, (keys, width)),
            (groups, (keys, other)),
        )
    )
    options: dict[str, Any] = {"enable_gqa": grouped}
    kind = trial // 3 % 5
    if kind == 0:
        options["is_causal"] = True
    elif kind == 1:
        options["attn_mask"] = rng.random((queries, keys)) < 0.7
    elif kind == 2:
        options["attn_mask"] = rng.normal(size=(*leading, 1, queries, keys))
    elif kind == 3:
        options["attn_mask"] = rng.random((*leading, heads, 1, keys)) < 0.7
    if rng.integers(2):
        options["scale"] = float(rng.uniform(0.1, 2))
    return [q, k, v], options


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_agrees_with_pytorch(backend: Backend, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    # At most eight keys and eight numbers a product: some thirty roundings in a row.
    tolerance = 1e-9 if dtype == "float64" else 5e-5
    for trial in range(60):
        arrays, options = drawn(rng, trial)
        mine = [tc.tensor(x, dtype=dtype, requires_grad=True) for x in arrays]
        kind = getattr(torch, dtype)
        theirs = [torch.tensor(x, dtype=kind, requires_grad=True) for x in arrays]
        mask = options.get("attn_mask")
        there = options if mask is None else options | {"attn_mask": torch.tensor(mask)}
        if mask is not None and mask.dtype != bool:
            there["attn_mask"] = there["attn_mask"].to(kind)
        out = tc.scaled_dot_product_attention(*mine, **options)
        expected = torch.nn.functional.scaled_dot_product_attention(*theirs, **there)
        gradient = rng.normal(size=out.shape)
        out.backward(gradient)
        expected.backward(torch.tensor(gradient, dtype=kind))
        pairs = [(out, expected), *((a.grad, b.grad) for a, b in zip(mine, theirs, strict=True))]
        for ours, other in pairs:
            other = other.detach().numpy()
            scale = max(1.0, float(np.abs(other).max()))
            np.testing.assert_allclose(
                ours.numpy(), other, rtol=tolerance, atol=tolerance * scale, err_msg=str(options)
            )


def test_a_fused_product_is_its_parts(backend: Backend) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, 5, 6, 4))
    whole, apart = (tc.tensor(values, dtype="float64", requires_grad=True) for _ in range(2))
    parts = (apart[:, :, low:high].swapaxes(1, 2) for low, high in ((0, 4), (4, 5), (5, 6)))
    out = attend_fused(whole, 1, causal=True)
    expected = tc.scaled_dot_product_attention(*parts, is_causal=True, enable_gqa=True)
    np.testing.assert_array_equal(out.numpy(), expected.numpy())
    gradient = rng.normal(size=out.shape)
    out.backward(gradient)
    expected.backward(gradient)
    np.testing.assert_allclose(whole.grad.numpy(), apart.grad.numpy(), rtol=1e-13, atol=1e-13)


def test_dropout_keeps_the_mean_and_is_the_same_on_every_backend(backend: Backend) -> None:
    rng = np.random.default_rng(2)
    q, k, v = (rng.normal(size=(2, 3, 50, 8)) for _ in range(3))
    tc.seed(5)
    x, y = (tc.tensor(t, requires_grad=True) for t in (q, v))
    out = tc.scaled_dot_product_attention(x, k, y, dropout_p=0.4)
    out.sum().backward()
    with tc.use_backend("numpy"):
        tc.seed(5)
        u, w = (tc.tensor(t, requires_grad=True) for t in (q, v))
        expected = tc.scaled_dot_product_attention(u, k, w, dropout_p=0.4)
        expected.sum().backward()
    for ours, other in ((out, expected), (x.grad, u.grad), (y.grad, w.grad)):
        np.testing.assert_allclose(ours.numpy(), other.numpy(), rtol=1e-4, atol=1e-4)
    # The weights of values that are all one: each row sums up those that are kept.
    kept = tc.scaled_dot_product_attention(q, k, np.ones((2, 3, 50, 1)), dropout_p=0.4).numpy()
    # Of 300 rows' sums, whose variance is at most p / (1 - p) times the sum of squared weights.
    assert abs(kept.mean() - 1) < 4 * (0.4 / 0.6 * 1.0 / 300) ** 0.5
    assert kept.std() > 0


def test_gradients_with_dropout(backend: Backend) -> None:
    rng = np.random.default_rng(3)
    q, k, v = (
        tc.tensor(rng.normal(size=(2, 2, 5, 4)), dtype="float64", requires_grad=True)
        for _ in range(3)
    )
    lengths = tc.tensor(np.array([4, 0]))

    def function(q: tc.Tensor, k: tc.Tensor, v: tc.Tensor) -> tc.Tensor:
        tc.seed(1)
        return attend(q, k, v, lengths=lengths, causal=True, p=0.3)

    assert tc.gradcheck(function, (q, k, v))


@pytest.mark.parametrize(("queries", "keys"), [(0, 3), (3, 0), (1, 1), (0, 0)])
def test_few_or_no_rows(backend: Backend, queries: int, keys: int) -> None:
    rng = np.random.default_rng(4)
    q, k, v = (
        tc.tensor(rng.normal(size=(2, 2, n, 4)), requires_grad=True) for n in (queries, keys, keys)
    )
    out = tc.scaled_dot_product_attention(q, k, v, is_causal=True)
    expected = np.zeros((2, 2, queries, 4)) if not keys else np.repeat(v.numpy(), queries, axis=2)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-6)
    out.sum().backward()
    for t in (q, k, v):
        assert np.isfinite(t.grad.numpy()).all()


def test_no_array_of_queries_by_keys_is_made() -> None:
    pytest.importorskip("numba")
    length = 4096

    def step(x: tc.Tensor) -> None:
        tc.scaled_dot_product_attention(x, x, x, is_causal=True).sum().backward()

    with tc.use_backend("numba"):
        step(tc.tensor(np.ones((1, 1, 8, 16)), requires_grad=True))  # compiles
        x = tc.tensor(np.ones((1, 1, length, 16)), requires_grad=True)
        tracemalloc.start()
        step(x)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # Forward and backward hold a dozen arrays of the size of x, and scratch: not one byte a pair.
    assert 4 * x.size < most < length * length / 2


def test_wrong_arguments_are_named(backend: Backend) -> None:
    x = np.zeros((2, 4, 3, 8), np.float32)
    f = tc.scaled_dot_product_attention
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: f(x, x[0], x[0]), ShapeError, "as many axes"),
        (lambda: f(x, x[..., :7], x), ShapeError, "equal widths of query and key"),
        (lambda: f(x, x[:, :, :2], x), ShapeError, "equal lengths of key and value"),
        (lambda: f(x, x[:1], x[:1]), ShapeError, "equal leading axes"),
        (lambda: f(x, x[:, :2], x[:, :2]), ShapeError, "4 query heads and 2 .*enable_gqa=True"),
        (lambda: f(x, x[:, :3], x[:, :3], enable_gqa=True), ShapeError, "4, must be a multiple"),
        (lambda: f(x, x, tc.tensor(x, dtype="float64")), DTypeError, "value float64"),
        (lambda: f(x, x, x, dropout_p=1.5), OptionError, r"dropout must be in \[0, 1\)"),
        (lambda: f(x, x, x, np.ones((3, 3), bool), is_causal=True), OptionError, "excludes"),
        (lambda: f(x, x, x, np.ones((3, 3), int)), DTypeError, "boolean, or floating"),
        (lambda: f(x, x, x, np.ones((2, 3), bool)), ShapeError, r"\(2, 3\) does not broadcast"),
        (
            lambda: f(x, x, x, tc.tensor(np.ones((3, 3)), requires_grad=True)),
            GradientError,
            "gets no gradient",
        ),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()

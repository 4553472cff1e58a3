"""Tensor: arithmetic, reductions, shapes and indexing against NumPy; gradients by gradcheck."""

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import BackendError, DTypeError, GradientError, OptionError, ShapeError

UNARY = [
    "exp",
    "log",
    "log1p",
    "expm1",
    "sqrt",
    "square",
    "reciprocal",
    "abs",
    "sign",
    "sin",
    "cos",
]
BINARY = ["__add__", "__sub__", "__mul__", "__truediv__", "__pow__", "maximum", "minimum"]
SHAPES = [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 5)), ((2, 3, 4), (3, 1)), ((), (2, 2))]


def leaf(rng: np.random.Generator, *shape: int, positive: bool = False) -> tc.Tensor:
    values = rng.normal(size=shape)
    values = np.abs(values) + 0.5 if positive else values
    return tc.tensor(values, dtype="float64", requires_grad=True)


@pytest.mark.parametrize("name", UNARY)
def test_unary(backend: Backend, rng: np.random.Generator, name: str) -> None:
    x = leaf(rng, 3, 4, positive=True)
    expected = getattr(np, {"abs": "absolute"}.get(name, name))(x.numpy())
    np.testing.assert_allclose(getattr(x, name)().numpy(), expected, rtol=1e-14)
    assert tc.gradcheck(lambda x: getattr(x, name)(), x)


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary_broadcasts(backend: Backend, rng: np.random.Generator, name: str, shapes) -> None:
    a, b = (leaf(rng, *s, positive=True) for s in shapes)
    numpy_name = name if name.startswith("__") else None
    if numpy_name:
        expected = getattr(a.numpy(), name)(b.numpy())
    else:
        expected = getattr(np, name)(a.numpy(), b.numpy())
    np.testing.assert_allclose(getattr(a, name)(b).numpy(), expected, rtol=1e-14)
    assert tc.gradcheck(lambda a, b: getattr(a, name)(b), (a, b))


def test_scalars_and_arrays_join_in_the_tensors_dtype(backend: Backend) -> None:
    x = tc.tensor([1.0, 2.0])
    assert (2 * x + 1).dtype == np.float32
    assert (1 - x).tolist() == [0.0, -1.0]
    assert (1 / x).tolist() == [1.0, 0.5]
    assert (2**x).tolist() == [2.0, 4.0]
    assert (np.array([1.0, 1.0]) + x).tolist() == [2.0, 3.0]
    assert isinstance(np.array([1.0, 1.0]) * x, tc.Tensor)
    counts = tc.tensor([1, 2])
    assert (counts + 1).dtype == np.int64
    assert (counts * 0.5).tolist() == [0.5, 1.0]
    assert (counts / 2).dtype == np.float32
    assert (-counts).tolist() == [-1, -2]


def test_comparisons_and_counting(backend: Backend) -> None:
    x = tc.tensor([[1.0, 5.0], [4.0, 2.0]])
    labels = tc.tensor([1, 1])
    assert (x > 2).tolist() == [[False, True], [True, False]]
    assert (x.argmax(axis=1) == labels).tolist() == [True, False]
    assert (x.argmax(axis=1) == labels).mean().item() == 0.5
    assert (x.argmax(axis=1) == labels).sum().item() == 1
    assert x.argmax().item() == 1
    assert x.argmin(axis=0).tolist() == [0, 1]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min", "var", "std"])
def test_reductions(backend: Backend, rng: np.random.Generator, kind: str, axis, keepdims) -> None:
    x = leaf(rng, 3, 4, 5)
    expected = getattr(x.numpy(), kind)(axis=axis, keepdims=keepdims)
    got = getattr(x, kind)(axis, keepdims)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)
    assert tc.gradcheck(lambda x: getattr(x, kind)(axis, keepdims), x)


SHAPE_CHANGES = {
    "reshape": lambda x: x.reshape(4, -1),
    "reshape of a transpose": lambda x: x.T.reshape(2, 30),
    "transpose": lambda x: x.transpose(2, 0, 1),
    "swapaxes": lambda x: x.swapaxes(0, 2),
    "expand_dims": lambda x: x.expand_dims(-1),
    "flatten": lambda x: x.flatten(1),
    "broadcast_to": lambda x: x[:, :1].broadcast_to(3, 4, 5),
    "index": lambda x: x[1],
    "slices": lambda x: x[::2, 1:, -1],
    "negative step": lambda x: x[..., ::-1],
    "new axis": lambda x: x[:, None, 0],
    "rows": lambda x: x[[2, 0, 0]],
    "pairs": lambda x: x[np.array([0, 2]), np.array([1, -1])],
    "mask": lambda x: x[np.array([True, False, True])],
    "concatenate": lambda x: tc.concatenate([x, x * 2], axis=1),
    "stack": lambda x: tc.stack([x, x], axis=1),
    "split": lambda x: tc.split(x, 3, axis=1)[1],
    "clip": lambda x: x.clip(-0.5, 0.5),
    "where": lambda x: tc.where(x > 0, x, x * 3),
    "clone": lambda x: x.clone(),
    "chain": lambda x: (x.T @ x.transpose(2, 0, 1)).sum(0),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPE_CHANGES)
def test_shapes_and_indexing(backend: Backend, rng: np.random.Generator, name: str) -> None:
    x = leaf(rng, 3, 4, 5)
    if name == "chain":
        x = leaf(rng, 3, 3, 3)
    assert tc.gradcheck(SHAPE_CHANGES[name], x)


def test_indexing_agrees_with_numpy(backend: Backend, rng: np.random.Generator) -> None:
    x = leaf(rng, 3, 4, 5)
    host = x.numpy()
    for key in (1, -1, slice(1, None), (slice(None), 2), (Ellipsis, 0), [0, 2], (None, 1)):
        np.testing.assert_array_equal(x[key].numpy(), host[key])
    rows, columns = np.array([[0, 1], [2, 2]]), np.array([[3, 0], [1, -1]])
    np.testing.assert_array_equal(x[rows, columns].numpy(), host[rows, columns])
    mask = host[:, 0, 0] > 0
    np.testing.assert_array_equal(x[mask].numpy(), host[mask])


@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 4), (4, 5)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((2, 3, 4), (4, 5)),
     ((2, 1, 3, 4), (5, 4, 2)), ((2, 3, 4), (2, 4, 3))],
)  # fmt: skip
def test_matmul(backend: Backend, rng: np.random.Generator, a, b) -> None:
    x, y = leaf(rng, *a), leaf(rng, *b)
    np.testing.assert_allclose((x @ y).numpy(), x.numpy() @ y.numpy(), rtol=1e-12)
    assert tc.gradcheck(lambda x, y: x @ y, (x, y))


def test_gradients_add_up_until_zero_grad(backend: Backend) -> None:
    w = tc.tensor([2.0], requires_grad=True)
    (w * 3).sum().backward()
    (w * 3).sum().backward()
    assert w.grad.tolist() == [6.0]
    w.zero_grad()
    assert w.grad is None
    (w * w).sum().backward()
    assert w.grad.tolist() == [4.0]


def test_a_leaf_used_twice_gets_both_contributions(backend: Backend, rng) -> None:
    w = leaf(rng, 3, 3)
    assert tc.gradcheck(lambda w: w @ w + w, w)
    assert tc.gradcheck(lambda w: tc.dense(w, w, activation="tanh"), w)


def test_gradients_of_two_leaves_are_two_arrays(backend: Backend) -> None:
    a, b = (tc.tensor([1.0], requires_grad=True) for _ in range(2))
    (a + b).sum().backward()
    backend.ops.accumulate(a.grad_buffer(), b.grad_buffer())
    assert (a.grad.item(), b.grad.item()) == (2.0, 1.0)


def test_no_grad_and_detach(backend: Backend) -> None:
    w = tc.tensor([1.0], requires_grad=True)
    with tc.no_grad():
        assert not (w * 2).requires_grad
        with tc.no_grad():
            pass
        assert not (w * 2).requires_grad
    assert (w * 2).requires_grad
    assert not (w.detach() * 2).requires_grad

    @tc.no_grad()
    def double(x: tc.Tensor) -> tc.Tensor:
        return x * 2

    assert not double(w).requires_grad


def test_backward_errors(backend: Backend) -> None:
    w = tc.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match="needs a scalar, found shape"):
        (w * 2).backward()
    with pytest.raises(GradientError, match="does not require a gradient"):
        tc.tensor([1.0]).backward()
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert w.grad.tolist() == [4.0, 8.0]
    with pytest.raises(GradientError, match="retain_graph=True"):
        loss.backward()
    with pytest.raises(ShapeError, match="expected the tensor's shape"):
        (w * 2).backward(np.ones(3))
    with pytest.raises(GradientError, match="not written in place"):
        w[0] = 1.0
    with pytest.raises(DTypeError, match="only floating tensors"):
        tc.tensor([1]).requires_grad_()


def test_wrong_shapes_and_arguments(backend: Backend) -> None:
    x = tc.zeros(3, 4)
    with pytest.raises(ShapeError, match=r"\(3, 4\) and \(3,\) do not broadcast"):
        x + tc.zeros(3)
    with pytest.raises(ShapeError, match="the last axis of the first, 4, must equal 3"):
        x @ x
    with pytest.raises(ShapeError, match=r"has 12 elements, \(5, -1\) does not fit"):
        x.reshape(5, -1)
    with pytest.raises(ShapeError, match="axis 2 does not fit a tensor of 2 dimensions"):
        x.sum(axis=2)
    with pytest.raises(ShapeError, match="index 7 does not fit"):
        x[7]
    with pytest.raises(ShapeError, match="index out of range on axis 0"):
        x[[0, 3]]
    with pytest.raises(OptionError, match="Mix the two in two steps"):
        x[[0, 1], 1:3]
    with pytest.raises(ShapeError, match="no value"):
        tc.zeros(0, 3).max(axis=0)
    with pytest.raises(DTypeError, match="numbers or booleans"):
        tc.tensor(["a"])
    with pytest.raises(DTypeError, match="float32 and float64 meet"):
        tc.zeros(2) + tc.zeros(2, dtype="float64")


def test_arrays_of_two_backends_do_not_meet(rng: np.random.Generator) -> None:
    a = tc.tensor([1.0], backend="numpy")
    b = tc.tensor([1.0], backend="numba")
    with pytest.raises(BackendError, match=r"numpy and numba.*\.to\("):
        a + b
    assert (a + b.to("numpy")).tolist() == [2.0]


def test_dlpack_shares_memory(backend: Backend) -> None:
    x = tc.tensor([1.0, 2.0])
    y = tc.from_dlpack(x, backend.name)
    backend.ops.accumulate(x.data, x.data.copy())
    assert y.tolist() == [2.0, 4.0]
    torch = pytest.importorskip("torch")
    if backend.name != "cupy":
        assert torch.from_dlpack(x).tolist() == [2.0, 4.0]
        assert tc.from_dlpack(torch.arange(3), backend.name).tolist() == [0, 1, 2]


def test_default_dtype(backend: Backend) -> None:
    assert tc.tensor(np.zeros(2)).dtype == np.float32
    tc.set_default_dtype("float64")
    try:
        assert tc.tensor([1.0]).dtype == np.float64
        assert tc.zeros(2).dtype == np.float64
        assert tc.layers.Dense(2, 2)(np.zeros((1, 2))).dtype == np.float64
    finally:
        tc.set_default_dtype("float32")
    with pytest.raises(DTypeError, match="float32 or float64"):
        tc.set_default_dtype("float16")


def test_gradcheck_finds_a_wrong_gradient(backend: Backend) -> None:
    class Wrong(tc.autograd.Function):
        @staticmethod
        def forward(node, x):
            node.save(x)
            return node.ops.unary_forward(x, kind="square")

        @staticmethod
        def backward(node, dout):
            return (node.ops.binary_forward(dout, node.saved[0], kind="multiply"),)

    x = tc.tensor([1.0, 2.0], dtype="float64", requires_grad=True)
    with pytest.raises(GradientError, match="by central differences"):
        tc.gradcheck(lambda x: tc.autograd.apply(Wrong, x), x)
    with pytest.raises(DTypeError, match="needs float64"):
        tc.gradcheck(lambda x: x * 2, tc.tensor([1.0], requires_grad=True))


def test_memory_of_dropped_tensors_is_used_again() -> None:
    with tc.use_backend("numpy") as backend:
        x = tc.zeros(512, 512)
        y = x
        for turn in range(6):
            y = (x + y) * 2
            if turn == 1:
                held = backend.pool.held
        assert backend.pool.held == held
        assert backend.pool.in_use <= held


def test_rand_is_the_same_on_every_backend(backend: Backend) -> None:
    first = tc.rand(5, 3).numpy()
    tc.seed(0)
    with tc.use_backend("numpy"):
        np.testing.assert_array_equal(tc.rand(5, 3).numpy(), first)
    assert first.min() >= 0
    assert first.max() < 1

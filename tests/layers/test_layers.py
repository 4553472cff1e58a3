"""Module and the layers: contents, modes, state, moving; Dense against PyTorch."""

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import CheckpointError, OptionError, ShapeError
from tercet.layers import Dense, Dropout, Flatten, Linear, Module, Standardize


class Net(Module):
    """A branch, a shared layer, a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Dense(4, 6, activation="relu")
        self.shared = Dense(6, 6, activation="tanh")
        self.last = Dense(6, 2)
        self.scale = tc.Parameter([2.0])
        self.register_buffer("offset", tc.tensor([0.5]))

    def forward(self, x: tc.Tensor) -> tc.Tensor:
        h = self.first(x)
        h = self.shared(self.shared(h))
        return self.last(h) * self.scale + self.offset if h.shape[0] > 1 else self.last(h)


def test_parameters_in_the_order_of_attributes(backend: Backend) -> None:
    names = [n for n, _ in Net().named_parameters()]
    assert names == ["scale", "first.weight", "first.bias", "shared.weight", "shared.bias",
                     "last.weight", "last.bias"]  # fmt: skip
    assert Net().num_parameters() == 1 + 30 + 42 + 14
    assert [n for n, _ in Net().named_buffers()] == ["offset"]


def test_custom_module_trains(backend: Backend, rng: np.random.Generator) -> None:
    net = Net()
    x, y = rng.normal(size=(16, 4)), rng.integers(0, 2, size=16)
    optimizer = tc.Adam(net.parameters(), lr=0.01)
    history = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = tc.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.3 * history[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dense_agrees_with_pytorch(backend: Backend, rng, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    for _ in range(10):
        n, k, m = (int(v) for v in rng.integers(1, 40, size=3))
        layer = Dense(k, m, activation="gelu", dtype=dtype)
        theirs = torch.nn.Linear(k, m, dtype=getattr(torch, dtype))
        with torch.no_grad():
            theirs.weight.copy_(torch.tensor(layer.weight.numpy().T))
            theirs.bias.copy_(torch.tensor(layer.bias.numpy()))
        values = rng.normal(size=(n, k))
        x = tc.tensor(values, dtype=dtype, requires_grad=True)
        t = torch.tensor(values, dtype=getattr(torch, dtype), requires_grad=True)
        out, reference = layer(x), torch.nn.functional.gelu(theirs(t))
        out.sum().backward()
        reference.sum().backward()
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        for ours, other in (
            (out.numpy(), reference.detach().numpy()),
            (x.grad.numpy(), t.grad.numpy()),
            (layer.weight.grad.numpy(), theirs.weight.grad.numpy().T),
            (layer.bias.grad.numpy(), theirs.bias.grad.numpy()),
        ):
            np.testing.assert_allclose(ours, other, rtol=tolerance, atol=tolerance * 10)


def test_dense_takes_its_input_size_from_its_first_input(backend: Backend) -> None:
    layer = Dense(5)
    assert not layer.built
    with pytest.raises(ShapeError, match="no parameters yet, since its input size is unknown"):
        list(layer.parameters())
    assert layer(np.zeros((2, 3))).shape == (2, 5)
    assert layer.weight.shape == (3, 5)
    with pytest.raises(ShapeError, match=r"takes inputs \(..., 3\), found shape \(2, 4\)"):
        layer(np.zeros((2, 4)))
    assert Linear(in_features=3, out_features=2).weight.shape == (3, 2)
    assert Dense(3, 2, bias=False).bias is None
    assert Dense(3, 2)(np.zeros((4, 5, 3))).shape == (4, 5, 2)
    assert Dense(3, 2)(np.zeros((0, 3))).shape == (0, 2)


def test_dense_with_softmax(backend: Backend, rng: np.random.Generator) -> None:
    out = Dense(4, 3, activation="softmax")(rng.normal(size=(5, 4)))
    np.testing.assert_allclose(out.numpy().sum(axis=1), 1.0, rtol=1e-6)


def test_the_same_seed_gives_the_same_bits_on_every_backend(backend: Backend) -> None:
    tc.seed(3)
    here = tc.models.MLP(10).build((64,)).state_dict()
    tc.seed(3)
    with tc.use_backend("numpy"):
        there = tc.models.MLP(10).build((64,)).state_dict()
    assert here.keys() == there.keys()
    for name in here:
        np.testing.assert_array_equal(here[name], there[name])
    tc.seed(4)
    other = tc.models.MLP(10).build((64,)).state_dict()
    assert any((other[k] != here[k]).any() for k in here)


def test_modes(backend: Backend) -> None:
    net = tc.models.Sequential(Dense(3, 3), Dropout(0.5))
    x = np.ones((50, 3))
    net.eval()
    np.testing.assert_array_equal(net(x).numpy(), net(x).numpy())
    net.train()
    assert (net(x).numpy() != net(x).numpy()).any()
    assert [m.training for m in net.eval().modules()] == [False] * 3


def test_state_dict_goes_around_and_names_what_differs(backend: Backend) -> None:
    a, b = Net(), Net()
    b.load_state_dict(a.state_dict())
    for key, value in a.state_dict().items():
        np.testing.assert_array_equal(b.state_dict()[key], value)
    state = a.state_dict()
    state["first.weight"] = np.zeros((9, 9))
    del state["last.bias"]
    state["extra"] = np.zeros(3)
    before = b.state_dict()
    with pytest.raises(CheckpointError) as error:
        b.load_state_dict(state)
    for part in ("missing     last.bias (2,)", "unexpected  extra (3,)",
                 "first.weight: expected (4, 6), found (9, 9)", "strict=False"):  # fmt: skip
        assert part in str(error.value)
    for key, value in before.items():
        np.testing.assert_array_equal(b.state_dict()[key], value)
    del state["first.weight"]
    state["scale"] = np.array([7.0])
    b.load_state_dict(state, strict=False)
    assert b.scale.item() == 7.0


def test_moving_to_another_backend_and_dtype(backend: Backend, rng) -> None:
    net = Net()
    x = rng.normal(size=(4, 4))
    expected = net(x).numpy()
    for name in tc.backends.usable():
        assert net.to(name).backend.name == name
        assert net.offset.backend.name == name
        np.testing.assert_allclose(net(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert net.double()(x).dtype == np.float64
    assert net.float()(x).dtype == np.float32
    lazy = tc.models.Sequential(Dense(4)).to("numpy", "float64")
    assert lazy(np.zeros((1, 2))).dtype == np.float64


def test_training_goes_on_after_a_move(backend: Backend, rng) -> None:
    net = Net()
    optimizer = tc.Adam(net.parameters(), lr=0.01)
    x, y = rng.normal(size=(16, 4)), rng.integers(0, 2, size=16)
    seen = []
    for name in ("numpy", backend.name, "numpy"):
        net.to(name)
        for _ in range(15):
            optimizer.zero_grad()
            loss = tc.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
        seen.append(loss.item())
    assert seen[2] < seen[1] < seen[0]


def test_standardize(backend: Backend, rng: np.random.Generator) -> None:
    mean, scale = rng.normal(size=3), rng.uniform(1, 2, size=3)
    there, back = Standardize(mean, scale), Standardize(mean, scale, inverse=True)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(there(x).numpy(), (x - mean) / scale, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back(there(x)).numpy(), x, rtol=1e-5, atol=1e-6)
    with pytest.raises(ShapeError, match=r"takes inputs \(n, 3\), found shape \(5, 4\)"):
        there(np.zeros((5, 4)))
    with pytest.raises(ShapeError, match="differ in shape"):
        Standardize([1.0], [1.0, 2.0])


def test_flatten(backend: Backend) -> None:
    assert Flatten()(np.zeros((2, 3, 4))).shape == (2, 12)
    assert Flatten()(np.zeros((0, 3, 4))).shape == (0, 12)


def test_hooks(backend: Backend) -> None:
    seen = []
    net = Net()
    remove = net.first.register_forward_hook(lambda module, inputs, out: seen.append(out.shape))
    net(np.zeros((2, 4)))
    remove()
    net(np.zeros((2, 4)))
    assert seen == [(2, 6)]


def test_regularization(backend: Backend) -> None:
    layer = Dense(2, 2, weight_regularizer=tc.L2(0.5), weight_init="ones")
    assert layer.regularization().item() == 2.0
    assert Dense(2, 2).regularization() is None
    with pytest.raises(OptionError, match="must not be negative"):
        tc.L1(-1.0)


def test_wrong_arguments(backend: Backend) -> None:
    with pytest.raises(OptionError, match="Did you mean 'relu'"):
        Dense(3, activation="rellu")
    with pytest.raises(OptionError, match="positive integers"):
        Dense(0)
    with pytest.raises(OptionError, match="positive integers"):
        Dense(3, -1)
    with pytest.raises(OptionError, match="positive integers"):
        Dense()
    with pytest.raises(OptionError, match="given by name"):
        Dense(3, activation=tc.relu)
    with pytest.raises(OptionError, match=r"p must be in \[0, 1\)"):
        Dropout(1.5)

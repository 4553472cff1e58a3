"""Recurrent layers and cells: against PyTorch on random options; lengths, errors, capture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.data import pad_sequences
from tercet.errors import DataError, OptionError, ShapeError
from tercet.layers import GRU, LSTM, RNN, Dense, GRUCell, LSTMCell, RNNCell

torch = pytest.importorskip("torch")

LAYERS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
CELLS = {"RNNCell": RNNCell, "LSTMCell": LSTMCell, "GRUCell": GRUCell}


def tolerance(dtype: str, length: int, hidden: int, layers: int) -> float:
    """1e-9 in float64; in float32 the roundings of what is added on the way to one element."""
    if dtype == "float64":
        return 1e-9
    return float(np.finfo(np.float32).eps) * layers * length * (hidden + 40)


def same_parameters(ours: Any, theirs: Any) -> None:
    """Give the PyTorch module the numbers of ours; weights lie the other way round there."""
    state = ours.state_dict()
    assert set(state) == {name for name, _ in theirs.named_parameters()}
    with torch.no_grad():
        for name, p in theirs.named_parameters():
            p.copy_(torch.tensor(state[name].T))


def draw(rng: np.random.Generator, kind: str) -> dict[str, Any]:
    options = {
        "num_layers": int(rng.integers(1, 4)),
        "bias": bool(rng.integers(2)),
        "batch_first": bool(rng.integers(2)),
        "bidirectional": bool(rng.integers(2)),
    }
    if kind == "RNN":
        options["nonlinearity"] = ("tanh", "relu")[rng.integers(2)]
    return options


def leaves(values: np.ndarray, dtype: str) -> tuple[Any, Any]:
    ours = tc.tensor(values, dtype=dtype, requires_grad=True)
    return ours, torch.tensor(values, dtype=getattr(torch, dtype), requires_grad=True)


def run_theirs(layer: Any, x: Any, state: Any, lengths: Any, batch_first: bool) -> Any:
    if lengths is None:
        return layer(x, state)
    pack = torch.nn.utils.rnn.pack_padded_sequence
    packed = pack(x, torch.tensor(lengths), batch_first=batch_first, enforce_sorted=False)
    out, state = layer(packed, state)
    total = x.shape[1 if batch_first else 0]
    unpack = torch.nn.utils.rnn.pad_packed_sequence
    return unpack(out, batch_first=batch_first, total_length=total)[0], state


def as_pair(state: Any) -> tuple[Any, ...]:
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", LAYERS)
def test_layers_agree_with_pytorch(
    backend: Backend, rng: np.random.Generator, kind: str, dtype: str
) -> None:
    """Outputs, last states, and gradients by input, first states and parameters."""
    for trial in range(8):
        options = draw(rng, kind)
        length, batch, size, hidden = (int(v) for v in rng.integers(1, 12, size=4))
        ours = LAYERS[kind](size, hidden, dtype=dtype, **options)
        theirs = getattr(torch.nn, kind)(size, hidden, dtype=getattr(torch, dtype), **options)
        same_parameters(ours, theirs)
        shape = (batch, length, size) if options["batch_first"] else (length, batch, size)
        if trial == 0:  # without a batch axis
            shape = (length, size)
        x, t = leaves(rng.normal(size=shape), dtype)
        count = options["num_layers"] * (1 + options["bidirectional"])
        middle = () if trial == 0 else (batch,)
        states = [
            leaves(rng.normal(size=(count, *middle, hidden)), dtype)
            for _ in range(2 if kind == "LSTM" else 1)
        ]
        lengths = None if trial % 2 == 0 else rng.integers(1, length + 1, size=batch)
        given: Any = (None, None)
        if trial % 3:
            given = [tuple(s) for s in zip(*states, strict=True)]
            given = given if kind == "LSTM" else (given[0][0], given[1][0])
        out, last = ours(x, given[0], lengths=lengths)
        reference, final = run_theirs(theirs, t, given[1], lengths, options["batch_first"])
        pairs = [(out, reference), *zip(as_pair(last), as_pair(final), strict=True)]
        total, wanted = 0.0, 0.0
        for o, r in pairs:
            weight = rng.normal(size=o.shape)
            total = total + (o * tc.tensor(weight, dtype=dtype)).sum()
            wanted = wanted + (r * torch.tensor(weight, dtype=t.dtype)).sum()
        total.backward()
        wanted.backward()
        bound = tolerance(dtype, length, hidden, options["num_layers"])
        checks = [(o.numpy(), r.detach().numpy()) for o, r in pairs]
        checks.append((x.grad.numpy(), t.grad.numpy()))
        if trial % 3:
            checks += [(s.grad.numpy(), r.grad.numpy()) for s, r in states]
        for name, p in ours.named_parameters():
            checks.append((p.grad.numpy(), dict(theirs.named_parameters())[name].grad.numpy().T))
        for a, b in checks:
            np.testing.assert_allclose(a, b, rtol=bound, atol=bound * max(1, np.abs(b).max()))


@pytest.mark.parametrize("kind", CELLS)
def test_cells_agree_with_pytorch(backend: Backend, rng: np.random.Generator, kind: str) -> None:
    for trial in range(4):
        options: dict[str, Any] = {"bias": bool(trial % 2)}
        if kind == "RNNCell":
            options["nonlinearity"] = ("tanh", "relu")[trial // 2]
        ours = CELLS[kind](3, 5, dtype="float64", **options)
        theirs = getattr(torch.nn, kind)(3, 5, dtype=torch.float64, **options)
        same_parameters(ours, theirs)
        steps = rng.normal(size=(4, 6, 3))
        states: list[Any] = [None, None]
        for x in steps:
            states[0] = ours(tc.tensor(x, dtype="float64"), states[0])
            states[1] = theirs(torch.tensor(x), states[1])
        for o, r in zip(as_pair(states[0]), as_pair(states[1]), strict=True):
            np.testing.assert_allclose(o.numpy(), r.detach().numpy(), rtol=1e-9, atol=1e-12)
        as_pair(states[0])[0].sum().backward()
        as_pair(states[1])[0].sum().backward()
        for name, p in ours.named_parameters():
            want = dict(theirs.named_parameters())[name].grad.numpy().T
            np.testing.assert_allclose(p.grad.numpy(), want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_agree_with_differences(
    backend: Backend, rng: np.random.Generator, kind: str
) -> None:
    layer = LAYERS[kind](3, 4, bidirectional=True, dtype="float64")
    x = tc.tensor(rng.normal(size=(5, 3, 3)), dtype="float64", requires_grad=True)
    assert tc.gradcheck(lambda x: layer(x, lengths=[5, 0, 2])[0], x)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_padded_sequence_is_what_it_is_alone(
    backend: Backend, rng: np.random.Generator, kind: str
) -> None:
    """Whatever the padding holds; a sequence of no steps gives zeros and its first state."""
    layer = LAYERS[kind](3, 4, 2, bidirectional=True)
    sequences = [rng.normal(size=(n, 3)).astype(np.float32) for n in (4, 0, 7, 1)]
    padded, lengths = pad_sequences(sequences, batch_first=False, value=99.0)
    state = rng.normal(size=(4, 4, 4)).astype(np.float32)
    first = (state, -state) if kind == "LSTM" else state
    out, last = layer(padded, first, lengths=lengths)
    for b, sequence in enumerate(sequences):
        alone = state[:, b]
        one, final = layer(sequence, (alone, -alone) if kind == "LSTM" else alone)
        bound = tolerance("float32", 7, 4, 2)
        np.testing.assert_allclose(out.numpy()[: len(sequence), b], one.numpy(), atol=bound)
        assert not out.numpy()[len(sequence) :, b].any()
        for o, r in zip(as_pair(last), as_pair(final), strict=True):
            np.testing.assert_allclose(o.numpy()[:, b], r.numpy(), atol=bound)


def test_an_empty_batch(backend: Backend) -> None:
    out, (h, c) = LSTM(3, 4)(np.zeros((5, 0, 3)), lengths=[])
    assert (out.shape, h.shape, c.shape) == ((5, 0, 4), (1, 0, 4), (1, 0, 4))
    out, h = GRU(3, 4)(np.zeros((0, 2, 3)))
    assert (out.shape, h.numpy().any()) == ((0, 2, 4), np.False_)


def test_what_is_returned(backend: Backend, rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 7, 3))
    for sequences, shape in ((True, (5, 7, 8)), (False, (5, 8))):
        tc.seed(1)
        layer = LSTM(4, bidirectional=True, batch_first=True, return_sequences=sequences)
        assert layer(x).shape == shape
    tc.seed(1)
    out, (h, _) = LSTM(4, bidirectional=True, batch_first=True)(x)
    last = layer(x).numpy()
    np.testing.assert_array_equal(last, np.concatenate([h.numpy()[0], h.numpy()[1]], axis=1))
    np.testing.assert_array_equal(last[:, :4], out.numpy()[:, -1, :4])
    np.testing.assert_array_equal(last[:, 4:], out.numpy()[:, 0, 4:])
    assert layer(x[0]).shape == (7, 8) if layer.return_sequences else (8,)


def test_dropout_is_between_layers_and_in_training_only(backend: Backend) -> None:
    layer = GRU(3, 6, 2, dropout=0.5)
    x = np.ones((4, 2, 3))
    assert (layer(x)[0].numpy() != layer(x)[0].numpy()).any()
    np.testing.assert_array_equal(layer.eval()(x)[0].numpy(), layer(x)[0].numpy())
    single = GRU(3, 6, dropout=0.5)
    np.testing.assert_array_equal(single(x)[0].numpy(), single(x)[0].numpy())


def test_first_weights(backend: Backend) -> None:
    layer = LSTM(100, 25)
    for _, p in layer.named_parameters():
        values = p.numpy()
        assert np.abs(values).max() <= 0.2
        assert abs(values.std() - 0.2 / 3**0.5) < 0.02
    with pytest.raises(ShapeError, match="no parameters yet"):
        list(LSTM(25).parameters())


@pytest.mark.parametrize("kind", LAYERS)
def test_a_model_with_it_trains_and_goes_around(
    backend: Backend, rng: np.random.Generator, tmp_path: Path, kind: str
) -> None:
    """The sign of a sequence's sum is learnt; the saved model predicts the same."""
    layer = LAYERS[kind](16, batch_first=True, return_sequences=False)
    model = tc.models.Sequential(layer, Dense(2))
    model.compile(tc.Adam(lr=0.02), "cross_entropy", ["accuracy"])
    x = rng.normal(size=(128, 6, 2)).astype(np.float32)
    y = (x.sum(axis=(1, 2)) > 0).astype(int)
    model.fit(x, y, epochs=30, verbose=0)
    assert model.evaluate(x, y)["accuracy"] > 0.9
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(tc.load(tmp_path / "m").predict(x), model.predict(x))


def test_options_are_kept_in_a_saved_model(backend: Backend, tmp_path: Path) -> None:
    options = {"num_layers": 2, "bias": False, "bidirectional": True, "return_sequences": True}
    model = tc.models.Sequential(RNN(3, 4, nonlinearity="relu", **options), GRU(5, batch_first=True,
                                 return_sequences=False), Dense(2)).build((6, 3))  # fmt: skip
    model.save(tmp_path / "m")
    loaded = tc.load(tmp_path / "m")
    x = np.ones((4, 6, 3), np.float32)
    np.testing.assert_array_equal(loaded(x).numpy(), model(x).numpy())
    assert repr(loaded) == repr(model)


@pytest.mark.parametrize("kind", LAYERS)
def test_captured_steps_equal_eager_ones(
    backend: Backend, rng: np.random.Generator, kind: str
) -> None:
    """With lengths that change from step to step."""
    if not backend.captures:
        pytest.skip(f"{backend.name} does not capture")
    batches = [
        (
            tc.tensor(rng.normal(size=(9, 5, 3))),
            tc.tensor(rng.integers(0, 10, 5)),
            tc.tensor(rng.integers(0, 2, 5)),
        )
        for _ in range(7)
    ]
    eager, captured = training_step(kind), tc.capture(training_step(kind))
    assert [eager(*b).item() for b in batches] == [captured(*b).item() for b in batches]


def training_step(kind: str) -> Callable[[Any, Any, Any], Any]:
    tc.seed(2)
    layer = LAYERS[kind](3, 8, 2, bidirectional=True, return_sequences=False)
    head = Dense(16, 2)
    optimizer = tc.Adam([*layer.parameters(), *head.parameters()], lr=0.01)

    def step(x: Any, lengths: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = tc.cross_entropy(head(layer(x, lengths=lengths)), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def test_wrong_inputs_are_named(backend: Backend) -> None:
    x = np.zeros((5, 2, 3), np.float32)
    layer = LSTM(3, 4)
    with pytest.raises(
        ShapeError, match=r"takes inputs \(length, batch, 3\) or \(length, 3\), fou"
    ):
        layer(np.zeros((5, 2, 2, 3)))
    with pytest.raises(ShapeError, match=r"takes inputs .*, found shape \(5, 2, 4\)"):
        layer(np.zeros((5, 2, 4)))
    with pytest.raises(ShapeError, match=r"takes inputs \(batch, length, 3\)"):
        GRU(3, 4, batch_first=True)(np.zeros(3))
    with pytest.raises(DataError, match="sequence 1 has length 6, expected 0 to 5"):
        layer(x, lengths=[5, 6])
    with pytest.raises(DataError, match="sequence 0 has length -1"):
        layer(x, lengths=[-1, 6])
    with pytest.raises(ShapeError, match=r"integers of shape \(2,\).* found int64 of shape \(3,\)"):
        layer(x, lengths=[5, 5, 5])
    with pytest.raises(ShapeError, match=r"integers of shape \(2,\).* found float64"):
        layer(x, lengths=[1.5, 2.0])
    with pytest.raises(ShapeError, match=r"the state is a pair \(h, c\), found Tensor"):
        layer(x, np.zeros((1, 2, 4)))
    with pytest.raises(ShapeError, match=r"states of shape .* = \(1, 2, 4\), found \(1, 2, 5\)"):
        layer(x, (np.zeros((1, 2, 4)), np.zeros((1, 2, 5))))
    with pytest.raises(ShapeError, match=r"states of shape .* = \(2, 2, 4\), found \(1, 2, 4\)"):
        GRU(3, 4, 2)(x, np.zeros((1, 2, 4)))
    with pytest.raises(ShapeError, match=r"takes inputs \(batch, 3\), found shape \(3,\)"):
        GRUCell(3, 4)(np.zeros(3))
    with pytest.raises(ShapeError, match=r"expected h0 of shape \(batch, hidden\) = \(2, 4\)"):
        GRUCell(3, 4)(np.zeros((2, 3)), np.zeros((3, 4)))
    with pytest.raises(OptionError, match="RNN nonlinearity"):
        RNN(3, 4, nonlinearity="gelu")
    with pytest.raises(OptionError, match="sizes are positive integers"):
        LSTM(3, 0)
    with pytest.raises(OptionError, match="num_layers must be a positive integer"):
        LSTM(3, 4, 0)
    with pytest.raises(OptionError, match=r"dropout must be in \[0, 1\)"):
        LSTM(3, 4, dropout=1.5)
    with pytest.raises(ShapeError, match=r"expected weight_hh \(hidden, 4 hidden\)"):
        tc.lstm(x, tc.zeros(3, 16), tc.zeros(4, 12))
    with pytest.raises(ShapeError, match=r"expected bias_hh \(12,\), found \(4,\)"):
        tc.gru(x, tc.zeros(3, 12), tc.zeros(4, 12), None, tc.zeros(4))
    with pytest.raises(ShapeError, match=r"expected x of shape \(length, batch, in\)"):
        tc.rnn(x, tc.zeros(4, 4), tc.zeros(4, 4))

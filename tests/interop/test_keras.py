"""Files in Keras' formats, written by hand: weights, gates and layouts against Keras' equations."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import CheckpointError, OptionError
from tercet.interop import keras_model, load_keras
from tercet.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Embedding,
    LayerNorm,
)
from tercet.models import Sequential

h5py = pytest.importorskip("h5py")
torch = pytest.importorskip("torch")

# A layer: its class, its name, its arrays by role in Keras' order, and where Keras 3 keeps them.
CELL = {"LSTM": "cell", "GRU": "cell", "SimpleRNN": "cell"}


def draw(rng: np.random.Generator, **shapes) -> dict[str, np.ndarray]:
    made = {role: rng.normal(size=shape).astype(np.float32) for role, shape in shapes.items()}
    if "moving_variance" in made:
        made["moving_variance"] = np.abs(made["moving_variance"]) + 0.5
    return made


def numbered(file, layers) -> None:
    """Keras 3: layers/<class>_<number>/vars/0, with an optimizer's state beside them."""
    count: dict[str, int] = {}
    names = {"BatchNormalization": "batch_normalization", "LayerNormalization":
             "layer_normalization", "DepthwiseConv2D": "depthwise_conv2d", "Conv2DTranspose":
             "conv2d_transpose", "SimpleRNN": "simple_rnn"}  # fmt: skip
    for kind, name, weights in layers:
        stem = names.get(kind, kind.lower())
        number = count[stem] = count.get(stem, -1) + 1
        path = f"layers/{stem}_{number}" if number else f"layers/{stem}"
        for inner in weights if kind == "Bidirectional" else [None]:
            arrays = weights if inner is None else weights[inner]
            place = f"{path}/{inner}/cell" if inner else f"{path}/{CELL.get(kind, '')}".rstrip("/")
            group = file.create_group(place + "/vars")
            group.attrs["name"] = name
            for i, array in enumerate(arrays.values()):
                group[str(i)] = array
    file.create_group("layers/dropout/seed_generator/vars")["0"] = np.zeros(2, np.uint32)
    file.create_group("optimizer/vars")["0"] = np.zeros(3)


def legacy(file, layers, suffix: str = ":0") -> None:
    """Keras 2: named arrays, by layer."""
    file.attrs["layer_names"] = np.array([name.encode() for _, name, _ in layers])
    for kind, name, weights in layers:
        group, found = file.create_group(name), {}
        for inner in weights if kind == "Bidirectional" else [None]:
            arrays = weights if inner is None else weights[inner]
            cell = {"LSTM": "lstm_cell/", "GRU": "gru_cell/"}.get(kind, "")
            place = name if inner is None else f"{name}/{inner}/lstm_cell"
            for role, array in arrays.items():
                if kind == "DepthwiseConv2D" and role == "kernel":
                    role = "depthwise_kernel"
                found[f"{place}/{cell}{role}{suffix}"] = array
        group.attrs["weight_names"] = np.array([key.encode() for key in found])
        for key, array in found.items():
            group[key] = array


def written(path: Path, layers, form: str) -> Path:
    file = path / {"numbered": "m.weights.h5", "legacy": "m.h5", "whole": "w.h5"}[form]
    with h5py.File(file, "w") as h5:
        if form == "whole":
            root = h5.create_group("model_weights")
            legacy(root, layers, suffix="")
        else:
            (numbered if form == "numbered" else legacy)(h5, layers)
    return file


def bn(rng, c: int) -> dict[str, np.ndarray]:
    return draw(rng, gamma=c, beta=c, moving_mean=c, moving_variance=c)


def normalized(x: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    scale = w["gamma"] / np.sqrt(w["moving_variance"] + 1e-3)
    return (x - w["moving_mean"]) * scale + w["beta"]


def convolved(x, kernel, bias, **options):
    """x (n, h, w, c) with Keras' kernel, by torch."""
    turned = torch.tensor(kernel.transpose(3, 2, 0, 1))
    out = torch.nn.functional.conv2d(torch.tensor(x.transpose(0, 3, 1, 2)), turned,
                                     torch.tensor(bias), **options)  # fmt: skip
    return out.numpy().transpose(0, 2, 3, 1)


@pytest.mark.parametrize("form", ["numbered", "legacy"])
def test_images(backend: Backend, rng, tmp_path: Path, form: str) -> None:
    layers = [
        ("Conv2D", "first", draw(rng, kernel=(3, 2, 3, 4), bias=4)),
        ("BatchNormalization", "norm", bn(rng, 4)),
        ("DepthwiseConv2D", "by_channel", draw(rng, kernel=(2, 2, 4, 2), bias=8)),
        ("Conv2D", "second", draw(rng, kernel=(1, 1, 8, 2), bias=2)),
        ("Dense", "head", draw(rng, kernel=(24, 5), bias=5)),
    ]
    nhwc = {"layout": "NHWC"}
    model = Sequential(
        Conv2d(3, 4, (3, 2), **nhwc), BatchNorm2d(4, eps=1e-3, **nhwc),
        Conv2d(4, 8, 2, groups=4, **nhwc), Conv2d(8, 2, 1, **nhwc), tc.layers.Flatten(),
        Dense(24, 5))  # fmt: skip
    report = load_keras(model, written(tmp_path, layers, form))
    assert report.complete
    assert len(report.loaded) == 12
    x = rng.normal(size=(2, 6, 6, 3)).astype(np.float32)
    weights = [w for _, _, w in layers]
    y = normalized(convolved(x, **weights[0]), weights[1])
    depthwise = np.zeros((2, 2, 1, 8), np.float32)
    for c in range(4):
        for m in range(2):
            depthwise[:, :, 0, 2 * c + m] = weights[2]["kernel"][:, :, c, m]
    y = convolved(y, depthwise, weights[2]["bias"], groups=4)
    y = convolved(y, **weights[3]).reshape(2, -1) @ weights[4]["kernel"] + weights[4]["bias"]
    np.testing.assert_allclose(model.predict(x), y, rtol=0, atol=2**-18 * np.abs(y).max())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def keras_lstm(x, w):
    """Keras' equations, (n, length, units), in float64."""
    h = c = np.zeros((len(x), w["recurrent_kernel"].shape[0]))
    out = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"], 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.stack(out, 1)


def keras_gru(x, w):
    """With reset_after: the gates are z, r and the candidate."""
    h = np.zeros((len(x), w["recurrent_kernel"].shape[0]))
    out = []
    for t in range(x.shape[1]):
        xz, xr, xh = np.split(x[:, t] @ w["kernel"] + w["bias"][0], 3, 1)
        hz, hr, hh = np.split(h @ w["recurrent_kernel"] + w["bias"][1], 3, 1)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        h = z * h + (1 - z) * np.tanh(xh + r * hh)
        out.append(h)
    return np.stack(out, 1)


@pytest.mark.parametrize("form", ["numbered", "legacy"])
def test_sequences(backend: Backend, rng, tmp_path: Path, form: str) -> None:
    def cell(inputs, units, gates, bias=None):
        return draw(rng, kernel=(inputs, gates * units), recurrent_kernel=(units, gates * units),
                    bias=bias or gates * units)  # fmt: skip

    both = {"backward_layer": cell(4, 3, 4), "forward_layer": cell(4, 3, 4)}
    if form == "legacy":  # in the order of the file; Keras 3's is that of the alphabet
        both = {"forward_lstm": both["forward_layer"], "backward_lstm": both["backward_layer"]}
    layers = [
        ("Embedding", "words", draw(rng, embeddings=(10, 4))),
        ("Bidirectional", "there_and_back", both),
        ("GRU", "gru", cell(6, 5, 3, (2, 15))),
        ("SimpleRNN", "plain", cell(5, 4, 1)),
        ("LayerNormalization", "norm", draw(rng, gamma=4, beta=4)),
    ]
    options = {"batch_first": True, "return_sequences": True}
    model = Sequential(
        Embedding(10, 4),
        LSTM(4, 3, bidirectional=True, **options),
        GRU(6, 5, **options),
        RNN(5, 4, **options),
        LayerNorm(4, eps=1e-3),
    )
    assert load_keras(model, written(tmp_path, layers, form)).complete
    tokens = rng.integers(0, 10, size=(3, 7))
    x = layers[0][2]["embeddings"][tokens].astype(np.float64)
    there, back = (next(w for n, w in both.items() if n.startswith(d)) for d in ("forw", "back"))
    x = np.concatenate([keras_lstm(x, there), keras_lstm(x[:, ::-1], back)[:, ::-1]], -1)
    x, w, h, out = keras_gru(x, layers[2][2]), layers[3][2], np.zeros((3, 4)), []
    for t in range(7):
        h = np.tanh(x[:, t] @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"])
        out.append(h)
    x, w = np.stack(out, 1), layers[4][2]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    x = x * w["gamma"] + w["beta"]
    np.testing.assert_allclose(model.predict(tokens), x, rtol=0, atol=2**-16 * np.abs(x).max())


def test_transposed_convolution(backend: Backend, rng, tmp_path: Path) -> None:
    weights = draw(rng, kernel=(2, 2, 5, 3), bias=5)  # h, w, out, in
    file = written(tmp_path, [("Conv2DTranspose", "up", weights)], "numbered")
    model = Sequential(ConvTranspose2d(3, 5, 2, stride=2, layout="NHWC"))
    assert load_keras(model, file).complete
    x = rng.normal(size=(2, 3, 4, 3)).astype(np.float32)
    tiles = np.einsum("nhwi,aboi->nhawbo", x, weights["kernel"])
    y = tiles.reshape(2, 6, 8, 5) + weights["bias"]
    np.testing.assert_allclose(model.predict(x), y, rtol=0, atol=2**-20 * np.abs(y).max())


def test_norms_without_scale_or_shift(backend: Backend, rng, tmp_path: Path) -> None:
    weights = bn(rng, 3)
    del weights["gamma"]
    layers = [("BatchNormalization", "norm", weights)]
    model = Sequential(BatchNorm1d(3, eps=1e-3))
    assert load_keras(model, written(tmp_path, layers, "legacy")).complete
    assert model[0].weight.tolist() == [1.0] * 3
    np.testing.assert_array_equal(model[0].bias.numpy(), weights["beta"])
    with pytest.raises(CheckpointError, match="left over   layers/batch_normalization/0"):
        load_keras(model, written(tmp_path, layers, "numbered"))  # which array is which?


def test_trained_and_frozen_arrays_are_stored_apart(backend: Backend, rng, tmp_path: Path) -> None:
    """In a nested model legacy files have what is trained first; the config has the order."""
    parts = {name: draw(rng, kernel=(2, 2), bias=2) for name in ("one", "two", "three")}
    names = [f"{n}/{role}" for n in ("three", "one", "two") for role in ("kernel", "bias")]
    file = tmp_path / "whole.h5"
    with h5py.File(file, "w") as h5:
        group = h5.create_group("model_weights/body")
        h5["model_weights"].attrs["layer_names"] = [b"body"]
        group.attrs["weight_names"] = names
        for name in names:
            group[name] = parts[name.split("/")[0]][name.split("/")[1]]
        inner = [{"class_name": "Dense", "config": {"name": n}} for n in parts]
        body = {"class_name": "Functional", "config": {"name": "body", "layers": inner}}
        whole = {"class_name": "Functional", "config": {"name": "m", "layers": [body]}}
        h5.attrs["model_config"] = json.dumps(whole)
    model = Sequential(Dense(2, 2), Dense(2, 2), Dense(2, 2))
    assert load_keras(model, file).complete
    for layer, name in zip(model, parts, strict=True):
        np.testing.assert_array_equal(layer.weight.numpy(), parts[name]["kernel"])
    assert load_keras(model, file, names={"three": "0"}).complete
    for layer, name in zip(model, ("three", "one", "two"), strict=True):
        np.testing.assert_array_equal(layer.weight.numpy(), parts[name]["kernel"])
    with pytest.raises(OptionError, match="unknown layer of the file 'four'"):
        load_keras(model, file, names={"four": "0"})
    with pytest.raises(OptionError, match="unknown module '5'"):
        load_keras(model, file, names={"one": "5"})
    with pytest.raises(CheckpointError, match="Functional model"):
        keras_model(file)


def test_what_does_not_fit(backend: Backend, rng, tmp_path: Path) -> None:
    layers = [("Dense", "a", draw(rng, kernel=(3, 4), bias=4)),
              ("GRU", "old", draw(rng, kernel=(4, 6), recurrent_kernel=(2, 6), bias=6)),
              ("Dense", "b", draw(rng, kernel=(4, 2), bias=2))]  # fmt: skip
    file = written(tmp_path, layers, "numbered")
    model = Sequential(Dense(3, 5), GRU(4, 2), LayerNorm(2))
    before = model.state_dict()
    with pytest.raises(CheckpointError) as error:
        load_keras(model, file)
    for line in (
        "0.weight from layers/dense: expected (3, 5), found (3, 4)",
        "reset_after=False",
        "missing     2.weight (2,)",
        "left over   layers/dense_1/kernel (4, 2)",
    ):
        assert line in str(error.value)
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())
    assert not load_keras(model, file, strict=False).loaded


# Whole models: config.json and the weights it belongs to.


def described(kind: str, name: str, **config) -> dict:
    return {"class_name": kind, "config": {"name": name, **config}}


def zipped(path: Path, listed: list[dict], layers) -> Path:
    file = path / "m.keras"
    with h5py.File(path / "part.h5", "w") as h5:
        numbered(h5, layers)
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": listed}}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.write(path / "part.h5", "model.weights.h5")
    return file


CONV = {"padding": "same", "dilation_rate": [1, 1], "data_format": "channels_last",
        "use_bias": True}  # fmt: skip


@pytest.mark.parametrize("height", [6, 7])
def test_a_model_from_its_description(backend: Backend, rng, tmp_path: Path, height: int) -> None:
    out = -(-height // 2)
    weights = [draw(rng, kernel=(3, 3, 3, 4), bias=4), draw(rng, kernel=(3, 3, 4, 1), bias=4),
               draw(rng, beta=4, moving_mean=4, moving_variance=4),
               draw(rng, kernel=(out * 3 * 4, 5), bias=5)]  # fmt: skip
    listed = [
        described("InputLayer", "input", batch_shape=[None, height, 6, 3]),
        described("Conv2D", "c", filters=4, kernel_size=[3, 3], strides=[2, 2], activation="relu",
                  **CONV),
        described("DepthwiseConv2D", "d", depth_multiplier=1, kernel_size=[3, 3], strides=[1, 1],
                  activation="linear", **CONV),
        described("BatchNormalization", "b", axis=-1, epsilon=1e-3, momentum=0.99, scale=False),
        described("ReLU", "r", max_value=6.0, negative_slope=0.0, threshold=0.0),
        described("Flatten", "f"),
        described("Dropout", "x", rate=0.5),
        described("Dense", "e", units=5, activation="softmax", use_bias=True),
    ]  # fmt: skip
    kinds = ("Conv2D", "DepthwiseConv2D", "BatchNormalization", "Dense")
    names = ("c", "d", "b", "e")
    model = keras_model(zipped(tmp_path, listed, list(zip(kinds, names, weights, strict=True))))
    assert not model.training
    assert model[2].momentum == pytest.approx(0.01)
    x = rng.normal(size=(2, height, 6, 3)).astype(np.float32)
    total = (out - 1) * 2 + 3 - height
    y = np.pad(x, ((0, 0), (total // 2, total - total // 2), (0, 1), (0, 0)))
    y = np.maximum(convolved(y, **weights[0], stride=2), 0)
    depthwise = weights[1]["kernel"].transpose(0, 1, 3, 2)
    y = convolved(y, depthwise, weights[1]["bias"], padding=1, groups=4)
    y = np.clip(normalized(y, weights[2] | {"gamma": np.ones(4)}), 0, 6)
    y = y.reshape(2, -1) @ weights[3]["kernel"] + weights[3]["bias"]
    y = np.exp(y - y.max(1, keepdims=True))
    y /= y.sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict(x), y, rtol=0, atol=2**-17)
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(tc.load(tmp_path / "m.safetensors").predict(x), model.predict(x))


def test_descriptions_that_are_not_simple(rng, tmp_path: Path) -> None:
    first = described("InputLayer", "input", batch_shape=[None, 4])
    with tc.use_backend("numpy"):
        for layer, message in (
            (described("Lambda", "odd"), r"the layer 'odd' is a Lambda"),
            (described("Dense", "d", units=2, activation="hard_silu", use_bias=True),
             "activation='hard_silu'"),
            (described("Dense", "d", units=2, activation={"class_name": "X"}, use_bias=True),
             "activation="),
        ):  # fmt: skip
            with pytest.raises(CheckpointError, match=message):
                keras_model(zipped(tmp_path, [first, layer], []))
        with pytest.raises(CheckpointError, match="shape of the input"):
            keras_model(zipped(tmp_path, [described("Flatten", "f")], []))
        file = written(tmp_path, [("Dense", "a", draw(rng, kernel=(1, 1), bias=1))], "numbered")
        with pytest.raises(CheckpointError, match="without a description"):
            keras_model(file)


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.h5").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match=r"no readable .keras, .weights.h5 or .h5 file"):
        load_keras(Dense(1, 1), tmp_path / "x.h5")
    with pytest.raises(CheckpointError, match="no file"):
        load_keras(Dense(1, 1), tmp_path / "none.h5")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(CheckpointError, match=r"pip install 'tercet\[interop\]'"):
        load_keras(Dense(1, 1), tmp_path / "x.h5")

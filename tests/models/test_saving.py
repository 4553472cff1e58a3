"""Saving and loading: whole models, weights, atomic writes, files that are no checkpoints."""

import os
from pathlib import Path

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import CheckpointError
from tercet.layers import Dense, Dropout, Standardize
from tercet.models import MLP, Model, Sequential


class Custom(Model):
    """A Model of the user's, lazy inside."""

    def __init__(self, width: int, outputs: int = 2) -> None:
        super().__init__()
        self.body = Sequential(Dense(width, activation="silu"), Dropout(0.1))
        self.head = Dense(outputs)

    def forward(self, x):
        return self.head(self.body(x))


MODELS = {
    "sequential": lambda: Sequential(
        [Dense(3, 8, activation="leaky_relu", alpha=0.3, weight_init="orthogonal"),
         Dense(8, 2, bias=False, weight_regularizer=tc.L1(0.1))]
    ),
    "lazy": lambda: Sequential(Dense(4), Dense(2, activation="softmax")).build((3,)),
    "mlp": lambda: MLP(2, hidden=(5,), dropout=0.2, before=[Standardize([0, 0, 1], [1, 2, 3])])
    .build((3,)),
    "custom": lambda: Custom(6).build((3,)),
    "nested": lambda: Sequential(Sequential(Dense(3, 4), tc.layers.ReLU()), Dense(4, 2)),
    "float64": lambda: Sequential(Dense(3, 2)).double(),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_goes_around(backend: Backend, rng, tmp_path: Path, name: str) -> None:
    model = MODELS[name]()
    model.compile(tc.AdamW(lr=0.02, clip_norm=1.0), tc.CrossEntropyLoss(label_smoothing=0.1),
                  ["accuracy", "top_2_accuracy"])  # fmt: skip
    x, y = rng.normal(size=(12, 3)), rng.integers(0, 2, size=12)
    model.fit(x, y, verbose=0)
    path = tmp_path / "deep" / "m.safetensors"
    model.save(path)
    loaded = tc.load(path)
    assert type(loaded) is type(model)
    assert loaded.dtype == model.dtype
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert loaded.evaluate(x, y) == model.evaluate(x, y)
    optimizer = loaded.trainer.optimizer
    assert (optimizer.lr, optimizer.clip_norm) == (0.02, 1.0)
    loaded.fit(x, y, verbose=0)


def test_a_model_loads_on_another_backend(backend: Backend, rng, tmp_path: Path) -> None:
    model = MODELS["mlp"]()
    model.save(tmp_path / "m")
    other = tc.load(tmp_path / "m", backend="numpy")
    assert other.backend.name == "numpy"
    x = rng.normal(size=(5, 3))
    np.testing.assert_allclose(other.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)


def test_weights_alone(backend: Backend, tmp_path: Path) -> None:
    model = MODELS["sequential"]()
    tc.save_weights(tmp_path / "w.safetensors", model.state_dict())
    state = tc.load_weights(tmp_path / "w.safetensors")
    twin = MODELS["sequential"]()
    twin.load_state_dict(state)
    np.testing.assert_array_equal(twin.state_dict()["0.weight"], state["0.weight"])
    with pytest.raises(CheckpointError, match="without a tercet architecture"):
        tc.load(tmp_path / "w.safetensors")


def test_other_programs_read_the_file(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    with tc.use_backend("numpy"):
        model = MODELS["sequential"]()
    model.save(tmp_path / "m.safetensors")
    assert set(load_file(tmp_path / "m.safetensors")) == set(model.state_dict())
    save_file({"0.weight": np.zeros((3, 8), np.float32)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="without a tercet architecture"):
        tc.load(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "bits"])
def test_damaged_files_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "m.safetensors"
    with tc.use_backend("numpy"):
        MODELS["sequential"]().save(path)
    content = path.read_bytes()
    path.write_bytes(
        {
            "truncated": content[: len(content) // 2],
            "empty": b"",
            "text": b"this is no checkpoint" * 10,
            "bits": b"\xff" * 8 + content[8:],
        }[damage]
    )
    with pytest.raises(CheckpointError, match="no readable safetensors file"):
        tc.load(path)


def test_missing_file_newer_format_and_unknown_class(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    with pytest.raises(CheckpointError, match="there is no file"):
        tc.load(tmp_path / "none")
    arrays = {"w": np.zeros(1)}
    save_file(arrays, tmp_path / "new", {"format": "tercet", "version": "99", "description": "{}"})
    with pytest.raises(CheckpointError, match="upgrade tercet"):
        tc.load(tmp_path / "new")
    description = (
        '{"architecture": {"class": "os.system", "config": {}}, "dtype": "float32",'
        ' "input_shape": null, "compile": null}'
    )
    save_file(
        arrays, tmp_path / "evil", {"format": "tercet", "version": "1", "description": description}
    )
    with pytest.raises(CheckpointError, match=r"unknown class 'os.system'.*Import the module"):
        tc.load(tmp_path / "evil")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """The system refuses to write more than a hundred bytes, as it does on a full disk."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "m.safetensors"
    with tc.use_backend("numpy"):
        model = MODELS["sequential"]()
        model.save(path)
        before = path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        try:
            with pytest.raises(CheckpointError, match=r"cannot save .*File too large.*unchanged"):
                model.save(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_saving_into_something_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with tc.use_backend("numpy"), pytest.raises(CheckpointError, match="cannot save"):
        MODELS["sequential"]().save(tmp_path / "file" / "m.safetensors")


def test_arguments_that_cannot_be_saved_are_named(tmp_path: Path) -> None:
    class Odd(Model):
        def __init__(self, function) -> None:
            super().__init__()

        def forward(self, x):
            return x

    with tc.use_backend("numpy"), pytest.raises(CheckpointError, match="type function cannot be"):
        Odd(lambda x: x).save(tmp_path / "m")


def test_a_class_called_like_one_of_tercets_takes_no_ones_place(
    backend: Backend, tmp_path: Path
) -> None:
    ours = tc.models.Sequential(tc.layers.Flatten(), tc.layers.Dense(2))
    x = np.ones((3, 2, 2), np.float32)
    expected = ours(x).numpy()
    ours.save(tmp_path / "ours")

    class Flatten(tc.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x: tc.Tensor) -> tc.Tensor:
            return x.reshape(x.shape[0], -1) * self.factor

    theirs = tc.models.Sequential(Flatten(2.0), tc.layers.Dense(2))
    doubled = theirs(x).numpy()
    theirs.save(tmp_path / "theirs")
    np.testing.assert_array_equal(tc.load(tmp_path / "ours")(x).numpy(), expected)
    np.testing.assert_array_equal(tc.load(tmp_path / "theirs")(x).numpy(), doubled)

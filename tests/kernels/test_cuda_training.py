"""Whole training through the CuPy backend's own code, on the simulation of CUDA."""

import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet import backends
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cupy_backend import CupyBackend
from tercet.data import load_digits
from tercet.errors import OutOfMemoryError
from tercet.kernels.activation.reference import KINDS
from tercet.layers import Dense, Dropout
from tercet.layers.dense import ROWWISE
from tercet.models import Sequential
from tercet.training import losses
from tercet.training.losses import Loss
from tercet.training.optimizers import Optimizer

pytestmark = pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")

SAMPLES = 160
OPTIMIZERS = {
    "adamw": lambda: tc.AdamW(lr=0.01, clip_norm=1.0),
    "sgd": lambda: tc.SGD(lr=0.05, momentum=0.9, nesterov=True, clip_value=0.5),
    "rmsprop": lambda: tc.RMSprop(lr=0.002, momentum=0.5, centered=True),
    "adagrad": lambda: tc.Adagrad(lr=0.02),
}


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend called cupy is one on the simulation."""
    monkeypatch.setitem(backends._made, "cupy", CupyBackend(runtime=SimulatedRuntime()))


def train(name: str, optimizer: str, activation: str) -> tuple[list[float], Sequential]:
    digits = load_digits()
    with tc.use_backend(name):
        tc.seed(0)
        model = Sequential(
            tc.layers.RandomFlip(),
            tc.layers.RandomShift(1),
            tc.layers.Flatten(),
            Dense(24, activation=activation, weight_regularizer=tc.L2(1e-3)),
            Dropout(0.2),
            Dense(10),
        )
        loss = tc.CrossEntropyLoss(label_smoothing=0.1)
        model.compile(OPTIMIZERS[optimizer](), loss, ["accuracy"])
        history = model.fit(
            digits.x_train[:SAMPLES],
            digits.y_train[:SAMPLES],
            epochs=3,
            validation_data=(digits.x_test[:40], digits.y_test[:40]),
            verbose=0,
        )
    assert model.backend.name == name
    return [*history["loss"], *history["val_loss"], *history["accuracy"]], model


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize(
    ("optimizer", "activation"),
    [("adamw", "gelu"), ("sgd", "relu"), ("rmsprop", "tanh"), ("adagrad", "silu")],
)
def test_epochs_match_numpy(optimizer: str, activation: str, tmp_path: Path) -> None:
    figures, model = train("cupy", optimizer, activation)
    expected, _ = train("numpy", optimizer, activation)
    np.testing.assert_allclose(figures, expected, rtol=1e-4)
    x = load_digits().x_test[:20]
    outputs = model.predict(x)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(tc.load(tmp_path / "m", "cupy").predict(x), outputs)
    moved = model.to("numpy").predict(x)
    np.testing.assert_allclose(moved, outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("simulated")
def test_a_loop_by_hand_with_tensor_arithmetic() -> None:
    def run(name: str) -> list[float]:
        with tc.use_backend(name):
            tc.seed(0)
            rng = np.random.default_rng(0)
            x, y = rng.normal(size=(32, 5)), rng.normal(size=(32, 1))
            w = tc.Parameter(rng.normal(size=(5, 3)))
            v = tc.Parameter(rng.normal(size=(3, 1)))
            optimizer = tc.Adam([w, v], lr=0.05)
            seen = []
            for _ in range(4):
                optimizer.zero_grad()
                h = tc.tensor(x) @ w
                h = tc.where(h > 0, h, 0.1 * h) / (1.0 + h.abs().mean(axis=0))
                out = tc.concatenate([h[:, :2], h[:, 2:]], axis=1) @ v
                loss = ((out - tc.tensor(y)) ** 2).mean() + out[[0, 3]].max()
                loss.backward()
                tc.clip_grad_norm_([w, v], 1.0)
                optimizer.step()
                seen.append(loss.item())
            return seen

    np.testing.assert_allclose(run("cupy"), run("numpy"), rtol=1e-4)


# --- Everything that an MLP is made of, two epochs each, replayed from the second one on ----------

FEATURES, CLASSES, SMALL = 7, 3, 48
BOTH = {"clip_norm": 0.5, "clip_value": 0.05}
EVERY_OPTIMIZER = [
    lambda: tc.SGD(lr=0.1),
    lambda: tc.SGD(lr=0.05, momentum=0.9, weight_decay=1e-2, **BOTH),
    lambda: tc.Adam(lr=0.01, weight_decay=1e-2, clip_value=0.01),
    lambda: tc.AdamW(lr=0.01, **BOTH),
    lambda: tc.RMSprop(lr=0.01, clip_norm=0.5),
    lambda: tc.RMSprop(lr=0.01, momentum=0.9),
    lambda: tc.Adagrad(lr=0.05, clip_value=0.02),
]


def losses_of(
    name: str, activation: str = "relu", loss: Any = "cross_entropy", optimizer: Any = None
) -> list[float]:
    """Training and validation losses on data drawn anew, with a ragged last batch."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(SMALL, FEATURES))
    y: np.ndarray = np.abs(x[:, :CLASSES]).argmax(axis=1)
    outputs: list[Any] = [Dense(CLASSES)]
    task = losses.get(loss).task  # type: ignore[attr-defined]
    if task != "classification":
        y = (x[:, :2] > 0).astype(np.float32)
        outputs = [Dense(2, activation="sigmoid" if loss == "binary_cross_entropy" else None)]
    with tc.use_backend(name):
        tc.seed(2)
        model = Sequential(Dense(12, activation=activation), Dropout(0.1), *outputs)
        model.compile(optimizer() if optimizer else tc.SGD(lr=0.1, momentum=0.9), loss)
        history = model.fit(x, y, epochs=3, batch_size=20, validation_data=(x, y), verbose=0)
    return [*history["loss"], *history["val_loss"]]


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("activation", [*KINDS, *ROWWISE])
def test_every_activation(activation: str) -> None:
    ours, expected = (losses_of(name, activation) for name in ("cupy", "numpy"))
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("loss", sorted(Loss.registry))
def test_every_loss(loss: str) -> None:
    ours, expected = (losses_of(name, loss=loss) for name in ("cupy", "numpy"))
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
def test_every_optimizer_and_clipping(optimizer: Any) -> None:
    ours, expected = (losses_of(name, optimizer=optimizer) for name in ("cupy", "numpy"))
    np.testing.assert_allclose(ours, expected, rtol=1e-4)
    assert len(set(ours)) == len(ours)


def test_every_optimizer_is_listed() -> None:
    made = {type(make()) for make in EVERY_OPTIMIZER}
    assert made == set(Optimizer.registry.values())


class SmallDevice(SimulatedRuntime):
    """A device of 256 KiB."""

    memory = 1 << 18

    def free_bytes(self) -> int:
        return self.memory - sum(block.nbytes for block in self._guarded.values())

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        if prod(shape) * dtype.itemsize > self.free_bytes():
            raise OutOfMemoryError(f"out of GPU memory: an array of shape {shape}")
        return super().empty(shape, dtype)


@pytest.mark.parametrize("capture", [True, False])
def test_a_batch_too_large_for_the_device(capture: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """1024 samples with 32 hidden units take 128 KiB an array; the data set is on the device."""
    monkeypatch.setitem(backends._made, "cupy", CupyBackend(runtime=SmallDevice()))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2048, 8)).astype(np.float32), rng.integers(0, 3, 2048)
    with tc.use_backend("cupy"):
        model = Sequential(Dense(32, activation="relu"), Dense(3))
        model.compile("sgd", "cross_entropy")
        with pytest.raises(OutOfMemoryError, match="out of GPU memory: an array of") as error:
            model.fit(x, y, batch_size=2048, verbose=0, capture=capture)
        found = re.search(r"batch_size=2048 do not fit; batch_size=(\d+) does", str(error.value))
        assert found is not None, str(error.value)
        size = int(found[1])
        assert 128 <= size < 2048
        history = model.fit(x, y, batch_size=size, epochs=2, verbose=0, capture=capture)
    assert np.isfinite(history["loss"]).all()

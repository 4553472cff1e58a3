"""Callbacks, with a trainer that plays back figures."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import tercet as tc
from tercet import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
    TerminateOnNaN,
)
from tercet.errors import OptionError


class Weights:
    """A model whose state is the number of the epoch."""

    def __init__(self) -> None:
        self.state = -1
        self.saved: list[str] = []

    def state_dict(self) -> dict:
        return {"w": self.state}

    def load_state_dict(self, state: dict) -> None:
        self.state = state["w"]

    def save(self, path: str) -> None:
        self.saved.append(path)


class Played:
    """A trainer: its epochs give the figures it was made with."""

    def __init__(self, name: str, values: list) -> None:
        self.name, self.values = name, values
        self.model = Weights()
        self.stop_training = False
        self.ran = 0

    def run(self, *callbacks: Callback) -> "Played":
        self.stop_training, self.ran = False, 0
        for c in callbacks:
            c.on_train_begin(self)
        for epoch, value in enumerate(self.values):
            self.model.state = epoch
            self.ran += 1
            for c in callbacks:
                c.on_epoch_end(self, epoch, {"loss": value, self.name: value})
            if self.stop_training:
                break
        for c in callbacks:
            c.on_train_end(self)
        return self


FALLING_THEN_FLAT = [5.0, 4.0, 3.0, 3.0, 3.5, 2.9, 3.0, 3.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("patience", "ran", "best"),
    [(0, 4, 2), (1, 4, 2), (2, 5, 2), (3, 9, 5), (4, 10, 5), (9, 10, 5)],
)
def test_patience(patience: int, ran: int, best: int) -> None:
    stopping = EarlyStopping(patience=patience)
    trainer = Played("val_loss", FALLING_THEN_FLAT).run(stopping)
    assert trainer.ran == ran
    assert (stopping.best_epoch, stopping.best) == (best, FALLING_THEN_FLAT[best])
    stopped = trainer.stop_training
    assert stopping.stopped_epoch == (ran - 1 if stopped else None)
    assert stopped or ran == 10


def test_min_delta() -> None:
    values = [5.0, 4.5, 4.1, 3.9, 3.5, 3.1]
    for delta in (0.5, -0.5):
        # An improvement by exactly min_delta is none.
        stopping = EarlyStopping(patience=2, min_delta=delta)
        assert Played("val_loss", values).run(stopping).ran == 6
        assert (stopping.best, stopping.best_epoch) == (3.5, 4)
    assert Played("val_loss", values).run(EarlyStopping(patience=1, min_delta=0.5)).ran == 2
    assert Played("val_loss", values).run(EarlyStopping(patience=1)).ran == 6


@pytest.mark.parametrize(
    ("monitor", "mode", "up"),
    [
        ("val_loss", "auto", False),
        ("val_accuracy", "auto", True),
        ("r2", "auto", True),
        ("val_loss", "max", True),
        ("val_accuracy", "min", False),
        ("score", "max", True),
        ("score", "auto", False),
    ],
)
def test_modes(monitor: str, mode: str, up: bool) -> None:
    rising = [1.0, 2.0, 3.0, 4.0]
    for values, improves in ((rising, up), (rising[::-1], not up)):
        trainer = Played(monitor, values).run(EarlyStopping(monitor, patience=1, mode=mode))
        assert trainer.ran == (4 if improves else 2)


def test_start_from_epoch() -> None:
    values = [0.1, 9.0, 8.0, 7.0, 7.5, 7.5, 7.5]
    stopping = EarlyStopping(patience=2, start_from_epoch=2, restore_best_weights=True)
    trainer = Played("val_loss", values).run(stopping)
    assert (trainer.ran, stopping.best_epoch, stopping.best) == (6, 3, 7.0)
    assert trainer.model.state == 3
    assert Played("val_loss", values).run(EarlyStopping(patience=2)).ran == 3


def test_the_best_weights_come_back() -> None:
    values = [3.0, 1.0, 2.0, 2.0, 2.0]
    # Stopped after epoch 3; run to the end; and left as they are.
    for patience, ran in ((2, 4), (9, 5)):
        restored = EarlyStopping(patience=patience, restore_best_weights=True)
        trainer = Played("val_loss", values).run(restored)
        assert (trainer.ran, trainer.model.state) == (ran, 1)
        trainer = Played("val_loss", values).run(EarlyStopping(patience=patience))
        assert trainer.model.state == ran - 1


def test_early_stopping_begins_anew_with_each_training() -> None:
    stopping = EarlyStopping(patience=2, restore_best_weights=True)
    Played("val_loss", [0.1, 0.2, 0.3]).run(stopping)
    trainer = Played("val_loss", [9.0, 8.0, 7.0, 6.0]).run(stopping)
    assert (trainer.ran, trainer.model.state) == (4, 3)
    assert (stopping.best, stopping.stopped_epoch) == (6.0, None)


def test_nan_is_no_improvement() -> None:
    nan = math.nan
    stopping = EarlyStopping(patience=2, restore_best_weights=True)
    trainer = Played("val_loss", [nan, 5.0, nan, 4.0, nan, nan, 1.0]).run(stopping)
    assert (trainer.ran, trainer.model.state, stopping.best) == (6, 3, 4.0)
    trainer = Played("val_loss", [nan, nan, nan]).run(EarlyStopping(patience=2))
    assert trainer.ran == 2
    # From infinity everything is an improvement.
    assert Played("val_loss", [math.inf, 5.0, 4.0]).run(EarlyStopping(patience=1)).ran == 3


def test_early_stopping_in_fit(backend, rng) -> None:
    """A real model ends with the weights of its best epoch, not the last one's."""
    x = rng.normal(size=(32, 3)).astype(np.float32)
    y = (x @ np.array([1.0, -2.0, 0.5])).astype(np.float32)
    model = tc.models.Sequential([tc.layers.Dense(3, 1)])
    model.compile(optimizer=tc.SGD(lr=0.1), loss="mse")
    weights = []

    def spoil(trainer, epoch, logs) -> None:
        weights.append({k: np.array(v) for k, v in model.state_dict().items()})
        if epoch >= 2:
            trainer.optimizer.lr = 3.0  # far too large: the loss grows from here

    stopping = EarlyStopping("loss", patience=3, restore_best_weights=True)
    history = model.fit(
        x, y, epochs=20, verbose=0, callbacks=[LambdaCallback(on_epoch_end=spoil), stopping]
    )
    best, _ = history.best("loss")
    assert stopping.best_epoch == best < len(history.epoch) - 1
    assert len(history.epoch) == best + 4
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, weights[best][name])
        assert not np.array_equal(value, weights[-1][name])


@pytest.mark.parametrize("make", [EarlyStopping, lambda m: ModelCheckpoint("p", m, True)])
def test_an_unknown_monitor_lists_those_there_are(make) -> None:
    with pytest.raises(OptionError, match=r"monitor 'val_los'.*loss.*needs validation_split"):
        Played("val_acc", [1.0]).run(make("val_los"))


def test_wrong_options() -> None:
    with pytest.raises(OptionError, match="patience must not be negative, found -1"):
        EarlyStopping(patience=-1)
    with pytest.raises(OptionError, match=r"unknown mode 'maxx'.*Did you mean 'max'"):
        EarlyStopping(mode="maxx")
    with pytest.raises(OptionError, match="unknown mode"):
        ModelCheckpoint("p", mode="least")


def test_checkpoint_after_each_epoch_or_the_best() -> None:
    values = [3.0, 2.0, 2.5, 2.0, 1.0]
    trainer = Played("val_loss", values).run(ModelCheckpoint("a/m{epoch}-{x}.safetensors"))
    assert trainer.model.saved == [f"a/m{e}-{{x}}.safetensors" for e in range(1, 6)]
    trainer = Played("val_loss", values).run(ModelCheckpoint("{epoch}", save_best_only=True))
    assert trainer.model.saved == ["1", "2", "5"]
    trainer = Played("val_auc", values).run(ModelCheckpoint("{epoch}", "val_auc", True))
    assert trainer.model.saved == ["1"]
    trainer = Played("val_auc", values).run(ModelCheckpoint("{epoch}", "val_auc", True, "min"))
    assert trainer.model.saved == ["1", "2", "5"]
    # Without save_best_only the monitor is not looked at.
    trainer = Played("other", values).run(ModelCheckpoint("p"))
    assert trainer.model.saved == ["p"] * 5


def test_a_checkpoint_of_a_real_model(backend, rng, tmp_path: Path) -> None:
    x, y = rng.normal(size=(16, 3)).astype(np.float32), rng.integers(0, 2, 16)
    model = tc.models.Sequential([tc.layers.Dense(3, 2)])
    model.compile(optimizer="sgd", loss="cross_entropy")
    path = tmp_path / "runs" / "m{epoch}.safetensors"
    model.fit(x, y, epochs=2, verbose=0, callbacks=[ModelCheckpoint(path)])
    assert sorted(f.name for f in path.parent.iterdir()) == ["m1.safetensors", "m2.safetensors"]
    again = tc.load(path.parent / "m2.safetensors")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_csv_logger(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "run.csv"
    logger = CSVLogger(path)
    Played("val_loss", [0.1, 2.5, math.nan]).run(logger)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "loss", "val_loss"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [float(row["loss"]) for row in rows[:2]] == [0.1, 2.5]
    assert rows[2]["val_loss"] == "nan"
    # A new training begins a new file.
    Played("val_mae", [7.0]).run(logger)
    assert path.read_bytes() == b"epoch,loss,val_mae\n1,7.0,7.0\n"
    assert [f.name for f in path.parent.iterdir()] == ["run.csv"]


def test_csv_logger_writes_after_each_epoch(tmp_path: Path) -> None:
    path, sizes = tmp_path / "run.csv", []
    look = LambdaCallback(on_epoch_end=lambda *_: sizes.append(len(path.read_text().split())))
    Played("val_loss", [1.0, 2.0, 3.0]).run(CSVLogger(path), look)
    assert sizes == [2, 3, 4]


def test_lambda_callback_gets_every_hook(backend, rng) -> None:
    seen: list = []
    hooks = {
        "on_train_begin": lambda trainer: seen.append(("begin", trainer.epochs)),
        "on_epoch_begin": lambda trainer, epoch: seen.append(("epoch", epoch)),
        "on_step_end": lambda trainer, step, logs: seen.append(("step", step, sorted(logs))),
        "on_epoch_end": lambda trainer, epoch, logs: seen.append(("end", epoch, sorted(logs))),
        "on_train_end": lambda trainer: seen.append(("done", trainer.steps_per_epoch)),
    }
    model = tc.models.Sequential([tc.layers.Dense(3, 1)])
    model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
    x, y = rng.normal(size=(10, 3)).astype(np.float32), rng.normal(size=10).astype(np.float32)
    callback = LambdaCallback(**hooks)
    model.fit(x, y, epochs=2, batch_size=5, verbose=0, callbacks=[callback], validation_data=(x, y))
    logs = ["loss", "mae"]
    end = [*logs, "val_loss", "val_mae"]
    epoch = lambda e: [("epoch", e), ("step", 0, logs), ("step", 1, logs), ("end", e, end)]  # noqa: E731
    assert seen == [("begin", 2), *epoch(0), *epoch(1), ("done", 2)]
    assert repr(callback) == f"LambdaCallback({', '.join(hooks)})"


def test_lambda_callback_with_an_unknown_hook() -> None:
    with pytest.raises(OptionError, match=r"unknown hook 'on_epoch_ends'.*Did you mean 'on_epoch_"):
        LambdaCallback(on_epoch_ends=print)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_terminate_on_nan(bad: float) -> None:
    assert Played("val_loss", [1.0, bad, 1.0]).run(TerminateOnNaN()).ran == 2
    assert Played("val_loss", [1.0, 1e300, 1.0]).run(TerminateOnNaN()).ran == 3

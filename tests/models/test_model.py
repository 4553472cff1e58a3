"""Model: fit, evaluate, predict, weights of samples and classes, callbacks, wrong input."""

import time
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.data import DataLoader, TensorDataset, load_digits
from tercet.errors import DataError, OptionError, ShapeError, TercetError
from tercet.layers import Dense, Dropout
from tercet.models import MLP, Model, Sequential
from tercet.training.progress import ProgressBar


def separable(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(n, 4))
    return x, (x[:, 0] > x[:, 1]).astype(int)


def make(outputs: int = 2, **compile_options) -> Sequential:
    model = Sequential([Dense(16, activation="relu"), Dense(outputs)])
    model.compile(**({"optimizer": tc.Adam(lr=0.01), "metrics": ["accuracy"]} | compile_options))
    return model


def test_digits_on_numpy_and_others_give_the_same_losses(backend: Backend) -> None:
    """After an epoch, equal to 1e-4 relative to what NumPy gives from the same seed."""
    digits = load_digits()

    def train() -> tuple[dict, float]:
        tc.seed(0)
        model = MLP(10, dropout=0.2).build((8, 8))
        start = model.state_dict()
        model.compile("adamw", "cross_entropy")
        history = model.fit(digits.x_train, digits.y_train, epochs=1, verbose=0)
        return start, history["loss"][-1]

    start, loss = train()
    with tc.use_backend("numpy"):
        reference, reference_loss = train()
    for name in start:
        np.testing.assert_array_equal(start[name], reference[name])
    assert loss == pytest.approx(reference_loss, rel=1e-4)


def test_digits_reach_097(backend: Backend) -> None:
    digits = load_digits()
    tc.seed(0)
    model = MLP(10, dropout=0.1)
    model.compile(tc.AdamW(lr=2e-3), "cross_entropy", ["accuracy"])
    model.fit(digits.x_train, digits.y_train, epochs=15, verbose=0)
    assert model.evaluate(digits.x_test, digits.y_test)["accuracy"] >= 0.97


def test_the_same_seed_gives_the_same_training(backend: Backend) -> None:
    x, y = separable()

    def train() -> list[float]:
        tc.seed(5)
        model = Sequential(Dense(8, activation="relu"), Dropout(0.5), Dense(2))
        model.compile("adam", "cross_entropy")
        return model.fit(x, y, epochs=3, verbose=0)["loss"]

    assert train() == train()


def test_validation_split_takes_the_last_rows(backend: Backend) -> None:
    x, y = separable(50)
    x[40:] = 0.0
    y[40:] = 1
    model = make()
    history = model.fit(x, y, epochs=1, validation_split=0.2, verbose=0)
    assert history["val_loss"][0] == pytest.approx(model.evaluate(x[40:], y[40:])["loss"])
    again = model.fit(x[:40], y[:40], validation_data=(x[40:], y[40:]), verbose=0)
    assert again["val_loss"][-1] == pytest.approx(model.evaluate(x[40:], y[40:])["loss"])


def test_evaluation_over_batches_is_that_over_all(backend: Backend) -> None:
    x, y = separable(100)
    model = make(metrics=["accuracy", "auc", "f1"])
    model.fit(x, y, verbose=0)
    whole = model.evaluate(x, y, batch_size=100)
    parts = model.evaluate(x, y, batch_size=7)
    for name in whole:
        assert parts[name] == pytest.approx(whole[name], rel=1e-5)
    assert model.predict(x, batch_size=9).shape == (100, 2)


def test_prediction_leaves_dropout_out(backend: Backend) -> None:
    x, y = separable(20)
    model = Sequential(Dense(8), Dropout(0.5), Dense(2))
    model.compile()
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.predict(x), model.predict(x))
    assert model.training


def test_class_weight_is_a_sample_weight(backend: Backend) -> None:
    x, y = separable()

    def train(**weights) -> np.ndarray:
        tc.seed(1)
        model = make()
        model.fit(x, y, epochs=2, verbose=0, **weights)
        return model.predict(x)

    by_class = train(class_weight={0: 1.0, 1: 3.0})
    np.testing.assert_array_equal(by_class, train(sample_weight=np.where(y == 1, 3.0, 1.0)))
    np.testing.assert_array_equal(by_class, train(class_weight=[1.0, 3.0]))
    assert np.abs(by_class - train()).max() > 1e-3
    model = make()
    weight = np.ones(len(x))
    weight[50:] = 0
    model.fit(x, y, epochs=1, verbose=0)
    part = model.evaluate(x[:50], y[:50])["accuracy"]
    assert model.evaluate(x, y, sample_weight=weight)["accuracy"] == pytest.approx(part)


def test_regularization_is_part_of_the_loss(backend: Backend) -> None:
    x, y = separable()
    tc.seed(2)
    model = Sequential(Dense(2, weight_regularizer=tc.L2(0.1)))
    model.compile("sgd", "cross_entropy")
    model.fit(x, y, epochs=30, verbose=0)
    size = np.abs(model.state_dict()["0.weight"]).max()
    tc.seed(2)
    plain = Sequential(Dense(2))
    plain.compile("sgd", "cross_entropy")
    plain.fit(x, y, epochs=30, verbose=0)
    assert size < np.abs(plain.state_dict()["0.weight"]).max()
    without = tc.cross_entropy(model(x), y).item()
    penalty = 0.1 * (model.state_dict()["0.weight"] ** 2).sum()
    assert model.evaluate(x, y)["loss"] == pytest.approx(without + penalty, rel=1e-5)


def test_regression_with_one_output_takes_flat_targets(backend: Backend) -> None:
    x, _ = separable()
    y = x @ np.array([1.0, -2.0, 0.5, 0.0]) + 3.0
    model = Sequential(Dense(1))
    model.compile(tc.Adam(lr=0.1), "mse", ["r2", "mae"])
    model.fit(x, y, epochs=20, verbose=0)
    assert model.evaluate(x, y)["r2"] > 0.999


def test_binary_classification_with_one_output(backend: Backend) -> None:
    x, y = separable()
    model = Sequential(Dense(1))
    model.compile(tc.Adam(lr=0.1), "bce_logits", ["accuracy", "auc"])
    model.fit(x, y, epochs=20, verbose=0)
    result = model.evaluate(x, y)
    assert result["accuracy"] > 0.95
    assert result["auc"] > 0.99


def test_a_loader_and_a_function_as_loss(backend: Backend) -> None:
    x, y = separable()
    loader = DataLoader(TensorDataset(x, y), batch_size=20, shuffle=True)
    model = make(loss=lambda outputs, target: tc.cross_entropy(outputs, target) * 2.0)
    history = model.fit(
        loader, epochs=2, validation_data=DataLoader(TensorDataset(x, y)), verbose=0
    )
    assert history["loss"][1] < history["loss"][0]
    assert set(model.evaluate(loader)) == {"loss", "accuracy"}


def test_a_model_of_ones_own(backend: Backend) -> None:
    class Skip(Model):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = Dense(4, activation="tanh"), Dense(2)

        def forward(self, x):
            return self.b(self.a(x) + x)

    x, y = separable()
    model = Skip()
    model.compile(tc.Adam(lr=0.02), metrics=["accuracy"])
    model.fit(x, y, epochs=10, verbose=0)
    assert model.evaluate(x, y)["accuracy"] > 0.9


def test_early_stopping_restores_the_best_weights(backend: Backend) -> None:
    x, y = separable(60)
    noise = np.random.default_rng(0).integers(0, 2, size=20)
    model = make(optimizer=tc.Adam(lr=0.05))
    stop = tc.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    history = model.fit(
        x[:40], y[:40], epochs=50, validation_data=(x[40:], noise), callbacks=[stop], verbose=0
    )
    assert len(history.epoch) < 50
    assert model.evaluate(x[40:], noise)["loss"] == pytest.approx(min(history["val_loss"]))


def test_schedules_set_the_learning_rate_in_fit(backend: Backend) -> None:
    x, y = separable(64)
    model = make(optimizer=tc.SGD(lr=1.0))
    seen = []
    watch = tc.LambdaCallback(
        on_epoch_begin=lambda trainer, epoch: seen.append(trainer.optimizer.lr)
    )
    model.fit(x, y, epochs=3, callbacks=[tc.StepLR(step_size=1, gamma=0.5), watch], verbose=0)
    assert seen == [1.0, 0.5, 0.25]


def test_progress_is_one_line_an_epoch_without_a_terminal(
    backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = separable(40)
    make().fit(x, y, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss ")
    assert "accuracy" in lines[1]
    assert lines[1].endswith("samples/s")


def test_progress_costs_under_one_percent() -> None:
    """Of many short epochs too; a tenth of a second is left for a noisy machine."""

    class Trainer:
        epochs, steps_per_epoch, batch_size, samples = 10_000, 4, 32, 128

    trainer: Any = Trainer()
    bar = ProgressBar(live=True)
    bar.on_train_begin(trainer)
    spent, epoch = 0.0, 0
    began = time.perf_counter()
    while time.perf_counter() - began < 2.0:
        before = time.perf_counter()
        bar.on_epoch_begin(trainer, epoch)
        for step in range(trainer.steps_per_epoch):
            bar.on_step_end(trainer, step, {"loss": 0.5})
        bar.on_epoch_end(trainer, epoch, {"loss": 0.5})
        spent += time.perf_counter() - before
        epoch += 1
        time.sleep(0.002)
    bar.close()
    assert spent < 0.02 + 0.1


WRONG = {
    "empty": (lambda m, x, y: m.fit(x[:0], y[:0]), DataError, "x is empty"),
    "lengths": (lambda m, x, y: m.fit(x, y[:-1]), DataError, "x has 200 rows, y has 199"),
    "NaN": (lambda m, x, y: m.fit(np.where(x > 2, np.nan, x), y), DataError, "x holds nan at"),
    "no y": (lambda m, x, y: m.fit(x), OptionError, "y is missing"),
    "text": (lambda m, x, y: m.fit(x.astype(str), y), DataError, "must hold numbers"),
    "label": (lambda m, x, y: m.fit(x, y + 1), DataError, r"label 2 at row \d+ is outside"),
    "epochs": (lambda m, x, y: m.fit(x, y, epochs=-1), OptionError, "epochs must be at least 0"),
    "split": (lambda m, x, y: m.fit(x, y, validation_split=1.5), OptionError, "in \\[0, 1\\)"),
    "tiny": (lambda m, x, y: m.fit(x[:1], y[:1], validation_split=0.5), DataError, "leaves a part"),
    "weights": (
        lambda m, x, y: m.fit(x, y, sample_weight=np.ones(3)),
        ShapeError,
        r"sample_weight of shape \(200,\)",
    ),
    "class": (lambda m, x, y: m.fit(x, y, class_weight={0: 1.0}), DataError, "for class 1"),
    "features": (
        lambda m, x, y: (m.fit(x, y, verbose=0), m.predict(x[:, :3])),
        ShapeError,
        r"takes inputs \(..., 4\), found shape \(200, 3\)",
    ),
    "monitor": (
        lambda m, x, y: m.fit(x, y, verbose=0, callbacks=[tc.EarlyStopping("val_los")]),
        OptionError,
        "unknown monitor 'val_los'",
    ),
    "loss": (lambda m, x, y: m.compile(loss="cros_entropy"), OptionError, "Did you mean 'cross_en"),
    "metric": (lambda m, x, y: m.compile(metrics=["acuracy"]), OptionError, "Did you mean 'accur"),
    "reduction": (
        lambda m, x, y: (m.compile(loss=tc.CrossEntropyLoss(reduction="none")), m.fit(x, y)),
        OptionError,
        "training needs a scalar",
    ),
    "uncompiled": (lambda m, x, y: Sequential(Dense(2)).fit(x, y), OptionError, "not compiled"),
    "no layer": (lambda m, x, y: Sequential(len), OptionError, "Sequential holds layers"),
    "summary": (lambda m, x, y: Sequential(Dense(2)).summary(), ShapeError, "model.summary"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_gives_one_clear_error(name: str) -> None:
    call, error, text = WRONG[name]
    with tc.use_backend("numpy"):
        x, y = separable()
        with pytest.raises(error, match=text) as caught:
            call(make(), x, y)
    assert isinstance(caught.value, TercetError)


def test_accuracy_of_probabilities_has_its_threshold_at_one_half(backend: Backend) -> None:
    x, y = separable()
    model = Sequential(Dense(1, activation="sigmoid"))
    model.compile(tc.Adam(lr=0.1), "bce", ["accuracy"])
    model.fit(x, y, epochs=20, verbose=0)
    right = ((model.predict(x).reshape(-1) > 0.5) == y).mean()
    assert model.evaluate(x, y)["accuracy"] == pytest.approx(right)
    assert right > 0.95

"""fit by captured steps: the same numbers as by eager ones, and when it does without."""

import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import DataError, OptionError, OutOfMemoryError


def data(n: int = 203, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, 12)).astype("float32")
    return x, (x @ rng.normal(size=(12, classes))).argmax(axis=1)


def model(outputs: int = 3, loss: Any = "cross_entropy", metrics: Any = ("accuracy",)) -> Any:
    tc.seed(1)
    net = tc.models.MLP(outputs, [32, 16], dropout=0.3)
    net.compile(tc.AdamW(lr=3e-3), loss, metrics)
    return net


def recordings(net: Any) -> list[Any]:
    return net.trainer._train_batch._captured.recordings


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sample_weight": np.linspace(0.5, 2.0, 203)},
        {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}, "validation_split": 0.2},
        {"callbacks": [tc.CosineAnnealingLR(T_max=5)]},
    ],
    ids=["plain", "sample_weight", "class_weight", "schedule"],
)
def test_captured_and_eager_training_agree_bit_for_bit(backend: Backend, options: Any) -> None:
    runs = []
    for capture in (False, True):
        net = model(metrics=["accuracy", "top_2_accuracy", "f1"])
        history = net.fit(*data(), epochs=5, verbose=0, capture=capture, **options)
        runs.append((history.history, net.state_dict(), net.predict(data()[0])))
        assert bool(recordings(net)) == (capture and backend.captures)
    (eager, weights, outputs), (captured, weights_2, outputs_2) = runs
    assert eager == captured
    assert outputs.tobytes() == outputs_2.tobytes()
    for name, value in weights.items():
        assert value.tobytes() == weights_2[name].tobytes(), name


def test_steps_of_all_epochs_are_replayed(backend: Backend) -> None:
    """One recording for full batches and one for the last; evaluation disturbs neither."""
    if not backend.captures:
        pytest.skip(f"{backend.name} does not capture")
    net, (x, y) = model(), data()
    calls = []
    forward = net.forward
    net.forward = lambda x: (calls.append(net.training), forward(x))[1]
    net.fit(x, y, epochs=6, batch_size=32, verbose=0, validation_data=(x, y))
    assert len(recordings(net)) == 2
    # 7 batches an epoch: 1 to warm up, 2 to record full ones; 2 for the last, smaller one.
    assert calls.count(True) == 5


def test_float64_models_train_captured(backend: Backend) -> None:
    x, y = data()
    histories = []
    for capture in (False, True):
        tc.seed(1)
        net = tc.models.MLP(3, [32])
        net.build((12,)).double()
        net.compile("adam", "cross_entropy", ["accuracy"])
        histories.append(net.fit(x.astype("float64"), y, epochs=3, verbose=0, capture=capture))
    assert histories[0].history == histories[1].history


def test_regression_and_binary_targets(backend: Backend) -> None:
    x, y = data(classes=2)
    for loss, target, metric in (
        ("mse", x[:, 0].astype("float64"), "r2"),
        ("bce_logits", y, "accuracy"),
        ("bce_logits", y.astype("float32"), "auc"),
    ):
        runs = []
        for capture in (False, True):
            net = model(1, loss, [metric])
            runs.append(net.fit(x, target, epochs=4, verbose=0, capture=capture).history)
        assert runs[0] == runs[1]


class Peeking(tc.models.Model):
    """Looks at a value in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.out = tc.layers.Dense(12, 3)

    def forward(self, x: Any) -> Any:
        y = self.out(x)
        return y if float(y.sum()) > 0 else -y


def test_a_model_that_reads_values_trains_in_python_and_says_so(backend: Backend) -> None:
    if not backend.captures:
        pytest.skip(f"{backend.name} does not capture")
    runs = []
    for capture in (False, True):
        tc.seed(1)
        net = Peeking()
        net.compile("adam", "cross_entropy")
        if capture:
            with pytest.warns(UserWarning, match=r"in Python, not captured: .*test_trainer.py"):
                history = net.fit(*data(), epochs=3, verbose=0)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                history = net.fit(*data(), epochs=3, verbose=0, capture=False)
        runs.append(history.history)
    assert runs[0] == runs[1]


def test_labels_are_looked_at_in_replayed_steps_too(backend: Backend) -> None:
    net, (x, y) = model(), data()
    y[-1] = 7
    loader = tc.data.DataLoader(tc.data.TensorDataset(x, y), batch_size=16)
    with pytest.raises(DataError, match=r"label 7 at row 10 is outside \[0, 3\)"):
        net.fit(loader, epochs=1, verbose=0)


def test_capture_is_one_of_three(backend: Backend) -> None:
    with pytest.raises(OptionError, match="True, False or 'compile', found 'always'"):
        model().fit(*data(), verbose=0, capture="always")
    if not backend.compiles:
        with pytest.raises(OptionError, match="does not compile steps; use capture=True"):
            model().fit(*data(), verbose=0, capture="compile")


def test_a_changed_option_counts_from_the_next_fit(backend: Backend) -> None:
    """Attributes of plain objects are read when a step runs in Python; fit has it run again."""
    x, y = data()
    runs = []
    for capture in (False, True):
        net = model()
        net.fit(x, y, epochs=3, verbose=0, capture=capture)
        net.trainer.loss.options["label_smoothing"] = 0.5
        runs.append(net.fit(x, y, epochs=2, verbose=0, capture=capture).history)
    assert runs[0] == runs[1]


@pytest.fixture
def little_memory(backend: Backend) -> Iterator[Backend]:
    """3 MiB more than in use, where 16384 samples with 32 hidden units take 2 MiB an array."""
    if backend.free_bytes() is not None:
        pytest.skip(f"{backend.name} has the limit of its device")
    host: Any = backend
    tc.set_memory_limit(host.pool.in_use + (3 << 20), backend)
    yield backend
    tc.set_memory_limit(None, backend)


@pytest.mark.parametrize("capture", [True, False])
def test_a_batch_that_does_not_fit_is_answered_with_one_that_does(
    little_memory: Backend, capture: bool
) -> None:
    net, (x, y) = model(metrics=()), data(16384)
    with pytest.raises(
        OutOfMemoryError, match=r"memory limit of .* is reached: an array needs"
    ) as e:
        net.fit(x, y, batch_size=16384, verbose=0, capture=capture)
    found = re.search(
        r"batch_size=16384 do not fit; batch_size=(\d+) does, by an est", str(e.value)
    )
    assert found is not None, str(e.value)
    size = int(found[1])
    assert 256 <= size < 16384
    net.fit(x, y, batch_size=size, verbose=0, capture=capture)


def test_not_even_one_sample_fits(little_memory: Backend) -> None:
    net = tc.models.Sequential([tc.layers.Dense(40000), tc.layers.Dense(2)])
    tc.set_memory_limit(None, little_memory)
    net.build((2,))
    net.compile(tc.SGD(net.parameters()))
    tc.set_memory_limit(100, little_memory)
    with pytest.raises(OutOfMemoryError, match="fit: not even one sample fits"):
        net.fit(np.zeros((4, 2), np.float32), np.zeros(4, np.int64), verbose=0, capture=False)


def test_stop_training_ends_an_epoch_at_its_step(backend: Backend) -> None:
    steps = []

    def stop(trainer: Any, step: int, logs: Any) -> None:
        steps.append(step)
        trainer.stop_training = len(steps) == 9

    net = model()
    callbacks = [tc.LambdaCallback(on_step_end=stop)]
    history = net.fit(*data(), epochs=5, batch_size=32, verbose=0, callbacks=callbacks)
    assert steps == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert history.epoch == [0, 1]

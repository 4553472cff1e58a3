"""Steps recorded on the CuPy backend and replayed as graphs, on the simulation of CUDA."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet import backends
from tercet.backends import Backend
from tercet.backends.cuda_recording import GraphRecording
from tercet.backends.cuda_runtime import Upload
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cupy_backend import CupyBackend
from tercet.data import load_digits
from tercet.errors import BackendError, CaptureError, DataError

from ..autograd.test_captured import (  # noqa: F401 - collected here, for this module's backend
    _captures,
    test_a_step_that_does_something_else_each_time_is_an_error,
    test_a_value_read_inside_is_an_error_that_names_the_line,
    test_arrays_must_not_outlive_the_step,
    test_captures_nest,
    test_gradients_outside_the_step_are_as_after_an_eager_one,
    test_hooks_are_refused_and_errors_pass_through,
    test_inputs_of_any_layout_and_kind,
    test_leaves_made_inside_the_step,
    test_modes_and_changes_of_the_model_are_noticed,
    test_options_of_the_optimizer_are_noticed,
    test_other_shapes_dtypes_and_numbers_have_recordings_of_their_own,
    test_print_shows_kernels_arrays_and_memory,
    test_random_numbers_go_on_as_if_every_step_ran_in_python,
    test_replays_equal_eager_steps_bit_for_bit,
    test_results_are_the_callers_own,
    test_the_learning_rate_is_not_set_inside,
    test_threads_take_turns,
    test_what_it_takes_and_returns,
)
from .test_replay import test_replays_bit_for_bit  # noqa: F401

pytestmark = pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    simulated = CupyBackend(runtime=SimulatedRuntime(seed=1))
    monkeypatch.setitem(backends._made, "cupy", simulated)
    with tc.use_backend("cupy"):
        tc.seed(0)
        yield simulated


def fitted(capture: bool, samples: int = 150) -> tuple[list[float], list[np.ndarray], Any]:
    """Losses and weights after three epochs; 150 samples leave a last batch of 22."""
    tc.seed(0)
    digits = load_digits()
    model = tc.models.Sequential(
        [
            tc.layers.Flatten(),
            tc.layers.Dense(24, activation="gelu"),
            tc.layers.Dropout(0.2),
            tc.layers.Dense(10),
        ]
    )
    model.compile(tc.AdamW(lr=0.01, clip_norm=1.0), "cross_entropy", ["accuracy"])
    history = model.fit(
        digits.x_train[:samples],
        digits.y_train[:samples].astype("int32"),
        epochs=3,
        verbose=0,
        capture=capture,
    )
    return history["loss"] + history["accuracy"], [p.numpy() for p in model.parameters()], model


@pytest.mark.usefixtures("backend")
def test_fit_replays_graphs_that_equal_eager_steps_bit_for_bit() -> None:
    figures, weights, model = fitted(capture=True)
    eager_figures, eager_weights, _ = fitted(capture=False)
    assert figures == eager_figures
    for ours, theirs in zip(weights, eager_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    recordings = model.trainer._train_batch._captured.recordings
    # One for whole batches, one for the last.
    assert sorted(len(r.inputs[0]) for r in recordings) == [22, 32]
    assert all(isinstance(r, GraphRecording) for r in recordings)
    assert any(r._graph is not None for r in recordings)
    # The data lie on the device: a step is given the numbers of its samples.
    assert all([x.dtype.name for x in r.inputs] == ["int64"] for r in recordings)


@pytest.mark.parametrize("free", [1 << 30, 1000])
def test_data_go_to_the_device_once_if_they_fit(
    backend: Backend, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights, a validation set, and a metric that is worked out on the host."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)), rng.normal(size=40)
    weights = rng.uniform(size=40)
    runs = []
    for name in ("cupy", "numpy"):
        monkeypatch.setattr(backend, "free_bytes", lambda: free)
        with tc.use_backend(name):
            tc.seed(0)
            model = tc.models.Sequential(
                [tc.layers.Dense(8, activation="tanh"), tc.layers.Dense(1)]
            )
            model.compile(tc.SGD(lr=0.05), "mse", ["mae"])
            history = model.fit(
                x, y, epochs=4, batch_size=16, sample_weight=weights, verbose=0,
                validation_data=(x[:20] + 1, y[:20]),
            )  # fmt: skip
        runs.append([history[k] for k in ("loss", "mae", "val_loss", "val_mae")])
        if name == "cupy":
            batch = model.trainer._train_batch
            inputs = {len(r.inputs) for r in batch._captured.recordings}
            assert inputs == ({1} if free > 1000 else {3})
    np.testing.assert_allclose(*runs, rtol=1e-5)


@pytest.mark.usefixtures("backend")
def test_a_wrong_label_is_named_although_labels_lie_on_the_device() -> None:
    model = tc.models.Sequential([tc.layers.Dense(3)])
    model.compile("sgd", "cross_entropy")
    x, y = np.zeros((64, 4)), np.zeros(64, np.int64)
    model.fit(x, y, epochs=3, batch_size=8, verbose=0)
    y[50] = 3
    with pytest.raises(DataError, match="label 3 at row"):
        model.fit(x, y, epochs=3, batch_size=8, verbose=0)


def captured_sum(backend: Backend) -> list[float]:
    step = tc.capture(lambda x: (x * 2.0).sum())
    return [step(np.full((3, 4), i, np.float32)).item() for i in range(7)]


def test_inputs_arrive_before_the_graph_reads_them(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [24.0 * i for i in range(7)]
    assert captured_sum(backend) == expected
    # Without its waiting, the stream of all work copies what has not arrived.
    call = Upload.__call__

    def hasty(upload: Upload, x: np.ndarray) -> None:
        monkeypatch.setattr(upload._work, "wait", lambda event: None)
        call(upload, x)

    monkeypatch.setattr(Upload, "__call__", hasty)
    assert captured_sum(backend) != expected


RULES = [
    (lambda runtime: runtime.empty((3,), np.dtype("float32")), "memory is allocated"),
    (lambda runtime: runtime.asarray(np.zeros(3)), "memory is allocated"),
    (lambda runtime: runtime.to_numpy(np.zeros(3)), "an array is read back"),
    (lambda runtime: runtime.synchronize(), "the host waits for the device"),
    (lambda runtime: None, "started nothing that a graph could hold"),
]


@pytest.mark.parametrize(("call", "what"), RULES)
def test_what_cuda_refuses_while_it_captures(call: Any, what: str) -> None:
    runtime = SimulatedRuntime()
    with pytest.raises(BackendError, match=what):
        runtime.graph([lambda: call(runtime)])
    runtime.synchronize()  # the capture is over


def test_a_kernel_without_cuda_code_is_refused() -> None:
    class Without(CupyBackend):
        def implementations(self) -> Any:
            return {k: v for k, v in super().implementations().items() if k != "clip_forward"}

    backend = Without(runtime=SimulatedRuntime())
    step = tc.capture(lambda x: x.clip(0.0, 1.0), backend)
    x = np.ones(3, np.float32)
    step(x)  # warms up
    with pytest.raises(CaptureError, match=r"test_cuda_replay\.py:\d+: clip_forward has no CUDA"):
        step(x)


def test_a_product_that_cannot_be_captured_is_refused() -> None:
    class Matmul(SimulatedRuntime):
        def gemm(self, out: Any, a: Any, b: Any) -> None:
            def product(out: Any, a: Any, b: Any) -> None:
                np.matmul(a, b, out=out)

            product.capturable = False  # type: ignore[attr-defined]
            self.issue(product, out, a, b)

    backend = CupyBackend(runtime=Matmul())
    step = tc.capture(lambda x: x @ x, backend)
    x = np.ones((3, 3), np.float32)
    step(x)
    with pytest.raises(CaptureError, match="cannot be part of a CUDA graph"):
        step(x)


def test_a_recording_keeps_its_memory_and_gives_it_back(backend: Backend) -> None:
    runtime = backend.runtime  # type: ignore[attr-defined]
    before = len(runtime._guarded)
    step = tc.capture(lambda x: (x * 2.0 + 1.0).sum())
    x = np.ones((4, 4), np.float32)
    values = {step(x).item() for _ in range(6)}
    assert values == {48.0}
    assert len(runtime._guarded) > before
    step.reset()
    assert len(runtime._guarded) == before

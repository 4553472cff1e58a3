"""capture: replays that equal eager calls, what ends them, and what cannot be captured."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import CaptureError, OptionError

Step = Callable[..., Any]


@pytest.fixture(autouse=True)
def _captures(backend: Backend) -> None:
    if not backend.captures:
        pytest.skip(f"{backend.name} does not capture")


def network(*sizes: int, **options: Any) -> tc.models.Sequential:
    layers: list[Any] = [tc.layers.Dense(a, b, activation="gelu") for a, b in pairwise(sizes[:-1])]
    return tc.models.Sequential([*layers, tc.layers.Dropout(0.2), tc.layers.Dense(*sizes[-2:])])


def training_step(model: Any, optimizer: Any) -> Step:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = tc.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def batch(rng: np.random.Generator, n: int, features: int = 20, classes: int = 4) -> Any:
    x = rng.normal(size=(n, features)).astype("float32")
    return tc.tensor(x), tc.tensor(rng.integers(0, classes, n))


OPTIMIZERS = [
    lambda p: tc.Adam(p, lr=1e-2),
    lambda p: tc.AdamW(p, lr=1e-2, clip_norm=0.5),
    lambda p: tc.SGD(p, lr=1e-2, momentum=0.9, nesterov=True, clip_value=0.01),
    lambda p: tc.RMSprop(p, lr=1e-3, centered=True, momentum=0.5),
    lambda p: tc.Adagrad(p, lr=1e-2),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("size", [8, 300])
def test_replays_equal_eager_steps_bit_for_bit(
    backend: Backend, make: Any, size: int, rng: np.random.Generator
) -> None:
    """Losses, weights, optimizer state and dropout masks, with batches of changing contents."""
    runs = []
    for capture in (False, True):
        tc.seed(3)
        model = network(20, 64, 48, 4)
        optimizer = make(model.parameters())
        step = training_step(model, optimizer)
        if capture:
            step = tc.capture(step)
        batches = np.random.default_rng(1)
        losses = []
        for i in range(9):
            if i == 6:
                optimizer.lr *= 0.5
            losses.append(step(*batch(batches, size)).item())
        runs.append((losses, model.state_dict(), optimizer.state_dict()))
    (losses, weights, state), (replayed, weights_2, state_2) = runs
    assert losses == replayed
    assert len(set(losses)) == len(losses)
    for ours, theirs in ((weights, weights_2), (state, state_2)):
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert ours[key].tobytes() == theirs[key].tobytes(), key


def test_random_numbers_go_on_as_if_every_step_ran_in_python(backend: Backend) -> None:
    layer = tc.layers.Dropout(0.5)

    def step(x: Any) -> Any:
        return layer(x) + tc.rand(64)

    x = tc.ones(64)
    tc.seed(5)
    eager = [step(x).numpy() for _ in range(6)] + [tc.rand(7).numpy()]
    tc.seed(5)
    captured = tc.capture(step)
    replayed = [captured(x).numpy() for _ in range(6)] + [tc.rand(7).numpy()]
    for a, b in zip(eager, replayed, strict=True):
        assert a.tobytes() == b.tobytes()


def test_results_are_the_callers_own(backend: Backend) -> None:
    double = tc.capture(lambda x: {"twice": x + x, "name": "d", "parts": (x * 3, None)})
    results = [double(tc.full((5,), float(i))) for i in range(6)]
    assert [r["twice"].tolist()[0] for r in results] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert [r["parts"][0].tolist()[0] for r in results] == [0.0, 3.0, 6.0, 9.0, 12.0, 15.0]
    assert results[-1]["name"] == "d"
    assert results[-1]["parts"][1] is None


@pytest.mark.parametrize("size", [3, 20_000])
def test_inputs_of_any_layout_and_kind(
    backend: Backend, size: int, rng: np.random.Generator
) -> None:
    """Small inputs are copied, large ones bound by address; strided ones are copied."""
    triple = tc.capture(lambda x: x * 3.0)
    values = rng.normal(size=(2, size)).astype("float32")
    for _ in range(3):
        triple(values[0])
    wide = np.repeat(values, 2, axis=1)
    for x in (values[0], values[1], wide[0, ::2], tc.tensor(values[1]), values[0]):
        wanted = 3 * (x.numpy() if isinstance(x, tc.Tensor) else x)
        assert triple(x).numpy().tobytes() == wanted.tobytes()
    assert len(triple.recordings) == 1
    for _ in range(4):  # float64 from the host becomes float32, as everywhere
        assert triple([1.0, 2.5]).tolist() == [3.0, 7.5]


def test_other_shapes_dtypes_and_numbers_have_recordings_of_their_own(backend: Backend) -> None:
    scale = tc.capture(lambda x, by=1.0: x * by)
    for _ in range(4):
        assert scale(tc.ones(3), by=2.0).tolist() == [2.0] * 3
        assert scale(tc.ones(2), by=2.0).tolist() == [2.0] * 2
        assert scale(tc.ones(3), by=4.0).tolist() == [4.0] * 3
        assert scale(tc.ones(3, dtype="float64")).tolist() == [1.0] * 3
    assert len(scale.recordings) == 4
    assert all(r.confirmed for r in scale.recordings)


def test_modes_and_changes_of_the_model_are_noticed(backend: Backend) -> None:
    model = network(6, 8, 3)
    forward = tc.capture(model)
    x = tc.ones(4, 6)
    for _ in range(4):
        forward(x)
    with tc.no_grad():
        expected = model.eval()(x).numpy()
        for _ in range(4):
            assert forward(x).numpy().tobytes() == expected.tobytes()
    found = len(forward.recordings)
    model.train()
    forward(x)
    model.eval()
    with tc.no_grad():
        assert forward(x).numpy().tobytes() == expected.tobytes()
    assert len(forward.recordings) == found
    for p in model.parameters():
        p.replace(np.zeros(p.shape, np.float32), tc.get_backend(backend))
    with tc.no_grad():
        assert not forward(x).numpy().any()
        model.to(dtype="float64")
        assert forward(np.ones((4, 6))).dtype == np.float64


def test_options_of_the_optimizer_are_noticed(backend: Backend) -> None:
    weight = tc.Parameter(np.ones(3, np.float32))
    optimizer = tc.SGD([weight], lr=1.0)

    @tc.capture
    def step() -> Any:
        optimizer.zero_grad()
        (weight * 0.0).sum().backward()
        optimizer.step()

    for _ in range(4):
        step()
    assert weight.tolist() == [1.0] * 3
    optimizer.groups[0].options["weight_decay"] = 0.5
    step()
    assert weight.tolist() == [0.5] * 3


def test_gradients_outside_the_step_are_as_after_an_eager_one(backend: Backend) -> None:
    """A captured forward and backward pass, with zero_grad and the update left to Python."""
    weight = tc.Parameter(np.array([1.0, 2.0], np.float32))
    optimizer = tc.SGD([weight], lr=0.5)

    @tc.capture
    def differentiate(x: Any) -> Any:
        loss = (weight * x).sum()
        loss.backward()
        return loss

    for i in range(5):
        optimizer.zero_grad()
        assert weight.grad is None
        differentiate(tc.full((2,), float(i)))
        assert weight.grad is not None
        assert weight.grad.tolist() == [float(i)] * 2
    for i in range(1, 5):  # added up, over as many calls
        differentiate(tc.ones(2))
        assert weight.grad.tolist() == [4.0 + i] * 2
    optimizer.step()
    assert weight.tolist() == [1.0 - 4.0, 2.0 - 4.0]


def test_leaves_made_inside_the_step(backend: Backend) -> None:
    """The gradient by the input, as for adversarial examples."""

    @tc.capture
    def slope(x: Any) -> Any:
        leaf = x.detach().requires_grad_()
        (leaf * leaf * leaf).sum().backward()
        return leaf.grad

    for i in range(6):
        assert slope(tc.full((3,), float(i))).tolist() == [3.0 * i * i] * 3
    assert len(slope.recordings) == 1


def test_a_value_read_inside_is_an_error_that_names_the_line(backend: Backend) -> None:
    @tc.capture
    def step(x: Any) -> Any:
        total = x.sum()
        if float(total) > 0:
            total = -total
        return total

    step(tc.ones(3))
    with pytest.raises(CaptureError, match=r"test_captured.py:\d+: a value is read inside"):
        step(tc.ones(3))
    # Nothing is left behind: the backend works on, and so does another capture.
    assert backend.recorder is None
    assert tc.capture(lambda x: x + 1)(tc.ones(1)).tolist() == [2.0]


def test_a_step_that_does_something_else_each_time_is_an_error(backend: Backend) -> None:
    count = iter(range(100))
    step = tc.capture(lambda x: x * float(next(count)))
    for _ in range(3):
        step(tc.ones(2))
    with pytest.raises(CaptureError, match=r"something else at every call.*value=2\.0.*value=3\.0"):
        step(tc.ones(2))
    noise = np.random.default_rng(0)
    noisy = tc.capture(lambda x: x + noise.normal(size=2))
    for _ in range(3):
        noisy(tc.ones(2))
    with pytest.raises(CaptureError, match="values that it copied in from the host changed"):
        noisy(tc.ones(2))


def test_arrays_must_not_outlive_the_step(backend: Backend) -> None:
    kept = []

    @tc.capture
    def step(x: Any) -> Any:
        kept.append(x * 2.0)
        return x + 1.0

    step(tc.ones(2))
    with pytest.raises(CaptureError, match=r"outlives it.*Return it from the step instead"):
        step(tc.ones(2))


def test_the_learning_rate_is_not_set_inside(backend: Backend) -> None:
    weight = tc.Parameter(np.ones(3, np.float32))
    optimizer = tc.SGD([weight], lr=1.0)

    @tc.capture
    def step() -> None:
        optimizer.lr = 0.5

    step()
    with pytest.raises(CaptureError, match="learning rate is set inside a captured step"):
        step()


def test_hooks_are_refused_and_errors_pass_through(backend: Backend) -> None:
    layer = tc.layers.Dense(3, 2)
    remove = layer.register_forward_hook(lambda *_: None)
    forward = tc.capture(layer)
    forward(tc.ones(1, 3))
    with pytest.raises(CaptureError, match="Dense has a hook"):
        forward(tc.ones(1, 3))
    remove()
    with pytest.raises(tc.errors.ShapeError, match="takes inputs"):
        forward(tc.ones(1, 4))
    assert backend.recorder is None


def test_what_it_takes_and_returns(backend: Backend) -> None:
    with pytest.raises(OptionError, match="pass arrays one by one"):
        tc.capture(lambda x: x)({"a": np.ones(2)})
    with pytest.raises(CaptureError, match=r"argument 1 .* requires a gradient"):
        tc.capture(lambda x: x)(tc.tensor([1.0], requires_grad=True))
    bad = tc.capture(lambda x: object())
    bad(tc.ones(1))
    with pytest.raises(CaptureError, match="returned object"):
        bad(tc.ones(1))
    many = tc.capture(lambda x, i: x * i)
    for i in range(33):
        many(tc.ones(1), float(i))
    with pytest.raises(CaptureError, match=r"recorded 32 times.*numbers that change as arrays"):
        many(tc.ones(1), 33.0)


def test_captures_nest(backend: Backend) -> None:
    inner = tc.capture(lambda x: x * 2.0)
    outer = tc.capture(lambda x: inner(x) + 1.0)
    for i in range(6):
        assert outer(tc.full((2,), float(i))).tolist() == [2.0 * i + 1.0] * 2


def test_threads_take_turns(backend: Backend) -> None:
    square = tc.capture(lambda x: x * x)
    for _ in range(3):
        square(tc.ones(1000))
    wrong = []

    def work(value: float) -> None:
        for _ in range(200):
            if square(tc.full((1000,), value)).tolist() != [value * value] * 1000:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(float(v),)) for v in (2, 3, 4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_print_shows_kernels_arrays_and_memory(backend: Backend) -> None:
    model = network(20, 64, 4)
    step = tc.capture(training_step(model, tc.Adam(model.parameters())))
    assert str(step) == "step: nothing recorded yet"
    for _ in range(3):
        step(*batch(np.random.default_rng(0), 16))
    text = str(step)
    for part in ("dense_forward(in0[16, 20], ext[20, 64]", "adam_update", "KiB", "MiB together"):
        assert part in text, text


def test_a_replay_allocates_nothing(backend: Backend, rng: np.random.Generator) -> None:
    model = network(20, 400, 300, 4)
    step = tc.capture(training_step(model, tc.Adam(model.parameters())))
    x, y = batch(rng, 256)
    for _ in range(4):
        step(x, y)
    (recording,) = step.recordings
    pool = backend.pool
    pool.peak = pool.in_use
    held = pool.held
    for _ in range(3):
        step(x, y)
    assert (pool.held, pool.peak) == (held, pool.in_use)
    # Memory is shared between arrays that are not needed at the same time.
    made = sum(_nbytes(p) for s in recording.steps for p in s.outputs if p and p.kind == "block")
    assert recording.peak_bytes < made


def _nbytes(place: Any) -> int:
    return int(np.prod(place.shape)) * np.dtype(place.dtype).itemsize


def test_reset_and_the_end_give_memory_back(backend: Backend, rng: np.random.Generator) -> None:
    gc.collect()  # what earlier tests left
    before = backend.pool.in_use
    square = tc.capture(lambda x: (x * x).sum())
    x = tc.tensor(rng.normal(size=(300, 300)))
    for _ in range(3):
        square(x)
    assert backend.pool.in_use > before + x.size * 4
    square.reset()
    assert backend.pool.in_use <= before + 2 * x.size * 4
    assert square(x).item() == pytest.approx((x.numpy() ** 2).sum(), rel=1e-4)


def test_compiled_replays_equal_eager_steps(backend: Backend, rng: np.random.Generator) -> None:
    """To rounding: the compiler knows the shapes, and may add in another order."""
    if not backend.compiles:
        with pytest.raises(CaptureError, match="does not compile recordings; use numba"):
            tc.capture(lambda x: x, compile=True)(tc.ones(1))
        return
    runs = []
    for captured in (False, True):
        tc.seed(3)
        model = network(20, 64, 48, 4)
        step = training_step(model, tc.AdamW(model.parameters(), lr=1e-2, clip_norm=0.5))
        if captured:
            step = tc.capture(step, compile=True)
        batches = np.random.default_rng(1)
        # 600 x 20 floats are bound by address, 30 x 20 copied.
        losses = [step(*batch(batches, size)).item() for size in (30, 600) * 6]
        runs.append((losses, model.state_dict()))
    (losses, weights), (compiled_losses, compiled_weights) = runs
    assert compiled_losses == pytest.approx(losses, rel=1e-4)
    for key, value in weights.items():
        # Adam's first steps are lr times a sign, which rounding can turn where a gradient is 0.
        np.testing.assert_allclose(compiled_weights[key], value, atol=2e-3, err_msg=key)

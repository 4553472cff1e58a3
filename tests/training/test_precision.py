"""Mixed precision, on the simulation of CUDA: autocast, fit in 16 bits, loss scaling."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet import backends
from tercet.autograd.precision import current
from tercet.backends import Backend
from tercet.backends.cuda_simulation import SimulatedRuntime, compiler
from tercet.backends.cupy_backend import CupyBackend
from tercet.data import load_digits
from tercet.errors import BackendError, DTypeError, OptionError
from tercet.kernels.spec import HALVES, dtype_named
from tercet.layers import BatchNorm1d, Dense, Dropout, GroupNorm, LayerNorm
from tercet.models import Sequential

from ..kernels.conformance import finfo

pytestmark = pytest.mark.skipif(compiler() is None, reason="the CUDA simulation needs g++")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """The backend called cupy is one on the simulation, and the current one."""
    monkeypatch.setitem(backends._made, "cupy", CupyBackend(runtime=SimulatedRuntime()))
    with tc.use_backend("cupy") as made:
        tc.seed(0)
        yield made


def eps(dtype: str) -> float:
    return float(finfo(dtype_named(dtype)).eps)


def counted(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The dtypes to which arrays are converted from here on."""
    seen: list[str] = []
    copy = backend.ops.copy

    def counting(x: Any, *, dtype: str, **options: Any) -> Any:
        if x.dtype.name != dtype:
            seen.append(dtype)
        return copy(x, dtype=dtype, **options)

    monkeypatch.setattr(backend.ops, "copy", counting)
    return seen


# --- What runs in which dtype --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", HALVES)
def test_products_are_16_bit_and_gradients_float32(backend: Backend, dtype: str) -> None:
    x = tc.tensor(np.random.default_rng(0).normal(size=(8, 5)), requires_grad=True)
    layer = Dense(5, 3, activation="gelu")
    w = tc.Parameter(np.random.default_rng(1).normal(size=(3, 2)))
    with tc.autocast(dtype):
        hidden = layer(x)
        out = hidden @ w
        loss = tc.mse_loss(out, np.zeros((8, 2)))
    assert (hidden.dtype.name, out.dtype.name) == (dtype, dtype)
    assert loss.dtype.name == "float32"
    loss.backward()
    for t in (x, layer.weight, layer.bias, w):
        assert t is not None
        assert t.grad is not None
        assert (t.dtype.name, t.grad.dtype.name) == ("float32", "float32")


def test_what_needs_a_large_range_is_float32(backend: Backend) -> None:
    x = tc.tensor(np.random.default_rng(0).normal(size=(4, 6)))
    w = tc.tensor(np.eye(6))
    with tc.autocast("bfloat16"):
        h = x @ w
        assert h.dtype.name == "bfloat16"
        for kept in (tc.relu(h), tc.dropout(h, 0.5), h * 2, h.max(), h[1:], h.reshape(24), -h):
            assert kept.dtype.name == "bfloat16"
        wide = [tc.softmax(h), tc.log_softmax(h), h.sum(), h.mean(axis=0), h.var(), h.exp(),
                h.log1p(), h**3, tc.cross_entropy(h, [0, 1, 2, 3]), h + x, x * h,
                tc.where(h > 0, h, x), tc.concatenate([h, x])]  # fmt: skip
        assert [t.dtype.name for t in wide] == ["float32"] * len(wide)
    # Outside a block a 16-bit tensor is computed with as it is.
    assert tc.softmax(h).dtype.name == tc.relu(h).dtype.name == "bfloat16"


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_gradients_agree_with_float64(backend: Backend, dtype: str, activation: str) -> None:
    """Within ten roundings of eps / 2: operands, products, activations, gradients, by layer."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 12)), rng.normal(size=(64, 4))
    shapes = (12, 8), (8, 16), (16, 4), (4, 4)
    arrays = [rng.normal(size=s) / s[0] ** 0.5 for s in shapes]

    def gradients(name: str, precision: str, floats: str) -> list[np.ndarray]:
        with tc.use_backend(name), tc.autocast(precision):
            params = [tc.Parameter(a, dtype=floats) for a in arrays]
            h = tc.tensor(x, floats)
            for w in params[:3]:
                h = tc.dense(h, w, activation=activation)
            loss = tc.mse_loss(h @ params[3], y)
        loss.backward()
        return [p.grad.numpy() for p in params if p.grad is not None]

    wanted = gradients("numpy", "float32", "float64")
    for got, want in zip(gradients("cupy", dtype, "float32"), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=5 * eps(dtype) * np.abs(want).max())


@pytest.mark.parametrize("dtype", HALVES)
def test_normalization_takes_16_bits_and_keeps_its_statistics_in_float32(
    backend: Backend, dtype: str
) -> None:
    rng = np.random.default_rng(0)
    layers = (BatchNorm1d(6), LayerNorm(6), GroupNorm(2, 6))
    values = rng.normal(size=(8, 6)) + 3
    with tc.autocast(dtype):
        for layer in layers:
            x = tc.tensor(values, dtype=dtype, requires_grad=True)
            wide = tc.tensor(x.numpy().astype("float32"), requires_grad=True)
            for given in (x, wide):
                layer.zero_grad()
                out = layer(given)
                assert out.dtype == given.dtype
                out.sum().backward()
                assert given.grad.dtype == given.dtype
                assert layer.weight.grad.dtype == np.float32
            found, wanted = layer(x).numpy(), layer(wide).numpy()
            # One rounding of numbers up to about 3.
            np.testing.assert_allclose(found.astype(float), wanted, atol=2 * eps(dtype))
    assert layers[0].running_mean.dtype == np.float32


def test_casts_are_differentiated(backend: Backend) -> None:
    x = tc.tensor([1.0, -2.0, 3.0], requires_grad=True)
    half = x.astype("bfloat16")
    (half * half).astype("float32").sum().backward()
    assert x.grad is not None
    assert (half.dtype.name, x.grad.dtype.name) == ("bfloat16", "float32")
    assert x.grad.tolist() == [2.0, -4.0, 6.0]


def test_16_bit_tensors_without_autocast(backend: Backend) -> None:
    """Gradients of tensors that are 16-bit themselves are 16-bit."""
    x = tc.tensor(np.ones((2, 3)), "float16")
    w = tc.tensor(np.ones((3, 2)), "float16", requires_grad=True)
    b = tc.tensor(np.zeros(2), "float16", requires_grad=True)
    for _ in range(2):
        (tc.dense(x, w, b) @ w.T).sum().backward()
    for t, expected in ((w, [[24.0] * 2] * 3), (b, [12.0] * 2)):
        assert t.grad is not None
        assert (t.grad.dtype.name, t.grad.tolist()) == ("float16", expected)
    with pytest.raises(DTypeError, match="of one dtype"):
        tc.dense(x, w.astype("float32"))
    with pytest.raises(DTypeError, match="float16 and bfloat16 meet"):
        w * w.astype("bfloat16")


def test_one_16_bit_format_in_a_block_of_the_other(backend: Backend) -> None:
    x = tc.tensor(np.ones((2, 3)), "bfloat16", requires_grad=True)
    w = tc.tensor(np.ones((3, 2)), "bfloat16", requires_grad=True)
    with tc.autocast("float16"):
        out = tc.dense(x, w) + x @ w
    out.astype("float32").sum().backward()
    assert out.dtype.name == "float16"
    for t, expected in ((x, 4.0), (w, 4.0)):
        assert t.grad is not None
        assert t.grad.dtype.name == "bfloat16"
        np.testing.assert_array_equal(t.grad.numpy().astype(float), expected)


def test_float64_is_left_alone(backend: Backend) -> None:
    layer = Dense(3, 2, dtype="float64")
    with tc.autocast("bfloat16"):
        assert layer(np.ones((1, 3))).dtype.name == "float64"


def test_blocks_nest_and_decorate(backend: Backend) -> None:
    layer, x = Dense(3, 2), tc.ones(1, 3)

    @tc.autocast("float16")
    def run() -> str:
        return layer(x).dtype.name

    with tc.autocast("bfloat16"):
        with tc.autocast("float32"):
            assert layer(x).dtype.name == "float32"
        assert (run(), current()) == ("float16", "bfloat16")
        assert layer(x).dtype.name == "bfloat16"
    assert (current(), layer(x).dtype.name) == ("float32", "float32")


# --- Copies of parameters ------------------------------------------------------------------------


def test_parameters_are_rounded_once_a_step(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Sequential(Dense(4, 4), Dense(4, 4))
    optimizer = tc.SGD(model.parameters(), lr=0.1)
    x = tc.ones(2, 4)
    seen = counted(backend, monkeypatch)
    for _ in range(3):
        optimizer.zero_grad()
        with tc.autocast("bfloat16"):
            loss = tc.mse_loss(model(model(x)), np.zeros((2, 4)))
        loss.backward()
        optimizer.step()
        # The input, all parameters in their flat buffer; the last output, and its gradient.
        assert seen == ["bfloat16", "bfloat16", "float32", "bfloat16"]
        seen.clear()


def test_parameters_that_change_inside_a_block_are_rounded_anew(backend: Backend) -> None:
    layer = Dense(2, 1, bias=False, weight_init="ones")
    optimizer = tc.SGD(layer.parameters(), lr=1.0)
    x = tc.tensor([[1.0, 1.0]])
    with tc.autocast("bfloat16"):
        loss = layer(x).sum()
        loss.backward()
        optimizer.step()
        assert layer(x).item() == 0.0
        layer.load_state_dict({"weight": np.full((2, 1), 3.0)})
        assert layer(x).item() == 6.0
        assert layer.weight is not None
        layer.weight.replace(np.full((2, 1), 4.0))
        assert layer(x).item() == 8.0


def test_data_is_not_kept_until_the_end_of_a_block(backend: Backend) -> None:
    layer = Dense(512, 4)
    used = []
    with tc.autocast("bfloat16"), tc.no_grad():
        for _ in range(4):
            layer(tc.ones(512, 512))  # 1 MiB, and half of that in 16 bits
            used.append(backend.memory_summary())
    assert len(set(used)) == 1


@pytest.mark.parametrize("dtype", HALVES)
def test_a_step_neither_reads_back_nor_copies_in(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """What a CUDA graph could not hold."""
    model = Sequential(Dense(4, 8, activation="relu"), Dense(8, 3))
    optimizer = tc.AdamW(model.parameters(), clip_norm=1.0)
    scaler = tc.LossScaler()
    x, y = tc.ones(6, 4), tc.tensor([0, 1, 2, 0, 1, 2])

    def step() -> None:
        optimizer.zero_grad()
        with tc.autocast(dtype):
            loss = tc.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    def refuse(*_: Any) -> Any:
        raise AssertionError("between host and device")

    step()
    monkeypatch.setattr(backend, "asarray", refuse)
    monkeypatch.setattr(backend, "to_numpy", refuse)
    step()


# --- fit -----------------------------------------------------------------------------------------


def trained(name: str, precision: str, epochs: int = 1, **options: Any) -> tuple[Any, Sequential]:
    digits = load_digits()
    with tc.use_backend(name):
        tc.seed(0)
        model = Sequential(
            tc.layers.Flatten(),
            Dense(24, activation="gelu", weight_regularizer=tc.L2(1e-3)),
            Dropout(0.2),
            Dense(10),
        )
        model.compile(
            tc.AdamW(lr=0.01, clip_norm=1.0), "cross_entropy", ["accuracy"], precision=precision
        )
        history = model.fit(
            digits.x_train[:320],
            digits.y_train[:320],
            epochs=epochs,
            validation_data=(digits.x_test[:40], digits.y_test[:40]),
            verbose=0,
            **options,
        )
    return history, model


def test_an_epoch_in_bfloat16_follows_float32(backend: Backend, tmp_path: Path) -> None:
    history, model = trained("cupy", "bfloat16")
    expected, _ = trained("numpy", "float32")
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(history[name], expected[name], rtol=2e-2)
    assert {p.dtype.name for p in model.parameters()} == {"float32"}
    x = load_digits().x_test[:20]
    outputs = model.predict(x)
    assert outputs.dtype == np.float32
    model.save(tmp_path / "m")
    for name in ("cupy", "numpy"):  # a saved model is one in float32, to be used anywhere
        same = tc.load(tmp_path / "m", name)
        np.testing.assert_allclose(same.predict(x), outputs, atol=2e-2 * np.abs(outputs).max())
        for key, value in model.state_dict().items():
            np.testing.assert_array_equal(same.state_dict()[key], value)


def test_tf32_is_set_while_fit_runs(backend: Backend) -> None:
    seen = []
    watch = tc.LambdaCallback(
        on_epoch_end=lambda trainer, epoch, logs: seen.append(backend.runtime.tf32)  # type: ignore
    )
    trained("cupy", "tf32", callbacks=[watch])
    trained("cupy", "float32", callbacks=[watch])
    assert seen == [True, False]
    assert not backend.tf32


# --- Errors --------------------------------------------------------------------------------------

USES: dict[str, Callable[[], Any]] = {
    "autocast": lambda: tc.autocast("bfloat16")(tc.matmul)(tc.ones(2, 2), tc.ones(2, 2)),
    "fit": lambda: trained("numpy", "bfloat16"),
    "fit in tf32": lambda: trained("numpy", "tf32"),
}


@pytest.mark.parametrize("use", USES)
def test_backends_without_16_bits_say_so(use: str) -> None:
    message = r"the numpy backend computes in float32 and float64; .* needs an NVIDIA GPU\. Use"
    with tc.use_backend("numpy"), pytest.raises(BackendError, match=message):
        USES[use]()


@pytest.mark.parametrize("dtype", HALVES)
def test_16_bit_tensors_need_a_backend_that_takes_them(dtype: str) -> None:
    message = rf"the numpy backend computes in float32 and float64, found {dtype}\. Convert with"
    with tc.use_backend("numpy"):
        for make in (
            lambda: tc.tensor([1.0], dtype),
            lambda: tc.ones(2).astype(dtype),
            lambda: tc.zeros(2, dtype=dtype),
        ):
            with pytest.raises(DTypeError, match=message):
                make()


def test_unknown_precisions_are_refused() -> None:
    with pytest.raises(OptionError, match="unknown autocast dtype 'half'; expected one of"):
        tc.autocast("half")
    model = Sequential(Dense(2, 1))
    with pytest.raises(OptionError, match=r"unknown precision 'bf16'; .* Did you mean"):
        model.compile(loss="mse", precision="bf16")
    with pytest.raises(DTypeError, match=r"float32 or float64, found float16; to compute in 16"):
        model.to(dtype="float16")


def test_float64_parameters_are_refused(backend: Backend) -> None:
    model = Sequential(Dense(2, 1, dtype="float64"))
    model.compile(loss="mse", precision="bfloat16")
    with pytest.raises(OptionError, match="is for float32 parameters, found float64"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)


# --- Loss scaling --------------------------------------------------------------------------------


def test_an_epoch_in_float16_follows_float32(backend: Backend) -> None:
    history, model = trained("cupy", "float16")
    expected, _ = trained("numpy", "float32")
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(history[name], expected[name], rtol=2e-2)
    assert model.trainer is not None
    assert model.trainer.optimizer.groups[0].steps == 10


def test_a_step_that_overflows_changes_nothing_and_halves_the_scale(backend: Backend) -> None:
    """Float16 ends at 65504: a gradient of the size of 1 times 2^18 is beyond it, 2^14 is not."""
    layer = Dense(4, 3)
    optimizer = tc.AdamW(layer.parameters(), lr=0.1, clip_norm=1.0)
    scaler = tc.LossScaler(init_scale=2.0**18)
    x = np.ones((2, 4), np.float32)

    def step() -> None:
        optimizer.zero_grad()
        with tc.autocast("float16"):
            loss = layer(x).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    def values() -> list[np.ndarray]:
        return [*layer.state_dict().values(), *optimizer.state_dict().values()]

    before = values()
    for scale in (2.0**17, 2.0**16, 2.0**15):
        step()
        assert scaler.get_scale() == scale
        for now, then in zip(values(), before, strict=True):
            np.testing.assert_array_equal(now, then)
    step()
    assert (scaler.get_scale(), optimizer.groups[0].steps) == (2.0**15, 1)
    weight = layer.state_dict()["weight"]
    assert np.isfinite(weight).all()
    assert (weight < before[0]).all()  # Adam's first step is lr for every weight, downwards


@pytest.mark.parametrize("precision", HALVES)
def test_replayed_steps_are_the_steps_of_python(backend: Backend, precision: str) -> None:
    """Bit for bit; in float16 with steps among them that overflow."""

    def run(capture: bool) -> tuple[list[np.ndarray], Any]:
        tc.seed(0)
        model = Sequential(Dense(6, 8, activation="gelu"), Dropout(0.3), Dense(8, 3))
        model.compile(tc.AdamW(lr=0.01, clip_norm=1.0), precision=precision)
        assert model.trainer is not None
        if precision == "float16":
            model.trainer.scaler = tc.LossScaler(2.0**22, growth_interval=4)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(96, 6)), rng.integers(0, 3, size=96)
        history = model.fit(x, y, epochs=2, batch_size=8, verbose=0, capture=capture)
        values = [np.array(history["loss"]), *model.state_dict().values()]
        values += model.trainer.optimizer.state_dict().values()
        return values, model.trainer

    eager, _ = run(False)
    replayed, trainer = run(True)
    for got, want in zip(replayed, eager, strict=True):
        np.testing.assert_array_equal(got, want)
    captured = trainer._train_batch._captured
    assert captured.problem is None
    assert [r.confirmed for r in captured.recordings] == [True]
    if precision == "float16":
        assert 0 < trainer.optimizer.groups[0].steps < 24


def test_scaling_saves_small_gradients(backend: Backend) -> None:
    """A gradient of 1e-8 is below float16's smallest number, 6e-8."""

    def gradient(scale: float) -> float:
        w = tc.Parameter(np.ones((1, 1)))
        optimizer, scaler = tc.SGD([w], lr=1.0), tc.LossScaler(scale)
        with tc.autocast("float16"):
            loss = (tc.ones(1, 1) @ w).astype("float32").sum() * 1e-8
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        assert w.grad is not None
        return w.grad.item()

    assert gradient(1.0) == 0.0
    assert gradient(2.0**16) == pytest.approx(1e-8, rel=eps("float16"))


@pytest.fixture(params=["cupy", "numpy"])
def anywhere(request: pytest.FixtureRequest, backend: Backend) -> Iterator[Backend]:
    """The simulation, and a backend that has float32 only: a scaler works there, too."""
    with tc.use_backend(request.param) as made:
        yield made


def scaled_training(scaler: tc.LossScaler | None, capture: bool = False) -> list[np.ndarray]:
    tc.seed(0)
    model = Sequential(Dense(5, 8, activation="tanh"), Dense(8, 1))
    optimizer = tc.AdamW(model.parameters(), lr=0.01, clip_norm=0.1)
    rng = np.random.default_rng(0)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = tc.mse_loss(model(x), y)
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        return loss

    run = tc.capture(step) if capture else step
    for number in range(12):
        x, y = rng.normal(size=(2, 16, 5)).astype(np.float32)
        # A bad step; without a scaler it is left out by hand.
        if number == 7:
            if scaler is None:
                continue
            x[3, 2] = np.inf
        run(x, y[:, :1])
    return [*model.state_dict().values(), *optimizer.state_dict().values()]


def test_a_scaled_training_is_the_training(anywhere: Backend) -> None:
    """Bit for bit, because scales are powers of two; a bad step is as if it had not been."""
    scaler = tc.LossScaler(1024.0, growth_interval=5)
    for got, want in zip(scaled_training(scaler), scaled_training(None), strict=True):
        np.testing.assert_array_equal(got, want)
    assert scaler.get_scale() == 1024.0 * 2 / 2  # grown after 5, halved at the 8th; 4 good since
    assert scaler.state_dict()["good_steps"] == 4


def test_a_captured_step_follows_the_scale() -> None:
    with tc.use_backend("numpy"):
        scalers = tc.LossScaler(1024.0, growth_interval=5), tc.LossScaler(1024.0, growth_interval=5)
        eager = scaled_training(scalers[0])
        for got, want in zip(scaled_training(scalers[1], capture=True), eager, strict=True):
            np.testing.assert_array_equal(got, want)
        assert scalers[0].state_dict() == scalers[1].state_dict()


def test_the_state_of_a_scaler_goes_on(anywhere: Backend) -> None:
    first, second = tc.LossScaler(growth_interval=3), tc.LossScaler(growth_interval=3)
    first.scale(tc.ones(1))
    first.update()
    second.scale(tc.ones(1))
    second.load_state_dict(first.state_dict())
    for scaler in (first, second):
        scaler.update()
        scaler.update()
        assert scaler.get_scale() == 2.0**17
    with pytest.raises(tc.errors.CheckpointError, match="holds scale and good_steps, found lr"):
        first.load_state_dict({"lr": np.ones(())})


WRONG = [
    ({"init_scale": 0.0}, "init_scale must be positive and finite, found 0.0"),
    ({"growth_factor": 1.0}, "growth_factor must be above 1, found 1.0"),
    ({"backoff_factor": 1.0}, r"backoff_factor must be in \(0, 1\), found 1.0"),
    ({"growth_interval": 0}, "growth_interval must be at least 1, found 0"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_of_a_scaler_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        tc.LossScaler(**options)


def test_gradients_are_unscaled_once_a_step() -> None:
    w = tc.Parameter([1.0])
    optimizer, scaler = tc.SGD([w]), tc.LossScaler()
    scaler.scale((w * w).sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(OptionError, match=r"unscaled in this step already; call update\(\)"):
        scaler.unscale_(optimizer)

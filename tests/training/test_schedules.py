"""Learning-rate schedules against PyTorch's, and inside `fit`."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import tercet as tc
from tercet.errors import OptionError
from tercet.training.schedules import (
    CosineAnnealingLR,
    CosineLR,
    ExponentialLR,
    LambdaLR,
    LinearWarmup,
    MultiStepLR,
    ReduceLROnPlateau,
    StepLR,
)

torch = pytest.importorskip("torch")
theirs = torch.optim.lr_scheduler

STEPS = 30
BASES = ([0.1], [0.3, 0.007, 1.0])
wave = lambda t: 1 / (1 + t) + 0.1 * math.sin(t)  # noqa: E731

CASES = {
    "step": (lambda o: StepLR(o, 4, 0.3), lambda o: theirs.StepLR(o, 4, 0.3)),
    "step defaults": (lambda o: StepLR(o), lambda o: theirs.StepLR(o, 10)),
    "multistep": (
        lambda o: MultiStepLR(o, [12, 3, 3, 20], 0.5),
        lambda o: theirs.MultiStepLR(o, [12, 3, 3, 20], 0.5),
    ),
    "no milestones": (lambda o: MultiStepLR(o), lambda o: theirs.MultiStepLR(o, [])),
    "exponential": (lambda o: ExponentialLR(o, 0.8), lambda o: theirs.ExponentialLR(o, 0.8)),
    "growing": (lambda o: ExponentialLR(o, 1.1), lambda o: theirs.ExponentialLR(o, 1.1)),
    "cosine": (
        lambda o: CosineAnnealingLR(o, STEPS + 4, 0.002),
        lambda o: theirs.CosineAnnealingLR(o, STEPS + 4, 0.002),
    ),
    "lambda": (lambda o: LambdaLR(o, wave), lambda o: theirs.LambdaLR(o, wave)),
    "warmup": (
        lambda o: LinearWarmup(o, 8, 0.25),
        lambda o: theirs.LinearLR(o, 0.25, total_iters=8),
    ),
    "warmup, then exponential": (
        lambda o: LinearWarmup(o, 5, 0.1, then=ExponentialLR(gamma=0.9)),
        lambda o: theirs.LambdaLR(o, lambda t: 0.1 + 0.18 * t if t < 5 else 0.9 ** (t - 5)),
    ),
}


def pair(bases: list):
    """An optimizer of ours and one of PyTorch's with the same learning rates."""
    mine = tc.SGD([{"params": [tc.Parameter([1.0])], "lr": lr} for lr in bases], lr=1.0)
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in bases]
    return mine, torch.optim.SGD(groups, lr=1.0)


def lrs(optimizer: tc.Optimizer) -> list:
    return [g.lr for g in optimizer.groups]


@pytest.mark.parametrize("bases", BASES, ids=["one group", "three groups"])
@pytest.mark.parametrize("name", CASES)
def test_follows_pytorch(name: str, bases: list) -> None:
    mine, other = pair(bases)
    ours, reference = CASES[name][0](mine), CASES[name][1](other)
    for _ in range(STEPS):
        # PyTorch multiplies step by step: 30 roundings of 1.1e-16 each, far below 1e-12.
        np.testing.assert_allclose(
            lrs(mine), [g["lr"] for g in other.param_groups], rtol=1e-12
        )  # fmt: skip
        ours.step()
        other.step()
        reference.step()
    assert ours.t == STEPS


def test_cosine_ends_at_its_minimum_and_stays() -> None:
    mine, _ = pair([0.1])
    schedule = CosineLR(mine, T_max=6, eta_min=0.004)
    seen = []
    for _ in range(12):
        seen.append(mine.lr)
        schedule.step()
    assert seen[0] == pytest.approx(0.1, rel=1e-15)
    assert seen[3] == pytest.approx(0.052, rel=1e-12)
    assert all(a > b for a, b in pairwise(seen[:7]))
    assert seen[6:] == pytest.approx([0.004] * 6, rel=1e-12)


def test_warmup_then_cosine_to_its_minimum() -> None:
    mine, _ = pair([0.5, 0.02])
    ours = LinearWarmup(
        mine, steps=4, start_factor=0.0, then=CosineAnnealingLR(T_max=26, eta_min=0.01)
    )
    for t in range(STEPS):
        for g, base in zip(mine.groups, [0.5, 0.02], strict=True):
            if t < 4:
                expected = base * t / 4
            else:
                expected = 0.01 + (base - 0.01) * (1 + math.cos(math.pi * (t - 4) / 26)) / 2
            assert g.lr == pytest.approx(expected, rel=1e-12)
        ours.step()


def test_warmup_alone_and_nested() -> None:
    mine, _ = pair([2.0])
    ours = LinearWarmup(mine, 2, 0.5, then=LinearWarmup(steps=2, start_factor=0.1))
    seen = []
    for _ in range(6):
        seen.append(mine.lr)
        ours.step()
    assert seen == pytest.approx([1.0, 1.5, 0.2, 1.1, 2.0, 2.0], rel=1e-12)


PLATEAU = {
    "patience 0": {"patience": 0},
    "patience 2": {"patience": 2, "factor": 0.5},
    "cooldown": {"patience": 1, "cooldown": 3, "factor": 0.7},
    "threshold": {"patience": 2, "threshold": 0.2},
    "least": {"patience": 0, "min_lr": 0.01, "factor": 0.3},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("name", PLATEAU)
def test_plateau_follows_pytorch(name: str, mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    trend = np.linspace(0, 2, 80)
    values = rng.uniform(1, 3, 80) + (2 - trend if mode == "min" else trend)
    mine, other = pair([0.3, 0.05])
    ours = ReduceLROnPlateau(mine, mode=mode, **PLATEAU[name])
    # PyTorch leaves changes below eps out; tercet has no such option.
    reference = theirs.ReduceLROnPlateau(other, mode=mode, eps=0.0, **PLATEAU[name])
    reductions = 0
    for value in values:
        before = mine.lr
        ours.step(float(value))
        reference.step(float(value))
        reductions += mine.lr < before
        np.testing.assert_allclose(lrs(mine), [g["lr"] for g in other.param_groups], rtol=1e-12)
    assert reductions > 1


def test_plateau_with_nan_and_infinity() -> None:
    values = [math.inf, math.nan, 4.0, 3.0, math.nan, math.inf, 2.0, 2.0, 2.0, 1.0]
    mine, other = pair([1.0])
    ours = ReduceLROnPlateau(mine, patience=1, factor=0.5)
    reference = theirs.ReduceLROnPlateau(other, patience=1, factor=0.5, eps=0.0)
    # PyTorch counts a first infinity as no improvement: begin after it.
    ours.step(values[0])
    seen = []
    for value in values[1:]:
        ours.step(value)
        reference.step(value)
        assert mine.lr == other.param_groups[0]["lr"]
        seen.append(mine.lr)
    assert seen == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_plateau_auto_mode_and_fit(backend) -> None:
    mine, _ = pair([1.0])
    ours = ReduceLROnPlateau(mine, "val_accuracy", patience=0, factor=0.5)
    for value in (0.1, 0.2, 0.3):
        ours.step(value)
    assert mine.lr == 1.0
    ours.step(0.2)
    assert mine.lr == 0.5
    model, x, y = regression()
    # With lr = 0 nothing ever improves: one reduction for each epoch after the first two.
    model.compile(optimizer=tc.SGD(lr=1e-30), loss="mse")
    callback = ReduceLROnPlateau(monitor="loss", patience=1, factor=0.5)
    seen = recorder()
    model.fit(x, y, epochs=6, shuffle=False, verbose=0, callbacks=[callback, seen])
    assert seen.epochs == [1e-30, 1e-30, 5e-31, 5e-31, 2.5e-31, 2.5e-31]


def regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3)).astype(np.float32)
    model = tc.models.Sequential([tc.layers.Dense(3, 1)])
    return model, x, x.sum(axis=1)


class recorder(tc.Callback):
    """The learning rate used in each step, and that after each epoch."""

    def __init__(self) -> None:
        self.steps: list = []
        self.epochs: list = []

    def on_epoch_end(self, trainer, epoch, logs) -> None:
        self.epochs.append(trainer.optimizer.lr)

    def on_step_end(self, trainer, step, logs) -> None:
        self.steps.append(trainer.optimizer.lr)


@pytest.mark.parametrize("per", ["step", "epoch"])
@pytest.mark.parametrize("bound", ["by fit", "by hand", "before the optimizer has parameters"])
def test_in_fit(backend, per: str, bound: str) -> None:
    model, x, y = regression()
    optimizer = tc.SGD(model.parameters() if bound == "by hand" else None, lr=0.1)
    model.compile(optimizer=optimizer, loss="mse")
    given = None if bound == "by fit" else optimizer
    schedule = LinearWarmup(given, steps=4, start_factor=0.2, per=per)
    seen = recorder()
    # The recorder stands first: it sees the rate that the step was made with.
    model.fit(x, y, epochs=3, batch_size=5, verbose=0, callbacks=[seen, schedule])
    time = range(12) if per == "step" else [e for e in range(3) for _ in range(4)]
    expected = [0.1 * min(0.2 + 0.2 * t, 1.0) for t in time]
    assert seen.steps == pytest.approx(expected, rel=1e-12)
    # A second fit goes on where the first ended.
    t = schedule.t
    assert t == (12 if per == "step" else 3)
    model.fit(x, y, epochs=1, batch_size=5, verbose=0, callbacks=[seen, schedule])
    assert seen.steps[12] == pytest.approx(0.1 * min(0.2 + 0.2 * t, 1.0), rel=1e-12)


def test_the_scheduled_rate_is_the_one_that_moves_the_weights(backend) -> None:
    w = tc.Parameter([0.0], dtype="float64")
    optimizer = tc.SGD([w], lr=1.0)
    schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    for _ in range(6):
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()
        schedule.step()
    assert w.item() == -(1 + 1 + 0.5 + 0.5 + 0.25 + 0.25)


@pytest.mark.parametrize("name", CASES)
def test_state_goes_on(name: str) -> None:
    straight, _ = pair([0.3, 0.01])
    first, _ = pair([0.3, 0.01])
    second, _ = pair([7.0, 8.0])
    ours, saved, loaded = (CASES[name][0](o) for o in (straight, first, second))
    for _ in range(7):
        ours.step()
        saved.step()
    loaded.load_state_dict(json.loads(json.dumps(saved.state_dict())))
    for _ in range(10):
        assert lrs(second) == lrs(straight)
        loaded.step()
        ours.step()


def test_a_loaded_state_goes_on_in_fit(backend) -> None:
    model, x, y = regression()
    model.compile(optimizer=tc.SGD(lr=1.0), loss="mse")
    schedule, seen = ExponentialLR(gamma=0.5), recorder()
    schedule.load_state_dict({"t": 3, "base_lrs": [0.8]})
    model.fit(x, y, epochs=5, initial_epoch=3, batch_size=20, verbose=0, callbacks=[seen, schedule])
    assert seen.steps == pytest.approx([0.1, 0.05], rel=1e-12)


def test_errors() -> None:
    mine, _ = pair([0.1])
    for make, message in (
        (lambda: StepLR(mine, 0), "StepLR: step_size must be positive, found 0"),
        (lambda: StepLR(mine, gamma=-1.0), "StepLR: gamma must be positive, found -1.0"),
        (lambda: MultiStepLR(mine, [1], 0.0), "MultiStepLR: gamma must be positive"),
        (lambda: ExponentialLR(mine, math.nan), "ExponentialLR: gamma must be positive, found nan"),
        (lambda: CosineLR(mine, 0), "CosineAnnealingLR: T_max must be positive, found 0"),
        (lambda: LinearWarmup(mine, 0), "LinearWarmup: steps must be positive, found 0"),
        (lambda: StepLR(mine, per="steps"), "unknown value of per 'steps'.*Did you mean 'step'"),
        (lambda: StepLR(10), "StepLR schedules an optimizer, found int; name the other arguments"),
        (lambda: StepLR().step(), "StepLR: pass the optimizer when making it"),
        (lambda: ReduceLROnPlateau(mine, factor=1.0), r"factor must be in \(0, 1\), found 1.0"),
        (lambda: ReduceLROnPlateau(mine, mode="up"), "unknown mode 'up'"),
        (lambda: ReduceLROnPlateau().step(1.0), "ReduceLROnPlateau: pass the optimizer"),
    ):
        with pytest.raises(OptionError, match=message):
            make()


def test_groups_that_do_not_fit_the_base_rates() -> None:
    two, _ = pair([0.3, 0.01])
    with pytest.raises(OptionError, match=r"StepLR: expected an optimizer of 1 .*found 2"):
        StepLR(two).load_state_dict({"t": 3, "base_lrs": [0.3]})


def test_warmup_and_what_follows_count_alike() -> None:
    with pytest.raises(OptionError, match=r"counts per 'step', CosineAnnealingLR .* per 'epoch'"):
        LinearWarmup(steps=500, then=CosineAnnealingLR(T_max=10), per="step")
    then = CosineAnnealingLR(T_max=10, per="step")
    assert LinearWarmup(steps=500, then=then, per="step").factor(510) == 0.0


def test_plateau_refuses_a_mode_as_monitor() -> None:
    """ReduceLROnPlateau(optimizer, "max") is PyTorch's order of arguments."""
    with pytest.raises(OptionError, match=r"found 'max'; the direction is mode='max'"):
        ReduceLROnPlateau(pair([0.1])[0], "max")


def test_plateau_state_goes_on() -> None:
    values = [3.0, 2.0, 2.5, 2.5, 2.5, 1.0, 1.5, 1.5, 1.5, 1.5]
    straight, _ = pair([1.0])
    ours = ReduceLROnPlateau(straight, patience=1, cooldown=2, factor=0.5)
    for cut in range(len(values)):
        resumed, _ = pair([straight.lr])
        loaded = ReduceLROnPlateau(resumed, patience=1, cooldown=2, factor=0.5)
        loaded.load_state_dict(json.loads(json.dumps(ours.state_dict())))
        ours.step(values[cut])
        loaded.step(values[cut])
        assert resumed.lr == straight.lr
        assert json.dumps(loaded.state_dict()) == json.dumps(ours.state_dict())
    assert straight.lr == 0.25


def test_a_loaded_plateau_goes_on_in_fit(backend) -> None:
    model, x, y = regression()
    model.compile(optimizer=tc.SGD(lr=1e-30), loss="mse")
    plateau = ReduceLROnPlateau(monitor="loss", patience=1, factor=0.5)
    plateau.load_state_dict({"best": 0.0, "waited": 1, "cooling": 0})
    model.fit(x, y, epochs=1, verbose=0, callbacks=[plateau])
    assert model.trainer.optimizer.lr == 5e-31
    # A further fit begins anew, as before.
    model.fit(x, y, epochs=2, initial_epoch=1, verbose=0, callbacks=[plateau])
    assert model.trainer.optimizer.lr == 5e-31

"""Learning-rate schedules: callbacks of `fit`, and schedulers of hand-written loops.

    model.fit(..., callbacks=[StepLR(step_size=10)])          every epoch, or per="step"

    scheduler = StepLR(optimizer, step_size=10)               as in PyTorch
    ... optimizer.step() ... scheduler.step()

Each is a multiple of every group's base learning rate as a function of time t, in closed form.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, choose
from .callbacks import Callback, Logs, Monitor
from .optimizers import Optimizer

if TYPE_CHECKING:
    from .trainer import Trainer


class Schedule(Callback):
    """Base of the schedules: a subclass gives the factor at time t = 0, 1, 2, ...

    `per` says what `fit` counts as time: "epoch" or "step". A base learning rate is what the
    group had when the schedule was bound to its optimizer.
    """

    def __init__(self, optimizer: Optimizer | None = None, *, per: str = "epoch") -> None:
        if per not in ("epoch", "step"):
            raise OptionError(choose("value of per", per, ("epoch", "step")))
        self.per, self.t = per, 0
        self.optimizer: Optimizer | None = None
        self.base_lrs: list[float] = []
        if optimizer is not None:
            self.bind(optimizer)

    def factor(self, t: int) -> float:
        """The multiple of the base learning rate at time t."""
        raise NotImplementedError

    def bind(self, optimizer: Optimizer) -> None:
        """Take the optimizer's learning rates as base, and set those of t = 0."""
        if not isinstance(optimizer, Optimizer):
            raise OptionError(
                f"{type(self).__name__} schedules an optimizer, found {type(optimizer).__name__}; "
                "name the other arguments"
            )
        self.optimizer, self.t = optimizer, 0
        self.base_lrs = [g.lr for g in optimizer.groups] or [optimizer.lr]
        self._apply()

    def step(self) -> None:
        """One unit of time has passed."""
        if self.optimizer is None:
            raise OptionError(f"{type(self).__name__}: pass the optimizer when making it")
        self.t += 1
        self._apply()

    def _lr(self, base: float) -> float:
        return base * self.factor(self.t)

    def _apply(self) -> None:
        assert self.optimizer is not None
        groups = self.optimizer.groups
        if groups and len(groups) != len(self.base_lrs):
            raise OptionError(
                f"{type(self).__name__}: expected an optimizer of {len(self.base_lrs)} parameter "
                f"groups, found {len(groups)}. Use the groups that the state was saved with, or "
                "bind the schedule after the optimizer has its parameters"
            )
        for g, base in zip(groups, self.base_lrs, strict=False):
            g.lr = self._lr(base)

    def on_train_begin(self, trainer: Trainer) -> None:
        if self.optimizer is None and self.base_lrs:  # a state was loaded: continue from it
            self.optimizer = trainer.optimizer
        if self.optimizer is trainer.optimizer:
            self._apply()  # an optimizer that was not bound before has groups now
        else:
            self.bind(trainer.optimizer)

    def on_step_end(self, trainer: Trainer, step: int, logs: Logs) -> None:
        if self.per == "step":
            self.step()

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Logs) -> None:
        if self.per == "epoch":
            self.step()

    def state_dict(self) -> dict[str, Any]:
        """Time and base learning rates."""
        return {"t": self.t, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.t, self.base_lrs = int(state["t"]), [float(v) for v in state["base_lrs"]]
        if self.optimizer is not None:
            self._apply()


def _positive(schedule: str, **values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise OptionError(f"{schedule}: {name} must be positive, found {value}")


class StepLR(Schedule):
    """gamma^(t // step_size)."""

    def __init__(
        self,
        optimizer: Optimizer | None = None,
        step_size: int = 10,
        gamma: float = 0.1,
        *,
        per: str = "epoch",
    ) -> None:
        _positive("StepLR", step_size=step_size, gamma=gamma)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, per=per)

    def factor(self, t: int) -> float:
        return float(self.gamma ** (t // self.step_size))


class MultiStepLR(Schedule):
    """gamma^(number of milestones <= t)."""

    def __init__(
        self,
        optimizer: Optimizer | None = None,
        milestones: Sequence[int] = (),
        gamma: float = 0.1,
        *,
        per: str = "epoch",
    ) -> None:
        _positive("MultiStepLR", gamma=gamma)
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, per=per)

    def factor(self, t: int) -> float:
        return float(self.gamma ** bisect_right(self.milestones, t))


class ExponentialLR(Schedule):
    """gamma^t."""

    def __init__(
        self, optimizer: Optimizer | None = None, gamma: float = 0.95, *, per: str = "epoch"
    ) -> None:
        _positive("ExponentialLR", gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, per=per)

    def factor(self, t: int) -> float:
        return float(self.gamma**t)


class CosineAnnealingLR(Schedule):
    """From the base down to `eta_min` in T_max units along a half cosine; it stays there.

    lr = eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2

    Source: Loshchilov & Hutter, "SGDR", ICLR 2017, equation 5, without restarts.
    """

    def __init__(
        self,
        optimizer: Optimizer | None = None,
        T_max: int = 10,
        eta_min: float = 0.0,
        *,
        per: str = "epoch",
    ) -> None:
        _positive("CosineAnnealingLR", T_max=T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, per=per)

    def factor(self, t: int) -> float:
        return (1.0 + math.cos(math.pi * min(t, self.T_max) / self.T_max)) / 2.0

    def _lr(self, base: float) -> float:
        return self.eta_min + (base - self.eta_min) * self.factor(self.t)


CosineLR = CosineAnnealingLR


class LambdaLR(Schedule):
    """Whatever multiple `lr_lambda(t)` gives.

    >>> LambdaLR(lr_lambda=lambda t: 1 / (1 + t)).factor(3)
    0.25
    """

    def __init__(
        self,
        optimizer: Optimizer | None = None,
        lr_lambda: Callable[[int], float] = lambda t: 1.0,
        *,
        per: str = "epoch",
    ) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer, per=per)

    def factor(self, t: int) -> float:
        return float(self.lr_lambda(t))


class LinearWarmup(Schedule):
    """Linearly from `start_factor` to 1 in `steps` units, then as `then` goes on from its t = 0.

    `then` counts in the same units, so its `per` must be the same.

    Source: Goyal et al., "Accurate, large minibatch SGD", 2017, section 2.2.

    >>> warmup = LinearWarmup(steps=4, start_factor=0.0, then=ExponentialLR(gamma=0.5))
    >>> [warmup.factor(t) for t in range(7)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer | None = None,
        steps: int = 5,
        start_factor: float = 1.0 / 3.0,
        then: Schedule | None = None,
        *,
        per: str = "epoch",
    ) -> None:
        _positive("LinearWarmup", steps=steps)
        if then is not None and then.per != per:
            raise OptionError(
                f"LinearWarmup counts per {per!r}, {type(then).__name__} after it per "
                f"{then.per!r}; give both the same `per`"
            )
        self.steps, self.start_factor, self.then = steps, start_factor, then
        super().__init__(optimizer, per=per)

    def factor(self, t: int) -> float:
        if t < self.steps:
            return self.start_factor + (1.0 - self.start_factor) * t / self.steps
        return 1.0 if self.then is None else self.then.factor(t - self.steps)

    def _lr(self, base: float) -> float:
        if self.then is None or self.t < self.steps:
            return base * self.factor(self.t)
        self.then.t = self.t - self.steps
        return self.then._lr(base)


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by `factor` once `monitor` has not improved for `patience` epochs.

    An improvement is relative, by more than `threshold`. After a reduction `cooldown` epochs pass
    unwatched; `min_lr` is the least. In a hand-written loop call `step(value)` after each epoch.
    """

    def __init__(
        self,
        optimizer: Optimizer | None = None,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        min_lr: float = 0.0,
        cooldown: int = 0,
        mode: str = "auto",
    ) -> None:
        if not 0.0 < factor < 1.0:
            raise OptionError(f"ReduceLROnPlateau: factor must be in (0, 1), found {factor}")
        if monitor in ("min", "max"):  # PyTorch's second argument
            raise OptionError(
                f"ReduceLROnPlateau: expected monitor to name a figure, found {monitor!r}; the "
                f"direction is mode={monitor!r}"
            )
        self.optimizer = optimizer
        self.factor, self.patience, self.threshold = factor, patience, threshold
        self.min_lr, self.cooldown = min_lr, cooldown
        super().__init__(monitor, mode)

    def reset(self) -> None:
        super().reset()
        self._waited = self._cooling = 0
        self._loaded = False

    def improved(self, value: float) -> bool:
        self.min_delta = self.threshold * abs(self.best) if math.isfinite(self.best) else 0.0
        return super().improved(value)

    def step(self, value: float) -> None:
        """Look at the figure of another epoch."""
        if self.optimizer is None:
            raise OptionError("ReduceLROnPlateau: pass the optimizer when making it")
        self._waited = 0 if self.improved(value) else self._waited + 1
        if self._cooling > 0:
            self._cooling -= 1
            self._waited = 0
        if self._waited > self.patience:
            for g in self.optimizer.groups:
                g.lr = max(g.lr * self.factor, self.min_lr)
            self._cooling, self._waited = self.cooldown, 0

    def on_train_begin(self, trainer: Trainer) -> None:
        self.optimizer = trainer.optimizer
        if not self._loaded:
            self.reset()
        self._loaded = False

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Logs) -> None:
        self.step(self.value(logs))

    def state_dict(self) -> dict[str, Any]:
        """The best value, epochs waited and epochs left to cool; the optimizer keeps the rates."""
        return {"best": self.best, "waited": self._waited, "cooling": self._cooling}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue, by `step` or in the next `fit`, from what `state_dict` returned."""
        self.best = float(state["best"])
        self._waited, self._cooling = int(state["waited"]), int(state["cooling"])
        self._loaded = True

"""Callbacks: what happens around the steps and epochs of `fit`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, choose
from .checkpoint import write_atomically
from .history import maximizes

if TYPE_CHECKING:
    from .trainer import Trainer

Logs = Mapping[str, float]


class Callback:
    """Base of the callbacks; each hook does nothing unless overridden.

    `logs` holds losses and metrics by name. During an epoch they are worked out when looked at.
    """

    def on_train_begin(self, trainer: Trainer) -> None: ...

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None: ...

    def on_step_end(self, trainer: Trainer, step: int, logs: Logs) -> None: ...

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Logs) -> None: ...

    def on_train_end(self, trainer: Trainer) -> None: ...


class LambdaCallback(Callback):
    """A callback made of functions, each called with its hook's arguments.

    >>> LambdaCallback(on_epoch_end=lambda trainer, epoch, logs: print(epoch, logs))
    LambdaCallback(on_epoch_end)
    """

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        known = [name for name in vars(Callback) if name.startswith("on_")]
        for name, hook in hooks.items():
            if name not in known:
                raise OptionError(choose("hook", name, known))
            setattr(self, name, hook)
        self._names = list(hooks)

    def __repr__(self) -> str:
        return f"LambdaCallback({', '.join(self._names)})"


class Monitor(Callback):
    """Base of callbacks that watch one figure and ask whether it has improved."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        self.monitor = monitor
        self._sign = 1.0 if maximizes(monitor, mode) else -1.0
        self.min_delta = abs(min_delta)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.best = math.nan

    def value(self, logs: Logs) -> float:
        """The figure, or an error that lists those there are."""
        if self.monitor not in logs:
            raise OptionError(
                f"{type(self).__name__}: {choose('monitor', self.monitor, list(logs))} A val_ "
                "figure needs validation_split or validation_data"
            )
        return logs[self.monitor]

    def improved(self, value: float) -> bool:
        """Whether `value` beats the best so far by more than `min_delta`; keeps it if so."""
        better = math.isnan(self.best) or self._sign * (value - self.best) > self.min_delta
        if better and not math.isnan(value):
            self.best = value
            return True
        return False


class EarlyStopping(Monitor):
    """Stop once `monitor` has not improved for `patience` epochs.

    `min_delta` is how much counts as an improvement, `mode` is "min", "max" or "auto" (by the
    name), `start_from_epoch` how many epochs pass unwatched. With `restore_best_weights` the model
    ends with the weights of its best epoch, whether training was stopped or not.

    Source: Prechelt, "Early stopping - but when?", 1998.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 0,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        if patience < 0:
            raise OptionError(f"EarlyStopping: patience must not be negative, found {patience}")
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch

    def reset(self) -> None:
        super().reset()
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._waited = 0
        self._weights: dict[str, Any] | None = None

    def on_train_begin(self, trainer: Trainer) -> None:
        self.reset()

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Logs) -> None:
        value = self.value(logs)
        if epoch < self.start_from_epoch:
            return
        if self.improved(value):
            self._waited, self.best_epoch = 0, epoch
            if self.restore_best_weights:
                self._weights = trainer.model.state_dict()
            return
        self._waited += 1
        if self._waited >= max(self.patience, 1):
            self.stopped_epoch = epoch
            trainer.stop_training = True

    def on_train_end(self, trainer: Trainer) -> None:
        if self._weights is not None:
            trainer.model.load_state_dict(self._weights)


class ModelCheckpoint(Monitor):
    """Save the model after each epoch, or with `save_best_only` when `monitor` has improved.

    `path` may contain {epoch}, counted from 1.
    """

    def __init__(
        self,
        path: str | Path,
        monitor: str = "val_loss",
        save_best_only: bool = False,
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, mode)
        self.path, self.save_best_only = str(path), save_best_only

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Logs) -> None:
        if not self.save_best_only or self.improved(self.value(logs)):
            model: Any = trainer.model
            model.save(self.path.replace("{epoch}", str(epoch + 1)))


class CSVLogger(Callback):
    """Write losses and metrics of all epochs so far to a CSV file, after each epoch."""

    def __init__(self, path: str | Path) -> None:
        self.path = path

    def on_train_begin(self, trainer: Trainer) -> None:
        self._rows: list[dict[str, Any]] = []

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Logs) -> None:
        self._rows.append({"epoch": epoch + 1, **logs})
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self._rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_atomically(self.path, text.getvalue().encode())


class TerminateOnNaN(Callback):
    """Stop after an epoch whose loss is NaN or infinite."""

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Logs) -> None:
        if not math.isfinite(logs["loss"]):
            trainer.stop_training = True

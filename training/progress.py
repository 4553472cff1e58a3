"""The progress bar of `fit`: loss, metrics and samples a second, for under 1 % of an epoch.

Drawing is what costs. After each drawing the bar stays silent for a hundred times as long as it
took (and at least a quarter of a second); between, a step costs one look at the clock.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .callbacks import Callback

if TYPE_CHECKING:
    from .trainer import Trainer

SHARE = 0.01
INTERVAL = 0.25  # seconds


def describe(logs: Mapping[str, float]) -> str:
    """Loss and metrics as text."""
    return "  ".join(f"{name} {value:.4f}" for name, value in logs.items())


class ProgressBar(Callback):
    """A live bar on a terminal, one plain line an epoch elsewhere."""

    def __init__(self, live: bool | None = None) -> None:
        self.live = sys.stdout.isatty() if live is None else live
        self._bar: Any = None

    def on_train_begin(self, trainer: Trainer) -> None:
        if not self.live:
            return
        from rich.progress import BarColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:>5.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[text]}"),
            auto_refresh=False,
        )
        self._bar.start()

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        self._began = time.perf_counter()
        self._silent_until = self._began
        if self._bar is not None:
            digits = len(str(trainer.epochs))
            self._task = self._bar.add_task(
                f"epoch {epoch + 1:>{digits}}/{trainer.epochs}",
                total=trainer.steps_per_epoch,
                text="",
            )

    def on_step_end(self, trainer: Trainer, step: int, logs: Mapping[str, float]) -> None:
        if self._bar is None:
            return
        now = time.perf_counter()
        if now < self._silent_until:
            return
        rate = (step + 1) * trainer.batch_size / max(now - self._began, 1e-9)
        self._bar.update(
            self._task, completed=step + 1, text=f"{describe(logs)}  {rate:,.0f} samples/s"
        )
        self._bar.refresh()
        drawn = time.perf_counter()
        self._silent_until = drawn + max(INTERVAL, (drawn - now) / SHARE)

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        seconds = time.perf_counter() - self._began
        rate = trainer.steps_per_epoch * trainer.batch_size / max(seconds, 1e-9)
        text = f"{describe(logs)}  {rate:,.0f} samples/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=trainer.steps_per_epoch, text=text)
            self._bar.refresh()
        else:
            print(f"epoch {epoch + 1}/{trainer.epochs}  {text}", flush=True)

    def on_train_end(self, trainer: Trainer) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was; an interrupted training calls it too."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

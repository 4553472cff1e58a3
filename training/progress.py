"""The progress of `fit`: loss, metrics and samples a second, for under 1 % of the time.

Drawing is what costs. After each drawing the bar stays silent for a hundred times as long as it
took (and at least a quarter of a second), also over the ends of short epochs, whose lines wait to
be written together. Between drawings a step costs one look at the clock.
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


class ProgressBar(Callback):
    """A line for each epoch; on a terminal also a live bar for the one that is running."""

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
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[text]}"),
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=trainer.steps_per_epoch, text="")
        self._lines: list[str] = []
        self._silent_until = 0.0
        self._bar.start()

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        self._began = time.perf_counter()
        self._title = f"epoch {epoch + 1:>{len(str(trainer.epochs))}}/{trainer.epochs}"

    def on_step_end(self, trainer: Trainer, step: int, logs: Mapping[str, float]) -> None:
        if self._bar is None or time.perf_counter() < self._silent_until:
            return
        text = self._describe(logs, (step + 1) * trainer.batch_size)
        self._bar.update(self._task, description=self._title, completed=step + 1, text=text)
        self._draw()

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        line = f"{self._title}  {self._describe(logs, trainer.samples)}"
        if self._bar is None:
            print(line, flush=True)
            return
        self._lines.append(line)
        if time.perf_counter() >= self._silent_until:
            self._draw()

    def on_train_end(self, trainer: Trainer) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was; an interrupted training calls it too."""
        if self._bar is not None:
            self._draw()
            self._bar.stop()
            self._bar = None

    def _describe(self, logs: Mapping[str, float], samples: int) -> str:
        rate = samples / max(time.perf_counter() - self._began, 1e-9)
        figures = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        return f"{figures}  {rate:,.0f} samples/s"

    def _draw(self) -> None:
        began = time.perf_counter()
        if self._lines:
            self._bar.console.print("\n".join(self._lines), highlight=False)
            self._lines.clear()
        self._bar.refresh()
        drawn = time.perf_counter()
        self._silent_until = drawn + max(INTERVAL, (drawn - began) / SHARE)

"""History: what each epoch gave."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from ..errors import CheckpointError, OptionError, choose
from .checkpoint import write_atomically

MAXIMIZED = ("acc", "auc", "f1", "precision", "recall", "r2")


def maximizes(monitor: str, mode: str) -> bool:
    """Whether more is better; "auto" tells by the name."""
    if mode not in ("auto", "min", "max"):
        raise OptionError(choose("mode", mode, ("auto", "min", "max")))
    return mode == "max" if mode != "auto" else any(part in monitor for part in MAXIMIZED)


class History:
    """Losses and metrics by epoch: `history["val_loss"]`, or `history.history` as in Keras.

    >>> h = History()
    >>> h.append(0, {"loss": 2.0, "val_accuracy": 0.5})
    >>> h.append(1, {"loss": 1.0, "val_accuracy": 0.4})
    >>> h["loss"], h.best("val_accuracy")
    ([2.0, 1.0], (0, 0.5))
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def append(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Add an epoch's figures; a name that is new gets NaN for the epochs before it."""
        for name in logs:
            self.history.setdefault(name, [math.nan] * len(self.epoch))
        for name, values in self.history.items():
            values.append(float(logs.get(name, math.nan)))
        self.epoch.append(epoch)

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.history:
            raise OptionError(choose("entry of the history", name, self.history))
        return self.history[name]

    def best(self, monitor: str, mode: str = "auto") -> tuple[int, float]:
        """The epoch (counted from 0) with the best value of `monitor`, and that value."""
        sign = 1.0 if maximizes(monitor, mode) else -1.0
        known = [(sign * v, e) for v, e in zip(self[monitor], self.epoch, strict=True) if v == v]
        if not known:
            raise OptionError(f"the history holds no value of {monitor!r} yet")
        value, epoch = max(known, key=lambda pair: pair[0])
        return epoch, sign * value

    def save(self, path: str | Path) -> None:
        """Write it as JSON, atomically; NaN and infinity, which JSON lacks, as strings."""
        history = {
            name: [v if math.isfinite(v) else str(v) for v in values]
            for name, values in self.history.items()
        }
        content = {"epoch": self.epoch, "history": history}
        write_atomically(path, json.dumps(content, indent=1, allow_nan=False).encode())

    @classmethod
    def load(cls, path: str | Path) -> History:
        """What `save` wrote."""
        try:
            content = json.loads(Path(path).read_text())
            out = cls()
            out.epoch = [int(e) for e in content["epoch"]]
            out.history = {k: [float(v) for v in vs] for k, vs in content["history"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} is no history that tercet saved: {error}") from error
        return out

    def __repr__(self) -> str:
        last = ", ".join(f"{k}={v[-1]:.4g}" for k, v in self.history.items() if v)
        return f"History({len(self.epoch)} epochs{'; last: ' + last if last else ''})"

"""Out of memory while training: which batch size would fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from ..data import DataLoader
from ..errors import OutOfMemoryError

if TYPE_CHECKING:
    from .trainer import Trainer

P = ParamSpec("P")
R = TypeVar("R")
Fit = Callable[Concatenate["Trainer", DataLoader, P], R]


def says_what_fits(fit: Fit[P, R]) -> Fit[P, R]:
    """`fit`, whose OutOfMemoryError tells a batch size for which there is room."""

    @wraps(fit)
    def fitting(
        trainer: Trainer, loader: DataLoader, /, *arguments: P.args, **options: P.kwargs
    ) -> R:
        try:
            return fit(trainer, loader, *arguments, **options)
        except OutOfMemoryError as error:
            # The error holds the step's arrays, by its traceback: it ends with this block.
            message = str(error)
        raise OutOfMemoryError(f"{message}. {_advice(trainer, loader)}")

    return fitting


def _advice(trainer: Trainer, loader: DataLoader) -> str:
    """A sentence on the largest half, quarter, ... of the batch that passes through the model.

    Forward, loss and backward are run without an update: gradients are what changes, as they had
    in the step that failed. A recorded step shares memory between its arrays and needs less.
    """
    failed = min(loader.batch_size, len(loader.dataset))
    trainer.forget_steps()
    epoch = loader.epoch
    first = next(iter(loader))
    loader.epoch = epoch
    size = failed // 2
    while size:
        trainer.model.backend.release_memory()
        trainer.optimizer.zero_grad()
        if _passes(trainer, *(a[:size] for a in first)):
            return (
                f"fit: steps of batch_size={failed} do not fit; batch_size={size} does, by an "
                "estimate: one forward and backward pass of it went through"
            )
        size //= 2
    return "fit: not even one sample fits; use a smaller model"


def _passes(trainer: Trainer, *arrays: object) -> bool:
    x, y, *weight = arrays
    try:
        loss, _ = trainer.evaluated(x, y, *weight)
        loss.backward()
    except OutOfMemoryError:
        return False
    return True

"""The training loop: an epoch iterator (data.DataLoader), a step, and callbacks around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd import Tensor, no_grad
from ..data import DataLoader
from ..errors import DataError, OptionError
from ..layers import Module
from .history import History
from .losses import Loss
from .metrics import Metric
from .optimizers import Optimizer

if TYPE_CHECKING:
    from .callbacks import Callback

LossFunction = Callable[..., Tensor]
# How many losses wait on the backend before they are read: a read makes a GPU catch up.
UNREAD_LOSSES = 64


class RunningMean:
    """The mean of the losses of an epoch, weighed by batch size, read from the backend in lots."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._total, self._count = 0.0, 0
        self._unread: list[tuple[Tensor, int]] = []

    def add(self, loss: Tensor, count: int) -> None:
        self._unread.append((loss.detach(), count))
        if len(self._unread) >= UNREAD_LOSSES:
            self._read()

    def result(self) -> float:
        self._read()
        return self._total / self._count if self._count else float("nan")

    def _read(self) -> None:
        for loss, count in self._unread:
            self._total += float(loss) * count
            self._count += count
        self._unread.clear()


class RunningLogs(Mapping[str, float]):
    """The running loss and metrics by name, worked out only when looked at."""

    def __init__(self, loss: RunningMean, metrics: Sequence[Metric]) -> None:
        self._results: dict[str, Callable[[], float]] = {"loss": loss.result}
        self._results |= {m.name: m.result for m in metrics}

    def __getitem__(self, name: str) -> float:
        return self._results[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)


class Trainer:
    """Trains any Module: what a loss, an optimizer, metrics and callbacks make of an epoch.

    Callbacks receive the trainer and may read `model`, `optimizer`, `history`, `epochs`,
    `steps_per_epoch`, `batch_size`, `samples`, and set `stop_training`.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer | None,
        loss: LossFunction,
        metrics: Sequence[Metric] = (),
    ) -> None:
        self.model, self.loss, self.metrics = model, loss, list(metrics)
        self._optimizer = optimizer
        self.history = History()
        self.stop_training = False
        self.epochs = 0
        self.steps_per_epoch = 0
        self.batch_size = 0
        self.samples = 0
        self._mean = RunningMean()

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; a trainer that only evaluates has none."""
        if self._optimizer is None:
            raise OptionError("this model was compiled without an optimizer")
        return self._optimizer

    def fit(
        self,
        loader: DataLoader,
        epochs: int,
        validation: DataLoader | None = None,
        callbacks: Sequence[Callback] = (),
        initial_epoch: int = 0,
    ) -> History:
        """Train on `loader` up to `epochs`, and evaluate on `validation` after each."""
        if not self.optimizer.bound:
            self.optimizer.bind(self.model.parameters())
        self.epochs, self.steps_per_epoch = epochs, len(loader)
        self.batch_size, self.samples = loader.batch_size, len(loader.dataset)
        self.stop_training = False
        for callback in callbacks:
            callback.on_train_begin(self)
        for epoch in range(initial_epoch, epochs):
            for callback in callbacks:
                callback.on_epoch_begin(self, epoch)
            logs = self._train_epoch(loader, callbacks)
            if validation is not None:
                logs |= {f"val_{k}": v for k, v in self.evaluate(validation).items()}
            self.history.append(epoch, logs)
            for callback in callbacks:
                callback.on_epoch_end(self, epoch, logs)
            if self.stop_training:
                break
        for callback in callbacks:
            callback.on_train_end(self)
        return self.history

    def _train_epoch(self, loader: DataLoader, callbacks: Sequence[Callback]) -> dict[str, float]:
        self.model.train()
        self._reset()
        logs = RunningLogs(self._mean, self.metrics)
        for index, (x, y, *weight) in enumerate(loader):
            loss, outputs = self.step(x, y, weight[0] if weight else None)
            self._observe(loss, outputs, y, weight)
            for callback in callbacks:
                callback.on_step_end(self, index, logs)
        return dict(logs)

    def step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Tensor, Tensor]:
        """One training step: forward, loss, backward, update."""
        self.model.backend.random.advance()
        self.optimizer.zero_grad()
        outputs = self.model(x)
        loss = self._loss(outputs, y, sample_weight)
        loss.backward()
        self.optimizer.step()
        return loss, outputs

    @no_grad()
    def evaluate(self, loader: DataLoader) -> dict[str, float]:
        """Loss and metrics on `loader`, in evaluation mode."""
        training = self.model.training
        self.model.eval()
        self._reset()
        try:
            for x, y, *weight in loader:
                outputs = self.model(x)
                loss = self._loss(outputs, y, weight[0] if weight else None)
                self._observe(loss, outputs, y, weight)
        finally:
            self.model.train(training)
        return dict(RunningLogs(self._mean, self.metrics))

    def _loss(self, outputs: Tensor, y: Any, sample_weight: Any) -> Tensor:
        if not isinstance(outputs, Tensor):
            raise DataError(
                f"the model returned {type(outputs).__name__}; to be trained by fit it returns one "
                "tensor. Write the loop yourself for anything else"
            )
        target = align_target(outputs, y, self.loss)
        weight = () if sample_weight is None else (sample_weight,)
        loss = self.loss(outputs, target, *weight)
        if loss.size != 1:
            raise OptionError(
                f"the loss has shape {loss.shape}; training needs a scalar: reduction='mean' or "
                "'sum'"
            )
        penalty = self.model.regularization()
        return loss if penalty is None else loss + penalty

    def _reset(self) -> None:
        self._mean.reset()
        for metric in self.metrics:
            metric.reset()

    def _observe(self, loss: Tensor, outputs: Tensor, y: Any, weight: list[Any]) -> None:
        self._mean.add(loss, len(y))
        if self.metrics:
            values, target = outputs.numpy(), np.asarray(align_target(outputs, y, self.loss))
            for metric in self.metrics:
                metric.update(values, target, *(np.asarray(w) for w in weight))


def align_target(outputs: Tensor, y: Any, loss: LossFunction) -> Any:
    """Targets (n,) of a model with one output (n, 1) take its shape if the loss is pointwise."""
    pointwise = isinstance(loss, Loss) and loss.task != "classification"
    if pointwise and outputs.ndim == 2 and outputs.shape[1] == 1 and np.ndim(y) == 1:
        return y.reshape(-1, 1)
    return y

"""The training loop: an epoch iterator (data.DataLoader), a step, and callbacks around them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd import Captured, Tensor, no_grad
from ..autograd.precision import PRECISIONS, casting, check, wide
from ..backends import Backend, DType
from ..backends.recording import changed
from ..data import DataLoader
from ..errors import DataError, OptionError, choose
from ..layers import Module, Parameter
from .history import History
from .losses import Loss
from .memory import says_what_fits
from .metrics import Metric
from .optimizers import Optimizer
from .resident import Resident
from .running import RunningMean
from .scaling import LossScaler

if TYPE_CHECKING:
    from .callbacks import Callback

LossFunction = Callable[..., Tensor]


def _same(a: Sequence[Parameter], b: Sequence[Parameter]) -> bool:
    return len(a) == len(b) and all(p is q for p, q in zip(a, b, strict=True))


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
        precision: str = "float32",
    ) -> None:
        if precision not in PRECISIONS:
            raise OptionError(choose("precision", precision, PRECISIONS))
        self.model, self.loss, self.metrics = model, loss, list(metrics)
        self.precision = precision
        self.scaler = LossScaler() if precision == "float16" else None
        self._optimizer = optimizer
        # What the optimizer was bound to here, if it came without parameters of its own.
        self._handed: list[Parameter] = []
        self.history = History()
        self.stop_training = False
        self.epochs = 0
        self.steps_per_epoch = 0
        self.batch_size = 0
        self.samples = 0
        self.mean = RunningMean()
        self._train_batch = CapturedBatch(self, train=True)
        self._evaluate_batch = CapturedBatch(self, train=False)

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; a trainer that only evaluates has none."""
        if self._optimizer is None:
            raise OptionError("this model was compiled without an optimizer")
        return self._optimizer

    @says_what_fits
    def fit(
        self,
        loader: DataLoader,
        epochs: int,
        validation: DataLoader | None = None,
        callbacks: Sequence[Callback] = (),
        initial_epoch: int = 0,
        capture: bool | str = True,
    ) -> History:
        """Train on `loader` up to `epochs`, and evaluate on `validation` after each.

        With `capture`, steps are recorded and replayed (autograd/captured.py) where that is safe;
        with "compile" each recording becomes one native function.

        Raises OutOfMemoryError, with the batch size that would fit, where a step does not.
        """
        if capture not in (True, False, "compile"):
            raise OptionError(f"fit: capture is True, False or 'compile', found {capture!r}")
        if capture == "compile" and not self.model.backend.compiles:
            raise OptionError(
                f"fit: the {self.model.backend.name} backend does not compile steps; use "
                "capture=True, or the numba backend"
            )
        self._train_batch.begin(capture)
        self._evaluate_batch.begin(capture)
        self._bind()
        self.epochs, self.steps_per_epoch = epochs, len(loader)
        self.batch_size, self.samples = loader.batch_size, loader.samples
        self.stop_training = False
        for callback in callbacks:
            callback.on_train_begin(self)
        with self._products():
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

    def _bind(self) -> None:
        """Let the optimizer train what is the model's now: layers may be new, frozen or free."""
        held = self.optimizer.parameters
        named = list(self.model.named_parameters())
        wanted = [p for _, p in named if p.requires_grad]
        if not held or (_same(held, self._handed) and not _same(held, wanted)):
            self.optimizer.bind(self.model.parameters())
            self._handed = wanted
            return
        known, own = {id(p) for p in held}, {id(p) for _, p in named}
        new = [name for name, p in named if p.requires_grad and id(p) not in known]
        if new and not known <= own:
            raise OptionError(
                f"the optimizer has parameters that the model no longer has, but not {new[0]}"
                + (f" and {len(new) - 1} more" if len(new) > 1 else "")
                + ", which is new. Make an optimizer of the model's parameters and compile again"
            )

    def _train_epoch(self, loader: DataLoader, callbacks: Sequence[Callback]) -> dict[str, float]:
        self.model.train()
        self._reset()
        logs = RunningLogs(self.mean, self.metrics)
        for index in self._train_batch.over(loader):
            for callback in callbacks:
                callback.on_step_end(self, index, logs)
            if self.stop_training:
                break
        return dict(logs)

    def step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Tensor, Tensor]:
        """One training step: forward, loss, backward, update."""
        self.model.backend.random.advance()
        self.optimizer.zero_grad()
        loss, outputs = self.evaluated(x, y, sample_weight)
        if self.scaler is None:
            loss.backward()
            self.optimizer.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss, outputs

    @no_grad()
    def evaluate(self, loader: DataLoader) -> dict[str, float]:
        """Loss and metrics on `loader`, in evaluation mode."""
        training = self.model.training
        self.model.eval()
        self._reset()
        try:
            with self._products():
                for _ in self._evaluate_batch.over(loader):
                    pass
        finally:
            self.model.train(training)
        return dict(RunningLogs(self.mean, self.metrics))

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

    def forget_steps(self) -> None:
        """Let go of recorded steps and of their memory."""
        self._train_batch.forget()
        self._evaluate_batch.forget()

    def _reset(self) -> None:
        self.mean.reset()
        for metric in self.metrics:
            metric.reset()

    def evaluated(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Tensor, Tensor]:
        """Loss and outputs of a batch, without an update; outputs of 16-bit layers in float32."""
        with casting(self.precision):
            outputs = self.model(x)
            if isinstance(outputs, Tensor):
                outputs = wide(outputs)
            return self._loss(outputs, y, sample_weight), outputs

    @contextmanager
    def _products(self) -> Iterator[None]:
        """Products of float32 matrices as the precision says; an error where it cannot be had."""
        backend = self.model.backend
        check(backend, self.precision, self.model.dtype)
        before = backend.tf32
        backend.set_tf32(before or self.precision == "tf32")
        try:
            yield
        finally:
            backend.set_tf32(before)


class Batch:
    """What is done with a batch: a step or an evaluation, with loss and metrics added up."""

    def __init__(self, trainer: Trainer, train: bool) -> None:
        self.trainer, self.train = trainer, train
        self.columns = 0  # of the last outputs

    @property
    def backend(self) -> Backend:
        return self.trainer.model.backend

    @property
    def dtype(self) -> DType:
        return self.trainer.model.dtype

    def __call__(self, x: Any, y: Any, weight: Any = None) -> tuple[Tensor | None, list[int]]:
        """Outputs, and the numbers of the metrics that wait for them on the host."""
        trainer = self.trainer
        compute = trainer.step if self.train else trainer.evaluated
        loss, outputs = compute(x, y, weight)
        self.columns = outputs.shape[-1] if outputs.ndim else 1
        trainer.mean.add(loss, len(y))
        target = align_target(outputs, y, trainer.loss)
        waiting = [
            i for i, m in enumerate(trainer.metrics) if not m.observe(outputs, target, weight)
        ]
        return outputs if waiting else None, waiting


class NumberedBatch:
    """A Batch of samples of resident data, given by their numbers."""

    def __init__(self, batch: Batch, data: Resident) -> None:
        self.batch, self.data = batch, data
        self.backend, self.dtype = batch.backend, batch.dtype

    def __call__(self, index: Tensor) -> tuple[Tensor | None, list[int]]:
        return self.batch(*self.data.rows(index))


class CapturedBatch:
    """A Batch that is recorded and replayed where it can be.

    Recorded steps take their data from the device if all of it fits there. Metrics that need the
    outputs on the host get them after the step.
    """

    def __init__(self, trainer: Trainer, train: bool) -> None:
        self._batch = Batch(trainer, train)
        self._captures = True
        self._loader: DataLoader | None = None
        self._data: Resident | None = None
        self._record_anew(compile=False)

    def begin(self, capture: bool | str) -> None:
        """Follow `capture`; what was recorded before has to prove itself again."""
        self._captures = bool(capture)
        compile = capture == "compile"
        if compile != self._captured.compile:
            self._record_anew(compile)
        changed()

    def _record_anew(self, compile: bool) -> None:
        """Without recordings, of steps that take their data from where it lies."""
        step = self._batch if self._data is None else NumberedBatch(self._batch, self._data)
        self._captured = Captured(step, compile=compile, strict=False)

    def forget(self) -> None:
        """Let go of what was recorded; data on the device stay."""
        self._captured.reset()

    def over(self, loader: DataLoader) -> Iterator[int]:
        """Go through an epoch; yields the number of each batch when it is done."""
        self._prepare(loader)
        if self._data is None:
            for number, arrays in enumerate(loader):
                self._run(arrays, arrays)
                yield number
            return
        for number, index in enumerate(loader.indices()):
            # The first batch is Python's: it has the samples themselves to look at.
            eager = self._eager
            first = self._data.host if eager else self._data.host[1:]
            rows = tuple(a.take(index, axis=0) for a in first)
            self._run(rows if eager else (None, *rows), (index,))
            yield number

    def _prepare(self, loader: DataLoader) -> None:
        """Have the loader's data where the model is, if there is room."""
        model, before = self._batch.trainer.model, self._data
        if loader is self._loader and (before is None or before.suits(model)):
            return
        self._loader, self._data = loader, Resident.of(loader, model)
        if before is not None or self._data is not None:
            self._record_anew(self._captured.compile)

    @property
    def _eager(self) -> bool:
        """Whether the next step runs in Python."""
        captured = self._captured
        return (
            not captured.warm
            or not self._captures
            or captured.problem is not None
            or not self._batch.backend.captures
        )

    def _run(self, arrays: tuple[Any, ...], given: tuple[np.ndarray, ...]) -> None:
        """A batch on the host, x, y and perhaps weights; and what a recorded step is given."""
        batch, captured = self._batch, self._captured
        trainer, y, weight = batch.trainer, arrays[1], arrays[2:]
        if self._eager:
            outputs, waiting = batch(*arrays)
            captured.warm = True
        else:
            # Without Python there is nobody to look at the values of targets.
            if isinstance(trainer.loss, Loss):
                trainer.loss.check_target(y, batch.columns)
            outputs, waiting = captured.view(*given)
            if captured.problem is not None:
                warnings.warn(
                    f"steps run in Python, not captured: {captured.problem}. "
                    "fit(..., capture=False) says that this is meant",
                    stacklevel=2,
                )
        if waiting:
            assert outputs is not None
            values, target = outputs.numpy(), np.asarray(align_target(outputs, y, trainer.loss))
            for i in waiting:
                trainer.metrics[i].update(values, target, *(np.asarray(w) for w in weight))


def align_target(outputs: Tensor, y: Any, loss: LossFunction) -> Any:
    """Targets (n,) of a model with one output (n, 1) take its shape if the loss is pointwise."""
    pointwise = isinstance(loss, Loss) and loss.task != "classification"
    if pointwise and outputs.ndim == 2 and outputs.shape[1] == 1 and np.ndim(y) == 1:
        return y.reshape(-1, 1)
    return y

"""Model: a Module with compile, fit, evaluate, predict, summary and save."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..autograd import Captured, Tensor, is_float, no_grad, tensor
from ..autograd.precision import casting
from ..backends import generator
from ..data import DataLoader, TensorDataset
from ..data.checks import check_finite, check_same_length
from ..errors import DataError, OptionError, ShapeError
from ..kernels.spec import accumulator
from ..layers import Module
from ..training import losses, metrics, optimizers
from ..training.callbacks import Callback
from ..training.history import History
from ..training.progress import ProgressBar
from ..training.trainer import Trainer


class Model(Module):
    """A Module that trains itself: compile, fit, evaluate, predict, as Keras users know them.

    Subclass it, define `__init__` and `forward`; Sequential and the ready-made networks are Models.

    >>> import numpy as np
    >>> import tercet as tc
    >>> x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    >>> y = (x[:, 0] > 0).astype(int)
    >>> model = tc.models.Sequential([tc.layers.Dense(8, activation="relu"), tc.layers.Dense(2)])
    >>> model.compile(optimizer="adam", loss="cross_entropy", metrics=["accuracy"])
    >>> history = model.fit(x, y, epochs=2, verbose=0)
    >>> sorted(history.history)
    ['accuracy', 'loss']
    >>> model.predict(x).shape
    (64, 2)
    """

    input_shape: tuple[int, ...] | None = None
    trainer: Trainer | None = None
    _predictor: Captured | None = None

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if self.input_shape is None and inputs and hasattr(inputs[0], "shape"):
            object.__setattr__(self, "input_shape", tuple(inputs[0].shape[1:]))
        return super().__call__(*inputs, **options)

    def build(self, input_shape: Sequence[int]) -> Model:
        """Make the parameters of layers whose input size is still unknown; returns the model.

        `input_shape` is that of one sample, without the batch axis.
        """
        self._run_once(np.zeros((1, *input_shape), self.dtype))
        return self

    @no_grad()
    def _run_once(self, x: np.ndarray) -> None:
        training = self.training
        self.eval()
        self(tensor(x, self.dtype if is_float(x.dtype) else None, self.backend))
        self.train(training)

    # Training

    def compile(
        self,
        optimizer: str | dict[str, Any] | optimizers.Optimizer = "adamw",
        loss: str | dict[str, Any] | Callable[..., Tensor] = "cross_entropy",
        metrics: Iterable[Any] = (),
        precision: str = "float32",
    ) -> None:
        """Say how to train: optimizer, loss and metrics, as names or objects.

        A loss may be any function (outputs, target) -> tensor of shape ().

        With `precision` "bfloat16" or "float16" layers compute in 16 bits, as in a
        `tercet.autocast` block, float16 with a `LossScaler`; parameters, losses and saved files
        stay float32. "tf32" rounds the operands of float32 products only. All three need an NVIDIA
        GPU: fit, evaluate and predict raise BackendError elsewhere.
        """
        function = losses.get(loss)
        # A loss of probabilities says that outputs are: 0.5 is their threshold, not 0.
        from_logits = not isinstance(function, losses.BCELoss)
        chosen = [_metric(m, from_logits=from_logits) for m in metrics]
        trainer = Trainer(self, optimizers.get(optimizer), function, chosen, precision)
        self._set_trainer(trainer)

    def _set_trainer(self, trainer: Trainer) -> None:
        object.__setattr__(self, "trainer", trainer)

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | Sequence[float] | None = None,
        sample_weight: Any = None,
        callbacks: Sequence[Callback] = (),
        verbose: int | bool = 1,
        initial_epoch: int = 0,
        capture: bool | str = True,
    ) -> History:
        """Train for `epochs` and return the history of losses and metrics.

        x, y             arrays of equal length; or x alone, a DataLoader of (x, y[, weight])
        validation_split the last fraction of x and y is held out, as in Keras, before shuffling
        validation_data  (x, y), (x, y, sample_weight) or a DataLoader, evaluated after each epoch
        class_weight     a weight for each class, by index; sample_weight (n,) one for each sample
        verbose          0 is silent, 1 shows progress
        capture          record a step and replay it without Python, where that is safe: see
                         tercet.capture; "compile" makes native functions of recordings, which
                         takes seconds; False runs every step in Python

        Raises DataError for empty data, NaN, lengths or labels that do not fit; ShapeError where
        the model does not take the data.
        """
        trainer = self._compiled()
        if epochs < 0 or batch_size < 1:
            raise OptionError(
                f"fit: epochs must be at least 0 and batch_size at least 1, found epochs={epochs}, "
                f"batch_size={batch_size}"
            )
        if isinstance(x, DataLoader):
            if y is not None or validation_split or class_weight is not None:
                raise OptionError(
                    "fit: with a DataLoader, y, validation_split and class_weight have no meaning; "
                    "make them part of the loader's data set"
                )
            loader, validation = x, self._validation_loader(validation_data, batch_size)
            epoch = loader.epoch
            first = next(iter(loader))[0]
            loader.epoch = epoch
        else:
            arrays = _arrays("fit", x, y, _sample_weights(y, class_weight, sample_weight))
            arrays, held_out = _split(arrays, validation_split)
            if held_out is not None:
                if validation_data is not None:
                    raise OptionError("fit takes validation_split or validation_data, not both")
                validation_data = held_out
            loader = DataLoader(
                TensorDataset(*arrays), batch_size, shuffle=shuffle, seed=generator().seed
            )
            loader.epoch = initial_epoch
            validation = self._validation_loader(validation_data, batch_size)
            first = arrays[0][:1]
        if not self.built:
            self._run_once(np.asarray(first[:1]))
        shown = [ProgressBar()] if verbose else []
        try:
            everyone = [*callbacks, *shown]
            return trainer.fit(loader, epochs, validation, everyone, initial_epoch, capture)
        finally:
            for bar in shown:
                bar.close()

    def evaluate(
        self, x: Any, y: Any = None, *, batch_size: int = 256, sample_weight: Any = None
    ) -> dict[str, float]:
        """Loss and metrics by name, on arrays or a DataLoader, in evaluation mode."""
        trainer = self._compiled()
        data = x if isinstance(x, DataLoader) else (x, y, sample_weight)
        loader = self._validation_loader(data, batch_size)
        assert loader is not None
        return trainer.evaluate(loader)

    @no_grad()
    def predict(self, x: Any, *, batch_size: int = 256) -> np.ndarray:
        """The outputs for `x` (n, ...) as a NumPy array, in evaluation mode."""
        rows = np.asarray(x.numpy() if isinstance(x, Tensor) else x)
        if not rows.ndim or not len(rows):
            raise DataError(f"predict: expected at least one sample, found shape {rows.shape}")
        check_finite(rows, "x")
        training = self.training
        self.eval()
        try:
            batches = (rows[i : i + batch_size] for i in range(0, len(rows), batch_size))
            parts = [self._predicted(batch) for batch in batches]
        finally:
            self.train(training)
        return np.concatenate(parts)

    def _predicted(self, batch: np.ndarray) -> np.ndarray:
        predictor: Any = self
        if self.backend.captures:
            if self._predictor is None:
                object.__setattr__(self, "_predictor", Captured(self, strict=False))
                assert self._predictor is not None
            predictor = self._predictor.view
        with casting("float32" if self.trainer is None else self.trainer.precision):
            outputs: np.ndarray = predictor(batch).numpy()
        return outputs.astype(accumulator(outputs.dtype), copy=False)

    def _compiled(self) -> Trainer:
        if self.trainer is None:
            raise OptionError(
                f"{type(self).__name__} is not compiled: call model.compile(optimizer=..., "
                "loss=..., metrics=[...]) first"
            )
        return self.trainer

    def _validation_loader(self, data: Any, batch_size: int) -> DataLoader | None:
        if data is None or isinstance(data, DataLoader):
            return data
        if not isinstance(data, (tuple, list)) or not 2 <= len(data) <= 3:
            raise OptionError(
                "validation_data is (x, y), (x, y, sample_weight) or a DataLoader, found "
                f"{type(data).__name__}"
            )
        weight = data[2] if len(data) == 3 else None
        arrays = _arrays("evaluate", data[0], data[1], weight)
        return DataLoader(TensorDataset(*arrays), batch_size)

    # Looking at it, keeping it

    def summary(self, input_shape: Sequence[int] | None = None) -> None:
        """Print a table of the layers: name, kind, output shape, parameters.

        Output shapes are shown once the model knows the shape of its input: from `input_shape`,
        or from data that it has seen.
        """
        from .summary import print_summary

        print_summary(self, input_shape)

    def save(self, path: str | Path) -> None:
        """Write weights, architecture and compile options to one safetensors file, atomically."""
        from .saving import save

        save(self, path)


# `compile` has an argument named metrics, which hides the module there.
_metric = metrics.get


def _arrays(name: str, x: Any, y: Any, weight: Any) -> list[np.ndarray]:
    """x, y and, where given, sample weights as checked NumPy arrays."""
    if y is None:
        raise OptionError(f"{name}: y is missing; give x and y, or a DataLoader")
    given = [x, y] if weight is None else [x, y, weight]
    arrays = [np.asarray(a.numpy() if isinstance(a, Tensor) else a) for a in given]
    for label, a in zip(("x", "y", "sample_weight"), arrays, strict=False):
        if a.ndim == 0 or len(a) == 0:
            raise DataError(f"{name}: {label} is empty (shape {a.shape}); give at least one sample")
        if not is_float(a.dtype) and a.dtype.kind not in "iub":
            raise DataError(
                f"{name}: {label} must hold numbers, found {a.dtype}; encode text as numbers first"
            )
    check_same_length(x=arrays[0], y=arrays[1])
    for label, a in zip(("x", "y", "sample_weight"), arrays, strict=False):
        check_finite(a, label)
    if weight is not None and arrays[2].shape != (len(arrays[0]),):
        raise ShapeError(
            f"{name}: expected sample_weight of shape ({len(arrays[0])},), found {arrays[2].shape}"
        )
    return arrays


def _sample_weights(y: Any, class_weight: Any, sample_weight: Any) -> Any:
    """One weight for each sample: the sample's own times that of its class."""
    if class_weight is None:
        return sample_weight
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(axis=1)
    labels = labels.reshape(-1)
    table = (
        dict(class_weight) if isinstance(class_weight, Mapping) else dict(enumerate(class_weight))
    )
    missing = [int(c) for c in np.unique(labels) if c not in table]
    if missing:
        raise DataError(f"fit: class_weight has no weight for class {missing[0]}")
    classes, index = np.unique(labels, return_inverse=True)
    weights = np.array([table[c] for c in classes], np.float64)[index]
    return weights if sample_weight is None else weights * np.asarray(sample_weight)


def _split(
    arrays: list[np.ndarray], fraction: float
) -> tuple[list[np.ndarray], tuple[np.ndarray, ...] | None]:
    """All but the last `fraction` of the rows, and that fraction."""
    if not 0.0 <= fraction < 1.0:
        raise OptionError(f"fit: validation_split must be in [0, 1), found {fraction}")
    if not fraction:
        return arrays, None
    n = len(arrays[0])
    cut = math.floor(n * (1.0 - fraction))
    if not 0 < cut < n:
        raise DataError(f"fit: validation_split={fraction} of {n} samples leaves a part empty")
    return [a[:cut] for a in arrays], tuple(a[cut:] for a in arrays)

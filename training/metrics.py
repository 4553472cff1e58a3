"""Metrics: figures of outputs against targets, added up over batches.

Each equals the metric of the whole data, however it was cut into batches. Inputs are NumPy arrays;
sums are float64. Without any sample a metric's result is NaN.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from ..autograd import Tensor
from ..errors import OptionError, ShapeError, choose
from .running import RunningTotal, count_hits

Weights = np.ndarray | None


class Metric:
    """Base of the metrics: `reset`, `update` for each batch, `result`."""

    name: str

    def reset(self) -> None:
        """Forget all batches."""
        raise NotImplementedError

    def update(
        self, outputs: np.ndarray, targets: np.ndarray, sample_weight: Weights = None
    ) -> None:
        """Add a batch: outputs (n, ...), targets (n, ...), sample_weight (n,) or None."""
        raise NotImplementedError

    def observe(self, outputs: Tensor, target: Any, weight: Any = None) -> bool:
        """Add a batch without reading it back, if this metric can; whether it did.

        `target` and `weight` are tensors or NumPy arrays.
        """
        return False

    def result(self) -> float:
        """The metric of all batches since `reset`."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Mean(Metric):
    """A weighted mean of one number for each sample."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._total = self._weight = 0.0

    def _add(self, values: np.ndarray, weight: Weights) -> None:
        if weight is None:
            self._total += float(values.sum(dtype=np.float64))
            self._weight += len(values)
        else:
            self._total += float(np.dot(values.astype(np.float64), weight))
            self._weight += float(weight.sum(dtype=np.float64))

    def result(self) -> float:
        return self._total / self._weight if self._weight else math.nan


def _rows(name: str, outputs: np.ndarray, targets: np.ndarray, weight: Weights) -> None:
    if not outputs.ndim or not targets.ndim or len(outputs) != len(targets):
        raise ShapeError(
            f"{name}: outputs {outputs.shape} and targets {targets.shape} differ in length"
        )
    if weight is not None and weight.shape != outputs.shape[:1]:
        raise ShapeError(
            f"{name}: expected sample_weight of shape ({len(outputs)},), one for each sample; "
            f"found {weight.shape}"
        )


def _labels(
    name: str, outputs: np.ndarray, targets: np.ndarray, weight: Weights, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true classes (n,), from classes (n, c) or a binary output (n,) or (n, 1)."""
    _rows(name, outputs, targets, weight)
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        predicted = outputs.argmax(axis=1)
        true = targets.argmax(axis=1) if targets.shape == outputs.shape else targets
    else:
        predicted = (outputs.reshape(-1) > threshold).astype(np.int64)
        true = targets
    if not predicted.size == true.size == len(outputs):
        raise ShapeError(
            f"{name}: expected targets (n,), or one-hot as the outputs; found outputs "
            f"{outputs.shape} and targets {targets.shape}"
        )
    return predicted, true.reshape(-1)


class Accuracy(_Mean):
    """The share of samples whose class is predicted.

    Outputs (n, c) predict the largest; outputs (n,) or (n, 1) predict 1 above the threshold, which
    is 0 for logits and 0.5 for probabilities (`from_logits=False`) unless given.

    >>> m = Accuracy()
    >>> m.update(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1])); m.result()
    0.5
    """

    name = "accuracy"

    def __init__(self, from_logits: bool = True, threshold: float | None = None) -> None:
        self.threshold = _threshold(from_logits, threshold)
        self._hits = RunningTotal()
        super().__init__()

    def reset(self) -> None:
        super().reset()
        self._hits.reset()

    def observe(self, outputs: Tensor, target: Any, weight: Any = None) -> bool:
        return count_hits(self._hits, outputs, target, weight, self.threshold)

    def result(self) -> float:
        hits, weight = self._hits.read()
        whole = self._weight + weight
        return (self._total + hits) / whole if whole else math.nan

    def update(
        self, outputs: np.ndarray, targets: np.ndarray, sample_weight: Weights = None
    ) -> None:
        predicted, true = _labels(self.name, outputs, targets, sample_weight, self.threshold)
        self._add(predicted == true, sample_weight)


def _threshold(from_logits: bool, threshold: float | None) -> float:
    return (0.0 if from_logits else 0.5) if threshold is None else threshold


class TopKAccuracy(_Mean):
    """The share of samples whose class is among the k largest outputs (n, c).

    A tie counts for the true class; NaN counts against it.

    >>> m = TopKAccuracy(2)
    >>> m.update(np.array([[0.1, 0.7, 0.2], [0.8, 0.1, 0.1]]), np.array([2, 0])); m.result()
    1.0
    """

    def __init__(self, k: int = 5) -> None:
        if k < 1:
            raise OptionError(f"TopKAccuracy: k must be at least 1, found {k}")
        self.k, self.name = k, f"top_{k}_accuracy"
        super().__init__()

    def update(
        self, outputs: np.ndarray, targets: np.ndarray, sample_weight: Weights = None
    ) -> None:
        _rows(self.name, outputs, targets, sample_weight)
        if outputs.ndim != 2:
            raise ShapeError(f"{self.name}: expected outputs (n, classes), found {outputs.shape}")
        if targets.shape == outputs.shape:
            targets = targets.argmax(axis=1)
        classes = outputs.shape[1]
        if targets.size != len(outputs) or ((targets < 0) | (targets >= classes)).any():
            raise ShapeError(
                f"{self.name}: expected targets (n,) in [0, {classes}), or one-hot; found "
                f"{targets.shape}"
            )
        own = np.take_along_axis(outputs, targets.reshape(-1, 1).astype(np.int64), axis=1)
        # NaN is not "at most" anything: it ranks above every other class, and is never a hit.
        above = (~(outputs <= own)).sum(axis=1)
        hit = (above < self.k) & ~np.isnan(own[:, 0])
        self._add(hit, sample_weight)


class _Counts(Metric):
    """True positives, predicted and actual counts for each class."""

    def __init__(
        self, average: str = "auto", from_logits: bool = True, threshold: float | None = None
    ) -> None:
        if average not in ("auto", "binary", "macro", "micro", "weighted"):
            known = ("auto", "binary", "macro", "micro", "weighted")
            raise OptionError(choose("average", average, known))
        self.average = average
        self.threshold = _threshold(from_logits, threshold)
        self.reset()

    def reset(self) -> None:
        self._counts = np.zeros((3, 0))
        self._binary = False

    def update(
        self, outputs: np.ndarray, targets: np.ndarray, sample_weight: Weights = None
    ) -> None:
        predicted, true = _labels(self.name, outputs, targets, sample_weight, self.threshold)
        columns = outputs.shape[1] if outputs.ndim == 2 else 1
        self._binary = columns <= 2
        classes = max(columns, 2)
        true = true.astype(np.int64)
        if true.size and (true.min() < 0 or true.max() >= classes):
            raise ShapeError(f"{self.name}: targets must lie in [0, {classes})")
        if not self._counts.size:
            self._counts = np.zeros((3, classes))
        if self._counts.shape[1] != classes:
            raise ShapeError(
                f"{self.name}: expected outputs of {self._counts.shape[1]} classes as in the "
                f"batches before, found outputs {outputs.shape}; call reset() between data sets"
            )
        hits = predicted == true
        weight = np.ones(len(true)) if sample_weight is None else sample_weight
        for row, labels, w in (
            (0, true[hits], weight[hits]),
            (1, predicted, weight),
            (2, true, weight),
        ):
            self._counts[row] += np.bincount(labels, w, classes)

    def result(self) -> float:
        hits, predicted, actual = self._counts
        if not actual.sum():
            return math.nan
        average = self.average
        if average == "auto":
            average = "binary" if self._binary else "macro"
        if average == "binary":
            if not self._binary:
                raise OptionError(
                    f"{self.name}: average='binary' needs two classes, found {len(actual)}; choose "
                    "macro, micro or weighted"
                )
            return float(self._score(hits[1], predicted[1], actual[1]))
        if average == "micro":
            return float(self._score(hits.sum(), predicted.sum(), actual.sum()))
        scores = self._score(hits, predicted, actual)
        if average == "weighted":
            return float(np.average(scores, weights=actual))
        seen = (actual + predicted) > 0
        return float(scores[seen].mean())

    def _score(self, hits: Any, predicted: Any, actual: Any) -> Any:
        raise NotImplementedError


def _ratio(a: Any, b: Any) -> Any:
    """a / b, 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(np.asarray(a, np.float64)), where=np.asarray(b) > 0)


class Precision(_Counts):
    """True positives over predicted positives; 0 where nothing was predicted.

    With outputs (n,), (n, 1) or (n, 2) that of class 1; with more classes the mean over classes
    that occur, unless `average` is "micro" or "weighted".
    """

    name = "precision"

    def _score(self, hits: Any, predicted: Any, actual: Any) -> Any:
        return _ratio(hits, predicted)


class Recall(_Counts):
    """True positives over actual positives; averaged as Precision is."""

    name = "recall"

    def _score(self, hits: Any, predicted: Any, actual: Any) -> Any:
        return _ratio(hits, actual)


class F1(_Counts):
    """2 precision recall / (precision + recall); averaged as Precision is."""

    name = "f1"

    def _score(self, hits: Any, predicted: Any, actual: Any) -> Any:
        return _ratio(2.0 * hits, predicted + actual)


class AUC(Metric):
    """The area under the ROC curve of a binary output (n,) or (n, 1), or of class 1 of (n, 2).

    It is the probability that a positive scores above a negative, ties counting one half (Hanley &
    McNeil, 1982). NaN unless both classes occur, or where a score is NaN.

    >>> m = AUC()
    >>> m.update(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])); m.result()
    0.75
    """

    name = "auc"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._scores: list[np.ndarray] = []
        self._true: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []

    def update(
        self, outputs: np.ndarray, targets: np.ndarray, sample_weight: Weights = None
    ) -> None:
        _rows(self.name, outputs, targets, sample_weight)
        if outputs.ndim == 2 and outputs.shape[1] == 2:
            # The order of p(1) is the order of the difference of the logits.
            scores = outputs[:, 1].astype(np.float64) - outputs[:, 0]
        elif outputs.size == len(outputs):
            scores = outputs.reshape(-1).astype(np.float64)
        else:
            raise ShapeError(f"auc: expected a binary output, found outputs {outputs.shape}")
        if targets.shape == outputs.shape and outputs.ndim == 2 and outputs.shape[1] == 2:
            targets = targets[:, 1]
        if targets.size != len(scores):
            raise ShapeError(f"auc: expected targets (n,), found {targets.shape}")
        self._scores.append(scores)
        self._true.append(targets.reshape(-1) > 0.5)
        self._weights.append(np.ones(len(scores)) if sample_weight is None else sample_weight)

    def result(self) -> float:
        if not self._scores:
            return math.nan
        scores, true, weight = (
            np.concatenate(parts) for parts in (self._scores, self._true, self._weights)
        )
        if np.isnan(scores).any():  # it has no rank; sorting would put it above all others
            return math.nan
        _, rank = np.unique(scores, return_inverse=True)
        positive = np.bincount(rank, weight * true)
        negative = np.bincount(rank, weight * ~true)
        below = np.cumsum(negative) - negative
        pairs = positive.sum() * negative.sum()
        return float((positive * (below + 0.5 * negative)).sum() / pairs) if pairs else math.nan


def _errors(name: str, outputs: np.ndarray, targets: np.ndarray, weight: Weights) -> np.ndarray:
    """outputs - targets as (n, m) float64; (n, 1) and (n,) agree."""
    _rows(name, outputs, targets, weight)
    if outputs.shape != targets.shape and (outputs.size != len(outputs) or targets.size != len(
        outputs
    )):  # fmt: skip
        raise ShapeError(f"{name}: outputs {outputs.shape} and targets {targets.shape} differ")
    shape = len(outputs), math.prod(outputs.shape[1:])
    difference: np.ndarray = outputs.reshape(shape).astype(np.float64) - targets.reshape(shape)
    return difference


class MSE(_Mean):
    """The mean squared error, over all elements."""

    name = "mse"

    def update(
        self, outputs: np.ndarray, targets: np.ndarray, sample_weight: Weights = None
    ) -> None:
        errors = _errors(self.name, outputs, targets, sample_weight)
        self._add((errors**2).mean(axis=1), sample_weight)


class RMSE(MSE):
    """The square root of the mean squared error."""

    name = "rmse"

    def result(self) -> float:
        return math.sqrt(super().result())


class MAE(_Mean):
    """The mean absolute error, over all elements."""

    name = "mae"

    def update(
        self, outputs: np.ndarray, targets: np.ndarray, sample_weight: Weights = None
    ) -> None:
        errors = _errors(self.name, outputs, targets, sample_weight)
        self._add(np.abs(errors).mean(axis=1), sample_weight)


class R2(Metric):
    """1 - sum (y - f)^2 / sum (y - mean y)^2, averaged over outputs.

    An output whose targets never vary counts 1 if it is met exactly, else 0.
    """

    name = "r2"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._weight = 0.0
        self._mean: Any = 0.0
        self._spread: Any = 0.0
        self._residual: Any = 0.0
        self._low: Any = math.inf
        self._high: Any = -math.inf

    def update(
        self, outputs: np.ndarray, targets: np.ndarray, sample_weight: Weights = None
    ) -> None:
        errors = _errors(self.name, outputs, targets, sample_weight)
        y = targets.reshape(errors.shape).astype(np.float64)
        w = np.ones((len(y), 1)) if sample_weight is None else sample_weight.reshape(-1, 1)
        total = float(w.sum())
        if not total:
            return
        # Chan, Golub & LeVeque's update of mean and spread, which does not cancel.
        mean = (w * y).sum(axis=0) / total
        delta = mean - self._mean
        together = self._weight + total
        self._spread = self._spread + (w * (y - mean) ** 2).sum(axis=0)
        self._spread = self._spread + delta**2 * self._weight * total / together
        self._mean = self._mean + delta * total / together
        self._residual = self._residual + (w * errors**2).sum(axis=0)
        self._weight = together
        counted = y[w[:, 0] > 0]
        self._low = np.minimum(self._low, counted.min(axis=0))
        self._high = np.maximum(self._high, counted.max(axis=0))

    def result(self) -> float:
        if not self._weight:
            return math.nan
        spread, residual = np.asarray(self._spread), np.asarray(self._residual)
        # The spread of a constant that is no binary fraction is rounding, not 0.
        varies = (self._high > self._low) & (spread > 0)
        score = 1.0 - residual / np.where(varies, spread, 1.0)
        return float(np.where(varies, score, np.where(residual == 0, 1.0, 0.0)).mean())


METRICS: dict[str, type[Metric]] = {
    cls.name: cls for cls in (Accuracy, Precision, Recall, F1, AUC, MSE, RMSE, MAE, R2)
}


def get(metric: str | Metric, *, from_logits: bool = True) -> Metric:
    """A metric from its name ("top_5_accuracy" with any number), or itself.

    `from_logits` says how a named metric that has a threshold reads a single output: False where
    the model ends in a sigmoid.

    >>> get("top_3_accuracy").k, get("accuracy", from_logits=False).threshold
    (3, 0.5)
    """
    if isinstance(metric, Metric):
        return metric
    top = re.fullmatch(r"top_(\d+)_accuracy", str(metric))
    if top:
        return TopKAccuracy(int(top[1]))
    if not isinstance(metric, str) or metric not in METRICS:
        raise OptionError(choose("metric", metric, [*METRICS, "top_5_accuracy"]))
    cls = METRICS[metric]
    return cls(from_logits=from_logits) if issubclass(cls, (Accuracy, _Counts)) else cls()

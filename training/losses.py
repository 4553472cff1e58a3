"""Losses as objects with their options, for `compile` and for loops as PyTorch users write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..autograd import Tensor
from ..autograd import functional as F
from ..errors import OptionError, choose


class Loss:
    """Base of the losses: `loss(outputs, target, sample_weight=None)` is a tensor.

    `name` is what `compile(loss=...)` calls it; `task` tells what its targets are.
    """

    name: ClassVar[str] = ""
    task: ClassVar[str] = "regression"
    registry: ClassVar[dict[str, type[Loss]]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        # A subclass without a name of its own, such as a user's, does not take its parent's.
        if "name" in vars(cls):
            Loss.registry[cls.name] = cls

    def __init__(self, **options: Any) -> None:
        self.options = options

    def __call__(self, outputs: Tensor, target: Any, sample_weight: Any = None) -> Tensor:
        raise NotImplementedError

    def check_target(self, target: np.ndarray, columns: int) -> None:
        """Raise DataError for target values that do not fit outputs of so many columns."""

    def config(self) -> dict[str, Any]:
        """The name and options from which an equal loss can be made."""
        return {"name": self.name} | self.options

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={v!r}" for k, v in self.options.items())
        return f"{type(self).__name__}({options})"


class CrossEntropyLoss(Loss):
    """`cross_entropy` of logits (n, c) against class indices (n,) or probabilities (n, c).

    Outputs of sequences, (n, length, c), go with class indices (n, length): each place is a row of
    its own.

    >>> import tercet as tc
    >>> round(CrossEntropyLoss(label_smoothing=0.1)(tc.tensor([[2.0, 0.0]]), [0]).item(), 4)
    0.2269
    """

    name = "cross_entropy"
    task = "classification"

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            weight=None if weight is None else [float(w) for w in weight],
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )

    def check_target(self, target: np.ndarray, columns: int) -> None:
        if target.dtype.kind in "iu":
            F.check_labels(target.reshape(-1), columns, self.options["ignore_index"])

    def __call__(self, outputs: Tensor, target: Any, sample_weight: Any = None) -> Tensor:
        if outputs.ndim > 2 and np.shape(target) == outputs.shape[:-1]:
            outputs, target = outputs.reshape(-1, outputs.shape[-1]), target.reshape(-1)
        return F.cross_entropy(outputs, target, sample_weight=sample_weight, **self.options)


class _Pointwise(Loss):
    """A loss of outputs and targets of one shape."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, reduction: str = "mean", **options: Any) -> None:
        super().__init__(reduction=reduction, **options)

    def __call__(self, outputs: Tensor, target: Any, sample_weight: Any = None) -> Tensor:
        function = type(self).function
        return function(outputs, target, sample_weight=sample_weight, **self.options)


class MSELoss(_Pointwise):
    """`mse_loss`, the mean squared error."""

    name = "mse"
    function = staticmethod(F.mse_loss)


class MAELoss(_Pointwise):
    """`mae_loss`, the mean absolute error."""

    name = "mae"
    function = staticmethod(F.mae_loss)


class HuberLoss(_Pointwise):
    """`huber_loss`, quadratic up to an error of `delta`, linear beyond."""

    name = "huber"
    function = staticmethod(F.huber_loss)

    def __init__(self, delta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction, delta=delta)


class BCELoss(_Pointwise):
    """`binary_cross_entropy` of probabilities."""

    name = "binary_cross_entropy"
    task = "binary"
    function = staticmethod(F.binary_cross_entropy)

    def check_target(self, target: np.ndarray, columns: int) -> None:
        F.check_probabilities(self.name, "target", target)


class BCEWithLogitsLoss(_Pointwise):
    """`binary_cross_entropy_with_logits`, stable for logits of any size."""

    name = "binary_cross_entropy_with_logits"
    task = "binary"
    function = staticmethod(F.binary_cross_entropy_with_logits)

    def check_target(self, target: np.ndarray, columns: int) -> None:
        F.check_probabilities(self.name, "target", target)


ALIASES = {
    "bce": "binary_cross_entropy",
    "bce_logits": "binary_cross_entropy_with_logits",
    "l1": "mae",
    "sparse_categorical_crossentropy": "cross_entropy",
    "categorical_crossentropy": "cross_entropy",
}


def get(loss: str | dict[str, Any] | Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss from its name, its `config()`, or itself: any function (outputs, target) -> tensor."""
    if callable(loss):
        return loss
    options = {"name": loss} if isinstance(loss, str) else dict(loss)
    name = str(options.pop("name")).lower()
    name = ALIASES.get(name, name)
    if name not in Loss.registry:
        raise OptionError(choose("loss", name, [*Loss.registry, *ALIASES]))
    return Loss.registry[name](**options)

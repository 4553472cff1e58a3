"""Activations as layers, for use in Sequential. Equations: kernels/activation/reference.py."""

from __future__ import annotations

from ..autograd import Tensor
from ..autograd.functional import activation, check_activation, log_softmax, softmax
from ..errors import OptionError, choose
from .module import Module


class Activation(Module):
    """The activation called `kind`, elementwise: x of any shape -> the same shape.

    >>> import tercet as tc
    >>> Activation("relu")(tc.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, kind: str, alpha: float | None = None) -> None:
        super().__init__()
        self.kind, self.alpha = check_activation(kind, alpha)

    def forward(self, x: Tensor) -> Tensor:
        return activation(x, self.kind, self.alpha)


class _Named(Activation):
    """An activation whose kind is its class's."""

    kind_name = "identity"

    def __init__(self) -> None:
        super().__init__(self.kind_name)


class Identity(_Named):
    """x."""


class ReLU(_Named):
    """max(x, 0)."""

    kind_name = "relu"


class ReLU6(_Named):
    """min(max(x, 0), 6)."""

    kind_name = "relu6"


class SELU(_Named):
    """The self-normalizing elu."""

    kind_name = "selu"


class SiLU(_Named):
    """x sigmoid(x)."""

    kind_name = "silu"


class Softplus(_Named):
    """log(1 + e^x)."""

    kind_name = "softplus"


class Sigmoid(_Named):
    """1 / (1 + e^-x)."""

    kind_name = "sigmoid"


class Tanh(_Named):
    """The hyperbolic tangent."""

    kind_name = "tanh"


class HardSigmoid(_Named):
    """clip(x + 3, 0, 6) / 6."""

    kind_name = "hard_sigmoid"


class HardSwish(_Named):
    """x clip(x + 3, 0, 6) / 6."""

    kind_name = "hard_swish"


class Mish(_Named):
    """x tanh(softplus(x))."""

    kind_name = "mish"


class LeakyReLU(Activation):
    """x where x > 0, else negative_slope * x."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__("leaky_relu", negative_slope)


class ELU(Activation):
    """x where x > 0, else alpha (e^x - 1)."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__("elu", alpha)


class GELU(Activation):
    """x Phi(x), exact by erf, or by tanh with approximate="tanh"."""

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise OptionError(choose("approximation of GELU", approximate, ("none", "tanh")))
        super().__init__("gelu" if approximate == "none" else "gelu_tanh")


class Softmax(Module):
    """Softmax along `axis`: rows of probabilities."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return softmax(x, self.axis)


class LogSoftmax(Module):
    """The logarithm of softmax along `axis`."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return log_softmax(x, self.axis)

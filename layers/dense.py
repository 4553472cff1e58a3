"""The dense layer."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor, is_float
from ..autograd.functional import check_activation, dense, log_softmax, softmax
from ..backends import Backend, DType, generator, get_backend
from ..errors import OptionError, ShapeError
from . import initializers
from .module import Module, Parameter, Regularizer

# These need a whole row, so they follow the fused op instead of being part of it.
ROWWISE = {"softmax": softmax, "log_softmax": log_softmax}


class Dense(Module):
    """f(x W + b), as one op; every unit is a weighted sum of all inputs.

    Shapes: x (..., in_features) -> (..., out_features); `weight` (in_features, out_features),
    `bias` (out_features,).

    Sizes are given as to `range`: Dense(64) takes its input size from its first input,
    Dense(10, 64), or Linear(10, 64), has its parameters at once. `activation` is a name from
    tercet.kernels.activation, "softmax" or "log_softmax"; `alpha` is that of leaky_relu and elu.
    `weight_init` and `bias_init` are initializers or their names; by default the weight is drawn as
    suits the activation (He for the relu family, LeCun for selu, else Glorot) and the bias is zero.

    >>> import tercet as tc
    >>> layer = Dense(3, 2, activation="relu")
    >>> layer(tc.zeros(5, 3)).shape, layer.num_parameters()
    ((5, 2), 8)
    """

    def __init__(
        self,
        in_features: int | None = None,
        out_features: int | None = None,
        *,
        activation: str | None = None,
        alpha: float | None = None,
        bias: bool = True,
        weight_init: Any = None,
        bias_init: Any = "zeros",
        weight_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        dtype: str | DType | None = None,
    ) -> None:
        super().__init__()
        if out_features is None:
            in_features, out_features = None, in_features
        for size in (in_features, out_features):
            if (size is None and size is out_features) or (
                size is not None and (not isinstance(size, int) or size < 1)
            ):
                raise OptionError(
                    f"Dense sizes are positive integers, Dense(out) or Dense(in, out); found "
                    f"in_features={in_features!r}, out_features={out_features!r}"
                )
        assert out_features is not None
        if activation is not None and not isinstance(activation, str):
            raise OptionError(f"Dense: activation is given by name, found {activation!r}")
        self.in_features, self.out_features = in_features, out_features
        self.activation = activation or "identity"
        self.rowwise = ROWWISE.get(self.activation)
        fused = "identity" if self.rowwise else self.activation
        self.kind, self.alpha = check_activation(fused, alpha)
        self.use_bias = bias
        self.weight_init = (
            initializers.for_activation(activation, alpha)
            if weight_init is None
            else initializers.get(weight_init)
        )
        self.bias_init = initializers.get(bias_init)
        self.weight_regularizer, self.bias_regularizer = weight_regularizer, bias_regularizer
        if dtype is not None:
            self.to(dtype=dtype)
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None
        if in_features is not None:
            self._build(in_features, get_backend())

    def _build(self, in_features: int, backend: Backend) -> None:
        """Draw the parameters: on the host, so that every backend gets the same bits."""
        self.in_features = in_features
        shape, random, dtype = (in_features, self.out_features), generator(), self._place[1]
        weight = self.weight_init(random, shape, *shape)
        self.weight = Parameter(weight, backend, dtype, self.weight_regularizer)
        if self.use_bias:
            bias = self.bias_init(random, shape[1:], *shape)
            self.bias = Parameter(bias, backend, dtype, self.bias_regularizer)

    def _is_built(self) -> bool:
        return self.weight is not None

    def forward(self, x: Tensor) -> Tensor:
        if self.weight is None:
            if not x.ndim:
                raise ShapeError(f"Dense takes inputs (..., features), found shape {x.shape}")
            self._build(x.shape[-1], x.backend)
            assert self.weight is not None
        if not is_float(x.dtype):
            x = x.astype(self.weight.dtype)
        shape = x.shape
        if not shape or shape[-1] != self.in_features:
            raise ShapeError(
                f"{self!r} takes inputs (..., {self.in_features}), found shape {shape}"
            )
        out = dense(x, self.weight, self.bias, self.kind, self.alpha)
        return out if self.rowwise is None else self.rowwise(out)

    def config(self) -> dict[str, Any]:
        given = super().config()
        given.pop("in_features", None)
        given.pop("out_features", None)
        if self.in_features is None:
            return {"out_features": self.out_features} | given
        return {"in_features": self.in_features, "out_features": self.out_features} | given

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Dense:
        return cls(config.pop("in_features", None), **config)


Linear = Dense

"""The dense layer as a function."""

from __future__ import annotations

from ...errors import ShapeError
from ..functions.dense import Dense
from ..precision import half_of
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor
from .activation import check_activation


def dense(
    x: Operand,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str = "identity",
    alpha: float | None = None,
) -> Tensor:
    """f(x W + b) as one op: x (..., in), weight (in, out), bias (out,) or None.

    >>> import tercet as tc
    >>> dense([[1.0, 2.0]], tc.tensor([[1.0], [1.0]]), tc.tensor([0.5])).tolist()
    [[3.5]]
    """
    kind, value = check_activation(activation, alpha)
    x = as_tensor(x, weight.backend, weight.dtype)
    shape, sizes = x.shape, weight.shape
    if len(sizes) != 2 or not shape or shape[-1] != sizes[0]:
        raise ShapeError(
            f"dense: expected x of shape (..., in) and weight (in, out), found x {shape} and "
            f"weight {sizes}"
        )
    if bias is not None and bias.shape != sizes[1:]:
        raise ShapeError(f"dense: expected bias {sizes[1:]}, found {bias.shape}")
    half = half_of(x, weight, bias)
    return apply(Dense, x, weight, bias, activation=kind, alpha=value, half=half)


linear = dense

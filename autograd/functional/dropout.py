"""Dropout as a function."""

from __future__ import annotations

from ...errors import OptionError
from ..functions.activation import Dropout
from ..tape import apply
from ..tensor import Operand, Tensor, as_tensor


def dropout(x: Operand, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p and scale the others by 1 / (1 - p).

    Outside training the input itself. The mask depends on the seed, not on the backend.
    """
    x = as_tensor(x)
    if not 0.0 <= p < 1.0:
        raise OptionError(f"dropout: p must be in [0, 1), found {p}")
    return apply(Dropout, x, p=float(p)) if training and p else x

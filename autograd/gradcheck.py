"""A gradient check for users: the derivative along a random direction, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DTypeError, GradientError
from .tape import no_grad
from .tensor import Tensor

# Central differences with step h err by h^2 f'''/6 and by eps f / h: least near eps^(1/3).
STEP = float(np.finfo(np.float64).eps) ** (1 / 3)


def gradcheck(
    function: Callable[..., Tensor],
    inputs: Tensor | tuple[Any, ...],
    tolerance: float = 1e-6,
    directions: int = 3,
    seed: int = 0,
) -> bool:
    """Check the gradients that `function(*inputs)` gives against central differences.

    The output, of any shape, is weighed by a random u; along a random direction v of all float64
    inputs that require a gradient, <u, f(x + hv) - f(x - hv)> / 2h must equal <gradient, v> to
    `tolerance` relative to the sum of the terms' sizes. Returns True, or raises GradientError with
    both numbers. `function` must be deterministic and differentiable near its inputs.

    >>> import tercet as tc
    >>> x = tc.tensor([[0.3, -1.2]], dtype="float64", requires_grad=True)
    >>> gradcheck(lambda x: (x.exp() * x).sum(), x)
    True
    """
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    checked = [t for t in arguments if isinstance(t, Tensor) and t.requires_grad]
    if not checked:
        raise GradientError("gradcheck: no input requires a gradient")
    for t in checked:
        if t.dtype != np.float64:
            raise DTypeError(f"gradcheck needs float64 inputs, found {t.dtype}: .astype('float64')")
    rng = np.random.default_rng(seed)
    for _ in range(directions):
        for t in checked:
            t.zero_grad()
        out = function(*arguments)
        weight = rng.normal(size=out.shape)
        out.backward(weight)
        step_along = [rng.normal(size=t.shape) for t in checked]
        terms = [
            np.zeros(1) if t.grad is None else t.grad.numpy() * v
            for t, v in zip(checked, step_along, strict=True)
        ]
        analytic = sum(float(t.sum()) for t in terms)
        scale = 1.0 + sum(float(np.abs(t).sum()) for t in terms)
        numeric = _numeric(function, arguments, checked, step_along, weight)
        if not abs(numeric - analytic) <= tolerance * scale:
            raise GradientError(
                f"gradcheck: the derivative along a random direction is {numeric:.10g} by central "
                f"differences and {analytic:.10g} by backward(); allowed {tolerance * scale:.2g}"
            )
    return True


@no_grad()
def _numeric(
    function: Callable[..., Tensor],
    arguments: tuple[Any, ...],
    checked: list[Tensor],
    direction: list[np.ndarray],
    weight: np.ndarray,
) -> float:
    values = [t.data for t in checked]
    results = []
    try:
        for sign in (1.0, -1.0):
            for t, value, v in zip(checked, values, direction, strict=True):
                moved = t.backend.to_numpy(value) + sign * STEP * v
                t.data = t.backend.asarray(moved)
            results.append(float((weight * function(*arguments).numpy()).sum()))
    finally:
        for t, value in zip(checked, values, strict=True):
            t.data = value
    return (results[0] - results[1]) / (2 * STEP)

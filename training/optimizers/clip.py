"""Gradient clipping for hand-written loops, by PyTorch's names."""

from __future__ import annotations

from collections.abc import Iterable

from ...autograd import Tensor
from ...errors import OptionError
from ...layers import Parameter
from .optimizer import clip_arrays


def clip_grad_norm_(parameters: Iterable[Parameter], max_norm: float) -> Tensor:
    """Scale all gradients together so that their global norm is at most `max_norm`.

    Returns the norm before, as a tensor of shape (): it stays on the backend until it is read.

    >>> import tercet as tc
    >>> w = tc.Parameter([3.0, 4.0])
    >>> (w * w).sum().backward()
    >>> clip_grad_norm_([w], 1.0).item(), [round(v, 4) for v in w.grad.tolist()]
    (10.0, [0.6, 0.8])
    """
    if not max_norm > 0:
        raise OptionError(f"clip_grad_norm_: max_norm must be positive, found {max_norm}")
    chosen = [p for p in parameters if p.grad is not None]
    if not chosen:
        raise OptionError("clip_grad_norm_: no parameter has a gradient; call backward() first")
    backend = chosen[0].backend
    total = clip_arrays(backend.ops, [p.grad_buffer() for p in chosen], max_norm)
    return Tensor(total, backend).sqrt()


def clip_grad_value_(parameters: Iterable[Parameter], limit: float) -> None:
    """Limit every element of every gradient to [-limit, limit]."""
    if not limit > 0:
        raise OptionError(f"clip_grad_value_: limit must be positive, found {limit}")
    for p in parameters:
        if p.grad is not None:
            p.backend.ops.clip_by_value(p.grad_buffer(), limit=float(limit))

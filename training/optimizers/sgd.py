"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...backends import Array
from ...errors import OptionError
from .optimizer import Group, Optimizer


class SGD(Optimizer):
    """g += weight_decay w;  v = momentum v + g;  w -= lr (g + momentum v if nesterov else v).

    Source: Robbins & Monro, 1951; momentum as in Sutskever et al., ICML 2013, section 2.

    >>> import tercet as tc
    >>> w = tc.Parameter([1.0])
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); round(w.item(), 6)
    0.8
    """

    state_names = ("velocity",)

    def __init__(
        self,
        parameters: Iterable[Any] | None = None,
        lr: float = 1e-2,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        if nesterov and not momentum:
            raise OptionError("SGD: nesterov needs a momentum above 0")
        options = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(parameters, options, clip_norm, clip_value)

    def initial_state(self) -> dict[str, float]:
        return {"velocity": 0.0} if any(g.options["momentum"] for g in self.groups) else {}

    def update(self, param: Array, grad: Array, state: Sequence[Array], group: Group) -> None:
        velocity = state[0] if group.options["momentum"] else None
        ops = group.parameters[0].backend.ops
        ops.sgd_update(param, velocity, grad, group.hyper, **group.options)

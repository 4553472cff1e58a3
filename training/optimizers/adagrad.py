"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...backends import Array
from .optimizer import Group, Optimizer


class Adagrad(Optimizer):
    """s += g^2;  w -= lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps).

    `initial_value` is what every s begins with.

    Source: Duchi, Hazan & Singer, "Adaptive subgradient methods", JMLR 12, 2011, section 1.
    """

    state_names = ("square",)

    def __init__(
        self,
        parameters: Iterable[Any] | None = None,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_value: float = 0.0,
        eps: float = 1e-10,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        options = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_value": initial_value,
            "eps": eps,
        }
        super().__init__(parameters, options, clip_norm, clip_value)

    def initial_state(self) -> dict[str, float]:
        return {"square": float(self.defaults["initial_value"])}

    def update(self, param: Array, grad: Array, state: Sequence[Array], group: Group) -> None:
        options = {k: group.options[k] for k in ("eps", "weight_decay", "lr_decay")}
        ops = group.parameters[0].backend.ops
        ops.adagrad_update(param, state[0], grad, group.hyper, **options)

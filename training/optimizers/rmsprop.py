"""RMSProp."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...backends import Array
from .optimizer import Group, Optimizer


class RMSprop(Optimizer):
    """s = alpha s + (1 - alpha) g^2;  w -= lr g / (sqrt(s) + eps).

    With `momentum`, v = momentum v + g / (sqrt(s) + eps) and w -= lr v. With `centered`, the
    variance s - a^2 stands for s, a the running average of g.

    Source: Tieleman & Hinton, Coursera lecture 6.5, 2012; centered: Graves, 2013, section 4.
    """

    state_names = ("square", "velocity", "average")

    def __init__(
        self,
        parameters: Iterable[Any] | None = None,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        options = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
        }
        super().__init__(parameters, options, clip_norm, clip_value)

    def initial_state(self) -> dict[str, float]:
        state = {"square": 0.0}
        if any(g.options["momentum"] for g in self.groups):
            state["velocity"] = 0.0
        if any(g.options["centered"] for g in self.groups):
            state["average"] = 0.0
        return state

    def update(self, param: Array, grad: Array, state: Sequence[Array], group: Group) -> None:
        square, velocity, average = state
        group.parameters[0].backend.ops.rmsprop_update(
            param,
            square,
            velocity if group.options["momentum"] else None,
            average if group.options["centered"] else None,
            grad,
            group.hyper,
            **group.options,
        )

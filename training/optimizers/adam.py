"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...backends import Array
from .optimizer import Group, Optimizer


class Adam(Optimizer):
    """m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w -= lr m^ / (sqrt(v^) + eps),

    with m^ = m / (1 - b1^t), v^ = v / (1 - b2^t). `weight_decay` adds weight_decay * w to g.

    Source: Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
    """

    state_names = ("m", "v")
    decoupled = False

    def __init__(
        self,
        parameters: Iterable[Any] | None = None,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        options = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, options, clip_norm, clip_value)

    def update(self, param: Array, grad: Array, state: Sequence[Array], group: Group) -> None:
        options = group.options
        group.parameters[0].backend.ops.adam_update(
            param,
            *state,
            grad,
            group.hyper,
            beta1=options["betas"][0],
            beta2=options["betas"][1],
            eps=options["eps"],
            weight_decay=options["weight_decay"],
            decoupled=self.decoupled,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: w -= lr weight_decay w, apart from the gradient's step.

    Source: Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.

    >>> import tercet as tc
    >>> w = tc.Parameter([1.0])
    >>> optimizer = AdamW([w], lr=0.1, weight_decay=0.0)
    >>> (w * w).sum().backward(); optimizer.step(); round(w.item(), 4)
    0.9
    """

    decoupled = True

    def __init__(
        self,
        parameters: Iterable[Any] | None = None,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            parameters, lr, betas, eps, weight_decay, clip_norm=clip_norm, clip_value=clip_value
        )

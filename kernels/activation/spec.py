"""The activation family's table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..spec import Kernel, Sample, like_first
from .reference import FROM_OUTPUT, KINDS, activation_backward, activation_forward

ALPHA = {"leaky_relu": 0.01, "elu": 1.0}
KINKS = {
    "relu": (0.0,),
    "relu6": (0.0, 6.0),
    "leaky_relu": (0.0,),
    "elu": (0.0,),
    "selu": (0.0,),
    "hard_sigmoid": (-3.0, 3.0),
    "hard_swish": (-3.0, 3.0),
}


def _forward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for kind in KINDS:
        attributes = {"kind": kind, "alpha": ALPHA.get(kind, 0.0)}
        x = rng.normal(size=(7, 33)) * 3
        yield Sample({"x": x}, attributes, KINKS.get(kind, ()))


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for kind, (forward, _) in KINDS.items():
        alpha = ALPHA.get(kind, 0.0)
        x = rng.normal(size=(7, 33)) * 3
        saved = forward(np, x, alpha) if kind in FROM_OUTPUT else x
        yield Sample(
            {"dout": rng.normal(size=x.shape), "saved": saved}, {"kind": kind, "alpha": alpha}
        )


KERNELS = [
    Kernel(activation_forward, like_first, _forward_samples, special=True),
    Kernel(activation_backward, like_first, _backward_samples, outputs=("dx",)),
]

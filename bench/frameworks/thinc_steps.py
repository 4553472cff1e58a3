"""Thinc: begin_update, the gradient of the cross-entropy, backprop, finish_update."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cases import BETA1, BETA2, EPSILON_BEFORE_CORRECTION, LR, TRAIN, Case, batch, weights
from ..job import Job


def build(case: Case, mode: str, threads: int) -> Job:
    from thinc.api import Adam, CategoricalCrossentropy, Gelu, Linear, Relu, Softmax, chain

    hidden = {"relu": Relu, "gelu": Gelu}[case.activation]
    # Thinc's losses take probabilities; without training, the outputs themselves are compared.
    last = Softmax if case.kind == TRAIN else Linear
    layers = [hidden(nI=a, nO=b) for a, b in case.layers[:-1]]
    a, b = case.layers[-1]
    model: Any = chain(*layers, last(nI=a, nO=b))
    model.initialize()
    for layer, (weight, bias) in zip(model.layers, weights(case), strict=True):
        layer.set_param("W", weight.T.copy())
        layer.set_param("b", bias)
    x, y = batch(case)
    if case.kind != TRAIN:
        return Job(lambda: model.predict(x), np.asarray)
    loss = CategoricalCrossentropy(normalize=True)
    optimizer = Adam(
        LR,
        beta1=BETA1,
        beta2=BETA2,
        eps=EPSILON_BEFORE_CORRECTION,
        L2=0.0,
        grad_clip=0.0,
        use_averages=False,
    )
    target = np.eye(case.widths[-1], dtype=np.float32)[y]

    def step() -> Any:
        guess, backprop = model.begin_update(x)
        backprop(loss.get_grad(guess, target))
        model.finish_update(optimizer)
        return guess

    rows = np.arange(len(x))
    # What Thinc calls this loss is a squared error; what it descends is the cross-entropy.
    return Job(step, lambda guess: float(-np.log(guess[rows, y]).mean()))

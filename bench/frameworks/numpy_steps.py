"""The step as one would write it by hand in NumPy: what any framework on NumPy is measured by.

Written to be fast: float32 throughout, in place where a name is not needed again, all parameters in
one buffer, so that Adam is few calls on long arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...kernels.erf import erf
from ..cases import BETA1, BETA2, EPSILON, LR, TRAIN, Case, batch, weights
from ..job import Job


def build(case: Case, mode: str, threads: int) -> Job:
    x, y = batch(case)
    if case.kind == TRAIN:
        step = Step(case)
        return Job(lambda: step(x, y), float)
    parameters = weights(case)
    return Job(lambda: forward(parameters, x, case.activation)[-1][1], np.asarray)


def forward(parameters: Any, x: np.ndarray, activation: str) -> list[tuple[Any, np.ndarray]]:
    """(z, output) of the input and of every layer; z only where the activation's slope needs it."""
    found: list[tuple[Any, np.ndarray]] = [(None, x)]
    for i, (w, b) in enumerate(parameters):
        z = x @ w
        z += b
        if i == len(parameters) - 1:
            found.append((None, z))
        elif activation == "relu":
            x = np.maximum(z, 0, out=z)
            found.append((None, x))
        else:
            x = erf(np, z * np.float32(0.5**0.5))
            x += 1
            x *= z
            x *= 0.5
            found.append((z, x))
    return found


def slope(z: Any, out: np.ndarray) -> np.ndarray:
    """The derivative of the activation that `forward` applied."""
    if z is None:
        return out > 0
    cdf = erf(np, z * np.float32(0.5**0.5))
    cdf += 1
    cdf *= 0.5
    pdf = np.exp(z * z * np.float32(-0.5))
    pdf *= z
    pdf *= np.float32((2 * np.pi) ** -0.5)
    cdf += pdf
    return np.asarray(cdf)


class Step:
    """Forward, backward, Adam."""

    def __init__(self, case: Case) -> None:
        self.activation = case.activation
        arrays = [array for layer in weights(case) for array in layer]
        self.flat = np.concatenate([a.ravel() for a in arrays])
        self.gradient = np.zeros_like(self.flat)
        self.m, self.v = np.zeros_like(self.flat), np.zeros_like(self.flat)
        self.t = 0
        ends = np.cumsum([a.size for a in arrays])
        self.parameters, self.gradients = (
            self._pairs(
                [buffer[e - a.size : e].reshape(a.shape) for e, a in zip(ends, arrays, strict=True)]
            )
            for buffer in (self.flat, self.gradient)
        )

    @staticmethod
    def _pairs(arrays: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    def __call__(self, x: np.ndarray, y: np.ndarray) -> float:
        passed = forward(self.parameters, x, self.activation)
        rows = np.arange(len(x))
        logits = passed[-1][1]
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[rows, y]
        dz = np.exp(logits, out=logits)
        total = dz.sum(axis=1, keepdims=True)
        loss = float((np.log(total[:, 0]) - chosen).mean())
        dz /= total
        dz[rows, y] -= 1
        dz /= len(x)
        for i in reversed(range(len(self.parameters))):
            weight, (dw, db) = self.parameters[i][0], self.gradients[i]
            z, out = passed[i]
            np.matmul(out.T, dz, out=dw)
            dz.sum(axis=0, out=db)
            if i:
                dz = dz @ weight.T
                dz *= slope(z, out)
        self.adam()
        return loss

    def adam(self) -> None:
        self.t += 1
        g, m, v = self.gradient, self.m, self.v
        m *= BETA1
        m += (1 - BETA1) * g
        v *= BETA2
        g *= g
        g *= 1 - BETA2
        v += g
        root = np.sqrt(v, out=g)
        root *= (1 - BETA2**self.t) ** -0.5
        root += EPSILON
        step = np.divide(m, root, out=g)
        step *= LR / (1 - BETA1**self.t)
        self.flat -= step

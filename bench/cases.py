"""What is timed: training steps and inference of multilayer perceptrons, steps of other networks.

A training step is forward, backward and an Adam update with lr 1e-3, always on the same batch. All
frameworks start from the weights of `weights`, and see the input and the classes of `batch`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import OptionError, choose
from . import networks

LR, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8  # Adam's, in every framework
# For those that add epsilon to sqrt(v) before its bias is corrected, as in Kingma & Ba, section 2:
# there the same number would act as one 30 times as large in the first step.
EPSILON_BEFORE_CORRECTION = EPSILON * (1 - BETA2) ** 0.5
TRAIN, INFER = "train", "infer"


@dataclass(frozen=True)
class Case:
    """An MLP, a batch size, and whether a step of training or an inference is timed.

    `network` names one of bench/networks.py in place of the MLP; it has no widths.

    >>> Case("small", TRAIN, (10, 64, 2), 16).title
    'training 10-64-2 relu, batch 16'
    """

    name: str
    kind: str
    widths: tuple[int, ...]
    batch: int
    activation: str = "relu"
    network: str = "mlp"

    @property
    def title(self) -> str:
        """The case in words."""
        what = {TRAIN: "training", INFER: "inference"}[self.kind]
        if self.network != "mlp":
            return f"{what} {self.network}, batch {self.batch}"
        return f"{what} {'-'.join(map(str, self.widths))} {self.activation}, batch {self.batch}"

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(in, out) of every layer."""
        return list(pairwise(self.widths))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Case:
        return cls(**content | {"widths": tuple(content["widths"])})


MNIST = (784, 256, 128, 10)
CASES = {
    case.name: case
    for case in (
        Case("tiny", TRAIN, (10, 64, 32, 2), 16),
        Case("mlp-32", TRAIN, MNIST, 32),
        Case("mlp-512", TRAIN, MNIST, 512),
        Case("infer-1", INFER, MNIST, 1),
        Case("infer-256", INFER, MNIST, 256),
        Case("cnn", TRAIN, (), 64, network="cnn"),
        Case("lstm", TRAIN, (), 32, network="lstm"),
        Case("gpt", TRAIN, (), 8, network="gpt"),
        Case("large", TRAIN, (1024, 4096, 4096, 1024), 256, "gelu"),
    )
}
LARGE = ("large",)  # only when asked for: seconds a turn, and 400 MB a framework


@dataclass(frozen=True)
class Sweep:
    """A series of cases along one axis, for a plot."""

    name: str
    title: str
    axis: str
    values: tuple[int, ...]
    cases: tuple[Case, ...]


def _by_batch() -> Sweep:
    values = (1, 4, 16, 64, 256, 1024)
    cases = tuple(replace(CASES["mlp-32"], name=f"batch-{b}", batch=b) for b in values)
    return Sweep("by-batch", "Training step of 784-256-128-10 relu", "batch size", values, cases)


def _by_width() -> Sweep:
    values = (8, 32, 128, 512, 1024)
    cases = tuple(Case(f"width-{w}", TRAIN, (w, w, w, 10), 64) for w in values)
    return Sweep("by-width", "Training step of w-w-w-10 relu, batch 64", "width w", values, cases)


SWEEPS = {sweep.name: sweep for sweep in (_by_batch(), _by_width())}


def choose_steps(names: list[str] | None, large: bool) -> tuple[list[Case], list[Sweep]]:
    """The cases and sweeps that are meant: those named, or all, the large ones only with `large`.

    >>> [case.name for case in choose_steps(["tiny", "by-batch"], False)[0]]
    ['tiny']
    """
    known = [*CASES, *SWEEPS]
    for name in names or ():
        if name not in known:
            raise OptionError(choose("step", name, known))
    chosen = names or [name for name in known if large or name not in LARGE]
    if large:
        chosen = [*chosen, *(name for name in LARGE if name not in chosen)]
    return [CASES[n] for n in chosen if n in CASES], [SWEEPS[n] for n in chosen if n in SWEEPS]


def weights(case: Case) -> list[tuple[np.ndarray, np.ndarray]]:
    """(weight (in, out), bias (out,)) of every layer, float32, the same in every process."""
    rng = np.random.default_rng(1)
    return [
        (
            rng.uniform(-1.0, 1.0, (a, b)).astype(np.float32) / np.float32(a**0.5),
            rng.uniform(-0.1, 0.1, b).astype(np.float32),
        )
        for a, b in case.layers
    ]


def batch(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (batch, in) float32 and classes (batch,) int64, the same in every process."""
    if case.network != "mlp":
        return networks.batch(case.network, case.batch)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((case.batch, case.widths[0]), dtype=np.float32)
    return x, rng.integers(0, case.widths[-1], case.batch)

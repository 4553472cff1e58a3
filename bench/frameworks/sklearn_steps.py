"""scikit-learn's MLPClassifier: `partial_fit` on one batch is one training step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cases import BETA1, BETA2, EPSILON_BEFORE_CORRECTION, LR, TRAIN, Case, batch, weights
from ..job import Job, NotHere


def build(case: Case, mode: str, threads: int) -> Job:
    from sklearn.neural_network import MLPClassifier

    if case.activation != "relu":
        raise NotHere(f"MLPClassifier has no {case.activation}")
    if case.widths[-1] == 2:
        raise NotHere("MLPClassifier has one output for two classes: another model")
    x, y = batch(case)
    model: Any = MLPClassifier(
        case.widths[1:-1], solver="adam", alpha=0.0, batch_size=len(x), shuffle=False,
        learning_rate_init=LR, beta_1=BETA1, beta_2=BETA2, epsilon=EPSILON_BEFORE_CORRECTION,
    )  # fmt: skip
    model.partial_fit(x, y, classes=np.arange(case.widths[-1]))
    for i, (w, b) in enumerate(weights(case)):
        model.coefs_[i][...] = w
        model.intercepts_[i][...] = b
    if case.kind != TRAIN:
        return Job(lambda: model.predict_proba(x), np.log)
    del model._optimizer  # so that the next step begins with moments of zero

    def step() -> Any:
        return model.partial_fit(x, y)

    return Job(step, lambda fitted: fitted.loss_)

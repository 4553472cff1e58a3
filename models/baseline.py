"""The linear model that every network is shown beside: what it does not beat is not worth it."""

from __future__ import annotations

import numpy as np

from ..backends import seed
from ..data import DataSource, Standardizer
from ..layers import Dense, Flatten, Module
from ..training.optimizers import AdamW
from ..training.schedules import CosineAnnealingLR
from .sequential import Sequential

# Enough for a linear model, whatever the data: steps, and samples of each.
STEPS, BATCH = 4000, 128
MOST_EPOCHS = 120
# The commonest values of a column of categories have an input of their own in the linear model.
MOST_VALUES = 256
# What is added to the diagonal of least squares' equations, relative to its mean.
RIDGE = 1e-3


def linear_baseline(source: DataSource, number: int = 0) -> float:
    """Held-out accuracy of logistic regression, or R2 of ridge regression, on standardized inputs.

    Categories are one-hot. `number` is the seed.
    """
    train, test = one_hot(source)
    train, test = (x.reshape(len(x), -1) for x in (train, test))
    standardize = Standardizer().fit(train)
    train, test = standardize(train), standardize(test)
    if source.task == "classification":
        return _logistic(train, test, source, number)
    return _ridge(train, test, source.y_train, source.y_test)


def one_hot(source: DataSource) -> tuple[np.ndarray, np.ndarray]:
    """The inputs of both parts, with a column of zeros and ones for each value of a category.

    Values that are not among the MOST_VALUES commonest of a column are zeros throughout.
    """
    parts = source.x_train, source.x_test
    if source.categories is None:
        return parts
    columns: list[tuple[np.ndarray, ...]] = []
    for i, known in enumerate(source.categories):
        given = tuple(x[:, i : i + 1] for x in parts)
        if known is not None:
            values, counts = np.unique(given[0], return_counts=True)
            kept = values[np.argsort(-counts, kind="stable")[:MOST_VALUES]]
            given = tuple((x == kept).astype(np.float32) for x in given)
        columns.append(given)
    train, test = (np.concatenate(of_part, axis=1) for of_part in zip(*columns, strict=True))
    return train, test


def _logistic(train: np.ndarray, test: np.ndarray, source: DataSource, number: int) -> float:
    epochs = int(np.clip(STEPS * BATCH // len(train), 1, MOST_EPOCHS))
    seed(number)
    layers: list[Module] = [Flatten(), Dense(source.num_classes, weight_init="zeros")]
    model = Sequential(layers)
    model.compile(AdamW(lr=5e-3, weight_decay=1e-2), "cross_entropy", ["accuracy"])
    schedule = CosineAnnealingLR(T_max=epochs)
    model.fit(
        train, source.y_train, epochs=epochs, batch_size=BATCH, verbose=0, callbacks=[schedule]
    )
    return model.evaluate(test, source.y_test)["accuracy"]


def _ridge(train: np.ndarray, test: np.ndarray, y: np.ndarray, y_test: np.ndarray) -> float:
    x = train.astype(np.float64)
    middle = y.mean(axis=0)
    square = x.T @ x
    square[np.diag_indices_from(square)] += RIDGE * max(np.trace(square) / len(square), 1e-12)
    weight = np.linalg.solve(square, x.T @ (y - middle))
    error = y_test - (test.astype(np.float64) @ weight + middle)
    return float(1.0 - (error**2).sum() / ((y_test - y_test.mean(axis=0)) ** 2).sum())

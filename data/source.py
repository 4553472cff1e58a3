"""DataSource: a data set with its training and held-out parts, ready for `fit`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .categories import Categories


@dataclass(frozen=True)
class DataSource:
    """Arrays and what they mean.

    x is float32 (n, ...). For task "classification" y is int64 (n,) in [0, num_classes); for
    "regression" y is float32 (n,) and num_classes is 0. Where a table has columns of categories,
    `categories` holds the values of each of them, and None for a column of numbers; in x the first
    value is 1, and 0 is one that the training part does not hold.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    task: str
    num_classes: int = 0
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    target_name: str | None = None
    categories: Categories | None = None

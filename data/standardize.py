"""Standardization: mean 0 and variance 1 for each feature, by the training part."""

from __future__ import annotations

import numpy as np

from ..errors import DataError, ShapeError
from .checks import check_finite


class Standardizer:
    """(x - mean) / scale, with mean and standard deviation of each feature over the samples.

    Fit it on the training part only: what the held-out part looks like must not be known. A feature
    that never varies keeps scale 1. `layers.Standardize` makes it a part of a model.

    >>> s = Standardizer().fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> s.mean.tolist(), s.scale.tolist(), s.transform(np.array([[5.0, 5.0]])).tolist()
    ([2.0, 5.0], [1.0, 1.0], [[3.0, 0.0]])
    """

    mean: np.ndarray
    scale: np.ndarray

    def fit(self, x: np.ndarray) -> Standardizer:
        """Take mean and scale (float64, the shape of one sample) from x (n, ...)."""
        if x.ndim < 2 or not len(x):
            raise DataError(f"Standardizer.fit takes samples (n, features), found {x.shape}")
        check_finite(x, "x")
        self.mean = x.mean(axis=0, dtype=np.float64)
        std = x.std(axis=0, dtype=np.float64)
        # A constant column's deviation is rounding, not spread.
        constant = (x == x[0]).all(axis=0) | (std <= 1e-12 * np.abs(self.mean))
        self.scale = np.where(constant | (std == 0), 1.0, std)
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """(x - mean) / scale as float32."""
        self._check(x)
        return ((x - self.mean) / self.scale).astype(np.float32)

    def inverse(self, x: np.ndarray) -> np.ndarray:
        """x * scale + mean as float32."""
        self._check(x)
        return (x * self.scale + self.mean).astype(np.float32)

    def _check(self, x: np.ndarray) -> None:
        if not hasattr(self, "mean"):
            raise DataError("Standardizer: call fit on the training part first")
        if x.shape[1:] != self.mean.shape:
            raise ShapeError(
                f"Standardizer was fitted on samples of shape {self.mean.shape}, found "
                f"{x.shape[1:]}"
            )

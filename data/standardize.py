"""Standardization: mean 0 and variance 1 for each feature, by the training part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    >>> Standardizer.from_state_dict(s.state_dict())([[5.0, 5.0]]).tolist()
    [[3.0, 0.0]]

    Raises DataError for NaN and infinities (naming the first) and before `fit`, ShapeError for
    samples of another shape than those it was fitted on.
    """

    mean: np.ndarray
    scale: np.ndarray

    def fit(self, x: Any) -> Standardizer:
        """Take mean and scale (float64, the shape of one sample) from x (n, ...)."""
        x = np.asarray(x)
        if x.ndim < 2 or not len(x):
            raise DataError(f"Standardizer.fit takes samples (n, features), found {x.shape}")
        check_finite(x, "x")
        self.mean = x.mean(axis=0, dtype=np.float64)
        std = x.std(axis=0, dtype=np.float64)
        # A constant column's deviation is rounding, not spread.
        constant = (x == x[0]).all(axis=0) | (std <= 1e-12 * np.abs(self.mean))
        self.scale = np.where(constant | (std == 0), 1.0, std)
        return self

    def transform(self, x: Any) -> np.ndarray:
        """(x - mean) / scale as float32; `s(x)` is the same."""
        x = self._checked(x)
        return ((x - self.mean) / self.scale).astype(np.float32)

    __call__ = transform

    def inverse(self, x: Any) -> np.ndarray:
        """x * scale + mean as float32."""
        x = self._checked(x)
        return (x * self.scale + self.mean).astype(np.float32)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of mean and scale by name, to be saved."""
        self._require_fit()
        return {"mean": self.mean.copy(), "scale": self.scale.copy()}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Standardizer:
        """The Standardizer whose `state_dict` this is."""
        missing = sorted({"mean", "scale"} - set(state))
        if missing:
            raise DataError(
                f"Standardizer: the state lacks {', '.join(missing)}; expected mean and scale, "
                f"found {', '.join(state) or 'nothing'}"
            )
        mean, scale = (np.array(state[name], dtype=np.float64) for name in ("mean", "scale"))
        if mean.shape != scale.shape:
            raise ShapeError(
                f"Standardizer: mean {mean.shape} and scale {scale.shape} differ in shape"
            )
        if not (scale > 0).all():
            raise DataError("Standardizer: the state's scale must be positive throughout")
        restored = cls()
        restored.mean, restored.scale = mean, scale
        return restored

    def _require_fit(self) -> None:
        if not hasattr(self, "mean"):
            raise DataError("Standardizer: call fit on the training part first")

    def _checked(self, x: Any) -> np.ndarray:
        self._require_fit()
        x = np.asarray(x)
        if x.shape[1:] != self.mean.shape:
            raise ShapeError(
                f"Standardizer was fitted on samples of shape {self.mean.shape}, found "
                f"{x.shape[1:]}"
            )
        check_finite(x, "x")
        return x

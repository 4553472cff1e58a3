"""Checks on data that come before any training, each naming the first place that is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError, DTypeError
from ..kernels.spec import FLOAT_KINDS


def check_finite(x: np.ndarray, name: str) -> None:
    """An error that names the first NaN or infinity in `x`.

    >>> check_finite(np.array([[1.0, np.nan]]), "x")
    Traceback (most recent call last):
    ...
    tercet.errors.DataError: x holds nan at (0, 1); remove or fill in such values first
    """
    # A finite sum has finite terms alone. A sum may also overflow: the slow look decides then.
    with np.errstate(all="ignore"):
        if x.dtype.kind not in FLOAT_KINDS or np.isfinite(x.sum()):
            return
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        raise DataError(f"{name} holds {x[at]} at {at}; remove or fill in such values first")


def check_labels(y: np.ndarray, classes: int, name: str) -> None:
    """An error unless `y` holds integers in [0, classes).

    >>> check_labels(np.array([0, 2]), 2, "y")
    Traceback (most recent call last):
    ...
    tercet.errors.DataError: y: label 2 at row 1 is outside [0, 2); number the classes from 0
    """
    if y.dtype.kind not in "iu":
        raise DTypeError(f"{name}: class labels are integers, found {y.dtype}; convert them first")
    if y.size and (y.min() < 0 or y.max() >= classes):
        row = int(np.flatnonzero((y < 0) | (y >= classes))[0])
        raise DataError(
            f"{name}: label {int(y.reshape(-1)[row])} at row {row} is outside [0, {classes}); "
            "number the classes from 0"
        )


def check_same_length(**arrays: Any) -> None:
    """An error unless all arrays, given by name, have equally many rows.

    >>> check_same_length(x=np.zeros((3, 2)), y=np.zeros(2))
    Traceback (most recent call last):
    ...
    tercet.errors.DataError: lengths differ: x has 3 rows, y has 2; give one row of each per sample
    """
    lengths = {name: len(a) for name, a in arrays.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(
            f"{name} has {n}{' rows' if i == 0 else ''}"
            for i, (name, n) in enumerate(lengths.items())
        )
        raise DataError(f"lengths differ: {found}; give one row of each per sample")

"""Columns of text in a table: each value is a category, and gets a number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .cells import MISSING, is_number

# For each column its values in order, or None for a column of numbers.
Categories = Sequence[Sequence[str] | None]

# The number of a value that the training part does not hold; the known ones count from 1.
UNSEEN = 0


def is_categorical(cells: Sequence[str]) -> bool:
    """Whether no cell is a number, and one at least is more than a mark for a missing value."""
    return not any(is_number(c) and not _is_nan(c) for c in cells) and any(
        value(c) and c.strip().lower() not in MISSING for c in cells
    )


def value(cell: str) -> str:
    """The value that a cell holds: a missing one is "", and 1 and 1.0 are the same.

    >>> value(" red "), value("nan"), value("1.0")
    ('red', '', '1')
    """
    cell = cell.strip()
    if not is_number(cell):
        return cell
    return "" if _is_nan(cell) else f"{float(cell):.12g}"


def number(cells: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """The numbers of the cells' values, float32 (n,): 1 for the first known value, 0 for others.

    >>> number(["red", "blue", "", "red"], ["", "red"])
    array([2., 0., 1., 2.], dtype=float32)
    """
    numbers = {text: i for i, text in enumerate(known, start=1)}
    return np.array([numbers.get(value(c), UNSEEN) for c in cells], np.float32)


def forget_unseen(
    categories: Categories, x_train: np.ndarray, x_test: np.ndarray
) -> tuple[Categories, np.ndarray, np.ndarray]:
    """Categories and numbers with the values of the training part alone.

    What only the held-out part holds must not be known, and is UNSEEN there.

    >>> train, test = np.array([[3.0], [1.0]]), np.array([[2.0], [3.0]])
    >>> forget_unseen((("a", "b", "c"),), train, test)[0]
    (('a', 'c'),)
    >>> forget_unseen((("a", "b", "c"),), train, test)[2].tolist()
    [[0.0], [2.0]]
    """
    x_train, x_test = x_train.copy(), x_test.copy()
    kept: list[tuple[str, ...] | None] = []
    for column, known in enumerate(categories):
        if known is None:
            kept.append(None)
            continue
        seen = np.unique(x_train[:, column]).astype(np.int64)
        renumbered = np.zeros(len(known) + 1, np.float32)
        renumbered[seen] = np.arange(1, len(seen) + 1)
        for x in (x_train, x_test):
            x[:, column] = renumbered[x[:, column].astype(np.int64)]
        kept.append(tuple(known[i - 1] for i in seen))
    return tuple(kept), x_train, x_test


def _is_nan(cell: str) -> bool:
    return is_number(cell) and math.isnan(float(cell))

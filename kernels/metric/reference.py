"""What training adds up from step to step, kept with the backend so that no step reads it back.

`total` is a float64 array (2,): a weighted sum and the sum of the weights.
"""

from typing import Any

from ..spec import Array


def add_loss(xp: Any, total: Array, value: Array, *, count: int) -> None:
    """A batch of `count` samples had the mean loss `value` ()."""
    total[0] += value.astype(xp.float64) * count
    total[1] += count


def count_hits(
    xp: Any,
    total: Array,
    outputs: Array,
    target: Array,
    weight: Array | None,
    *,
    threshold: float,
) -> None:
    """total += (sum of w_i [row i's class is right], sum of w_i), w_i = 1 without `weight` (n,).

    outputs: (n, c). With c > 1 a row's class is the index of its first largest output, NaN being
    the largest; with c = 1 it is 1 above the threshold, else 0. target: (n,), the classes.
    """
    predicted = outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > threshold
    hits = (predicted == target).astype(xp.float64)
    if weight is None:
        total[0] += hits.sum()
        total[1] += len(target)
    else:
        wide = weight.astype(xp.float64)
        total[0] += (hits * wide).sum()
        total[1] += wide.sum()

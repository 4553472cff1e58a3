"""Running sums of training, serial: a batch's rows are few and their outputs fresh in the cache."""

from ..numba_loop import flat, loop
from ..spec import Array


@loop
def _add_loss(t: int, parts: int, total: Array, value: Array, count: int) -> None:
    total[0] += float(value[0]) * count
    total[1] += count


@loop
def _count_hits(
    t: int, parts: int, total: Array, outputs: Array, target: Array, weight: Array, threshold: float
) -> None:
    hits, whole = 0.0, 0.0
    least = outputs.dtype.type(threshold)
    for r in range(target.size):
        row = outputs[r]
        predicted = 0
        if row.size > 1:
            top = row[0]
            for j in range(1, row.size):
                if top == top and not row[j] <= top:
                    top, predicted = row[j], j
        elif row[0] > least:
            predicted = 1
        w = 1.0 if weight is None else float(weight[r])
        whole += w
        if predicted == target[r]:
            hits += w
    total[0] += hits
    total[1] += whole


def add_loss(total: Array, value: Array, *, count: int) -> None:
    _add_loss(1, total, flat(value), count)


def count_hits(
    total: Array, outputs: Array, target: Array, weight: Array | None, *, threshold: float
) -> None:
    _count_hits(1, total, outputs, target, weight, float(threshold))


LOOPS = {"add_loss": add_loss, "count_hits": count_hits}

"""Launchers of metric/cuda.cu."""

from ..cuda import Launcher, Runtime, source_beside
from ..spec import Array

SOURCE = source_beside(__file__)


def add_loss(runtime: Runtime, total: Array, value: Array, *, count: int) -> None:
    runtime.launch(SOURCE, "add_loss", value.dtype, (1,), (1,), (total, value, count))


def count_hits(
    runtime: Runtime,
    total: Array,
    outputs: Array,
    target: Array,
    weight: Array | None,
    *,
    threshold: float,
) -> None:
    args = (total, outputs, target, weight, *outputs.shape, threshold)
    runtime.launch(SOURCE, "count_hits", outputs.dtype, (1,), (runtime.block,), args)


LAUNCHERS: dict[str, Launcher] = {"add_loss": add_loss, "count_hits": count_hits}

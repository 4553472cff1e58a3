"""Launchers of regularization/cuda.cu."""

from ..cuda import Launcher, Runtime, blocks_for, launch_elements, source_beside
from ..reduction.cuda import reduce_parts
from ..spec import Array, accumulator

SOURCE = source_beside(__file__)


def penalty_forward(runtime: Runtime, out: Array, w: Array, *, l1: float, l2: float) -> None:
    blocks = blocks_for(runtime, w.size)
    partials = runtime.workspace((blocks,), accumulator(w.dtype))
    args = (partials, w, w.size, l1, l2)
    runtime.launch(SOURCE, "penalty_partials", w.dtype, (blocks,), (runtime.block,), args)
    reduce_parts(runtime, out, partials, (1, blocks, 1), "sum")


def penalty_backward(
    runtime: Runtime, dw: Array, dout: Array, w: Array, *, l1: float, l2: float
) -> None:
    args = (dw, dout, w, w.size, l1, l2)
    launch_elements(runtime, SOURCE, "penalty_backward", w.dtype, w.size, *args)


LAUNCHERS: dict[str, Launcher] = {
    "penalty_forward": penalty_forward,
    "penalty_backward": penalty_backward,
}

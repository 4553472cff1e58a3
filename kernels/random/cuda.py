"""Launchers of random/cuda.cu."""

import numpy as np

from ..cuda import Launcher, Runtime, ceil_div, launch_elements, source_beside
from ..spec import Array
from .philox import MASK

SOURCE = source_beside(__file__)
WORDS = 4  # random words, and so elements, of one block of Philox


def random_bits(
    runtime: Runtime, out: Array, state: Array, *, shape: tuple[int, ...], stream: int
) -> None:
    args = (out, state, out.size, stream & MASK)
    # The words have one type whatever the elements' is; the module must be compiled for some.
    dtype = np.dtype("float32")
    launch_elements(runtime, SOURCE, "random_bits", dtype, ceil_div(out.size, WORDS), *args)


def random_uniform(
    runtime: Runtime,
    out: Array,
    state: Array,
    *,
    shape: tuple[int, ...],
    dtype: str,
    stream: int,
    low: float,
    high: float,
) -> None:
    args = (out, state, out.size, stream & MASK, low, high - low)
    threads = ceil_div(out.size, WORDS)
    launch_elements(runtime, SOURCE, "random_uniform", out.dtype, threads, *args)


def next_step(runtime: Runtime, state: Array) -> None:
    _launch_single(runtime, "next_step", (state,))


def skip_streams(runtime: Runtime, state: Array, *, count: int) -> None:
    _launch_single(runtime, "skip_streams", (state, count))


def _launch_single(runtime: Runtime, name: str, args: tuple[object, ...]) -> None:
    runtime.launch(SOURCE, name, np.dtype("float32"), (1,), (1,), args)


LAUNCHERS: dict[str, Launcher] = {
    "random_bits": random_bits,
    "random_uniform": random_uniform,
    "next_step": next_step,
    "skip_streams": skip_streams,
}

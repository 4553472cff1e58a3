"""Launchers of activation/cuda.cu."""

from ..cuda import Launcher, Runtime, launch_elements, source_beside
from ..spec import Array
from .reference import KINDS

SOURCE = source_beside(__file__)
NUMBER = {kind: number for number, kind in enumerate(KINDS)}


def activation_forward(runtime: Runtime, out: Array, x: Array, *, kind: str, alpha: float) -> None:
    args = (out, x, x.size, NUMBER[kind], alpha)
    launch_elements(runtime, SOURCE, "activation_forward", x.dtype, x.size, *args)


def activation_backward(
    runtime: Runtime, dx: Array, dout: Array, saved: Array, *, kind: str, alpha: float
) -> None:
    args = (dx, dout, saved, dx.size, NUMBER[kind], alpha)
    launch_elements(runtime, SOURCE, "activation_backward", dx.dtype, dx.size, *args)


LAUNCHERS: dict[str, Launcher] = {
    "activation_forward": activation_forward,
    "activation_backward": activation_backward,
}

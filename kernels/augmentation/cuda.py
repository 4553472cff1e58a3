"""Launchers of augmentation/cuda.cu."""

from ..cuda import Launcher, Runtime, blocks_for, source_beside
from ..random.philox import MASK
from ..spec import Array

SOURCE = source_beside(__file__)


def augment_forward(
    runtime: Runtime,
    out: Array,
    key: Array,
    x: Array,
    state: Array,
    *,
    shift: tuple[int, int],
    flip: tuple[bool, bool],
    stream: int,
) -> None:
    _augment(runtime, out, key, x, state, shift, flip, stream)


def augment_backward(
    runtime: Runtime,
    dx: Array,
    dout: Array,
    key: Array,
    *,
    shift: tuple[int, int],
    flip: tuple[bool, bool],
    stream: int,
) -> None:
    _augment(runtime, dx, None, dout, key, shift, flip, stream)


def _augment(
    runtime: Runtime,
    out: Array,
    key: Array | None,
    x: Array,
    state: Array,
    shift: tuple[int, int],
    flip: tuple[bool, bool],
    stream: int,
) -> None:
    if x.size == 0 and key is None:
        return
    # Without images there is still the key to leave.
    channels = x.shape[-1]
    blocks = blocks_for(runtime, x.size // max(channels, 1))
    back = key is None
    args = (out, key, x, state, *x.shape, *shift, *flip, stream & MASK, back)
    runtime.launch(SOURCE, "augment", x.dtype, (blocks,), (runtime.block,), args)


LAUNCHERS: dict[str, Launcher] = {
    "augment_forward": augment_forward,
    "augment_backward": augment_backward,
}

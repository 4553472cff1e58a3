"""Where the numbers of a mask lie."""

from ..spec import Array


def mask_steps(mask: Array | None) -> tuple[int, ...]:
    """Bytes to the next batch, head, query and key of a mask that broadcasts to these four axes."""
    if mask is None:
        return (0, 0, 0, 0)
    steps = tuple(0 if n == 1 else s for n, s in zip(mask.shape, mask.strides, strict=True))
    return (0,) * (4 - mask.ndim) + steps

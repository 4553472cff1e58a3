"""Where a layer's channels are: after the batch, or last."""

from __future__ import annotations

from ..errors import OptionError, choose


def is_channels_last(what: str, layout: str | None, known: tuple[str, str]) -> bool:
    """Whether `layout` is the second of two, the first being the default; or an error.

    >>> is_channels_last("layout", "NHWC", ("NCHW", "NHWC"))
    True
    """
    if layout is not None and layout not in known:
        raise OptionError(choose(what, layout, known))
    return layout == known[1]

"""No loop yet: the Numba backend runs the reference, whose products are NumPy's."""

from collections.abc import Callable

LOOPS: dict[str, Callable[..., None]] = {}

"""The keys and values of what was read before, for generating one token after the other."""

from __future__ import annotations

from ..autograd import Tensor, get_default_dtype, no_grad, tensor
from ..backends import Backend, get_backend
from ..errors import OptionError, ShapeError


class KeyValueCache:
    """Room for the keys and values of `capacity` positions, written in place.

    `keys`, `values`: (batch, heads, capacity, width), where heads are those of keys; `position`:
    the number of positions filled, an int64 tensor () that stays on the device, so that a captured
    step fills one position more each time it is replayed. Give each MultiHeadAttention a cache of
    its own, from its `cache(...)`.

    `append` raises ShapeError where the capacity is exceeded. A captured step cannot look: rows
    that find no room are left out.

    >>> import tercet as tc
    >>> layer = tc.layers.MultiHeadAttention(8, 2)
    >>> cache = layer.cache(batch=1, capacity=16)
    >>> with tc.no_grad():
    ...     prompt = layer(tc.ones(1, 5, 8), cache=cache)
    ...     token = layer(tc.ones(1, 1, 8), cache=cache)
    >>> token.shape, cache.position.item()
    ((1, 1, 8), 6)
    """

    def __init__(
        self,
        batch: int,
        heads: int,
        capacity: int,
        width: int,
        *,
        dtype: str | None = None,
        backend: str | Backend | None = None,
    ) -> None:
        if min(batch, heads, capacity, width) < 1:
            raise OptionError(
                "KeyValueCache: sizes must be positive, found batch "
                f"{batch}, heads {heads}, capacity {capacity}, width {width}"
            )
        self.capacity, self.backend = capacity, get_backend(backend)
        shape = (batch, heads, capacity, width)
        wanted = get_default_dtype() if dtype is None else tensor(0.0, dtype, self.backend).dtype
        # Zeros, because what is not yet written meets probabilities of zero.
        self.keys, self.values = (
            Tensor(self.backend.full(shape, 0.0, wanted), self.backend) for _ in range(2)
        )
        self.position = tensor(0, "int64", self.backend)

    def append(self, keys: Tensor, values: Tensor) -> None:
        """Write keys and values (batch, heads, length, width) behind those that are there."""
        length, ops = keys.shape[2], self.backend.ops
        if self.backend.recorder is None and self.position.item() + length > self.capacity:
            raise ShapeError(
                f"the cache has room for {self.capacity} positions and holds "
                f"{self.position.item()}; {length} more do not fit. Make it with a larger capacity"
            )
        for room, x in ((self.keys, keys), (self.values, values)):
            if x.shape != (*room.shape[:2], length, room.shape[3]):
                raise ShapeError(
                    f"the cache is for {room.shape}, (batch, heads, capacity, width); found keys "
                    f"or values {x.shape}"
                )
            with no_grad():
                x = x.astype(room.dtype)
            ops.append_rows(room.data, x.data, self.position.data)

    def advance(self, length: int) -> None:
        """Count what was appended, once no attention needs the position before it any more."""
        more = tensor(length, "int64", self.backend)
        self.backend.ops.accumulate(self.position.data, more.data)

    def reset(self) -> None:
        """Begin a new sequence."""
        self.backend.ops.fill(shape=(), dtype="int64", value=0, out=(self.position.data,))

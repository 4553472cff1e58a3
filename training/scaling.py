"""Dynamic loss scaling, for training in float16."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..autograd import Tensor
from ..backends import Array, Backend
from ..errors import CheckpointError, OptionError
from .optimizers import Optimizer


class LossScaler:
    """Multiplies the loss so that small gradients do not vanish in float16, and divides them again.

    A step whose gradients are not all finite changes nothing; the scale is then multiplied by
    `backoff_factor`. After `growth_interval` good steps in a row it is multiplied by
    `growth_factor`. The scale and the counts live on the backend, and nothing is read back: the
    step can be captured. bfloat16 has the range of float32 and needs no scaler.

        scaler = tercet.LossScaler()
        with tercet.autocast("float16"):
            loss = tercet.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)  # only where something looks at the gradients, such as a clip
        scaler.step(optimizer)
        scaler.update()

    Source: Micikevicius et al., "Mixed precision training", ICLR 2018, section 3.2; names and
    defaults are those of PyTorch's GradScaler.

    >>> import tercet as tc
    >>> w = tc.Parameter([3.0])
    >>> optimizer, scaler = tc.SGD([w], lr=0.5), LossScaler(init_scale=8.0)
    >>> scaler.scale((w * w).sum()).backward(); w.grad.tolist()
    [48.0]
    >>> scaler.step(optimizer); scaler.update(); w.tolist(), scaler.get_scale()
    ([0.0], 8.0)
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        for name, value, fits, expected in (
            ("init_scale", init_scale, 0.0 < init_scale < np.inf, "positive and finite"),
            ("growth_factor", growth_factor, growth_factor > 1.0, "above 1"),
            ("backoff_factor", backoff_factor, 0.0 < backoff_factor < 1.0, "in (0, 1)"),
            ("growth_interval", growth_interval, growth_interval >= 1, "at least 1"),
        ):
            if not fits:
                raise OptionError(f"LossScaler: {name} must be {expected}, found {value}")
        self._options = {
            "growth": float(growth_factor),
            "backoff": float(backoff_factor),
            "interval": int(growth_interval),
        }
        # The scale, good steps in a row, whether this step is a bad one; see kernels/optimizer.
        self._host = np.array([init_scale, 0.0, 0.0], np.float64)
        self._backend: Backend | None = None
        self._array: Array = None
        # Optimizers whose gradients have been divided in this step.
        self._unscaled: set[int] = set()

    def scale(self, loss: Tensor) -> Tensor:
        """The loss times the scale, to call backward() on."""
        scaling = self._on(loss.backend)
        factor = loss.backend.ops.copy(scaling[:1], dtype=loss.dtype.name)
        return loss * Tensor(factor.reshape(()), loss.backend)

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of the optimizer's parameters by the scale; once a step."""
        if id(optimizer) in self._unscaled:
            raise OptionError(
                "LossScaler: the gradients of this optimizer have been unscaled in this step "
                "already; call update() at the end of every step"
            )
        for grad in optimizer.gradients():
            backend = optimizer.parameters[0].backend
            backend.ops.unscale(grad, self._on(backend))
        self._unscaled.add(id(optimizer))

    def step(self, optimizer: Optimizer) -> None:
        """`optimizer.step()` with unscaled gradients; without effect if one is not finite."""
        if id(optimizer) not in self._unscaled:
            self.unscale_(optimizer)
        optimizer.step(self._on(optimizer.parameters[0].backend)[2:])

    def update(self) -> None:
        """Adjust the scale, at the end of the step."""
        if self._backend is not None:
            self._backend.ops.update_scale(self._array, **self._options)
        self._unscaled.clear()

    def get_scale(self) -> float:
        """The scale now; waits for what changes it."""
        return float(self._values()[0])

    def state_dict(self) -> dict[str, np.ndarray]:
        """The scale and the number of good steps in a row, as NumPy arrays."""
        scale, good, _ = self._values()
        return {"scale": np.array(scale), "good_steps": np.array(good)}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from what `state_dict` returned."""
        if set(state) != {"scale", "good_steps"}:
            raise CheckpointError(
                "a LossScaler's state holds scale and good_steps, found "
                f"{', '.join(sorted(state)) or 'nothing'}"
            )
        self._host = np.array([float(state["scale"]), float(state["good_steps"]), 0.0])
        if self._backend is not None:
            source = self._backend.asarray(self._host)
            self._backend.ops.copy(source, dtype="float64", out=(self._array,))

    def _values(self) -> np.ndarray:
        return self._host if self._backend is None else self._backend.to_numpy(self._array)

    def _on(self, backend: Backend) -> Array:
        """The state, which follows the model to another backend."""
        if backend is not self._backend:
            self._array = backend.asarray(self._values())
            self._backend = backend
        return self._array

"""That the layers that are timed beside PyTorch's compute what these compute."""

from typing import Any

import numpy as np
import pytest
from tercet.backends import Backend
from tercet.bench import layers

torch = pytest.importorskip("torch")

SMALL = [
    layers.Convolution(3, 8, 9, 12),
    layers.Convolution(2, 3, 4, 11, r=7, stride=2),
    layers.Convolution(2, 6, 4, 5, r=1),
    layers.Convolution(2, 6, 4, 5, groups=2),
    layers.LayerNorm(5, 7),
]


@pytest.mark.parametrize("which", layers.PASSES)
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_both_compute_the_same(
    case: Any, which: str, backend: Backend, rng: np.random.Generator
) -> None:
    arrays = case.arrays(rng)
    ours = case.tercet(backend, arrays)[which]()
    theirs = case.torch([torch.from_numpy(a) for a in arrays])[which]()
    if which == "forward":
        ours, theirs = (ours,), (theirs,)
    for a, b in zip(ours, theirs, strict=True):
        a, b = backend.to_numpy(a), b.numpy()
        # Sums of up to 150 terms of the size of 1.
        assert np.abs(a - b).max() <= 150 * np.finfo(np.float32).eps * max(1.0, np.abs(b).max())


def test_what_differs_is_not_timed() -> None:
    layers.check("a layer", {"tercet": [[0.0, 4.0]], "torch": [[0.003, 4.001]]})
    with pytest.raises(SystemExit, match="a layer: torch does not compute what tercet does"):
        layers.check("a layer", {"tercet": [[0.0, 4.0]], "torch": [[0.01, 4.0]]})


def test_names_tell_layers_apart() -> None:
    names = [case.name for case in layers.CASES]
    assert len(set(names)) == len(names)

"""pad_sequences against PyTorch's pad_sequence."""

import numpy as np
import pytest
from tercet.data import pad_sequences
from tercet.errors import ShapeError


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_equals_pytorch(
    rng: np.random.Generator, shape: tuple[int, ...], batch_first: bool
) -> None:
    torch = pytest.importorskip("torch")
    sequences = [rng.normal(size=(n, *shape)).astype(np.float32) for n in (3, 0, 5, 1)]
    padded, lengths = pad_sequences(sequences, batch_first=batch_first, value=-2.0)
    theirs = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(s) for s in sequences], batch_first=batch_first, padding_value=-2.0
    ).numpy()
    assert padded.dtype == np.float32
    assert padded.flags.c_contiguous
    np.testing.assert_array_equal(padded, theirs)
    assert lengths.dtype == np.int64
    assert lengths.tolist() == [3, 0, 5, 1]


def test_what_cannot_be_padded_is_named() -> None:
    with pytest.raises(ShapeError, match="takes at least one sequence"):
        pad_sequences([])
    with pytest.raises(
        ShapeError, match=r"agree but for the length; found 2, .*\(2, 3\), \(2, 4\)"
    ):
        pad_sequences([np.zeros((2, 3)), np.zeros((2, 4))])

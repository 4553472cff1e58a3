"""The multilayer perceptron for tables that have columns of categories, ready made."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..autograd import Tensor
from ..autograd.functional import concatenate
from ..errors import OptionError, ShapeError
from ..layers import Embedding, Module, ModuleList
from .mlp import MLP
from .model import Model
from .sequential import Sequential


def width(size: int) -> int:
    """The width of the vectors for `size` categories: half as many, at most 50.

    Source: J. Howard's rule of thumb in fast.ai's course "Practical deep learning", 2018.

    >>> width(13), width(2), width(1000)
    (7, 1, 50)
    """
    return min(50, (size + 1) // 2)


class TabularMLP(Model):
    """An MLP on rows of numbers and categories: output = MLP([numbers, E_1[c_1], E_2[c_2], ...]).

    Each column of categories has an Embedding E_i, whose vectors are learned with the rest.

    Shapes: x (n, features) -> (n, out_features), logits or values. `sizes` has a number for each
    feature: how many categories the column has, or 0 where it holds numbers. Categories are whole
    numbers in [0, size), in an x of any dtype; float32 holds them exactly up to 2^24. Category 0
    is for values that were not in the training data: its vector is zeros and stays so, the mean of
    those that the others are drawn from. `before` are layers for the columns of numbers alone, such
    as Standardize; `after` come behind the output.

    Source: Guo & Berkhahn, "Entity embeddings of categorical variables", arXiv:1604.06737.

    >>> import tercet as tc
    >>> model = TabularMLP(1, sizes=[0, 4, 0], hidden=(8,)).build((3,))
    >>> model([[0.5, 2, 1.5], [0.1, 0, 2.5]]).shape, model.num_parameters()
    ((2, 1), 57)
    """

    input_dtype = "float32"

    def __init__(
        self,
        out_features: int,
        sizes: Sequence[int],
        hidden: Sequence[int] = (256, 128),
        activation: str = "relu",
        dropout: float = 0.0,
        before: Sequence[Module] = (),
        after: Sequence[Module] = (),
    ) -> None:
        super().__init__()
        if not len(sizes) or any(not isinstance(s, int) or s < 0 for s in sizes):
            raise OptionError(
                "TabularMLP: sizes has a number of categories for each feature, 0 for a column of "
                f"numbers; found {sizes!r}"
            )
        self.sizes = list(sizes)
        self.numbers = _runs(self.sizes)
        self.embeddings = ModuleList([Embedding(s, width(s), padding_idx=0) for s in sizes if s])
        self.before = Sequential(before)
        self.network = MLP(out_features, hidden, activation, dropout, after=after)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != len(self.sizes):
            raise ShapeError(f"TabularMLP takes rows (n, {len(self.sizes)}), found shape {x.shape}")
        parts = []
        if self.numbers:
            runs = [x[:, start:stop] for start, stop in self.numbers]
            numbers = concatenate(runs, axis=1) if len(runs) > 1 else runs[0]
            parts.append(self.before(numbers.astype(self.dtype)))
        columns = [i for i, size in enumerate(self.sizes) if size]
        for column, table in zip(columns, self.embeddings, strict=True):
            parts.append(table(x[:, column].astype("int64")))
        return self.network(concatenate(parts, axis=1))


def _runs(sizes: list[int]) -> list[tuple[int, int]]:
    """Where columns of numbers stand side by side: (first, behind the last) of each such run."""
    runs = []
    for is_category, group in groupby(enumerate(sizes), key=lambda pair: bool(pair[1])):
        if not is_category:
            columns = [i for i, _ in group]
            runs.append((columns[0], columns[-1] + 1))
    return runs

"""TensorDataset, Subset and random splits."""

import numpy as np
import pytest
import tercet as tc
from tercet.data import Subset, TensorDataset, random_split
from tercet.errors import DataError, OptionError


def test_rows_slices_and_index_arrays(rng) -> None:
    x, y = rng.normal(size=(6, 2)), np.arange(6)
    data = TensorDataset(x, y)
    assert len(data) == 6
    a, b = data[4]
    np.testing.assert_array_equal(a, x[4])
    assert b == 4
    a, b = data[1:3]
    np.testing.assert_array_equal(a, x[1:3])
    assert b.tolist() == [1, 2]
    a, b = data[np.array([5, 0, 5])]
    np.testing.assert_array_equal(a, x[[5, 0, 5]])
    assert b.tolist() == [5, 0, 5]
    with pytest.raises(IndexError):
        data[6]


def test_lists_and_tensors_become_arrays_and_arrays_are_kept() -> None:
    x = np.arange(6.0).reshape(3, 2)
    data = TensorDataset(x, [1, 2, 3], tc.tensor([1.0, 2.0, 3.0]), np.asfortranarray(x))
    assert data.arrays[0] is x
    assert all(type(a) is np.ndarray and a.flags.c_contiguous for a in data.arrays)
    np.testing.assert_array_equal(data.arrays[3], x)
    assert data.arrays[2].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("arrays", [(), ([],), (np.zeros((0, 3)), np.zeros(0)), (5.0,)])
def test_nothing_is_no_data_set(arrays: tuple) -> None:
    with pytest.raises(DataError, match="needs one array or more, none of them empty"):
        TensorDataset(*arrays)


def test_lengths_must_agree() -> None:
    with pytest.raises(DataError, match="lengths differ: array 0 has 2 rows, array 1 has 3"):
        TensorDataset([1, 2], [1, 2, 3])


class Squares:
    """A data set that knows single samples only."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> int:
        assert type(index) is int
        return index**2


def test_a_subset_has_its_own_order() -> None:
    subset = Subset(Squares(), [4, 0, 4])
    assert len(subset) == 3
    assert [subset[i] for i in range(3)] == [16, 0, 16]
    nested = Subset(Subset(TensorDataset(np.arange(10) * 10), [7, 5, 3]), [2, 0])
    assert nested[0] == (30,)
    assert nested[:][0].tolist() == [30, 70]
    assert len(Subset(Squares(), [])) == 0


@pytest.mark.parametrize("indices", [[5], [-1], [0, 1, 7]])
def test_a_subset_lies_inside_its_data_set(indices: list) -> None:
    with pytest.raises(DataError, match=r"indices must lie in \[0, 5\)"):
        Subset(Squares(), indices)


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([7, 3, 1], [7, 3, 1]),
        ([11, 0], [11, 0]),
        ([0.5, 0.5], [6, 5]),
        ([0.3, 0.3, 0.4], [4, 3, 4]),
        ([1.0], [11]),
        ([0.7, 0.2, 0.1], [8, 2, 1]),
    ],
)
def test_splits_are_disjoint_and_cover_everything(lengths: list, sizes: list) -> None:
    data = TensorDataset(np.arange(11))
    parts = random_split(data, lengths, seed=3)
    assert [len(p) for p in parts] == sizes
    assert sorted(int(i) for p in parts for i in p.indices) == list(range(11))


def test_a_split_follows_from_its_seed() -> None:
    data = TensorDataset(np.arange(100))
    orders = [random_split(data, [60, 40], seed=s)[0].indices.tolist() for s in (0, 0, 1)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != sorted(orders[0])


@pytest.mark.parametrize("lengths", [[5, 5], [0.5, 0.4], [12.0], [], [0.5, 5]])
def test_lengths_must_sum_up(lengths: list) -> None:
    with pytest.raises(OptionError, match="must sum to the data set's length 11, or fractions"):
        random_split(TensorDataset(np.arange(11)), lengths)


def test_lengths_are_not_negative() -> None:
    with pytest.raises(OptionError, match=r"must not be negative, found \[12, -1\]"):
        random_split(TensorDataset(np.arange(11)), [12, -1])


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_index_arrays_of_every_kind(rng, dtype: type) -> None:
    x = rng.normal(size=(6, 2))
    data = TensorDataset(x, range(6))
    index = np.array([5, 0, 3], dtype)
    np.testing.assert_array_equal(data[index][0], x[[5, 0, 3]])
    # A mask is a mask, never the numbers 0 and 1; and -1 is the last row.
    mask = np.array([True, False, False, True, True, False])
    assert data[mask][1].tolist() == [0, 3, 4]
    assert data[np.array([-1])][1].tolist() == [5]
    with pytest.raises(IndexError):
        data[np.array([6])]


def test_ragged_lists() -> None:
    with pytest.raises(DataError, match="the rows of array 1 differ in shape; pad or cut them"):
        TensorDataset([1, 2], [[1], [1, 2]])

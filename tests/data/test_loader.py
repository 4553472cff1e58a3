"""The batches of an epoch."""

import numpy as np
import pytest
import tercet as tc
from tercet.data import DataLoader, Subset, TensorDataset
from tercet.errors import DataError, OptionError


class Items:
    """Samples one at a time: (row of x, label)."""

    def __init__(self, n: int) -> None:
        self.x = np.arange(3.0 * n, dtype=np.float32).reshape(n, 3)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple:
        return self.x[index], index


def rows(loader: DataLoader) -> list:
    """What one epoch yields, as a list of lists."""
    return [batch[0].tolist() for batch in loader]


@pytest.mark.parametrize("n", [1, 4, 9, 10, 12])
@pytest.mark.parametrize("batch_size", [1, 3, 4, 50])
@pytest.mark.parametrize("drop_last", [False, True])
def test_order_and_lengths(n: int, batch_size: int, drop_last: bool) -> None:
    if drop_last and n < batch_size:
        with pytest.raises(DataError, match=f"{n} samples give no full batch of {batch_size}"):
            DataLoader(TensorDataset(range(n)), batch_size, drop_last=True)
        return
    loader = DataLoader(TensorDataset(range(n)), batch_size, drop_last=drop_last)
    expected = [list(range(i, min(i + batch_size, n))) for i in range(0, n, batch_size)]
    if drop_last and n % batch_size:
        expected.pop()
    assert rows(loader) == expected
    assert rows(loader) == expected
    assert len(loader) == len(expected)


def test_without_shuffle_batches_are_views() -> None:
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    for a, b in DataLoader(TensorDataset(x, y), 4):
        assert np.shares_memory(a, x)
        assert np.shares_memory(b, y)
        assert a.flags.c_contiguous


def test_shuffled_batches_hold_every_row_once_with_its_label() -> None:
    x = np.arange(66.0).reshape(22, 3)
    batches = list(DataLoader(TensorDataset(x, range(22)), 5, shuffle=True, seed=4))
    assert [len(b[1]) for b in batches] == [5, 5, 5, 5, 2]
    order = np.concatenate([b[1] for b in batches])
    assert sorted(order.tolist()) == list(range(22))
    assert order.tolist() != list(range(22))
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), x[order])


def test_the_order_follows_from_seed_and_epoch() -> None:
    make = lambda seed: DataLoader(TensorDataset(range(30)), 8, shuffle=True, seed=seed)  # noqa: E731
    one = make(1)
    epochs = [rows(one) for _ in range(3)]
    assert one.epoch == 3
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    again = make(1)
    assert [rows(again) for _ in range(3)] == epochs
    resumed = make(1)
    resumed.epoch = 2
    assert rows(resumed) == epochs[2]
    assert rows(make(2)) != epochs[0]
    # tercet's global randomness plays no part.
    tc.seed(99)
    assert rows(make(1)) == epochs[0]


def test_drop_last_drops_other_rows_in_every_epoch() -> None:
    loader = DataLoader(TensorDataset(range(10)), 4, shuffle=True, drop_last=True)
    kept = [frozenset(i for batch in rows(loader) for i in batch) for _ in range(8)]
    assert all(len(k) == 8 for k in kept)
    assert len(set(kept)) > 1


@pytest.mark.parametrize("shuffle", [False, True])
def test_item_by_item_equals_arrays(shuffle: bool) -> None:
    items = Items(11)
    arrays = TensorDataset(items.x, np.arange(11))
    one = DataLoader(items, 4, shuffle=shuffle, seed=6)
    other = DataLoader(arrays, 4, shuffle=shuffle, seed=6)
    for a, b in zip(one, other, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype
            assert left.flags.c_contiguous


def test_subsets_of_both_kinds() -> None:
    picked = [8, 1, 5]
    for data in (Items(11), TensorDataset(Items(11).x, np.arange(11))):
        (batch,) = DataLoader(Subset(data, picked), 8)
        assert batch[1].tolist() == picked
        np.testing.assert_array_equal(batch[0], Items(11).x[picked])


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_contiguous_whatever_came_in(shuffle: bool) -> None:
    x = np.asfortranarray(np.arange(24.0).reshape(8, 3))
    strided = np.arange(48.0).reshape(8, 6)[:, ::2]
    for batch in DataLoader(TensorDataset(x, strided, x[::-1]), 3, shuffle=shuffle):
        assert all(type(part) is np.ndarray and part.flags.c_contiguous for part in batch)


class Listed:
    def __init__(self, samples: list) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int):
        return self.samples[index]


def test_samples_that_are_no_tuples_or_are_tensors() -> None:
    (batch,) = DataLoader(Listed([1.0, 2.0]), 2)
    assert [part.tolist() for part in batch] == [[1.0, 2.0]]
    (batch,) = DataLoader(Listed([(tc.tensor([1.0, 2.0]), 0), (tc.tensor([3.0, 4.0]), 1)]), 2)
    assert [part.tolist() for part in batch] == [[[1.0, 2.0], [3.0, 4.0]], [0, 1]]


@pytest.mark.parametrize(
    "samples",
    [[np.zeros(2), np.zeros(3)], [(1, 2), (1, 2, 3)], [(np.zeros(2), 0), (np.zeros((2, 1)), 0)]],
)
def test_samples_that_differ_do_not_make_a_batch(samples: list) -> None:
    with pytest.raises(DataError, match="the samples of a batch differ in shape or length"):
        list(DataLoader(Listed(samples), 2))
    assert len(list(DataLoader(Listed(samples), 1))) == 2


def test_wrong_options() -> None:
    for size in (0, -3, 2.0, "8"):
        with pytest.raises(OptionError, match="batch_size must be an integer of at least 1, found"):
            DataLoader(TensorDataset([1]), size)
    with pytest.raises(DataError, match="the data set is empty"):
        DataLoader(Listed([]))


def test_an_epoch_counts_when_it_is_asked_for() -> None:
    """Two iterations begun before either gives a batch are two epochs, each with its own order."""
    loader = DataLoader(TensorDataset(range(30)), 30, shuffle=True)
    first, second = iter(loader), iter(loader)
    assert loader.epoch == 2
    late, early = next(second)[0].tolist(), next(first)[0].tolist()
    again = DataLoader(TensorDataset(range(30)), 30, shuffle=True)
    assert [rows(again)[0], rows(again)[0]] == [early, late]
    assert early != late

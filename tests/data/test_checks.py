"""The checks that name the first wrong place."""

import numpy as np
import pytest
from tercet.data.checks import check_finite, check_labels, check_same_length
from tercet.errors import DataError, DTypeError


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_first_value_that_is_not_finite_is_named(bad: float, dtype: str) -> None:
    x = np.zeros((4, 3), dtype)
    check_finite(x, "x")
    x[2, 1] = bad
    x[3, 2] = np.nan
    with pytest.raises(DataError, match=rf"^x holds {bad} at \(2, 1\); remove or fill in"):
        check_finite(x, "x")


def test_opposite_infinities_are_found() -> None:
    with pytest.raises(DataError, match=r"targets holds inf at \(0,\)"):
        check_finite(np.array([np.inf, -np.inf]), "targets")


def test_a_sum_that_overflows_is_not_taken_for_an_infinity() -> None:
    check_finite(np.full(8, 1.7e308), "x")
    check_finite(np.full(70000, 3.0e38, np.float32), "x")
    check_finite(np.array([2**62] * 4), "x")
    check_finite(np.zeros((0, 3)), "x")


def test_labels_lie_in_the_range_of_classes() -> None:
    for dtype in ("int8", "uint8", "int64", "uint64"):
        check_labels(np.array([0, 2, 1], dtype), 3, "y")
    check_labels(np.zeros(0, np.int64), 3, "y")
    with pytest.raises(DataError, match=r"y: label 3 at row 1 is outside \[0, 3\)"):
        check_labels(np.array([0, 3, 4]), 3, "y")
    with pytest.raises(DataError, match="label -1 at row 2 is outside"):
        check_labels(np.array([0, 1, -1]), 3, "y")
    with pytest.raises(DTypeError, match="y: class labels are integers, found float64"):
        check_labels(np.array([0.0, 1.0]), 3, "y")


def test_lengths_agree() -> None:
    check_same_length(x=np.zeros((3, 2)), y=[1, 2, 3])
    with pytest.raises(DataError, match="lengths differ: x has 3 rows, y has 2, w has 3; give"):
        check_same_length(x=np.zeros((3, 2)), y=np.zeros(2), w=np.zeros(3))

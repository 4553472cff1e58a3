"""The cells of a table of text: which are numbers, and which are missing."""

from __future__ import annotations

# What stands for no value in tables of numbers. In a column of text it may be a class.
MISSING = ("na", "n/a", "null", "?", "-")


def is_number(cell: str) -> bool:
    """Whether the cell reads as a number, which nan and inf do.

    >>> is_number(" -1e3 "), is_number("nan"), is_number("1,5"), is_number("")
    (True, True, False, False)
    """
    try:
        float(cell)
    except ValueError:
        return False
    return True

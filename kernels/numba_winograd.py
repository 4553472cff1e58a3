"""Vector code for Winograd's transformations of tiles (see convolution/winograd.py), as LLVM IR.

    across   B over rows of an image: from each, a row for each of a tile's four columns
    down     B^T over the rows of tiles that `across` left
    gather   A^T M A: what becomes of products
    spread   A dz A^T: what gradients become

Written in Python, rows of seven tiles would not become vectors, and sixteen arrays are more than
LLVM proves to lie apart. As in numba_tile all take addresses, and steps in bytes; their first
argument is a number of the dtype. They work in whole vectors: they read up to two vectors behind a
row, and write up to one, so there has to be room.
"""

from __future__ import annotations

from typing import Any

from .numba_tile import INT64, VECTOR, Code, halves, vector_intrinsic


def _differences(code: Code, a: Any, b: Any, c: Any, d: Any) -> list[Any]:
    """B^T (a, b, c, d)."""
    add, sub = code.builder.fadd, code.builder.fsub
    return [sub(a, c), add(b, c), sub(c, b), sub(b, d)]


def _sums(code: Code, a: Any, b: Any, c: Any, d: Any) -> list[Any]:
    """A^T (a, b, c, d)."""
    add, sub = code.builder.fadd, code.builder.fsub
    return [add(add(a, b), c), sub(sub(b, c), d)]


def _from_sums(code: Code, a: Any, b: Any) -> list[Any]:
    """A (a, b)."""
    add, sub = code.builder.fadd, code.builder.fsub
    return [a, add(a, b), sub(a, b), code.builder.fneg(b)]


def _store(code: Code, values: list[Any], to: Any, part: Any) -> None:
    for i, value in enumerate(values):
        code.store(value, code.at(to, code.builder.mul(part, INT64(i))))


def _turns(code: Code, width: Any) -> Any:
    """Vectors in `width` numbers."""
    lanes = INT64(code.lanes)
    return code.builder.sdiv(code.builder.add(width, INT64(code.lanes - 1)), lanes)


@vector_intrinsic
def across(
    code: Code, to: Any, to_row: Any, part: Any, x: Any, x_row: Any, rows: Any, width: Any
) -> None:
    """across(number, (to, to_row, part, x, x_row, rows, width)): of `width` tiles in each row.

    The row for column s of tiles goes `part` s behind `to`.
    """
    two = 2 * code.size
    with code.steps(rows, (to, to_row), (x, x_row)) as (to_now, x_now):
        moving = (to_now, INT64(VECTOR)), (x_now, INT64(2 * VECTOR))
        with code.steps(_turns(code, width), *moving) as (target, source):
            here, there = (
                [code.load(code.at(source, behind + v)) for v in (0, VECTOR)] for behind in (0, two)
            )
            even, odd = halves(code, *here)
            next_even, next_odd = halves(code, *there)
            _store(code, _differences(code, even, odd, next_even, next_odd), target, part)


@vector_intrinsic
def down(code: Code, to: Any, part: Any, even: Any, odd: Any, row: Any, width: Any) -> None:
    """down(number, (to, part, even, odd, row, width)): of `width` tiles, rows of them `row` bytes.

    even, odd: the rows that `across` left of an image's even and odd rows.
    """
    step = INT64(VECTOR)
    with code.steps(_turns(code, width), (to, step), (even, step), (odd, step)) as (target, e, o):
        a, b, c, d = (code.load(at) for at in (e, o, code.at(e, row), code.at(o, row)))
        _store(code, _differences(code, a, b, c, d), target, part)


@vector_intrinsic
def gather(code: Code, to: Any, to_part: Any, x: Any, x_part: Any, width: Any) -> None:
    """gather(number, (to, to_part, x, x_part, width)): 4 rows of outputs from 16 of products."""
    step = INT64(VECTOR)
    with code.steps(_turns(code, width), (to, step), (x, step)) as (target, source):
        m = [code.load(code.at(source, code.builder.mul(x_part, INT64(e)))) for e in range(16)]
        columns = [_sums(code, *m[s::4]) for s in range(4)]
        rows = [_sums(code, *(column[r] for column in columns)) for r in range(2)]
        _store(code, rows[0] + rows[1], target, to_part)


@vector_intrinsic
def spread(code: Code, to: Any, to_part: Any, x: Any, x_part: Any, width: Any) -> None:
    """spread(number, (to, to_part, x, x_part, width)): 16 rows from 4 of gradients."""
    step = INT64(VECTOR)
    with code.steps(_turns(code, width), (to, step), (x, step)) as (target, source):
        z = [code.load(code.at(source, code.builder.mul(x_part, INT64(i)))) for i in range(4)]
        rows = [_from_sums(code, *z[2 * r : 2 * r + 2]) for r in range(2)]
        columns = [_from_sums(code, rows[0][s], rows[1][s]) for s in range(4)]
        _store(code, [columns[s][r] for r in range(4) for s in range(4)], target, to_part)

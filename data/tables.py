"""Data from files: CSV tables, .npz and .npy arrays."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, OptionError, choose
from .categories import Categories, is_categorical, number, value
from .cells import MISSING, is_number
from .checks import check_finite, check_same_length

TASKS = ("classification", "regression")
# Whole numbers of more different values are likelier counts, prices or years than classes.
MOST_CLASSES = 100


def read_csv(path: str | Path) -> tuple[list[str] | None, list[list[str]], list[int]]:
    """The header, if the first row is one, the rows of cells, and the line where each row ends.

    The first row is a header if none of its cells is a number. All rows are of equal length; empty
    ones are left out.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            numbered = [
                (reader_line, row)
                for reader_line, row in _numbered(csv.reader(file, strict=True))
                if any(cell.strip() for cell in row)
            ]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8, or give an .npz file"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path} is no readable CSV: {error}") from error
    if not numbered:
        raise DataError(f"{path} is empty; expected a row for each sample")
    width = len(numbered[0][1])
    for line, row in numbered:
        if len(row) != width:
            raise DataError(
                f"{path}, line {line}: expected {width} cells as in the first row, found {len(row)}"
            )
    rows = [row for _, row in numbered]
    header, lines = None, [line for line, _ in numbered]
    if not any(is_number(cell) for cell in rows[0]):
        header, rows, lines = [cell.strip() for cell in rows[0]], rows[1:], lines[1:]
        if not rows:
            raise DataError(f"{path} holds a header and no rows; expected a row for each sample")
    return header, rows, lines


def _numbered(reader: Any) -> Any:
    for row in reader:
        yield reader.line_num, row


def load_csv(
    path: str | Path,
    target: str | int | None = None,
    task: str | None = None,
    categorical: Sequence[str] = (),
    categories: Categories | None = None,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], tuple[str, ...] | None, str, Categories | None]:
    """Features, target, feature names, class names, target's name and categories of a table.

    x is float32 (n, d). A column in which no cell is a number, and one named in `categorical`,
    holds categories: in x they are whole numbers, from 1 by the order of the values, and
    `categories` has these values (None for a column of numbers; None alone where all are such). A
    missing one is a category, too. With `categories` given, these are the columns and their values,
    and other values are 0.

    The target is the column named `target` (or its number, from 0), else the
    last one. For `task` "classification" y is int64 (n,) and the class names are sorted; for
    "regression" y is float32 and the class names None. Without a task, text is classes and so are
    whole numbers if they are at most MOST_CLASSES different ones; other numbers are values.
    """
    if task not in (None, *TASKS):
        raise OptionError(choose("task", task, TASKS))
    header, rows, lines = read_csv(path)
    names = header or [f"column {i}" for i in range(len(rows[0]))]
    if len(names) < 2:
        raise DataError(
            f"{path} has one column; expected features and a target, separated by commas"
        )
    at = _column(path, names, target)
    if names.count(names[at]) > 1:
        # The other column of that name would go on as a feature: the answer among the questions.
        raise DataError(
            f"{path} has {names.count(names[at])} columns named {names[at]!r}, which is the "
            "target; rename or drop all but one"
        )
    features = [i for i in range(len(names)) if i != at]
    for name in categorical:
        if name not in [names[i] for i in features]:
            raise DataError(f"{path}: {choose('column', name, [names[i] for i in features])}")
    if categories is None:
        categories = find_categories(rows, features, [names[i] in categorical for i in features])
    x = read_features(path, rows, features, names, lines, categories)
    y, classes = _target(path, [row[at].strip() for row in rows], names[at], lines, task)
    return x, y, tuple(names[i] for i in features), classes, names[at], categories


def _column(path: str | Path, names: list[str], target: str | int | None) -> int:
    if target is None:
        return len(names) - 1
    target = str(target)
    if target in names:
        return names.index(target)
    if target.isdecimal() and int(target) < len(names):
        return int(target)
    raise DataError(f"{path}: {choose('target column', target, names)}")


def find_categories(
    rows: list[list[str]], columns: list[int], forced: Sequence[bool]
) -> Categories | None:
    """The values of each of the columns that holds categories, in order; None if none does."""
    found: list[tuple[str, ...] | None] = []
    for column, is_forced in zip(columns, forced, strict=True):
        cells = [row[column] for row in rows]
        known = is_forced or is_categorical(cells)
        found.append(tuple(sorted({value(c) for c in cells})) if known else None)
    return tuple(found) if any(k is not None for k in found) else None


def read_features(
    path: str | Path,
    rows: list[list[str]],
    columns: list[int],
    names: list[str],
    lines: list[int],
    categories: Categories | None,
) -> np.ndarray:
    """The columns as float32 (n, columns): numbers, and the numbers of categories."""
    if categories is None:
        return read_numbers(path, rows, columns, names, lines)
    if len(categories) != len(columns):
        raise DataError(
            f"{path}: expected {len(categories)} columns of features, found {len(columns)}"
        )
    x = np.empty((len(rows), len(columns)), np.float32)
    numeric = [i for i, known in enumerate(categories) if known is None]
    x[:, numeric] = read_numbers(path, rows, [columns[i] for i in numeric], names, lines)
    for i, known in enumerate(categories):
        if known is not None:
            x[:, i] = number([row[columns[i]] for row in rows], known)
    return x


def read_numbers(
    path: str | Path,
    rows: list[list[str]],
    columns: list[int],
    names: list[str],
    lines: list[int],
) -> np.ndarray:
    """The columns as float32; an error names the first cell that is no finite number."""
    table = [[row[i] for i in columns] for row in rows]
    try:
        x = np.array(table, dtype=np.float64)
    except ValueError:
        x = np.array([[float(c) if is_number(c) else np.nan for c in row] for row in table])
    x = to_float32(x)
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        r, c = (int(i) for i in bad[0])
        cell = table[r][c].strip()
        kind = "is missing" if not cell else f"is {cell!r}, expected a finite float32 number"
        raise DataError(
            f"{path}, line {lines[r]}, column {names[columns[c]]!r}: the value {kind}. Fill it in, "
            "drop the row, or encode text as numbers (a column of text alone is categories)"
        )
    return x


def to_float32(x: np.ndarray) -> np.ndarray:
    """x as float32, infinite where it is too large; no warning."""
    with np.errstate(over="ignore"):
        return x.astype(np.float32)


def _target(
    path: str | Path, cells: list[str], name: str, lines: list[int], task: str | None
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Class indices and sorted class names, or values and None."""
    for r, cell in enumerate(cells):
        if not cell or cell.lower() == "nan":
            raise DataError(
                f"{path}, line {lines[r]}, column {name!r}: the target is missing; drop the row"
            )
    if all(is_number(c) for c in cells):
        values = np.array(cells, dtype=np.float64)
        check_finite(to_float32(values), f"{path}, column {name!r}")
        whole = np.array_equal(values, np.round(values))
        distinct, index = np.unique(values, return_inverse=True)
        if task is None:
            task = "classification" if whole and len(distinct) <= MOST_CLASSES else "regression"
        if task == "regression":
            return values.astype(np.float32), None
        return index.astype(np.int64), tuple(f"{v:.12g}" for v in distinct)
    if task == "regression":
        r = next(r for r, cell in enumerate(cells) if not is_number(cell))
        raise DataError(
            f"{path}, line {lines[r]}, column {name!r}: the target is {cells[r]!r}; a regression "
            "needs numbers"
        )
    _check_text(path, cells, name, lines)
    texts, index = np.unique(np.array(cells), return_inverse=True)
    return index.astype(np.int64), tuple(str(t) for t in texts)


def _check_text(path: str | Path, cells: list[str], name: str, lines: list[int]) -> None:
    """An error where cells of text are a slip in a column of numbers, and would make it classes."""
    texts = [r for r, cell in enumerate(cells) if not is_number(cell)]
    if len(texts) == len(cells):
        return
    values = any(is_number(cell) and not float(cell).is_integer() for cell in cells)
    marks = [r for r in texts if cells[r].lower() in MISSING]
    unread_header = texts == [0] and lines[0] == 1
    if values or marks or unread_header:
        r = marks[0] if marks else texts[0]
        hint = (
            "if that line is a header, give each column a name that is no number"
            if unread_header
            else "correct it, or drop the row"
        )
        raise DataError(
            f"{path}, line {lines[r]}, column {name!r}: the target is {cells[r]!r}, where other "
            f"rows have numbers; {hint}"
        )


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, or of an .npy file as {"x": ...}; never pickled ones."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
            return {k: a for k, a in arrays.items() if isinstance(a, np.ndarray)}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        hint: Any = error
        if "pickle" in str(error):
            hint = "NumPy did not write it, or it holds Python objects, which are not loaded"
        raise DataError(
            f"{path} is no readable array file: {hint}. Save numeric arrays with numpy.savez"
        ) from error


def numeric(path: str | Path, name: str, x: np.ndarray) -> np.ndarray:
    """x as float32, checked to be samples (n, ...) of finite numbers."""
    if x.dtype.kind not in "fiub" or x.ndim < 2 or not len(x):
        raise DataError(
            f"{path}: array {name!r} must hold numbers of shape (n, ...), found {x.dtype} of shape "
            f"{x.shape}"
        )
    x = to_float32(x)
    check_finite(x, f"{path}: array {name!r}")
    return x


def load_npz(path: str | Path) -> dict[str, np.ndarray]:
    """x and y, or x_train, y_train, x_test and y_test, of an .npz file; x float32 and checked."""
    arrays = load_arrays(path)
    expected = ("x_train", "y_train", "x_test", "y_test") if "x_train" in arrays else ("x", "y")
    missing = [name for name in expected if name not in arrays]
    if missing:
        raise DataError(
            f"{path} lacks the array {missing[0]!r}: expected x and y, or x_train, y_train, x_test "
            f"and y_test; found {', '.join(arrays) or 'none'}"
        )
    out = {}
    for name in expected:
        out[name] = numeric(path, name, arrays[name]) if name[0] == "x" else arrays[name]
        if not out[name].ndim:
            raise DataError(f"{path}: array {name!r} is a single value; expected one row a sample")
    for part in ("", "_train", "_test"):
        if f"x{part}" in out:
            check_same_length(**{k: out[k] for k in (f"x{part}", f"y{part}")})
    return out

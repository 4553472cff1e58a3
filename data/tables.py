"""Data from files: CSV tables, .npz and .npy arrays."""

from __future__ import annotations

import csv
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, choose
from .checks import check_finite, check_same_length


def read_csv(path: str | Path) -> tuple[list[str] | None, list[list[str]]]:
    """The header, if the first row is one, and the rows of cells; all rows of equal length.

    The first row is a header if none of its cells is a number and a cell of the next row is, or if
    it names its columns while every cell below is text as well.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            numbered = [
                (reader_line, row)
                for reader_line, row in _numbered(csv.reader(file))
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
    header = None
    if not any(_is_number(cell) for cell in rows[0]):
        header, rows = [cell.strip() for cell in rows[0]], rows[1:]
        if not rows:
            raise DataError(f"{path} holds a header and no rows; expected a row for each sample")
    return header, rows


def _numbered(reader: Any) -> Any:
    for row in reader:
        yield reader.line_num, row


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def load_csv(
    path: str | Path, target: str | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], tuple[str, ...] | None]:
    """Features, target, feature names, class names of a CSV table with numeric features.

    x is float32 (n, d). The target is the column named `target` (or its number, from 0), else the
    last one. Text or whole numbers are classes: y is int64 (n,) and the class names are sorted.
    Other numbers are values to regress: y is float32 and the class names None.
    """
    header, rows = read_csv(path)
    names = header or [f"column {i}" for i in range(len(rows[0]))]
    if len(names) < 2:
        raise DataError(f"{path} has one column; expected features and a target")
    at = _column(path, names, target)
    features = [i for i in range(len(names)) if i != at]
    first = 1 if header is None else 2
    x = _numbers(path, rows, features, names, first)
    y, classes = _target(path, [row[at].strip() for row in rows], names[at], first)
    return x, y, tuple(names[i] for i in features), classes


def _column(path: str | Path, names: list[str], target: str | None) -> int:
    if target is None:
        return len(names) - 1
    if target in names:
        return names.index(target)
    if target.isdigit() and int(target) < len(names):
        return int(target)
    raise DataError(f"{path}: {choose('target column', target, names)}")


def _numbers(
    path: str | Path, rows: list[list[str]], columns: list[int], names: list[str], first: int
) -> np.ndarray:
    """The columns as float32; an error names the first cell that is no finite number."""
    try:
        x = np.array([[row[i] for i in columns] for row in rows], dtype=np.float64)
    except ValueError:
        x = np.full((1, 1), np.nan)
    if not np.isfinite(x).all():
        for r, row in enumerate(rows):
            for i in columns:
                cell = row[i].strip()
                if not _is_number(cell) or not math.isfinite(float(cell)):
                    kind = "is missing" if not cell else f"is {cell!r}, expected a finite number"
                    raise DataError(
                        f"{path}, line {r + first}, column {names[i]!r}: the value {kind}. Fill it "
                        "in, drop the row, or encode text as numbers"
                    )
    return x.astype(np.float32)


def _target(
    path: str | Path, cells: list[str], name: str, first: int
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Class indices and sorted class names, or values and None."""
    for r, cell in enumerate(cells):
        if not cell or cell.lower() == "nan":
            raise DataError(
                f"{path}, line {r + first}, column {name!r}: the target is missing; drop the row"
            )
    if all(_is_number(c) for c in cells):
        values = np.array(cells, dtype=np.float64)
        check_finite(values, f"{path}, column {name!r}")
        if not np.array_equal(values, np.round(values)):
            return values.astype(np.float32), None
        whole, index = np.unique(values, return_inverse=True)
        return index.astype(np.int64), tuple(str(int(v)) for v in whole)
    texts, index = np.unique(np.array(cells), return_inverse=True)
    return index.astype(np.int64), tuple(str(t) for t in texts)


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, or of an .npy file as {"x": ...}; never pickled ones."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        hint = "it holds Python objects, which are not loaded" if "pickle" in str(error) else error
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
    check_finite(x, f"{path}: array {name!r}")
    return x.astype(np.float32)


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
    for part in ("", "_train", "_test"):
        if f"x{part}" in out:
            check_same_length(**{k: out[k] for k in (f"x{part}", f"y{part}")})
    return out

"""One way to all data: a set's name, or a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..backends.generator import Generator
from ..errors import DataError, OptionError, choose
from .categories import Categories, forget_unseen
from .checks import check_finite
from .images import load_digits, load_fashion_mnist, load_mnist
from .series import load_series
from .source import DataSource
from .tables import load_arrays, load_csv, load_npz, numeric, read_csv, read_features, to_float32

WITH_FILES: dict[str, Callable[[str | None], DataSource]] = {
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
}


def load(
    data: str,
    target: str | None = None,
    path: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    task: str | None = None,
    categorical: Sequence[str] = (),
    categories: Categories | None = None,
    log_target: bool = False,
) -> DataSource:
    """The data set called `data` ("digits", "mnist", "fashion-mnist"), or that in a file or folder.

    A .csv file has features and a target column (`target`, else the last); features of text, and
    those named in `categorical`, are categories (see `load_csv`), numbered by the values that the
    training part holds, or by the `categories` given. With `log_target` values y become
    log(1 + y), which suits counts and prices. An .npz file has
    the arrays x and y, or x_train, y_train, x_test, y_test. Without a test part of its own a random
    `test_fraction`, drawn from `seed`, is held out. A folder holds sequences as .ts files (see
    `load_series`). `path` is the folder of mnist's files. `task` says what a .csv file's target is,
    where the rule of `load_csv` would not have it so.

    >>> load("digits").task
    'classification'
    """
    if Path(data).suffix.lower() != ".csv":
        if categorical:
            raise OptionError(f"{data}: only a .csv file has named columns that may be categorical")
        if target is not None:
            raise OptionError(f"{data}: only a .csv file has a column to predict, found {target!r}")
    if path is not None and data not in WITH_FILES:
        raise OptionError(
            f"{data}: a folder of files belongs to {' and '.join(WITH_FILES)}, found {path!r}"
        )
    source = _load(data, target, path, test_fraction, seed, task, categorical, categories)
    if task not in (None, source.task):
        raise OptionError(f"{data} is for {source.task}; only a .csv file can be for another task")
    return _log(source) if log_target else source


def _load(
    data: str,
    target: str | None,
    path: str | None,
    test_fraction: float,
    seed: int,
    task: str | None,
    categorical: Sequence[str],
    categories: Categories | None,
) -> DataSource:
    if data == "digits":
        return load_digits()
    if data in WITH_FILES:
        return WITH_FILES[data](path)
    if data and Path(data).is_dir():
        return load_series(data)
    suffix = Path(data).suffix.lower()
    if suffix == ".csv":
        x, y, features, classes, name, found = load_csv(data, target, task, categorical, categories)
        kind = "regression" if classes is None else "classification"
        x_train, y_train, x_test, y_test = _hold_out(data, x, y, test_fraction, seed)
        if found is not None and categories is None:
            found, x_train, x_test = forget_unseen(found, x_train, x_test)
        parts = (x_train, y_train, x_test, y_test)
        return DataSource(data, *parts, kind, len(classes or ()), classes, features, name, found)
    if suffix == ".npz":
        arrays = load_npz(data)
        if "x" in arrays:
            parts = _hold_out(data, arrays["x"], arrays["y"], test_fraction, seed)
        else:
            parts = (arrays["x_train"], arrays["y_train"], arrays["x_test"], arrays["y_test"])
        return _from_arrays(data, *parts)
    unknown = choose("data set", data, ("digits", *WITH_FILES))
    raise DataError(f"{unknown} Or give a .csv or .npz file, or a folder")


def load_features(
    path: str,
    target: str | None = None,
    categories: Categories | None = None,
    feature_names: Sequence[str] | None = None,
) -> np.ndarray:
    """Inputs to predict for, float32 (n, ...): an .npy array, the array x of an .npz, or a .csv.

    A .csv holds features alone; a column named `target` is left out. `categories` and
    `feature_names` are those of the DataSource: without categories all features are numbers; where
    the file's header has the names, its columns are taken by them, in any order, and others left
    out.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        header, rows, lines = read_csv(path)
        names = header or [f"column {i}" for i in range(len(rows[0]))]
        columns = _named(path, header, feature_names or (), categories)
        if columns is None:
            dropped = names.index(target) if target in names else None
            columns = [i for i in range(len(names)) if i != dropped]
        return read_features(path, rows, columns, names, lines, categories)
    if suffix in (".npy", ".npz"):
        arrays = load_arrays(path)
        name = "x" if "x" in arrays else next(iter(arrays)) if len(arrays) == 1 else None
        if name is None:
            raise DataError(f"{path} lacks the array 'x'; found {', '.join(arrays)}")
        return numeric(path, name, arrays[name])
    raise DataError(f"cannot tell what {path} holds: expected a .csv, .npz or .npy file")


def _named(
    path: str, header: list[str] | None, names: Sequence[str], categories: Categories | None
) -> list[int] | None:
    """Where the header has the columns of these names; None where the order has to tell."""
    if header is None or not names or len(set(names)) < len(names):
        return None
    missing = [name for name in names if name not in header]
    if not missing:
        return [header.index(name) for name in names]
    of_text = categories is not None and all(known is not None for known in categories)
    if len(missing) == len(names) and not of_text:
        return None
    # A first row of text, where all columns are text, may as well be a sample.
    raise DataError(
        f"{path}: the header lacks the column {missing[0]!r}; found {', '.join(header)}"
    )


def _log(source: DataSource) -> DataSource:
    """log(1 + y) for y, or an error where there is none."""
    if source.task != "regression":
        raise DataError(
            f"{source.name}: the logarithm of a target needs values, found classes; if they are "
            "values, ask for the task 'regression'"
        )
    least = min(source.y_train.min(), source.y_test.min())
    if least <= -1:
        raise DataError(f"{source.name}: log(1 + y) needs targets above -1, found {least:g}")
    return replace(source, y_train=np.log1p(source.y_train), y_test=np.log1p(source.y_test))


def _hold_out(
    data: str, x: np.ndarray, y: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A random training part and the held-out rest."""
    if not 0.0 <= fraction <= 1.0:
        raise OptionError(f"test_fraction must be in [0, 1], found {fraction}")
    n = len(x)
    held = round(n * fraction)
    if not 0 < held < n:
        raise DataError(f"{data}: holding out {fraction:g} of {n} rows leaves a part empty")
    order = Generator(seed).permutation(n)
    train, test = order[held:], order[:held]
    return x[train], y[train], x[test], y[test]


def _from_arrays(
    name: str, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> DataSource:
    """Integers (n,) are classes, floating targets are values."""
    for part, a, b in (("x", x_train, x_test), ("y", y_train, y_test)):
        if a.shape[1:] != b.shape[1:] or (a.dtype.kind == "f") != (b.dtype.kind == "f"):
            raise DataError(
                f"{name}: {part}_train and {part}_test differ in kind: {a.dtype} {a.shape} and "
                f"{b.dtype} {b.shape}"
            )
    if y_train.dtype.kind in "iub" and y_train.ndim == 1:
        labels = [y.astype(np.int64) for y in (y_train, y_test)]
        low, high = (int(f([f(y) for y in labels])) for f in (min, max))
        if low < 0:
            raise DataError(f"{name}: class labels must not be negative, found {low}")
        return DataSource(name, x_train, labels[0], x_test, labels[1], "classification", high + 1)
    if y_train.dtype.kind != "f":
        raise DataError(
            f"{name}: y must hold integers (n,) for classes or floating values, found "
            f"{y_train.dtype} of shape {y_train.shape}"
        )
    for part, y in (("y_train", y_train), ("y_test", y_test)):
        check_finite(to_float32(y), f"{name}: {part}")
    values = [y.astype(np.float32) for y in (y_train, y_test)]
    return DataSource(name, x_train, values[0], x_test, values[1], "regression")

"""Sequences from .ts files, the format of the UEA and UCR archives of time series.

After a head of lines that begin with # or @, a line is a sequence: its dimensions separated by
colons, each a list of numbers separated by commas, and at its end the class.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError
from .checks import check_finite
from .sequences import pad_sequences
from .source import DataSource

PARTS = ("_TRAIN.ts", "_TEST.ts")


def load_series(folder: str | Path) -> DataSource:
    """The sequences in a folder with files NAME_TRAIN.ts and NAME_TEST.ts.

    x is float32 (n, longest, dimensions), with zeros after the end of shorter sequences. Where the
    folder holds several names, that of the folder itself is taken.
    """
    folder = Path(folder)
    names = sorted(
        p.name.removesuffix(PARTS[0])
        for p in folder.glob(f"*{PARTS[0]}")
        if (folder / p.name.replace(*PARTS)).exists()
    )
    name = folder.name if folder.name in names else names[0] if len(names) == 1 else None
    if name is None:
        found = f"several: {', '.join(names)}" if names else "none"
        raise DataError(
            f"{folder}: expected the files of one data set, NAME{PARTS[0]} and NAME{PARTS[1]}; "
            f"found {found}"
        )
    parts = [read_ts(folder / f"{name}{part}") for part in PARTS]
    (train, _), (test, _) = parts
    if {s.shape[1] for s in train} != {s.shape[1] for s in test}:
        raise DataError(f"{folder}: {name}'s two files differ in how many dimensions they have")
    padded, _ = pad_sequences([*train, *test])
    classes = tuple(sorted({label for _, labels in parts for label in labels}))
    number = {label: i for i, label in enumerate(classes)}
    y = [np.array([number[label] for label in labels], np.int64) for _, labels in parts]
    return DataSource(
        name,
        padded[: len(train)],
        y[0],
        padded[len(train) :],
        y[1],
        "classification",
        len(classes),
        classes,
    )


def read_ts(path: str | Path) -> tuple[list[np.ndarray], list[str]]:
    """The sequences of a .ts file, each float32 (length, dimensions), and their classes."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    begin = next((i for i, s in enumerate(lines) if s.strip().lower() == "@data"), None)
    if begin is None:
        raise DataError(f"{path} has no line @data, after which a .ts file's sequences come")
    sequences, labels = [], []
    for number, line in enumerate(lines[begin + 1 :], begin + 2):
        if not line.strip():
            continue
        *dimensions, label = line.strip().split(":")
        try:
            rows = [np.array(d.split(","), np.float32) for d in dimensions]
            sequence = np.stack(rows, axis=1)
        except ValueError as error:
            raise DataError(
                f"{path}, line {number}: expected dimensions of equal length, numbers separated by "
                f"commas, each dimension before a colon ({error})"
            ) from error
        check_finite(sequence, f"{path}, line {number}")
        sequences.append(sequence)
        labels.append(label)
    if not sequences:
        raise DataError(f"{path} holds no sequence after its line @data")
    if len({s.shape[1] for s in sequences}) > 1:
        raise DataError(f"{path}: sequences differ in how many dimensions they have")
    return sequences, labels

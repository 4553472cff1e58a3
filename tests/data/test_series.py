"""Sequences from .ts files."""

from pathlib import Path

import numpy as np
import pytest
from tercet.data import load, load_series
from tercet.errors import DataError

HEAD = "# a comment\n@problemName Walks\n@classLabel true a b\n@data\n"


def write(folder: Path, train: str, test: str = "1,2:3,4:a\n", name: str = "Walks") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}_TRAIN.ts").write_text(HEAD + train)
    (folder / f"{name}_TEST.ts").write_text(HEAD + test)
    return folder


def test_sequences_are_padded_with_zeros(tmp_path: Path) -> None:
    source = load(str(write(tmp_path, "1,2,3:4,5,6:b\n\n7:8:a\n")))
    assert source.x_train.dtype == np.float32
    assert source.x_train.tolist() == [[[1, 4], [2, 5], [3, 6]], [[7, 8], [0, 0], [0, 0]]]
    assert source.y_train.tolist() == [1, 0]
    assert source.x_test.tolist() == [[[1, 3], [2, 4], [0, 0]]]
    assert (source.name, source.task, source.class_names) == ("Walks", "classification", ("a", "b"))


def test_the_name_of_the_folder_is_taken_of_several(tmp_path: Path) -> None:
    folder = write(tmp_path / "Walks", "1:2:a\n")
    write(folder, "9,9:2,3:a\n", name="Walks_eq")
    assert load_series(folder).x_train.shape == (1, 2, 2)
    write(folder, "1:2:a\n", name="Runs")
    (folder / "Walks_TEST.ts").unlink()
    with pytest.raises(DataError, match="found several: Runs, Walks_eq"):
        load_series(folder)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("1,2:3:a\n", r"line 5: expected dimensions of equal length"),
        ("1,x:3,4:a\n", "line 5: expected dimensions of equal length, numbers"),
        ("1,2:3,4:a\n1:a\n", "differ in how many dimensions"),
        ("\n", "holds no sequence"),
        ("1,nan:3,4:a\n", "line 5"),
        ("1,2:a\n", "two files differ in how many dimensions"),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path: Path, train: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_series(write(tmp_path, train))


def test_what_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected the files of one data set.*found none"):
        load_series(tmp_path)
    write(tmp_path, "1:2:a\n")
    (tmp_path / "Walks_TRAIN.ts").write_text("1,2\n")
    with pytest.raises(DataError, match="has no line @data"):
        load_series(tmp_path)

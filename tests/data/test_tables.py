"""CSV tables and array files."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tercet.data import load_csv, load_npz
from tercet.data.tables import load_arrays, read_csv
from tercet.errors import DataError, OptionError


@pytest.fixture
def table(tmp_path: Path):
    """A function that writes a CSV file and returns its path."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_header_and_rows(table) -> None:
    path = table("a, b ,c\n1,2,x\n\n3,4,y\n , ,\n")
    assert read_csv(path) == (["a", "b", "c"], [["1", "2", "x"], ["3", "4", "y"]], [2, 4])
    assert read_csv(table("1,2,x\n3,4,y")) == (None, [["1", "2", "x"], ["3", "4", "y"]], [1, 2])
    assert read_csv(table("a,b\nc,d\n"))[0] == ["a", "b"]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_marks_endings_and_quotes(table, mark: bytes, ending: str) -> None:
    rows = ['"width, cm","the ""b""",kind', '"1.5",2,"red, dark"', "-3e1, 4 ,blue"]
    path = table(mark + ending.join(rows).encode())
    x, y, features, classes, name, _ = load_csv(path)
    np.testing.assert_array_equal(x, np.array([[1.5, 2], [-30, 4]], np.float32))
    assert features == ("width, cm", 'the "b"')
    assert (y.tolist(), classes, name) == ([1, 0], ("blue", "red, dark"), "kind")


def test_without_a_header(table) -> None:
    x, y, features, classes, name, _ = load_csv(table("1,2,0.5\n3,4,1.5\n"))
    assert x.tolist() == [[1, 2], [3, 4]]
    assert (x.dtype, y.dtype) == (np.float32, np.float32)
    assert (y.tolist(), classes) == ([0.5, 1.5], None)
    assert (features, name) == (("column 0", "column 1"), "column 2")


@pytest.mark.parametrize(
    ("target", "at"), [(None, 2), ("c", 2), ("a", 0), ("0", 0), ("1", 1), ("2", 2)]
)
def test_the_target_by_name_number_or_default(table, target: str | None, at: int) -> None:
    x, y, features, _, name, _ = load_csv(table("a,b,c\n1.5,2.5,3.5\n4.5,5.5,6.5\n"), target)
    rows = np.array([[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]])
    np.testing.assert_array_equal(y, rows[:, at])
    np.testing.assert_array_equal(x, np.delete(rows, at, axis=1))
    assert name == "abc"[at]
    assert features == tuple("abc".replace(name, ""))


def test_a_name_goes_before_a_number(table) -> None:
    # Column names that are numbers are no header; after text they can only be asked for by number.
    x, y, *_ = load_csv(table("1,0\n2.5,3.5\n"), "1")
    assert (x.tolist(), y.tolist()) == ([[1], [2.5]], [0, 3.5])


@pytest.mark.parametrize("target", ["d", "3", "-1", "²", ""])
def test_no_such_target(table, target: str) -> None:
    with pytest.raises(DataError, match=f"unknown target column '{target}'; expected one of: a, b"):
        load_csv(table("a,b,c\n1,2,3\n"), target)


def test_classes_of_text_and_of_whole_numbers(table) -> None:
    _, y, _, classes, *_ = load_csv(table("a,k\n1,virginica\n2,setosa\n3,virginica\n4, setosa \n"))
    assert (y.tolist(), classes, y.dtype) == ([1, 0, 1, 0], ("setosa", "virginica"), np.int64)
    # Numbers are sorted as numbers, and need not begin at 0 nor be dense.
    _, y, _, classes, *_ = load_csv(table("a,k\n1,10\n2,9.0\n3,-1\n4,10\n"))
    assert (y.tolist(), classes, y.dtype) == ([2, 1, 0, 2], ("-1", "9", "10"), np.int64)
    # One cell of text makes all of them text.
    _, y, _, classes, *_ = load_csv(table("a,k\n1,1\n2,one\n"))
    assert classes == ("1", "one")


def test_values_to_regress(table) -> None:
    _, y, _, classes, *_ = load_csv(table("a,k\n1,2\n2,-1e-3\n3,4\n"))
    np.testing.assert_array_equal(y, np.array([2, -1e-3, 4], np.float32))
    assert classes is None


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "the value is missing"),
        ("  ", "the value is missing"),
        ("nan", "the value is 'nan', expected a finite"),
        ("NaN", "the value is 'NaN', expected a finite"),
        ("-inf", "the value is '-inf', expected a finite"),
        ("?", r"the value is '\?', expected a finite"),
        ("1,5", None),
        ("1e39", "the value is '1e39', expected a finite float32 number"),
        ("1e999", "the value is '1e999', expected a finite"),
    ],
)
def test_a_cell_that_is_no_number_is_named(table, cell: str, message: str | None) -> None:
    path = table(f"a,b,c\n1,2,x\n3,{cell},y\n?,?,z\n")
    if message is None:
        with pytest.raises(DataError, match=r"line 3: expected 3 cells .* found 4"):
            load_csv(path)
        return
    with pytest.raises(DataError, match=f"table.csv, line 3, column 'b': {message}"):
        load_csv(path)


def test_lines_are_those_of_the_file(table) -> None:
    """Empty lines and line breaks in quotes count; a row is named by the line where it ends."""
    with pytest.raises(DataError, match="line 6, column 'column 1': the value is missing"):
        load_csv(table('\n1,2,"p\nq"\n\n\n3,,y\n'))
    with pytest.raises(DataError, match="line 4, column 'b': the target is missing; drop the row"):
        load_csv(table("a,b\n1,x\n\n2,\n"))


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN"])
def test_a_missing_target_is_named(table, cell: str) -> None:
    with pytest.raises(DataError, match="line 3, column 'k': the target is missing"):
        load_csv(table(f"a,k\n1,2\n2,{cell}\n"))


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e39", "-1.5e300"])
def test_a_target_too_large(table, cell: str) -> None:
    with pytest.raises(DataError, match=r"column 'k' holds -?inf at \(1,\)"):
        load_csv(table(f"a,k\n1,2.5\n2,{cell}\n"))


def test_tables_that_are_none(table, tmp_path: Path) -> None:
    for text in ("", "\n\n", " , \n", "\ufeff"):
        with pytest.raises(DataError, match=r"table.csv is empty; expected a row for each sample"):
            load_csv(table(text))
    with pytest.raises(DataError, match="holds a header and no rows"):
        load_csv(table("a,b,c\n"))
    with pytest.raises(DataError, match="line 3: expected 2 cells as in the first row, found 1"):
        load_csv(table("a,b\n1,2\n3\n"))
    with pytest.raises(DataError, match="has one column; expected features and a target"):
        load_csv(table("a\n1\n2\n"))
    with pytest.raises(DataError, match=r"is not UTF-8 text \(byte 4\); save it as UTF-8"):
        load_csv(table("a,b\né,1\n".encode("latin-1")))
    with pytest.raises(DataError, match="is no readable CSV: field larger than field limit"):
        load_csv(table("a,b\n" + "x" * 200_000 + ",1\n"))
    for path in (tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(DataError, match=f"cannot read {path}: "):
            load_csv(path)


@pytest.fixture
def arrays(rng) -> dict[str, np.ndarray]:
    return {"x": rng.normal(size=(6, 2, 3)), "y": np.array([0, 1, 2, 0, 1, 2])}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, arrays, save) -> None:
    path = tmp_path / "a.npz"
    save(path, **arrays, other=np.array(["text"]))
    loaded = load_npz(path)
    assert list(loaded) == ["x", "y"]
    assert loaded["x"].dtype == np.float32
    np.testing.assert_array_equal(loaded["x"], arrays["x"].astype(np.float32))
    np.testing.assert_array_equal(loaded["y"], arrays["y"])
    split = {f"{k}_train": v[:4] for k, v in arrays.items()}
    split |= {f"{k}_test": v[4:] for k, v in arrays.items()}
    save(path, **split)
    loaded = load_npz(path)
    assert {k: v.shape for k, v in loaded.items()} == {k: v.shape for k, v in split.items()}


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "float64"])
def test_every_dtype_of_numbers_becomes_float32(tmp_path: Path, dtype: str) -> None:
    x = np.array([[0, 1], [1, 0]]).astype(dtype)
    np.savez(tmp_path / "a.npz", x=x, y=[0, 1])
    loaded = load_npz(tmp_path / "a.npz")["x"]
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, x.astype(np.float32))


def test_npy_has_one_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6).reshape(3, 2))
    loaded = load_arrays(tmp_path / "a.npy")
    assert list(loaded) == ["x"]
    assert loaded["x"].tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("names", "lacks"),
    [(["x"], "y"), (["y"], "x"), (["x_train", "y_train", "x_test"], "y_test"), (["images"], "x")],
)
def test_missing_arrays_are_named(tmp_path: Path, names: list, lacks: str) -> None:
    np.savez(tmp_path / "a.npz", **{n: np.zeros((2, 2)) for n in names})
    with pytest.raises(DataError, match=f"lacks the array '{lacks}': .*found {', '.join(names)}$"):
        load_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(3), r"array 'x' must hold numbers of shape \(n, ...\), found float64 of shape"),
        (np.zeros((0, 3)), r"must hold numbers of shape \(n, ...\)"),
        (np.array([["a"], ["b"]]), "must hold numbers .* found <U1"),
        (np.zeros((3, 2), complex), "must hold numbers .* found complex128"),
        (np.array([[0.0, 1.0], [np.nan, 0.0], [0, 0]]), r"array 'x' holds nan at \(1, 0\)"),
        (np.array([[0.0, 1e300], [0.0, 0.0]]), r"array 'x' holds inf at \(0, 1\)"),
        (np.zeros((4, 2)), "lengths differ: x has 4 rows, y has 3"),
    ],
)
def test_arrays_that_are_no_samples(tmp_path: Path, x: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "a.npz", x=x, y=np.zeros(3))
    with pytest.raises(DataError, match=message):
        load_npz(tmp_path / "a.npz")


def test_a_target_that_is_a_single_value(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.array(1))
    with pytest.raises(DataError, match="array 'y' is a single value"):
        load_npz(tmp_path / "a.npz")


class Trap:
    """What would leave a mark if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    x = np.array([[Trap(mark)], [None]], dtype=object)
    np.savez(tmp_path / "a.npz", x=x, y=[0, 1])
    np.save(tmp_path / "a.npy", x)
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Trap(mark)))
    mark.unlink(missing_ok=True)
    for name in ("a.npz", "a.npy", "b.npz"):
        with pytest.raises(DataError, match="holds Python objects, which are not loaded"):
            load_arrays(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_truncated_and_damaged_files(tmp_path: Path, rng, save) -> None:
    path = tmp_path / "a.npz"
    save(path, x=rng.normal(size=(50, 3)), y=np.arange(50))
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[200:260] = bytes(60)
    for wrong in (content[:-30], content[: len(content) // 2], content[:3], b"", bytes(damaged)):
        path.write_bytes(wrong)
        with pytest.raises(DataError, match=r"a.npz is no readable array file: "):
            load_arrays(path)


def test_a_truncated_npy(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((50, 3)))
    content = path.read_bytes()
    for cut in (len(content) - 8, 40, 7):
        path.write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"a.npy is no readable array file: "):
            load_arrays(path)


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("1,2\n")
    with pytest.raises(DataError, match="NumPy did not write it, or it holds Python objects"):
        load_npz(tmp_path / "text.npz")
    for path in (tmp_path, tmp_path / "absent.npz"):
        with pytest.raises(DataError, match=f"cannot read {path}: "):
            load_npz(path)
    # A zip of other things has no arrays.
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as file:
        file.writestr("x", "text")
    with pytest.raises(DataError, match=r"lacks the array 'x': .*found none"):
        load_npz(tmp_path / "zip.npz")


@pytest.mark.parametrize("mark", ["NA", "n/a", "null", "?", "-"])
def test_a_mark_for_a_missing_number_makes_no_classes(table, mark: str) -> None:
    for values in ("1.5", "1"):
        text = f"a,k\n1,{values}\n2,{mark}\n3,2\n"
        with pytest.raises(DataError, match=r"line 3, column 'k': the target is '.+', where other"):
            load_csv(table(text))
    # Where all is text it is a class like any other.
    assert load_csv(table(f"a,k\n1,yes\n2,{mark}\n"))[3] is not None


def test_a_slip_among_values_makes_no_classes(table) -> None:
    with pytest.raises(DataError, match=r"line 4, column 'k': the target is '2\.5x', where other"):
        load_csv(table("a,k\n1,1.5\n2,2\n3,2.5x\n"))


def test_a_header_of_numbers_is_not_taken_for_a_row(table) -> None:
    with pytest.raises(
        DataError, match=r"line 1, .* the target is 'label'.*if that line is a head"
    ):
        load_csv(table("0,1,label\n1,2,0\n3,4,1\n"))


def test_two_columns_of_the_targets_name(table) -> None:
    """The other one would be the target among the features."""
    with pytest.raises(DataError, match="has 2 columns named 'y', which is the target; rename"):
        load_csv(table("a,y,y\n1,2,0\n"))
    assert load_csv(table("a,a,y\n1,2,0\n"))[2] == ("a", "a")


def test_columns_of_categories(table) -> None:
    text = "colour,size,day,y\nred,1.5,1,0\n,2,2,1\nblue,3,1.0,0\nnan,4,3,1\n"
    x, _, features, _, _, categories = load_csv(table(text))
    assert features == ("colour", "size", "day")
    assert categories == (("", "blue", "red"), None, None)
    assert x.dtype == np.float32
    assert x.tolist() == [[3, 1.5, 1], [1, 2, 2], [2, 3, 1], [1, 4, 3]]
    x, *_, categories = load_csv(table(text), categorical=["day"])
    assert categories == (("", "blue", "red"), None, ("1", "2", "3"))
    assert x[:, 2].tolist() == [1, 2, 1, 3]
    given = (("red",), None, None)
    x, *_, categories = load_csv(table(text), categories=given)
    assert (x[:, 0].tolist(), categories) == ([1, 0, 0, 0], given)
    assert load_csv(table("a,b,y\n1,2,0\n"))[5] is None
    with pytest.raises(DataError, match="expected 3 columns of features, found 2"):
        load_csv(table("a,b,y\n1,2,0\n"), categories=given)
    with pytest.raises(DataError, match="unknown column 'dai'; expected one of: colour"):
        load_csv(table(text), categorical=["dai"])


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("red 2", "line 2, column 'a': the value is 'red'"),
        ("red inf", "line 2, column 'a': the value is 'red'"),
        ("? ?", r"line 2, column 'a': the value is '\?'"),
        ("nan nan", "line 2, column 'a': the value is 'nan'"),
    ],
)
def test_a_column_that_is_no_category(table, cells: str, message: str) -> None:
    """One number makes it a column of numbers, and marks for missing values make it nothing."""
    text = "".join(f"{cell},1,0\n" for cell in cells.split())
    with pytest.raises(DataError, match=message):
        load_csv(table(f"a,b,y\n{text}"))


def test_the_target_by_a_number(table) -> None:
    assert load_csv(table("a,b,c\n1,2.5,3\n"), 1)[4] == "b"


def test_other_separators_and_open_quotes(table) -> None:
    with pytest.raises(DataError, match=r"has one column; .* separated by commas"):
        load_csv(table("a;b;y\n1;2;0\n"))
    # Read leniently, the rest of the file would be one cell.
    with pytest.raises(DataError, match="is no readable CSV: unexpected end of data"):
        load_csv(table('a,y\n1,"0\n2,1\n3,1\n'))


def test_the_task_is_guessed_or_given(table) -> None:
    few, many = ("a,y\n" + "".join(f"{i},{i % n}\n" for i in range(300)) for n in (100, 101))
    assert load_csv(table(few))[3] is not None
    assert load_csv(table(many))[3] is None
    _, y, _, classes, *_ = load_csv(table(few), task="regression")
    assert classes is None
    np.testing.assert_array_equal(y, np.arange(300) % 100)
    assert load_csv(table("a,y\n1,0.5\n2,1.5\n"), task="classification")[3] == ("0.5", "1.5")
    with pytest.raises(DataError, match="the target is 'x'; a regression needs numbers"):
        load_csv(table("a,y\n1,x\n"), task="regression")
    with pytest.raises(OptionError, match="unknown task 'regresion'"):
        load_csv(table(few), task="regresion")

"""One way to all data."""

from pathlib import Path

import numpy as np
import pytest
from tercet.data import load, load_features
from tercet.errors import DataError, OptionError


def test_by_name(tmp_path: Path) -> None:
    d = load("digits")
    assert (d.name, len(d.x_train), len(d.x_test)) == ("digits", 1347, 450)
    for name in ("mnist", "fashion-mnist"):
        with pytest.raises(DataError, match=f"{tmp_path} does not hold {name}: expected the files"):
            load(name, path=str(tmp_path))


@pytest.mark.parametrize("name", ["digit", "table.txt", "", "digits.csv.gz"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(DataError, match=f"unknown data set '{name}'.*Or give a .csv or .npz file"):
        load(name)
    if name == "digit":
        with pytest.raises(DataError, match="Did you mean 'digits'"):
            load(name)


@pytest.fixture
def csv(tmp_path: Path) -> str:
    """50 rows: a is the row's number, b its square, kind its parity."""
    lines = [f"{i},{i * i},{'odd' if i % 2 else 'even'}" for i in range(50)]
    (tmp_path / "t.CSV").write_text("\n".join(["a,b,kind", *lines]))
    return str(tmp_path / "t.CSV")


def test_csv(csv: str) -> None:
    d = load(csv)
    assert (d.name, d.task, d.num_classes) == (csv, "classification", 2)
    assert (d.class_names, d.feature_names) == (("even", "odd"), ("a", "b"))
    assert d.target_name == "kind"
    assert (len(d.x_train), len(d.x_test)) == (40, 10)
    for x, y in ((d.x_train, d.y_train), (d.x_test, d.y_test)):
        np.testing.assert_array_equal(x[:, 1], x[:, 0] ** 2)
        np.testing.assert_array_equal(y, x[:, 0] % 2)
    rows = np.concatenate([d.x_train, d.x_test])[:, 0]
    assert sorted(rows.tolist()) == list(range(50))


def test_csv_with_a_target(csv: str, tmp_path: Path) -> None:
    d = load(csv, target="a")
    assert (d.feature_names, d.categories) == (("b", "kind"), (None, ("even", "odd")))
    np.testing.assert_array_equal(d.x_train[:, 1], d.y_train % 2 + 1)
    path = tmp_path / "r.csv"
    path.write_text("y,x\n" + "\n".join(f"{i + 0.5},{i}" for i in range(10)))
    d = load(str(path), target="y")
    assert (d.task, d.num_classes, d.class_names) == ("regression", 0, None)
    np.testing.assert_array_equal(d.y_train, d.x_train[:, 0] + 0.5)
    assert d.y_train.dtype == np.float32


@pytest.mark.parametrize(("fraction", "held"), [(0.2, 10), (0.5, 25), (0.01, None), (1.0, None)])
def test_what_is_held_out(csv: str, fraction: float, held: int | None) -> None:
    if held is None and round(50 * fraction) in (0, 50):
        with pytest.raises(DataError, match=f"holding out {fraction:g} of 50 rows leaves a part"):
            load(csv, test_fraction=fraction)
        return
    assert len(load(csv, test_fraction=fraction).x_test) == held


def test_the_split_follows_from_the_seed(csv: str, tmp_path: Path) -> None:
    tests = [load(csv, seed=s).x_test[:, 0].tolist() for s in (1, 1, 2)]
    assert tests[0] == tests[1] != tests[2]
    # An .npz of the same rows is cut alike.
    np.savez(tmp_path / "t.npz", x=np.arange(50.0).reshape(50, 1), y=np.arange(50) % 2)
    assert load(str(tmp_path / "t.npz"), seed=1).x_test[:, 0].tolist() == tests[0]


@pytest.mark.parametrize("dtype", ["int64", "uint8", "int32", "bool"])
def test_npz_of_classes(tmp_path: Path, dtype: str) -> None:
    path = str(tmp_path / "t.npz")
    np.savez(path, x=np.zeros((10, 2)), y=(np.arange(10) % 2).astype(dtype))
    d = load(path)
    assert (d.task, d.num_classes, d.y_train.dtype) == ("classification", 2, np.int64)
    assert (len(d.y_train), len(d.y_test)) == (8, 2)


def test_npz_with_its_own_parts(tmp_path: Path) -> None:
    path = str(tmp_path / "t.npz")
    parts = {"x_train": np.ones((4, 2)), "y_train": [0, 1, 0, 1]}
    np.savez(path, **parts, x_test=np.zeros((3, 2)), y_test=[2, 0, 4])
    d = load(path, seed=5)
    assert d.num_classes == 5
    assert (d.y_train.tolist(), d.y_test.tolist()) == ([0, 1, 0, 1], [2, 0, 4])
    np.savez(path, **parts, x_test=np.zeros((3, 3)), y_test=[0, 0, 0])
    with pytest.raises(DataError, match="x_train and x_test differ in kind"):
        load(path)
    np.savez(path, **parts, x_test=np.zeros((3, 2)), y_test=[0.0, np.nan, 0.5])
    with pytest.raises(DataError, match="y_train and y_test differ in kind: int64"):
        load(path)


def test_npz_of_values(tmp_path: Path) -> None:
    path = str(tmp_path / "t.npz")
    np.savez(path, x=np.zeros((10, 2)), y=np.ones((10, 3)))
    d = load(path)
    assert (d.task, d.num_classes, d.y_train.dtype) == ("regression", 0, np.float32)
    assert d.y_test.shape == (2, 3)
    for bad in (np.nan, np.inf, 1e300):
        np.savez(path, x=np.zeros((10, 2)), y=np.full(10, bad))
        with pytest.raises(DataError, match=r"t.npz: y_train holds (nan|inf) at \(0,\)"):
            load(path)
    np.savez(path, x=np.zeros((10, 2)), y=-np.arange(10))
    with pytest.raises(DataError, match="class labels must not be negative, found -9"):
        load(path)
    for y in (np.zeros((10, 1), int), np.array(["a"] * 10)):
        np.savez(path, x=np.zeros((10, 2)), y=y)
        with pytest.raises(DataError, match=r"y must hold integers \(n,\) for classes or floating"):
            load(path)


def test_features(csv: str, tmp_path: Path) -> None:
    x = np.arange(12.0).reshape(3, 4)
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "x.npz", x=x, other=np.zeros(3))
    np.savez(tmp_path / "one.npz", pixels=x)
    for name in ("a.npy", "x.npz", "one.npz"):
        loaded = load_features(str(tmp_path / name))
        assert loaded.dtype == np.float32
        np.testing.assert_array_equal(loaded, x)
    np.savez(tmp_path / "two.npz", a=x, b=x)
    with pytest.raises(DataError, match="lacks the array 'x'; found a, b"):
        load_features(str(tmp_path / "two.npz"))
    with pytest.raises(DataError, match=r"cannot tell what .*t.txt holds: expected a .csv, .npz"):
        load_features(str(tmp_path / "t.txt"))


def test_features_of_a_csv(csv: str, tmp_path: Path) -> None:
    assert load_features(csv, "kind").shape == (50, 2)
    with pytest.raises(DataError, match="line 2, column 'kind': the value is 'even'"):
        load_features(csv)
    path = tmp_path / "f.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    for target in (None, "absent"):
        assert load_features(str(path), target).tolist() == [[1, 2], [3, 4]]
    assert load_features(str(path), "a").tolist() == [[2], [4]]
    path.write_text("1,2\n\n3,\n")
    with pytest.raises(DataError, match="line 3, column 'column 1': the value is missing"):
        load_features(str(path))


def test_categories_are_those_of_the_training_part(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name,y\n" + "\n".join(f"n{i // 2:02},{i}.5" for i in range(60)))
    d = load(str(path), test_fraction=0.4, seed=1)
    assert d.categories is not None
    known = np.array(["", *d.categories[0]])
    assert list(known) == sorted(known)

    def names(y: np.ndarray) -> np.ndarray:
        return np.array([f"n{int(v) // 2:02}" for v in y])

    np.testing.assert_array_equal(known[d.x_train[:, 0].astype(int)], names(d.y_train))
    new = ~np.isin(names(d.y_test), names(d.y_train))
    assert new.any()
    assert not new.all()
    of_test = d.x_test[:, 0].astype(int)
    np.testing.assert_array_equal(of_test == 0, new)
    np.testing.assert_array_equal(known[of_test[~new]], names(d.y_test)[~new])
    # What is known may be given, as to evaluate a model, and to predict.
    again = load(str(path), test_fraction=0.4, seed=1, categories=d.categories)
    np.testing.assert_array_equal(again.x_test, d.x_test)
    path.write_text("name\nn99\n" + d.categories[0][4] + "\n\n")
    assert load_features(str(path), None, d.categories).tolist() == [[0], [5]]


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"

    def features(text: str, *given: object) -> list:
        path.write_text(text)
        return load_features(str(path), *given).tolist()

    one_text = (None, ("red",))
    names = ("size", "colour")
    for text in (
        "colour,id,size\nred,x,2\n",
        "size,y,colour\n2,7,red\n",
        "2,red\n",
        "S,C\n2,red\n",
    ):
        assert features(text, "y", one_text, names) == [[2, 1]]
    with pytest.raises(DataError, match="the header lacks the column 'size'; found colour, Size"):
        features("colour,Size\nred,2\n", "y", one_text, names)
    # Two columns of one name are told by their order.
    assert features("a,a\n1,2\n", "y", None, ("a", "a")) == [[1, 2]]
    of_text = (("x",), ("red",))
    assert features("colour,size\nred,x\n", "y", of_text, names) == [[1, 1]]
    with pytest.raises(DataError, match="the header lacks the column 'size'; found x, red"):
        features("x,red\nx,red\n", "y", of_text, names)


def test_the_logarithm_of_the_target(csv: str, tmp_path: Path) -> None:
    plain, log = (load(csv, "b", task="regression", log_target=on) for on in (False, True))
    np.testing.assert_array_equal(log.y_train, np.log1p(plain.y_train))
    np.testing.assert_array_equal(log.y_test, np.log1p(plain.y_test))
    with pytest.raises(DataError, match="needs values, found classes"):
        load(csv, log_target=True)
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "\n".join(f"{i},{i / 4 - 1}" for i in range(9)))
    with pytest.raises(DataError, match=r"log\(1 \+ y\) needs targets above -1, found -1"):
        load(str(path), log_target=True)


def test_only_a_tables_task_is_chosen() -> None:
    assert load("digits", task="classification").task == "classification"
    with pytest.raises(OptionError, match=r"digits is for classification; only a \.csv file"):
        load("digits", task="regression")


def test_only_a_table_has_categorical_columns() -> None:
    with pytest.raises(OptionError, match=r"digits: only a .csv file has named columns"):
        load("digits", categorical=["0"])

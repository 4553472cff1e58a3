"""What each epoch gave, kept and saved."""

import json
import math
from pathlib import Path

import pytest
from tercet.errors import CheckpointError, OptionError
from tercet.training.history import History, maximizes


@pytest.fixture
def history() -> History:
    out = History()
    for epoch, (loss, accuracy) in enumerate([(3.0, 0.2), (1.0, 0.9), (2.0, 0.9), (1.0, 0.1)]):
        out.append(epoch, {"loss": loss, "val_accuracy": accuracy})
    return out


def test_entries(history: History) -> None:
    assert history["loss"] == [3.0, 1.0, 2.0, 1.0]
    assert history.history["val_accuracy"] == [0.2, 0.9, 0.9, 0.1]
    assert history.epoch == [0, 1, 2, 3]
    assert "4 epochs; last: loss=1, val_accuracy=0.1" in repr(history)
    assert repr(History()) == "History(0 epochs)"
    with pytest.raises(OptionError, match=r"unknown entry of the history 'val_acuracy'.*Did you"):
        history["val_acuracy"]


def test_the_best_is_the_first_of_equals(history: History) -> None:
    assert history.best("loss") == (1, 1.0)
    assert history.best("loss", "max") == (0, 3.0)
    assert history.best("val_accuracy") == (1, 0.9)
    assert history.best("val_accuracy", "min") == (3, 0.1)


def test_the_best_is_named_by_its_epoch() -> None:
    """A continued training does not begin at epoch 0; NaN is never the best."""
    history = History()
    for epoch, loss in ((7, math.nan), (8, 2.0), (9, -math.inf), (10, math.nan)):
        history.append(epoch, {"loss": loss, "none": math.nan})
    assert history.best("loss") == (9, -math.inf)
    assert history.best("loss", "max") == (8, 2.0)
    with pytest.raises(OptionError, match="holds no value of 'none' yet"):
        history.best("none")


def test_names_that_come_and_go() -> None:
    history = History()
    history.append(0, {"b": 1, "a": 2})
    history.append(1, {"c": 3, "a": 4, "d": 5})
    assert history.epoch == [0, 1]
    # In the order in which they came.
    assert list(history.history) == ["b", "a", "c", "d"]
    for name, expected in (("b", [1, None]), ("a", [2, 4]), ("c", [None, 3]), ("d", [None, 5])):
        assert [None if math.isnan(v) else v for v in history[name]] == expected


@pytest.mark.parametrize(
    ("monitor", "more"),
    [
        ("loss", False),
        ("val_loss", False),
        ("mse", False),
        ("val_rmse", False),
        ("mae", False),
        ("accuracy", True),
        ("val_top_5_accuracy", True),
        ("auc", True),
        ("val_f1", True),
        ("precision", True),
        ("recall", True),
        ("val_r2", True),
    ],
)
def test_auto_tells_by_the_name(monitor: str, more: bool) -> None:
    assert maximizes(monitor, "auto") is more
    assert maximizes(monitor, "max") is True
    assert maximizes(monitor, "min") is False
    with pytest.raises(OptionError, match="unknown mode 'maximum'"):
        maximizes(monitor, "maximum")


def test_saved_and_loaded(history: History, tmp_path: Path) -> None:
    history.append(9, {"loss": math.nan, "val_accuracy": 1 / 3, "lr": math.inf})
    path = tmp_path / "new" / "h.json"
    history.save(path)
    assert json.loads(path.read_text())["epoch"] == [0, 1, 2, 3, 9]
    loaded = History.load(path)
    assert loaded.epoch == history.epoch
    assert list(loaded.history) == list(history.history)
    # repr tells floats apart to the last bit, and NaN equals itself.
    assert repr(loaded.history) == repr(history.history)
    loaded.append(10, {"loss": 1})
    assert len(loaded["val_accuracy"]) == 6


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"epoch": [0]}',
        b'{"epoch": 1, "history": {}}',
        b'{"epoch": [], "history": []}',
        b'{"epoch": [0], "history": {"loss": ["high"]}}',
        b"\xff\xfe",
    ],
)
def test_files_that_are_no_history(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "h.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{path} is no history that tercet saved: "):
        History.load(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no history"):
        History.load(tmp_path / "absent.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot save"):
        History().save(tmp_path / "file" / "h.json")


def test_the_file_is_json_that_any_parser_reads(tmp_path: Path) -> None:
    history = History()
    history.append(0, {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.1})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    history.save(tmp_path / "h.json")
    json.loads((tmp_path / "h.json").read_text(), parse_constant=refuse)
    again = History.load(tmp_path / "h.json").history
    assert math.isnan(again["a"][0])
    assert [again[k] for k in "bcd"] == [[math.inf], [-math.inf], [0.1]]

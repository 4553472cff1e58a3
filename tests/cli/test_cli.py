"""The tercet command as a user meets it: processes, exit status, what is printed and written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tercet.backends import usable

from ..models.test_sequence_classifier import rising_or_falling


def tercet(*arguments: str, cwd: Path, backend: str = "numpy") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TERCET_BACKEND": backend, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "tercet.cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
    )


def works(process: subprocess.CompletedProcess[str]) -> str:
    assert process.returncode == 0, process.stderr
    return process.stdout


def fails(process: subprocess.CompletedProcess[str]) -> str:
    """The error: one line, exit status 2, no traceback."""
    assert process.returncode == 2
    lines = process.stderr.splitlines()
    assert len(lines) == 1, process.stderr
    return lines[0]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on the digits."""
    folder = tmp_path_factory.mktemp("cli")
    works(tercet("train", "--epochs", "3", "--out", "runs/d", cwd=folder))
    return folder


@pytest.mark.parametrize("name", usable())
def test_train_with_no_arguments_reaches_097(tmp_path: Path, name: str) -> None:
    out = works(tercet("train", cwd=tmp_path, backend=name))
    assert f"backend {name}" in out
    last = out.splitlines()[-1]
    assert float(last.split("accuracy ")[1].split(",")[0]) >= 0.97
    assert "(450 samples)" in last
    for file in ("model.safetensors", "history.json", "run.json"):
        assert (tmp_path / "runs" / "digits-mlp" / file).is_file()
    history = json.loads((tmp_path / "runs/digits-mlp/history.json").read_text())
    assert len(history["history"]["loss"]) == 20


def test_evaluate_gives_what_train_gave(digits: Path) -> None:
    out = works(tercet("evaluate", "runs/d", cwd=digits))
    trained = works(tercet("train", "--epochs", "3", "--out", "runs/e", cwd=digits))
    assert out.split(" (450")[0] == trained.splitlines()[-1].split(" (450")[0]


def test_predict_from_npy_npz_and_csv(digits: Path) -> None:
    from tercet.data import load_digits

    x, y = load_digits().x_test[:50], load_digits().y_test[:50]
    np.save(digits / "x.npy", x)
    np.savez(digits / "x.npz", x=x)
    np.savetxt(digits / "x.csv", x.reshape(50, -1), delimiter=",", fmt="%.8g")
    outputs = []
    for name in ("x.npy", "x.npz", "x.csv"):
        out = works(tercet("predict", "runs/d", "--data", name, cwd=digits))
        outputs.append(out)
        rows = [line.split(",") for line in out.splitlines()]
        assert rows[0] == ["class", "probability"]
        assert len(rows) == 51
        hits = [int(r[0]) == t for r, t in zip(rows[1:], y, strict=True)]
        assert np.mean(hits) > 0.8
    assert outputs[0] == outputs[1] == outputs[2]
    out = works(tercet("predict", "runs/d", "--data", "x.npy", "--out", "p.csv", cwd=digits))
    assert "50 predictions in p.csv" in out
    assert (digits / "p.csv").read_text() == outputs[0]


def write_table(path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)) * [1, 100, 0.01] + [0, 500, 0]
    z = x[:, 0] + (x[:, 1] - 500) / 100
    y = [f"{v:.6f}" for v in 1000 * z] if kind == "values" else np.where(z > 0, "yes", "no")
    rows = [",".join(map(str, (*row, t))) for row, t in zip(x, y, strict=True)]
    path.write_text("\n".join(["a,b,c,outcome", *rows]))


def test_a_table_of_classes(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", "classes")
    out = works(tercet("train", "--data", "t.csv", "--target", "outcome", "--epochs", "15",
                       "--batch-size", "16", "--out", "r", cwd=tmp_path))  # fmt: skip
    assert float(out.splitlines()[-1].split("accuracy ")[1].split(",")[0]) > 0.9
    out = works(tercet("predict", "r", "--data", "t.csv", cwd=tmp_path))
    assert {line.split(",")[0] for line in out.splitlines()[1:]} == {"yes", "no"}


def test_a_table_of_values(tmp_path: Path) -> None:
    """Targets in the thousands and features of very different sizes need no care."""
    write_table(tmp_path / "t.csv", "values")
    out = works(tercet("train", "--data", "t.csv", "--epochs", "30", "--batch-size", "16",
                       "--out", "r", cwd=tmp_path))  # fmt: skip
    assert float(out.splitlines()[-1].split("r2 ")[1].split(",")[0]) > 0.9
    out = works(tercet("predict", "r", "--data", "t.csv", cwd=tmp_path))
    assert out.splitlines()[0] == "value"


def test_a_table_with_categories(tmp_path: Path) -> None:
    """Text in features; counts to predict, whose logarithm is learned; rows of values unseen."""
    rng = np.random.default_rng(0)
    effect = {"red": 2.0, "green": -1.0, "blue": 0.5, "": 4.0}
    colours = rng.choice(list(effect), size=600)
    hours, x = rng.integers(0, 6, size=600), rng.normal(size=600)
    level = np.array([effect[c] for c in colours]) + np.where(hours % 2, 1.5, 0.0) + 0.3 * x
    rows = [
        f"{c},{h},{v:.5f},{y:.5f}"
        for c, h, v, y in zip(colours, hours, x, np.exp(level), strict=True)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["colour,hour,x,count", *rows]))
    out = works(tercet("train", "--data", "t.csv", "--categorical", "hour", "--log-target",
                       "--hidden", "32", "--epochs", "60", "--out", "r", cwd=tmp_path))  # fmt: skip
    last = out.splitlines()[-1]
    assert float(last.split("r2 ")[1].split(",")[0]) > 0.95
    evaluated = works(tercet("evaluate", "r", cwd=tmp_path))
    assert last.split("; trained")[0] == evaluated.split("; b")[0]
    (tmp_path / "new.csv").write_text("x,colour,hour\n0,red,0\n0,,3\n0,violet,99\n")
    out = works(tercet("predict", "r", "--data", "new.csv", cwd=tmp_path))
    red, missing, unseen = (float(line) for line in out.splitlines()[1:])
    assert abs(np.log(red) - 2.0) < 0.5
    assert abs(np.log(missing) - 5.5) < 0.5
    assert np.isfinite(unseen)


def test_sequences_beside_a_linear_model(tmp_path: Path) -> None:
    x, y = rising_or_falling(np.random.default_rng(0), 400)
    np.savez(tmp_path / "walks.npz", x=x, y=y)
    out = works(tercet("train", "--model", "gru", "--hidden", "16", "--data", "walks.npz",
                       "--epochs", "12", "--out", "r", cwd=tmp_path))  # fmt: skip
    last = out.splitlines()[-1]
    assert float(last.split("accuracy ")[1].split(",")[0]) > 0.9
    assert re.search(r"; a linear model: accuracy [01]\.\d{4}; trained in", last)
    assert (
        last.split("; trained")[0] == works(tercet("evaluate", "r", cwd=tmp_path)).split("; b")[0]
    )


def test_info(tmp_path: Path) -> None:
    out = works(tercet("info", cwd=tmp_path))
    for part in ("tercet 0.1.0", "numpy", "usable", "chosen: numpy (the environment variable",
                 "dense_forward", "reference"):  # fmt: skip
        assert part in out
    if "cupy" not in usable():
        assert re.search(r"^cupy   not usable: .+$", out, re.MULTILINE)
    if "numba" in usable():
        assert re.search(r"threads of the numba loops: \d+ \(the .+\)", out)


WRONG = {
    "column": (["train", "--data", "t.csv", "--categorical", "d"], "unknown column 'd'"),
    "logarithm": (["train", "--log-target"], "needs values, found classes"),
    "data set": (["train", "--data", "digit"], "Did you mean 'digits'"),
    "missing file": (["train", "--data", "none.csv"], "No such file"),
    "target": (["train", "--data", "t.csv", "--target", "outcom"], "Did you mean 'outcome'"),
    "no column": (["train", "--target", "x"], "only a .csv file has a column to predict"),
    "no folder": (["train", "--data-path", "x"], "belongs to mnist and fashion-mnist"),
    "empty file": (["train", "--data", "empty.csv"], "is empty"),
    "NaN": (["train", "--data", "nan.csv"], "line 3, column 'b': the value is 'nan'"),
    "text": (["train", "--data", "text.csv"], "line 2, column 'a': the value is 'x'"),
    "labels": (["train", "--data", "labels.npz"], "must not be negative"),
    "activation": (["train", "--activation", "rellu"], "Did you mean 'relu'"),
    "backend": (["train", "--backend", "torch"], "invalid choice: 'torch'"),
    "unusable": (["train", "--backend", "cupy"], "the cupy backend cannot be used here"),
    "epochs": (["train", "--epochs", "0"], "expected an integer >= 1, found '0'"),
    "lr": (["train", "--lr", "fast"], "expected a number > 0, found 'fast'"),
    "hidden": (["train", "--hidden", "64,x"], "expected positive integers separated by commas"),
    "other model's": (
        ["train", "--model", "gru", "--activation", "relu"],
        "--activation means nothing to --model gru; it is for: mlp",
    ),
    "inputs": (["train", "--model", "lstm", "--data", "t.csv"],
               "--model lstm takes sequences (n, length, features); t.csv has inputs (n, 3)"),
    "option": (["train", "--epoch-count", "3"], "unrecognized arguments"),
    "no command": ([], "command"),
    "no run": (["evaluate", "nowhere"], "is no run: there is no run.json"),
    "truncated": (["evaluate", "broken"], "is no readable safetensors file"),
    "shape": (["predict", "runs/d", "--data", "bad.npy"], "takes inputs of shape (n, 8, 8)"),
    "kind": (["predict", "runs/d", "--data", "x.txt"], "expected a .csv, .npz or .npy file"),
    "diverged": (["train", "--lr", "1e20", "--optimizer", "sgd"], "the loss became nan in epoch 1"),
    "unwritable": (["train", "--epochs", "1", "--out", "t.csv/x"], "cannot save"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_gives_one_line_and_status_2(digits: Path, name: str) -> None:
    arguments, text = WRONG[name]
    if name == "unusable" and "cupy" in usable():
        arguments, text = ["predict", "runs/d", "--data", "none.npy"], "No such file"
    write_table(digits / "t.csv", "classes")
    (digits / "empty.csv").write_text("")
    (digits / "nan.csv").write_text("a,b,y\n1,2,0\n1,nan,1\n")
    (digits / "text.csv").write_text("a,b,y\nx,2,0\n1,3,1\n")
    np.savez(digits / "labels.npz", x=np.zeros((9, 2)), y=np.full(9, -1))
    np.save(digits / "bad.npy", np.zeros((3, 5)))
    (digits / "broken").mkdir(exist_ok=True)
    content = (digits / "runs/d/model.safetensors").read_bytes()
    (digits / "broken/model.safetensors").write_bytes(content[: len(content) // 2])
    (digits / "broken/run.json").write_text((digits / "runs/d/run.json").read_text())
    assert text in fails(tercet(*arguments, cwd=digits))


def test_an_unknown_backend_in_the_environment(tmp_path: Path) -> None:
    assert "TERCET_BACKEND: unknown backend 'nunpy'" in fails(
        tercet("train", cwd=tmp_path, backend="nunpy")
    )


@pytest.mark.skipif("numba" not in usable(), reason="needs Numba")
def test_a_wrong_number_of_threads_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERCET_NUM_THREADS", "two")
    for command in ("train", "info", "warmup"):
        line = fails(tercet(command, cwd=tmp_path, backend="numba"))
        assert f"tercet {command}: the environment variable TERCET_NUM_THREADS" in line
        assert "expected an integer >= 1, found 'two'" in line


def test_what_was_saved_survives_a_failed_training(digits: Path) -> None:
    before = (digits / "runs/d/model.safetensors").read_bytes()
    fails(tercet("train", "--lr", "1e20", "--optimizer", "sgd", "--out", "runs/d", cwd=digits))
    assert (digits / "runs/d/model.safetensors").read_bytes() == before


def test_a_write_that_fails_leaves_what_was_saved(digits: Path) -> None:
    """The system refuses to write more than 10 kB, as it does on a full disk."""
    resource = pytest.importorskip("resource")
    command = [sys.executable, "-m", "tercet.cli.main", "train", "--epochs", "1", "--out", "runs/d"]
    before = {p.name: p.read_bytes() for p in (digits / "runs/d").iterdir()}
    process = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=digits,
        env=os.environ | {"TERCET_BACKEND": "numpy"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )
    error = fails(process)
    assert "cannot save runs/d/model.safetensors: File too large" in error
    assert "What was there before is unchanged" in error
    assert {p.name: p.read_bytes() for p in (digits / "runs/d").iterdir()} == before


def test_bench_measures_writes_and_reads(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("<!-- bench: begin -->\n<!-- bench: end -->\n")
    arguments = ["--steps", "tiny", "--rounds", "1", "--seconds", "0.001", "--threads", "1"]
    written = ["--out", "new/r.json", "--report", "r.html", "--markdown", "page.md"]
    out = works(tercet("bench", *arguments, *written, cwd=tmp_path))
    for name in ("tercet numpy", "hand-written NumPy", "sgemm, 1 thread", "training 10-64-32-2"):
        assert name in out
    assert (tmp_path / "new/r-tiny.svg").read_text().startswith("<svg")
    assert "hand-written NumPy" in (tmp_path / "r.html").read_text()
    assert "| hand-written NumPy |" in (tmp_path / "page.md").read_text()
    assert works(tercet("bench", "--read", "new/r.json", cwd=tmp_path)) == out


@pytest.mark.parametrize(
    ("arguments", "essentials"),
    [
        (["--steps", "tinny"], "unknown step 'tinny'"),
        (["--peers", "pytorch"], "unknown peer 'pytorch'"),
        (["--backends", "numpi"], "unknown backend 'numpi'"),
        (["--threads", "0"], "expected an integer >= 1, found '0'"),
        (["--read", "none.json"], "No such file"),
        (["--read", "other.json"], "other.json is not a result of tercet bench"),
    ],
)
def test_bench_says_what_is_wrong(tmp_path: Path, arguments: list[str], essentials: str) -> None:
    (tmp_path / "other.json").write_text("{}")
    assert essentials in fails(tercet("bench", *arguments, cwd=tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bfloat16",), "the numpy backend computes in float32 and float64; bfloat16 needs"),
        (("tf32",), "the numpy backend computes in float32 and float64; tf32 needs an NVIDIA GPU"),
        (("float16", "--dtype", "float64"), "float16 is for float32 parameters, found float64"),
    ],
)
def test_precisions_that_cannot_be_had_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in fails(tercet("train", "--precision", *arguments, cwd=tmp_path))
    assert not list(tmp_path.iterdir())

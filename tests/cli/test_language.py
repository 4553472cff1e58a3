"""Language models on the command line: train, evaluate, generate, and what is refused."""

import json
import re
from pathlib import Path

import pytest
from tercet.backends import usable

from .test_cli import fails, tercet, works

SMALL = ("--context", "16", "--width", "16", "--heads", "2", "--layers", "1", "--lr", "1e-2")
TEXT = "one two three four five six seven eight nine ten, and once more:\n" * 60


def train(folder: Path, *options: str, backend: str = "numpy") -> str:
    arguments = ("--model", "gpt", "--data", "t.txt", *SMALL, "--out", "r", *options)
    return works(tercet("train", *arguments, cwd=folder, backend=backend))


def nats(line: str) -> float:
    return float(line.split("held-out ")[1].split(" nats")[0])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a run on it."""
    folder = tmp_path_factory.mktemp("language")
    (folder / "t.txt").write_text(TEXT)
    train(folder, "--epochs", "12")
    return folder


@pytest.mark.parametrize("name", usable())
def test_train_evaluate_and_generate(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.txt").write_text(TEXT)
    lines = train(tmp_path, "--epochs", "12", backend=name).splitlines()
    assert f"on t.txt ({len(TEXT) * 9 // 10:,} characters, {len(set(TEXT))} kinds)" in lines[0]
    assert lines[0].endswith(f"steps, backend {name}")
    assert re.match(r"epoch  1/12  loss \d\.\d{4}  held-out \d\.\d{4}  [\d,]+ tokens/s", lines[1])
    assert len(lines) == 14
    assert nats(lines[-1]) < 1.0
    assert re.search(r"\(390 characters\); a 5-gram model: \d\.\d{4}; trained in", lines[-1])
    history = json.loads((tmp_path / "r/history.json").read_text())["history"]
    assert len(history["loss"]) == len(history["val_loss"]) == 12
    out = works(tercet("evaluate", "r", cwd=tmp_path, backend=name))
    assert out.split(";")[:2] == lines[-1].split(";")[:2]
    out = works(tercet("generate", "r", "--prompt", "one t", "--length", "40", cwd=tmp_path,
                       backend=name))  # fmt: skip
    assert out.startswith("one t")
    assert len(out) == 46


def test_generate_is_repeatable_and_follows_its_options(run: Path) -> None:
    def generate(*options: str) -> str:
        return works(tercet("generate", "r", "--length", "30", *options, cwd=run))

    assert generate() == generate()
    assert generate("--temperature", "2") != generate("--temperature", "2", "--seed", "1")
    likeliest = generate("--temperature", "0")
    assert generate("--top-k", "1") == generate("--top-p", "1e-9") == likeliest


def test_steps_and_minutes_end_the_training(run: Path) -> None:
    out = train(run, "--steps", "20", "--out", "s")
    assert "20 steps" in out
    out = train(run, "--epochs", "100000", "--minutes", "0.02", "--out", "m")
    assert 1.2 <= float(re.search(r"trained in ([\d.]+) s", out)[1]) < 30.0  # type: ignore[index]
    assert train(run, "--steps", "3", "--quiet", "--out", "q").count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "essentials"),
    [
        (("--data", "none.txt"), "there is no file none.txt"),
        (("--data", "latin.txt"), "latin.txt is no UTF-8 text: byte 0"),
        (("--data", "short.txt"), "a text of at least 17, found 16; give more text, or a shorter"),
        (("--context", "391"), "a window of 391 tokens and the one that follows needs a text"),
        (("--width", "15"), "--width must be a multiple of --heads, found 15 and 2"),
        (("--width", "0"), "expected an integer >= 1, found '0'"),
        (("--hidden", "4"), "--hidden means nothing to --model gpt"),
        (("--data-path", "x"), "--data-path means nothing to --model gpt"),
        (("--categorical", "a"), "--categorical means nothing to --model gpt; it is for: mlp, cnn"),
        (("--log-target",), "--log-target means nothing to --model gpt"),
        (("--steps", "3", "--epochs", "2"), "argument --epochs: not allowed with argument --steps"),
        (("--minutes", "0"), "expected a number > 0, found '0'"),
        (("--test-fraction", "0.0001"), "too few to hold out"),
    ],
)
def test_train_says_what_is_wrong(run: Path, arguments: tuple[str, ...], essentials: str) -> None:
    (run / "latin.txt").write_bytes(b"\xfcber")
    (run / "short.txt").write_text("a text of 18 chars")
    before = sorted(run.iterdir())
    line = fails(tercet("train", "--model", "gpt", "--data", "t.txt", *SMALL, "--out", "w",
                        *arguments, cwd=run))  # fmt: skip
    assert essentials in line
    assert sorted(run.iterdir()) == before


@pytest.mark.parametrize("option", ["context", "width", "heads", "steps", "minutes"])
def test_what_other_models_do_not_take(tmp_path: Path, option: str) -> None:
    line = fails(tercet("train", f"--{option}", "2", cwd=tmp_path))
    assert f"--{option} means nothing to --model mlp; it is for: gpt" in line


@pytest.mark.parametrize(
    ("arguments", "essentials"),
    [
        (("generate", "none"), "none is no run"),
        (("generate", "r", "--prompt", "one ~"), "the character '~' at place 4 is not in the voc"),
        (("generate", "r", "--prompt", "one two three four"), "1 to 16 tokens, its context"),
        (("generate", "r", "--prompt", ""), "found shape (0,)"),
        (("generate", "r", "--temperature", "-1"), "expected a number >= 0, found '-1'"),
        (("generate", "r", "--top-k", "0"), "expected an integer >= 1, found '0'"),
        (("generate", "r", "--top-p", "1.5"), "top_p is in (0, 1], found 1.5"),
        (("generate", "r", "--length", "0"), "expected an integer >= 1, found '0'"),
        (("predict", "r", "--data", "t.txt"), "r holds a language model: use tercet generate"),
        (("evaluate", "r", "--data-path", "other.txt"), "the character '?' at place 5 is not in"),
    ],
)
def test_others_say_what_is_wrong(run: Path, arguments: tuple[str, ...], essentials: str) -> None:
    (run / "other.txt").write_text("one t?")
    assert essentials in fails(tercet(*arguments, cwd=run))


def test_generate_needs_a_language_model(tmp_path: Path) -> None:
    works(tercet("train", "--epochs", "1", "--out", "d", cwd=tmp_path))
    line = fails(tercet("generate", "d", cwd=tmp_path))
    assert "d holds no language model; train one with tercet train --model gpt" in line

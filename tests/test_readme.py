"""The README: its Python runs as it stands, and its two lines are those that CI calls."""

import re
from pathlib import Path

import pytest
from tercet.backends import Backend

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_python_in_it_runs(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, "README.md", "exec"), scope)
    assert (tmp_path / "m.safetensors").is_file()


def test_its_test_line_is_what_ci_runs() -> None:
    lines = [line.strip() for line in README.splitlines() if line.startswith("    python3 -m venv")]
    assert len(lines) == 2
    assert lines[1] in (ROOT / ".ci" / "run").read_text()


def test_the_files_that_it_names_exist() -> None:
    for name in re.findall(r"^    (\w+/)", README, re.MULTILINE):
        assert (ROOT / name).is_dir(), name

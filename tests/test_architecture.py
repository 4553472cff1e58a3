"""The order of dependence, the package list, docstrings' examples, and what an import costs."""

import ast
import doctest
import importlib
import os
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tercet

ROOT = Path(__file__).parent.parent
ORDER = [
    "kernels",
    "backends",
    "autograd",
    "layers",
    "training",
    "models",
    "interop",
    "bench",
    "cli",
]
# `data` stands beside `autograd`: it knows nothing above `backends`, and training may use it.
ALLOWED = {name: set(ORDER[: i + 1]) | {"errors"} for i, name in enumerate(ORDER)}
ALLOWED["data"] = {"data", "backends", "kernels", "errors"}
for _upper in ("training", "models", "bench", "cli"):
    ALLOWED[_upper] |= {"data"}
FOLDERS = [name for name in ALLOWED if (ROOT / name).is_dir()]
MODULES = [tercet.__name__, *(m.name for m in pkgutil.walk_packages(tercet.__path__, "tercet."))]


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> list[tuple[str, int]]:
    """Absolute names of what a file of the package imports, with lines."""
    package = ["tercet", *path.relative_to(ROOT).parts[:-1]]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(a.name, node.lineno) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            found += [(f"{stem}.{a.name}", node.lineno) for a in node.names]
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_dependence_runs_one_way(folder: str) -> None:
    for path in sources(folder):
        for name, line in imports(path):
            parts = name.split(".")
            if parts[0] == "tercet" and len(parts) > 1 and parts[1] in ALLOWED:
                assert parts[1] in ALLOWED[folder], f"{path}:{line} imports {name}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_numba_and_cupy_stay_with_backends_and_kernels(folder: str) -> None:
    for path in sources(folder):
        for name, line in imports(path):
            if name.split(".")[0] in ("numba", "llvmlite", "cupy", "cupyx"):
                assert folder in ("backends", "kernels", "bench"), f"{path}:{line} imports {name}"


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f not in ("backends", "kernels", "cli")])
def test_nobody_asks_which_backend_it_is(folder: str) -> None:
    for path in sources(folder):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                text = ast.unparse(node)
                for name in ("'numpy'", "'numba'", "'cupy'", "xp is", "backend.name"):
                    assert name not in text, f"{path}:{node.lineno} compares {text}"


def test_every_package_is_listed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = ["tercet"]
    for folder in FOLDERS:
        for init in (ROOT / folder).rglob("__init__.py"):
            found.append("tercet." + ".".join(init.parent.relative_to(ROOT).parts))
    assert sorted(listed) == sorted(found)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    if name.startswith("tercet.kernels.numba_") or name.endswith(
        (".loops", ".cuda", "cupy_backend")
    ):
        pytest.importorskip("numba")
    module = importlib.import_module(name)
    with tercet.use_backend("numpy"):
        tercet.seed(0)
        result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert not result.failed


def run(code: str, **environment: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env=os.environ | environment,
    )
    return process.stdout.strip()


def test_import_is_light() -> None:
    loaded = run("import sys, tercet; print([m for m in ('numba', 'cupy', 'rich', 'safetensors', "
                 "'torch', 'ml_dtypes') if m in sys.modules])")  # fmt: skip
    assert loaded == "[]"


def test_import_is_quick(tmp_path: Path) -> None:
    """0.1 s over NumPy's own import, threefold for noise; the best of five: others' work adds.

    Bytecode is kept, as pip keeps it: where an environment forbids that, to compile the sources
    would take twice as long as all else.
    """
    code = (
        "import time, numpy; t = time.perf_counter(); import tercet; print(time.perf_counter() - t)"
    )
    kept = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    assert min(float(run(code, **kept)) for _ in range(5)) < 0.3


def test_py_typed_is_installed() -> None:
    assert (Path(tercet.__file__).parent / "py.typed").is_file()

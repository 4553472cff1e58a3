"""The tables that a result becomes."""

import re
from pathlib import Path

import pytest
from tercet.bench.document import BEGIN, END, fill
from tercet.bench.tables import advice, html, markdown, sweep_changes, tables, terminal
from tercet.errors import DataError

from .results import results

TABLES = {table.title: table for table in tables(results())}
STEP = TABLES["training 784-256-128-10 relu, batch 32"]


def column(name: str) -> dict[str, str]:
    at = list(STEP.columns).index(name)
    return {row[0]: row[at] for row in STEP.rows}


def test_the_fastest_comes_first_and_ratios_are_to_tercets_fastest() -> None:
    assert STEP.rows[0][0] == "torch"
    assert column("ratio") == {
        "torch": "0.50", "tercet numba": "1.00", "hand-written NumPy": "1.00",
        "tercet numpy": "2.00",
    }  # fmt: skip


def test_rates_and_their_shares() -> None:
    # 2 n k m three times, the first layer's gradient by its input left out; in 1 ms.
    flops = 2 * 32 * (2 * 784 * 256 + 3 * (256 * 128 + 128 * 10))
    rate = flops / 1e-3
    assert column("GFLOP/s")["tercet numba"] == f"{rate / 1e9:.3g} ({rate / 2e11 * 100:.0f} %)"


def test_memory_is_the_growth_over_the_imports() -> None:
    assert column("memory")["torch"] == "12 MiB"
    assert column("peak")["torch"] == "42 MiB"


def test_who_was_left_out_is_said() -> None:
    assert "Thinc: left out, not <this> model & more" in STEP.notes


def test_the_numpy_backend_over_numpy_by_hand() -> None:
    table = TABLES["The NumPy backend, over the same written by hand in NumPy"]
    assert [row[1] for row in table.rows] == ["2.00"]


def test_a_sweep_says_where_the_fastest_changes() -> None:
    [change] = sweep_changes(results()["sweeps"][0])
    assert (change.before, change.after) == ("tercet numpy", "tercet numba")
    assert advice(results()["sweeps"][0]) == (
        f"tercet numpy is the fastest of tercet's, tercet numba from batch size {change.x:.3g} on"
    )


def test_a_kernels_share_is_the_larger_one() -> None:
    [row] = TABLES["Kernels"].rows
    assert row[2:6] == ["1 ms", "1", "100", "50 %"]
    assert row[6:] == ["500 us", "2", "200", "100 %"]


@pytest.mark.parametrize("title", TABLES)
def test_every_row_has_every_column(title: str) -> None:
    table = TABLES[title]
    assert all(len(row) == len(table.columns) for row in table.rows)
    lines = [line for line in markdown(table).splitlines() if line.startswith("|")]
    assert len(lines) == len(table.rows) + 2
    assert {line.count("|") for line in lines} == {len(table.columns) + 1}
    assert html(table).count("<tr>") == len(table.rows) + 1
    assert terminal(table).row_count == len(table.rows)


def test_html_escapes() -> None:
    assert "not &lt;this&gt; model &amp; more" in html(STEP)


def test_tables_go_between_the_markers(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    fill(path, results())
    text = path.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert len(re.findall(r"^### ", text, re.MULTILINE)) == len(TABLES)
    fill(path, results())
    assert path.read_text() == text


def test_a_file_without_markers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"{BEGIN}\nno end")
    with pytest.raises(DataError, match="expected the lines"):
        fill(path, results())
    assert path.read_text() == f"{BEGIN}\nno end"

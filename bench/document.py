"""Puts a result's tables into a Markdown file, between two markers that the file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DataError
from .report import setting
from .tables import markdown, tables

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def fill(path: Path, results: dict[str, Any]) -> None:
    """Replace what stands between the markers of the file."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DataError(f"{path}: expected the lines {BEGIN} and {END}, between which tables go")
    body = "\n".join([setting(results), "", *(markdown(table) for table in tables(results))])
    path.write_text(f"{before}{BEGIN}\n{body}{END}{after}")

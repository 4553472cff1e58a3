"""The page: complete, whole, and alone."""

import re
from html.parser import HTMLParser
from pathlib import Path

from tercet.bench.report import page, plots, write_plots
from tercet.bench.tables import tables

from .results import results


class Balance(HTMLParser):
    """Checks that every tag that opens is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "xlink:href"}
        if tag != "meta":  # which HTML never closes
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_alone() -> None:
    text = page(results())
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert parser.seen.count("table") == len(tables(results()))
    assert parser.seen.count("svg") == len(plots(results())) == 2
    assert set(re.findall(r"https?:[^\"]*", text)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in text
    assert "@import" not in text
    assert text.count("prefers-color-scheme:dark") == 2


def test_what_comes_from_the_machine_is_escaped() -> None:
    assert "a &lt;cpu&gt;" in page(results())
    assert "<cpu>" not in page(results())


def test_plots_are_written_beside_the_result(tmp_path: Path) -> None:
    write_plots(results(), tmp_path, "day")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["day-by-batch.svg", "day-mlp-32.svg"]

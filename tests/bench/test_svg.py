"""The charts: well-formed, inside their frame, and showing what they were given."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest
from tercet.bench.svg import (
    STYLE,
    Axis,
    Dot,
    Line,
    Mark,
    dot_chart,
    line_chart,
    spread_out,
    standalone,
    ticks,
)

SPACE = "{http://www.w3.org/2000/svg}"
VALUES = (1, 4, 16)
LINES = [
    Line("a <b> & c", list(zip(VALUES, (1e-5, 2e-5, 9e-5), strict=True))),
    Line("second", list(zip(VALUES, (3e-5, 3e-5, 3e-5), strict=True))),
    Line("third", list(zip(VALUES, (4e-5, 4e-5, 3.1e-5), strict=True))),
]
DOTS = [Dot("tercet numba", 1e-5, 0.9e-5, 2e-5, "10 us"), Dot("torch", 1e-3, 1e-3, 1e-3, "1 ms")]
CHARTS = {
    "lines": line_chart("Lines", "batch size", VALUES, LINES, [Mark(7.0, 3e-5, "here & there")]),
    "dots": dot_chart("Dots", DOTS),
}


@pytest.mark.parametrize("name", CHARTS)
def test_everything_lies_inside_the_frame(name: str) -> None:
    root = ElementTree.fromstring(CHARTS[name])
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter():
        for key, value in element.attrib.items():
            if key in ("x", "x1", "x2", "cx"):
                assert 0 <= float(value) <= width, element.attrib
            elif key in ("y", "y1", "y2", "cy"):
                assert 0 <= float(value) <= height, element.attrib
        for point in element.attrib.get("points", "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_lines_and_their_names() -> None:
    root = ElementTree.fromstring(CHARTS["lines"])
    assert len(root.findall(f"{SPACE}polyline")) == len(LINES)
    texts = [t.text for t in root.iter(f"{SPACE}text")]
    for line in LINES:
        assert line.name in texts
    assert {"1", "4", "16", "batch size", "7"} <= set(texts)
    assert "here & there" in [t.text for t in root.iter(f"{SPACE}title")]


def test_higher_times_lie_higher_and_later_values_to_the_right() -> None:
    root = ElementTree.fromstring(CHARTS["lines"])
    first = root.findall(f"{SPACE}polyline")[0].attrib["points"].split()
    points = [tuple(map(float, p.split(","))) for p in first]
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(points))


def test_names_of_lines_that_end_together_stand_apart() -> None:
    together = [Line(f"line {i}", [(1, 1e-3), (2, 1e-3)]) for i in range(9)]
    root = ElementTree.fromstring(line_chart("t", "x", (1, 2), together, []))
    heights = sorted(
        float(t.attrib["y"]) for t in root.iter(f"{SPACE}text") if (t.text or "").startswith("line")
    )
    assert len(heights) == 9
    assert min(np.diff(heights)) >= 15.9


def test_dots_stand_in_their_rows_with_their_text() -> None:
    root = ElementTree.fromstring(CHARTS["dots"])
    a, b = root.findall(f"{SPACE}circle")
    assert float(a.attrib["cx"]) < float(b.attrib["cx"])
    assert float(a.attrib["cy"]) < float(b.attrib["cy"])
    assert {"10 us", "1 ms", "torch"} <= {t.text for t in root.iter(f"{SPACE}text")}


@pytest.mark.parametrize("name", CHARTS)
def test_a_file_brings_its_style_and_nothing_from_outside(name: str) -> None:
    text = standalone(CHARTS[name])
    ElementTree.fromstring(text)
    assert STYLE in text
    assert "prefers-color-scheme:dark" in text
    assert re.findall(r"https?:[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    for css in re.findall(r'class="([^"]*)"', text):
        for one in css.split():
            assert f".{one}" in STYLE


def test_an_axis_is_logarithmic() -> None:
    axis = Axis(1, 100, 0, 50)
    assert [axis(1), axis(10), axis(100)] == pytest.approx([0, 25, 50])


@pytest.mark.parametrize(("low", "high"), [(1e-6, 3e-6), (2e-5, 7e-2), (1, 1000), (0.5, 2)])
def test_ticks_lie_within(low: float, high: float) -> None:
    found = ticks(low, high)
    assert found == sorted(found)
    assert all(low * 0.999 <= t <= high * 1.001 for t in found)
    assert len(found) >= 1


def test_positions_keep_their_order_and_gap(rng: np.random.Generator) -> None:
    for _ in range(50):
        given = list(rng.uniform(0, 100, size=8))
        found = spread_out(given, 10, 0, 100)
        assert np.argsort(found).tolist() == np.argsort(given).tolist()
        assert np.diff(sorted(found)).min() >= 10 - 1e-9
        assert 0 <= min(found) <= max(found) <= 100

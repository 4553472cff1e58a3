"""The picture of a model's graph: which boxes there are, from which they take, that it is SVG."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import ShapeError
from tercet.layers import Dense, Dropout, Embedding, Flatten, Parallel, Residual
from tercet.models import Sequential
from tercet.models.picture import Box, graph, svg


def edges(boxes: list[Box]) -> dict[str, list[str]]:
    return {box.title: [s.title for s in box.sources] for box in boxes}


def test_a_residual_and_branches(backend: Backend) -> None:
    body = [Dense(4, activation="relu"), Dropout(0.1), Dense(6)]
    model = Sequential(
        Flatten(), Dense(6), Residual(body, activation="relu"), Parallel([Dense(2), Dense(3)])
    )
    boxes = graph(model, (2, 3))
    assert edges(boxes) == {
        "input": [],
        "0: Flatten": ["input"],
        "1: Dense": ["0: Flatten"],
        "2.body.0: Dense": ["1: Dense"],
        "2.body.2: Dense": ["2.body.0: Dense"],
        "add": ["1: Dense", "2.body.2: Dense"],
        "relu": ["add"],
        "3.branches.0: Dense": ["relu"],
        "3.branches.1: Dense": ["relu"],
        "Concatenate": ["3.branches.0: Dense", "3.branches.1: Dense"],
        "output": ["Concatenate"],
    }
    shapes = {box.title: (box.shape, box.parameters) for box in boxes}
    assert shapes["2.body.0: Dense"] == ((4,), 28)
    assert shapes["output"] == ((5,), None)


def test_numbers_as_input(backend: Backend) -> None:
    model = Sequential(Embedding(9, 4), Flatten(), Dense(2))
    assert edges(graph(model, (3,)))["0: Embedding"] == ["input"]
    assert model.training


def test_a_model_of_ones_own(backend: Backend) -> None:
    class Own(tc.models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = Dense(3), Dense(3)

        def forward(self, x: tc.Tensor) -> tc.Tensor:
            return self.a(x) * tc.sigmoid(self.b(x)) + x

    found = edges(graph(Own(), (3,)))
    assert found["multiply"] == ["a: Dense", "sigmoid"]
    assert found["add"] == ["multiply", "input"]


def test_the_file(backend: Backend, tmp_path: Path) -> None:
    model = Sequential(Dense(4, activation="relu"), Residual([Dense(4), Dense(4)]), Dense(2))
    with pytest.raises(ShapeError, match=r"call model\.picture\(path, input_shape\)"):
        model.picture(tmp_path / "m.svg")
    model.picture(tmp_path / "m.svg", (3,))
    root = ElementTree.parse(tmp_path / "m.svg").getroot()
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "1.body.0: Dense" in texts
    assert "(n, 4) · 20 parameters" in texts
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    left = float(root.attrib["viewBox"].split()[0])
    boxes = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    assert len(boxes) == 7
    for box in boxes:  # inside the picture
        x, y, w, h = (float(box.attrib[k]) for k in ("x", "y", "width", "height"))
        assert left < x < x + w < left + width
        assert 0 < y < y + h < height
    assert svg(graph(model, (3,))) == (tmp_path / "m.svg").read_text()

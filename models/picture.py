"""A picture of a model: its layers as boxes with shapes and parameters, data flowing downwards.

The graph is the tape of one run on a sample of zeros: the nodes that a layer made are its box, and
what the model computes between layers, such as the sum of a residual connection, has small boxes of
its own. Layers that do nothing outside training are left out. Boxes lie in rows by the longest way
from the input, and within a row below what they take from (the barycentres of Sugiyama et al.,
"Methods for visual understanding of hierarchical system structures", 1981).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from ..autograd import Tensor, is_float, tensor
from ..autograd.tape import Node, now
from ..layers import Module, Parameter
from .model import Model

WIDTH, HEIGHT, GAP, MARGIN, LANE = 190, 46, 30, 20, 4
# Nodes that only look at the same numbers in another way.
UNSEEN = ("Reshape", "Transpose", "Expand", "Cast", "Watch")
STYLE = (
    "text{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1f2328;"
    "text-anchor:middle}.m{fill:#59636e;font-size:11px}rect{fill:#f6f8fa;stroke:#59636e}"
    ".o rect{fill:#fff;stroke-dasharray:3 3}path{fill:none;stroke:#59636e}"
    "@media (prefers-color-scheme:dark){svg{background:#14181d}text{fill:#e6e9ec}.m{fill:#9aa4af}"
    "rect{fill:#1e242b;stroke:#9aa4af}.o rect{fill:#14181d}path{stroke:#9aa4af}}"
)


@dataclass(eq=False)
class Box:
    """One box: what it is, what comes out of it, and which boxes it takes from."""

    title: str
    shape: tuple[int, ...] = ()
    parameters: int | None = None
    sources: list[Box] = field(default_factory=list)
    row: int = 0
    place: float = 0.0
    width: int = WIDTH

    def take(self, source: Box | None) -> None:
        if source is not None and source is not self and source not in self.sources:
            self.sources.append(source)


def graph(model: Model, input_shape: Sequence[int]) -> list[Box]:
    """The boxes of a model for samples of a shape, the input first."""
    training = model.training
    model.eval()
    sample = model._sample(input_shape)
    x = tensor(sample, model.dtype if is_float(sample.dtype) else None, model.backend)
    x.requires_grad = is_float(x.dtype)
    first = Box("input", x.shape[1:])
    owners: dict[Node, Box] = {}
    calls: dict[int, Box] = {}  # boxes of outputs that no node made
    names = {id(module): name for name, module in model.named_modules()}
    began: list[int] = []

    def source_of(t: Any) -> Box | None:
        if not isinstance(t, Tensor):
            return None
        if t.node is not None:
            return _box_of(t.node, owners, first)
        return first if t is x else calls.get(id(t))

    def before(module: Module, inputs: tuple[Any, ...]) -> None:
        began.append(now())

    def after(module: Module, inputs: tuple[Any, ...], out: Any) -> None:
        start = began.pop()
        outs = [t for t in (out if isinstance(out, tuple) else (out,)) if isinstance(t, Tensor)]
        if not outs:
            return
        kind = type(module).__name__
        box = Box(
            f"{names[id(module)]}: {kind}" if names[id(module)] else kind,
            outs[0].shape[1:],
            sum(p.size for p in module._parameters.values()),
        )
        for t in inputs:
            box.take(source_of(t))
        stack = [t.node for t in outs if t.node is not None and t.node.order > start]
        while stack:
            node = stack.pop()
            if node in owners:
                continue
            owners[node] = box
            for parent in node.parents:
                if parent is not None and parent.node is not None:
                    if parent.node.order > start:
                        stack.append(parent.node)
                    else:
                        box.take(_box_of(parent.node, owners, first))
        for t in outs:
            calls[id(t)] = box
            kept.append(t)

    kept: list[Tensor] = []  # so that an id stays one tensor's
    leaves = [module for module in model.modules() if not module._modules]
    removers = [m.register_forward_pre_hook(before) for m in leaves]
    removers += [m.register_forward_hook(after) for m in leaves]
    try:
        out = model(x)
    finally:
        for remove in removers:
            remove()
        model.train(training)
    last = Box("output", out.shape[1:])
    last.take(source_of(out))
    return _reached(last, first)


def _box_of(node: Node, owners: dict[Node, Box], first: Box) -> Box | None:
    """The box of a node: its layer's, its own, or that of what it only looks at."""
    if node in owners:
        return owners[node]
    name = node.function.__name__
    # What it saves says more where one function has many kinds.
    box = Box(next((v for v in node.saved if isinstance(v, str)), name))
    for parent in node.parents:
        if parent is None:
            continue
        if parent.node is None:
            box.take(first if parent.requires_grad and not isinstance(parent, Parameter) else None)
        else:
            box.take(_box_of(parent.node, owners, first))
    if name in UNSEEN and len(box.sources) == 1:
        box = box.sources[0]
    owners[node] = box
    return box


def _reached(last: Box, first: Box) -> list[Box]:
    """All boxes that `last` takes from, in an order in which each follows its sources."""
    ordered: list[Box] = []

    def visit(box: Box) -> None:
        if box in ordered:
            return
        for source in box.sources:
            visit(source)
        ordered.append(box)

    visit(first)
    visit(last)
    return ordered


def svg(boxes: list[Box]) -> str:
    """The picture, as the text of an SVG file."""
    rows = _rows(boxes)
    left = min(box.place - box.width / 2 for row in rows for box in row) - MARGIN
    right = max(box.place + box.width / 2 for row in rows for box in row) + MARGIN
    width, height = right - left, len(rows) * (HEIGHT + GAP) - GAP + 2 * MARGIN
    lines = [_line(source, box) for row in rows for box in row for source in box.sources]
    drawn = [_drawn(box) for row in rows for box in row if box.width == WIDTH]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{left:.0f} 0 {width:.0f} {height:.0f}"><style>{STYLE}</style>'
        '<marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8"/></marker>'
    )
    return head + "".join(lines) + "".join(drawn) + "</svg>\n"


def _rows(boxes: list[Box]) -> list[list[Box]]:
    """The boxes by rows, with places; a line over several rows has a lane in each of them."""
    rows: list[list[Box]] = []
    for box in boxes:
        box.row = max((s.row + 1 for s in box.sources), default=0)
        while len(rows) <= box.row:
            rows.append([])
        for i, source in enumerate(box.sources):
            for between in range(source.row + 1, box.row):
                lane = Box("", sources=[source], row=between, width=LANE)
                rows[between].append(lane)
                source = lane
            box.sources[i] = source
        rows[box.row].append(box)
    for row in rows:
        for box in row:
            box.place = float(np.mean([s.place for s in box.sources])) if box.sources else 0.0
        row.sort(key=lambda box: box.place)
        middle = float(np.mean([box.place for box in row]))
        at = middle - (sum(box.width for box in row) + GAP * (len(row) - 1)) / 2
        for box in row:
            box.place = at + box.width / 2
            at += box.width + GAP
    return rows


def _top(box: Box) -> float:
    return MARGIN + box.row * (HEIGHT + GAP)


def _line(source: Box, box: Box) -> str:
    """From a box, or on along its lane, to the next row; a lane goes straight through its row."""
    y0, y1 = _top(source) + HEIGHT, _top(box)
    path = f"M{source.place:.0f} {y0:.0f}L{box.place:.0f} {y1:.0f}"
    if box.width == LANE:
        return f'<path d="{path}v{HEIGHT}"/>'
    return f'<path d="{path}" marker-end="url(#a)"/>'


def _drawn(box: Box) -> str:
    x, y = box.place, _top(box)
    small = box.parameters is None and box.title not in ("input", "output")
    below = f"(n, {', '.join(map(str, box.shape))})" if box.shape else "(n,)"
    if box.parameters:
        below += f" · {box.parameters:,} parameters"
    title_y = y + (HEIGHT / 2 + 4 if small else 19)
    texts = f'<text x="{x:.0f}" y="{title_y:.0f}">{escape(box.title)}</text>'
    if not small:
        texts += f'<text class="m" x="{x:.0f}" y="{y + 36:.0f}">{below}</text>'
    return (
        f'<g class="{"o" if small else "l"}"><rect x="{x - WIDTH / 2:.0f}" y="{y:.0f}" rx="5" '
        f'width="{WIDTH}" height="{HEIGHT}"/>{texts}</g>'
    )

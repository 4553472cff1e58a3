"""What became of foreign weights: loaded, missing, left over, of another shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..errors import CheckpointError
from ..layers import Module

Shape = tuple[int, ...]


class Loaded(NamedTuple):
    """An array of the model, and the array of the file that it was taken from."""

    name: str
    foreign: str
    shape: Shape


class Difference(NamedTuple):
    """An array of the file that is not what the model's array has to be, and why."""

    name: str
    foreign: str
    problem: str


@dataclass
class Report:
    """The account of a loading; `print(report)` shows it as a table.

    loaded      arrays that the model took
    missing     names in the model for which the file has nothing
    leftover    names in the file for which the model has no place
    differing   arrays that have a place but do not fit it
    """

    loaded: list[Loaded] = field(default_factory=list)
    missing: list[tuple[str, Shape]] = field(default_factory=list)
    leftover: list[tuple[str, Shape]] = field(default_factory=list)
    differing: list[Difference] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything in the file has a place, and the other way about."""
        return not (self.missing or self.leftover or self.differing)

    def problems(self) -> str:
        """One line for each thing that does not fit."""
        lines = [f"  missing     {name} {shape}" for name, shape in self.missing]
        lines += [f"  left over   {name} {shape}" for name, shape in self.leftover]
        lines += [f"  differs     {d.name} from {d.foreign}: {d.problem}" for d in self.differing]
        return "\n".join(lines)

    def __str__(self) -> str:
        rows = [(name, "from " + foreign, str(shape)) for name, foreign, shape in self.loaded]
        rows += [(name, "MISSING", str(shape)) for name, shape in self.missing]
        rows += [(d.name, "DIFFERS from " + d.foreign, d.problem) for d in self.differing]
        rows += [("", "LEFT OVER " + name, str(shape)) for name, shape in self.leftover]
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
        lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c}".rstrip() for a, b, c in rows]
        counts = f"{len(self.loaded)} loaded, {len(self.missing)} missing, "
        counts += f"{len(self.leftover)} left over, {len(self.differing)} differing"
        return "\n".join([*lines, counts])


def fill(
    model: Module,
    found: dict[str, tuple[str, np.ndarray]],
    report: Report,
    strict: bool,
    source: str,
    optional: tuple[str, ...] = (),
) -> Report:
    """Give `model` the arrays of `found`, {name: (foreign name, array)}; nothing if it is an error.

    The report may come with problems of its own. Names in `optional` may be missing.
    """
    own = {name: t.shape for name, t in (*model.named_parameters(), *model.named_buffers())}
    taken, noted = {}, {d.name for d in report.differing}
    for name, shape in own.items():
        if name in noted:
            continue
        if name not in found:
            if name.rpartition(".")[2] not in optional:
                report.missing.append((name, shape))
            continue
        foreign, array = found[name]
        if array.shape != shape:
            problem = f"expected {shape}, found {array.shape}"
            report.differing.append(Difference(name, foreign, problem))
            continue
        report.loaded.append(Loaded(name, foreign, shape))
        taken[name] = array
    report.leftover += [(f, a.shape) for name, (f, a) in found.items() if name not in own]
    if strict and not report.complete:
        raise CheckpointError(
            f"{source} does not fit {type(model).__name__}:\n{report.problems()}\nBuild the model "
            "with the sizes of the file, pass a map of its names, or strict=False to take what fits"
        )
    model.load_state_dict(taken, strict=False)
    return report

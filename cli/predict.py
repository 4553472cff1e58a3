"""`tercet predict`: the outputs of a saved run for the rows of a file."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from typing import Any

import numpy as np

from .options import add_backend


def add_parser(commands: Any) -> None:
    """Declare the command."""
    p = commands.add_parser(
        "predict",
        help="predict with a saved run",
        description="Predict for each row of a file; prints CSV: class and probability, or values.",
    )
    p.set_defaults(run=run)
    p.add_argument("folder", help="the run: what train wrote to --out")
    p.add_argument("--data", required=True, help="a .csv, .npz (array x) or .npy file of inputs")
    p.add_argument("--out", help="file to write instead of the terminal")
    add_backend(p)


def run(options: argparse.Namespace) -> None:
    """Load the run and the inputs, write one line a row."""
    from ..data import load_features
    from ..errors import OptionError
    from ..training.checkpoint import write_atomically
    from .run import LANGUAGE, open_run

    saved, model = open_run(options.folder, options.backend)
    if saved.task == LANGUAGE:
        raise OptionError(f"{options.folder} holds a language model: use tercet generate")
    features = load_features(options.data, saved.target, saved.categories, saved.feature_names)
    inputs = fit_shape(features, model.input_shape)
    outputs = model.predict(inputs)
    if saved.log_target:
        outputs = np.expm1(outputs)
    text = io.StringIO()
    write_rows(csv.writer(text, lineterminator="\n"), outputs, saved)
    if options.out is None:
        sys.stdout.write(text.getvalue())
    else:
        write_atomically(options.out, text.getvalue().encode())
        print(f"{len(inputs):,} predictions in {options.out}")


def fit_shape(x: np.ndarray, expected: tuple[int, ...] | None) -> np.ndarray:
    """Rows (n, features) take the shape of the model's input where the sizes agree."""
    from ..errors import ShapeError

    if expected is None or x.shape[1:] == expected:
        return x
    if x.ndim >= 2 and np.prod(x.shape[1:]) == np.prod(expected):
        return x.reshape(len(x), *expected)
    raise ShapeError(
        f"the model takes inputs of shape (n, {', '.join(map(str, expected))}), the file holds "
        f"{x.shape}"
    )


def write_rows(writer: Any, outputs: np.ndarray, saved: Any) -> None:
    """Class and probability for a classifier, values for a regression."""
    if saved.task != "classification":
        writer.writerow([f"value{i}" if outputs.shape[1] > 1 else "value"
                         for i in range(outputs.shape[1])])  # fmt: skip
        writer.writerows([f"{v:.8g}" for v in row] for row in outputs)
        return
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    best = probabilities.argmax(axis=1)
    names = saved.class_names or [str(i) for i in range(outputs.shape[1])]
    writer.writerow(["class", "probability"])
    writer.writerows(
        (names[k], f"{row[k]:.6f}") for k, row in zip(best, probabilities, strict=True)
    )

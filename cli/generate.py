"""`tercet generate`: what a language model writes."""

from __future__ import annotations

import argparse
from typing import Any

from .options import HelpFormatter, add_backend, integer, number


def add_parser(commands: Any) -> None:
    """Declare the command."""
    p = commands.add_parser(
        "generate",
        help="write on with a language model",
        description="Print the prompt and what the model of a run writes after it.",
        formatter_class=HelpFormatter,
    )
    p.set_defaults(run=run)
    p.add_argument("folder", help="the run: what train --model gpt wrote to --out")
    p.add_argument("--prompt", default="\n", help="text to go on from (default: a new line)")
    p.add_argument("--length", type=integer(1), default=500, help="characters to write")
    p.add_argument(
        "--temperature",
        type=number(0.0),
        default=0.8,
        help="how bold: 1 as the model has it, 0 the likeliest character each time",
    )
    p.add_argument("--top-k", type=integer(1), help="draw among the k likeliest characters")
    p.add_argument(
        "--top-p",
        type=number(0.0, open_low=True),
        help="draw among the likeliest characters that together have this probability",
    )
    p.add_argument("--seed", type=integer(0), default=0, help="seed of the drawing")
    add_backend(p)


def run(options: argparse.Namespace) -> None:
    """Load the run, print prompt and continuation."""
    from ..errors import OptionError
    from ..models import GPT
    from .language import vocabulary
    from .run import open_run

    saved, model = open_run(options.folder, options.backend)
    if not isinstance(model, GPT):
        raise OptionError(
            f"{options.folder} holds no language model; train one with tercet train --model gpt"
        )
    known = vocabulary(saved)
    tokens = model.generate(
        known.encode(options.prompt),
        options.length,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        seed=options.seed,
    )
    print(options.prompt.lstrip("\n") + known.decode(tokens))

"""`tercet train --model gpt`, and what else the command does with language models."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from typing import Any

from ..data import CharVocabulary, DataLoader, Subset, TextLoader, TextSource, TextWindows
from ..data.text import load_text
from ..errors import OptionError
from ..models import GPT, Model
from ..models.ngram import ngram_nats
from ..training.callbacks import Callback, LambdaCallback
from ..training.progress import ProgressBar
from ..training.trainer import Trainer
from .run import LANGUAGE, Run, save_run

WARMUP = 0.02  # of the training
BETAS = (0.9, 0.99)


def train(options: argparse.Namespace) -> None:
    """Train on a text, report on its held-out part, save."""
    from ..autograd import float_dtype, set_default_dtype
    from ..autograd.precision import check
    from ..backends import get_backend, seed, use_backend
    from ..training import losses, optimizers
    from .train import stop_when_diverged

    if options.width % options.heads:
        raise OptionError(
            f"--width must be a multiple of --heads, found {options.width} and {options.heads}"
        )
    backend = get_backend(options.backend)
    check(backend, options.precision, float_dtype(options.dtype))
    source = load_text(options.data, options.test_fraction)
    loader = TextLoader(source.train, options.context, options.batch_size, options.seed)
    set_default_dtype(options.dtype)
    baseline = ngram_nats(source.train, source.held_out, len(source.vocabulary))
    with use_backend(backend.name):
        seed(options.seed)
        model = GPT(
            len(source.vocabulary),
            options.context,
            options.width,
            options.layers,
            options.heads,
            options.dropout,
        )
        settings = {"lr": options.lr, "weight_decay": options.weight_decay}
        if options.optimizer in ("adam", "adamw"):
            settings["betas"] = BETAS
        optimizer = optimizers.get(
            {"name": options.optimizer, **settings, "clip_norm": options.clip_norm}
        )
        optimizer.bind(groups(model))
        loss = losses.CrossEntropyLoss(label_smoothing=options.label_smoothing)
        model.compile(optimizer, loss, precision=options.precision)
        steps = options.steps or options.epochs * len(loader)
        if not options.quiet:
            print(
                f"gpt with {model.num_parameters():,} parameters on {source.name} "
                f"({len(source.train):,} characters, {len(source.vocabulary)} kinds), "
                f"{steps:,} steps, backend {backend.name}",
                flush=True,
            )
        callbacks = [
            LambdaCallback(on_epoch_end=stop_when_diverged),
            Pace(options.lr, steps, options.minutes, options.schedule),
        ]
        if not options.quiet:
            callbacks.append(TokenProgress(options.context))
        began = time.perf_counter()
        history = model.fit(
            loader,
            epochs=math.ceil(steps / len(loader)),
            validation_data=held_out_loader(source, options.context, options.batch_size),
            callbacks=callbacks,
            verbose=0,
        )
        seconds = time.perf_counter() - began
        nats = model.nats(source.held_out)
    folder = save_run(
        options,
        model,
        history,
        task=LANGUAGE,
        class_names=list(source.vocabulary.characters),
        baseline=baseline,
    )
    print(f"{held_out(nats, source, baseline)}; trained in {seconds:.1f} s; saved in {folder}")


def groups(model: Model) -> list[dict[str, Any]]:
    """Parameters for an optimizer: only matrices decay, neither biases nor norms."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def held_out_loader(source: TextSource, context: int, batch_size: int) -> DataLoader:
    """The held-out part in windows side by side."""
    windows = TextWindows(source.held_out, context)
    return DataLoader(Subset(windows, range(0, len(windows), context)), batch_size)


def held_out(nats: float, source: TextSource, baseline: float | None) -> str:
    """The held-out figure as text, with the baseline's beside it."""
    return (
        f"held-out {nats:.4f} nats a character ({len(source.held_out):,} characters); a 5-gram "
        f"model: {baseline:.4f}"
    )


def evaluate(saved: Run, model: Model, path: str | None) -> None:
    """Print the held-out figure of a saved run."""
    assert isinstance(model, GPT)
    source = load_text(path or saved.data, saved.test_fraction, vocabulary(saved))
    nats = model.nats(source.held_out)
    print(f"{held_out(nats, source, saved.baseline)}; backend {model.backend.name}")


def vocabulary(saved: Run) -> CharVocabulary:
    """The vocabulary that a run was trained with."""
    return CharVocabulary(saved.class_names or ())


class Pace(Callback):
    """The learning rate by the share of the training that is done, in steps or minutes.

    It rises linearly during the first 2 %, then falls to 0 along a cosine, or stays.
    """

    def __init__(self, lr: float, steps: int, minutes: float | None, schedule: str) -> None:
        self.lr, self.steps, self.schedule = lr, steps, schedule
        self.seconds = math.inf if minutes is None else 60.0 * minutes

    def on_train_begin(self, trainer: Trainer) -> None:
        self._began, self._step = time.perf_counter(), 0
        self._set(trainer)

    def on_step_end(self, trainer: Trainer, step: int, logs: Mapping[str, float]) -> None:
        self._step += 1
        self._set(trainer)

    def _set(self, trainer: Trainer) -> None:
        elapsed = time.perf_counter() - self._began
        done = max(self._step / self.steps, elapsed / self.seconds)
        trainer.stop_training = trainer.stop_training or done >= 1.0
        trainer.optimizer.lr = self.lr * self.factor(done)

    def factor(self, done: float) -> float:
        """The share of the learning rate once `done` of the training is done.

        >>> [round(Pace(1.0, 100, None, "cosine").factor(d), 2) for d in (0.01, 0.02, 0.51, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
        """
        if done < WARMUP:
            return max(done, WARMUP / 100) / WARMUP
        if self.schedule == "constant":
            return 1.0
        return 0.5 + 0.5 * math.cos(math.pi * min((done - WARMUP) / (1.0 - WARMUP), 1.0))


class TokenProgress(ProgressBar):
    """Progress that counts tokens."""

    def __init__(self, context: int) -> None:
        super().__init__()
        self._context = context

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        super().on_epoch_begin(trainer, epoch)
        self._tokens, self._seconds = 0, 0.0

    def on_step_end(self, trainer: Trainer, step: int, logs: Mapping[str, float]) -> None:
        self._tokens = (step + 1) * trainer.batch_size * self._context
        self._seconds = time.perf_counter() - self._began
        super().on_step_end(trainer, step, logs)

    def _describe(self, logs: Mapping[str, float], samples: int) -> str:
        figures = "  ".join(f"{NAMES[name]} {value:.4f}" for name, value in logs.items())
        return f"{figures}  {self._tokens / max(self._seconds, 1e-9):,.0f} tokens/s"


NAMES = {"loss": "loss", "val_loss": "held-out"}

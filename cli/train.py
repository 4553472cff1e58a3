"""`tercet train`: train a network on a data set, show how it goes, save it."""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

from .model_options import MODELS, settle
from .options import HelpFormatter, add_backend, integer, names, number, widths

OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop", "adagrad")


def add_parser(commands: Any) -> None:
    """Declare the command."""
    p = commands.add_parser(
        "train",
        help="train a network",
        description="Train a network and save it with its history. Options of the model and of "
        "the training have defaults that suit the model.",
        formatter_class=HelpFormatter,
    )
    p.set_defaults(run=run)
    data = p.add_argument_group("data")
    data.add_argument(
        "--data",
        default="digits",
        help="digits, mnist, fashion-mnist, a .csv or .npz file, a folder of .ts files, or a "
        "text file for a gpt",
    )
    data.add_argument("--data-path", help="folder that holds the data set's files")
    data.add_argument("--target", help="column to predict of a .csv file (default: the last one)")
    data.add_argument(
        "--task",
        choices=["classification", "regression"],
        help="what a .csv file's target is (text and few whole numbers: classes, else values)",
    )
    data.add_argument(
        "--categorical",
        type=names,
        help="columns of a .csv file whose numbers are categories, such as month,hour (columns of "
        "text are so without it)",
    )
    data.add_argument(
        "--log-target",
        action="store_true",
        default=None,
        help="learn log(1 + target), which suits counts and prices; predict gives the target",
    )
    data.add_argument(
        "--test-fraction",
        type=number(0.0, 1.0, open_low=True),
        help="held-out share of a file without a test part of its own (default: 0.2; of a text "
        "its last 0.1)",
    )
    model = p.add_argument_group("model")
    model.add_argument("--model", default="mlp", choices=list(MODELS), help="kind of network")
    model.add_argument("--hidden", type=widths, help="widths of hidden layers, such as 256,128")
    model.add_argument("--activation", help="activation of an mlp's hidden layers")
    model.add_argument("--dropout", type=number(0.0, 1.0), help="dropout probability")
    model.add_argument(
        "--channels", type=widths, help="channels of a cnn's convolutions, or a resnet's stages"
    )
    model.add_argument("--blocks", type=integer(1), help="blocks in each stage of a resnet")
    model.add_argument("--layers", type=integer(1), help="recurrent layers, or blocks of a gpt")
    model.add_argument(
        "--bidirectional", action="store_true", default=None, help="read sequences both ways"
    )
    model.add_argument(
        "--augment",
        choices=["none", "shift", "flip", "flip-shift"],
        help="how a cnn's or resnet's images are changed at random while training",
    )
    model.add_argument("--context", type=integer(1), help="tokens that a gpt looks back")
    model.add_argument("--width", type=integer(1), help="width of a gpt")
    model.add_argument("--heads", type=integer(1), help="attention heads of a gpt")
    training = p.add_argument_group("training")
    length = training.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=integer(1), help="passes over the data")
    length.add_argument("--steps", type=integer(1), help="steps of a gpt, in place of --epochs")
    training.add_argument(
        "--minutes",
        type=number(0.0, open_low=True),
        help="most time that a gpt trains; the learning rate's schedule ends with it",
    )
    training.add_argument("--batch-size", type=integer(1), help="samples a step")
    training.add_argument("--optimizer", default="adamw", choices=OPTIMIZERS, help="optimizer")
    training.add_argument(
        "--lr", type=number(0.0, open_low=True), help="learning rate at the start"
    )
    training.add_argument("--weight-decay", type=number(0.0), help="weight decay")
    training.add_argument(
        "--schedule",
        default="cosine",
        choices=["cosine", "constant"],
        help="how the learning rate goes on: down to 0 along a cosine, or not at all",
    )
    training.add_argument(
        "--label-smoothing", type=number(0.0, 1.0), default=0.0, help="label smoothing"
    )
    training.add_argument(
        "--clip-norm", type=number(0.0, open_low=True), help="limit of the gradients' global norm"
    )
    training.add_argument("--seed", type=integer(0), default=0, help="seed of all randomness")
    add_backend(training)
    training.add_argument(
        "--dtype", default="float32", choices=["float32", "float64"], help="dtype of parameters"
    )
    training.add_argument(
        "--precision",
        default="float32",
        choices=["float32", "tf32", "bfloat16", "float16"],
        help="what products of float32 parameters are computed in; all but float32 need a GPU",
    )
    p.add_argument("--out", help="folder for the results (default: runs/DATA-MODEL)")
    p.add_argument("--quiet", action="store_true", help="print only the result")


def run(options: argparse.Namespace) -> None:
    """Train, report on held-out data, save."""
    settle(options)
    if options.model == "gpt":
        from . import language

        return language.train(options)
    from ..autograd import float_dtype, set_default_dtype
    from ..autograd.precision import check
    from ..backends import get_backend, seed, use_backend
    from ..data import load
    from ..models.baseline import linear_baseline
    from ..training.callbacks import LambdaCallback
    from ..training.schedules import CosineAnnealingLR
    from .networks import make_network
    from .run import save_run

    backend = get_backend(options.backend)
    check(backend, options.precision, float_dtype(options.dtype))
    source = load(
        options.data,
        target=options.target,
        path=options.data_path,
        test_fraction=options.test_fraction,
        seed=options.seed,
        task=options.task,
        categorical=options.categorical,
        log_target=options.log_target,
    )
    loss = make_loss(source, options)
    set_default_dtype(options.dtype)
    with use_backend(backend.name):
        if options.model == "mlp" and not options.hidden:
            baseline = None  # it is the linear model itself
        else:
            baseline = linear_baseline(source, options.seed)
        seed(options.seed)
        model = make_network(source, options)
        model.build(source.x_train.shape[1:])
        model.compile(
            make_optimizer(options),
            loss,
            [metric_of(source.task)],
            precision=options.precision,
        )
        if not options.quiet:
            print(
                f"{options.model} with {model.num_parameters():,} parameters on {source.name} "
                f"({len(source.x_train):,} samples), backend {backend.name}"
            )
        callbacks: list[Any] = [LambdaCallback(on_epoch_end=stop_when_diverged)]
        if options.schedule == "cosine":
            callbacks.append(CosineAnnealingLR(T_max=options.epochs))
        began = time.perf_counter()
        history = model.fit(
            source.x_train,
            source.y_train,
            epochs=options.epochs,
            batch_size=options.batch_size,
            callbacks=callbacks,
            verbose=not options.quiet,
        )
        seconds = time.perf_counter() - began
        result = model.evaluate(source.x_test, source.y_test)
    folder = save_run(
        options,
        model,
        history,
        task=source.task,
        class_names=list(source.class_names) if source.class_names is not None else None,
        target=source.target_name,
        feature_names=source.feature_names,
        categories=source.categories,
        log_target=options.log_target,
        baseline=baseline,
    )
    print(
        f"{held_out(result, len(source.x_test))}{beside(source.task, baseline)}; trained in "
        f"{seconds:.1f} s; saved in {folder}"
    )


def make_loss(source: Any, options: argparse.Namespace) -> Any:
    """The loss of the data's task."""
    from ..errors import OptionError
    from ..training.losses import CrossEntropyLoss, MSELoss

    if source.task == "classification":
        return CrossEntropyLoss(label_smoothing=options.label_smoothing)
    if options.label_smoothing:
        raise OptionError(f"--label-smoothing is for classes; {source.name} has values to predict")
    return MSELoss()


def make_optimizer(options: argparse.Namespace) -> Any:
    """The optimizer that the options name."""
    from ..training import optimizers

    return optimizers.get(
        {
            "name": options.optimizer,
            "lr": options.lr,
            "weight_decay": options.weight_decay,
            "clip_norm": options.clip_norm,
        }
    )


def metric_of(task: str) -> str:
    """The metric that is reported for a task."""
    return "accuracy" if task == "classification" else "r2"


def held_out(result: dict[str, float], samples: int) -> str:
    """The held-out figures as text."""
    figures = ", ".join(f"{name} {value:.4f}" for name, value in reversed(result.items()))
    return f"held-out {figures} ({samples:,} samples)"


def beside(task: str, baseline: float | None) -> str:
    """What a linear model reaches on the same data, as text."""
    return "" if baseline is None else f"; a linear model: {metric_of(task)} {baseline:.4f}"


def stop_when_diverged(trainer: Any, epoch: int, logs: Any) -> None:
    """An error once the loss is no number: nothing that follows would be worth saving."""
    from ..errors import DataError

    if not math.isfinite(logs["loss"]):
        raise DataError(
            f"the loss became {logs['loss']} in epoch {epoch + 1}; nothing was saved. Lower --lr "
            "or set --clip-norm 1"
        )

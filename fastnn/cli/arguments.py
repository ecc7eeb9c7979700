"""The arguments of every command. Nothing here imports more than argparse."""

from __future__ import annotations

import argparse
import math
import re
from typing import Any, NoReturn

from .. import __version__

TRAIN_EXAMPLES = """\
examples:
  fastnn train digits
  fastnn train mnist --hidden 16 --epochs 10
  fastnn train houses.csv --target price --hidden 64,32 --activation relu
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read on; exit code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class LinesAsTheyAre(argparse.HelpFormatter):
    """Texts of several lines are kept, those of one are filled."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `command` names the module that runs it."""
    parser = Parser(prog="fastnn", description="Train multilayer perceptrons on the CPU, and use them.")
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_predict(commands)
    info = commands.add_parser("info", help="say what a model file holds")
    info.add_argument("model", metavar="MODEL", help="model file that fastnn saved")
    doctor = commands.add_parser("doctor", help="check that everything works on this machine, and say what is lost")
    doctor.add_argument("--warmup", action="store_true", help="first compile every kernel into the cache")
    _add_bench(commands)
    return parser


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="train a network; write the model, its history and pictures",
        description="Train a network, judge it on examples that are held out, and write the model, its history and "
        "pictures into a folder. Without options every setting is one that does well on the data.",
        epilog=TRAIN_EXAMPLES,
        formatter_class=LinesAsTheyAre,
    )
    train.add_argument(
        "data",
        metavar="DATA",
        help="digits (comes with fastnn), mnist (fetched once), or a .csv, .tsv or .npz file with a target",
    )
    network = train.add_argument_group("network")
    shape = network.add_mutually_exclusive_group()
    shape.add_argument("--hidden", type=sizes, metavar="N,N", help="neurons of the hidden layers, or none")
    shape.add_argument("--sizes", type=sizes, metavar="N,N,N", help="neurons of all layers, such as 784,30,10")
    network.add_argument(
        "--activation",
        type=names,
        metavar="NAME",
        help="of the hidden layers (the output's follows from the loss), or one for each layer: relu,sigmoid",
    )
    network.add_argument(
        "--loss",
        metavar="NAME",
        help="squared_error, cross_entropy, binary_cross_entropy, perceptron, absolute_error, huber, "
        "quantile, poisson or half_squared_error",
    )
    network.add_argument("--seed", type=whole_from(0), default=0, help="of split, weights and shuffles (default 0)")
    training = train.add_argument_group("training")
    training.add_argument("--epochs", type=whole_from(1), metavar="N", help="passes over the examples")
    training.add_argument("--batch-size", type=whole_from(1), metavar="N", help="examples per update")
    training.add_argument("--rate", type=positive, metavar="RATE", help="learning rate")
    training.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint in the output folder, if there is one; it is written every 10 seconds",
    )
    training.add_argument("--threads", type=whole_from(1), metavar="N", help="at most (default: as many as help)")
    files = train.add_argument_group("files")
    files.add_argument("-o", "--output", metavar="DIR", help="folder to write into (default runs/NAME)")
    _add_table(files, "column to learn, by name or by index from 0 (default: the last one)")
    files.add_argument("--columns", type=names, metavar="NAME,NAME", help="columns to learn from (default: all others)")
    files.add_argument(
        "--task",
        choices=("classification", "regression"),
        help="default: classification if the target is text or 0, 1, 2, ...; regression otherwise",
    )
    files.add_argument(
        "--held-out", type=share, default=0.2, metavar="SHARE", help="part of the rows to judge by (default 0.2)"
    )
    files.add_argument(
        "--image-shape", type=sizes, metavar="HEIGHT,WIDTH", help="draw rows and weights as images of that many pixels"
    )


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="write a model's answers for the rows of a file",
        description="Write a model's answers for the rows of a file as CSV: class and confidence, or values. Columns "
        "are found by their names where the model and the file have them, by their order otherwise.",
    )
    predict.add_argument("model", metavar="MODEL", help="model file that fastnn saved")
    predict.add_argument("file", metavar="FILE", help=".csv, .tsv or .npz file, with or without a target")
    predict.add_argument("-o", "--output", metavar="CSV", help="file to write (default: standard output)")
    _add_table(predict, "column to leave out (default: the last one, if there is one too many)")


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser(
        "bench",
        help="measure training speed beside other libraries that are installed",
        description="Train a network of these sizes on random data with fastnn, NumPy, and whatever of scikit-learn, "
        "PyTorch and JAX is installed, and print examples per second.",
    )
    bench.add_argument("--sizes", type=sizes, default=(784, 30, 10), metavar="N,N,N", help="default 784,30,10")
    bench.add_argument("--activation", choices=("sigmoid", "tanh", "relu"), default="relu", help="of the hidden layers")
    bench.add_argument("--loss", choices=("cross_entropy", "squared_error"), default="cross_entropy")
    bench.add_argument("--batch-size", type=whole_from(1), default=32, metavar="N", help="default 32")
    bench.add_argument("--rows", type=whole_from(1), default=10_000, metavar="N", help="examples (default 10000)")
    bench.add_argument("--rounds", type=whole_from(1), default=5, metavar="N", help="turns of each (default 5)")
    bench.add_argument("--seconds", type=positive, default=0.5, metavar="S", help="length of a turn (default 0.5)")


def _add_table(group: Any, target_help: str) -> None:
    group.add_argument("--target", type=name_or_index, metavar="COLUMN", help=target_help)
    header = group.add_mutually_exclusive_group()
    header.add_argument(
        "--header", action="store_true", default="auto", help="the first row holds names (default: found out)"
    )
    header.add_argument(
        "--no-header", dest="header", action="store_false", default="auto", help="the first row holds data"
    )


def sizes(text: str) -> tuple[int, ...]:
    """`784,30,10`, also with - or x between; `none` for no size at all."""
    if text == "none":
        return ()
    parts = re.split("[-,x]", text)
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"expected whole numbers such as 64,32, got {text!r}")
    return tuple(int(part) for part in parts)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(part.strip() for part in text.split(","))


def name_or_index(text: str) -> str | int:
    """A column's index if it is a whole number, its name otherwise."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else text


def whole_from(least: int) -> Any:
    """A parser of whole numbers of at least `least`."""

    def whole(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of {least} or more, got {text!r}")
        return int(text)

    return whole


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def share(text: str) -> float:
    """A number between 0 and 1."""
    number = positive(text)
    if number >= 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, got {text!r}")
    return number

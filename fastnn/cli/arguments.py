"""The arguments of every command. This module imports little, so that `--help` answers at once."""

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
  fastnn train houses.csv --target price --quantiles 0.1,0.5,0.9
  fastnn train houses.csv --target price --categorical "zip code" --drop id --test later_houses.csv
"""


class Parser(argparse.ArgumentParser):
    """A parser that reports errors in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the error and where to find help; exit with code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class KeepLines(argparse.HelpFormatter):
    """Keep the lines of a text that has several, wrap a text of one line."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; its `command` names the module to run."""
    parser = Parser(prog="fastnn", description="Train multilayer perceptrons on the CPU, and use them.")
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_predict(commands)
    _add_show(commands)
    info = commands.add_parser("info", help="describe a model file")
    info.add_argument("model", metavar="MODEL", help="model file written by fastnn")
    doctor = commands.add_parser("doctor", help="check that everything works on this machine")
    doctor.add_argument("--warmup", action="store_true", help="compile every kernel into the cache first")
    _add_bench(commands)
    return parser


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="train a network; write the model, its history and figures",
        description="Train a network, evaluate it on held-out examples, and write the model, its history and figures "
        "into a folder. The defaults suit the data.",
        epilog=TRAIN_EXAMPLES,
        formatter_class=KeepLines,
    )
    train.add_argument(
        "data",
        metavar="DATA",
        help="digits (comes with fastnn), mnist (downloaded once), or the file of a table: CSV and other text, Excel, "
        "Parquet, ARFF, libsvm or .npz, packed or not",
    )
    _add_network(train.add_argument_group("network"))
    _add_training(train.add_argument_group("training"))
    _add_files(train.add_argument_group("files"))
    _add_table_options(train)


def _add_network(network: Any) -> None:
    shape = network.add_mutually_exclusive_group()
    shape.add_argument("--hidden", type=sizes, metavar="N,N", help="neurons of each hidden layer, or none")
    shape.add_argument("--sizes", type=sizes, metavar="N,N,N", help="neurons of every layer, such as 784,30,10")
    network.add_argument(
        "--activation",
        type=names,
        metavar="NAME",
        help="activation of the hidden layers (that of the output follows from the loss), or one for each layer: "
        "relu,sigmoid",
    )
    network.add_argument(
        "--loss",
        metavar="NAME",
        help="squared_error, cross_entropy, binary_cross_entropy, perceptron, absolute_error, huber, "
        "quantile, poisson or half_squared_error",
    )
    network.add_argument(
        "--seed", type=integer_from(0), default=0, help="seed of split, weights and shuffling (default 0)"
    )


def _add_training(training: Any) -> None:
    training.add_argument("--epochs", type=integer_from(1), metavar="N", help="passes over the examples")
    training.add_argument("--batch-size", type=integer_from(1), metavar="N", help="examples per update")
    training.add_argument("--rate", type=positive, metavar="RATE", help="learning rate")
    training.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        help="what the operands of the products are rounded to (default float32)",
    )
    training.add_argument(
        "--resume",
        action="store_true",
        help="continue from the checkpoint in the output folder, if there is one; it is written every 10 seconds",
    )
    training.add_argument(
        "--calibrate",
        action="store_true",
        default=None,
        help="of a table's classes: fit the confidence to the validation rows, by a temperature; "
        "with --quantiles: shift each so that the right share of these rows lies below it",
    )
    training.add_argument(
        "--threads", type=integer_from(1), metavar="N", help="maximum number of threads (default: the fastest number)"
    )
    training.add_argument(
        "--show", action="store_true", help="watch the training on a local page in the browser, until Ctrl-C"
    )


def _add_files(files: Any) -> None:
    files.add_argument("-o", "--output", metavar="DIR", help="output folder (default runs/NAME)")
    files.add_argument(
        "--held-out",
        type=fraction,
        default=0.2,
        metavar="FRACTION",
        help="fraction of the rows held out for evaluation (default 0.2)",
    )
    files.add_argument(
        "--image-shape", type=sizes, metavar="HEIGHT,WIDTH", help="draw rows and weights as images of this size"
    )


def _add_table_options(train: Any) -> None:
    table = train.add_argument_group("tables", "Names of columns are those of the file, with their commas and blanks.")
    _add_reading(table, "target column, by name or by index from 0 (default: the last one)")
    columns: dict[str, Any] = {"nargs": "+", "action": "extend", "default": [], "metavar": "COLUMN"}
    table.add_argument("--columns", help="input columns (default: all others)", **columns)
    table.add_argument("--categorical", help="columns that hold categories, whatever they look like", **columns)
    table.add_argument("--numeric", help="columns that hold numbers", **columns)
    table.add_argument("--date", help="columns that hold dates or times", **columns)
    table.add_argument("--drop", help="columns to leave out", **columns)
    table.add_argument(
        "--task",
        choices=("classification", "regression"),
        help="default: classification if the target is text, has two values, or is few whole numbers; else regression",
    )
    table.add_argument(
        "--quantiles",
        type=levels,
        metavar="Q,Q",
        help="learn these quantiles of a quantity, such as 0.1,0.5,0.9, in place of its mean",
    )
    held = table.add_mutually_exclusive_group()
    held.add_argument("--test", metavar="FILE", help="evaluate on the rows of this file, and train on all others")
    held.add_argument(
        "--split-by",
        metavar="COLUMN",
        help="hold out the last dates or numbers of this column, or whole groups of it (default: rows at random)",
    )


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="write a model's predictions for the rows of a file",
        description="Write a model's predictions for the rows of a file as CSV: class and confidence, or values. "
        "Columns are matched by name if the model and the file have names, otherwise by order.",
    )
    predict.add_argument("model", metavar="MODEL", help="model file written by fastnn")
    predict.add_argument("file", metavar="FILE", help="file of a table, with or without the target")
    predict.add_argument("-o", "--output", metavar="CSV", help="output file (default: standard output)")
    _add_reading(predict, "column to ignore if columns have no names (default: the target of the training)")


def _add_show(commands: Any) -> None:
    show = commands.add_parser(
        "show",
        help="open a page in the browser on which a model works",
        description="Open a page on which a model works: draw a digit or move the values of a table's columns, and see "
        "its neurons, its answer, and why. The page is served to this machine alone, until Ctrl-C.",
    )
    show.add_argument("model", metavar="MODEL", help="model file written by fastnn, or the folder of a training")
    show.add_argument(
        "--data",
        metavar="DATA",
        help="digits, mnist or the file of a table: examples to choose from, and to draw beside the answers",
    )
    show.add_argument(
        "--image-shape", type=sizes, metavar="HEIGHT,WIDTH", help="the columns are the pixels of an image of this size"
    )
    show.add_argument(
        "--ink",
        type=positive,
        metavar="VALUE",
        help="value of a pixel full of ink (default: the largest of DATA, or what the network scales to 1)",
    )
    show.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    _add_reading(show, "column of DATA that the model learned (default: that of the training)")


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser(
        "bench",
        help="compare training speed with other libraries that are installed",
        description="Train a network of these sizes on random data with fastnn, NumPy, and those of scikit-learn, "
        "PyTorch and JAX that are installed, and print examples per second.",
    )
    bench.add_argument("--sizes", type=sizes, default=(784, 30, 10), metavar="N,N,N", help="default 784,30,10")
    bench.add_argument(
        "--activation", choices=("sigmoid", "tanh", "relu"), default="relu", help="activation of the hidden layers"
    )
    bench.add_argument("--loss", choices=("cross_entropy", "squared_error"), default="cross_entropy")
    bench.add_argument("--batch-size", type=integer_from(1), default=32, metavar="N", help="default 32")
    bench.add_argument("--rows", type=integer_from(1), default=10_000, metavar="N", help="examples (default 10000)")
    bench.add_argument(
        "--rounds", type=integer_from(1), default=5, metavar="N", help="turns of each library (default 5)"
    )
    bench.add_argument("--seconds", type=positive, default=0.5, metavar="S", help="length of a turn (default 0.5)")


def _add_reading(group: Any, target_help: str) -> None:
    """Add the options that say how a file is read."""
    group.add_argument("--target", metavar="COLUMN", help=target_help)
    header = group.add_mutually_exclusive_group()
    header.add_argument(
        "--header", action="store_true", default=None, help="the first row holds names (default: detected)"
    )
    header.add_argument(
        "--no-header", dest="header", action="store_false", default=None, help="the first row holds data"
    )
    group.add_argument(
        "--missing",
        nargs="+",
        action="extend",
        default=[],
        metavar="TEXT",
        help="more texts that stand for a missing value, such as -999",
    )
    group.add_argument("--decimal", choices=(".", ","), help="decimal sign (default: detected)")
    group.add_argument("--separator", type=separator, metavar="CHARACTER", help="between fields (default: detected)")
    group.add_argument("--encoding", metavar="NAME", help="encoding of a text file (default: detected)")


def separator(text: str) -> str:
    """Parse a separator: one character, `tab` or `blanks`."""
    if text not in ("tab", "blanks") and len(text) != 1:
        raise argparse.ArgumentTypeError(f"expected one character, tab or blanks, got {text!r}")
    return "\t" if text == "tab" else text


def sizes(text: str) -> tuple[int, ...]:
    """Parse sizes such as `784,30,10`, also separated by - or x; `none` means no sizes."""
    if text == "none":
        return ()
    parts = re.split("[-,x]", text)
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"expected whole numbers such as 64,32, got {text!r}")
    return tuple(int(part) for part in parts)


def names(text: str) -> tuple[str, ...]:
    """Parse names separated by commas."""
    return tuple(part.strip() for part in text.split(","))


def levels(text: str) -> tuple[float, ...]:
    """Parse different levels of quantiles, separated by commas."""
    found = tuple(fraction(part.strip()) for part in text.split(","))
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"expected different levels, got {text!r}")
    return found


def integer_from(least: int) -> Any:
    """Return a parser of integers of at least `least`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of {least} or more, got {text!r}")
        return int(text)

    return parse


def positive(text: str) -> float:
    """Parse a finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def fraction(text: str) -> float:
    """Parse a number between 0 and 1."""
    number = positive(text)
    if number >= 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, got {text!r}")
    return number

"""`fastnn bench`: training speed on the user's own sizes, beside whatever other library is installed."""

from __future__ import annotations

import argparse
import sys

from ..bench.case import Case
from ..bench.libraries import CONTESTANTS
from ..bench.runner import measure, print_case
from ..spec import make_spec

OUTPUT_OF = {"cross_entropy": "softmax", "squared_error": "identity"}


def run(arguments: argparse.Namespace) -> int:
    """Race one case and print the table."""
    sizes = arguments.sizes
    activation = (arguments.activation,) * (len(sizes) - 2) + (OUTPUT_OF[arguments.loss],)
    make_spec(sizes, activation, arguments.loss)
    case = Case(sizes, activation, arguments.loss, arguments.batch_size, arguments.rows, 0.01)
    print("every library in a process of its own, in turns; the same network, data, batch and loss", flush=True)
    print_case(measure(case, list(CONTESTANTS), arguments.rounds, arguments.seconds, tell))
    return 0


def tell(text: str) -> None:
    """What is under way, in the last line of a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"\r\033[K{text} ...\r", end="", file=sys.stderr, flush=True)

"""`fastnn bench`: training speed on the user's sizes, compared with other installed libraries."""

from __future__ import annotations

import argparse
import sys

from ..bench.case import Case
from ..bench.libraries import LIBRARIES
from ..bench.runner import measure, print_case
from ..spec import make_spec

OUTPUT_OF = {"cross_entropy": "softmax", "squared_error": "identity"}


def run(arguments: argparse.Namespace) -> int:
    """Measure one case and print the table."""
    sizes = arguments.sizes
    activation = (arguments.activation,) * (len(sizes) - 2) + (OUTPUT_OF[arguments.loss],)
    make_spec(sizes, activation, arguments.loss)
    case = Case(sizes, activation, arguments.loss, arguments.batch_size, arguments.rows, 0.01)
    print("each library in its own process, in turns; the same network, data, batch size and loss", flush=True)
    print_case(measure(case, list(LIBRARIES), arguments.rounds, arguments.seconds, show))
    return 0


def show(text: str) -> None:
    """Show what is measured in the last line of a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"\r\033[K{text} ...\r", end="", file=sys.stderr, flush=True)

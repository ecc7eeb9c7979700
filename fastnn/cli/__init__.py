"""The command `fastnn`: `train`, `predict`, `show`, `info`, `doctor` and `bench`, one module for each.

The module of a command is imported when the command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from ..errors import DivergenceError
from .arguments import make_parser
from .combinations import check_combination

__all__ = ["main"]

DONE, FAILED, INTERRUPTED = 0, 2, 130

OPTION_OF = {
    "header=False": "--no-header",
    "learning_rate": "--rate",
    "n_threads=": "--threads ",
    "columns=[...]": "--columns",
    "The last finite parameters are kept.": "Nothing is written.",
    "give target=False if there is none": "name another with --target",
}
"""Words of the Python API in error messages -> what the command line calls them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; default those of the process.

    Returns
    -------
    int
        Exit code: 0 done; 1 `doctor` found something that does not work; 2 an error, reported in one line on stderr;
        130 interrupted.
    """
    parser = make_parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.prog += f" {arguments.command}"
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    with warnings.catch_warnings():
        warnings.showwarning = _print_warning
        try:
            check_combination(arguments)
            command = importlib.import_module(f".{arguments.command}", __package__)
            code = int(command.run(arguments))
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            _print_message("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            # the reader of our output has closed it; without this Python reports the same error again on exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        except (ValueError, TypeError, OSError, ImportError, MemoryError, RuntimeError, DivergenceError) as error:
            _print_message(explain(error))
            return FAILED


def explain(error: BaseException) -> str:
    """Return the message of an error in one line, in the terms of the command line."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    text = " ".join(str(error).split()) or type(error).__name__
    for api_term, option in OPTION_OF.items():
        text = text.replace(api_term, option)
    return text


def _print_message(text: str) -> None:
    print(f"fastnn: {text}", file=sys.stderr)


def _print_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    _print_message(f"warning: {' '.join(str(message).split())}")

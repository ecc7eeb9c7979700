"""The command `fastnn`: `train`, `predict`, `info`, `doctor` and `bench`, one module for each.

A command's module is imported when the command is run, so that `--help` need not wait for anything compiled.
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

__all__ = ["main"]

DONE, FAILED, INTERRUPTED = 0, 2, 130

OPTION_OF = {
    "header=False": "--no-header",
    "learning_rate": "--rate",
    "columns=[...]": "--columns",
    "The last finite parameters are kept.": "Nothing is written.",
    "give target=False if there is none": "name another with --target",
}
"""How words of the Python API, which stand in its errors, are written on the command line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; default those of the process.

    Returns
    -------
    int
        The exit code: 0 done; 1 `doctor` found something that does not work; 2 an error, said in one line on
        stderr; 130 interrupted.
    """
    arguments = make_parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _say_warning
        try:
            command = importlib.import_module(f".{arguments.command}", __package__)
            code = int(command.run(arguments))
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            _say("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            # whoever read our output has gone; without this Python complains again when it closes stdout
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        except (ValueError, TypeError, OSError, ImportError, MemoryError, RuntimeError, DivergenceError) as error:
            _say(explain(error))
            return FAILED


def explain(error: BaseException) -> str:
    """The error in one line, in the words of the command line."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    text = " ".join(str(error).split()) or type(error).__name__
    for word, option in OPTION_OF.items():
        text = text.replace(word, option)
    return text


def _say(text: str) -> None:
    print(f"fastnn: {text}", file=sys.stderr)


def _say_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    _say(f"warning: {' '.join(str(message).split())}")

"""Options of the command line that rule one another out: an option that would change nothing is an error."""

from __future__ import annotations

import argparse

from .arguments import make_parser

NETWORK_OPTIONS = frozenset({"hidden", "sizes", "activation", "loss", "seed"})
TRAINING_OPTIONS = frozenset({"epochs", "batch_size", "rate", "precision", "resume", "threads", "show", "output"})

BUILT_IN = {
    "digits": NETWORK_OPTIONS | TRAINING_OPTIONS | {"held_out"},
    "mnist": NETWORK_OPTIONS | TRAINING_OPTIONS,
}
"""Data that are no file -> the options of `fastnn train` that change something there."""

TEXT_OPTIONS = frozenset({"header", "separator", "decimal", "encoding"})
"""How the fields of a text file are read, which means nothing for arrays."""


def check_combination(arguments: argparse.Namespace) -> None:
    """Raise ValueError for an option that was given and would be ignored.

    Parameters
    ----------
    arguments : Namespace
        As the parser returned it.
    """
    if arguments.command == "train":
        _check_train(arguments)
    elif arguments.command == "predict" and _is_array_file(arguments.file):
        _refuse(given_options(arguments, [arguments.model, arguments.file]) & TEXT_OPTIONS, "a .npz file")
    elif arguments.command == "show":
        _check_show(arguments)


def _check_train(arguments: argparse.Namespace) -> None:
    given = given_options(arguments, [arguments.data])
    if arguments.quantiles is not None:
        _refuse(given & {"loss"}, "--quantiles, which has a loss of its own")
        _refuse({"quantiles"} if arguments.task == "classification" else set(), "--task classification")
    if arguments.data in BUILT_IN:
        why = f"{arguments.data}, which is no table"
        if arguments.data == "mnist" and "held_out" in given:
            why = "mnist, which has a test set of its own"
        _refuse(given - BUILT_IN[arguments.data], why)
    elif _is_array_file(arguments.data):
        _refuse(given & TEXT_OPTIONS, "a .npz file")


def _check_show(arguments: argparse.Namespace) -> None:
    given = given_options(arguments, [arguments.model])
    if arguments.data is None or arguments.data in BUILT_IN:
        _refuse(given & (TEXT_OPTIONS | {"target", "missing"}), arguments.data or "a page without --data")
    elif _is_array_file(arguments.data):
        _refuse(given & TEXT_OPTIONS, "a .npz file")


def given_options(arguments: argparse.Namespace, positional: list[str]) -> set[str]:
    """Return the names of the options whose values are not the defaults."""
    defaults = vars(make_parser().parse_args([arguments.command, "--", *positional]))
    return {name for name, value in vars(arguments).items() if value != defaults[name]}


def _is_array_file(path: str) -> bool:
    return path.lower().endswith(".npz")


def _refuse(names: set[str], what: str) -> None:
    if names:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(names))
        raise ValueError(f"{listed}: not for {what}; leave {'it' if len(names) == 1 else 'them'} out")

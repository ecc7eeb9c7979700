"""The options of `fastnn train` x the kinds of data: each is taken, or refused by name."""

import argparse

import pytest

from fastnn.cli import main
from fastnn.cli.arguments import make_parser
from fastnn.cli.combinations import check_combination

GIVEN = {
    "hidden": ["--hidden", "8"],
    "sizes": ["--sizes", "64,8,10"],
    "activation": ["--activation", "tanh"],
    "loss": ["--loss", "cross_entropy"],
    "seed": ["--seed", "3"],
    "epochs": ["--epochs", "2"],
    "batch_size": ["--batch-size", "5"],
    "rate": ["--rate", "0.2"],
    "precision": ["--precision", "bfloat16"],
    "calibrate": ["--calibrate"],
    "resume": ["--resume"],
    "threads": ["--threads", "1"],
    "show": ["--show"],
    "output": ["-o", "folder"],
    "held_out": ["--held-out", "0.3"],
    "image_shape": ["--image-shape", "8x8"],
    "target": ["--target", "kind"],
    "header": ["--no-header"],
    "missing": ["--missing", "?"],
    "decimal": ["--decimal", ","],
    "separator": ["--separator", ";"],
    "encoding": ["--encoding", "latin-1"],
    "columns": ["--columns", "size"],
    "categorical": ["--categorical", "kind"],
    "numeric": ["--numeric", "size"],
    "date": ["--date", "day"],
    "drop": ["--drop", "name"],
    "task": ["--task", "classification"],
    "test": ["--test", "other.csv"],
    "quantiles": ["--quantiles", "0.1,0.9"],
    "split_by": ["--split-by", "year"],
}
OF_TABLES = {"target", "header", "missing", "decimal", "separator", "encoding", "columns", "categorical", "numeric"}
OF_TABLES |= {"quantiles", "date", "drop", "task", "test", "split_by", "image_shape", "calibrate"}
REFUSED = {
    "digits": OF_TABLES,
    "mnist": OF_TABLES | {"held_out"},
    "rows.npz": {"header", "decimal", "separator", "encoding"},
    "rows.csv": set(),
}


def train_parser():
    (commands,) = (each for each in make_parser()._actions if isinstance(each, argparse._SubParsersAction))
    return commands.choices["train"]


def test_every_option_has_a_row():
    options = {action.dest for action in train_parser()._actions if action.option_strings}
    assert options - {"help"} == set(GIVEN)


@pytest.mark.parametrize("data", REFUSED)
@pytest.mark.parametrize("name", GIVEN)
def test_an_option_is_taken_or_refused_by_name(data, name):
    arguments = make_parser().parse_args(["train", data, *GIVEN[name]])
    if name in REFUSED[data]:
        with pytest.raises(ValueError, match=GIVEN[name][0].removeprefix("--no-").removeprefix("--")):
            check_combination(arguments)
    else:
        check_combination(arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss", "huber"], "--loss: not for --quantiles, which has a loss of its own"),
        (["--task", "classification"], "--quantiles: not for --task classification"),
    ],
    ids=str,
)
def test_quantiles_rule_out_other_options(options, message):
    with pytest.raises(ValueError, match=message):
        check_combination(make_parser().parse_args(["train", "rows.csv", "--quantiles", "0.1,0.9", *options]))


@pytest.mark.parametrize(
    ("text", "message"), [("0.1,1", "between 0 and 1"), ("0.1,0.1", "different levels"), ("low", "above 0")]
)
def test_levels_of_quantiles_are_checked(text, message, capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["train", "rows.csv", "--quantiles", text])
    assert message in capsys.readouterr().err


def test_an_option_that_a_command_lacks_is_reported_with_its_own_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "digits", "--taget", "price"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "fastnn train: unrecognized arguments: --taget price; see fastnn train --help\n"

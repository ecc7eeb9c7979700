"""The options of one training: every one checked once, in one place, with the defaults that `fit` documents."""

import dataclasses
import inspect

import numpy as np
import pytest

import fastnn
from fastnn.population import trials
from fastnn.schedules import Cosine, ReduceOnPlateau
from fastnn.spec import make_spec
from fastnn.training import streaming
from fastnn.training.dataset import make_dataset
from fastnn.training.options import make_fit_options

SPEC = make_spec([3, 4, 2], ["tanh", "softmax"], "cross_entropy", "float32")
PLAIN = make_spec([3, 4, 2], ["tanh", "identity"], "squared_error", "float32")


def parameters_of(function, *without):
    return {name: p for name, p in inspect.signature(function).parameters.items() if name not in ("self", *without)}


OPTIONS = parameters_of(make_fit_options, "spec")
FIT = parameters_of(fastnn.Network.fit)
OF_THE_DATA = parameters_of(make_dataset, "spec", "split_seed")
ELSEWHERE = {"callbacks", "checkpoint", "resume", "checkpoint_seconds", "comm", "data"}
"""Arguments of `fit` that say neither how to train nor on what."""


def options(spec=SPEC, **given):
    return make_fit_options(spec, **{"epochs": 1} | given)


# ---- One list of options


@pytest.mark.parametrize("name", OPTIONS)
def test_the_default_of_an_option_is_that_of_fit(name):
    assert OPTIONS[name].default == FIT[name].default
    assert OPTIONS[name].kind == FIT[name].kind == inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("name", sorted(set(OF_THE_DATA) - {"X", "y"}))
def test_the_default_of_an_argument_of_the_data_is_that_of_fit(name):
    assert OF_THE_DATA[name].default is FIT[name].default is None


def test_every_argument_of_fit_is_an_option_or_of_the_data_or_used_elsewhere():
    assert set(FIT) == set(OPTIONS) | set(OF_THE_DATA) | ELSEWHERE
    assert not set(OPTIONS) & set(OF_THE_DATA)


def test_the_options_of_a_stream_are_options_of_fit():
    stream = parameters_of(fastnn.Network.fit_stream, "batches", "options")
    assert (set(OPTIONS) | set(OF_THE_DATA)) - set(stream) >= streaming.OPTIONS
    shared = {"learning_rate", "validation_data", "callbacks"}
    assert all(stream[name].default == FIT[name].default for name in shared)


def test_the_arguments_of_a_population_are_those_of_fit_and_network():
    network = set(parameters_of(fastnn.Network.__init__))
    shared = {"n_threads", "progress"}  # of fit_many itself
    assert network | (set(FIT) - {"X", "y"} - ELSEWHERE - shared) | {"callbacks", "start"} == trials.ARGUMENTS


# ---- Every option is checked

REFUSED = {
    "epochs": [(-1, ValueError), (1.5, TypeError), ("3", TypeError), (True, TypeError), (None, TypeError)],
    "batch_size": [(0, ValueError), (2.0, TypeError)],
    "learning_rate": [(0, ValueError), (np.nan, ValueError), (1e300, ValueError), ("fast", TypeError)],
    "optimizer": [("adamant", ValueError), (None, TypeError), (fastnn.Adam, TypeError)],
    "shuffle": [("no", TypeError), (1, TypeError)],
    "n_threads": [(0, ValueError), (1.0, TypeError), ("2", TypeError)],
    "on_divergence": [("ignore", ValueError), (None, ValueError)],
    "progress": [("yes", TypeError), (1, TypeError)],
    "l1": [(-1, ValueError), (np.nan, ValueError), ("1", TypeError), (None, TypeError)],
    "l2": [(-1, ValueError), (np.inf, ValueError), ("1", TypeError), (None, TypeError)],
    "clip_norm": [(0, ValueError), (-1, ValueError), ("1", TypeError)],
    "max_norm": [(0, ValueError), (np.nan, ValueError), ("1", TypeError)],
    "label_smoothing": [(1.0, ValueError), (-0.1, ValueError), ("1", TypeError), (None, TypeError)],
    "input_noise": [(-0.1, ValueError), (np.inf, ValueError), ("1", TypeError), (None, TypeError)],
    "ema_decay": [(1, ValueError), (-0.1, ValueError), ("1", TypeError)],
    "augmentation": [("elastic", TypeError), (fastnn.augmentation.Images(height=50, width=50), ValueError)],
    "lr_factors": [
        (2.0, TypeError),
        ({"speed": 1.0}, TypeError),
        ({"weights": [1.0, 2.0, 3.0]}, ValueError),
        ({"biases": -1.0}, ValueError),
        ({"input_scales": "1"}, TypeError),
    ],
    "decay_factors": [({"weights": 2.0}, ValueError)],
    "decay_schedule": [(Cosine(1.0, epochs=3), ValueError), (0.5, TypeError), (ReduceOnPlateau(1.0), TypeError)],
    "dropout_schedule": [(Cosine(1.0, epochs=3), ValueError), ("flat", TypeError), (ReduceOnPlateau(1.0), TypeError)],
    "drop_last": [("no", TypeError), (1, TypeError), (None, TypeError)],
}


def test_no_option_is_left_unchecked():
    assert set(REFUSED) == set(OPTIONS)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [(name, *case) for name, cases in REFUSED.items() for case in cases],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_an_option_that_makes_no_sense_is_refused_by_name(name, value, error):
    with pytest.raises(error, match=rf"\b{name}\b"):
        options(**{name: value})


def test_label_smoothing_is_for_cross_entropies():
    with pytest.raises(ValueError, match="label_smoothing takes a cross-entropy as loss, got 'squared_error'"):
        options(PLAIN, label_smoothing=0.1)
    assert options(label_smoothing=0.1).regularization.label_smoothing == 0.1


def test_a_learning_rate_is_given_once():
    with pytest.raises(ValueError, match=r"learning_rate to fit or to the optimizer, not to both; got 0\.1 and 0\.2"):
        options(learning_rate=0.1, optimizer=fastnn.Adam(learning_rate=0.2))


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"learning_rate": 0.1}, "learning_rate"),
        ({"l1": 0.1}, "l1"),
        ({"max_norm": 1.0}, "max_norm"),
        ({"lr_factors": {"biases": 2.0}}, "lr_factors"),
        ({"drop_last": True}, "drop_last"),
    ],
)
def test_lbfgs_takes_l2_alone(given, word):
    with pytest.raises(ValueError, match=rf"'lbfgs' minimizes one smooth function and takes l2 alone; got .*'{word}'"):
        options(PLAIN, optimizer="lbfgs", **given)
    assert options(PLAIN, optimizer="lbfgs", l2=0.1).regularization.l2 == 0.1


def test_lbfgs_refuses_dropout():
    with pytest.raises(ValueError, match="dropout"):
        options(make_spec([3, 4, 2], "tanh", "squared_error", "float32", 1.0, 0.5), optimizer="lbfgs")


# ---- What they become


def test_numbers_of_numpy_become_those_of_python():
    made = options(epochs=np.int64(3), batch_size=np.uint8(7), n_threads=np.int32(2), shuffle=np.bool_(False))
    values = made.epochs, made.batch_size, made.n_threads, made.shuffle
    assert values == (3, 7, 2, False)
    assert [type(value) for value in values] == [int, int, int, bool]


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [
        ("sgd", 0.1),
        ("adam", 0.001),
        ("adamw", 0.001),
        ("rmsprop", 0.01),
        ("adagrad", 0.01),
        (fastnn.Adam(learning_rate=0.5), 0.5),
    ],
    ids=str,
)
def test_the_learning_rate_is_that_of_the_optimizer_unless_fit_is_given_one(optimizer, rate):
    assert options(optimizer=optimizer).rates.source == rate


def test_a_schedule_stays_a_schedule():
    schedule = Cosine(0.2, epochs=9)
    assert options(learning_rate=schedule).rates.source is schedule
    assert options(optimizer=fastnn.SGD(learning_rate=schedule)).rates.source is schedule


def test_without_regularization_every_setting_is_off():
    assert set(dataclasses.asdict(options().regularization).values()) == {0.0, None}


def test_factors_of_the_learning_rate_are_laid_out_by_layer():
    assert options().rate_factors == ()
    assert options(lr_factors={"weights": [1, 2], "biases": 0.5}).rate_factors == (1, 0.5, 2, 0.5, 1, 1, 1, 1)
    scaled = dataclasses.replace(SPEC, learned_input_scale=True)
    assert options(scaled, lr_factors={"input_scales": 9}).rate_factors == (1, 1, 1, 1, 9, 1, 1, 1)
    learned = dataclasses.replace(SPEC, learned_activation=True)
    assert options(learned, lr_factors={"alphas": [3]}).rate_factors == (1, 1, 1, 1, 1, 3, 1, 1)
    embedded = dataclasses.replace(SPEC, embedding=fastnn.PeriodicEmbedding((0,)))
    assert options(embedded, lr_factors={"embedding": 4}).rate_factors == (1, 1, 1, 1, 1, 1, 4, 1)
    coded = dataclasses.replace(SPEC, category_embedding=fastnn.CategoryEmbedding((3,), (0,)))
    assert options(coded, lr_factors={"category_embedding": 5}).rate_factors == (1, 1, 1, 1, 1, 1, 1, 5)
    with pytest.raises(ValueError, match="networks with learned_input_scale"):
        options(lr_factors={"input_scales": 9})


def test_factors_of_the_decay_are_laid_out_likewise():
    given = {"optimizer": "adamw", "decay_factors": {"weights": [1, 2]}}
    assert options(**given).decay_factors == (1, 0, 2, 0, 0, 0, 0, 0)
    with pytest.raises(ValueError, match=r"decay_factors\['weights'\] must be 0 or more"):
        options(optimizer="adamw", decay_factors={"weights": -1.0})
    with pytest.raises(TypeError, match="decay_factors must be a dict"):
        options(optimizer="adamw", decay_factors=2.0)
    with pytest.raises(ValueError, match="for an optimizer with weight decay"):
        options(optimizer=fastnn.AdamW(weight_decay=0.0), decay_factors={"weights": 2.0})


def test_options_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        options().epochs = 5

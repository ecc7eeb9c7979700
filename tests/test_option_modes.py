"""Options x modes: every option of a training is honoured, or refused by name, in every way to train.

An option is honoured if the training comes out otherwise than without it, or if what it asks for is seen.
"""

import inspect
import io
import sys

import numpy as np
import pytest
from scipy.sparse import csr_array

import fastnn
from fastnn.training.streaming import OPTIONS as OF_A_STREAM

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = np.digitize(X[:, 0], [-0.5, 0.5])
VALIDATION = X[:20] + 0.1, Y[:20]
ARCHITECTURE = {
    "sizes": [4, 6, 3],
    "activation": ["tanh", "softmax"],
    "loss": "cross_entropy",
    "learned_input_scale": True,
    "seed": 1,
}


def keywords(function):
    """Return the names of the keyword-only parameters."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]


def fit(X=X, **options):
    scaled = ARCHITECTURE | {"learned_input_scale": not hasattr(X, "tocsr")}
    net = fastnn.Network(**scaled)
    return net, net.fit(X, Y, **{"epochs": 3} | options)


def stream(**options):
    net = fastnn.Network(**ARCHITECTURE)
    epochs = options.pop("epochs", 3)
    return net, net.fit_stream(lambda: iter([(X[:30], Y[:30]), (X[30:], Y[30:])]), epochs=epochs, **options)


def population(**options):
    result = fastnn.fit_many([{}], X, Y, **ARCHITECTURE | {"epochs": 3} | options)
    return result.networks[0], result.histories[0]


MODES = {
    "sgd": fit,
    "adam": lambda **options: fit(**{"optimizer": "adam"} | options),
    "lbfgs": lambda **options: fit(**{"optimizer": "lbfgs"} | options),
    "sparse": lambda **options: fit(csr_array(X), **options),
    "stream": stream,
    "population": population,
}

VALUES = {
    "epochs": 2,
    "batch_size": 7,
    "learning_rate": 0.02,
    "optimizer": fastnn.RMSprop(learning_rate=0.003),
    "validation_data": VALIDATION,
    "validation_split": 0.3,
    "shuffle": False,
    "sample_weight": np.linspace(0.1, 2, 60),
    "class_weight": {0: 5.0},
    "l1": 0.01,
    "l2": 0.05,
    "clip_norm": 0.01,
    "max_norm": 0.3,
    "label_smoothing": 0.3,
    "input_noise": 0.5,
    "ema_decay": 0.9,
    "augmentation": fastnn.augmentation.Images(height=2, width=2, shift=1),
    "lr_factors": {"weights": 0.1},
    "decay_factors": {"weights": 50.0},
    "decay_schedule": fastnn.schedules.Cosine(20.0, epochs=3),
    "dropout_schedule": fastnn.schedules.Cosine(1.0, epochs=3),
    "drop_last": True,
}
"""Option -> a value with which the training comes out otherwise."""

WITH = {"drop_last": {"batch_size": 7}, "validation_split": {"batch_size": 7}}
WITH |= {name: {"optimizer": "adamw"} for name in ("decay_factors", "decay_schedule")}
"""What else must be given for an option to mean something."""

SEEN = {"callbacks", "progress", "n_threads", "on_divergence", "checkpoint", "resume", "checkpoint_seconds"}
"""Options that leave the results as they are; each has a test below."""

ELSEWHERE = {"comm": "test_data_parallel.py", "data": "test_data_parallel.py"}

REFUSED = {
    **{
        ("lbfgs", name): rf"'lbfgs'.*{name}"
        for name in (
            *("learning_rate", "batch_size", "shuffle", "l1", "clip_norm", "max_norm", "label_smoothing"),
            *("input_noise", "ema_decay", "augmentation", "lr_factors", "drop_last"),
        )
    },
    ("lbfgs", "checkpoint"): "'lbfgs'",
    **{
        ("lbfgs", name): f"{name} is for an optimizer with weight decay" for name in ("decay_factors", "decay_schedule")
    },
    **{(mode, "dropout_schedule"): "dropout_schedule is for networks with dropout" for mode in MODES},
    ("sparse", "input_noise"): "sparse.*input_noise",
    ("sparse", "augmentation"): "sparse.*augmentation",
}
"""(mode, option) -> what the error says."""

NO_ARGUMENT = {
    "stream": {"validation_split", "shuffle", "sample_weight", "drop_last", "progress", "checkpoint", "resume"}
    | {"checkpoint_seconds", "comm", "data", "decay_schedule", "dropout_schedule"},
    "population": {"checkpoint", "resume", "checkpoint_seconds", "comm", "data"},
}
"""Mode -> options that it has no argument for: a TypeError of Python or of fastnn names them."""


def test_every_option_has_a_row():
    assert set(keywords(fastnn.Network.fit)) == set(VALUES) | SEEN | set(ELSEWHERE)
    of_a_stream = set(keywords(fastnn.Network.fit_stream)) | OF_A_STREAM
    assert of_a_stream - {"prefetch"} == set(keywords(fastnn.Network.fit)) - NO_ARGUMENT["stream"]


def result(trained):
    net, history = trained
    averaged = (
        net.averaged().parameters.tobytes()
        if net.training_state.optimizer is not None and (net.training_state.optimizer.ema.size)
        else b""
    )
    return net.parameters.tobytes(), averaged, sorted(history), history.epochs


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", VALUES)
def test_an_option_changes_the_training_or_is_refused_by_name(mode, name):
    given = {name: VALUES[name]}
    if name in NO_ARGUMENT.get(mode, ()):
        with pytest.raises(TypeError, match=name):
            MODES[mode](**given)
    elif (mode, name) in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[mode, name]):
            MODES[mode](**given)
    else:
        others = WITH.get(name, {}) if mode != "lbfgs" else {}
        assert result(MODES[mode](**others, **given)) != result(MODES[mode](**others))


@pytest.mark.parametrize("mode", MODES)
def test_callbacks_are_called_and_can_end_it(mode):
    _, history = MODES[mode](callbacks=[lambda net, history: history.epochs == 2])
    assert history.epochs == 2


@pytest.mark.parametrize("mode", [mode for mode in MODES if "progress" not in NO_ARGUMENT.get(mode, ())])
def test_progress_is_shown(mode, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    MODES[mode](progress=True)
    assert sys.stderr.getvalue()


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "population"])
def test_no_more_threads_run_than_allowed(mode):
    assert MODES[mode](n_threads=1)[1].n_threads == 1
    with pytest.raises(ValueError, match="n_threads"):
        MODES[mode](n_threads=0)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in ("lbfgs", "population")])
def test_a_divergence_is_let_pass_where_told(mode, monkeypatch):
    for name, value in {"activation": "identity", "loss": "squared_error"}.items():
        monkeypatch.setitem(ARCHITECTURE, name, value)
    steep = {"learning_rate": 1e30, "optimizer": "sgd"}
    with pytest.raises(fastnn.DivergenceError):
        MODES[mode](**steep)
    with pytest.warns(RuntimeWarning, match="diverg"):
        assert MODES[mode](on_divergence="continue", **steep)[1].stop_reason == "diverged"


@pytest.mark.parametrize("mode", ["sgd", "adam", "sparse"])
def test_a_checkpoint_is_written_and_resumed_from(mode, tmp_path):
    MODES[mode](epochs=1, checkpoint=tmp_path, checkpoint_seconds=0)
    assert (tmp_path / "checkpoint.safetensors").exists()
    resumed = MODES[mode](epochs=3, checkpoint=tmp_path, resume=True)
    assert result(resumed) == result(MODES[mode](epochs=3))


def test_lbfgs_refuses_a_checkpoint(tmp_path):
    with pytest.raises(ValueError, match=REFUSED["lbfgs", "checkpoint"]):
        MODES["lbfgs"](checkpoint=tmp_path)


@pytest.mark.parametrize("name", ["checkpoint_seconds", "resume"])
def test_what_belongs_to_a_checkpoint_needs_one(name):
    with pytest.raises(ValueError, match=name):
        fit(**{name: {"checkpoint_seconds": 3.0, "resume": True}[name]})

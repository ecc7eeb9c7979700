"""What `fit` calls after every epoch."""

import copy
import csv
import itertools
import math
import time

import numpy as np
import pytest
from helpers import bits, regression, regressor

import fastnn
from fastnn.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateLog,
    Metric,
    ModelCheckpoint,
    StopOnNaN,
    TimeLimit,
)
from fastnn.callbacks.runner import CallbackRunner

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 2))


def small(seed=0, **options):
    return fastnn.Network([3, 5, 2], activation="tanh", dtype="float64", seed=seed, **options)


class Script:
    """A callback that writes given values over a column of the history."""

    def __init__(self, name, values):
        self.name, self.values = name, list(values)

    def __call__(self, net, history):
        history[self.name][-1] = self.values[history.epochs - 1]


def test_early_stopping_waits_and_restores_the_best_parameters():
    seen = []
    stop = EarlyStopping("loss", patience=2)
    script = Script("loss", [5, 3, 4, 3, 1])
    net = small()
    history = net.fit(X, Y, epochs=5, callbacks=[script, lambda net, _: seen.append(net.parameters), stop])
    assert (history.epochs, history.stop_reason) == (4, "early_stopping")
    assert (stop.best_epoch, stop.best) == (2, 3)
    assert (net.parameters == seen[1]).all()


def test_early_stopping_can_keep_the_last_parameters():
    seen = []
    net = small()
    callbacks = [Script("loss", [1, 2, 3]), lambda net, _: seen.append(net.parameters)]
    net.fit(X, Y, epochs=3, callbacks=[*callbacks, EarlyStopping("loss", patience=1, restore_best=False)])
    assert len(seen) == 2
    assert (net.parameters == seen[-1]).all()


def test_early_stopping_restores_the_best_parameters_after_all_epochs_too():
    seen = []
    net = small()
    callbacks = [Script("loss", [2, 1, 3]), lambda net, _: seen.append(net.parameters), EarlyStopping("loss")]
    history = net.fit(X, Y, epochs=3, callbacks=callbacks)
    assert history.stop_reason == "epochs"
    assert (net.parameters == seen[1]).all()


def test_early_stopping_counts_only_improvements_above_min_delta():
    stop = EarlyStopping("loss", patience=2, min_delta=0.5)
    history = small().fit(X, Y, epochs=9, callbacks=[Script("loss", [5, 4.6, 4.51, 1, 1, 1]), stop])
    assert (history.epochs, stop.best_epoch) == (3, 1)


def test_early_stopping_expects_accuracies_to_rise():
    stop = EarlyStopping("val_accuracy", patience=1)
    labels = RNG.integers(0, 2, 30)
    script = Script("val_accuracy", [0.5, 0.75, 0.7])
    history = small().fit(X, labels, epochs=9, validation_split=0.3, callbacks=[script, stop])
    assert (history.epochs, stop.best_epoch, stop.best) == (3, 2, 0.75)


def test_early_stopping_starts_afresh_in_each_fit():
    stop = EarlyStopping("loss", patience=1)
    net = small()
    net.fit(X, Y, epochs=3, callbacks=[Script("loss", [1, 2]), stop])
    history = net.fit(X, Y, epochs=3, callbacks=[Script("loss", [9, 8, 7]), stop])
    assert (history.stop_reason, stop.best_epoch) == ("epochs", 3)


def test_the_callback_that_ends_a_training_is_named():
    history = small().fit(X, Y, epochs=9, callbacks=[TimeLimit(1e-9), EarlyStopping("loss", patience=1)])
    assert (history.epochs, history.stop_reason) == (1, "time")


def test_time_limit_lets_a_training_run_until_its_time():
    began = time.perf_counter()
    history = small().fit(X, Y, epochs=10**9, callbacks=[TimeLimit(0.2)])
    assert time.perf_counter() - began >= 0.2
    assert history.stop_reason == "time"


def test_stop_on_nan_ends_a_training_that_would_continue():
    net = fastnn.Network([3, 2], activation="identity", seed=0)
    with pytest.warns(RuntimeWarning, match="diverged"):
        history = net.fit(
            X, Y, epochs=400, learning_rate=100, on_divergence="continue", callbacks=[StopOnNaN()], batch_size=30
        )
    assert history.epochs < 400
    assert not np.isfinite(history["loss"][-1])


def test_model_checkpoint_saves_the_best_model(tmp_path):
    path = tmp_path / "best.safetensors"
    seen = []
    callbacks = [Script("loss", [3, 1, 2]), lambda net, _: seen.append(net.parameters), ModelCheckpoint(path, "loss")]
    small().fit(X, Y, epochs=3, callbacks=callbacks)
    assert (fastnn.load(path).parameters == seen[1]).all()


def test_model_checkpoint_can_save_every_model(tmp_path):
    keep = ModelCheckpoint(tmp_path / "net-{epoch}.safetensors", save_best_only=False)
    net = small()
    net.fit(X, Y, epochs=3, callbacks=[keep])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"net-{n}.safetensors" for n in (1, 2, 3)]
    assert (fastnn.load(tmp_path / "net-3.safetensors").parameters == net.parameters).all()


def test_csv_logger_writes_a_row_as_soon_as_an_epoch_is_over(tmp_path):
    path = tmp_path / "log.csv"
    lines = []
    net = small()
    callbacks = [CSVLogger(path), lambda net, history: lines.append(len(path.read_text().splitlines()))]
    rate = fastnn.schedules.Step(0.5, factor=0.5, step_size=1)
    history = net.fit(X, Y, epochs=3, learning_rate=rate, validation_split=0.2, callbacks=callbacks)
    assert lines == [2, 3, 4]
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "seconds", "learning_rate", "loss", "val_loss"]
    assert [float(row["val_loss"]) for row in rows] == history["val_loss"]
    assert [float(row["learning_rate"]) for row in rows] == [0.5, 0.25, 0.125]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]


def test_learning_rate_log_adds_a_column():
    history = small().fit(X, Y, epochs=2, learning_rate=lambda epoch: 0.5 / (epoch + 1), callbacks=[LearningRateLog()])
    assert history["learning_rate"] == [0.5, 0.25]
    assert history.learning_rates == [0.5, 0.25]


class TestMetric:
    def test_adds_a_column_that_callbacks_behind_it_may_monitor(self):
        metric = Metric("val_mae", lambda y, outputs: abs(outputs - y).mean(), X, Y)
        stop = EarlyStopping("val_mae", patience=100)
        net = small()
        history = net.fit(X, Y, epochs=5, callbacks=[metric, stop])
        assert len(history["val_mae"]) == 5
        assert stop.best == min(history["val_mae"])
        assert abs(net.predict(X) - Y).mean() == pytest.approx(stop.best)

    @pytest.mark.parametrize("name", ["val_auc", "r2", "my_accuracy"])
    def test_some_columns_improve_by_rising(self, name):
        values = iter([0.1, 0.5, 0.3])
        stop = EarlyStopping(name, patience=100)
        small().fit(X, Y, epochs=3, callbacks=[Metric(name, lambda y, outputs: next(values), X, Y), stop])
        assert (stop.best_epoch, stop.best) == (2, 0.5)

    def test_a_column_that_comes_later_cannot_be_monitored(self):
        callbacks = [EarlyStopping("val_mae"), Metric("val_mae", lambda y, outputs: 0.0, X, Y)]
        with pytest.raises(ValueError, match="monitor must be one of loss in this training, got 'val_mae'"):
            small().fit(X, Y, epochs=1, callbacks=callbacks)

    def test_copies_share_the_examples(self):
        metric = Metric("mae", max, X, Y)
        assert copy.deepcopy(metric).X is X

    @pytest.mark.parametrize(
        ("arguments", "error", "word"),
        [
            (("loss", max, X, Y), ValueError, "name must be none of loss"),
            ((3, max, X, Y), TypeError, "name of a column"),
            (("mae", 3, X, Y), TypeError, "function must be callable"),
        ],
    )
    def test_bad_arguments(self, arguments, error, word):
        with pytest.raises(error, match=word):
            Metric(*arguments)


class Recorder(Callback):
    def __init__(self):
        self.calls = []

    def on_fit_begin(self, net, history):
        self.calls.append(("begin", history.epochs))

    def on_epoch_end(self, net, history):
        self.calls.append(("epoch", history.epochs))

    def on_fit_end(self, net, history):
        self.calls.append(("end", history.epochs))


def test_fit_begin_epoch_end_and_fit_end_are_called_in_order():
    recorder = Recorder()
    small().fit(X, Y, epochs=2, callbacks=[recorder])
    assert recorder.calls == [("begin", 0), ("epoch", 1), ("epoch", 2), ("end", 2)]


def test_fit_end_is_called_after_an_error_and_the_network_can_be_trained_again():
    recorder = Recorder()

    def fail(net, history):
        raise KeyError("mine")

    net = small()
    with pytest.raises(KeyError, match="mine"):
        net.fit(X, Y, epochs=2, callbacks=[fail, recorder])
    assert recorder.calls == [("begin", 0), ("end", 1)]
    assert net.fit(X, Y, epochs=1).epochs == 1


def test_lbfgs_calls_the_callbacks_too():
    recorder = Recorder()
    history = small().fit(X, Y, epochs=9, optimizer="lbfgs", callbacks=[recorder, TimeLimit(1e-9)])
    assert history.stop_reason == "time"
    assert recorder.calls == [("begin", 0), ("epoch", 1), ("end", 1)]


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (EarlyStopping(), r"monitor must be one of loss in this training, got 'val_loss'; give fit validation_data"),
        (EarlyStopping("accuracy"), r"got 'accuracy'$"),
        (ModelCheckpoint("x"), r"got 'val_loss'"),
    ],
)
def test_monitoring_a_missing_column_is_refused_before_the_first_epoch(callback, words):
    net = small()
    with pytest.raises(ValueError, match=words):
        net.fit(X, Y, epochs=1, callbacks=[callback])
    assert net.epochs_trained == 0


@pytest.mark.parametrize(
    ("make", "error", "word"),
    [
        (lambda: EarlyStopping(3), TypeError, "monitor"),
        (lambda: EarlyStopping(patience=-1), ValueError, "patience"),
        (lambda: EarlyStopping(min_delta=-1), ValueError, "min_delta"),
        (lambda: TimeLimit(0), ValueError, "seconds"),
        (lambda: TimeLimit("1"), TypeError, "seconds"),
        (lambda: ModelCheckpoint(3), TypeError, "path"),
        (lambda: small().fit(X, Y, epochs=1, callbacks=[EarlyStopping]), TypeError, "class"),
    ],
)
def test_invalid_settings_are_refused(make, error, word):
    with pytest.raises(error, match=word):
        make()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_copy_made_after_an_epoch_trains_on_as_the_network_does(optimizer):
    made = []
    net, rate = small(), {"learning_rate": 0.01, "optimizer": optimizer, "batch_size": 7}
    net.fit(X, Y, epochs=6, callbacks=[lambda net, history: made.append(net.copy())], **rate)
    assert [copy.epochs_trained for copy in made] == [1, 2, 3, 4, 5, 6]
    made[3].fit(X, Y, epochs=2, **rate)
    assert (made[3].parameters == net.parameters).all()


def test_a_saved_model_knows_its_epoch(tmp_path):
    net = small()
    net.fit(X, Y, epochs=3, callbacks=[ModelCheckpoint(tmp_path / "{epoch}", save_best_only=False)])
    assert [fastnn.load(tmp_path / str(epoch)).epochs_trained for epoch in (1, 2, 3)] == [1, 2, 3]


def test_layers_are_frozen_and_unfrozen_between_epochs():
    seen = []

    def gradually(net, history):
        seen.append([weights.copy() for weights in net.weights])
        net.freeze(0) if history.epochs == 1 else net.unfreeze() if history.epochs == 3 else None

    net = small()
    net.fit(X, Y, epochs=5, callbacks=[gradually])
    changed = [[bool((a != b).any()) for a, b in zip(*pair, strict=True)] for pair in itertools.pairwise(seen)]
    assert changed == [[False, True], [False, True], [True, True], [True, True]]


def test_a_column_that_some_epochs_lack_is_padded_with_nan(tmp_path):
    net, log = small(), CSVLogger(tmp_path / "log.csv")
    sometimes = [lambda net, history: history.add(test=history.epochs) if history.epochs % 2 == 0 else None, log]
    history = net.fit(X, Y, epochs=5, callbacks=sometimes, checkpoint=tmp_path / "run")
    np.testing.assert_array_equal(history["test"], [math.nan, 2, math.nan, 4])
    assert history.to_frame()["test"].isna().tolist() == [True, False, True, False, True]
    history.to_csv(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text().splitlines()[-1].endswith(",nan")
    net = small()
    resumed = net.fit(X, Y, epochs=6, callbacks=sometimes, checkpoint=tmp_path / "run", resume=True)
    np.testing.assert_array_equal(resumed["test"], [math.nan, 2, math.nan, 4, math.nan, 6])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (3, r"must return a dict of values by name, got 3"),
        ({3: 4}, r"must return a dict of values by name"),
        ({"best": object()}, r"must hold numbers, texts and numeric arrays, got <object.*for 'best'"),
        ({"best": np.array([1j])}, r"must hold numbers, texts and numeric arrays"),
    ],
    ids=["a number", "a number as a name", "an object", "complex numbers"],
)
def test_a_state_that_cannot_be_saved_is_refused_before_the_first_step(state, message, tmp_path):
    class Keeps(Callback):
        def state(self):
            return state

    net = small()
    before = net.parameters
    with pytest.raises(TypeError, match=rf"Keeps\.state\(\) {message}"):
        net.fit(X, Y, epochs=1, callbacks=[Keeps()], checkpoint=tmp_path)
    assert (net.parameters == before).all()


def test_numpy_scalars_in_a_state_are_saved_as_numbers(tmp_path):
    class Keeps(Callback):
        value = np.float32(0.5)

        def state(self):
            return {"value": self.value}

        def restore(self, state):
            self.value = state["value"]

    small().fit(X, Y, epochs=1, callbacks=[Keeps()], checkpoint=tmp_path)
    other = Keeps()
    small().fit(X, Y, epochs=2, callbacks=[other], checkpoint=tmp_path, resume=True)
    assert other.value == 0.5


def test_a_result_that_is_neither_true_nor_false_is_refused():
    with pytest.raises(TypeError, match="callback function must return True, False or None, got array"):
        small().fit(X, Y, epochs=1, callbacks=[lambda net, history: np.ones(3)])


class CSVLog(Callback):
    """A user's own class, named as fastnn's once was."""


@pytest.mark.parametrize(
    ("callback", "saved", "match"),
    [
        (CSVLogger("log.csv"), "CSVLogger", True),
        (CSVLogger("log.csv"), "CSVLog", True),
        (TimeLimit(9), "StopAfter", True),
        (CSVLog(), "CSVLog", True),
        (TimeLimit(9), "CSVLog", False),
        (CSVLog(), "CSVLogger", False),
    ],
)
def test_a_checkpoint_is_restored_under_the_former_names_of_callbacks(callback, saved, match):
    restored = []
    callback.restore = restored.append
    runner = CallbackRunner([callback], small(), fastnn.History())
    if match:
        runner.restore([[saved, {"best": 3}]], {"callback.0.parameters": np.ones(2)})
        assert [sorted(state) for state in restored] == [["best", "parameters"]]
    else:
        with pytest.raises(ValueError, match=rf"made with the callbacks \['{saved}'\], not"):
            runner.restore([[saved, {}]], {})


def test_a_checkpoint_with_other_callbacks_is_refused():
    with pytest.raises(ValueError, match=r"made with the callbacks \['function', 'TimeLimit'\], not \['TimeLimit'\]"):
        CallbackRunner([TimeLimit(9)], small(), fastnn.History()).restore([["function", {}], ["TimeLimit", {}]], {})


@pytest.mark.parametrize("batch_size", [5, 23])
@pytest.mark.parametrize("n_threads", [None, 1])
def test_callbacks_are_called_after_every_epoch(n_threads, batch_size):
    net, (X, y), calls = regressor(), regression(), []
    history = net.fit(
        X,
        y,
        epochs=6,
        batch_size=batch_size,
        n_threads=n_threads,
        callbacks=[lambda *given: calls.append((*given, len(given[1]["loss"])))],
    )
    assert [n_epochs for _, _, n_epochs in calls] == [1, 2, 3, 4, 5, 6]
    assert all(given is net and record is history for given, record, _ in calls)


def test_a_callback_sees_the_parameters_of_its_epoch():
    net, (X, y), seen = regressor(), regression(), []
    net.fit(X, y, epochs=4, batch_size=5, callbacks=[lambda net, history: seen.append(bits(net.parameters))])
    by_hand = regressor()
    for parameters in seen:
        by_hand.fit(X, y, epochs=1, batch_size=5)
        assert bits(by_hand.parameters) == parameters


def test_a_true_result_of_any_callback_stops_the_training():
    net, (X, y), late = regressor(), regression(), []
    history = net.fit(
        X,
        y,
        epochs=9,
        callbacks=[lambda net, history: history.epochs == 3, lambda net, history: late.append(history.epochs)],
    )
    assert (history.stop_reason, history.epochs, net.epochs_trained) == ("callback", 3, 3)
    assert late == [1, 2, 3]


def test_what_a_callback_writes_into_the_parameters_stays():
    net, (X, y) = regressor(), regression()

    def clip(net, history):
        net.weights[1][...] = 0

    net.fit(X, y, epochs=3, callbacks=[clip])
    assert not net.weights[1].any()


def test_an_error_in_a_callback_is_raised_and_releases_the_network():
    net, (X, y) = regressor(), regression()

    def fail(net, history):
        raise LookupError("from the callback")

    with pytest.raises(LookupError, match="from the callback"):
        net.fit(X, y, epochs=3, callbacks=[fail])
    assert net.epochs_trained == 1
    assert net.fit(X, y, epochs=1).stop_reason == "epochs"


class Observer(Callback):
    """Notes the parameters at the ends of the epochs that it sees."""

    observes_only = True

    def __init__(self):
        self.seen = {}

    def on_epoch_end(self, net, history):
        assert net.epochs_trained == history.epochs
        self.seen[history.epochs] = net.parameters


def test_a_callback_that_only_observes_sees_the_ends_of_some_epochs():
    observer = Observer()
    small().fit(X, Y, epochs=4000, batch_size=4, learning_rate=0.01, callbacks=[observer])
    assert list(observer.seen)[-1] == 4000
    assert 2 < len(observer.seen) < 4000
    for epoch in (next(iter(observer.seen)), 4000):
        net = small()
        net.fit(X, Y, epochs=epoch, batch_size=4, learning_rate=0.01)
        np.testing.assert_array_equal(observer.seen[epoch], net.parameters)


def test_a_callback_that_only_observes_sees_every_epoch_beside_one_that_does_not():
    observer = Observer()
    small().fit(X, Y, epochs=30, callbacks=[observer, lambda net, history: None])
    assert list(observer.seen) == list(range(1, 31))


def test_a_checkpoint_knows_nothing_of_observers(tmp_path):
    runner = CallbackRunner([Observer(), EarlyStopping("loss")], small(), fastnn.History())
    assert [name for name, _ in runner.state()[0]] == ["EarlyStopping"]
    states, arrays = CallbackRunner([EarlyStopping("loss")], small(), fastnn.History()).state()
    runner.restore(states, arrays)

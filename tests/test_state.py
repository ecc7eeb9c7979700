"""What a network carries from one training to the next, and the lock that lets one thread at a time train it."""

import os
import pickle

import numpy as np
import pytest
from helpers import BOTH, bits, call_during_training, in_parallel, regression, regressor, run_python

import fastnn
from fastnn.training.state import TrainingState

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


# ---- One training at a time


@pytest.mark.parametrize("act", ["fit", "step"])
def test_a_second_training_of_one_network_at_the_same_time_is_refused(act):
    net, (X, y) = regressor(), regression()
    second = {"fit": lambda: net.fit(X, y, epochs=1), "step": lambda: net.step(X, y, 0.1)}[act]
    (message,) = call_during_training(net, X, y, second)
    assert "another thread is training this network" in message
    second()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_training_inside_a_training_of_the_same_network_is_refused(optimizer):
    net, (X, y) = regressor(), regression()
    with pytest.raises(RuntimeError, match=r"another thread is training this network; train a copy\(\) there"):
        net.fit(X, y, epochs=3, optimizer=optimizer, callbacks=[lambda net, history: net.step(X, y, 0.1)])
    net.step(X, y, 0.1)


def test_a_stream_is_refused_during_a_training():
    net, (X, y) = regressor(), regression()
    (message,) = call_during_training(net, X, y, lambda: net.fit_stream([(X, y)]))
    assert "another thread is training this network" in message


def test_predictions_are_allowed_during_a_training():
    net, (X, y) = regressor(), regression()
    assert call_during_training(net, X, y, lambda: net.predict(X)) == []


def test_a_copy_may_be_trained_during_a_training():
    net, (X, y) = regressor(), regression()
    assert call_during_training(net, X, y, lambda: net.copy().fit(X, y, epochs=1)) == []


def test_networks_train_side_by_side_in_threads():
    X, y = regression()
    alone = regressor()
    alone.fit(X, y, epochs=20)
    nets = [regressor() for _ in range(4)]
    in_parallel(*[lambda net=net: net.fit(X, y, epochs=20) for net in nets])
    assert {net.parameters.tobytes() for net in nets} == {alone.parameters.tobytes()}


def test_the_lock_is_released_after_an_error():
    state = TrainingState(2, seed=0)
    with pytest.raises(KeyError), state.exclusive():
        raise KeyError
    with state.exclusive():
        pass


IN_A_CHILD = """
import os, threading
import numpy as np
import fastnn

X, y = np.eye(4), np.eye(4)[:, :2]
net = fastnn.Network([4, 6, 2], seed=0)

def outcome_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
FORKED_BESIDE_A_TRAINING = """
inside, leave = threading.Event(), threading.Event()

def wait(net, history):
    inside.set()
    return leave.wait(60)

trainer = threading.Thread(target=lambda: net.fit(X, y, epochs=5, n_threads=1, callbacks=[wait]))
trainer.start()
assert inside.wait(60)
child = os.fork()
if child == 0:
    net.fit(X, y, epochs=1, n_threads=1)
    os._exit(0)
assert outcome_of(child) == 0
try:
    net.fit(X, y, epochs=1, n_threads=1)
except RuntimeError as error:
    print(error)
leave.set()
trainer.join()
"""
FORKED_FROM_A_CALLBACK = """
parent, outcomes = os.getpid(), []

def fork_once(net, history):
    if history.epochs == 1:
        child = os.fork()
        if child:
            outcomes.append(outcome_of(child))

history = net.fit(X, y, epochs=3, n_threads=1, callbacks=[fork_once])
assert (history.epochs, net.fit(X, y, epochs=1).epochs, net.epochs_trained) == (3, 1, 4)
if os.getpid() != parent:
    os._exit(7)
print(outcomes)
"""


@FORKS
def test_a_child_may_train_what_another_thread_of_its_parent_was_training():
    message = run_python(IN_A_CHILD + FORKED_BESIDE_A_TRAINING)
    assert message.strip() == "another thread is training this network; train a copy() there"


@FORKS
def test_parent_and_child_both_continue_a_training_in_which_a_callback_forked():
    assert run_python(IN_A_CHILD + FORKED_FROM_A_CALLBACK).strip() == "[7]"


# ---- Frozen layers


def test_freezing_reaches_the_flags_of_a_training_under_way_and_no_others():
    state = TrainingState(3, seed=0)
    flags = np.zeros(3, np.int64)
    with state.follow_frozen(flags):
        state.freeze(frozenset({0, 2}))
        assert flags.tolist() == [1, 0, 1]
        state.freeze(frozenset({1}))
        assert flags.tolist() == [0, 1, 0]
    state.freeze(frozenset({0}))
    assert (flags.tolist(), state.frozen) == ([0, 1, 0], {0})


# ---- Copies


@BOTH
@pytest.mark.parametrize("optimizer", ["sgd", "adam", fastnn.SGD(momentum=0.9), "rmsprop"], ids=str)
def test_a_state_is_restored_from_its_dump(optimizer, dtype):
    net, (X, y) = regressor(dtype), regression()
    net.freeze(1)
    net.fit(X, y, epochs=2, optimizer=optimizer, ema_decay=0.9)
    state, spec = net.training_state, net.engine.spec
    dumped = pickle.loads(pickle.dumps(state.dump(spec)))
    assert len(dumped["optimizer"].ema) == net.n_parameters  # without padding
    restored = TrainingState.restored(spec, dumped)
    assert (restored.seed, restored.epochs, restored.frozen) == (state.seed, 2, {1})
    assert (restored.optimizer.kind, restored.optimizer.steps) == (state.optimizer.kind, state.optimizer.steps)
    for name in ("moment1", "moment2", "ema"):
        kept, found = getattr(state.optimizer, name), getattr(restored.optimizer, name)
        assert bits(found) == bits(kept)
        assert not np.shares_memory(found, kept)


def test_a_state_without_a_training_is_restored_as_one():
    net = regressor()
    restored = TrainingState.restored(net.engine.spec, net.training_state.dump(net.engine.spec))
    assert (restored.seed, restored.epochs, restored.optimizer, restored.frozen) == (3, 0, None, frozenset())


def test_the_copy_of_a_network_in_training_has_a_free_lock():
    copies, (X, y) = [], regression()
    net = regressor()
    net.fit(X, y, epochs=2, callbacks=[lambda net, history: copies.append(pickle.loads(pickle.dumps(net)))])
    assert [copy.fit(X, y, epochs=1).epochs for copy in copies] == [1, 1]


# ---- What a training that was refused leaves behind


class Table:
    """Rows with named columns, as pandas has them."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.rows, dtype)


def refused_by_the_data(net, table, y, tmp_path):
    net.fit(table, y[:-1], epochs=1)


def refused_by_an_option(net, table, y, tmp_path):
    net.fit(table, y, epochs=1, class_weight={0: 1.0})


def refused_by_a_callback(net, table, y, tmp_path):
    net.fit(table, y, epochs=1, callbacks=[fastnn.callbacks.EarlyStopping()])


def refused_by_the_checkpoint(net, table, y, tmp_path):
    net.copy().fit(table.rows, y, epochs=1, checkpoint=tmp_path)
    net.fit(table, y, epochs=2, batch_size=7, checkpoint=tmp_path, resume=True)


def refused_by_the_names(net, table, y, tmp_path):
    net.class_names = ("one of two",)
    net.fit(table, y, epochs=1, checkpoint=tmp_path)


def refused_by_the_lock(net, table, y, tmp_path):
    with net.training_state.exclusive():
        net.fit(table, y, epochs=1)


def refused_by_the_disk(net, table, y, tmp_path):
    net.fit(table, y, epochs=1, callbacks=[fastnn.callbacks.CSVLogger(tmp_path / "no" / "such" / "directory.csv")])


def refused_by_the_optimizer(net, table, y, tmp_path):
    net.fit(table, y, epochs=1, optimizer=fastnn.Adam(epsilon=1e-320))


REFUSED = [
    refused_by_the_data,
    refused_by_an_option,
    refused_by_a_callback,
    refused_by_the_checkpoint,
    refused_by_the_names,
    refused_by_the_lock,
    refused_by_the_disk,
    refused_by_the_optimizer,
]


@pytest.mark.parametrize("refused", REFUSED, ids=lambda function: function.__name__)
def test_a_training_that_is_refused_late_leaves_no_column_names(refused, tmp_path):
    net, (X, y) = regressor(), regression()
    table = Table(X, ["a", "b", "c", "d"])
    before = net.parameters
    with pytest.raises((TypeError, ValueError, RuntimeError, OSError)):
        refused(net, table, y, tmp_path)
    assert net.column_names is None
    assert (bits(net.parameters), net.epochs_trained) == (bits(before), 0)
    net.class_names = None
    net.fit(table, y, epochs=1)
    assert net.column_names == ("a", "b", "c", "d")


def test_a_training_that_fails_under_way_keeps_the_column_names():
    net, (X, y) = regressor(), regression()

    def fail(net, history):
        raise ValueError("of a callback")

    with pytest.raises(ValueError, match="of a callback"):
        net.fit(Table(X, ["a", "b", "c", "d"]), y, epochs=2, callbacks=[fail])
    assert (net.epochs_trained, net.column_names) == (1, ("a", "b", "c", "d"))


def test_setting_the_seed_is_checked():
    net = regressor()
    net.seed = np.int64(7)
    assert (net.seed, net.training_state.seed) == (7, 7)
    with pytest.raises(ValueError, match="seed must be 0 or more, got -1"):
        net.seed = -1
    assert net.seed == 7

"""Many networks at once."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import fastnn
from fastnn.callbacks import EarlyStopping
from fastnn.schedules import Cosine, ReduceOnPlateau

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (90, 3))
Y = np.stack([X[:, 0] * X[:, 1], np.sin(3 * X[:, 2])], axis=1)
HELD = (X[:30], Y[:30])
SHARED = {"activation": ["tanh", "identity"], "batch_size": 10, "learning_rate": 0.1, "epochs": 12}
CONFIGS = [
    {"sizes": [3, 4, 2], "seed": 1},
    {"sizes": [3, 30, 2], "seed": 2, "optimizer": "adam", "learning_rate": 0.01},
    {"sizes": [3, 8, 2], "seed": 3, "learning_rate": Cosine(0.2, epochs=9)},
    {"sizes": [3, 8, 2], "seed": 4, "learning_rate": ReduceOnPlateau(0.1, patience=1, min_delta=0.1)},
    {"sizes": [3, 5, 2], "seed": 5, "dropout": 0.2, "epochs": 7},
    {"sizes": [3, 6, 2], "seed": 6, "callbacks": [EarlyStopping(patience=1, min_delta=0.02)]},
]
OF_NETWORK = ("sizes", "activation", "seed", "dropout", "precision")
pytestmark = pytest.mark.filterwarnings("ignore:this processor does not multiply bfloat16")


def alone(config, **changes):
    options = {**SHARED, **config, **changes}
    net = fastnn.Network(**{name: options.pop(name) for name in OF_NETWORK if name in options})
    return net, net.fit(X, Y, validation_data=HELD, **options)


def bits(net, history):
    return net.parameters.tobytes(), {name: history[name] for name in history}


@pytest.mark.parametrize("n_threads", [None, 1, 3])
def test_each_network_has_the_bits_of_its_own_fit(n_threads):
    found = fastnn.fit_many(CONFIGS, X, Y, validation_data=HELD, n_threads=n_threads, **SHARED)
    for config, net, history in zip(CONFIGS, found.networks, found.histories, strict=True):
        assert bits(net, history) == bits(*alone(config))
        assert history.stop_reason == ("early_stopping" if "callbacks" in config else "epochs")


def test_networks_in_bfloat16_are_among_them():
    config = {"sizes": [3, 40, 2], "seed": 7, "precision": "bfloat16"}
    found = fastnn.fit_many([config, *CONFIGS[:2]], X, Y, validation_data=HELD, **SHARED)
    assert bits(found.networks[0], found.histories[0]) == bits(*alone(config))
    assert bits(found.networks[0], found.histories[0]) != bits(*alone(config | {"precision": None}))


@pytest.mark.parametrize("halving", [None, 2])
def test_a_start_is_fitted_to_the_data_once(halving):
    started = []

    def start(net, rows):
        started.append(net.sizes)
        fastnn.initialisers.from_data(net, rows)

    found = fastnn.fit_many(CONFIGS[:2], X, Y, validation_data=HELD, halving=halving, start=start, **SHARED)
    assert sorted(started) == sorted(tuple(config["sizes"]) for config in CONFIGS[:2])
    best = found.ranking[0]
    options = {**SHARED, **CONFIGS[best]}
    net = fastnn.Network(**{name: options.pop(name) for name in OF_NETWORK if name in options})
    fastnn.initialisers.from_data(net, X)
    assert bits(found.best, found.histories[best]) == bits(net, net.fit(X, Y, validation_data=HELD, **options))


def test_a_start_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match=r"configs\[0\]: start must be a function .* got 'data'"):
        fastnn.fit_many(CONFIGS[:1], X, Y, start="data", **SHARED)


def test_halving_stops_the_worse_half_and_changes_no_bit_of_the_rest():
    found = fastnn.fit_many(CONFIGS, X, Y, validation_data=HELD, halving=2, **SHARED)
    reasons = [history.stop_reason for history in found.histories]
    assert reasons.count("halving") >= 3
    for config, net, history in zip(CONFIGS, found.networks, found.histories, strict=True):
        if history.stop_reason == "halving":
            assert history.epochs in (2, 4, 8)
            # the schedules of these configs do not depend on the number of epochs
            plain = {name: value for name, value in config.items() if name != "callbacks"}
            assert bits(net, history) == bits(*alone(plain, epochs=history.epochs))
        else:
            assert bits(net, history) == bits(*alone(config))
    first = [history["val_loss"][1] for history in found.histories]
    stopped_first = {number for number, history in enumerate(found.histories) if history.epochs == 2} - {5}
    assert stopped_first == set(np.argsort(first)[3:].tolist()) - {5}


def test_networks_rank_by_their_last_value_and_diverged_ones_last():
    configs = [*CONFIGS[:3], {"sizes": [3, 4, 2], "seed": 1, "learning_rate": 1e6}]
    found = fastnn.fit_many(configs, X, Y, validation_data=HELD, **SHARED)
    last = [history["val_loss"][-1] for history in found.histories[:3]]
    assert found.monitor == "val_loss"
    assert found.ranking == [*np.argsort(last), 3]
    assert found.histories[3].stop_reason == "diverged"
    assert np.isnan(found.scores[3])
    assert found.best is found.networks[int(np.argmin(last))]
    assert f"best {found.ranking[0]}: val_loss=" in repr(found)


def test_larger_accuracies_rank_first():
    labels = (X[:, 0] > 0).astype(int)
    configs = [{"sizes": [3, 2], "seed": 0, "learning_rate": rate} for rate in (1e-6, 1.0)]
    found = fastnn.fit_many(
        configs, X, labels, activation="softmax", loss="cross_entropy", epochs=20, monitor="accuracy"
    )
    assert found.ranking == [1, 0]


def test_an_ensemble_averages_the_best():
    found = fastnn.fit_many(CONFIGS[:4], X, Y, ensemble=2, **SHARED)
    best = [found.networks[number] for number in found.ranking[:2]]
    expected = (best[0].predict(X).astype(float) + best[1].predict(X)) / 2
    np.testing.assert_array_equal(found.ensemble.predict(X), expected)
    np.testing.assert_array_equal(found.ensemble.classify(X), expected.argmax(axis=1))


def test_an_ensemble_with_one_output_is_split_at_one_half():
    nets = [fastnn.Network([1, 1], seed=seed) for seed in range(2)]
    ensemble = fastnn.Ensemble(nets)
    points = np.linspace(-3, 3, 7)[:, None]
    assert ensemble.classify(points).tolist() == (ensemble.predict(points)[:, 0] >= 0.5).astype(int).tolist()
    with pytest.raises(ValueError, match="same inputs and outputs"):
        fastnn.Ensemble([nets[0], fastnn.Network([2, 1], seed=0)])


@pytest.mark.parametrize("halving", [None, 3])
def test_an_executor_gives_the_same_bits(halving):
    here = fastnn.fit_many(CONFIGS, X, Y, validation_data=HELD, halving=halving, **SHARED)
    with ThreadPoolExecutor(2) as pool:
        there = fastnn.fit_many(CONFIGS, X, Y, validation_data=HELD, halving=halving, executor=pool, tasks=3, **SHARED)
    assert there.ranking == here.ranking
    for number in range(len(CONFIGS)):
        pair = [bits(found.networks[number], found.histories[number]) for found in (here, there)]
        assert pair[0] == pair[1]


@pytest.mark.slow
def test_other_processes_give_the_same_bits():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        there = fastnn.fit_many(CONFIGS, X, Y, validation_data=HELD, executor=pool, **SHARED)
    for config, net, history in zip(CONFIGS, there.networks, there.histories, strict=True):
        assert bits(net, history) == bits(*alone(config))


@pytest.mark.slow
def test_joblib_gives_the_same_bits():
    externals = pytest.importorskip("joblib.externals.loky")
    with externals.get_reusable_executor(max_workers=2) as pool:
        there = fastnn.fit_many(CONFIGS[:3], X, Y, validation_data=HELD, executor=pool, **SHARED)
    for config, net, history in zip(CONFIGS, there.networks, there.histories, strict=False):
        assert bits(net, history) == bits(*alone(config))


CLUSTER = """
import numpy as np, fastnn
from dask.distributed import Client, LocalCluster

def main():
    X = np.random.default_rng(0).uniform(-1, 1, (90, 3))
    configs = [dict(sizes=[3, n, 1], seed=n) for n in (2, 5, 9)]
    options = dict(epochs=5, batch_size=10, learning_rate=0.1)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        there = fastnn.fit_many(configs, X, X[:, :1], executor=client.get_executor(), **options)
    here = fastnn.fit_many(configs, X, X[:, :1], **options)
    print([a.parameters.tobytes() == b.parameters.tobytes() for a, b in zip(here.networks, there.networks)])

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_bits(tmp_path):
    pytest.importorskip("dask.distributed")
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    found = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert "[True, True, True]" in found.stdout, found.stderr


@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_ends_all_trainings_and_returns_their_networks():
    def press(net, history):
        if history.epochs == 3:
            signal.raise_signal(signal.SIGINT)

    configs = [{"sizes": [3, 4, 2], "seed": 1, "callbacks": [press]}] + [{"sizes": [3, 4, 2], "seed": 2}] * 5
    began = time.monotonic()
    found = fastnn.fit_many(configs, X, Y, **SHARED | {"epochs": 3_000_000})
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert time.monotonic() - began < 20
    assert {history.stop_reason for history in found.histories} == {"interrupted"}
    assert found.histories[0].epochs >= 3
    assert len(found.ranking) == 6


@pytest.mark.parametrize(
    ("configs", "options", "error", "message"),
    [
        ([], {}, ValueError, "at least one"),
        ({"sizes": [3, 2]}, {}, TypeError, "sequence of dicts"),
        ([{"sizes": [3, 2], "rate": 1}], {}, TypeError, r"'rate' in configs\[0\]"),
        ([{"sizes": [3, 2]}], {"checkpoint": "x"}, TypeError, "'checkpoint' in the shared"),
        ([{"seed": 1}], {}, TypeError, r"configs\[0\] has no 'sizes'"),
        ([{"sizes": [3, 2]}], {"halving": 0}, ValueError, "halving"),
        ([{"sizes": [3, 2], "optimizer": "lbfgs"}], {"halving": 1}, ValueError, "lbfgs"),
        ([{"sizes": [3, 2]}], {"ensemble": 2}, ValueError, "ensemble must be at most"),
        (
            [{"sizes": [3, 2]}],
            {"monitor": "val_loss"},
            ValueError,
            r"configs\[0\]: monitor must be one of loss .*'val_loss'",
        ),
        ([{"sizes": [2, 2]}], {}, ValueError, r"X must have shape \(n, 2\)"),
    ],
)
def test_invalid_arguments_are_refused(configs, options, error, message):
    with pytest.raises(error, match=message):
        fastnn.fit_many(configs, X, Y, epochs=1, **options)


def test_the_progress_bar_counts_networks(capsys):
    fastnn.fit_many(CONFIGS[:3], X, Y, progress=True, halving=2, **SHARED)
    assert "3/3" in capsys.readouterr().err


def test_an_error_in_one_training_is_raised():
    def fail(net, history):
        raise ZeroDivisionError("of a callback")

    configs = [{"sizes": [3, 4, 2], "callbacks": [fail]}] + [{"sizes": [3, 4, 2], "seed": 2}] * 9
    with pytest.raises(ZeroDivisionError, match="of a callback"):
        fastnn.fit_many(configs, X, Y, **SHARED)


def test_an_error_in_one_training_ends_the_others():
    def fail(net, history):
        raise ZeroDivisionError

    configs = [{"sizes": [3, 4, 2], "epochs": 10**9}, {"sizes": [3, 4, 2], "epochs": 1, "callbacks": [fail]}]
    with pytest.raises(ZeroDivisionError):
        fastnn.fit_many(configs, X, Y, n_threads=2)


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ({"batch_size": 0}, {}, r"configs\[1\]: batch_size must be 1 or more"),
        ({"sizes": 5}, {}, r"configs\[1\]: sizes must be a sequence"),
        ({"epochs": None}, {}, r"configs\[1\]: epochs must be an integer"),
        ({"optimizer": "fast"}, {}, r"configs\[1\]: optimizer must be one of"),
        ({"callbacks": print}, {}, r"configs\[1\]: callbacks must be a sequence"),
        ({"activation": "bent"}, {}, r"configs\[1\]: activation must be one of"),
        ({}, {"monitor": "los"}, "monitor must be one of loss"),
        ({}, {"monitor": 5}, "monitor must be one of loss"),
        ({}, {"executor": 5}, "executor must have a method submit"),
    ],
)
def test_invalid_configs_are_refused_before_anything_is_trained(config, options, message, monkeypatch):
    monkeypatch.setattr("fastnn.population.sweep.train_segment", None)
    with pytest.raises((ValueError, TypeError), match=message):
        fastnn.fit_many([{"sizes": [3, 2], "epochs": 1}, {"sizes": [3, 2], "epochs": 1} | config], X, Y, **options)


def test_sizes_may_be_an_iterator():
    found = fastnn.fit_many([{"sizes": iter([3, 4, 2]), "epochs": 1}], X, Y)
    assert found.best.sizes == (3, 4, 2)


@pytest.mark.parametrize("networks", [[5], [], None, 5], ids=str)
def test_an_ensemble_takes_only_networks(networks):
    with pytest.raises(TypeError, match="networks must be"):
        fastnn.Ensemble(networks)

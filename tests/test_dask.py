"""The estimators for tables on Dask collections: on a cluster of processes, of which some are lost."""

import os
import signal
import time

import numpy as np
import pytest

import fastnn
from fastnn.callbacks import Callback

pytest.importorskip("sklearn")
pytest.importorskip("distributed")
pandas = pytest.importorskip("pandas")
dd = pytest.importorskip("dask.dataframe")

import dask.array as da  # noqa: E402
from distributed import Client, LocalCluster  # noqa: E402
from sklearn.base import clone  # noqa: E402

import fastnn.dask  # noqa: E402
import fastnn.sklearn  # noqa: E402
from fastnn.dask import TabularClassifier, TabularRegressor, WorkerLostError, cluster, encoding, fitting  # noqa: E402
from fastnn.tabular.request import KnownTargets  # noqa: E402

N = 900
SHORT = {"hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 3, "variant": "td_s"}


def start_cluster(processes=True):
    return LocalCluster(n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=":0")


@pytest.fixture(scope="module")
def client():
    with start_cluster() as workers, Client(workers) as client:
        yield client


def table(n=N):
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "x": rng.normal(size=n),
            "price": rng.exponential(size=n),
            "colour": rng.choice(["red", "blue", "green"], n, p=[0.5, 0.49, 0.01]),
            "when": pandas.Timestamp("2020-01-01") + pandas.to_timedelta(rng.integers(0, 500, n), unit="D"),
        }
    )
    frame.loc[::9, "price"] = np.nan
    return frame


FRAME = table()
LABELS = pandas.Series(np.where((FRAME["x"] > 0) ^ (FRAME["colour"] == "red"), "yes", "no"), name="answer")
QUANTITY = 100 * FRAME["x"] + 10 * (FRAME["colour"] == "red")
WEIGHT = pandas.Series(np.linspace(0, 2, N))


def spread(*tables, npartitions=5):
    return [dd.from_pandas(each, npartitions=npartitions) for each in tables]


def in_memory(estimator):
    kind = getattr(fastnn.sklearn, type(estimator).__name__)
    return kind(**estimator.get_params(deep=False))


def assert_same(found, expected, X=FRAME):
    """The tolerance: sums over batches are rounded in another order, and 3 epochs follow."""
    assert found.encoder_.state() == expected.encoder_.state()
    scores = [np.array(each.best_validation_score_, float) for each in (found, expected)]  # None is NaN
    np.testing.assert_allclose(*scores, rtol=1e-5)
    assert found.evals_result_.keys() == expected.evals_result_.keys()
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-5)
    method = "predict_proba" if hasattr(found, "predict_proba") else "predict"
    answers = getattr(expected, method)(X)
    np.testing.assert_allclose(getattr(found, method)(X), answers, rtol=1e-4, atol=1e-4 * np.abs(answers).max())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"validation_metric": "auc"},
        {"validation_fraction": None},
        {"n_ensemble": 2},
        {"class_weight": "balanced", "batch_size": 5000},
        {"categorical_features": ["when"]},
    ],
    ids=str,
)
def test_a_classifier_is_that_of_one_process(client, options):
    estimator = TabularClassifier(**SHORT | options)
    found = estimator.fit(*spread(FRAME, LABELS))
    assert found is estimator
    assert_same(found, in_memory(estimator).fit(FRAME, LABELS))


@pytest.mark.parametrize(
    "options", [{}, {"validation_metric": "mae"}, {"quantiles": [0.2, 0.8]}, {"n_ensemble": 2}], ids=str
)
def test_a_regressor_with_weights_is_that_of_one_process(client, options):
    estimator = TabularRegressor(**SHORT | options)
    found = estimator.fit(*spread(FRAME, QUANTITY, WEIGHT))
    assert_same(found, in_memory(estimator).fit(FRAME, QUANTITY, WEIGHT))


def test_arrays_with_chunks_of_columns_and_several_targets(client):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 4))
    Y = X[:, :2] ** 2
    found = TabularRegressor(**SHORT).fit(da.from_array(X, chunks=(300, 2)), da.from_array(Y, chunks=(300, 2)))
    expected = fastnn.sklearn.TabularRegressor(**SHORT).fit(X, Y)
    assert_same(found, expected, X)
    answers = found.predict(da.from_array(X, chunks=(200, 4)))
    assert answers.shape == (N, 2)
    np.testing.assert_array_equal(answers.compute(), found.predict(X))


def test_partitions_that_are_sorted_short_or_empty_change_nothing(client):
    order = np.argsort(LABELS.to_numpy(), kind="stable")
    frame, labels = FRAME.iloc[order].reset_index(drop=True), LABELS.iloc[order].reset_index(drop=True)
    X = dd.from_pandas(frame, npartitions=1).repartition(divisions=[0, 1, 3, 400, N - 1])
    Y = dd.from_pandas(labels, npartitions=1).repartition(divisions=[0, 1, 3, 400, N - 1])
    X, Y = dd.concat([X, X.loc[N:]]), dd.concat([Y, Y.loc[N:]])
    assert 0 in X.map_partitions(len).compute().tolist()
    found = TabularClassifier(**SHORT).fit(X, Y)
    assert_same(found, fastnn.sklearn.TabularClassifier(**SHORT).fit(frame, labels), frame)
    assert len(found.predict(X).compute()) == N
    assert found.predict_log_proba(X).compute().shape == (N, 2)


@pytest.mark.parametrize("metric", ["error", "auc"])
def test_given_validation_rows_and_sets_are_evaluated(client, metric):
    estimator = TabularClassifier(**SHORT | {"validation_metric": metric, "calibrate": True})
    sets = {"X_val": FRAME[:101], "y_val": LABELS[:101], "eval_set": [(FRAME[101:200], LABELS[101:200])]}
    found = estimator.fit(*spread(FRAME, LABELS), **sets)
    expected = in_memory(estimator).fit(FRAME, LABELS, **sets)
    assert_same(found, expected)
    for name, values in expected.evals_result_["validation_1"].items():
        np.testing.assert_allclose(found.evals_result_["validation_1"][name], values, rtol=1e-4)


def test_the_simple_variant_is_the_default(client):
    found = TabularClassifier(**SHORT | {"variant": None}).fit(*spread(FRAME, LABELS))
    assert_same(found, fastnn.sklearn.TabularClassifier(**SHORT).fit(FRAME, LABELS))


def test_the_whole_recipe_learns_on_workers(client):
    estimator = TabularRegressor(**SHORT | {"max_iter": 40, "variant": "td"})
    X, y = spread(FRAME, QUANTITY)
    assert estimator.fit(X, y).score(X, y) > 0.8


def test_a_fitted_estimator_is_an_ordinary_one(client, tmp_path):
    X, y = spread(FRAME, LABELS)
    found = TabularClassifier(**SHORT).fit(X, y)
    assert found.score(X, y) == found.score(FRAME, LABELS)
    np.testing.assert_array_equal(found.predict(X).compute(), found.predict(FRAME))
    np.testing.assert_array_equal(X.map_partitions(found.predict).compute(), found.predict(FRAME))
    found.save(tmp_path / "model.safetensors")
    model = fastnn.load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(model.predict(FRAME), found.predict(FRAME))
    assert clone(found).get_params() == found.get_params()


def test_training_is_ended_once_for_all(client):
    found = TabularClassifier(**SHORT, callbacks=[lambda net, history: history.epochs == 2]).fit(*spread(FRAME, LABELS))
    assert (found.n_iter_, found.histories_[0].stop_reason) == (2, "callback")


def test_workers_may_be_threads_of_one_process():
    with start_cluster(processes=False) as workers, Client(workers):
        found = TabularClassifier(**SHORT).fit(*spread(FRAME, LABELS))
    assert_same(found, fastnn.sklearn.TabularClassifier(**SHORT).fit(FRAME, LABELS))


def test_beyond_the_sample_levels_and_missing_values_come_from_all_rows(client, monkeypatch):
    monkeypatch.setattr(encoding, "SAMPLE_ROWS", 60)
    options = SHORT | {"validation_fraction": None, "max_iter": 30}
    found = TabularClassifier(**options).fit(*spread(FRAME, LABELS))
    expected = fastnn.sklearn.TabularClassifier(**options).fit(FRAME, LABELS)
    assert found.encoder_.feature_names == expected.encoder_.feature_names
    assert found.encoder_.columns[2].state() == expected.encoder_.columns[2].state()
    assert found.encoder_.columns[0].centre == pytest.approx(expected.encoder_.columns[0].centre, abs=0.5)
    assert found.score(FRAME, LABELS) > 0.9


# ---- Workers that are lost


class Harm(Callback):
    """Send a signal to a process when two epochs are done."""

    def __init__(self, number, *, other, pids):
        self.number, self.other, self.pids = number, other, pids

    def on_epoch_end(self, net, history):
        if history.epochs == 2:
            (pid,) = [pid for pid in self.pids if (pid != os.getpid()) == self.other]
            os.kill(pid, self.number)
            time.sleep(0.2)


def loses(client, number, *, other, timeout=60.0):
    """The error of a fit of which one worker is lost, and the addresses by process."""
    pids = {pid: address for address, pid in client.run(os.getpid).items()}
    harm = Harm(number, other=other, pids=list(pids))
    with pytest.raises(WorkerLostError) as caught:
        TabularClassifier(**SHORT | {"max_iter": 10_000}, callbacks=[harm]).fit(
            *spread(FRAME, LABELS), client=client, timeout=timeout
        )
    return caught.value, pids


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no such signals")
@pytest.mark.parametrize(
    "other", [pytest.param(True, id="another"), pytest.param(False, id="the first", marks=pytest.mark.slow)]
)
def test_a_worker_that_is_killed_is_an_error_that_names_it_and_a_fit_begins_anew(other):
    with start_cluster() as workers, Client(workers) as client:
        error, pids = loses(client, signal.SIGKILL, other=other)
        (address,) = error.workers
        assert address in pids.values()
        assert f"the training lost the worker {address}" in str(error)
        client.wait_for_workers(2, timeout=60)
        again = TabularClassifier(**SHORT).fit(*spread(FRAME, LABELS))
    assert_same(again, fastnn.sklearn.TabularClassifier(**SHORT).fit(FRAME, LABELS))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system has no such signals")
def test_a_worker_that_falls_silent_is_an_error_that_names_it():
    with start_cluster() as workers, Client(workers) as client:
        error, pids = loses(client, signal.SIGSTOP, other=True, timeout=2.0)
        stopped = [pid for pid, address in pids.items() if address in error.workers]
        assert len(stopped) == 1
        assert "was silent for 2 s" in str(error)
        os.kill(stopped[0], signal.SIGKILL)


def test_an_error_on_a_worker_is_raised_on_the_client_with_its_address(client, monkeypatch):
    monkeypatch.setattr(encoding, "SAMPLE_ROWS", 100)
    frame = FRAME.assign(x=np.where(np.arange(N) == N - 1, np.inf, FRAME["x"]))

    def fail(net, history):
        raise ZeroDivisionError("in a callback")

    with pytest.raises(ValueError, match="infinity in column 'x'"):
        TabularClassifier(**SHORT).fit(*spread(frame, LABELS))
    with pytest.raises(ZeroDivisionError, match="in a callback") as caught:
        TabularClassifier(**SHORT, callbacks=[fail]).fit(*spread(FRAME, LABELS))
    assert caught.value.__notes__[0].startswith("on the worker tcp://")


def test_divergence_is_raised_on_the_client(client):
    with pytest.raises(fastnn.DivergenceError):
        TabularRegressor(**SHORT | {"learning_rate_init": 1e30}).fit(*spread(FRAME, QUANTITY))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": FRAME}, TypeError, "X must be a DataFrame, Series or Array of Dask, got DataFrame"),
        ({"y": LABELS}, TypeError, "y must be a DataFrame, Series or Array of Dask, got Series"),
        (
            {"y": dd.from_pandas(LABELS, npartitions=2)},
            ValueError,
            "X and y must have the same partitions, got 5 and 2",
        ),
        ({"timeout": 0}, ValueError, "timeout must be"),
        ({"client": 3}, TypeError, "client must be a distributed.Client"),
        ({"X_val": dd.from_pandas(FRAME, 1), "y_val": LABELS}, TypeError, "X_val, y_val must be in memory"),
        ({"n_threads": 2}, ValueError, "each worker trains on one thread, got n_threads=2"),
        ({"calibrate": True}, ValueError, "calibrate=True needs X_val and y_val"),
        ({"categorical_features": ["sound"]}, ValueError, "categorical_features must hold names"),
    ],
    ids=["X", "y", "partitions", "timeout", "client", "X_val", "n_threads", "calibrate", "categories"],
)
def test_bad_arguments_are_refused(client, change, error, message):
    X, y = spread(FRAME, LABELS)
    given = {"X": X, "y": y} | change
    options = {name: given.pop(name) for name in list(given) if name in TabularClassifier().get_params()}
    with pytest.raises(error, match=message):
        TabularClassifier(**SHORT | options).fit(given.pop("X"), given.pop("y"), **given)


def test_partitions_of_unequal_rows_are_refused(client):
    X = da.from_array(np.zeros((10, 2)), chunks=(5, 2))
    y = da.from_array(np.arange(10), chunks=((4, 6),))
    with pytest.raises(ValueError, match=r"got 5 and (4 in partition 0|6 in partition 1)"):  # either fails first
        TabularRegressor(**SHORT).fit(X, y)
    with pytest.raises(ValueError, match="X must have at least one row, got none in 1 partitions"):
        TabularRegressor(**SHORT).fit(da.zeros((0, 2)), da.zeros(0))


def test_without_a_client_and_with_a_secured_cluster_a_fit_is_refused(client, monkeypatch):
    X, y = spread(FRAME, LABELS)
    with monkeypatch.context() as context:
        context.setattr(client, "nthreads", lambda: {"tls://10.0.0.1:1": 1})
        with pytest.raises(ValueError, match="this cluster is secured by TLS"):
            TabularClassifier(**SHORT).fit(X, y, client=client)

    def find_none():
        raise ValueError("No clients found")

    monkeypatch.setattr(cluster.distributed, "get_client", find_none)
    with pytest.raises(ValueError, match="fit needs a client of a Dask cluster"):
        TabularClassifier(**SHORT).fit(X, y)


# ---- Which workers train


def known_targets(train, held):
    return KnownTargets("y", None, np.zeros(10), None, np.array(train), np.array(held, np.int64), "float32")


@pytest.mark.parametrize(
    ("places", "train", "held", "ranks"),
    [
        ("abab", range(8), [8, 9], [("b", [0, 1, 2, 3])]),
        ("abab", [0, 2, 4, 6, 8], [1, 3, 5, 7, 9], [("a", [0, 2]), ("b", [1, 3])]),
        ("abca", [0, 2, 4, 6, 8], [1, 5, 9], [("a", [0, 1, 3]), ("c", [2])]),
        ("abab", range(10), [], [("a", [0, 2]), ("b", [1, 3])]),
        ("aabb", [0, 1], [8, 9], [("a", [0, 1, 2, 3])]),
    ],
    ids=["held on one", "both", "moved", "none held", "apart"],
)
def test_workers_with_rows_of_each_kind_train(places, train, held, ranks):
    starts = np.array([0, 2, 4, 6, 10])
    found = fitting._make_ranks(known_targets(list(train), held), places, starts)
    assert [(rank.worker, rank.numbers) for rank in found] == ranks
    assert sorted(np.concatenate([rank.held for rank in found]).tolist()) == list(range(len(held)))

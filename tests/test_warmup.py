"""Compiling ahead of time."""

import subprocess
import sys

import pytest

import fastnn
from fastnn.kernels import threads
from fastnn.kernels.jit import COMPILED

WARM = """
import fastnn
from fastnn.kernels import kernel_table, predict, train_loop
fastnn.warmup(["float32"], progress=False)
kept = [*kernel_table.every_kernel()]
kept += [train_loop.train, predict.predict, predict.predict_few]
print(*[dispatcher.py_func.__name__ for dispatcher in kept if len(dispatcher.overloads) != 1])
"""


@pytest.mark.skipif(not COMPILED, reason="without compilation nothing is compiled")
def test_warmup_leaves_no_kernel_of_the_type_to_be_compiled_later():
    found = subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, timeout=300, check=True)
    assert found.stdout.split() == ([] if threads.max_threads() > 1 else ["train", "predict"])  # those of many threads


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("float16", ValueError),
        (["float32", "float16"], ValueError),
        (3, TypeError),
        (None, TypeError),
        ([int], TypeError),
    ],
)
def test_what_cannot_be_compiled_for_is_refused_before_anything_is_compiled(what, error, monkeypatch):
    monkeypatch.setattr(sys.modules["fastnn.warmup"], "JOBS", {"nothing": pytest.fail})
    with pytest.raises(error, match="what must be 'float32' or 'float64', a Network, or an estimator or its class"):
        fastnn.warmup(what)


LATER = """
import numpy as np
import fastnn
from fastnn.kernels import registry
X = np.random.default_rng(0).normal(size=(300, 5))
{before}
def loaded():
    return {{(k.py_func.__name__, s) for k in (*registry.LINKED_KERNELS, *registry.ENTRIES) for s in k.overloads}}
ready = loaded()
{after}
print(*(name for name, _ in loaded() - ready))
"""
NETWORK = "net = fastnn.Network([5, 8, 3], seed=0, precision='bfloat16', activation='relu', loss='squared_error')"
CASES = {
    "a network": (
        f"{NETWORK}; fastnn.warmup(net, progress=False)",
        "net.fit(X, X[:, :3], epochs=1, progress=False); net.predict(X)",
    ),
    "a class": (
        "import fastnn.sklearn; fastnn.warmup(fastnn.sklearn.TabularClassifier, progress=False)",
        "fastnn.sklearn.TabularClassifier(max_iter=3).fit(X, X[:, 0] > 0).predict(X)",
    ),
    "an estimator": (
        "import fastnn.sklearn as ours; of = {'solver': 'sgd', 'hidden_layer_sizes': (8,)}; "
        "fastnn.warmup(ours.MLPRegressor(**of), progress=False)",
        "ours.MLPRegressor(**of, max_iter=3).fit(X, X[:, 0]).predict(X)",
    ),
}


@pytest.mark.skipif(not COMPILED, reason="without compilation nothing is compiled")
@pytest.mark.parametrize("case", CASES)
def test_what_was_named_compiles_nothing_later(case):
    if case != "a network":
        pytest.importorskip("sklearn")
    before, after = CASES[case]
    program = LATER.format(before=before, after=after)
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
    program = LATER.format(before=before.split("fastnn.warmup")[0], after=after)
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert "train_steps" in found.stdout.split()  # so it would have been seen


def test_an_estimator_keeps_its_parameters():
    ours = pytest.importorskip("fastnn.sklearn")
    estimator = ours.MLPClassifier((3,), max_iter=77)
    fastnn.warmup(estimator, progress=False)
    assert estimator.max_iter == 77
    assert not hasattr(estimator, "coefs_")

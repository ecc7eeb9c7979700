"""The estimators in children that are forked while other threads of the parent use them."""

import os

import pytest
from helpers import run_python

pytest.importorskip("sklearn")

PROGRAM = """
import os, signal, sys, threading, time, warnings
import numpy as np
from fastnn.sklearn import MLPClassifier, MLPRegressor
from sklearn.base import clone, is_classifier

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(300, 4))
y = np.digitize(X[:, 0], [-0.5, 1.0])
models = [
    MLPClassifier((300, 300), max_iter=2, random_state=0).fit(X, y),
    MLPRegressor(hidden_layer_sizes=(30,), max_iter=2, random_state=0).fit(X, X[:, 1]),
    MLPClassifier((30,), max_iter=2, random_state=0).fit(X.astype("float32"), np.array(["a", "b", "c"])[y]),
]
models[1].coefs_[0] = models[1].coefs_[0].copy()  # predicts by a copy of arrays that are not the network's
CLASSES = {True: {"classes": [0, 1, 2]}, False: {}}
CALLS = {
    "predict": lambda model: model.predict(X[:1]),
    "score": lambda model: model.score(X, model.predict(X)),
    "fit": lambda model: clone(model).fit(X, y),
    "partial_fit": lambda model: clone(model).partial_fit(X, y, **CLASSES[is_classifier(model)]),
}
call = CALLS[sys.argv[1]]

def work():
    while True:
        for model in models:
            call(model)

threading.Thread(target=work, daemon=True).start()
outcomes = []
for child in range(6):
    time.sleep(0.01 * child)
    number = os.fork()
    if number == 0:
        signal.alarm(60)
        for model in models:
            call(model)
        os._exit(0)
    outcomes.append(os.waitpid(number, 0)[1])
print(outcomes, flush=True)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("call", ["predict", "score", "fit", "partial_fit"])
def test_a_child_forked_while_another_thread_is_in_an_estimator_ends_well(call):
    assert run_python(PROGRAM, call).strip() == str([0] * 6)

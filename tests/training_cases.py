"""Trainings of every kind for test_determinism.py, which runs this file in child processes: digests by thread count."""

import hashlib
import json
import sys

import numba
import numpy as np
import scipy.sparse

import fastnn
from fastnn.kernels import threads
from fastnn.kernels.activations import CODES as ACTIVATION_CODES
from fastnn.kernels.losses import CODES as LOSS_CODES
from fastnn.parameters import BLOCK_ROWS
from fastnn.spec import LOSS_OUTPUT

WIDE = [70, 130, 90, 5]
"""Layers wide and deep enough to be divided among threads."""

HIDDEN = [name for name in ACTIVATION_CODES if name not in ("softmax", "step")]
CLASSIFIER = {"activation": ["relu", "tanh", "softmax"], "loss": "cross_entropy"}
DROPPED = CLASSIFIER | {"dropout": 0.3}
LIMITS = {"clip_norm": 1.0, "max_norm": 0.9}
EVERYTHING = {"l1": 1e-4, "l2": 1e-3, "clip_norm": 1.0, "max_norm": 3.0, "input_noise": 0.1, "ema_decay": 0.9}
IMAGES = fastnn.augmentation.Images(
    height=7, width=10, shift=1, rotation=10, scale=0.2, shear=5, elastic_alpha=5, elastic_sigma=2, horizontal_flip=True
)
OPTIMIZERS = {
    "sgd": "sgd",
    "momentum": fastnn.SGD(momentum=0.9),
    "nesterov": fastnn.SGD(momentum=0.9, nesterov=True),
    "adam": "adam",
    "adamw": "adamw",
    "rmsprop": "rmsprop",
    "adagrad": "adagrad",
}


def make_cases():
    """Return arguments of `Network` and of `fit` by the name of the case."""
    cases = {}
    for name in HIDDEN:
        steep = {"learning_rate": 1e-7} if name == "exponential" else {}
        cases[f"{name} neurons"] = {"activation": [name, name, "identity"]}, steep
    for loss in LOSS_CODES:
        cases[loss] = {"activation": ["tanh", "relu", LOSS_OUTPUT.get(loss, "identity")], "loss": loss}, {}
    for name, optimizer in OPTIMIZERS.items():
        cases[name] = CLASSIFIER, {"optimizer": optimizer}
        weighted = {"sample_weight": np.arange(1.0, 301.0)}
        cases[f"{name}, regularized"] = CLASSIFIER | {"dropout": 0.2}, EVERYTHING | weighted | {"optimizer": optimizer}
    for batch_size in (7, 64, BLOCK_ROWS + 30):
        cases[f"batches of {batch_size}"] = CLASSIFIER, {"batch_size": batch_size, "validation_split": 0.4}
    return cases | {
        "no shuffle": (CLASSIFIER, {"shuffle": False}),
        "adam, l1, average": (DROPPED, {"optimizer": "adam", "l1": 1e-3, "ema_decay": 0.9}),
        "nesterov, clipped, l2": (DROPPED, {"optimizer": OPTIMIZERS["nesterov"], "clip_norm": 0.3, "l2": 0.1}),
        "rmsprop, max norm, noise": (DROPPED, {"optimizer": "rmsprop", "max_norm": 0.7, "input_noise": 0.3}),
        "adagrad, smoothed, clipped": (DROPPED, {"optimizer": "adagrad", "label_smoothing": 0.2} | LIMITS),
        "clipped large batch": (DROPPED, {"batch_size": BLOCK_ROWS + 40, "clip_norm": 0.2}),
        "class weights": (CLASSIFIER, {"class_weight": "balanced"}),
        "schedule": (CLASSIFIER, {"learning_rate": fastnn.schedules.Cosine(0.2, epochs=2)}),
        "plateau": (CLASSIFIER, {"learning_rate": fastnn.schedules.ReduceOnPlateau(0.1, patience=1, min_delta=9.0)}),
        "callbacks": (CLASSIFIER, {"callbacks": [lambda net, history: net.freeze(1)]}),
        "learned input scales": (CLASSIFIER | {"learned_input_scale": True}, {}),
        "learned input scales, adam": (CLASSIFIER | {"learned_input_scale": True}, EVERYTHING | {"optimizer": "adam"}),
        "learning rate factors": (CLASSIFIER, {"lr_factors": {"weights": [1.0, 0.5, 2.0], "biases": 0.1}}),
        "adamw, scheduled": (
            DROPPED | {"learned_input_scale": True},
            {
                "optimizer": fastnn.AdamW(weight_decay=0.5),
                "decay_factors": {"biases": 0.5, "input_scales": 3.0},
                "decay_schedule": fastnn.schedules.FlatCosine(1.0, epochs=2),
                "dropout_schedule": fastnn.schedules.FlatCosine(1.0, epochs=2),
            },
        ),
        "learned activations": (DROPPED | {"learned_activation": True}, EVERYTHING | {"optimizer": "adam"}),
        "embedded numbers": (CLASSIFIER | {"embedding": fastnn.PeriodicEmbedding(range(9))}, {}),
        "embedded numbers, scaled": (
            DROPPED | {"embedding": fastnn.PeriodicEmbedding(range(9)), "learned_input_scale": True},
            EVERYTHING | {"optimizer": "adam", "batch_size": BLOCK_ROWS + 30},
        ),
        "embedded numbers, piecewise linear": (
            DROPPED | {"embedding": fastnn.PiecewiseLinearEmbedding((0, 4), n_bins=7)},
            EVERYTHING | {"optimizer": "adam", "batch_size": BLOCK_ROWS + 30},
        ),
        "embedded categories": (
            DROPPED | {"category_embedding": fastnn.CategoryEmbedding((40, 3), (0, 5)), "learned_input_scale": True},
            EVERYTHING | {"optimizer": "adam", "batch_size": BLOCK_ROWS + 30, "input_noise": 0.0},
        ),
        "incomplete batches dropped": (CLASSIFIER, {"batch_size": 70, "drop_last": True}),
        "distorted images": (CLASSIFIER, {"augmentation": IMAGES}),
        "inputs of bytes": (CLASSIFIER | {"input_scale": 1 / 255}, {}),
        "sparse inputs": (CLASSIFIER, {"batch_size": 64}),
        "L-BFGS": (CLASSIFIER, {"optimizer": "lbfgs", "l2": 1e-3, "learning_rate": None, "batch_size": None}),
    }


CASES = make_cases()


def data_of(case):
    """Return 300 rows, and targets that suit the loss."""
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(300, WIDE[0])).astype("float32"), rng.integers(0, WIDE[-1], 300)
    numbers = rng.uniform(0.1, 1, (300, WIDE[-1]))
    if case == "inputs of bytes":
        X = rng.integers(0, 256, X.shape).astype("uint8")
    elif case == "embedded categories":
        X[:, 0], X[:, 5] = rng.integers(-1, 40, 300), rng.integers(0, 3, 300)
    elif case == "sparse inputs":
        X = scipy.sparse.csr_array(np.where(rng.random(X.shape) < 0.2, X, 0))
    loss = CASES[case][0].get("loss")
    targets = {"cross_entropy": labels, "perceptron": (numbers > 0.5).astype(float)}
    return X, targets.get(loss, numbers)


def train(case, dtype, n_threads=None):
    """Train; return everything that was computed as bytes, and how many threads the training used."""
    arguments, options = CASES[case]
    X, y = data_of(case)
    net = fastnn.Network(WIDE, dtype=dtype, seed=1, init="glorot_uniform", **arguments)
    defaults = {"epochs": 2, "batch_size": 100, "learning_rate": 1e-3, "on_divergence": "continue"}
    history = net.fit(X, y, n_threads=n_threads, **defaults | options)
    return net, X, y, history


def digest(case, dtype, n_threads):
    """Return the threads that the training used, and a digest of all that it and the other methods computed."""
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    net, X, y, history = train(case, dtype, n_threads)
    if threads.max_threads() > 1:
        numba.set_num_threads(n_threads)  # the most that the methods without n_threads take
    trained = net.parameters
    values = {name: history[name] for name in history}, net.loss(X, y), net.step(X, y, 1e-3)
    arrays = [trained, net.predict(X), net.gradients(X, y, flat=True), net.parameters]
    whole = hashlib.sha256(repr(values).encode())
    for array in arrays:
        whole.update(array.tobytes())
    return history.n_threads, whole.hexdigest()


def main():
    counts = [int(argument) for argument in sys.argv[1:]]
    results = {
        f"{case}, {dtype}": {count: digest(case, dtype, count) for count in counts}
        for case in CASES
        for dtype in ("float32", "float64")
    }
    print(json.dumps({"layer": threads.layer(), "results": results}))


if __name__ == "__main__":
    main()

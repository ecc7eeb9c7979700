"""Trainings whose bits `tools.record_bits` records: the options, sizes and inputs of `Network.fit`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

import fastnn
from fastnn import schedules
from fastnn.callbacks import EarlyStopping, LearningRateLog

from .bit_cases import (
    CLASSIFIER,
    DEEP,
    REGRESSOR,
    SPARSE,
    Case,
    bag_of_words,
    both,
    normal,
    problem,
    regression,
)


def optimizers() -> Iterator[Case]:
    """Yield every optimizer, on batches of one block and of several, on one layer and on three."""
    chosen = {
        "sgd": "sgd",
        "momentum": fastnn.SGD(momentum=0.9),
        "nesterov": fastnn.SGD(momentum=0.8, nesterov=True),
        "adam": "adam",
        "adam_settings": fastnn.Adam(beta_1=0.8, beta_2=0.99, epsilon=1e-6, epsilon_before_correction=True),
        "adamw": fastnn.AdamW(weight_decay=0.1),
        "rmsprop": "rmsprop",
        "rmsprop_momentum": fastnn.RMSprop(rho=0.9, momentum=0.5, learning_rate=0.003),
        "adagrad": fastnn.Adagrad(epsilon=1e-8),
    }
    for name, optimizer in chosen.items():
        for batch_size in (16, 300):
            given: dict[str, Any] = {"epochs": 3, "batch_size": batch_size, "optimizer": optimizer}
            yield from both(f"optimizers/{name}/{batch_size}", DEEP, *problem(), **given)
    for name, optimizer in {"lbfgs": "lbfgs", "lbfgs_history": fastnn.LBFGS(history_size=3, tolerance=1e-3)}.items():
        yield from both(f"optimizers/{name}", DEEP, *problem(), epochs=12, optimizer=optimizer)
        yield from both(f"optimizers/{name}/l2", DEEP, *problem(), epochs=12, optimizer=optimizer, l2=0.01)


def activations() -> Iterator[Case]:
    """Yield every activation, in a hidden layer and at the output."""
    names = "identity sigmoid tanh arctan relu leaky_relu elu softplus silu gelu selu softsign hard_sigmoid exponential"
    X, y = regression()
    for name in [*names.split(), "bent"]:
        about: dict[str, Any] = {**REGRESSOR, "activation": [name, "identity"]}
        yield from both(f"activations/hidden/{name}", about, X, y, epochs=3, learning_rate=0.01)
        about = {**REGRESSOR, "activation": ["tanh", name]}
        yield from both(f"activations/output/{name}", about, X, y, epochs=3, learning_rate=0.01)


def losses() -> Iterator[Case]:
    """Yield every loss, with labels and with rows of targets."""
    X, y = regression()
    labels = y.argmax(axis=1)
    for name in ("squared_error", "half_squared_error", "absolute_error", "huber", "quantile", "fourth_power"):
        about: dict[str, Any] = {**REGRESSOR, "loss": name}
        yield from both(f"losses/{name}", about, X, y, epochs=3, learning_rate=0.02)
        yield from both(f"losses/{name}/labels", about, X, labels, epochs=2, learning_rate=0.02)
    for name, loss in {"Huber": fastnn.losses.Huber(0.3), "Quantile": fastnn.losses.Quantile(0.9)}.items():
        yield from both(f"losses/{name}", {**REGRESSOR, "loss": loss}, X, y, epochs=3, learning_rate=0.02)
    shares = np.abs(y) / np.abs(y).sum(axis=1, keepdims=True)
    for name, output, targets in (
        ("cross_entropy", "softmax", {"labels": labels, "rows": shares}),
        ("binary_cross_entropy", "sigmoid", {"labels": labels, "rows": np.abs(y), "several": y > 0}),
        ("poisson", "exponential", {"rows": np.floor(4 * np.abs(y))}),
    ):
        about = {**REGRESSOR, "activation": ["relu", output], "loss": name}
        for kind, wanted in targets.items():
            yield from both(f"losses/{name}/{kind}", about, X, wanted, epochs=3, learning_rate=0.05)
    step = {"sizes": [6, 3], "activation": "step", "loss": "perceptron", "seed": 1}
    yield from both("losses/perceptron", step, X, labels, epochs=5, batch_size=1)
    one = {"sizes": [6, 9, 1], "activation": ["tanh", "sigmoid"], "loss": "binary_cross_entropy", "seed": 1}
    yield from both("losses/binary_cross_entropy/one", one, X, y[:, 0] > 0, epochs=3)
    yield from both("losses/squared_error/one", {**one, "loss": "squared_error"}, X, y[:, 0] > 0, epochs=3)


def regularisation() -> Iterator[Case]:
    """Yield penalties, limits, noise, dropout and averages, with a plain and an adaptive optimizer."""
    chosen: dict[str, dict[str, Any]] = {
        "l1": {"l1": 0.003},
        "l2": {"l2": 0.01},
        "l1_l2": {"l1": 0.001, "l2": 0.01},
        "clip_norm": {"clip_norm": 0.3},
        "max_norm": {"max_norm": 0.8},
        "label_smoothing": {"label_smoothing": 0.1},
        "input_noise": {"input_noise": 0.2},
        "average": {"ema_decay": 0.95},
        "dropout": {"dropout": 0.3},
        "dropout_layers": {"dropout": [0.1, 0.2, 0.5]},
        "together": {
            "l2": 0.01,
            "clip_norm": 0.5,
            "max_norm": 1.0,
            "input_noise": 0.1,
            "ema_decay": 0.9,
            "dropout": 0.2,
        },
    }
    for name, options in chosen.items():
        about: dict[str, Any] = {**DEEP, **{key: value for key, value in options.items() if key == "dropout"}}
        given: dict[str, Any] = {key: value for key, value in options.items() if key != "dropout"}
        given |= {"after": lambda net: [net.averaged().parameters]} if "ema_decay" in options else {}
        for kind, optimizer in {"sgd": "sgd", "adam": fastnn.Adam(learning_rate=0.003)}.items():
            for batch_size in (16, 300):
                given |= {"epochs": 3, "batch_size": batch_size, "optimizer": optimizer}
                yield from both(f"regularisation/{name}/{kind}/{batch_size}", about, *problem(), **given)


def learning_rates() -> Iterator[Case]:
    """Yield every kind of schedule."""
    chosen = {
        "number": 0.07,
        "constant": schedules.Constant(0.07),
        "step": fastnn.schedules.Step(0.2, factor=0.5, step_size=1.5),
        "exponential": schedules.Exponential(0.2, factor=0.7),
        "inverse": schedules.InverseScaling(0.2, power=0.7),
        "cosine": schedules.Cosine(0.2, epochs=4, minimum=0.01),
        "warm_up": schedules.WarmUp(schedules.Cosine(0.2, epochs=5), epochs=2, start=0.2),
        "warm_up_number": schedules.WarmUp(0.2, epochs=1.5),
        "one_cycle": schedules.OneCycle(0.4, epochs=5),
        "plateau": schedules.ReduceOnPlateau(0.5, factor=0.3, patience=1, min_delta=0.3, minimum=0.01),
        "plateau_accuracy": schedules.ReduceOnPlateau(0.5, patience=1, monitor="val_accuracy"),
        "function": lambda epoch: 0.2 / (1 + epoch),
    }
    for name, rate in chosen.items():
        for kind, optimizer in {"sgd": "sgd", "adam": "adam"}.items():
            given: dict[str, Any] = {"epochs": 6, "batch_size": 50, "learning_rate": rate, "optimizer": optimizer}
            given |= {"validation_split": 0.2, "callbacks": [LearningRateLog()] if kind == "sgd" else []}
            yield from both(f"learning_rates/{name}/{kind}", CLASSIFIER, *problem(), **given)


def batches() -> Iterator[Case]:
    """Yield sizes of batches on either side of a block's, shuffled and in order."""
    for batch_size in (1, 7, 32, 201, 255, 256, 257, 300, 512, 602, 603, 5000):
        for shuffle in (True, False):
            for name, about in {"shallow": CLASSIFIER, "deep": DEEP}.items():
                given: dict[str, Any] = {"epochs": 2, "batch_size": batch_size, "shuffle": shuffle}
                order = "shuffled" if shuffle else "in_order"
                yield from both(f"batches/{batch_size}/{order}/{name}", about, *problem(), **given)


def kinds_of_rows(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield the same kind of rows in every form that a network reads."""
    whole = np.random.default_rng(4).integers(0, 17, (150, 24))
    whole[whole < 6] = 0
    for dtype in ("float16", "float32", "float64", "uint8", "int8", "int32", "int64", ">f4", "bool"):
        yield dtype.replace(">", "big_endian_"), whole.astype(dtype)
    for dtype in ("float32", "uint8"):
        rows = whole.astype(dtype)
        yield f"{dtype}/fortran", np.asfortranarray(rows)
        yield f"{dtype}/every_other_row", np.repeat(rows, 2, axis=0)[::2]
        yield f"{dtype}/every_other_column", np.repeat(rows, 2, axis=1)[:, ::2]
        yield f"{dtype}/part_of_wider", np.hstack([rows, rows])[:, 3:27]
        yield f"{dtype}/backwards", rows[::-1]
        path = folder / f"{dtype}.bin"
        rows.tofile(path)
        yield f"{dtype}/memmap", np.memmap(path, dtype, "r").reshape(rows.shape)
    yield "list", whole.tolist()
    for format in ("csr", "csc", "coo", "lil", "bsr", "dok"):
        yield f"sparse/{format}", scipy.sparse.csr_array(whole.astype(np.float32)).asformat(format)


def inputs() -> Iterator[Case]:
    """Yield trainings on every kind of rows, and on sparse ones with more options."""
    y = np.arange(150) % 5
    about: dict[str, Any] = {
        "sizes": [24, 18, 5],
        "activation": ["relu", "softmax"],
        "loss": "cross_entropy",
        "seed": 9,
    }
    about |= {"input_scale": 1 / 16}
    with tempfile.TemporaryDirectory() as folder:
        for name, X in kinds_of_rows(Path(folder)):
            yield from both(f"inputs/{name}", about, X, y, epochs=2, batch_size=16, learning_rate=0.3)
    words, labels = bag_of_words()
    held = (words[:40], labels[:40])
    for batch_size in (1, 32, 300):
        given: dict[str, Any] = {"epochs": 2, "batch_size": batch_size, "learning_rate": 0.3}
        yield from both(f"inputs/words/{batch_size}", SPARSE, words, labels, validation_data=held, **given)
        given |= {"optimizer": "adam", "learning_rate": 0.01, "l2": 0.01, "clip_norm": 0.5}
        yield from both(f"inputs/words/{batch_size}/adam", {**SPARSE, "dropout": 0.2}, words, labels, **given)
    yield from both("inputs/words/lbfgs", SPARSE, words, labels, epochs=5, optimizer="lbfgs")


def sizes() -> Iterator[Case]:
    """Yield networks that are wide, tiny, deep and of one layer."""
    rng = np.random.default_rng(10)
    images, labels = rng.integers(0, 256, (640, 784), dtype=np.uint8), np.arange(640) % 10
    mnist = {"sizes": [784, 256, 10], "activation": ["relu", "softmax"], "loss": "cross_entropy", "seed": 1}
    mnist |= {"input_scale": 1 / 255}
    wide = {"sizes": [300, 512, 512, 10], "activation": ["tanh", "relu", "softmax"], "loss": "cross_entropy", "seed": 2}
    for name, about, X in (("mnist", mnist, images), ("wide", wide, normal(640, 300))):
        for batch_size in (10, 128, 300):
            for optimizer in ("sgd", "adam"):
                given: dict[str, Any] = {"epochs": 1, "batch_size": batch_size, "optimizer": optimizer}
                yield from both(f"sizes/{name}/{batch_size}/{optimizer}", about, X, labels, **given)
        dropped = {**about, "dropout": 0.3}
        yield from both(f"sizes/{name}/dropout", dropped, X, labels, epochs=1, batch_size=64, max_norm=1.0, l1=1e-4)
        yield from both(f"sizes/{name}/validation", about, X, labels, epochs=1, validation_split=0.5, clip_norm=0.1)
    for shape in ([1, 1], [2, 3, 1], [3, 1, 2], [5, 17, 3, 9, 2], [4, 4, 4, 4, 4, 4, 4], [16, 16], [33, 31, 65, 1]):
        X, y = normal(45, shape[0]), normal(45, shape[-1], seed=1)
        about = {"sizes": shape, "activation": "tanh", "seed": 3}
        for optimizer in ("sgd", "rmsprop"):
            given = {"epochs": 4, "batch_size": 8, "optimizer": optimizer, "learning_rate": 0.02}
            yield from both(f"sizes/{'-'.join(map(str, shape))}/{optimizer}", about, X, y, **given)


def weights_and_validation() -> Iterator[Case]:
    """Yield weights of examples and classes, examples held out, and early stopping."""
    X, y = problem()
    weight = np.random.default_rng(5).uniform(0, 2, len(X))
    held = (X[:77], y[:77])
    chosen: dict[str, dict[str, Any]] = {
        "sample_weight": {"sample_weight": weight},
        "sample_weight_zeros": {"sample_weight": weight > 0.5},
        "class_weight": {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5, 3: 0.0}},
        "balanced": {"class_weight": "balanced", "sample_weight": weight},
        "validation_split": {"validation_split": 0.25, "sample_weight": weight},
        "validation_data": {"validation_data": held},
        "validation_weights": {"validation_data": (*held, weight[:77])},
        "early_stopping": {
            "validation_data": held,
            "learning_rate": 0.6,
            "callbacks": [EarlyStopping("val_accuracy", patience=2)],
            "epochs": 30,
        },
        "large_validation": {"validation_data": (X, y), "batch_size": 16},
    }
    for name, options in chosen.items():
        yield from both(f"weights/{name}", CLASSIFIER, X, y, **{"epochs": 3, "batch_size": 40, **options})
    for kind in ("sample_weight", "class_weight", "validation_split"):
        given: dict[str, Any] = {**chosen[kind], "optimizer": "lbfgs", "epochs": 6}
        yield from both(f"weights/{kind}/lbfgs", CLASSIFIER, X, y, **given)


def gradually(net: fastnn.Network, history: fastnn.History) -> None:
    """Freeze a layer after one epoch, unfreeze all after two, freeze another after three: a callback."""
    if history.epochs == 1:
        net.freeze(0)
    if history.epochs == 2:
        net.unfreeze()
        net.freeze(-1)


def frozen_layers() -> Iterator[Case]:
    """Yield layers that do not learn, from the start or from a callback on."""
    chosen: dict[str, dict[str, Any]] = {
        "sgd": {},
        "adam": {"optimizer": "adam", "l2": 0.01, "ema_decay": 0.9},
        "batch": {"batch_size": 300},
    }
    for name, options in chosen.items():
        given: dict[str, Any] = {"epochs": 4, "batch_size": 32, **options}
        for layer in (0, 1, -1):
            given["before"] = methodcaller("freeze", layer)
            yield from both(f"frozen/{name}/{layer}", DEEP, *problem(), **given)
        del given["before"]
        yield from both(f"frozen/{name}/callback", DEEP, *problem(), callbacks=[gradually], **given)
    yield from both(
        "frozen/lbfgs", DEEP, *problem(), before=methodcaller("freeze", 0), epochs=5, optimizer="lbfgs", l2=0.01
    )


FAMILIES = (
    optimizers,
    activations,
    losses,
    regularisation,
    learning_rates,
    batches,
    inputs,
    sizes,
    weights_and_validation,
    frozen_layers,
)

"""Train the published recipes of plain perceptrons on MNIST: python -m benchmarks.digits RECIPE [--seeds 0,1,2].

The epoch that is kept is the best on 10,000 training images that are held out; some recipes then train another network
on all images up to that epoch. The test images are read once, at the end. A run continues from its checkpoint: start
the same command again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from benchmarks.peers import machine
from fastnn.augmentation import Images

HELD_OUT = 10_000
HE = {"init": "auto", "input_scale": 1 / 255, "loss": "cross_entropy"}
ELASTIC = Images(height=28, width=28, elastic_alpha=34, elastic_sigma=4, shift=1, rotation=10, scale=0.1, shear=5)
FLIPPED = Images(height=28, width=28, horizontal_flip=True, shift=1)


@dataclass(frozen=True)
class Recipe:
    """One result to reach.

    Attributes
    ----------
    anchor : str
        Where it was published, and with what error.
    network : dict
        Arguments of `fastnn.Network`.
    fit : dict
        Arguments of `Network.fit`, the schedule aside.
    rate : float
        Learning rate.
    epochs : int
    cosine : bool
        Whether the learning rate falls to 0 along a cosine.
    on_all : bool
        Whether the network that is measured is trained on all training images, for as many epochs as were best.
    data : callable
        Loads the images.
    """

    anchor: str
    network: dict[str, Any]
    fit: dict[str, Any]
    rate: float
    epochs: int
    cosine: bool = True
    on_all: bool = False
    data: Callable[[], Any] = field(default=fastnn.datasets.load_mnist)


def textbook(hidden: int, loss: str, rate: float, l2: float, anchor: str, epochs: int) -> Recipe:
    """Return a network of the textbook: sigmoid everywhere, batches of 10, a constant learning rate."""
    network = {"sizes": [784, hidden, 10], "activation": "sigmoid", "loss": loss, "input_scale": 1 / 255}
    return Recipe(anchor, network, {"batch_size": 10, "l2": l2}, rate, epochs, cosine=False)


RECIPES = {
    "elastic": Recipe(
        "0.7% (Simard, Steinkraus and Platt 2003, two layers, 800 hidden, elastic distortions)",
        {"sizes": [784, 800, 10], "activation": ["relu", "softmax"], **HE},
        {"batch_size": 128, "optimizer": "adam", "augmentation": ELASTIC},
        0.001,
        400,
    ),
    "plain": Recipe(
        "1.05% (Srivastava and others 2014, dropout and max-norm, no use of the image's geometry)",
        {"sizes": [784, 1024, 1024, 10], "activation": ["relu", "relu", "softmax"], "dropout": [0.2, 0.5, 0.5], **HE},
        {"batch_size": 256, "optimizer": "adam", "max_norm": 3.0},
        0.0014,
        100,
        on_all=True,
    ),
    "deep": Recipe(
        "0.35% (Ciresan and others 2010, six layers on a GPU)",
        {"sizes": [784, 1000, 500, 10], "activation": ["relu", "relu", "softmax"], **HE},
        {"batch_size": 128, "optimizer": "adam", "augmentation": ELASTIC},
        0.001,
        700,
    ),
    "dropout": Recipe(
        "1.46% (the example of fastnn's guide)",
        {"sizes": [784, 800, 800, 10], "activation": ["relu", "relu", "softmax"], "dropout": [0.2, 0.4, 0.4], **HE},
        {"batch_size": 128, "optimizer": "adam", "label_smoothing": 0.05},
        0.001,
        40,
    ),
    "textbook-30": textbook(30, "half_squared_error", 3.0, 0.0, "95.42% right (Nielsen 2015, chapter 1)", 30),
    "textbook-100": textbook(100, "half_squared_error", 3.0, 0.0, "96.59% right (Nielsen 2015, chapter 1)", 30),
    "textbook-100-cross-entropy": textbook(
        100, "binary_cross_entropy", 0.1, 5 / 50_000, "98.04% right (Nielsen 2015, chapter 3)", 60
    ),
    "fashion": Recipe(
        "8.4% without distortions (Xiao, Rasul and Vollgraf 2017, a table of perceptrons)",
        {"sizes": [784, 800, 800, 10], "activation": ["relu", "relu", "softmax"], "dropout": [0.1, 0.4, 0.4], **HE},
        {"batch_size": 128, "optimizer": "adam", "augmentation": FLIPPED},
        0.001,
        100,
        data=fastnn.datasets.load_fashion_mnist,
    ),
}


def run(name: str, seed: int, epochs: int, folder: Path | None, precision: str | None) -> dict[str, Any]:
    """Train one network of a recipe; return errors in percent, the epoch kept and the seconds."""
    recipe = RECIPES[name]
    (X, y), (X_test, y_test) = recipe.data()
    net = fastnn.Network(**recipe.network, seed=seed, precision=precision)
    rate = fastnn.schedules.Cosine(recipe.rate, epochs=epochs) if recipe.cosine else recipe.rate
    best = fastnn.callbacks.EarlyStopping("val_accuracy", patience=epochs, prefer_later=True)
    options = recipe.fit | ({"checkpoint": folder / f"{name}-{seed}", "resume": True} if folder else {})
    history = net.fit(
        X[:-HELD_OUT],
        y[:-HELD_OUT],
        validation_data=(X[-HELD_OUT:], y[-HELD_OUT:]),
        epochs=epochs,
        learning_rate=rate,
        callbacks=[best],
        **options,
    )
    accuracies = np.array(history["val_accuracy"])
    best_epoch = history.epochs - int(np.argmax(accuracies[::-1]))
    seconds = history.seconds
    if recipe.on_all:
        net = fastnn.Network(**recipe.network, seed=seed, precision=precision)
        options = recipe.fit | ({"checkpoint": folder / f"{name}-{seed}-all", "resume": True} if folder else {})
        seconds += net.fit(X, y, epochs=best_epoch, learning_rate=rate, **options).seconds
    return {
        "recipe": name,
        "seed": seed,
        "precision": net.precision,
        "epochs": history.epochs,
        "best_epoch": best_epoch,
        "validation_error": round(100 * float(1 - accuracies.max()), 3),
        "test_error": round(100 * float(np.mean(net.classify(X_test) != y_test)), 3),
        "seconds": round(seconds, 1),
        "val_loss": [round(value, 5) for value in history["val_loss"]],
        "val_accuracy": [round(value, 5) for value in history["val_accuracy"]],
    }


def main() -> None:
    """Run a recipe for each seed, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--seeds", default="0", help="numbers, separated by commas")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="of the products while training")
    parser.add_argument("--checkpoints", type=Path, help="folder for a checkpoint of each run")
    parser.add_argument("--json", type=Path, help="add the results to this file")
    chosen = parser.parse_args()
    print(f"published: {RECIPES[chosen.recipe].anchor}")
    results = []
    for seed in map(int, chosen.seeds.split(",")):
        epochs = chosen.epochs or RECIPES[chosen.recipe].epochs
        results.append(run(chosen.recipe, seed, epochs, chosen.checkpoints, chosen.precision))
        print(
            "{recipe}, seed {seed}: {test_error}% of the test images wrong, epoch {best_epoch} of {epochs}, "
            "{seconds} s".format(**results[-1]),
            flush=True,
        )
    if chosen.json:
        known = json.loads(chosen.json.read_text("utf-8"))["runs"] if chosen.json.exists() else []
        content = {"machine": machine() | {"date": time.strftime("%Y-%m-%d")}, "runs": known + results}
        chosen.json.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

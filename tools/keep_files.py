"""Keep files as this version writes them, for tests/test_released_files.py: python -m tools.keep_files X.Y.Z.

Each folder of tests/files is named after a version and never changes again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import fastnn

FOLDER = Path(__file__).parent.parent / "tests" / "files"
TRAINING = {"epochs": 2, "batch_size": 8, "optimizer": "adam", "ema_decay": 0.9, "validation_split": 0.25}


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (40, 3) and labels of three classes, the same on every machine."""
    numbers = np.arange(120.0).reshape(40, 3)
    X = np.sin(numbers)
    return X, X.argmax(axis=1)


def networks() -> dict[str, fastnn.Network]:
    """Train one network for each kind of content that a model file can have."""
    X, y = rows()
    scaled = fastnn.Network([3, 5, 3], activation=["relu", "softmax"], loss="cross_entropy", dtype="float64", seed=1)
    scaled.scaler = fastnn.preprocessing.StandardScaler().fit(X)
    scaled.column_names, scaled.class_names = ["a", "b", "c"], ["first", "second", "third"]
    scaled.fit(scaled.scaler.transform(X), y, epochs=3)
    dropped = fastnn.Network([3, 20, 8, 3], dropout=[0.1, 0.2, 0.3], input_scale=0.5, init="auto", seed=2)
    dropped.fit(X, y, epochs=2)
    loss = fastnn.losses.Quantile(0.8)
    quantile = fastnn.Network([3, 4, 1], activation=["silu", "identity"], loss=loss, seed=3)
    quantile.fit(X, y.astype(float), epochs=1)
    return {"scaled": scaled, "dropped": dropped, "quantile": quantile}


def training_network() -> fastnn.Network:
    """Build the network whose training is interrupted."""
    return fastnn.Network([3, 6, 3], activation=["tanh", "softmax"], loss="cross_entropy", dropout=0.2, seed=4)


def main() -> None:
    """Write the folder of the version that is about to be released; raise if it exists."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="the coming release, which has no tag yet")
    folder = FOLDER / parser.parse_args().version
    folder.mkdir(parents=True)
    X, y = rows()
    expected = {}
    for name, net in networks().items():
        net.save(folder / f"{name}.safetensors")
        expected[name] = net.predict(X).tolist()
    training_network().fit(X, y, checkpoint=folder, progress=False, **TRAINING)
    whole = training_network()
    history = whole.fit(X, y, progress=False, **TRAINING | {"epochs": 5})
    expected["losses"] = [history["loss"], history["val_loss"]]
    expected["trained"] = whole.predict(X).tolist()
    (folder / "expected.json").write_text(json.dumps(expected), "utf-8")


if __name__ == "__main__":
    main()

"""A network to measure: its description, its data, its initial parameters."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from .. import reference


@dataclass(frozen=True)
class Case:
    """A network and its training: sizes, activations, loss, batch size, rows of an epoch, learning rate, optimizer."""

    sizes: tuple[int, ...]
    activation: tuple[str, ...]
    loss: str
    batch_size: int
    rows: int
    learning_rate: float
    optimizer: str = "sgd"

    @property
    def name(self) -> str:
        """Name in printed tables."""
        optimizer = "" if self.optimizer == "sgd" else f", {self.optimizer}"
        return f"{'-'.join(map(str, self.sizes))} {self.activation[0]}, {self.loss}, {self.batch_size}{optimizer}"

    def to_json(self) -> str:
        """Return the case as text for another process; `from_json` reads it."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Case:
        """Return the case that `to_json` wrote."""
        values = json.loads(text)
        return Case(tuple(values.pop("sizes")), tuple(values.pop("activation")), **values)

    @property
    def flops(self) -> int:
        """Floating-point operations of one example: forward, weight gradients, deltas of the hidden layers."""
        products = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return 4 * sum(products) + 2 * sum(products[1:])

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return seeded float32 inputs in 0..1, and integer labels, or for squared error rows of targets."""
        generator = np.random.default_rng(7)
        X = generator.random((self.rows, self.sizes[0]), dtype=np.float32)
        hidden = np.tanh((X - 0.5) @ generator.standard_normal((self.sizes[0], 8)).astype(np.float32))
        scores = hidden @ generator.standard_normal((8, self.sizes[-1])).astype(np.float32)
        if self.sizes[-1] == 1:
            return X, scores.astype(np.float32)
        labels = scores.argmax(axis=1)
        if self.loss == "cross_entropy":
            return X, labels
        return X, np.eye(self.sizes[-1], dtype=np.float32)[labels]

    def start(self) -> reference.Network:
        """Return the seeded network from which every library starts."""
        return reference.Network.random(
            self.sizes, activation=list(self.activation), loss=self.loss, seed=3, dtype=np.float32
        )

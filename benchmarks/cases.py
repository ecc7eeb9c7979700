"""The networks that are measured: one list for benchmarks, peers and charts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastnn import reference


@dataclass(frozen=True)
class Case:
    """A network, its batch, and as many rows of data as one epoch takes."""

    sizes: tuple[int, ...]
    activation: tuple[str, ...]
    loss: str
    batch_size: int
    rows: int
    learning_rate: float

    @property
    def name(self) -> str:
        """As the tables print it."""
        return f"{'-'.join(map(str, self.sizes))} {self.activation[0]}, {self.loss}, {self.batch_size}"

    @property
    def flops(self) -> int:
        """Floating-point operations of one example: forward, weight slopes, deltas of the hidden layers."""
        products = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return 4 * sum(products) + 2 * sum(products[1:])

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Seeded float32 inputs in 0..1; integer labels, or for squared error rows of targets."""
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
        """The seeded network from which every library starts."""
        return reference.Network.random(
            self.sizes, activation=list(self.activation), loss=self.loss, seed=3, dtype=np.float32
        )


def _case(sizes: list[int], hidden: str, output: str, loss: str, batch: int, rows: int, rate: float) -> Case:
    activation = (hidden,) * (len(sizes) - 2) + (output,)
    return Case(tuple(sizes), activation, loss, batch, rows, rate)


CASES = [
    _case([784, 16, 10], "sigmoid", "sigmoid", "squared_error", 10, 20_000, 0.5),
    _case([784, 16, 10], "sigmoid", "sigmoid", "squared_error", 32, 20_000, 0.5),
    _case([784, 30, 10], "sigmoid", "sigmoid", "squared_error", 10, 20_000, 0.5),
    _case([784, 128, 10], "relu", "softmax", "cross_entropy", 128, 20_000, 0.05),
    _case([784, 512, 512, 10], "relu", "softmax", "cross_entropy", 128, 10_000, 0.05),
    _case([784, 1024, 1024, 1024, 10], "relu", "softmax", "cross_entropy", 256, 5_000, 0.05),
    _case([4, 16, 3], "relu", "softmax", "cross_entropy", 32, 20_000, 0.05),
    _case([13, 64, 64, 1], "tanh", "identity", "squared_error", 32, 20_000, 0.01),
]

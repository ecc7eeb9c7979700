"""The networks to measure, shared by all benchmarks."""

from __future__ import annotations

from fastnn.bench.case import Case


def _case(
    sizes: list[int], hidden: str, output: str, loss: str, batch: int, rows: int, rate: float, optimizer: str = "sgd"
) -> Case:
    activation = (hidden,) * (len(sizes) - 2) + (output,)
    return Case(tuple(sizes), activation, loss, batch, rows, rate, optimizer)


CASES = [
    _case([784, 16, 10], "sigmoid", "sigmoid", "squared_error", 10, 20_000, 0.5),
    _case([784, 16, 10], "sigmoid", "sigmoid", "squared_error", 32, 20_000, 0.5),
    _case([784, 30, 10], "sigmoid", "sigmoid", "squared_error", 10, 20_000, 0.5),
    _case([784, 128, 10], "relu", "softmax", "cross_entropy", 128, 20_000, 0.05),
    _case([784, 512, 512, 10], "relu", "softmax", "cross_entropy", 128, 10_000, 0.05),
    _case([784, 1024, 1024, 1024, 10], "relu", "softmax", "cross_entropy", 256, 5_000, 0.05),
    _case([4, 16, 3], "relu", "softmax", "cross_entropy", 32, 20_000, 0.05),
    _case([13, 64, 64, 1], "tanh", "identity", "squared_error", 32, 20_000, 0.01),
    _case([841, 800, 10], "relu", "softmax", "cross_entropy", 64, 10_000, 0.05),
    # what the authors of SimpleChains.jl and of OpenNN measure their own libraries with
    _case([4, 32, 16, 4], "tanh", "identity", "squared_error", 10_000, 10_000, 0.001, "adam"),
    _case([28, *[300] * 5, 1], "tanh", "identity", "squared_error", 100, 10_000, 0.001),
]

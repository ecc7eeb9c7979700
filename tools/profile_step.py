"""Profile one training step phase by phase: python -m tools.profile_step 784,512,512,10 --batch 128.

Each phase is repeated alone, in compiled code on one thread, on the same buffers as in training, and set beside the
multiply-adds that it does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from fastnn import Network, inputs
from fastnn.kernels import backward, forward, gather, layout, losses, train_loop, weight_gradient
from fastnn.kernels.kernel_table import required_for_training
from fastnn.parameters import make_workspace
from fastnn.training.update_rule import no_stochastic_regularization, plain_sgd_rule

ROWS = 20_000


class Phase(NamedTuple):
    """A kernel, its arguments, and its multiply-adds."""

    name: str
    kernel: Callable[..., Any]
    arguments: tuple[Any, ...]
    products: int


def phases_of(net: Network, batch: int) -> list[Phase]:
    """Return all phases of a step, in their order."""
    generator = np.random.default_rng(0)
    X = generator.random((ROWS, net.sizes[0])).astype(net.dtype)
    y = generator.random((ROWS, net.sizes[-1])).astype(net.dtype)
    if net.loss_name == "cross_entropy":
        y = y.argmax(axis=1)
    examples, _ = inputs.as_examples(X, y, None, net.engine.spec, ("X", "y", "sample_weight"))
    order = generator.permutation(ROWS)
    memory = net.engine.memory(batch)
    work, table = make_workspace(memory, net.dtype.name), memory.table
    rule = plain_sgd_rule(net.engine.buffer)
    kernels = required_for_training(
        rule, no_stochastic_regularization(net.engine.buffer), [examples.kind], gradient=False, table=table
    )
    network = net.engine.network_view(memory, np.empty(0, net.dtype), kernels)
    buffer, scratch, parameters = work.buffer, work.scratch, network.parameters
    bottom, top = table[0], table[-1]
    rate = net.dtype.type(0)

    def part(offset: int, stride: int, row: np.ndarray) -> np.ndarray:
        return buffer[row[offset] : row[offset] + batch * row[stride]]

    n_in, n_out, ld, ld_in = net.sizes[0], net.sizes[-1], int(top[layout.LD]), int(bottom[layout.LD_IN])
    bottom_rows = part(layout.INPUTS, layout.LD_IN, bottom)
    outputs, deltas = part(layout.OUTPUTS, layout.LD, top), part(layout.DELTAS, layout.LD, top)
    kind, source = examples.kind, examples.inputs
    phases = [
        Phase(
            "gather", gather.gather_rows, (bottom_rows, source, kind, n_in, 1.0, order, 0, batch, batch, n_in, ld_in), 0
        ),
        Phase("targets", gather.gather_targets, (work.targets, examples, order, 0, batch, n_out, ld), 0),
    ]
    for index, row in enumerate(table):
        products = batch * int(row[layout.N_IN] * row[layout.N_OUT])
        arguments: tuple[Any, ...] = (buffer, parameters, row, 0, batch, 0, int(row[layout.COLUMNS]))
        arguments += (network.kernel_table,)
        phases.append(Phase(f"forward {index}", forward.weighted_inputs, arguments, products))
        if index + 1 < len(table):
            arguments = (buffer, parameters, row, 0, batch, network.kernel_table)
            phases.append(Phase(f"activation {index}", forward.activate_hidden, arguments, 0))
    activation = int(top[layout.ACTIVATION])
    arguments = (outputs, deltas, work.row_loss, work.targets, work.row_factor)
    arguments += (network.loss, network.loss_parameters, activation, batch, n_out, ld, network.kernel_table)
    phases.append(Phase("output and loss", losses.output_deltas, arguments, 0))
    arguments = (work.row_correct, outputs, work.targets, batch, n_out, ld)
    phases.append(Phase("correct answers", losses.count_correct, arguments, 0))
    below = sum(batch * int(row[layout.N_IN] * row[layout.N_OUT]) for row in table[1:])
    arguments = (buffer, scratch, parameters, table, len(table) - 1, 1, 0, batch, 0, train_loop.ALL_COLUMNS)
    arguments += (network.kernel_table,)
    phases.append(Phase("backward", backward.backward, arguments, below))
    for index, row in enumerate(table):
        n_in, columns = int(row[layout.N_IN]), int(row[layout.COLUMNS])
        products = batch * n_in * int(row[layout.N_OUT])
        arguments = (parameters, buffer, scratch, row, rate, 0, n_in, 0, columns, batch, network.kernel_table)
        phases.append(Phase(f"weights {index}", weight_gradient.subtract_weight_gradient, arguments, products))
        arguments = (parameters, buffer, scratch, row, rate, 0, columns, batch)
        phases.append(Phase(f"biases {index}", weight_gradient.subtract_bias_gradient, arguments, 0))
    arguments = (np.zeros(3), work, examples, order, 0, batch, 1.0)
    phases.append(Phase("sums", train_loop.add_block_sums, arguments, 0))
    return phases


def seconds_of(kernel: Callable[..., Any], arguments: tuple[Any, ...]) -> float:
    """Return the least time of a call among rounds of compiled calls."""

    @njit(nogil=True)
    def repeat(times, *args):
        for _ in range(times):
            kernel(*args)

    repeat(1, *arguments)
    times, best = 1, float("inf")
    for _ in range(8):
        began = time.perf_counter()
        repeat(times, *arguments)
        spent = time.perf_counter() - began
        best = min(best, spent / times)
        times = max(1, int(0.02 / best))
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--output", default="softmax")
    parser.add_argument("--loss", default="cross_entropy")
    parser.add_argument("--dtype", default="float32")
    chosen = parser.parse_args()
    names = [chosen.activation] * (len(chosen.sizes) - 2) + [chosen.output]
    net = Network(chosen.sizes, activation=names, loss=chosen.loss, dtype=chosen.dtype, seed=0)
    timed = [(phase, seconds_of(phase.kernel, phase.arguments)) for phase in phases_of(net, chosen.batch)]
    total = sum(spent for _, spent in timed)
    for phase, spent in timed:
        pace = f"{2e-9 * phase.products / spent:7.1f} GFLOP/s" if phase.products else ""
        print(f"{phase.name:18s} {spent * 1e6:9.3f} us {100 * spent / total:5.1f}% {pace}")
    pace = 2e-9 * sum(phase.products for phase, _ in timed) / total
    print(f"{'step':18s} {total * 1e6:9.3f} us        {pace:7.1f} GFLOP/s, {chosen.batch / total:,.0f} examples/s")


if __name__ == "__main__":
    main()

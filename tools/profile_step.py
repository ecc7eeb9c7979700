"""Profile one training step phase by phase: python -m tools.profile_step 784,512,512,10 --batch 128.

Each phase is repeated alone on one thread, on the same buffers as in training, and set beside the multiply-adds that
it does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import fastnn
from fastnn.kernels import backward, forward, gather, layout, linking, losses, update
from fastnn.parameters import lay_out
from fastnn.workspace import make_workspace


def seconds_of(call: Callable[[], None], least: float = 0.2) -> float:
    """Median time of a call, over rounds of at least `least` seconds in all."""
    call()
    rounds: list[float] = []
    while sum(rounds) < least or len(rounds) < 5:
        began = time.perf_counter()
        call()
        rounds.append(time.perf_counter() - began)
    return float(np.median(rounds))


def phases(net: fastnn.Network, batch: int) -> list[tuple[str, float, float]]:
    """(name, seconds, multiply-adds) of each phase of a step."""
    room = lay_out(net._spec, batch)
    work = make_workspace(room, net.dtype.name)
    numbers, table, buffer = work.numbers, room.table, net._buffer
    code = linking.addresses(net.dtype.name, linking.TRAINING)
    n_in, n_out = net.sizes[0], net.sizes[-1]
    rows = np.random.default_rng(0).random((20_000, n_in)).astype(net.dtype)
    inputs = rows.reshape(-1).view(np.uint8)
    inputs.flags.writeable = False
    order = np.random.default_rng(1).permutation(len(rows))
    ld_in = int(table[0, layout.LD_IN])
    place = [0]

    def gathering() -> None:
        place[0] = (place[0] + batch) % (len(rows) - batch)
        gather.gather_rows(
            numbers[: batch * ld_in],
            inputs,
            gather.KINDS[net.dtype.name],
            n_in,
            1.0,
            order,
            place[0],
            batch,
            n_in,
            ld_in,
        )

    found = [("gather", seconds_of(gathering), 0.0)]
    for number, row in enumerate(table):
        products = float(batch * row[layout.N_IN] * row[layout.N_OUT])
        found.append(
            (
                f"forward {number}",
                seconds_of(lambda row=row: forward.weighted_inputs(numbers, buffer, row, 0, batch)),
                products,
            )
        )
        if number + 1 < len(table):
            hidden = seconds_of(lambda row=row: forward.activate_hidden(numbers, row, 0, batch, code))
            found.append((f"activation {number}", hidden, 0.0))
    top = table[-1]
    ld, kind = int(top[layout.LD]), int(top[layout.ACTIVATION])
    outputs = numbers[top[layout.OUTPUTS] : top[layout.OUTPUTS] + batch * ld]
    deltas = numbers[top[layout.DELTAS] : top[layout.DELTAS] + batch * ld]
    loss = losses.CODES[net.loss_name]

    def output() -> None:
        losses.output_deltas(
            outputs, deltas, work.row_loss, work.targets, work.row_factor, loss, kind, batch, n_out, ld, code
        )

    found.append(("output and loss", seconds_of(output), 0.0))
    deltas[:] = 0
    for number in range(len(table) - 1, 0, -1):
        row, below = table[number], table[number - 1]
        spent = seconds_of(lambda row=row, below=below: backward.delta_below(numbers, buffer, row, below, 0, batch))
        found.append((f"backward {number}", spent, float(batch * row[layout.N_IN] * row[layout.N_OUT])))
    rate = net.dtype.type(0)
    for number, row in enumerate(table):
        spent = seconds_of(
            lambda row=row: update.subtract_weight_slopes(buffer, numbers, row, rate, 0, int(row[layout.N_IN]), batch)
        )
        found.append((f"weights {number}", spent, float(batch * row[layout.N_IN] * row[layout.N_OUT])))
        biases = seconds_of(lambda row=row: update.subtract_bias_slopes(buffer, numbers, row, rate, batch))
        found.append((f"biases {number}", biases, 0.0))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--dtype", default="float32")
    chosen = parser.parse_args()
    net = fastnn.Network(chosen.sizes, activation=chosen.activation, dtype=chosen.dtype, seed=0)
    table = phases(net, chosen.batch)
    total = sum(spent for _, spent, _ in table)
    for name, spent, products in table:
        pace = f"{2e-9 * products / spent:7.1f} GFLOP/s" if products else ""
        print(f"{name:18s} {spent * 1e6:9.2f} us {100 * spent / total:5.1f}% {pace}")
    flops = 2e-9 * sum(products for _, _, products in table)
    print(
        f"{'step':18s} {total * 1e6:9.2f} us        {flops / total:7.1f} GFLOP/s, "
        f"{chosen.batch / total:,.0f} examples/s"
    )


if __name__ == "__main__":
    main()

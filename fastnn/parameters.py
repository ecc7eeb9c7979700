"""Weights and biases: one aligned buffer, its table of offsets, the views into it, the first values.

Layer l keeps W as (inputs, ld): row k holds the weights out of input k, so that `weights[l]`, (n_out, n_in), is its
transpose without the padding. All padding is 0 and stays 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .kernels import layout
from .kernels.layout import CACHE_LINE, columns_of, stride_of
from .spec import Spec, activation_code


def aligned_zeros(count: int, dtype: np.dtype) -> np.ndarray:
    """A 1-D array of zeros that starts at a cache line."""
    raw = np.zeros(count * dtype.itemsize + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + count * dtype.itemsize].view(dtype)


@dataclass(frozen=True)
class Layout:
    """Where each layer lies in the parameters and in the workspace.

    Attributes
    ----------
    table : ndarray of int64, (layers, N_FIELDS)
        As `fastnn.kernels.layout` names its columns; the workspace's offsets are those of `block` rows.
    n_numbers : int
        Length of the parameter buffer, padding included.
    n_work : int
        Length of the workspace.
    block : int
        Rows that the workspace holds.
    """

    table: np.ndarray
    n_numbers: int
    n_work: int
    block: int


def make_layout(spec: Spec, block: int, sparse: bool = False, strides: tuple[int | None, ...] = ()) -> Layout:
    """Offsets of every layer for a workspace of `block` rows, each part at the start of a cache line.

    Sparse inputs need no room: they are read where they lie. `strides`: of the rows of W where they are given, not
    chosen, one for each layer. The table is shared: who changes it changes a copy.
    """
    return _lay_out(spec, tuple(activation_code(name) for name in spec.activation), block, sparse, strides)


@lru_cache(maxsize=128)
def _lay_out(
    spec: Spec, codes: tuple[int, ...], block: int, sparse: bool, strides: tuple[int | None, ...]
) -> Layout:  # with the codes, as what a name stands for can change: a stale code is a call to no address
    itemsize = np.dtype(spec.dtype).itemsize
    line = CACHE_LINE // itemsize

    def lines(count: int) -> int:
        return -(-count // line) * line

    table = np.zeros((len(spec.sizes) - 1, layout.N_FIELDS), np.int64)
    columns_in = columns_of(spec.sizes[0], itemsize)
    ld_in, inputs = stride_of(columns_in, itemsize), 0
    work = 0 if sparse else lines(block * ld_in)
    parameters = cost = 0
    for number, row in enumerate(table):
        n_in, n_out = spec.sizes[number : number + 2]
        columns = columns_of(n_out, itemsize)
        ld = (strides[number] if strides else None) or stride_of(columns, itemsize)
        row[layout.N_IN], row[layout.N_OUT], row[layout.COLUMNS], row[layout.LD] = n_in, n_out, columns, ld
        row[layout.ACTIVATION] = codes[number]
        row[layout.LD_IN], row[layout.INPUTS], row[layout.COST] = ld_in, inputs, cost
        row[layout.WEIGHTS] = parameters
        row[layout.BIASES] = parameters + lines(columns_in * ld)
        parameters = int(row[layout.BIASES]) + lines(ld)
        row[layout.OUTPUTS] = inputs = work
        row[layout.DELTAS] = work + lines(block * ld)
        work = int(row[layout.DELTAS]) + lines(block * ld)
        cost += n_in * columns
        columns_in, ld_in = columns, ld
    dropped = [round(rate * layout.DROP_UNIT) for rate in spec.dropout]
    table[0, layout.DROPPED_IN], table[:-1, layout.DROPPED] = dropped[0], dropped[1:]
    return Layout(table, parameters, work, block)


def views(buffer: np.ndarray, table: np.ndarray) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Weights (n_out, n_in) and biases (n_out,) of each layer, as views of the buffer."""
    weights, biases = [], []
    for row in table:
        n_in, n_out, ld = int(row[layout.N_IN]), int(row[layout.N_OUT]), int(row[layout.LD])
        start, bias = int(row[layout.WEIGHTS]), int(row[layout.BIASES])
        weights.append(buffer[start : start + n_in * ld].reshape(n_in, ld)[:, :n_out].T)
        biases.append(buffer[bias : bias + n_out])
    return tuple(weights), tuple(biases)


def flatten(weights: tuple[np.ndarray, ...], biases: tuple[np.ndarray, ...]) -> np.ndarray:
    """One vector: layer by layer, the weights row by row, then the biases."""
    return np.concatenate([part.ravel() for pair in zip(weights, biases, strict=True) for part in pair])


def unflatten(vector: np.ndarray, weights: tuple[np.ndarray, ...], biases: tuple[np.ndarray, ...]) -> None:
    """Write a vector in the order of `flatten` into the views."""
    start = 0
    for pair in zip(weights, biases, strict=True):
        for part in pair:
            part[...] = vector[start : start + part.size].reshape(part.shape)
            start += part.size

"""A network on arrays that belong to somebody else: used where they lie, where the kernels can, else copied."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels import layout
from ..network import Network
from ..parameters import Layout, make_layout, views


class Borrowed(Network):
    """A network whose weights are the caller's.

    Parameters
    ----------
    weights : sequence of ndarray, (n_in, n_out)
        One for each layer, all of the network's dtype.
    biases : sequence of ndarray, (n_out,)
        As `weights`.
    activation, loss
        As in `Network`.
    given : sequence of ndarray
        The arrays as they came, of which weights and biases are views.
    about
        What else a call must have in common with the one that made this, to be served by it.
    overlapping : bool
        Whether any of the arrays share memory.

    Notes
    -----
    The kernels read whole vectors, and whole squares of them. A layer is used in place where its rows are contiguous
    and hold whole vectors, and so do those of the layer below; the workspace then follows its stride. The offsets in
    the layer table count from the lowest address of all.
    """

    def __init__(
        self,
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        activation: str | Sequence[str],
        loss: Any,
        given: Sequence[np.ndarray],
        about: Any,
        overlapping: bool,
    ) -> None:
        self._strides: tuple[int | None, ...] = ()
        self.about, self.overlapping = about, overlapping
        self._given = [(array, array.ctypes.data, array.shape, array.strides) for array in given]
        sizes = [len(weights[0]), *(weight.shape[1] for weight in weights)]
        dtype = weights[0].dtype.name
        super().__init__(sizes, activation=activation, loss=loss, dtype=dtype, init="zeros", seed=0)
        self._own = self._buffer
        lie = [_lies_well(number, weights, biases) for number in range(len(weights))]
        self._strides = tuple(weight.shape[1] if well else None for weight, well in zip(weights, lie, strict=True))
        own_weights, own_biases = views(self._own, make_layout(self._spec, 1).table)
        parts = []
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            parts += [weight, bias] if lie[number] else [own_weights[number].T, own_biases[number]]
        self._copied = [
            (own, given)
            for number in range(len(weights))
            if not lie[number]
            for own, given in ((own_weights[number].T, weights[number]), (own_biases[number], biases[number]))
        ]
        addresses = [part.ctypes.data for part in parts]
        ends = [start + part.nbytes for start, part in zip(addresses, parts, strict=True)]
        own_end = self._own.ctypes.data + self._own.nbytes
        lowest, highest = min(addresses), max(*ends, own_end)
        room: Any = (ctypes.c_char * (highest - lowest)).from_address(lowest)
        self._buffer = np.frombuffer(room, self._number, (highest - lowest) // self._number.itemsize)
        starts = np.array(addresses).reshape(-1, 2) - lowest
        self._offsets = starts // self._number.itemsize

    @property
    def copies(self) -> int:
        """Layers that are copied in every call."""
        return len(self._copied) // 2

    def serves(self, given: Sequence[np.ndarray]) -> bool:
        """Whether these arrays lie where its own do, which it keeps alive."""
        return len(given) == len(self._given) and all(
            isinstance(new, np.ndarray)
            and (new.ctypes.data, new.shape, new.strides, new.dtype) == (address, shape, strides, old.dtype)
            for new, (old, address, shape, strides) in zip(given, self._given, strict=True)
        )

    def take(self) -> None:
        """Copy in what is not used in place."""
        for own, given in self._copied:
            own[...] = given

    def give(self) -> None:
        """Copy back what is not used in place."""
        for own, given in self._copied:
            given[...] = own

    def _lay_out(self, block: int, sparse: bool) -> Layout:
        found = make_layout(self._spec, block, sparse, self._strides)
        table = found.table.copy()
        table[:, layout.WEIGHTS], table[:, layout.BIASES] = self._offsets.T
        return dataclasses.replace(found, table=table)


def _lies_well(number: int, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> bool:
    weight, bias = weights[number], biases[number]
    columns = layout.columns_of(weight.shape[1], weight.itemsize)
    rows = len(weight) if number == 0 else layout.columns_of(len(weight), weight.itemsize)
    return (
        weight.shape == (rows, columns)
        and weight.flags.c_contiguous
        and bias.flags.c_contiguous
        and weight.flags.aligned
        and bias.flags.aligned
    )

"""An engine on arrays that belong to the caller: used in place where the kernels can, copied elsewhere."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels import layout
from ..parameters import MemoryLayout, make_layout
from ..spec import Spec
from .engine import Engine


class ArrayEngine(Engine):
    """An engine whose weights are the caller's.

    Parameters
    ----------
    spec : Spec
        Of the network that the arrays are; its dtype is theirs.
    weights : sequence of ndarray, (n_in, n_out)
        One for each layer.
    biases : sequence of ndarray, (n_out,)
        As `weights`.
    originals : sequence of ndarray
        The arrays as the caller gave them, of which weights and biases are views.
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
        spec: Spec,
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        originals: Sequence[np.ndarray],
        overlapping: bool,
    ) -> None:
        super().__init__(spec)
        self.overlapping = overlapping
        self._originals = [(array, array.ctypes.data, array.shape, array.strides) for array in originals]
        in_place = [_fits_kernels(number, weights, biases) for number in range(len(weights))]
        self._strides = tuple(weight.shape[1] if fits else None for weight, fits in zip(weights, in_place, strict=True))
        self._own_buffer = self.buffer
        parts: list[np.ndarray] = []
        self._copied: list[tuple[np.ndarray, np.ndarray]] = []
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            if in_place[number]:
                parts += [weight, bias]
                continue
            own = [self.weights[number].T, self.biases[number]]
            parts += own
            self._copied += zip(own, (weight, bias), strict=True)
        self._span(parts)

    def _span(self, parts: Sequence[np.ndarray]) -> None:
        """Let the buffer reach over all parts, and count their offsets from its start."""
        addresses = [part.ctypes.data for part in parts]
        ends = [start + part.nbytes for start, part in zip(addresses, parts, strict=True)]
        own_end = self._own_buffer.ctypes.data + self._own_buffer.nbytes
        lowest, highest = min(addresses), max(*ends, own_end)
        span: Any = (ctypes.c_char * (highest - lowest)).from_address(lowest)
        self.buffer = np.frombuffer(span, self.dtype, (highest - lowest) // self.dtype.itemsize)
        self._offsets = (np.array(addresses).reshape(-1, 2) - lowest) // self.dtype.itemsize

    @property
    def n_copied_layers(self) -> int:
        """Layers that are copied in every call."""
        return len(self._copied) // 2

    def serves(self, arrays: Sequence[np.ndarray]) -> bool:
        """Whether these arrays lie where the engine's originals do, which it keeps alive."""
        return len(arrays) == len(self._originals) and all(
            isinstance(new, np.ndarray)
            and (new.ctypes.data, new.shape, new.strides, new.dtype) == (address, shape, strides, old.dtype)
            for new, (old, address, shape, strides) in zip(arrays, self._originals, strict=True)
        )

    def copy_in(self) -> None:
        """Read the layers that are not used in place."""
        for own, original in self._copied:
            own[...] = original

    def copy_out(self) -> None:
        """Write the layers that are not used in place."""
        for own, original in self._copied:
            original[...] = own

    def memory(self, block: int, sparse: bool = False, rounded: bool = False) -> MemoryLayout:
        """Return the layout for workspaces of `block` rows, with the strides and offsets of the caller's arrays."""
        memory = make_layout(self.spec, block, sparse, self._strides, rounded)
        table = memory.table.copy()
        table[:, layout.WEIGHTS], table[:, layout.BIASES] = self._offsets.T
        return dataclasses.replace(memory, table=table)


def _fits_kernels(number: int, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> bool:
    """Whether the kernels can work on layer `number` in place."""
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

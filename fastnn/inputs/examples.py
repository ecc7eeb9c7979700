"""Inputs, targets and weights together, as the kernels' `Examples`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..kernels import gather, layout
from ..spec import Spec
from .arrays import read_only
from .rows import Rows, as_rows
from .sparse import empty_csr_arrays
from .targets import as_targets
from .weights import as_weights

PREFETCH_BYTES = 1 << 14
"""Bytes of rows fetched ahead of their use: a part of a first-level cache."""


def as_examples(
    X: Any, y: Any, sample_weight: Any, spec: Spec, names: tuple[str, str, str], finite: bool = False
) -> tuple[layout.Examples, bool]:
    """Check a set of examples and return it, with whether its targets are classes.

    Parameters
    ----------
    X, y, sample_weight : array_like
        As in `Network.fit`.
    spec : Spec
        The network's.
    names : tuple of three str
        What errors call the three.
    finite : bool, default False
        Whether the caller has already checked that all inputs are finite.
    """
    rows = as_rows(names[0], X, spec, finite)
    if rows.n_rows == 0:
        raise ValueError(f"{names[0]} must have at least one row, got 0")
    targets = as_targets(names[1], y, spec, rows.n_rows)
    weights = as_weights(names[2], sample_weight, spec, rows.n_rows)
    examples = layout.Examples(
        rows.inputs,
        rows.kind,
        rows.stride,
        spec.input_scale,
        rows.n_rows,
        0,
        targets.numbers,
        targets.labels,
        weights,
        rows.values,
        rows.columns,
        rows.starts,
    )
    return examples, targets.are_classes


def without_targets(rows: Rows, spec: Spec) -> layout.Examples:
    """Return examples that have inputs alone."""
    examples = empty_examples(spec)._replace(inputs=rows.inputs, kind=rows.kind, stride=rows.stride, n_rows=rows.n_rows)
    return examples._replace(values=rows.values, columns=rows.columns, starts=rows.starts)


@lru_cache(maxsize=64)
def empty_examples(spec: Spec) -> layout.Examples:
    """Return a set of no examples, for training without validation data; shared and cached."""
    no_numbers = read_only(np.empty(0, spec.dtype))
    no_bytes, no_labels = read_only(np.empty(0, np.uint8)), read_only(np.empty(0, np.int64))
    return layout.Examples(
        no_bytes, gather.UINT8, spec.sizes[0], 1.0, 0, 0, no_numbers, no_labels, no_numbers, *empty_csr_arrays(spec)
    )


def all_sparse(*parts: layout.Examples) -> bool:
    """Return whether the inputs of all examples are sparse, so that the workspace needs no dense rows."""
    return all(part.kind == gather.CSR for part in parts if part.n_rows)


def prefetch_distance(examples: layout.Examples, batch_size: int) -> int:
    """Return how many examples ahead of the current one a thread prefetches: a batch, or what the cache holds."""
    bytes_per_row = max(1, examples.inputs.size // examples.n_rows)
    return min(batch_size, max(1, PREFETCH_BYTES // bytes_per_row))

"""The preallocated room for one block of rows."""

from __future__ import annotations

import numpy as np

from .kernels import layout
from .parameters import Layout, aligned_zeros

BLOCK_ROWS = 256
"""Most rows of a batch that are worked on at once: bounds the workspace for any batch size.

It is part of the order of sums, so it is one number for all networks and threads.
"""


def make_workspace(plan: Layout, dtype: str, n_threads: int = 1) -> layout.Workspace:
    """Room for `plan.block` rows and the scratch of so many threads, aligned and zeroed."""
    number = np.dtype(dtype)
    top = plan.table[-1]
    scratch = layout.scratch_size(plan.block, number.itemsize)
    return layout.Workspace(
        buffer=aligned_zeros(plan.n_work, number),
        scratch=aligned_zeros(n_threads * scratch, number),
        scratch_size=scratch,
        targets=aligned_zeros(plan.block * int(top[layout.LD]), number),
        row_factor=aligned_zeros(plan.block, number),
        row_loss=aligned_zeros(plan.block, number),
        row_correct=aligned_zeros(plan.block, number),
        block=plan.block,
    )

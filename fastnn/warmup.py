"""Compile ahead of time, so that no later call has to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .kernels import kernel_table
from .network import Network
from .spec import DTYPES
from .training.progress import shown_by_default


def warmup(dtypes: Sequence[str] = ("float32", "float64"), *, progress: bool | None = None) -> None:
    """Compile every kernel, or fetch it from the cache: 10 to 20 seconds per dtype on an empty cache.

    Parameters
    ----------
    dtypes : sequence of {"float32", "float64"}
        Types of parameters to be ready for.
    progress : bool, optional
        Show a progress bar. None: where stderr is a terminal.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.warmup(["float32"], progress=False)
    """
    from tqdm.auto import tqdm

    if isinstance(dtypes, str) or not all(dtype in DTYPES for dtype in dtypes):
        raise ValueError(f"dtypes must be a sequence of {', '.join(DTYPES)}, got {dtypes!r}")
    shown = shown_by_default() if progress is None else progress
    jobs = [(f"{dtype} {name}", call, dtype) for dtype in dtypes for name, call in JOBS.items()]
    with tqdm(jobs, disable=not shown, unit="part") as bar:
        for name, call, dtype in bar:
            bar.set_description(name)
            call(dtype)


def _predict(dtype: str) -> None:
    net = Network([2, 2], dtype=dtype, seed=0)
    net.predict(np.zeros((1, 2), dtype))
    net.predict(np.zeros((1, 2), np.uint8))


def _train(dtype: str) -> None:
    Network([2, 2], dtype=dtype, seed=0).fit(np.zeros((2, 2)), [0, 1], epochs=1, n_threads=1, progress=False)


def _by_rule(dtype: str) -> None:
    net = Network([2, 2, 2], dtype=dtype, seed=0, dropout=0.5)
    net.fit(np.zeros((2, 2)), [0, 1], epochs=1, n_threads=1, optimizer="adam", progress=False)


def _sparse(dtype: str) -> None:
    from scipy.sparse import csr_array

    net = Network([2, 2], dtype=dtype, seed=0)
    X = csr_array(np.eye(2))
    net.predict(X)
    net.fit(X, [0, 1], epochs=1, n_threads=1, progress=False)


def _share(dtype: str) -> None:
    net = Network([1000, 1000], dtype=dtype, seed=0)
    net.predict(np.zeros((4, 1000), np.uint8))
    net.fit(np.zeros((4, 1000)), [0, 1, 2, 3], epochs=1, n_threads=2, progress=False)


def _others(dtype: str) -> None:
    kernel_table.build_kernel_table(dtype, kernel_table.every_kernel())


JOBS: dict[str, Callable[[str], None]] = {
    "prediction": _predict,
    "training": _train,
    "optimizers and dropout": _by_rule,
    "sparse rows": _sparse,
    "threads": _share,
    "all other kernels": _others,
}

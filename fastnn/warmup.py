"""Compile ahead of time, so that no later call has to."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .kernels import kernel_table
from .kernels.threads import max_threads
from .network import Network
from .spec import DTYPES
from .training.progress import shown_by_default


def warmup(what: Any = DTYPES, *, progress: bool | None = None) -> None:
    """Compile kernels, or fetch them from the cache: all of a type, or those that a network or an estimator needs.

    All of a type take 10 to 20 seconds on an empty cache.

    Parameters
    ----------
    what : dtype, Network, estimator, or a sequence of them, default ("float32", "float64")
        "float32" or "float64": every kernel for parameters of this type, but those of products in bfloat16. A
        `Network`: what trains it by plain gradient descent and by Adam, and predicts. An estimator of scikit-learn's
        kind, or its class: what `fit` and `predict` need with these parameters, found out by a short fit of a copy on
        made-up rows.
    progress : bool, optional
        Show a progress bar. None: where stderr is a terminal.

    Raises
    ------
    TypeError, ValueError
        If there is nothing to compile for one of them.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.warmup("float32", progress=False)
    >>> fastnn.warmup(fastnn.Network([4, 8, 3], seed=0, precision="bfloat16"), progress=False)
    """
    from tqdm.auto import tqdm

    several = isinstance(what, list | tuple | set | frozenset)
    jobs = [job for each in (what if several else [what]) for job in _jobs_of(each)]
    shown = shown_by_default() if progress is None else progress
    with tqdm(jobs, disable=not shown, unit="part") as bar:
        for name, call in bar:
            bar.set_description(name)
            call()


Job = tuple[str, Callable[[], Any]]


def _jobs_of(what: Any) -> list[Job]:
    """Return the parts of the work for one thing to be ready for."""
    if isinstance(what, str) and what in DTYPES:
        return [(f"{what} {name}", partial(call, what)) for name, call in JOBS.items()]
    if isinstance(what, Network):
        return [(f"network on {n} thread{'s' * (n > 1)}", partial(_use_network, what, n)) for n in _thread_counts()]
    if hasattr(what, "fit") and hasattr(what, "get_params"):
        kind = what if isinstance(what, type) else type(what)
        parameters = {} if isinstance(what, type) else what.get_params(deep=False)
        names = set(inspect.signature(kind).parameters)
        return [
            (f"{kind.__name__} on {n} thread{'s' * (n > 1)}", partial(_use_estimator, kind, parameters, names, n))
            for n in (_thread_counts() if "n_threads" in names else (1,))
        ]
    raise (ValueError if isinstance(what, str) else TypeError)(
        f"what must be {' or '.join(map(repr, DTYPES))}, a Network, or an estimator or its class, or a sequence of "
        f"them; got {what!r:.80}"
    )


def _thread_counts() -> tuple[int, ...]:
    """Return one, and two where several threads may train: other kernels start them."""
    return (1, 2) if max_threads() > 1 else (1,)


def _use_network(net: Network, n_threads: int) -> None:
    """Train copies of the network on rows of zeros, and predict."""
    spec = net.engine.spec
    X = np.zeros((4, spec.sizes[0]), net.dtype)
    y = np.zeros(4, int) if spec.loss == "cross_entropy" else np.zeros((4, spec.sizes[-1]), net.dtype)
    for optimizer in ("sgd", "adam"):
        trained = net.copy()
        trained.fit(X, y, epochs=1, optimizer=optimizer, n_threads=n_threads, progress=False)
        trained.predict(X)


def _use_estimator(kind: Any, parameters: dict[str, Any], names: set[str], n_threads: int) -> None:
    """Fit an estimator of these parameters to made-up rows, two epochs at most, and predict."""
    short = {"max_iter": 2, "n_threads": n_threads, "verbose": False, "callbacks": None, "warm_start": False}
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    estimator = kind(**(parameters | {name: value for name, value in short.items() if name in names}))
    y = X[:, 0] > 0 if _classifies(estimator) else X[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    estimator.predict(X)


def _classifies(estimator: Any) -> bool:
    from sklearn.base import is_classifier

    return bool(is_classifier(estimator))


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

"""Initial weights and biases; initial biases are 0 unless `bias_init` is given.

With n_in inputs and n_out neurons of a layer:

================== ==========================================================================
None               normal, standard deviation 1/sqrt(n_in): the default
"glorot_uniform"   uniform within sqrt(6 / (n_in + n_out)) (Glorot and Bengio, AISTATS 2010)
"glorot_normal"    normal, standard deviation sqrt(2 / (n_in + n_out))
"he_uniform"       uniform within sqrt(6 / n_in) (He and others, ICCV 2015)
"he_normal"        normal, standard deviation sqrt(2 / n_in)
"lecun_uniform"    uniform within sqrt(3 / n_in) (LeCun and others, "Efficient BackProp", 1998)
"lecun_normal"     normal, standard deviation sqrt(1 / n_in)
"orthogonal"       orthonormal rows or columns (Saxe, McClelland and Ganguli, ICLR 2014)
"zeros"            0
"auto"             by the layer's activation: he_normal for relu, leaky_relu, elu, softplus, silu, gelu and mish,
                   lecun_normal for selu, glorot_uniform for all others
================== ==========================================================================

An entry may also be `Normal(deviation)`, `Uniform(limit)`, or a function f(generator, (n_out, n_in)) that returns an
array of that shape. The values drawn do not depend on the network's dtype. `from_data` fits them to the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .checks import check_int, check_positive, check_seed
from .embeddings import CategoryEmbedding, NumberEmbedding, PiecewiseLinearEmbedding, quantile_pieces

MOST_ROWS = 10_000
"""Rows to which `from_data` fits weights."""

BIAS_ROWS = 5
"""Rows that a first bias of `from_data` is drawn from."""

Initialiser = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


@dataclass(frozen=True)
class Normal:
    """Normal weights, with the same standard deviation in every layer.

    Parameters
    ----------
    deviation : float
        Standard deviation, positive.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([2, 1], init=fastnn.initialisers.Normal(0.01), seed=0)
    >>> bool(abs(net.weights[0]).max() < 0.1)
    True
    """

    deviation: float

    def __post_init__(self) -> None:
        check_positive("deviation", self.deviation)

    def __call__(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return the weights of one layer."""
        return generator.standard_normal(shape) * self.deviation


@dataclass(frozen=True)
class Uniform:
    """Uniform weights from -limit to limit, the same in every layer.

    Parameters
    ----------
    limit : float
        Positive.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([2, 1], init=fastnn.initialisers.Uniform(0.5), seed=0)
    >>> bool(abs(net.weights[0]).max() <= 0.5)
    True
    """

    limit: float

    def __post_init__(self) -> None:
        check_positive("limit", self.limit)

    def __call__(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Return the weights of one layer."""
        return generator.uniform(-self.limit, self.limit, shape)


def _by_variance(variance: Callable[[int, int], float], uniform: bool) -> Initialiser:
    """Return an initialiser whose weights have the variance `variance(n_in, n_out)`."""

    def draw(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        deviation = math.sqrt(variance(shape[1], shape[0]))
        distribution = Uniform(math.sqrt(3) * deviation) if uniform else Normal(deviation)
        return distribution(generator, shape)

    return draw


def _orthogonal(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    tall = generator.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # QR fixes the signs of r; without this q is not uniformly distributed
    return q if shape[0] >= shape[1] else q.T


def _zeros(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.zeros(shape)


def _default(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return generator.standard_normal(shape) / math.sqrt(shape[1])


NAMES: dict[str, Initialiser] = {
    "glorot_uniform": _by_variance(lambda n_in, n_out: 2 / (n_in + n_out), True),
    "glorot_normal": _by_variance(lambda n_in, n_out: 2 / (n_in + n_out), False),
    "he_uniform": _by_variance(lambda n_in, n_out: 2 / n_in, True),
    "he_normal": _by_variance(lambda n_in, n_out: 2 / n_in, False),
    "lecun_uniform": _by_variance(lambda n_in, n_out: 1 / n_in, True),
    "lecun_normal": _by_variance(lambda n_in, n_out: 1 / n_in, False),
    "orthogonal": _orthogonal,
    "zeros": _zeros,
}
BY_ACTIVATION = dict.fromkeys(("relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "mish"), "he_normal") | {
    "selu": "lecun_normal"
}


def as_initialisers(init: Any, activation: Sequence[str]) -> list[Initialiser]:
    """Return one initialiser for each layer of weights, from the argument `init` of `Network`."""
    if isinstance(init, list | tuple):
        if len(init) != len(activation):
            raise ValueError(
                f"init must have one entry for each of the {len(activation)} layers of weights, got {len(init)}"
            )
        entries = list(init)
    else:
        entries = [init] * len(activation)
    return [_as_initialiser(entry, name) for entry, name in zip(entries, activation, strict=True)]


def _as_initialiser(entry: Any, activation: str) -> Initialiser:
    if entry is None:
        return _default
    if isinstance(entry, str):
        name = BY_ACTIVATION.get(activation, "glorot_uniform") if entry == "auto" else entry
        if name not in NAMES:
            raise ValueError(f"init must be None, auto, {', '.join(NAMES)}, or a function; got {entry!r}")
        return NAMES[name]
    if isinstance(entry, type) or not callable(entry):
        raise TypeError(f"init must be a name, a function, or a sequence of one for each layer; got {entry!r}")
    chosen: Initialiser = entry
    return chosen


def as_bias_initialisers(bias_init: Any, n_layers: int) -> list[Initialiser]:
    """Return one initialiser for each layer of biases, from the argument `bias_init` of `Network`."""
    entries = list(bias_init) if isinstance(bias_init, list | tuple) else [bias_init] * n_layers
    if len(entries) != n_layers:
        raise ValueError(f"bias_init must have one entry for each of the {n_layers} layers, got {len(entries)}")
    for entry in entries:
        if entry is not None and (isinstance(entry, type) or not callable(entry)):
            raise TypeError(f"bias_init must be None, a function, or a sequence of one for each layer; got {entry!r}")
    return [_zeros if entry is None else entry for entry in entries]


class Layered(Protocol):
    """What `from_data` needs of a network."""

    @property
    def weights(self) -> Sequence[np.ndarray]:
        """Of each layer, (n_out, n_in), which are changed in place."""
        ...

    @property
    def biases(self) -> Sequence[np.ndarray]:
        """Of each layer, (n_out,), which are changed in place."""
        ...

    def activations(self, X: Any) -> list[np.ndarray]:
        """Return every neuron's activation, layer by layer."""
        ...


def from_data(network: Layered, X: Any, seed: int = 0, *, layers: Sequence[int] | None = None) -> None:
    """Fit the first weights and biases to the inputs, layer by layer, from the first on.

    The weights into each neuron are divided by the standard deviation of their sum over the rows, so that every z has
    deviation 1. Its bias becomes -sum_i lambda_i z(x_i) over five random rows x_i, with lambda exponential and
    normalised to a sum of 1: a point among the rows at which the neuron is at 0.

    Parameters
    ----------
    network : Network
        Its weights are those that `init` drew; weights that are 0, or whose sum never changes, stay as they are.
    X : array_like, (n, n_inputs)
        Rows of which 10,000 at most are taken.
    seed : int, default 0
        Of the rows and of lambda.
    layers : sequence of int, optional
        Numbers of the layers of weights, from 0; None: all.

    Notes
    -----
    "he+5" of Holzmueller, Grinsztajn and Steinwart, "Better by Default", NeurIPS 2024 (arXiv 2407.04491), after
    Steinwart, "A sober look at neural network initializations", 2019 (arXiv 1903.11482).

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> X = np.random.default_rng(0).normal(5, 0.1, (500, 3))
    >>> net = fastnn.Network([3, 50, 1], activation=["tanh", "identity"], seed=0)
    >>> fastnn.initialisers.from_data(net, X, seed=0)
    >>> z = X @ net.weights[0].T + net.biases[0]
    >>> bool(np.allclose(z.std(axis=0), 1, rtol=1e-4)), bool((z.min(axis=0) < 0).all() and (z.max(axis=0) > 0).all())
    (True, True)
    """
    generator = np.random.default_rng(check_seed(seed))
    rows = np.asarray(X)
    if rows.ndim != 2 or not len(rows):
        raise ValueError(f"X must have the shape (n, n_inputs), with one row or more, got {rows.shape}")
    if len(rows) > MOST_ROWS:
        rows = rows[np.sort(generator.choice(len(rows), MOST_ROWS, replace=False))]
    numbers = range(len(network.weights)) if layers is None else [check_int("layers", number, 0) for number in layers]
    if max(numbers, default=0) >= len(network.weights):
        raise ValueError(f"layers must be below {len(network.weights)}, got {layers!r}")
    for number in sorted(numbers):
        weights, biases = network.weights[number], network.biases[number]
        z = network.activations(rows)[number].astype(np.float64) @ weights.T.astype(np.float64)
        deviation = z.std(axis=0)
        moved = deviation > np.finfo(weights.dtype).eps * np.abs(z).max(axis=0)
        inverse = np.where(moved, 1 / np.where(moved, deviation, 1), 1)
        weights *= inverse[:, np.newaxis]
        shares = generator.standard_exponential((len(biases), BIAS_ROWS))
        shares /= shares.sum(axis=1, keepdims=True)
        chosen = generator.integers(len(rows), size=shares.shape)
        biases[:] = -(shares * (z * inverse)[chosen, np.arange(len(biases))[:, np.newaxis]]).sum(axis=1)


class Embedded(Protocol):
    """What `bins_from_data` needs of a network."""

    @property
    def embedding(self) -> NumberEmbedding | None:
        """Its embedding of numbers."""
        ...

    @property
    def embedding_parameters(self) -> dict[str, np.ndarray]:
        """The parameters of that, which are changed in place."""
        ...


def bins_from_data(network: Embedded, X: Any) -> None:
    """Put the ends of the bins of a `fastnn.PiecewiseLinearEmbedding` at quantiles of the inputs.

    Parameters
    ----------
    network : Network
        With such an embedding. Its weights stay as they are.
    X : array_like, (n, n_inputs)
        The inputs as the network's layers take them, times its `input_scale`. An input with fewer different quantiles
        than bins leaves bins unused.

    Raises
    ------
    ValueError
        For a network without such an embedding, and rows of another shape or not finite.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> embedding = fastnn.PiecewiseLinearEmbedding(n_bins=2, n_outputs=1)
    >>> net = fastnn.Network([1, 1], embedding=embedding, seed=0)
    >>> fastnn.initialisers.bins_from_data(net, [[0.0], [1.0], [5.0]])
    >>> net.embedding_parameters["slopes"].tolist()
    [[1.0, 0.25]]
    """
    embedding = network.embedding
    if not isinstance(embedding, PiecewiseLinearEmbedding):
        raise ValueError(f"network must have a fastnn.PiecewiseLinearEmbedding, got embedding {embedding!r:.200}")
    columns = embedding.inputs or ()
    rows = np.asarray(X, np.float64)
    if rows.ndim != 2 or not len(rows) or rows.shape[1] <= max(columns) or not np.isfinite(rows).all():
        raise ValueError(f"X must have the shape (n, n_inputs), with one row or more, all finite, got {rows.shape}")
    parameters = network.embedding_parameters
    for place, column in enumerate(columns):
        pieces = quantile_pieces(rows[:, column], embedding.n_bins)
        parameters["slopes"][place], parameters["offsets"][place] = pieces


def initialise_embeddings(
    further: Mapping[str, np.ndarray],
    embedding: NumberEmbedding | None,
    category_embedding: CategoryEmbedding | None,
    seed: int,
) -> None:
    """Write initial values into the parameters of embeddings, from a generator of their own for each."""
    if embedding is not None:
        for name, values in embedding.draw(np.random.default_rng((seed, 1))).items():
            further[f"embedding.{name}"][...] = values
    if category_embedding is not None:
        for column, vectors in category_embedding.draw(np.random.default_rng((seed, 2))).items():
            further[f"category_embedding.{column}"][...] = vectors


def initialise(
    weights: tuple[np.ndarray, ...],
    biases: tuple[np.ndarray, ...],
    initialisers: Sequence[Initialiser],
    bias_initialisers: Sequence[Initialiser],
    seed: int,
) -> None:
    """Write initial values into the arrays, layer by layer from one generator, the weights of a layer first."""
    generator = np.random.default_rng(seed)
    for weight, bias, *draws in zip(weights, biases, initialisers, bias_initialisers, strict=True):
        for name, draw, array in (("init", draws[0], weight), ("bias_init", draws[1], bias[:, np.newaxis])):
            values = np.asarray(draw(generator, array.shape))
            if values.shape != array.shape:
                raise ValueError(f"{name} must give an array of shape {array.shape}, got {values.shape}")
            with np.errstate(over="ignore"):
                array[...] = values
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must give finite numbers within {array.dtype}")

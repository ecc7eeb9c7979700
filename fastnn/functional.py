"""Run a network's arithmetic on your arrays, for a project that has its own network classes.

`weights` and `biases` are lists of NumPy arrays, one for each layer, all float32 or all float64, with any strides:
weights (n_out, n_in), or (n_in, n_out) with ``orientation="in_out"``; biases (n_out,), (n_out, 1) or (1, n_out).

What is copied: `X` and `out` are used where they lie, as in `Network.predict`. A layer's weights are used where they
lie if in memory its rows belong to inputs, (n_in, n_out) in C order or (n_out, n_in) in Fortran's, and n_out, and for
layers above the first n_in, are multiples of a vector's numbers (16 of float32, 8 of float64, on a processor with
AVX-512). Others are copied in each call, and for `backward` all are: some 0.1 ns a number where the order is the
kernels', 1 ns where it is not.

Aliasing: `out` of `forward` may be `X` itself where their shapes are one; otherwise what is written must not overlap
anything else that is given. Overlaps among weights, biases and `out` are refused; `X` and `y` are not looked at.

The same for functions that you compile with Numba is in `fastnn.compiled`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import inputs
from .checks import check_learning_rate
from .parameters import BLOCK_ROWS, aligned_zeros, make_layout, views
from .spec import make_spec
from .training.array_engine import ArrayEngine
from .training.dataset import NAMES
from .training.engine import Engine

__all__ = ["backward", "forward", "loss", "sgd_step"]

MAX_CACHED = 8
_cache = threading.local()

Arrays = Sequence[np.ndarray]


def forward(
    weights: Arrays,
    biases: Arrays,
    X: Any,
    *,
    activation: str | Sequence[str] = "sigmoid",
    orientation: str = "out_in",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the outputs of the network for the rows of X.

    Parameters
    ----------
    weights, biases : sequences of ndarray
        One for each layer.
    X : array_like, (n, n_inputs)
        Examples, one in a row.
    activation : str or sequence of str, default "sigmoid"
        As in `Network`.
    orientation : {"out_in", "in_out"}
        Whether weights are (n_out, n_in) or (n_in, n_out).
    out : ndarray, (n, n_outputs), optional
        Where to write, of the weights' dtype; any strides.

    Returns
    -------
    ndarray, (n, n_outputs)

    Raises
    ------
    ValueError, TypeError
        For arrays that do not fit, naming the one.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> weights, biases = [np.ones((3, 2)), np.ones((1, 3))], [np.zeros(3), np.zeros(1)]
    >>> fastnn.functional.forward(weights, biases, [[0.0, 0.0]], activation="identity").tolist()
    [[0.0]]
    """
    names = _names(activation)
    engine = _engine_on(weights, biases, names, _any_loss(names), orientation)
    engine.copy_in()
    if out is None:
        return engine.predict(X)
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        for name, array in (("weights", weight), ("biases", bias)):
            if np.may_share_memory(out, array):
                raise ValueError(f"out must not overlap {name}[{number}]")
    if isinstance(out, np.ndarray) and not out.flags.c_contiguous:
        outputs = engine.predict(X)
        if out.shape != outputs.shape or out.dtype != outputs.dtype or not out.flags.writeable:
            got = f"{'' if out.flags.writeable else 'read-only '}{out.dtype}{out.shape}"
            raise ValueError(f"out must be a writable {outputs.dtype}{outputs.shape}, got {got}")
        out[...] = outputs
        return out
    return engine.predict(X, out)


def loss(
    weights: Arrays,
    biases: Arrays,
    X: Any,
    y: Any,
    *,
    activation: str | Sequence[str] = "sigmoid",
    loss: Any = "squared_error",
    orientation: str = "out_in",
    sample_weight: Any = None,
) -> float:
    """Return the loss: summed over outputs, averaged over the examples by weight.

    Parameters
    ----------
    weights, biases, X, activation, orientation
        As in `forward`.
    y : array_like
        (n, n_outputs) numbers, or (n,) labels, as in `Network.fit`.
    loss : str or object, default "squared_error"
        As in `Network`.
    sample_weight : array_like, (n,), optional
        Weights of the examples.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.functional.loss([np.ones((1, 1))], [np.zeros(1)], [[2.0]], [5.0], activation="identity")
    9.0
    """
    engine = _engine_on(weights, biases, activation, loss, orientation)
    engine.copy_in()
    examples, _ = inputs.as_examples(X, y, sample_weight, engine.spec, NAMES)
    return engine.evaluate(examples)[0]


def backward(
    weights: Arrays,
    biases: Arrays,
    X: Any,
    y: Any,
    *,
    activation: str | Sequence[str] = "sigmoid",
    loss: Any = "squared_error",
    orientation: str = "out_in",
    sample_weight: Any = None,
    out: tuple[Arrays, Arrays] | None = None,
) -> tuple[float, list[np.ndarray], list[np.ndarray]]:
    """Return the loss and its gradient with respect to every weight and bias.

    Parameters
    ----------
    weights, biases, X, y, activation, loss, orientation, sample_weight
        As in `loss`.
    out : (sequence, sequence) of ndarray, optional
        Arrays shaped like `weights` and `biases` to write the gradient into.

    Returns
    -------
    loss : float
    weight gradients, bias gradients : lists of ndarray
        Shaped like `weights` and `biases`; those of `out` where it is given.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> value, by_weight, by_bias = fastnn.functional.backward(
    ...     [np.ones((1, 1))], [np.zeros(1)], [[2.0]], [5.0], activation="identity"
    ... )
    >>> value, by_weight[0].tolist(), by_bias[0].tolist()  # 2 (a - y) x, 2 (a - y)
    (9.0, [[-12.0]], [-6.0])
    """
    matrices, vectors = _checked(weights, biases, orientation)
    if out is not None and not (isinstance(out, tuple | list) and len(out) == 2):
        raise TypeError(f"out must be a pair of sequences of arrays, got {out!r:.80}")
    if out is None:
        out = [np.empty_like(w) for w in weights], [np.empty_like(b) for b in biases]
    weight_gradients, bias_gradients = _checked(*out, orientation, ("out[0]", "out[1]"))
    written = (*weight_gradients, *bias_gradients)
    shapes = [array.shape for array in (*matrices, *vectors)]
    if [array.shape for array in written] != shapes or written[0].dtype != matrices[0].dtype:
        raise ValueError("out must hold arrays shaped like weights and biases, of their dtype")
    _check_writable(*out, ("out[0]", "out[1]"))
    if _overlap(written) or any(np.may_share_memory(a, b) for a in written for b in (*matrices, *vectors)):
        raise ValueError("the arrays of out must not overlap one another, weights or biases")
    engine = _engine_copying(matrices, vectors, activation, loss)
    examples, _ = inputs.as_examples(X, y, sample_weight, engine.spec, NAMES)
    engine.check_trainable()
    gradient = aligned_zeros(engine.buffer.size, engine.dtype)
    value, _ = engine.gradient(examples, gradient)
    by_weight, by_bias = views(gradient, make_layout(engine.spec).table)
    for array, part in zip(written, (*(part.T for part in by_weight), *by_bias), strict=True):
        array[...] = part
    return value, list(out[0]), list(out[1])


def sgd_step(
    weights: Arrays,
    biases: Arrays,
    X: Any,
    y: Any,
    learning_rate: float,
    *,
    activation: str | Sequence[str] = "sigmoid",
    loss: Any = "squared_error",
    orientation: str = "out_in",
    sample_weight: Any = None,
) -> float:
    """One step of gradient descent on the batch, written into `weights` and `biases`.

    Parameters
    ----------
    weights, biases, X, y, activation, loss, orientation, sample_weight
        As in `loss`; the arrays must be writable.
    learning_rate : float
        Positive: W = W - learning_rate * gradient.

    Returns
    -------
    float
        The loss before the step.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> weights, biases = [np.ones((1, 1))], [np.zeros(1)]
    >>> fastnn.functional.sgd_step(weights, biases, [[2.0]], [5.0], 0.1, activation="identity")
    9.0
    >>> weights[0].round(12).tolist(), biases[0].round(12).tolist()
    ([[2.2]], [0.6])
    """
    _check_writable(weights, biases, ("weights", "biases"))
    engine = _engine_on(weights, biases, activation, loss, orientation)
    if engine.overlapping:
        raise ValueError("weights and biases must not overlap one another")
    rate = check_learning_rate("learning_rate", learning_rate, engine.dtype)
    examples, _ = inputs.as_examples(X, y, sample_weight, engine.spec, NAMES)
    engine.check_trainable()
    if examples.n_rows > BLOCK_ROWS and engine.n_copied_layers < len(weights):
        # a batch of several blocks sums its gradient first, laid out as the parameters: a copy holds them together
        matrices, vectors = _checked(weights, biases, orientation)
        copied = _engine_copying(matrices, vectors, activation, loss)
        value = copied.step(examples, rate)
        for array, part in zip((*matrices, *vectors), (*(w.T for w in copied.weights), *copied.biases), strict=True):
            array[...] = part
        return value
    engine.copy_in()
    value = engine.step(examples, rate)
    engine.copy_out()
    return value


def _any_loss(activation: str | tuple[str, ...]) -> str:
    """Return a loss that goes with the output layer, for calls to which none matters."""
    last = activation if isinstance(activation, str) else (activation or ("",))[-1]
    return "cross_entropy" if last == "softmax" else "squared_error"


def _names(activation: Any) -> str | tuple[str, ...]:
    if isinstance(activation, str):
        return activation
    if isinstance(activation, Sequence) and all(isinstance(name, str) for name in activation):
        return tuple(activation)
    raise TypeError(f"activation must be a name or a sequence of names, got {activation!r:.80}")


def _hashable(loss: Any) -> Any:
    try:
        hash(loss)
    except TypeError:
        raise TypeError(f"loss must be a name, or an object of fastnn.losses, got {loss!r:.80}") from None
    return loss


def _engine_on(weights: Arrays, biases: Arrays, activation: Any, loss: Any, orientation: str) -> ArrayEngine:
    """Return an engine on these arrays, that of an earlier call where they are the same."""
    cached: list[tuple[Any, ArrayEngine]] = _cache.__dict__.setdefault("in_place", [])
    config = (_names(activation), _hashable(loss), orientation)
    _check_lists(weights, biases, ("weights", "biases"))
    if not isinstance(orientation, str):
        _checked(weights, biases, orientation)
    arrays = (*weights, *biases)
    for place, (cached_config, engine) in enumerate(cached):
        if cached_config == config and engine.serves(arrays):
            if place:
                cached.insert(0, cached.pop(place))
            return engine
    matrices, vectors = _checked(weights, biases, orientation)
    spec = make_spec(_sizes(matrices), activation, loss, matrices[0].dtype.name)
    engine = ArrayEngine(spec, matrices, vectors, arrays, _overlap((*matrices, *vectors)))
    cached.insert(0, (config, engine))
    del cached[MAX_CACHED:]
    return engine


def _engine_copying(matrices: Arrays, vectors: Arrays, activation: Any, loss: Any) -> Engine:
    """Return the thread's engine for such layers, with the values of these arrays."""
    cached: dict[Any, Engine] = _cache.__dict__.setdefault("copies", {})
    key = (_sizes(matrices), _names(activation), _hashable(loss), matrices[0].dtype.name)
    engine = cached.get(key)
    if engine is None:
        engine = Engine(make_spec(*key))
        if len(cached) == MAX_CACHED:
            del cached[next(iter(cached))]
        cached[key] = engine
    for part, array in zip((*engine.weights, *engine.biases), (*(w.T for w in matrices), *vectors), strict=True):
        part[...] = array
    return engine


def _sizes(matrices: Arrays) -> tuple[int, ...]:
    return (len(matrices[0]), *(matrix.shape[1] for matrix in matrices))


def _checked(
    weights: Arrays, biases: Arrays, orientation: str, names: tuple[str, str] = ("weights", "biases")
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Check weights and biases; return views of them, (n_in, n_out) and (n_out,)."""
    if not isinstance(orientation, str) or orientation not in ("out_in", "in_out"):
        raise ValueError(f"orientation must be 'out_in' or 'in_out', got {orientation!r}")
    _check_lists(weights, biases, names)
    if not len(weights) or len(weights) != len(biases):
        raise ValueError(
            f"{names[0]} and {names[1]} must have one array for each layer, got {len(weights)}, {len(biases)}"
        )
    matrices: list[np.ndarray] = []
    vectors: list[np.ndarray] = []
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        for name, array, dimensions in ((names[0], weight, (2,)), (names[1], bias, (1, 2))):
            where = f"{name}[{number}]"
            if not isinstance(array, np.ndarray) or array.dtype not in (np.float32, np.float64):
                got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise TypeError(f"{where} must be an ndarray of float32 or float64, got {got}")
            if array.dtype != weights[0].dtype or not array.dtype.isnative:
                raise TypeError(f"{where} must have the dtype of {names[0]}[0], {weights[0].dtype}, got {array.dtype}")
            if array.ndim not in dimensions or 0 in array.shape:
                raise ValueError(f"{where} must have {dimensions[-1]} dimensions, none empty, got shape {array.shape}")
        matrix = weight.T if orientation == "out_in" else weight
        if matrices and len(matrix) != matrices[-1].shape[1]:
            raise ValueError(
                f"{names[0]}[{number}] must have {matrices[-1].shape[1]} inputs, the outputs of the layer below; "
                f"got shape {weight.shape} with orientation {orientation!r}"
            )
        if bias.size != matrix.shape[1] or max(bias.shape) != bias.size:
            raise ValueError(f"{names[1]}[{number}] must have shape ({matrix.shape[1]},), got {bias.shape}")
        matrices.append(matrix)
        vectors.append(bias.reshape(-1))
    return matrices, vectors


def _check_lists(weights: Any, biases: Any, names: tuple[str, str]) -> None:
    for name, arrays in zip(names, (weights, biases), strict=True):
        if not isinstance(arrays, Sequence):
            raise TypeError(f"{name} must be a list of arrays, one for each layer, got {type(arrays).__name__}")


def _check_writable(weights: Arrays, biases: Arrays, names: tuple[str, str]) -> None:
    _check_lists(weights, biases, names)
    for name, arrays in zip(names, (weights, biases), strict=True):
        for number, array in enumerate(arrays):
            if isinstance(array, np.ndarray) and not array.flags.writeable:
                raise ValueError(f"{name}[{number}] must be writable; it is read-only")


def _overlap(arrays: Sequence[np.ndarray]) -> bool:
    """Whether any two share memory, by the bounds that they span."""
    return any(np.shares_memory(a, b) for number, a in enumerate(arrays) for b in arrays[:number])

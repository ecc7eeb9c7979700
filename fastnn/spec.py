"""The description of a network without its weights, and all validation of it."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import astuple, dataclass, is_dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from .checks import check_bool, check_float, check_levels
from .embeddings import CategoryEmbedding, NumberEmbedding
from .kernels.activations import CODES as ACTIVATION_CODES
from .kernels.losses import CODES as LOSS_CODES

LOSS_OUTPUT = {
    "cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
    "perceptron": "step",
    "poisson": "exponential",
}
"""Loss -> the one output activation that it takes."""

LOSS_SETTINGS = {"huber": 1.0, "quantile": 0.5}
"""Loss that has a parameter -> its default."""

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Spec:
    """Sizes, activations, loss, dtype, input scale and dropout of a network.

    Attributes
    ----------
    sizes : tuple of int
        Number of neurons in each layer, the inputs first.
    activation : tuple of str
        One name for each layer of weights.
    loss : str
        Name of the loss.
    dtype : str
        "float32" or "float64".
    input_scale : float
        Factor by which every input is multiplied.
    dropout : tuple of float
        Fraction of the inputs, then of each hidden layer, that a training step drops.
    loss_setting : float or tuple of float
        The delta of huber, the q of quantile, a tuple if it has one for each output; 0 for all other losses.
    learned_input_scale : bool
        Whether each input has a learned factor.
    precision : str
        "float32", the dtype's own, or "bfloat16": what the operands of a training's products are rounded to.
    learned_activation : bool
        Whether each hidden neuron learns how much of its activation, and not of z, it gives.
    embedding : PeriodicEmbedding or PiecewiseLinearEmbedding or None
        What takes inputs apart before the first layer; its columns are written out.
    category_embedding : CategoryEmbedding or None
        What replaces codes of categories by vectors before the first layer; columns and counts are written out.
    """

    sizes: tuple[int, ...]
    activation: tuple[str, ...]
    loss: str
    dtype: str
    input_scale: float
    dropout: tuple[float, ...]
    loss_setting: float | tuple[float, ...]
    learned_input_scale: bool = False
    precision: str = "float32"
    learned_activation: bool = False
    embedding: NumberEmbedding | None = None
    category_embedding: CategoryEmbedding | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        """What each layer of weights takes, then the outputs: `sizes`, with what embeddings add to the inputs."""
        added = self.embedding.n_embedded * self.embedding.n_outputs if self.embedding else 0
        if self.category_embedding:
            added += len(self.category_embedding.counts) * (self.category_embedding.n_outputs - 1)
        return (self.sizes[0] + added, *self.sizes[1:])

    def first_layer_names(self, names: Sequence[str]) -> list[str]:
        """Return names for what the first layer takes, `widths[0]`, given those of the inputs."""
        found = list(names)
        if self.embedding:
            functions = range(1, self.embedding.n_outputs + 1)
            found += [f"{names[column]} ({k})" for column in self.embedding.inputs or () for k in functions]
        if self.category_embedding:
            for column in self.category_embedding.counts:
                found[column] = f"{names[column]} (1)"
                others = range(2, self.category_embedding.n_outputs + 1)
                found += [f"{names[column]} ({k})" for k in others]
        return found

    @property
    def n_parameters(self) -> int:
        """Number of weights, biases and all other parameters."""
        layers = sum(n_out * (n_in + 1) for n_in, n_out in pairwise(self.widths))
        return layers + sum(math.prod(shape) for shape in self.further_shapes.values())

    @property
    def further_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters beside weights and biases, by their names in files, in the order of the vector."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.learned_input_scale:
            shapes["input_scales"] = (self.widths[0],)
        if self.learned_activation:
            shapes |= {f"layers.{number}.alpha": (size,) for number, size in enumerate(self.sizes[1:-1])}
        if self.embedding:
            shapes |= {f"embedding.{name}": shape for name, shape in self.embedding.shapes().items()}
        if self.category_embedding:
            size = self.category_embedding.n_outputs
            counts = self.category_embedding.counts.items()
            shapes |= {f"category_embedding.{column}": (count, size) for column, count in counts}
        return shapes

    @property
    def fuses_updates(self) -> bool:
        """Whether the gradient of every parameter may be subtracted where it is summed."""
        return not (self.learned_input_scale or self.embedding or self.category_embedding)

    def check_plain(self, purpose: str) -> None:
        """Raise ValueError, naming the purpose, for what only fastnn itself computes."""
        for name in ("learned_activation", "embedding", "category_embedding"):
            if getattr(self, name):
                raise ValueError(f"{purpose} takes no network with {name}, got {self.network_text()}")

    @property
    def classifies(self) -> bool:
        """Whether the loss is one for classification."""
        return self.loss in LOSS_OUTPUT and self.loss != "poisson"

    @property
    def repeats_target(self) -> bool:
        """Whether a target of one column counts for every output: the outputs are quantiles of one quantity."""
        return isinstance(self.loss_setting, tuple)

    def network_text(self, seed: int | None = None) -> str:
        """Return the call that builds such a network, as its `repr` shows it."""
        names = self.activation[0] if len(set(self.activation)) == 1 else list(self.activation)
        extras = f", seed={seed}" if seed is not None else ""
        extras += f", input_scale={self.input_scale!r}" if self.input_scale != 1 else ""
        extras += f", dropout={list(self.dropout)}" if any(self.dropout) else ""
        extras += ", learned_input_scale=True" if self.learned_input_scale else ""
        extras += f", precision={self.precision!r}" if self.precision != self.dtype else ""
        extras += ", learned_activation=True" if self.learned_activation else ""
        extras += f", embedding={self.embedding!r}" if self.embedding else ""
        extras += f", category_embedding={self.category_embedding!r}" if self.category_embedding else ""
        loss, setting = repr(self.loss), self.loss_setting
        if setting != LOSS_SETTINGS.get(self.loss, 0.0):
            loss = f"{self.loss.title()}({list(setting) if isinstance(setting, tuple) else setting!r})"
        return f"Network({list(self.sizes)}, activation={names!r}, loss={loss}, dtype={self.dtype!r}{extras})"

    def why_not_trainable(self) -> str | None:
        """Return why gradient descent cannot train this network; None if it can."""
        if "step" in self.activation[:-1]:
            layer = self.activation.index("step") + 1
            return (
                f"hidden layer {layer} has activation 'step', whose derivative is 0 everywhere: no gradient passes "
                "through it; use 'sigmoid' or 'tanh' there"
            )
        if self.activation[-1] == "step" and self.loss != "perceptron":
            return (
                "the output layer has activation 'step', whose derivative is 0 everywhere; "
                "train it with loss='perceptron', or use 'sigmoid' outputs"
            )
        return None


def activation_code(name: str) -> int:
    """Return the kernels' code of an activation."""
    return _code("activation", name, ACTIVATION_CODES)


def loss_code(name: str) -> int:
    """Return the kernels' code of a loss."""
    return _code("loss", name, LOSS_CODES)


def _code(kind: str, name: str, codes: dict[str, int]) -> int:
    if name not in codes:
        raise ValueError(f"{kind} {name!r} is not known in this process: call fastnn.register_{kind} first")
    return codes[name]


def _activation_names(activation: str | Sequence[str], n_layers: int) -> tuple[str, ...]:
    """Return one name for each layer of weights."""
    if isinstance(activation, str):
        names = (activation,) * n_layers
    elif isinstance(activation, Sequence) and all(isinstance(name, str) for name in activation):
        names = tuple(activation)
    else:
        raise TypeError(f"activation must be a name or a sequence of names, got {activation!r}")
    if len(names) != n_layers:
        raise ValueError(
            f"activation must have one name for each of the {n_layers} layers of weights, got {len(names)}: {names}"
        )
    for name in names:
        if name not in ACTIVATION_CODES:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATION_CODES)}; got {name!r}")
    return names


def check_sizes(sizes: object) -> tuple[int, ...]:
    """Return the argument `sizes` as a tuple of at least two integers of 1 or more."""
    try:
        given = None if isinstance(sizes, str | bytes) else list(sizes)  # type: ignore[call-overload]
    except TypeError:
        given = None
    if given is None:
        raise TypeError(f"sizes must be a sequence of integers such as [784, 16, 10], got {sizes!r}")
    try:
        if any(isinstance(size, bool | np.bool_) for size in given):  # which Python takes for 0 and 1
            raise TypeError
        checked = tuple(operator.index(size) for size in given)
    except TypeError:
        raise TypeError(f"sizes must hold integers, got {given!r:.200}") from None
    if len(checked) < 2:
        raise ValueError(f"sizes must name at least the inputs and the outputs, got {list(checked)}")
    if min(checked) < 1:
        raise ValueError(f"sizes must be 1 or more, got {list(checked)}")
    return checked


def make_spec(
    sizes: Sequence[int],
    activation: str | Sequence[str] = "sigmoid",
    loss: Any = "squared_error",
    dtype: str = "float32",
    input_scale: float = 1.0,
    dropout: float | Sequence[float] = 0.0,
    learned_input_scale: bool = False,
    precision: str | None = None,
    learned_activation: bool = False,
    embedding: NumberEmbedding | None = None,
    category_embedding: CategoryEmbedding | None = None,
) -> Spec:
    """Check the arguments of `Network` and return them as a `Spec`.

    Raises
    ------
    ValueError, TypeError
        For an invalid argument; the message names it, its value and what was expected.
    """
    checked = check_sizes(sizes)
    if sum((a + 64) * (b + 64) for a, b in pairwise(checked)) > 1 << 40:
        raise ValueError(f"sizes {list(checked)} need more parameters than any memory holds")
    names = _activation_names(activation, len(checked) - 1)
    loss, setting = _loss_and_setting(loss)
    if not isinstance(loss, str) or loss not in LOSS_CODES:
        raise ValueError(f"loss must be one of {', '.join(LOSS_CODES)}; got {loss!r}")
    if isinstance(setting, tuple) and len(setting) != checked[-1]:
        raise ValueError(
            f"loss 'quantile' must have one level for each of the {checked[-1]} outputs, got {len(setting)}: "
            f"{list(setting)}"
        )
    if "softmax" in names[:-1]:
        raise ValueError("activation 'softmax' is for the output layer only")
    output = LOSS_OUTPUT.get(loss)
    if output is not None and names[-1] != output:
        raise ValueError(f"loss {loss!r} takes {output!r} outputs, got activation {names[-1]!r} in the output layer")
    if names[-1] == "softmax" and loss != "cross_entropy":
        raise ValueError(f"'softmax' outputs take loss 'cross_entropy', got {loss!r}")
    dtype_name = _dtype_name(dtype)
    scale = check_float("input_scale", input_scale)
    limits = np.finfo(dtype_name)
    if not float(limits.tiny) <= abs(scale) <= float(limits.max):
        raise ValueError(f"input_scale must be a number other than 0 within {dtype_name}, got {scale}")
    learned_input_scale = check_bool("learned_input_scale", learned_input_scale)
    learned_activation = check_bool("learned_activation", learned_activation)
    rates = _dropout_rates(dropout, len(checked) - 1)
    precision = dtype_name if precision is None else precision
    if not isinstance(precision, str) or precision not in (dtype_name, "bfloat16"):
        raise ValueError(f"precision must be None, {dtype_name!r} as the dtype, or 'bfloat16'; got {precision!r}")
    if precision == "bfloat16" and dtype_name != "float32":
        raise ValueError(f"precision 'bfloat16' takes parameters of dtype 'float32', got dtype {dtype_name!r}")
    if learned_activation and precision == "bfloat16":
        raise ValueError("learned_activation takes products of the network's dtype, got precision='bfloat16'")
    if embedding is not None:
        if not isinstance(embedding, NumberEmbedding):
            raise TypeError(
                "embedding must be a fastnn.PeriodicEmbedding, a fastnn.PiecewiseLinearEmbedding, or None, got "
                f"{embedding!r:.200}"
            )
        if precision == "bfloat16":
            raise ValueError("embedding takes products of the network's dtype, got precision='bfloat16'")
        embedding = embedding.of_inputs(checked[0])
    spec = Spec(
        checked, names, loss, dtype_name, scale, rates, setting, learned_input_scale, precision, learned_activation,
        embedding,
    )  # fmt: skip
    return spec if category_embedding is None else _with_categories(spec, category_embedding)


def _with_categories(spec: Spec, given: object) -> Spec:
    """Return the spec with an embedding of categories; raise for what would change their codes."""
    if not isinstance(given, CategoryEmbedding):
        raise TypeError(f"category_embedding must be a fastnn.CategoryEmbedding, or None, got {given!r:.200}")
    if spec.precision == "bfloat16":
        raise ValueError("category_embedding takes products of the network's dtype, got precision='bfloat16'")
    if spec.input_scale != 1 or spec.dropout[0]:
        raise ValueError(
            f"category_embedding takes codes as they are: input_scale must be 1 and the dropout of inputs 0, got "
            f"{spec.input_scale} and {spec.dropout[0]}"
        )
    written = given.of_inputs(spec.sizes[0])
    twice = set(written.counts) & set(spec.embedding.inputs or () if spec.embedding else ())
    if twice:
        raise ValueError(f"embedding and category_embedding must name different inputs, got {sorted(twice)} in both")
    return replace(spec, category_embedding=written)


def _dtype_name(dtype: Any) -> str:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if dtype is None or name not in DTYPES:
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    return str(name)


def _loss_and_setting(loss: Any) -> tuple[Any, float | tuple[float, ...]]:
    """Return name and setting from a name, from a pair of both, or from a dataclass whose field is the setting."""
    if isinstance(loss, tuple):
        if len(loss) != 2 or not isinstance(loss[0], str):
            raise TypeError(f"loss must be a name, or an object of fastnn.losses, got {loss!r:.200}")
        name, setting = loss
        if name == "quantile" and isinstance(setting, list | tuple):
            return name, check_levels("loss_setting", setting)
        upper = {"huber": float("inf"), "quantile": 1.0}
        setting = check_float("loss_setting", setting)
        if not (0 < setting < upper[name] if name in upper else setting == 0):
            raise ValueError(f"loss_setting {setting} makes no sense for loss {name!r}")
        return name, setting
    if is_dataclass(loss) and not isinstance(loss, type) and type(loss).__name__.lower() in LOSS_SETTINGS:
        (setting,) = astuple(loss)
        return type(loss).__name__.lower(), setting if isinstance(setting, tuple) else float(setting)
    return loss, LOSS_SETTINGS.get(loss, 0.0) if isinstance(loss, str) else 0.0


def _dropout_rates(value: object, n_layers: int) -> tuple[float, ...]:
    """Return the dropout rate of the inputs, then of each hidden layer."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, int | float | np.integer | np.floating):
        rates = (0.0, *[check_float("dropout", value)] * (n_layers - 1))
    elif isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        raise TypeError(f"dropout must be a number or a sequence of numbers, got {value!r}")
    else:
        rates = tuple(check_float("dropout", rate) for rate in value)
        if len(rates) == n_layers - 1:
            rates = (0.0, *rates)
        elif len(rates) != n_layers:
            raise ValueError(
                f"dropout must have one number for each of the {n_layers - 1} hidden layers, or one more, the first "
                f"for the inputs; got {len(rates)}"
            )
    if not all(0 <= rate < 1 for rate in rates):
        raise ValueError(f"dropout must be at least 0 and below 1, got {value!r}")
    return rates

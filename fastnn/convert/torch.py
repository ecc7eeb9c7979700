"""Read PyTorch modules and state dicts, and make them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..inputs import as_numeric_array
from ..io.model_file import SavedModel
from ..parameters import flatten
from ..spec import make_spec
from .torch_modules import MODULES, NAMES, Scale, check_module, nn, torch
from .torch_order import submodules_in_order

LAST_OF_LOSS = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid", "poisson": "exponential"}
"""The activation that a loss on logits puts behind a last Linear."""

LOSS_OF_LAST = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}
LOGITS = tuple(LAST_OF_LOSS.values())


def from_module(module: Any, loss: Any = None) -> SavedModel:
    """Return the description of a module; `fastnn.from_torch` documents it."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    parts = submodules_in_order(module)
    for place, part in parts:
        check_module(place, part)
    if not any(isinstance(part, nn.Linear) for _, part in parts):
        raise ValueError("module must have at least one Linear")
    reader = _Reader(_dtype_of([part for _, part in parts]))
    for place, part in parts:
        reader.add(place, part)
    model = reader.finish(loss)
    model.check_finite(f"parameters must be finite within {model.spec.dtype}, got a module with others")
    return model


def _dtype_of(modules: list[Any]) -> str:
    """Return the name of the one dtype of all parameters and statistics."""
    tensors = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
    dtypes = {tensor.dtype for tensor in tensors if tensor.is_floating_point() or tensor.is_complex()}
    if len(dtypes) > 1 or dtypes - {torch.float32, torch.float64}:
        found = ", ".join(sorted(map(str, dtypes)))
        hint = "; call module.float() first" if all(dtype.is_floating_point for dtype in dtypes) else ""
        raise TypeError(f"module must be of float32 or of float64 throughout, got {found}{hint}")
    return str(dtypes.pop()).removeprefix("torch.")


@dataclass
class _Layer:
    """A Linear with what was folded into it."""

    weight: np.ndarray
    bias: np.ndarray
    activation: str | None = None


class _Reader:
    """The layers of a module, taken up one submodule after the other."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.layers: list[_Layer] = []
        self.dropout: list[float] = [0.0]
        self.scale = 1.0
        self.pending: tuple[np.ndarray, np.ndarray] | None = None  # a BatchNorm1d that the next Linear takes in
        self.ends_in_identity = False

    @property
    def after_linear(self) -> bool:
        """Whether the last submodule is a Linear, or one that was folded into it."""
        return bool(self.layers) and self.layers[-1].activation is None

    def add(self, place: str, part: Any) -> None:
        """Take up the next submodule; raise if it cannot stand there."""
        kind = type(part)
        self.ends_in_identity = kind is nn.Identity
        if kind is nn.Identity or (kind is nn.Flatten and not self.layers):
            return
        if kind is nn.Linear:
            self.add_linear(place, part)
        elif kind is nn.BatchNorm1d:
            self.add_batch_norm(place, part)
        elif kind is nn.Dropout:
            self.add_dropout(place, part)
        elif kind is Scale and not self.layers and self.pending is None:
            self.scale *= part.factor
        elif kind in NAMES and self.after_linear:
            self.layers[-1].activation = NAMES[kind]
        elif kind in NAMES:
            raise ValueError(f"{place}: {kind.__name__} must follow a Linear")
        else:
            raise TypeError(f"{place}: fastnn has nothing like {kind.__name__} there")

    def add_linear(self, place: str, linear: Any) -> None:
        """Begin a layer."""
        self.check_width(place, "Linear", linear.in_features)
        if self.layers and self.layers[-1].activation == "softmax":
            raise ValueError(f"{place}: Linear follows a softmax, which fastnn has at the end only")
        weight = _array(linear.weight)
        bias = np.zeros(len(weight), weight.dtype) if linear.bias is None else _array(linear.bias)
        if self.pending is not None:
            factor, shift = self.pending  # W (factor x + shift) + b
            bias, weight = self.cast(bias + weight @ shift), self.cast(weight * factor)
        self.layers.append(_Layer(weight, bias))
        self.dropout.append(0.0)
        self.pending = None

    def add_dropout(self, place: str, part: Any) -> None:
        """Add to what the last layer drops of its outputs, or the network of its inputs."""
        if part.p == 1:
            raise ValueError(f"{place}: Dropout has p=1, which leaves nothing")
        if part.p and self.pending is not None:
            raise ValueError(f"{place}: Dropout follows a BatchNorm1d, which becomes part of the Linear behind it")
        if part.p and self.after_linear:
            self.layers[-1].activation = "identity"
        self.dropout[-1] += part.p - self.dropout[-1] * part.p  # each drops a share of what the one before left

    def add_batch_norm(self, place: str, norm: Any) -> None:
        """Fold its statistics, factor * x + shift, into the Linear before it, or else keep them for the next one."""
        if norm.running_mean is None:
            raise ValueError(
                f"{place}: BatchNorm1d has track_running_stats=False, and without statistics it cannot become part of "
                f"a Linear"
            )
        self.check_width(place, "BatchNorm1d", norm.num_features)
        mean, variance = (_array(part).astype(np.float64) for part in (norm.running_mean, norm.running_var))
        factor = 1 / np.sqrt(variance + norm.eps)
        factor = factor if norm.weight is None else factor * _array(norm.weight)
        shift = -mean * factor if norm.bias is None else _array(norm.bias) - mean * factor
        if self.after_linear:
            layer = self.layers[-1]
            layer.weight = self.cast(layer.weight * factor[:, None])
            layer.bias = self.cast(layer.bias * factor + shift)
        elif self.pending is None:
            self.pending = factor, shift
        else:
            self.pending = factor * self.pending[0], factor * self.pending[1] + shift

    def check_width(self, place: str, kind: str, n_inputs: int) -> None:
        """Raise if a submodule takes another number of inputs than there are."""
        given = len(self.layers[-1].bias) if self.layers else n_inputs
        if self.pending is not None:
            given = len(self.pending[0])
        if given != n_inputs:
            raise ValueError(f"{place}: {kind} takes {n_inputs} inputs, the layer before has {given} outputs")

    def cast(self, values: np.ndarray) -> np.ndarray:
        """Return the numbers in the module's dtype."""
        with np.errstate(over="ignore"):  # parameters that are not finite are an error of their own
            return values.astype(self.dtype)

    def finish(self, loss: Any) -> SavedModel:
        """Return the description, its outputs and loss by the rules that `fastnn.from_torch` documents."""
        if self.dropout[-1]:
            raise ValueError("module ends in a Dropout: fastnn drops no outputs")
        if self.pending is not None:
            raise ValueError("module ends in a BatchNorm1d: fastnn has it as part of a Linear only")
        sizes = [self.layers[0].weight.shape[1], *(len(layer.bias) for layer in self.layers)]
        names = [layer.activation or "identity" for layer in self.layers]
        if self.after_linear and loss is None and sizes[-1] == 1 and not self.ends_in_identity:
            raise ValueError(
                "module ends in a Linear of one output, which may be a logit or a number: give "
                "loss='binary_cross_entropy' for a logit, loss='squared_error' or another one for a number"
            )
        if self.after_linear and isinstance(loss, str):
            names[-1] = LAST_OF_LOSS.get(loss, "identity")
        if loss is None:
            loss = LOSS_OF_LAST.get(names[-1], "squared_error")
        spec = make_spec(sizes, names, loss, self.dtype, self.scale, self.dropout[:-1])
        weights, biases = tuple(layer.weight for layer in self.layers), tuple(layer.bias for layer in self.layers)
        return SavedModel(spec, flatten(weights, biases), seed=0)


def _array(tensor: Any) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array


def to_module(model: SavedModel, logits: bool = False) -> Any:
    """Return a `torch.nn.Sequential`; `Network.to_torch` documents it."""
    spec, layers = model.spec, model.folded_layers("to_torch")
    parts: list[Any] = [Scale(spec.input_scale)] if spec.input_scale != 1 else []
    for number, ((weight, bias), name) in enumerate(zip(layers, spec.activation, strict=True)):
        if spec.dropout[number]:
            parts.append(nn.Dropout(spec.dropout[number]))
        # skip_init, because first weights would be drawn from the generator that the caller may have seeded
        linear = nn.utils.skip_init(nn.Linear, *weight.shape[::-1], dtype=getattr(torch, spec.dtype))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        parts.append(linear)
        if name not in MODULES:
            raise ValueError(f"activation {name!r} has no module in PyTorch")
        last = number == len(layers) - 1
        if (name != "identity" or last) and not (last and logits and name in LOGITS):
            parts.append(MODULES[name]())  # the last Identity says that the outputs are numbers, not logits
    return nn.Sequential(*parts).eval()


class Convertible(Protocol):
    """What the functions on state dicts need of a network."""

    parameters: Any

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        """The weights (n_out, n_in) of each layer."""

    @property
    def biases(self) -> tuple[np.ndarray, ...]:
        """The biases (n_out,) of each layer."""

    def to_torch(self) -> Any:
        """Return the network as a module."""


def state_dict(net: Convertible) -> dict[str, Any]:
    """Return the parameters as tensors, under the names that they have in `net.to_torch()`.

    Parameters
    ----------
    net : Network

    Returns
    -------
    dict of str to torch.Tensor
        Copies.

    Examples
    --------
    >>> import fastnn, fastnn.convert.torch  # doctest: +SKIP
    >>> list(fastnn.convert.torch.state_dict(fastnn.Network([2, 1], seed=0)))  # doctest: +SKIP
    ['0.weight', '0.bias']
    """
    return dict(net.to_torch().state_dict())


def load_state_dict(net: Convertible, state: Mapping[str, Any]) -> None:
    """Set a network's parameters from tensors.

    Parameters
    ----------
    net : Network
    state : mapping of str to torch.Tensor or ndarray
        For each layer "<layer>.weight", (n_out, n_in), and "<layer>.bias", (n_out,), which may be missing and is then
        0. Layers whose names differ by numbers alone ("0", "2" or "fc1", "fc2") are taken in the order of these
        numbers, as a file may hold them in another one; all others in the order of the mapping.

    Raises
    ------
    ValueError
        If the tensors are not those of such a network; nothing is changed then.

    Examples
    --------
    >>> import fastnn, fastnn.convert.torch, torch  # doctest: +SKIP
    >>> net = fastnn.Network([2, 1], seed=0)  # doctest: +SKIP
    >>> fastnn.convert.torch.load_state_dict(net, torch.nn.Linear(2, 1).state_dict())  # doctest: +SKIP
    """
    layers: dict[str, dict[str, np.ndarray]] = {}
    for key, tensor in state.items():
        layer, _, part = key.rpartition(".")
        if part not in ("weight", "bias"):
            raise ValueError(f"state has {key!r}, which is neither a weight nor a bias")
        on_cpu = tensor.cpu() if isinstance(tensor, torch.Tensor) else tensor
        layers.setdefault(layer, {})[part] = as_numeric_array(f"state[{key!r}]", on_cpu)
    if len(layers) != len(net.weights):
        raise ValueError(f"state must have the {len(net.weights)} layers of the network, got {len(layers)}")
    vectors = []
    for layer, weight, bias in zip(_in_order(list(layers)), net.weights, net.biases, strict=True):
        arrays = layers[layer].get("weight"), layers[layer].get("bias", np.zeros_like(bias))
        for part, array, expected in zip(("weight", "bias"), arrays, (weight, bias), strict=True):
            shape = None if array is None else array.shape
            if shape != expected.shape:
                raise ValueError(f"state[{f'{layer}.{part}'!r}] must have shape {expected.shape}, got {shape}")
            vectors.append(np.asarray(array).ravel())
    net.parameters = np.concatenate(vectors)


def _in_order(names: list[str]) -> list[str]:
    """Return the names sorted by the numbers in them, if they differ by nothing else, or as they are."""
    if len({re.sub(r"\d+", "0", name) for name in names}) > 1:
        return names
    return sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])

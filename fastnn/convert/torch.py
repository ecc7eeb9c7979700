"""Read PyTorch modules and state dicts, and make them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from ..inputs import as_numeric_array
from ..io.model_file import SavedModel
from ..parameters import flatten
from ..spec import make_spec
from .torch_modules import MODULES, NAMES, Scale, check_module, is_sequence, nn, torch

LAST_OF_LOSS = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid", "poisson": "exponential"}
"""The activation that a loss on logits puts behind a last Linear."""

LOSS_OF_LAST = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}
LOGITS = tuple(LAST_OF_LOSS.values())


def from_module(module: Any, loss: Any = None) -> SavedModel:
    """Return the description of a module; `fastnn.from_torch` documents it."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Sequential or a torch.nn.Linear, got {type(module).__name__}")
    reader = _Reader()
    # without duplicates, a module that stands at several places would be found at the first alone
    for name, part in module.named_modules(remove_duplicate=False):
        place = name or "module"
        check_module(place, part)
        if not is_sequence(part):
            reader.add(place, part)
    return reader.finish(loss)


class _Reader:
    """The layers of a module, taken up one after the other."""

    def __init__(self) -> None:
        self.linears: list[Any] = []
        self.activation: list[str | None] = []
        self.dropout: list[float] = [0.0]
        self.scale = 1.0

    def add(self, place: str, part: Any) -> None:
        """Take up the next module; raise if it cannot stand there."""
        kind = type(part)
        if kind is nn.Identity or (kind is nn.Flatten and not self.linears):
            return
        if kind is nn.Linear:
            self.add_linear(place, part)
        elif kind is nn.Dropout:
            if part.p == 1:
                raise ValueError(f"{place}: Dropout has p=1, which leaves nothing")
            if part.p and self.linears and self.activation[-1] is None:
                self.activation[-1] = "identity"
            self.dropout[-1] += part.p - self.dropout[-1] * part.p  # each drops a share of what the one before left
        elif kind is Scale and not self.linears:
            self.scale *= part.factor
        elif kind in NAMES and self.linears and self.activation[-1] is None:
            self.activation[-1] = NAMES[kind]
        elif kind in NAMES:
            raise ValueError(f"{place}: {kind.__name__} must follow a Linear")
        else:
            raise TypeError(f"{place}: fastnn has nothing like {kind.__name__} there")

    def add_linear(self, place: str, linear: Any) -> None:
        """Begin a layer."""
        if self.linears and linear.in_features != self.linears[-1].out_features:
            given = self.linears[-1].out_features
            raise ValueError(f"{place}: Linear takes {linear.in_features} inputs, the layer before has {given} outputs")
        if self.linears and self.activation[-1] == "softmax":
            raise ValueError(f"{place}: Linear follows a softmax, which fastnn has at the end only")
        self.linears.append(linear)
        self.activation.append(None)
        self.dropout.append(0.0)

    def finish(self, loss: Any) -> SavedModel:
        """Return the description, its outputs and loss by the rules that `fastnn.from_torch` documents."""
        if not self.linears:
            raise ValueError("module must have at least one Linear")
        if self.dropout[-1]:
            raise ValueError("module ends in a Dropout: fastnn drops no outputs")
        names = [name or "identity" for name in self.activation]
        if self.activation[-1] is None and isinstance(loss, str):
            names[-1] = LAST_OF_LOSS.get(loss, "identity")
        if loss is None:
            loss = LOSS_OF_LAST.get(names[-1], "squared_error")
        sizes = [self.linears[0].in_features, *(linear.out_features for linear in self.linears)]
        spec = make_spec(sizes, names, loss, self.dtype(), self.scale, self.dropout[:-1])
        weights = [_array(linear.weight) for linear in self.linears]
        biases = [
            np.zeros(len(weight), weight.dtype) if linear.bias is None else _array(linear.bias)
            for linear, weight in zip(self.linears, weights, strict=True)
        ]
        return SavedModel(spec, flatten(tuple(weights), tuple(biases)), seed=0)

    def dtype(self) -> str:
        """Return the name of the one dtype of all parameters."""
        tensors = [tensor for linear in self.linears for tensor in (linear.weight, linear.bias) if tensor is not None]
        dtypes = {tensor.dtype for tensor in tensors}
        if len(dtypes) > 1 or dtypes - {torch.float32, torch.float64}:
            found = ", ".join(sorted(map(str, dtypes)))
            hint = "; call module.float() first" if all(dtype.is_floating_point for dtype in dtypes) else ""
            raise TypeError(f"module must be of float32 or of float64 throughout, got {found}{hint}")
        return str(dtypes.pop()).removeprefix("torch.")


def _array(tensor: Any) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def to_module(model: SavedModel, logits: bool = False) -> Any:
    """Return a `torch.nn.Sequential`; `Network.to_torch` documents it."""
    spec, layers = model.spec, model.layers()
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
        if name != "identity" and not (last and logits and name in LOGITS):
            parts.append(MODULES[name]())
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

"""Networks from PyTorch modules, and modules from networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

try:
    import torch
except ImportError as error:
    raise ImportError("this needs PyTorch: pip install 'fastnn[torch]'") from error

from ..model import Model
from ..network import Network

nn: Any = torch.nn


class Scale(nn.Module):
    """x times a number: a network's `input_scale`.

    Parameters
    ----------
    factor : float
        Kept as it is, not a parameter.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Any) -> Any:
        """The product."""
        return x * self.factor


class Arctan(nn.Module):
    """The arc tangent, of which PyTorch has no module."""

    def forward(self, x: Any) -> Any:
        """By element."""
        return torch.atan(x)


class Exponential(nn.Module):
    """The exponential function, of which PyTorch has no module."""

    def forward(self, x: Any) -> Any:
        """By element."""
        return torch.exp(x)


MODULES: dict[str, Callable[[], Any]] = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "arctan": Arctan,
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "selu": nn.SELU,
    "softsign": nn.Softsign,
    "hard_sigmoid": nn.Hardsigmoid,
    "exponential": Exponential,
    "softmax": lambda: nn.Softmax(dim=1),
}
NAMES: dict[Any, str] = {type(make()): name for name, make in MODULES.items()} | {nn.LogSoftmax: "softmax"}
SETTINGS: dict[Any, dict[str, tuple[Any, ...]]] = {
    nn.LeakyReLU: {"negative_slope": (0.01,)},
    nn.ELU: {"alpha": (1.0,)},
    nn.Softplus: {"beta": (1, 1.0)},
    nn.GELU: {"approximate": ("none",)},
    nn.Softmax: {"dim": (1, -1)},
    nn.LogSoftmax: {"dim": (1, -1)},
}
LAST_OF_LOSS = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid", "poisson": "exponential"}
LOSS_OF_LAST = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}
LOGITS = ("softmax", "sigmoid", "exponential")


def _leaves(module: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The modules inside Sequentials, each with its place."""
    if type(module) is not nn.Sequential:
        yield path or "module", module
        return
    for name, child in module.named_children():
        yield from _leaves(child, f"{path}.{name}" if path else name)


def _activation(place: str, module: Any) -> str:
    for setting, allowed in SETTINGS.get(type(module), {}).items():
        found = getattr(module, setting)
        if found not in allowed:
            raise ValueError(f"{place}: {type(module).__name__} has {setting}={found!r}, fastnn only {allowed[0]!r}")
    return NAMES[type(module)]


def from_module(module: Any, loss: Any = None) -> Network:
    """See `fastnn.from_torch`."""
    linears: list[Any] = []
    activation: list[str | None] = []
    dropout: list[float] = [0.0]
    scale = 1.0
    for place, part in _leaves(module):
        kind = type(part)
        if kind is nn.Linear:
            linears.append(part)
            activation.append(None)
            dropout.append(0.0)
        elif kind is nn.Dropout:
            if linears and activation[-1] is None:
                activation[-1] = "identity"
            dropout[-1] = part.p
        elif kind is nn.Flatten and not linears:
            continue
        elif kind is Scale and not linears:
            scale *= part.factor
        elif kind in NAMES and linears and activation[-1] is None:
            activation[-1] = _activation(place, part)
        elif kind in NAMES:
            raise ValueError(f"{place}: {kind.__name__} must follow a Linear")
        else:
            raise TypeError(f"{place}: fastnn has nothing like {kind.__name__} there")
    if not linears:
        raise ValueError("module must have at least one Linear")
    if dropout[-1]:
        raise ValueError("module ends in a Dropout: fastnn drops no outputs")
    names = [name or "identity" for name in activation]
    if activation[-1] is None and isinstance(loss, str):
        names[-1] = LAST_OF_LOSS.get(loss, "identity")
    if loss is None:
        loss = LOSS_OF_LAST.get(names[-1], "squared_error")
    sizes = [linears[0].in_features, *(linear.out_features for linear in linears)]
    tensors = [tensor for linear in linears for tensor in (linear.weight, linear.bias) if tensor is not None]
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) > 1 or dtypes - {torch.float32, torch.float64}:
        raise TypeError(f"module must be of float32 or of float64 throughout, got {sorted(map(str, dtypes))}")
    net = Network(
        sizes, activation=names, loss=loss, dtype=str(dtypes.pop()).removeprefix("torch."), init="zeros", seed=0,
        input_scale=scale, dropout=dropout[:-1],
    )  # fmt: skip
    for linear, weight, bias in zip(linears, net.weights, net.biases, strict=True):
        weight[...] = linear.weight.detach().cpu().numpy()
        bias[...] = 0 if linear.bias is None else linear.bias.detach().cpu().numpy()
    return net


def to_module(net: Model, logits: bool = False) -> Any:
    """See `Network.to_torch`."""
    parts: list[Any] = [Scale(net.input_scale)] if net.input_scale != 1 else []
    for number, (weight, bias, name) in enumerate(zip(net.weights, net.biases, net.activation, strict=True)):
        if net.dropout[number]:
            parts.append(nn.Dropout(net.dropout[number]))
        linear = nn.Linear(*weight.shape[::-1], dtype=getattr(torch, net.dtype.name))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            linear.bias.copy_(torch.from_numpy(bias.copy()))
        parts.append(linear)
        if name not in MODULES:
            raise ValueError(f"activation {name!r} has no module in PyTorch")
        last = number == len(net.weights) - 1
        if name != "identity" and not (last and logits and name in LOGITS):
            parts.append(MODULES[name]())
    return nn.Sequential(*parts).eval()


def state_dict(net: Model) -> dict[str, Any]:
    """The parameters as tensors, by the names that they have in `net.to_torch()`.

    Parameters
    ----------
    net : Network

    Returns
    -------
    dict of str to torch.Tensor
        Copies.
    """
    return dict(to_module(net).state_dict())


def load_state_dict(net: Model, state: Mapping[str, Any]) -> None:
    """Set a network's parameters from tensors.

    Parameters
    ----------
    net : Network
    state : mapping of str to torch.Tensor
        Layer by layer "<layer>.weight", (n_out, n_in), and "<layer>.bias", (n_out,), in the order of the layers,
        whatever their names; a layer without a bias gets 0.

    Raises
    ------
    ValueError
        Where the tensors are not those of such a network; nothing is changed then.
    """
    layers: dict[str, dict[str, np.ndarray]] = {}
    for key, tensor in state.items():
        layer, _, kind = key.rpartition(".")
        if kind not in ("weight", "bias"):
            raise ValueError(f"state has {key!r}, which is neither a weight nor a bias")
        layers.setdefault(layer, {})[kind] = tensor.detach().cpu().numpy()
    if len(layers) != len(net.weights):
        raise ValueError(f"state must have the {len(net.weights)} layers of the network, got {len(layers)}")
    vectors = []
    for (layer, found), weight, bias in zip(layers.items(), net.weights, net.biases, strict=True):
        numbers = found.get("weight"), found.get("bias", np.zeros_like(bias))
        for kind, number, wanted in zip(("weight", "bias"), numbers, (weight, bias), strict=True):
            shape = None if number is None else number.shape
            if shape != wanted.shape:
                raise ValueError(f"state[{f'{layer}.{kind}'!r}] must have shape {wanted.shape}, got {shape}")
            vectors.append(np.asarray(number).ravel())
    net.parameters = np.concatenate(vectors)

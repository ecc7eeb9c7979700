"""Networks from PyTorch modules, and modules from networks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

try:
    import torch
except ImportError as error:
    raise ImportError("this needs PyTorch: pip install 'fastnn[torch]'") from error

from ..inputs import as_numeric_array
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
    nn.Softplus: {"beta": (1, 1.0), "threshold": (20, 20.0)},
    nn.GELU: {"approximate": ("none",)},
    nn.Softmax: {"dim": (1, -1)},
    nn.LogSoftmax: {"dim": (1, -1)},
    nn.Flatten: {"start_dim": (1,), "end_dim": (-1,)},
}
KNOWN = {nn.Linear, nn.Dropout, nn.Flatten, Scale, *NAMES}
LAST_OF_LOSS = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid", "poisson": "exponential"}
LOSS_OF_LAST = {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}
LOGITS = ("softmax", "sigmoid", "exponential")


def _is_sequence(module: Any) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _check(place: str, module: Any) -> None:
    """An error for a kind or a setting that fastnn has not, and for hooks, which can make it another function."""
    kind = type(module).__name__
    if not _is_sequence(module) and type(module) not in KNOWN:
        raise TypeError(f"{place}: fastnn has nothing like {kind}")
    for setting, allowed in SETTINGS.get(type(module), {}).items():
        found = getattr(module, setting)
        if found not in allowed:
            raise ValueError(f"{place}: {kind} has {setting}={found!r}, fastnn only {allowed[0]!r}")
    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError(f"{place}: {kind} has hooks on its forward pass; remove them first")


def from_module(module: Any, loss: Any = None) -> Network:
    """See `fastnn.from_torch`."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Sequential or a torch.nn.Linear, got {type(module).__name__}")
    linears: list[Any] = []
    activation: list[str | None] = []
    dropout: list[float] = [0.0]
    scale = 1.0
    # without duplicates, a module that stands at several places would be found at the first alone
    for name, part in module.named_modules(remove_duplicate=False):
        place, kind = name or "module", type(part)
        _check(place, part)
        if _is_sequence(part) or kind is nn.Identity or (kind is nn.Flatten and not linears):
            continue
        if kind is nn.Linear:
            if linears and part.in_features != linears[-1].out_features:
                given = linears[-1].out_features
                raise ValueError(
                    f"{place}: Linear takes {part.in_features} inputs, the layer before has {given} outputs"
                )
            if linears and activation[-1] == "softmax":
                raise ValueError(f"{place}: Linear follows a softmax, which fastnn has at the end only")
            linears.append(part)
            activation.append(None)
            dropout.append(0.0)
        elif kind is nn.Dropout:
            if part.p == 1:
                raise ValueError(f"{place}: Dropout has p=1, which leaves nothing")
            if part.p and linears and activation[-1] is None:
                activation[-1] = "identity"
            dropout[-1] += part.p - dropout[-1] * part.p  # in a row, each takes its share of what is left
        elif kind is Scale and not linears:
            scale *= part.factor
        elif kind in NAMES and linears and activation[-1] is None:
            activation[-1] = NAMES[kind]
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
        found = ", ".join(sorted(map(str, dtypes)))
        hint = "; call module.float() first" if all(dtype.is_floating_point for dtype in dtypes) else ""
        raise TypeError(f"module must be of float32 or of float64 throughout, got {found}{hint}")
    net = Network(
        sizes, activation=names, loss=loss, dtype=str(dtypes.pop()).removeprefix("torch."), init="zeros", seed=0,
        input_scale=scale, dropout=dropout[:-1],
    )  # fmt: skip
    vectors = []
    for linear, bias in zip(linears, net.biases, strict=True):
        vectors += [_numbers(linear.weight).ravel(), bias if linear.bias is None else _numbers(linear.bias)]
    net.parameters = np.concatenate(vectors)
    return net


def _numbers(tensor: Any) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def to_module(net: Model, logits: bool = False) -> Any:
    """See `Network.to_torch`."""
    parts: list[Any] = [Scale(net.input_scale)] if net.input_scale != 1 else []
    for number, (weight, bias, name) in enumerate(zip(net.weights, net.biases, net.activation, strict=True)):
        if net.dropout[number]:
            parts.append(nn.Dropout(net.dropout[number]))
        # with its own first weights it would draw from the generator of a program that counts on its seed
        linear = nn.utils.skip_init(nn.Linear, *weight.shape[::-1], dtype=getattr(torch, net.dtype.name))
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

    Examples
    --------
    >>> import fastnn, fastnn.convert.torch  # doctest: +SKIP
    >>> list(fastnn.convert.torch.state_dict(fastnn.Network([2, 1], seed=0)))  # doctest: +SKIP
    ['0.weight', '0.bias']
    """
    return dict(to_module(net).state_dict())


def load_state_dict(net: Model, state: Mapping[str, Any]) -> None:
    """Set a network's parameters from tensors.

    Parameters
    ----------
    net : Network
    state : mapping of str to torch.Tensor or ndarray
        For each layer "<layer>.weight", (n_out, n_in), and "<layer>.bias", (n_out,), or none, which is 0. Layers whose
        names differ by numbers alone ("0", "2" or "fc1", "fc2") are taken by those, as a file may have them in another
        order; others in the order in which they come.

    Raises
    ------
    ValueError
        Where the tensors are not those of such a network; nothing is changed then.

    Examples
    --------
    >>> import fastnn, fastnn.convert.torch, torch  # doctest: +SKIP
    >>> net = fastnn.Network([2, 1], seed=0)  # doctest: +SKIP
    >>> fastnn.convert.torch.load_state_dict(net, torch.nn.Linear(2, 1).state_dict())  # doctest: +SKIP
    """
    layers: dict[str, dict[str, np.ndarray]] = {}
    for key, tensor in state.items():
        layer, _, kind = key.rpartition(".")
        if kind not in ("weight", "bias"):
            raise ValueError(f"state has {key!r}, which is neither a weight nor a bias")
        here = tensor.cpu() if isinstance(tensor, torch.Tensor) else tensor
        layers.setdefault(layer, {})[kind] = as_numeric_array(f"state[{key!r}]", here)
    if len(layers) != len(net.weights):
        raise ValueError(f"state must have the {len(net.weights)} layers of the network, got {len(layers)}")
    vectors = []
    for layer, weight, bias in zip(_ordered(list(layers)), net.weights, net.biases, strict=True):
        numbers = layers[layer].get("weight"), layers[layer].get("bias", np.zeros_like(bias))
        for kind, number, wanted in zip(("weight", "bias"), numbers, (weight, bias), strict=True):
            shape = None if number is None else number.shape
            if shape != wanted.shape:
                raise ValueError(f"state[{f'{layer}.{kind}'!r}] must have shape {wanted.shape}, got {shape}")
            vectors.append(np.asarray(number).ravel())
    net.parameters = np.concatenate(vectors)


def _ordered(names: list[str]) -> list[str]:
    """The names by the numbers in them, if they differ by nothing else."""
    if len({re.sub(r"\d+", "0", name) for name in names}) > 1:
        return names
    return sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])

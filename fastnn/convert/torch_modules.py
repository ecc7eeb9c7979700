"""The modules of PyTorch that fastnn has, by its own names for them, and three that PyTorch lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import torch
except ImportError as error:
    raise ImportError("this needs PyTorch: pip install 'fastnn[torch]'") from error

nn: Any = torch.nn


class Scale(nn.Module):
    """Multiply by a number, a network's `input_scale`.

    Parameters
    ----------
    factor : float
        A constant, not a parameter.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Any) -> Any:
        """Return the product."""
        return x * self.factor


class Arctan(nn.Module):
    """The arc tangent, of which PyTorch has no module."""

    def forward(self, x: Any) -> Any:
        """Apply it to each element."""
        return torch.atan(x)


class Exponential(nn.Module):
    """The exponential function, of which PyTorch has no module."""

    def forward(self, x: Any) -> Any:
        """Apply it to each element."""
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
"""Makes the module of each activation."""

NAMES: dict[Any, str] = {type(make()): name for name, make in MODULES.items()} | {nn.LogSoftmax: "softmax"}
"""The activation that each module is."""

SETTINGS: dict[Any, dict[str, tuple[Any, ...]]] = {
    nn.LeakyReLU: {"negative_slope": (0.01,)},
    nn.ELU: {"alpha": (1.0,)},
    nn.Softplus: {"beta": (1, 1.0), "threshold": (20, 20.0)},
    nn.GELU: {"approximate": ("none",)},
    nn.Softmax: {"dim": (1, -1)},
    nn.LogSoftmax: {"dim": (1, -1)},
    nn.Flatten: {"start_dim": (1,), "end_dim": (-1,)},
}
"""The values that a module's settings must have."""

KNOWN = {nn.Linear, nn.Dropout, nn.Flatten, Scale, *NAMES}


def is_sequence(module: Any) -> bool:
    """Return whether a module does nothing but apply its submodules one after the other."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def check_module(place: str, module: Any) -> None:
    """Raise for a kind or a setting that fastnn lacks, and for hooks, which can make it another function."""
    kind = type(module).__name__
    if not is_sequence(module) and type(module) not in KNOWN:
        raise TypeError(f"{place}: fastnn has nothing like {kind}")
    for setting, allowed in SETTINGS.get(type(module), {}).items():
        found = getattr(module, setting)
        if found not in allowed:
            raise ValueError(f"{place}: {kind} has {setting}={found!r}, fastnn only {allowed[0]!r}")
    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError(f"{place}: {kind} has hooks on its forward pass; remove them first")

"""The modules of PyTorch that fastnn has, by its own names for them, and three that PyTorch lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..spec import activation_code

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
    "mish": nn.Mish,
    "softsign": nn.Softsign,
    "hard_sigmoid": nn.Hardsigmoid,
    "exponential": Exponential,
    "softmax": lambda: nn.Softmax(dim=1),
}
"""Makes the module of each activation."""

REGISTRABLE: dict[Any, tuple[str, str, str]] = {
    nn.Hardtanh: ("hard_tanh", "min(max(z, -1.0), 1.0)", "1.0 if -1.0 < z < 1.0 else 0.0"),
    nn.ReLU6: ("relu6", "min(max(z, 0.0), 6.0)", "1.0 if 0.0 < z < 6.0 else 0.0"),
    nn.Hardswish: (
        "hard_swish",
        "z * min(max(z + 3.0, 0.0), 6.0) / 6.0",
        "0.0 if z <= -3.0 else (1.0 if z >= 3.0 else z / 3.0 + 0.5)",
    ),
    nn.LogSigmoid: ("log_sigmoid", "min(z, 0.0) - math.log1p(math.exp(-abs(z)))", "1.0 / (1.0 + math.exp(z))"),
    nn.Tanhshrink: ("tanh_shrink", "z - math.tanh(z)", "math.tanh(z) ** 2"),
    nn.Softshrink: (
        "soft_shrink",
        "z - 0.5 if z > 0.5 else (z + 0.5 if z < -0.5 else 0.0)",
        "1.0 if abs(z) > 0.5 else 0.0",
    ),
    nn.Hardshrink: ("hard_shrink", "z if abs(z) > 0.5 else 0.0", "1.0 if abs(z) > 0.5 else 0.0"),
}
"""Activations that are taken over under a name once it is registered: the name, f(z) and f'(z)."""

NAMES: dict[Any, str] = {
    **{type(make()): name for name, make in MODULES.items()},
    **{kind: name for kind, (name, _, _) in REGISTRABLE.items()},
    nn.CELU: "elu",  # with alpha 1 they are the same
    nn.LogSoftmax: "softmax",
}
"""The activation that each module is."""

SETTINGS: dict[Any, dict[str, tuple[Any, ...]]] = {
    nn.LeakyReLU: {"negative_slope": (0.01,)},
    nn.ELU: {"alpha": (1.0,)},
    nn.CELU: {"alpha": (1.0,)},
    nn.Softplus: {"beta": (1, 1.0), "threshold": (20, 20.0)},
    nn.GELU: {"approximate": ("none",)},
    nn.Hardtanh: {"min_val": (-1.0,), "max_val": (1.0,)},
    nn.Softshrink: {"lambd": (0.5,)},
    nn.Hardshrink: {"lambd": (0.5,)},
    nn.Softmax: {"dim": (1, -1)},
    nn.LogSoftmax: {"dim": (1, -1)},
    nn.Flatten: {"start_dim": (1,), "end_dim": (-1,)},
}
"""The values that a module's settings must have."""

KNOWN = {nn.Linear, nn.BatchNorm1d, nn.Dropout, nn.Flatten, Scale, *NAMES}

BY_EXAMPLE = {
    getattr(nn, name)
    for name in ("LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm1d", "LocalResponseNorm")
    if hasattr(nn, name)
}
"""Modules that normalise each example by its own mean or spread."""


def place_of(name: str) -> str:
    """Return what errors call the submodule of a name."""
    return name or "module"


def is_sequence(module: Any) -> bool:
    """Return whether a module does nothing but apply its submodules one after the other."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def is_composite(module: Any) -> bool:
    """Return whether a module is of a kind unknown here that has submodules, so that it may consist of known ones."""
    return type(module) not in KNOWN and not is_sequence(module) and next(module.children(), None) is not None


def check_module(place: str, module: Any) -> None:
    """Raise for a kind or a setting of a module that fastnn lacks, naming what helps."""
    kind = type(module)
    if kind in BY_EXAMPLE:
        raise TypeError(
            f"{place}: fastnn has nothing like {kind.__name__}, which normalises each example by its own numbers; "
            "train a module with BatchNorm1d in its place, or without it on scaled inputs (fastnn.preprocessing)"
        )
    if kind not in KNOWN:
        raise TypeError(f"{place}: fastnn has nothing like {kind.__name__}")
    for setting, allowed in SETTINGS.get(kind, {}).items():
        found = getattr(module, setting)
        if found not in allowed:
            raise ValueError(f"{place}: {kind.__name__} has {setting}={found!r}, fastnn only {allowed[0]!r}")
    if kind in REGISTRABLE:
        name, function, derivative = REGISTRABLE[kind]
        try:
            activation_code(name)
        except ValueError:
            raise TypeError(
                f"{place}: fastnn has nothing like {kind.__name__}; register it as {name!r} first: "
                f"fastnn.register_activation({name!r}, lambda z: {function}, lambda z: {derivative})"
            ) from None


def check_unchanged(place: str, module: Any) -> None:
    """Raise for what can make a module another function than its kind says: hooks and parametrizations."""
    kind = type(module).__name__
    if nn.utils.parametrize.is_parametrized(module):
        raise ValueError(f"{place}: {kind} has parametrizations; call remove_parametrizations on it first")
    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError(f"{place}: {kind} has hooks on its forward pass; remove them first")

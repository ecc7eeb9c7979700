"""The model file: safetensors with plain names and a versioned description.

Tensors `layers.0.weight` (n_out, n_in) and `layers.0.bias` (n_out,), and so on. The metadata holds one key,
`fastnn`, with JSON: format (1), sizes, activation, loss, input_scale, seed, epochs, and what a user of the model
needs: scaler, column_names, class_names. A checkpoint (io/checkpoint.py) is such a file with more in it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import check_int
from ..errors import FileFormatError
from ..preprocessing import MinMaxScaler, StandardScaler, scaler_from_state
from ..spec import Spec, make_spec
from .files import write_bytes

if TYPE_CHECKING:
    from ..model import Model
    from ..network import Network

FORMAT = 1
DTYPES = {"F32": "float32", "F64": "float64"}


def description(net: Model) -> dict[str, Any]:
    """What the file says of the network besides its numbers; an error for what could not be loaded again."""
    return {
        "format": FORMAT,
        "sizes": list(net.sizes),
        "activation": list(net.activation),
        "loss": net.loss_name,
        "input_scale": net.input_scale,
        "dropout": list(net.dropout),
        "loss_setting": net._spec.loss_setting,
        "seed": net.seed,
        "epochs": net.epochs_trained,
        "scaler": checked_scaler(net.scaler, net.sizes[0]).state() if net.scaler is not None else None,
        "column_names": checked_names("column_names", net.column_names, net.sizes[0]),
        "class_names": checked_names("class_names", net.class_names, max(2, net.sizes[-1])),
    }


def checked_names(key: str, names: Any, count: int) -> list[str] | None:
    """The names as a list of `count` texts, or None."""
    if names is None:
        return None
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} must be a sequence of names, got {names!r:.80}")
    if len(names) != count:
        raise ValueError(f"{key} must have {count} names, got {len(names)}")
    return list(names)


def checked_scaler(scaler: Any, n_columns: int) -> MinMaxScaler | StandardScaler:
    """A fitted scaler for that many columns."""
    if not isinstance(scaler, MinMaxScaler | StandardScaler):
        raise TypeError(f"scaler must be a MinMaxScaler or a StandardScaler, got {type(scaler).__name__}")
    state = scaler.state()
    found = len(state["minimum" if isinstance(scaler, MinMaxScaler) else "mean"])
    if found != n_columns:
        raise ValueError(f"scaler must be fitted on the network's {n_columns} columns, got {found}")
    return scaler


def save(net: Model, path: str | os.PathLike[str]) -> None:
    """Write a network; see `Network.save`."""
    from safetensors.numpy import save as to_bytes

    if not np.isfinite(net.parameters).all():
        raise ValueError("this network has parameters that are not finite; it is not saved")
    write_bytes(path, to_bytes(tensors_of(net), {"fastnn": json.dumps(description(net))}))


def tensors_of(net: Model) -> dict[str, np.ndarray]:
    """Weights (n_out, n_in) and biases by their names in the file."""
    tensors = {}
    for number, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        tensors[f"layers.{number}.weight"] = np.ascontiguousarray(weight)
        tensors[f"layers.{number}.bias"] = np.ascontiguousarray(bias)
    return tensors


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network that `Network.save` wrote, or the one in a checkpoint.

    Parameters
    ----------
    path : path
        The safetensors file.

    Returns
    -------
    Network

    Raises
    ------
    OSError
        If the file cannot be read.
    FileFormatError
        If it is damaged, not fastnn's, or of a later format. Nothing in it is executed.

    Examples
    --------
    >>> import fastnn, os, tempfile
    >>> net = fastnn.Network([2, 1], seed=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "gate.safetensors")
    >>> net.save(path)
    >>> bool((fastnn.load(path).weights[0] == net.weights[0]).all())
    True
    """
    from safetensors import SafetensorError, safe_open

    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {path!r:.200}")
    if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with open(path, "rb"):
        pass  # the operating system's own error, with the file's name, where it cannot be read
    try:
        with safe_open(path, framework="numpy") as file:
            spec, about = _description(path, file)
            return _network(path, file, spec, about)
    except SafetensorError as error:
        raise FileFormatError(f"{path} is not a sound safetensors file: {error}") from None


def _description(path: Any, file: Any) -> tuple[Spec, dict[str, Any]]:
    text = (file.metadata() or {}).get("fastnn")
    if text is None:
        raise FileFormatError(f"{path} is a safetensors file, but not one that fastnn wrote")
    try:
        about = json.loads(text)
        found = about["format"]
        if found != FORMAT:
            raise FileFormatError(f"{path} has format {found!r}; this fastnn reads format {FORMAT}")
        names = {name for name in file.keys() if not name.startswith("training.")}  # noqa: SIM118
        kinds = {file.get_slice(name).get_dtype() for name in names}
        if len(kinds) != 1 or not kinds <= set(DTYPES):
            raise FileFormatError(f"{path} must hold F32 or F64 tensors of one kind, got {sorted(kinds)}")
        loss = (about["loss"], about["loss_setting"]) if "loss_setting" in about else about["loss"]
        described = (about["input_scale"], about.get("dropout", 0.0))
        spec = make_spec(about["sizes"], about["activation"], loss, DTYPES[kinds.pop()], *described)
        if check_int("seed", about["seed"], 0) >= 1 << 63 or check_int("epochs", about["epochs"], 0) >= 1 << 63:
            raise ValueError("seed and epochs must be below 2**63")
        checked_names("column_names", about["column_names"], spec.sizes[0])
        checked_names("class_names", about["class_names"], max(2, spec.sizes[-1]))
        if about["scaler"] is not None:
            about["scaler"] = checked_scaler(scaler_from_state(about["scaler"]), spec.sizes[0])
    except FileFormatError as error:
        raise FileFormatError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise FileFormatError(f"{path} has a damaged description: {error!r:.400}") from None
    wanted = {
        f"layers.{number}.{part}": shape
        for number, (n_in, n_out) in enumerate(zip(spec.sizes, spec.sizes[1:], strict=False))
        for part, shape in (("weight", [n_out, n_in]), ("bias", [n_out]))
    }
    if names != set(wanted):
        raise FileFormatError(f"{path} must hold the tensors {sorted(wanted)}, got {sorted(names)}")
    for name, shape in wanted.items():
        found = list(file.get_slice(name).get_shape())
        if found != shape:
            raise FileFormatError(f"{path}: {name} must have shape {shape}, got {found}")
    return spec, about


def _network(path: Any, file: Any, spec: Spec, about: dict[str, Any]) -> Network:
    from ..network import Network

    net = Network(
        spec.sizes,
        activation=spec.activation,
        loss=(spec.loss, spec.loss_setting),
        dtype=spec.dtype,
        seed=about["seed"],
        input_scale=spec.input_scale,
        dropout=spec.dropout,
    )
    for number, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        for part, name in ((weight, "weight"), (bias, "bias")):
            values = file.get_tensor(f"layers.{number}.{name}")
            if not np.isfinite(values).all():
                raise FileFormatError(f"{path}: layers.{number}.{name} holds numbers that are not finite")
            part[...] = values
    net._epochs = about["epochs"]
    net.scaler = about["scaler"]
    net.column_names = tuple(about["column_names"]) if about["column_names"] is not None else None
    net.class_names = tuple(about["class_names"]) if about["class_names"] is not None else None
    return net

"""Read and write the model file: safetensors with plain tensor names and a versioned description.

The tensors are `layers.0.weight` (n_out, n_in), `layers.0.bias` (n_out,), and so on. The metadata holds one key,
`fastnn`, with JSON: format, sizes, activation, loss, loss_setting, input_scale, dropout, seed, epochs, and what
prediction needs besides: scaler, column_names, class_names, and class_dtype if the latter are numbers of a NumPy type
that JSON does not tell. Format 1 is a network; format 2 also holds `table`, the preprocessing of a table, its target
and its provenance (`TableModel`). A checkpoint (io/checkpoint_file.py) is such a file with more in it.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..checks import check_int
from ..embeddings import CategoryEmbedding, PeriodicEmbedding, PiecewiseLinearEmbedding
from ..errors import FileFormatError
from ..preprocessing import MinMaxScaler, StandardScaler, scaler_from_state
from ..spec import Spec, activation_code, loss_code, make_spec
from .files import write_bytes
from .labels import as_plain, from_plain

FORMAT, TABLE_FORMAT = 1, 2
"""Of a network, and of one with the preprocessing of a table."""

DTYPES = {"F32": "float32", "F64": "float64"}
EMBEDDINGS: dict[type, str] = {PeriodicEmbedding: "embedding", PiecewiseLinearEmbedding: "piecewise_linear_embedding"}
"""Embedding of numbers -> its key in the description."""

TRAINING_PREFIX = "training."
"""Begins the names of the tensors that a checkpoint adds to those of the model."""

NAME = "model.safetensors"
"""What `fastnn train` calls a model in its folder."""


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A network as a file or another library describes it.

    Attributes
    ----------
    spec : Spec
        Its architecture.
    parameters : ndarray, (n_parameters,)
        Of the spec's dtype; layer by layer, the weights row by row, (n_out, n_in), then the biases; then the others, in
        the order of `Spec.further_shapes`.
    seed : int
        Seed of the weights and of the shuffles.
    epochs : int
        Epochs trained so far.
    scaler : MinMaxScaler or StandardScaler or None
        The preprocessing of its inputs.
    column_names : tuple of str or None
        Names of the inputs.
    class_names : tuple of str, int, bool or float, or None
        Labels of the classes, all of one kind; NumPy's scalars where their type matters.
    table : dict or None
        The preprocessing of a table, its target and its provenance, as plain data: what `TableModel` adds.
    """

    spec: Spec
    parameters: np.ndarray
    seed: int
    epochs: int = 0
    scaler: Any = None
    column_names: tuple[str, ...] | None = None
    class_names: tuple[Any, ...] | None = None
    table: dict[str, Any] | None = None

    def check_finite(self, message: str) -> None:
        """Raise ValueError with a message if any parameter is not finite."""
        if not np.isfinite(self.parameters).all():
            raise ValueError(message)

    def layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return weights (n_out, n_in) and biases (n_out,) of each layer, as views of the parameters."""
        found, start = [], 0
        for n_in, n_out in pairwise(self.spec.widths):
            end = start + n_out * n_in
            found.append((self.parameters[start:end].reshape(n_out, n_in), self.parameters[end : end + n_out]))
            start = end + n_out
        return found

    def further(self) -> dict[str, np.ndarray]:
        """Return all other parameters by their names, see `Spec.further_shapes`, as views of the parameters."""
        shapes = self.spec.further_shapes
        found, start = {}, len(self.parameters) - sum(math.prod(shape) for shape in shapes.values())
        for name, shape in shapes.items():
            end = start + math.prod(shape)
            found[name] = self.parameters[start:end].reshape(shape)
            start = end
        return found

    def folded_layers(self, purpose: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the layers of the same network without input scales: the first weights are times them.

        Raises
        ------
        ValueError
            For networks that are more than layers, naming what needs them.
        """
        self.spec.check_plain(purpose)
        return self.scaled_layers()

    def scaled_layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return weights and biases of each layer, the first weights times the input scales."""
        layers = self.layers()
        if self.spec.learned_input_scale:
            layers[0] = (layers[0][0] * self.further()["input_scales"], layers[0][1])
        return layers


def write(path: str | os.PathLike[str], model: SavedModel) -> None:
    """Write a model file, in one step.

    Raises
    ------
    ValueError, TypeError
        For what could not be read again: parameters that are not finite, a scaler that is not fitted, names that are
        of several kinds, or not as many as there are columns or classes.
    """
    from safetensors.numpy import save as to_bytes

    model.check_finite("this network has parameters that are not finite; it is not saved")
    write_bytes(path, to_bytes(tensors_of(model), {"fastnn": json.dumps(description(model))}))


def description(model: SavedModel) -> dict[str, Any]:
    """Return what the file says of a network besides its tensors; raise for what could not be read again."""
    spec = model.spec
    labels, dtype = None, None
    if model.class_names is not None:
        labels, dtype = as_plain("class_names", model.class_names, max(2, spec.sizes[-1]))
    return {
        "format": FORMAT if model.table is None else TABLE_FORMAT,
        "sizes": list(spec.sizes),
        "activation": list(spec.activation),
        "loss": spec.loss,
        "input_scale": spec.input_scale,
        "dropout": list(spec.dropout),
        "loss_setting": spec.loss_setting,
        "seed": model.seed,
        "epochs": model.epochs,
        "scaler": check_scaler(model.scaler, spec.sizes[0]).state() if model.scaler is not None else None,
        "column_names": check_names("column_names", model.column_names, spec.sizes[0]),
        "class_names": labels,
        **({} if dtype is None else {"class_dtype": dtype}),
        **({"learned_input_scale": True} if spec.learned_input_scale else {}),
        **({"precision": spec.precision} if spec.precision != spec.dtype else {}),
        **({"learned_activation": True} if spec.learned_activation else {}),
        **({EMBEDDINGS[type(spec.embedding)]: asdict(spec.embedding)} if spec.embedding else {}),
        **({"category_embedding": asdict(spec.category_embedding)} if spec.category_embedding else {}),
        **({} if model.table is None else {"table": model.table}),
    }


def tensors_of(model: SavedModel) -> dict[str, np.ndarray]:
    """Return the weights (n_out, n_in) and biases by their names in the file."""
    tensors = {}
    for number, (weight, bias) in enumerate(model.layers()):
        tensors[f"layers.{number}.weight"] = weight
        tensors[f"layers.{number}.bias"] = bias
    return tensors | model.further()


def check_names(key: str, names: Any, count: int) -> list[str] | None:
    """Return the names as a list of `count` texts, or None."""
    if names is None:
        return None
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} must be a sequence of names, got {names!r:.80}")
    if len(names) != count:
        raise ValueError(f"{key} must have {count} names, got {len(names)}")
    return list(names)


def check_scaler(scaler: Any, n_columns: int) -> MinMaxScaler | StandardScaler:
    """Return the scaler if it is one that is fitted on that many columns."""
    if not isinstance(scaler, MinMaxScaler | StandardScaler):
        raise TypeError(f"scaler must be a MinMaxScaler or a StandardScaler, got {type(scaler).__name__}")
    state = scaler.state()
    fitted_on = len(state["minimum" if isinstance(scaler, MinMaxScaler) else "mean"])
    if fitted_on != n_columns:
        raise ValueError(f"scaler must be fitted on the network's {n_columns} columns, got {fitted_on}")
    return scaler


def in_folder(path: str | os.PathLike[str]) -> str:
    """Return the model in a folder that `fastnn train` wrote; return any other path unchanged."""
    inside = os.path.join(path, NAME)
    return inside if os.path.isfile(inside) else os.fspath(path)


def read(path: str | os.PathLike[str]) -> SavedModel:
    """Read a model file, that in a folder of `fastnn train`, or the network in a checkpoint.

    Everything is checked, and nothing is executed.

    Raises
    ------
    OSError
        If the file cannot be read.
    FileFormatError
        If it is damaged, not fastnn's, or of a later format.
    """
    from safetensors import SafetensorError, safe_open

    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {path!r:.200}")
    path = in_folder(path)
    if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with open(path, "rb"):
        pass  # raises the operating system's own error, with the file's name, if it cannot be read
    try:
        with safe_open(path, framework="numpy") as file:
            spec, config = _read_description(path, file)
            parameters = _read_parameters(path, file, spec)
            epochs = config["epochs"] + _epochs_of_training(file)
    except SafetensorError as error:
        raise FileFormatError(f"{path} is not a sound safetensors file: {error}") from None
    columns = None if config["column_names"] is None else tuple(config["column_names"])
    return SavedModel(
        spec,
        parameters,
        config["seed"],
        epochs,
        config["scaler"],
        columns,
        config["class_names"],
        config.get("table"),
    )


def _read_description(path: Any, file: Any) -> tuple[Spec, dict[str, Any]]:
    text = (file.metadata() or {}).get("fastnn")
    if text is None:
        raise FileFormatError(f"{path} is a safetensors file, but not one that fastnn wrote")
    try:
        config = json.loads(text)
        found = config["format"]
        if isinstance(found, bool) or found not in (FORMAT, TABLE_FORMAT):
            raise FileFormatError(f"{path} has format {found!r}; this fastnn reads formats {FORMAT} and {TABLE_FORMAT}")
        if ("table" in config) != (found == TABLE_FORMAT) or not isinstance(config.get("table", {}), dict):
            raise ValueError("the preprocessing of a table belongs to format 2, and to no other")
        dtypes = {file.get_slice(name).get_dtype() for name in _tensor_names(file)}
        if len(dtypes) != 1 or not dtypes <= set(DTYPES):
            raise FileFormatError(f"{path} must hold F32 or F64 tensors of one kind, got {sorted(dtypes)}")
        _check_registered(path, config)
        loss = (config["loss"], config["loss_setting"]) if "loss_setting" in config else config["loss"]
        further = ("dropout", "learned_input_scale", "precision", "learned_activation")
        more = {name: config[name] for name in further if name in config}
        for kind, key in EMBEDDINGS.items():
            if key in config:
                more["embedding"] = kind(**config[key])
        if "category_embedding" in config:
            more["category_embedding"] = CategoryEmbedding(**config["category_embedding"])
        dtype = DTYPES[dtypes.pop()]
        spec = make_spec(config["sizes"], config["activation"], loss, dtype, config["input_scale"], **more)
        if check_int("seed", config["seed"], 0) >= 1 << 63 or check_int("epochs", config["epochs"], 0) >= 1 << 63:
            raise ValueError("seed and epochs must be below 2**63")
        check_names("column_names", config["column_names"], spec.sizes[0])
        if config["class_names"] is not None:
            labels, _ = as_plain("class_names", config["class_names"], max(2, spec.sizes[-1]))
            config["class_names"] = from_plain(labels, config.get("class_dtype"))
        if config["scaler"] is not None:
            config["scaler"] = check_scaler(scaler_from_state(config["scaler"]), spec.sizes[0])
    except FileFormatError as error:
        raise FileFormatError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise FileFormatError(f"{path} has a damaged description: {error!r:.400}") from None
    return spec, config


def _check_registered(path: Any, config: dict[str, Any]) -> None:
    """Raise for activations and losses that this process lacks, which the file's writer had registered."""
    unknown = []
    for kind, code in (("activation", activation_code), ("loss", loss_code)):
        given = config[kind] if isinstance(config[kind], list) else [config[kind]]
        for name in dict.fromkeys(name for name in given if isinstance(name, str)):
            try:
                code(name)
            except ValueError:
                unknown.append((kind, name))
    if unknown:
        functions = " and ".join(f"fastnn.register_{kind}" for kind in dict.fromkeys(kind for kind, _ in unknown))
        raise FileFormatError(
            f"{path} is of a network with {', '.join(f'{kind} {name!r:.80}' for kind, name in unknown)}, which this "
            f"process does not know: call {functions} first, with the functions that it was trained with"
        )


def _epochs_of_training(file: Any) -> int:
    """Return the epochs of the training that a checkpoint continues; 0 in other files."""
    name = f"{TRAINING_PREFIX}learning_rates"
    shape = file.get_slice(name).get_shape() if name in file.keys() else []  # noqa: SIM118
    return int(shape[0]) if len(shape) == 1 else 0


def _tensor_names(file: Any) -> set[str]:
    """Return the names of the model's own tensors."""
    return {name for name in file.keys() if not name.startswith(TRAINING_PREFIX)}  # noqa: SIM118


def _read_parameters(path: Any, file: Any, spec: Spec) -> np.ndarray:
    expected = {
        f"layers.{number}.{part}": shape
        for number, (n_in, n_out) in enumerate(pairwise(spec.widths))
        for part, shape in (("weight", [n_out, n_in]), ("bias", [n_out]))
    } | {name: list(shape) for name, shape in spec.further_shapes.items()}
    names = _tensor_names(file)
    if names != set(expected):
        raise FileFormatError(f"{path} must hold the tensors {sorted(expected)}, got {sorted(names)}")
    for name, shape in expected.items():
        found = list(file.get_slice(name).get_shape())
        if found != shape:
            raise FileFormatError(f"{path}: {name} must have shape {shape}, got {found}")
    parameters, start = np.empty(spec.n_parameters, spec.dtype), 0
    for name in expected:
        values = file.get_tensor(name)
        if not np.isfinite(values).all():
            raise FileFormatError(f"{path}: {name} holds numbers that are not finite")
        parameters[start : start + values.size] = values.ravel()
        start += values.size
    return parameters

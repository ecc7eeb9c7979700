"""The checkpoint of a training: all that its next step depends on, in one safetensors file with a checksum.

The tensors and the description of the model file (io/model.py), so that `fastnn.load` reads the network out of it;
beside them, named `training.*`, the optimizer's state, the history, the callbacks' arrays, and in the metadata
`fastnn_training` the position and what the training must have in common with the one that goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileFormatError
from ..model import Model
from .files import write_bytes
from .model_file import description, load, tensors_of

FORMAT = 1
NAME, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
PREFIX = "training."


@dataclass
class Checkpoint:
    """A training between two steps.

    Attributes
    ----------
    net : Model
        Its parameters and its seed.
    about : dict
        Plain values: position, seconds, stop_reason, steps (of the optimizer's state, before this training), kind (of
        the optimizer), terms (what a training that goes on must share), callbacks (a name and plain values for each).
    arrays : dict of ndarray
        By name: sums, learning_rates, history.*, state.first, state.second, state.average, callback.*.
    epochs : int
        Epochs that the net had before this training; the file's own number of epochs.
    """

    net: Model
    about: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    epochs: int = 0


def write(folder: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint; the one before is kept beside it."""
    from safetensors.numpy import save as to_bytes

    tensors = tensors_of(checkpoint.net)
    tensors |= {PREFIX + name: np.ascontiguousarray(array) for name, array in checkpoint.arrays.items()}
    texts = {
        "fastnn": json.dumps(description(checkpoint.net) | {"epochs": checkpoint.epochs}),
        "fastnn_training": json.dumps(checkpoint.about | {"format": FORMAT}),
    }
    texts["sha256"] = checksum(texts, tensors)
    write_bytes(Path(folder, NAME), to_bytes(tensors, texts), Path(folder, PREVIOUS))


def read(folder: str | os.PathLike[str]) -> Checkpoint | None:
    """The folder's newest sound checkpoint; None where there is none, an error where there are damaged ones alone."""
    problems = []
    for name in (NAME, PREVIOUS):
        path = Path(folder, name)
        if path.exists():
            try:
                return _read(path)
            except FileFormatError as error:
                problems.append(str(error))
    if problems:
        raise FileFormatError("; ".join(problems))
    return None


def _read(path: Path) -> Checkpoint:
    from safetensors import safe_open

    net = load(path)  # which has looked at all tensors
    with safe_open(path, framework="numpy") as file:
        texts = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if texts.pop("sha256", None) != checksum(texts, tensors) or "fastnn_training" not in texts:
        raise FileFormatError(f"{path} is not a sound checkpoint: its checksum does not hold")
    try:
        about = json.loads(texts["fastnn_training"])
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a sound checkpoint: {error}") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        found = about.get("format") if isinstance(about, dict) else about
        raise FileFormatError(f"{path} has format {found!r:.80}; this fastnn reads format {FORMAT}")
    arrays = {name.removeprefix(PREFIX): array for name, array in tensors.items() if name.startswith(PREFIX)}
    problem = _problem(net, about, arrays)
    if problem:
        raise FileFormatError(f"{path} is not a sound checkpoint: {problem}")
    return Checkpoint(net, about, arrays, net.epochs_trained)


def _problem(net: Model, about: dict[str, Any], arrays: dict[str, np.ndarray]) -> str | None:
    """What a training could not go on from, checksum or not."""
    for name in ("position", "steps"):
        if type(about.get(name)) is not int or not 0 <= about[name] < 1 << 62:
            return f"{name} must be a count, got {about.get(name)!r:.80}"
    if type(about.get("seconds")) not in (int, float) or not 0 <= about["seconds"] < float("inf"):
        return f"seconds must be a number, got {about.get('seconds')!r:.80}"
    if not isinstance(about.get("stop_reason"), str) or not isinstance(about.get("terms"), dict):
        return "stop_reason must be a text, and terms must have values by name"
    callbacks = about.get("callbacks")
    pairs = isinstance(callbacks, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in callbacks)
    if not pairs or not all(isinstance(name, str) and isinstance(values, dict) for name, values in callbacks or []):
        return "callbacks must be names with values"
    epochs = {array.shape for name, array in arrays.items() if name.startswith("history.")}
    epochs |= {arrays["learning_rates"].shape} if "learning_rates" in arrays else set()
    kinds = [array.dtype for name, array in arrays.items() if not name.startswith(("state.", "callback."))]
    if "learning_rates" not in arrays or arrays.get("sums", np.empty(0)).shape != (3,):
        return "learning_rates and sums must be there"
    if len(epochs) != 1 or any(len(shape) != 1 for shape in epochs) or any(kind != np.float64 for kind in kinds):
        return "history and learning_rates must have one number for each epoch"
    for name in ("first", "second", "average"):
        array = arrays.get(f"state.{name}")
        if array is None or array.dtype != net.dtype or array.shape not in ((0,), (net.n_parameters,)):
            return f"state.{name} must have no number, or one of {net.dtype} for each parameter"
    return None


def checksum(texts: dict[str, str], tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 over the texts, and over names, types, shapes and bytes of the tensors, each in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(texts):
        digest.update(f"{name}\0{texts[name]}\0".encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name}\0{array.dtype}\0{array.shape}\0".encode())
        digest.update(array.data)
    return digest.hexdigest()

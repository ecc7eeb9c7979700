"""Read and write the checkpoint of a training: all that its next step depends on, in one file with a checksum.

It is a model file (io/model_file.py) with more in it, so that `fastnn.load` reads the network out of it. Tensors named
`training.*` hold the optimizer's state, the history and the callbacks' arrays; `fastnn_training` in the metadata holds
the position and the fingerprint that a resumed training must match.
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
from ..spec import Spec
from .files import write_bytes
from .model_file import TRAINING_PREFIX, SavedModel, description, tensors_of
from .model_file import read as read_model

FORMAT = 1
NAME, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
FILE_KEYS = {
    "fingerprint": "terms",
    "state.moment1": "state.first",
    "state.moment2": "state.second",
    "state.ema": "state.average",
}
"""What the file calls a value or an array, by the name in memory, where the two differ."""
MEMORY_KEYS = {written: name for name, written in FILE_KEYS.items()}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training between two steps.

    Attributes
    ----------
    model : SavedModel
        The network as it stands.
    progress : dict
        Plain values: position, seconds, stop_reason, steps (of the optimizer before this training), fingerprint (what
        a resumed training must match), callbacks (a name and plain values for each).
    arrays : dict of ndarray
        By name: sums, learning_rates, history.*, state.moment1, state.moment2, state.ema, callback.*.
    epochs : int
        Epochs trained before this training, which is the file's own number of epochs.
    """

    model: SavedModel
    progress: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    epochs: int = 0


def write(folder: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint, and keep the one before beside it."""
    from safetensors.numpy import save as to_bytes

    tensors = tensors_of(checkpoint.model)
    for name, array in _renamed(checkpoint.arrays, FILE_KEYS).items():
        tensors[TRAINING_PREFIX + name] = np.ascontiguousarray(array)
    progress = _renamed(checkpoint.progress, FILE_KEYS)
    texts = {
        "fastnn": json.dumps(description(checkpoint.model) | {"epochs": checkpoint.epochs}),
        "fastnn_training": json.dumps(progress | {"format": FORMAT}),
    }
    texts["sha256"] = checksum(texts, tensors)
    write_bytes(Path(folder, NAME), to_bytes(tensors, texts), Path(folder, PREVIOUS))


def read(folder: str | os.PathLike[str]) -> Checkpoint | None:
    """Return the folder's newest sound checkpoint, or None if it has none; raise if all it has are damaged."""
    problems = []
    for name in (NAME, PREVIOUS):
        path = Path(folder, name)
        if path.exists():
            try:
                return read_file(path)
            except FileFormatError as error:
                problems.append(str(error))
    if problems:
        raise FileFormatError("; ".join(problems))
    return None


def holds_training(path: str | os.PathLike[str]) -> bool:
    """Return whether a sound safetensors file is a checkpoint, with the state of a training beside the model."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return "fastnn_training" in (file.metadata() or {})


def read_file(path: Path) -> Checkpoint:
    """Read one checkpoint file; raise FileFormatError for whatever a training could not be resumed from."""
    from safetensors import safe_open

    model = read_model(path)  # checks the whole file, and the model's own tensors
    with safe_open(path, framework="numpy") as file:
        texts = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if texts.pop("sha256", None) != checksum(texts, tensors) or "fastnn_training" not in texts:
        raise FileFormatError(f"{path} is not a sound checkpoint: its checksum does not hold")
    try:
        progress = json.loads(texts["fastnn_training"])
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a sound checkpoint: {error}") from None
    if not isinstance(progress, dict) or progress.get("format") != FORMAT:
        found = progress.get("format") if isinstance(progress, dict) else progress
        raise FileFormatError(f"{path} has format {found!r:.80}; this fastnn reads format {FORMAT}")
    arrays = {
        name.removeprefix(TRAINING_PREFIX): array for name, array in tensors.items() if name.startswith(TRAINING_PREFIX)
    }
    problem = _problem(model.spec, progress, arrays)
    if problem:
        raise FileFormatError(f"{path} is not a sound checkpoint: {problem}")
    before = model.epochs - len(arrays["learning_rates"])
    return Checkpoint(model, _renamed(progress, MEMORY_KEYS), _renamed(arrays, MEMORY_KEYS), before)


def _renamed(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}


def _problem(spec: Spec, progress: dict[str, Any], arrays: dict[str, np.ndarray]) -> str | None:
    """Return what makes a checkpoint unusable although its checksum holds, in the file's own names; None if nothing."""
    for name in ("position", "steps"):
        if type(progress.get(name)) is not int or not 0 <= progress[name] < 1 << 62:
            return f"{name} must be a count, got {progress.get(name)!r:.80}"
    if type(progress.get("seconds")) not in (int, float) or not 0 <= progress["seconds"] < float("inf"):
        return f"seconds must be a number, got {progress.get('seconds')!r:.80}"
    if not isinstance(progress.get("stop_reason"), str) or not isinstance(progress.get("terms"), dict):
        return "stop_reason must be a text, and terms must have values by name"
    callbacks = progress.get("callbacks")
    pairs = isinstance(callbacks, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in callbacks)
    if not pairs or not all(isinstance(name, str) and isinstance(values, dict) for name, values in callbacks or []):
        return "callbacks must be names with values"
    epochs = {array.shape for name, array in arrays.items() if name.startswith("history.")}
    epochs |= {arrays["learning_rates"].shape} if "learning_rates" in arrays else set()
    dtypes = [array.dtype for name, array in arrays.items() if not name.startswith(("state.", "callback."))]
    if "learning_rates" not in arrays or arrays.get("sums", np.empty(0)).shape != (3,):
        return "learning_rates and sums must be there"
    if len(epochs) != 1 or any(len(shape) != 1 for shape in epochs) or any(dtype != np.float64 for dtype in dtypes):
        return "history and learning_rates must have one number for each epoch"
    for name in MEMORY_KEYS:
        array = arrays.get(name)
        sound = array is not None and array.dtype == spec.dtype and array.shape in ((0,), (spec.n_parameters,))
        if name.startswith("state.") and not sound:
            return f"{name} must have no number, or one of {spec.dtype} for each parameter"
    return None


def checksum(texts: dict[str, str], tensors: dict[str, np.ndarray]) -> str:
    """Return the SHA-256 of the texts and of the tensors' names, dtypes, shapes and bytes, each sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(texts):
        digest.update(f"{name}\0{texts[name]}\0".encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name}\0{array.dtype}\0{array.shape}\0".encode())
        digest.update(array.data)
    return digest.hexdigest()

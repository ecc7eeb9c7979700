"""Running the callbacks of one training."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..history import VALIDATION, History, check_monitor
from .base import Callback

FORMER_NAMES = {"CSVLog": "CSVLogger", "StopAfter": "TimeLimit"}
"""Names of callbacks in checkpoints that earlier versions wrote -> their names today."""


class CallbackRunner:
    """All callbacks of one training, as a context manager: each one that begins also ends."""

    def __init__(self, callbacks: Sequence[Callable[[Any, History], Any]], net: Any, history: History) -> None:
        self._callbacks, self._net, self._history = tuple(callbacks), net, history
        self._begun: list[Callback] = []

    def __bool__(self) -> bool:
        return bool(self._kept())

    @property
    def observed(self) -> bool:
        """Whether there are any, if only some that observe."""
        return bool(self._callbacks)

    def __enter__(self) -> CallbackRunner:
        for callback in self._callbacks:
            if isinstance(callback, Callback):
                self._begun.append(callback)
                callback.on_fit_begin(self._net, self._history)
        return self

    def __exit__(self, *error: object) -> None:
        for callback in self._begun:
            callback.on_fit_end(self._net, self._history)

    def after_epoch(self) -> bool:
        """Call all callbacks; return whether one ends the training, with `history.stop_reason` set."""
        results = [(callback, callback(self._net, self._history)) for callback in self._callbacks]
        for callback, result in results:
            if _as_bool(callback, result):
                self._history.stop_reason = getattr(callback, "stop_reason", "callback")
                return True
        return False

    def state(self) -> tuple[list[list[Any]], dict[str, np.ndarray]]:
        """Return [name, plain values] of each callback, and the arrays of all of them by name."""
        states: list[list[Any]] = []
        arrays: dict[str, np.ndarray] = {}
        for index, callback in enumerate(self._kept()):
            state = callback.state() if isinstance(callback, Callback) else {}
            plain = _plain_values(_name(callback), state)
            arrays |= {f"callback.{index}.{name}": state[name] for name in state if name not in plain}
            states.append([_name(callback), plain])
        return states, arrays

    def restore(self, states: list[list[Any]], arrays: dict[str, np.ndarray]) -> None:
        """Restore what `state` returned; raise a ValueError if the callbacks are not the same."""
        names = [_name(callback) for callback in self._kept()]
        saved_names = [name for name, _ in states]
        if len(names) != len(saved_names) or not all(map(_same_name, saved_names, names)):
            raise ValueError(f"the checkpoint was made with the callbacks {saved_names}, not {names}")
        for index, (callback, (_, plain)) in enumerate(zip(self._kept(), states, strict=True)):
            prefix = f"callback.{index}."
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            if isinstance(callback, Callback):
                callback.restore(plain | own)

    def _kept(self) -> list[Callable[[Any, History], Any]]:
        """Return the callbacks that the training and its checkpoint depend on."""
        return [callback for callback in self._callbacks if not getattr(callback, "observes_only", False)]


def check_callbacks(callbacks: Any, columns: Sequence[str], validation: str = VALIDATION) -> None:
    """Raise an error for what is no callback, or monitors a column that this training will not have.

    Parameters
    ----------
    callbacks : sequence of callables
    columns : sequence of str
        Of the history.
    validation : str
        What to give `fit` for columns of validation data.
    """
    if not isinstance(callbacks, list | tuple) or not all(callable(callback) for callback in callbacks):
        raise TypeError(f"callbacks must be a sequence of callables, got {callbacks!r}")
    columns = list(columns)
    for callback in callbacks:
        if isinstance(callback, type) and issubclass(callback, Callback):
            raise TypeError(f"callbacks must be objects, got the class itself: write {callback.__name__}(...)")
        monitor = getattr(callback, "monitor", None) if isinstance(callback, Callback) else None
        best_only = getattr(callback, "save_best_only", True)
        if monitor is not None and best_only:
            check_monitor(monitor, columns, validation)
        columns += callback.adds if isinstance(callback, Callback) else ()


def _name(callback: Any) -> str:
    return type(callback).__name__ if isinstance(callback, Callback) else "function"


def _same_name(saved: str, name: str) -> bool:
    return name in (saved, FORMER_NAMES.get(saved))


def _as_bool(callback: Any, result: Any) -> bool:
    try:
        return bool(result)
    except ValueError:
        raise TypeError(f"callback {_name(callback)} must return True, False or None, got {result!r:.80}") from None


def _plain_values(owner: str, state: Any) -> dict[str, Any]:
    """Return what JSON can hold of a callback's state, without the arrays; raise an error for anything else."""
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise TypeError(f"{owner}.state() must return a dict of values by name, got {state!r:.80}")
    plain = {}
    for name, value in state.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
            continue
        try:
            plain[name] = value.item() if isinstance(value, np.generic) else value
            json.dumps(plain[name])
        except (TypeError, ValueError, RecursionError):
            raise TypeError(
                f"{owner}.state() must hold numbers, texts and numeric arrays, got {value!r:.80} for {name!r}"
            ) from None
    return plain

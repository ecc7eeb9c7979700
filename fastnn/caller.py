"""Warnings that point at the line of the caller's program, however deep in the package they arise."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

PASSED_OVER = {"fastnn", "sklearn", "joblib"}
"""Packages whose lines are not the caller's: scikit-learn and joblib call the estimators."""


def warn_caller(message: str, category: type[Warning] = RuntimeWarning, module: str | None = None) -> None:
    """Warn with the first line outside `PASSED_OVER` as the place.

    Parameters
    ----------
    message : str
    category : type of Warning, default RuntimeWarning
    module : str, optional
        Module of another library that gives the same warning: filters that name it apply too.
    """
    frame = _caller(sys._getframe(1))
    names, line = frame.f_globals, frame.f_lineno
    own = str(names.get("__name__", "<string>"))
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        line,
        module=_filtered_name(message, category, line, (own,) if module is None else (own, module)),
        registry=names.setdefault("__warningregistry__", {}),
    )


def _caller(frame: FrameType) -> FrameType:
    """Return the first frame outside the packages that are passed over, or the outermost one."""
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in PASSED_OVER:
        frame = frame.f_back
    return frame


def _filtered_name(message: str, category: type[Warning], line: int, modules: tuple[str, ...]) -> str:
    """Return the module for which the first filter that takes the warning does; the first one if none does."""
    for _, text, kind, module, of_line in warnings.filters:
        if not issubclass(category, kind) or of_line not in (0, line) or not _matches(text, message):
            continue
        for name in modules:
            if _matches(module, name):
                return name
    return modules[0]


def _matches(pattern: object, text: str) -> bool:
    """Whether the pattern of a filter takes a text: it is compiled, or a text, or None for any."""
    return pattern is None or (pattern == text if isinstance(pattern, str) else bool(pattern.match(text)))  # type: ignore[attr-defined]

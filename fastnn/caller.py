"""Warnings that point at the line of the caller's program, however deep in the package they arise."""

from __future__ import annotations

import sys
import warnings

PACKAGE = __name__.partition(".")[0]


def warn_caller(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warn with the first line outside this package as the place.

    Parameters
    ----------
    message : str
    category : type of Warning, default RuntimeWarning
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)

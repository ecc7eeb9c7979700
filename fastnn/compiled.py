"""Networks inside functions that you compile with Numba yourself, without a way back through Python.

`net.compiled()` gives what such a function takes, `predict(out, X, model)` is what it calls.
"""

from __future__ import annotations

from .kernels.calling import Compiled, predict

__all__ = ["Compiled", "predict"]

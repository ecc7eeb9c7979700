"""Many networks at once."""

from __future__ import annotations

from .ensemble import Ensemble
from .sweep import Population, fit_many

__all__ = ["Ensemble", "Population", "fit_many"]

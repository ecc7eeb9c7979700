"""The report of a training: one page in one file, that needs no other and asks for nothing."""

from __future__ import annotations

from .content import Training, make_sections
from .page import Section, make_page

__all__ = ["Section", "Training", "make_page", "make_sections"]

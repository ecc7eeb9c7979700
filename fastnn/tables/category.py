"""A category as inputs of a network: one for each level, or a code that the network embeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .columns import Column, Problem, count_texts, problems_of, without_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["CategoryColumn"]

RAREST = 3
"""Categories of fewer training rows are taken together, and stand for those that come later."""

MOST_LEVELS = 255


@dataclass(frozen=True)
class CategoryColumn:
    """A category: one input for each level, 1 where the row holds it; or one input -1 or 1 for two levels.

    Embedded: one input, the number that is 1 otherwise, for a `fastnn.CategoryEmbedding`; -1 where none is.

    Attributes
    ----------
    name : str
    levels : tuple of str
        The values that have an input of their own, the most frequent first; the code of a level is its place here.
    rare : bool
        Whether a further input stands for all others: those rare in training, and those that come later. Without it
        they are 0 everywhere.
    missing : bool
        Whether a further input stands for missing values, "None" among them. Without it they are 0 everywhere.
    embedded : bool
        Whether one input holds the number in place of all these.
    """

    kind: ClassVar[str] = "category"
    name: str
    levels: tuple[str, ...]
    rare: bool = False
    missing: bool = False
    embedded: bool = False

    @classmethod
    def fit(cls, name: str, column: Column, one_hot_limit: int | None = None) -> CategoryColumn:
        """Take the levels of the training rows; a column of more than `one_hot_limit` is embedded, None: of none."""
        return cls.from_counts(name, *count_texts(column), one_hot_limit)

    @classmethod
    def from_counts(
        cls, name: str, counts: Mapping[str, int], n_missing: int, one_hot_limit: int | None = None
    ) -> CategoryColumn:
        """Take the levels of what `count_texts` found in the training rows."""
        order = sorted(counts, key=lambda text: (-counts[text], text))
        levels = [text for text in order if counts[text] >= min(RAREST, counts[order[0]])]
        embedded = one_hot_limit is not None and len(levels) + (len(counts) > len(levels)) > one_hot_limit
        levels = levels if embedded else levels[:MOST_LEVELS]
        rare = len(counts) > len(levels)
        two = len(levels) == 2 and not rare and not embedded
        return cls(name, tuple(levels), rare, n_missing > 0 and not two, embedded)

    @property
    def is_binary(self) -> bool:
        """Whether one input, -1 or 1, holds both levels; a missing or unknown value is 0."""
        return len(self.levels) == 2 and not self.rare and not self.missing and not self.embedded

    @property
    def n_categories(self) -> int:
        """Number of categories that are told apart: the levels, all others, missing values."""
        return len(self.levels) + self.rare + self.missing

    @property
    def code_of_others(self) -> float:
        """Code of a value that is no level, where the column is embedded; -1: none."""
        return float(len(self.levels)) if self.rare else -1.0

    @property
    def code_of_missing(self) -> float:
        """Code of a missing value, where the column is embedded; -1: none."""
        return float(self.n_categories - 1) if self.missing else -1.0

    @property
    def feature_names(self) -> list[str]:
        """Names of the inputs."""
        if self.embedded:
            return [self.name]
        if self.is_binary:
            return [f"{self.name}: {self.levels[1]}, not {self.levels[0]}"]
        names = [f"{self.name}: {level}" for level in self.levels]
        return names + [f"{self.name}: other"] * self.rare + [f"{self.name} is missing"] * self.missing

    @property
    def indicators(self) -> list[int]:
        """Places of the inputs that say yes or no: all, or none of an embedded column."""
        return [] if self.embedded else list(range(len(self.feature_names)))

    def raw(self, column: Column) -> tuple[NDArray[np.float64], list[Problem]]:
        """Return the codes: the place in `levels`, -1 for a level that is not there, NaN for a missing value."""
        texts = without_none(column)
        known = {level: float(code) for code, level in enumerate(self.levels)}
        codes = np.array([known.get(text, -1.0) for text in texts.distinct], np.float64)
        problems = problems_of(self.name, texts, codes < 0, "was not seen, or rarely, in training")
        return texts.spread(codes, np.nan), problems

    def encode(self, codes: NDArray[np.float64], out: NDArray[Any]) -> None:
        """Write the inputs of codes into the columns of `out`."""
        out[...] = 0
        absent = np.isnan(codes)
        known = ~absent & (codes >= 0) & (codes < len(self.levels))
        if self.embedded:
            out[:, 0] = np.where(known, np.floor(codes), np.where(absent, self.code_of_missing, self.code_of_others))
            return
        rows, places = np.flatnonzero(known), codes[known].astype(np.int64)
        if self.is_binary:
            out[rows, 0] = 2 * places - 1
            return
        out[rows, places] = 1
        if self.rare:
            out[~known & ~absent, len(self.levels)] = 1
        if self.missing:
            out[absent, -1] = 1

    def state(self) -> dict[str, Any]:
        """Return the column as plain data."""
        found = {"kind": self.kind, **vars(self), "levels": list(self.levels)}
        if not self.embedded:
            del found["embedded"]
        return found

"""Numbers as people write them: decimal commas, thousands, percent and currency signs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PLAIN", "NumberFormat", "decimal_of", "format_of", "has_leading_zeros", "looks_like_number"]

MOST_ARE_NUMBERS = 0.9
"""A column holds numbers if at least this share of its fields does, those for missing values left aside."""

WORDS = frozenset(
    {"none", "-", "--", "---", ".", "..", "...", "*", "**", "n.a.", "n.a", "unknown", "missing", "not available", "nil"}
    | {"undefined", "(null)", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "not applicable"}
)
"""Texts, in small letters, that stand for a missing value among numbers, where a note says so."""

SIGN = "[-+−]"
CURRENCY = "$€£¥₹₽₩"
BLANKS = " \u00a0\u202f\u2009"
LEADING_ZERO = re.compile(r"(?:^|\0)[-+]?0\d+(?=\0|$)")
AMBIGUOUS = re.compile(r"[-+]?[1-9]\d{0,2}(?P<mark>[.,])\d{3}")


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a column are written.

    Attributes
    ----------
    decimal : str
        "." or ",".
    thousands : str
        What stands between groups of three digits: ",", ".", " ", "'" or nothing.
    signs : str
        Percent and currency signs that stand beside numbers. The number before a percent sign is taken as it is.
    """

    decimal: str = "."
    thousands: str = ""
    signs: str = ""

    def parse(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the numbers, and NaN for every text that is none in this format or is not finite."""
        numbers = self._parse_all(texts)
        if numbers is None:
            numbers = np.array([self._parse_one(text) for text in texts], np.float64)
        numbers[~np.isfinite(numbers)] = np.nan
        return numbers

    def _parse_all(self, texts: Sequence[str]) -> NDArray[np.float64] | None:
        if self.thousands or self.signs:
            return self._parse_marked("\0".join(texts))
        if any("_" in text for text in texts):
            return None
        try:
            if self.decimal == ".":
                return np.fromiter(map(float, texts), np.float64, len(texts))
            if any("." in text for text in texts):
                return None
            return np.fromiter((float(text.replace(",", ".")) for text in texts), np.float64, len(texts))
        except ValueError:
            return None

    def _parse_marked(self, joined: str) -> NDArray[np.float64] | None:
        """Return the numbers of texts joined by zeros if all are numbers: checked in one go, then bared of marks."""
        if _all_of(self.decimal, self.thousands, self.signs).fullmatch(joined) is None:
            return None
        marks = self.signs + (BLANKS if self.thousands in ("", " ") else self.thousands + BLANKS)
        bare = joined.translate(str.maketrans({**dict.fromkeys(marks), self.decimal: ".", "−": "-"}))
        texts = bare.split("\0")
        return np.fromiter(map(float, texts), np.float64, len(texts))

    def _parse_one(self, text: str) -> float:
        match = _pattern(self.decimal, self.thousands, self.signs).fullmatch(text.strip())
        if match is None:
            return np.nan
        digits = match["digits"]
        if self.thousands:
            digits = re.sub(f"[{BLANKS}]", "", digits) if self.thousands == " " else digits.replace(self.thousands, "")
        number = float(digits.replace(",", ".") + (match["exponent"] or ""))
        return -number if (match["sign"] + (match["inner"] or "")).strip("+") else number

    def as_dict(self) -> dict[str, str]:
        """Return the format as plain data."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Any) -> NumberFormat:
        """Rebuild a format from what `as_dict` returned, or raise ValueError."""
        if not isinstance(state, dict) or set(state) != {"decimal", "thousands", "signs"}:
            raise ValueError(f"a format of numbers must have decimal, thousands and signs, got {state!r:.80}")
        found = cls(**state)
        sound = found.decimal in (".", ",") and found.thousands in ("", ",", ".", " ", "'")
        if not sound or not isinstance(found.signs, str) or not set(found.signs) <= set(CURRENCY + "%"):
            raise ValueError(f"a format of numbers cannot be {state!r:.80}")
        return found

    def describe(self) -> list[str]:
        """Return what is unusual in it, in words."""
        found = ["decimal commas"] if self.decimal == "," else []
        if self.thousands:
            name = {" ": "blanks", ",": "commas", ".": "points", "'": "apostrophes"}[self.thousands]
            found.append(f"{name} between thousands")
        if self.signs.strip("%"):
            found.append(f"currency signs ({self.signs.strip('%')})")
        return [*found, "percent signs"] if "%" in self.signs else found


PLAIN = NumberFormat()


@lru_cache(maxsize=256)
def _pattern(decimal: str, thousands: str, signs: str) -> re.Pattern[str]:
    """Return the pattern of one number."""
    group = f"[{BLANKS}]" if thousands == " " else re.escape(thousands)
    grouped = rf"\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}|" if thousands else ""
    point = re.escape(decimal)
    digits = rf"(?:{grouped}\d+)(?:{point}\d*)?|{point}\d+"
    currency = f"[{re.escape(signs.replace('%', ''))}]" if signs.strip("%") else "(?!)"
    twice = rf"(?!{SIGN}\s*{currency}\s*{SIGN})"
    before = rf"{twice}(?P<sign>{SIGN}?)\s*(?:{currency}\s*(?P<inner>{SIGN}?))?"
    after = rf"(?:\s*(?:{currency}{'|%' if '%' in signs else ''}))?"
    return re.compile(rf"{before}(?P<digits>{digits})(?P<exponent>[eE][-+]?\d+)?{after}")


@lru_cache(maxsize=256)
def _all_of(decimal: str, thousands: str, signs: str) -> re.Pattern[str]:
    """Return the pattern of numbers, with blanks around them or not, joined by zeros."""
    one = re.sub(r"\(\?P<\w+>", "(?:", _pattern(decimal, thousands, signs).pattern)
    one = rf"[{BLANKS}]*(?:{one})[{BLANKS}]*"
    return re.compile(rf"(?>{one}\0)*{one}")


ANY_FORMAT = tuple(NumberFormat(*pair, CURRENCY + "%") for pair in ((".", ""), (",", ""), (".", ","), (",", ".")))


@lru_cache(maxsize=1 << 16)
def looks_like_number(text: str) -> bool:
    """Tell whether a text is a number in any of the common formats."""
    return any(np.isfinite(known.parse([text])[0]) for known in ANY_FORMAT)


def has_leading_zeros(texts: Sequence[str]) -> bool:
    """Tell whether whole numbers are written with zeros before them, as codes are: 007."""
    return LEADING_ZERO.search("\0".join(texts)) is not None


def share_of_numbers(texts: Sequence[str], counts: NDArray[Any] | None, chosen: NumberFormat) -> float:
    """Return the share of fields that are numbers in a format; words for missing values are left aside."""
    weights = np.ones(len(texts)) if counts is None else np.asarray(counts, np.float64)
    are_words = np.fromiter((text.casefold() in WORDS for text in texts), bool, len(texts))
    total = weights[~are_words].sum()
    return float(weights[np.isfinite(chosen.parse(texts))].sum() / total) if total else 0.0


def format_of(
    texts: Sequence[str], counts: NDArray[Any] | None = None, *, decimal: str | None = None
) -> NumberFormat | None:
    """Find how the numbers of a column are written.

    Parameters
    ----------
    texts : sequence of str
        The distinct texts of the column, without those for missing values.
    counts : array of int, optional
        How many fields hold each.
    decimal : str, optional
        The decimal sign of the file. It decides what `1,571` and `1.571` are in a column that does not show it; by
        default commas are then thousands and points decimals.

    Returns
    -------
    NumberFormat or None
        None if fewer than nine fields in ten are numbers, or whole numbers have zeros before them, as codes do.
    """
    if not texts or has_leading_zeros(texts):
        return None
    candidates = _candidates(texts, decimal)
    best, best_share = None, 0.0
    for candidate in candidates:
        share = share_of_numbers(texts, counts, candidate)
        if share > best_share + 1e-12:
            best, best_share = candidate, share
    return best if best_share >= MOST_ARE_NUMBERS else None


def _candidates(texts: Sequence[str], decimal: str | None) -> list[NumberFormat]:
    """Return the formats to try; the earlier of two that fit equally well is taken."""
    blob = "\0".join(texts[:10_000])
    signs = "".join(sign for sign in CURRENCY + "%" if sign in blob)
    pairs = [(".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'")]
    if (_column_decimal(texts) or decimal) == ",":
        pairs = [(",", ""), (",", "."), *(pair for pair in pairs if pair not in ((",", ""), (",", ".")))]
    used = set(re.findall(r"[.,' \u00a0\u202f\u2009]", blob))
    used |= {" "} if used & set(BLANKS) else set()
    pairs = [
        pair for pair in pairs if ("," in used or pair[0] == "." or pair[1] == ".") and (not pair[1] or pair[1] in used)
    ]
    return [NumberFormat(*pair, signs) for pair in pairs]


def _column_decimal(texts: Sequence[str]) -> str | None:
    """Return the decimal sign that a column shows beyond doubt; None if it shows none, or both."""
    shown = set()
    for text in texts[:10_000]:
        bare = text.strip(CURRENCY + BLANKS + "%()-+")
        if not re.fullmatch(r"[\d.,' \u00a0\u202f\u2009]+", bare) or AMBIGUOUS.fullmatch(bare):
            continue
        marks = [mark for mark in bare if mark in ".,"]
        if marks and marks.count(marks[-1]) == 1:
            shown.add(marks[-1])
    return shown.pop() if len(shown) == 1 else None


def decimal_of(columns: Mapping[str, Sequence[str]], separator: str) -> str:
    """Find the decimal sign of a file.

    Parameters
    ----------
    columns : mapping of str to sequence of str
        Distinct texts of each column.
    separator : str
        What stands between fields: where no column shows a decimal sign beyond doubt, semicolons mean commas.

    Returns
    -------
    str
        "." or ",".
    """
    shown = [
        _column_decimal(texts)
        for texts in columns.values()
        if texts
        and max(share_of_numbers(texts, None, chosen) for chosen in _candidates(texts, None)) >= MOST_ARE_NUMBERS
    ]
    commas, points = shown.count(","), shown.count(".")
    if commas == points == 0:
        return "," if separator == ";" else "."
    return "," if commas > points else "."

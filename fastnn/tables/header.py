"""Whether the first record of a table holds the names of its columns: found on the whole head of the file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from .columns import default_name, is_missing
from .numbers import looks_like_number

__all__ = ["has_header", "make_names"]

FIRST_YEAR, LAST_YEAR = 1700, 2200
WHOLE = re.compile(r"\d{1,9}")


def has_header(records: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first record holds names.

    Parameters
    ----------
    records : sequence of sequence of str
        The head of the table, blanks around fields stripped.

    Returns
    -------
    bool
        Fields of the first record that are numbers are names only if they count the columns (0, 1, 2, ... or 1, 2,
        3, ...) or the years, over columns that do not. Beside that, a text over a column of numbers makes a header,
        and so do texts over texts if none of them is found below, where others repeat.
    """
    first, body = records[0], records[1:]
    filled = [field for field in first if not is_missing(field)]
    if not filled:
        return False
    numeric = [field for field in first if looks_like_number(field)]
    if not body:
        return not numeric
    if len(set(filled)) < len(filled) and len(numeric) == len(filled):
        return False
    if any(not WHOLE.fullmatch(field) for field in numeric):
        return False
    if numeric and (_counts_columns(first, body) or _counts_years(first, body)):
        return True
    over_numbers = _texts_over_numbers(first, body)
    if numeric and len(numeric) > over_numbers:
        return False
    return over_numbers > 0 or (not numeric and _stands_apart(first, body))


def _column(body: Sequence[Sequence[str]], position: int) -> list[str]:
    found = [record[position] for record in body if position < len(record)]
    return [field for field in found if not is_missing(field)]


def _texts_over_numbers(first: Sequence[str], body: Sequence[Sequence[str]]) -> int:
    """Return how many texts of the first record stand over columns of numbers."""
    count = 0
    for position, field in enumerate(first):
        if is_missing(field) or looks_like_number(field):
            continue
        column = _column(body[:200], position)
        count += bool(column) and sum(map(looks_like_number, column)) > 0.8 * len(column)
    return count


def _counts_columns(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Tell whether the numbers of the first record are 0, 1, 2, ... or 1, 2, 3, ... and no other record's are."""
    numbers = [int(field) for field in first if WHOLE.fullmatch(field)]
    start = numbers[0]
    if start not in (0, 1) or numbers != list(range(start, start + len(numbers))):
        return False
    if len(numbers) == len(first) == 2:
        return all(not WHOLE.fullmatch(field) for record in body for field in record)
    if len(numbers) < 2 or (len(numbers) == 2 and _texts_over_numbers(first, body) == 0):
        return False
    same = Counter(first)
    return not any(Counter(record) == same or _whole_run(record, first) for record in body)


def _whole_run(record: Sequence[str], first: Sequence[str]) -> bool:
    """Tell whether a record runs 1, 2, 3, ... where the first one does: data that count."""
    numbers = [field for field, name in zip(record, first, strict=False) if WHOLE.fullmatch(name)]
    if not all(WHOLE.fullmatch(field) for field in numbers):
        return False
    steps = {int(b) - int(a) for a, b in pairwise(numbers)}
    return steps == {1}


def _counts_years(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Tell whether the numbers of the first record are years at equal steps over columns that hold others."""
    positions = [position for position, field in enumerate(first) if WHOLE.fullmatch(field)]
    years = [int(first[position]) for position in positions]
    steps = {b - a for a, b in pairwise(years)}
    if len(years) < 3 or len(steps) != 1 or 0 in steps or not all(FIRST_YEAR <= year <= LAST_YEAR for year in years):
        return False
    below = [field for position in positions for field in _column(body, position)]
    similar = [field for field in below if WHOLE.fullmatch(field) and FIRST_YEAR <= int(field) <= LAST_YEAR]
    return len(similar) < 0.5 * len(below)


def _stands_apart(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Tell whether texts over texts are names: distinct, found nowhere below, where other texts repeat."""
    filled = [field for field in first if not is_missing(field)]
    if len(set(filled)) < len(filled):
        return False
    apart = together = 0
    for position, field in enumerate(first):
        column = _column(body, position)
        if is_missing(field) or not column:
            continue
        if field in column:
            together += 1
        elif len(set(column)) <= 0.5 * len(column) or _differs_in_form(field, column):
            apart += 1
    return together == 0 and (apart > 0 or len(body) < 10)


def _differs_in_form(field: str, column: Sequence[str]) -> bool:
    """Tell whether all texts of a column have a form that its name lacks, such as that of dates and codes."""
    forms = {re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", text)) for text in column}
    return len(column) > 2 and len(forms) <= 3 and re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", field)) not in forms


def make_names(fields: Sequence[str], width: int) -> tuple[list[str], list[str]]:
    """Return a name for each column, and notes about names that had to be made.

    Columns without a name are called "column 1", "column 2", ... by their place; the second of two columns of one name
    gets a number after it.
    """
    notes: list[str] = []
    names: list[str] = []
    taken = {field for field in fields if field}
    seen: set[str] = set()
    for position in range(width):
        name = (fields[position] if position < len(fields) else "") or default_name(position)
        if name in seen:
            number = 2
            while f"{name} {number}" in taken | seen:
                number += 1
            notes.append(f"column {position + 1} is also named {name!r}: called '{name} {number}' here")
            name = f"{name} {number}"
        seen.add(name)
        names.append(name)
    return names, notes

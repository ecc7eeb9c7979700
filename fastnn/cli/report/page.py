"""A page of HTML from sections of text, tables, code and figures, all of it in one file.

Every text is escaped: names of columns and fields of a table are the file's, and may hold anything. The page has no
script, and its figures are part of it.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: max-content; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: normal; max-width: 22rem; }
td.number, th.number { text-align: right; }
pre { background: var(--soft); padding: .7rem; overflow-x: auto; font-size: .9rem; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
"""


@dataclass
class Section:
    """A part of the report.

    Attributes
    ----------
    title : str
    text : list of str
        Paragraphs.
    table : list of list of str
        Rows, the first one the names of the columns; none is drawn if it is empty.
    code : str
    figures : dict of str to Figure
        What a figure shows -> the figure.
    """

    title: str
    text: list[str] = field(default_factory=list)
    table: list[list[str]] = field(default_factory=list)
    code: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)


def make_page(title: str, sections: Sequence[Section]) -> str:
    """Return the page."""
    name = html.escape(title)
    body = "".join(map(_section, sections))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # a browser that obeys it loads nothing and runs nothing, whatever a table held
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{name}</h1>\n{body}</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    parts = [f"<h2>{html.escape(section.title)}</h2>\n"]
    parts += [f"<p>{html.escape(text)}</p>\n" for text in section.text]
    if section.table:
        parts.append(_table(section.table))
    if section.code:
        parts.append(f"<pre>{html.escape(section.code)}</pre>\n")
    parts += [_figure(words, figure) for words, figure in section.figures.items()]
    return f"<section>\n{''.join(parts)}</section>\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    names, *values = rows
    numeric = [all(map(_is_number, column)) for column in zip(*values, strict=True)] or [False] * len(names)
    lines = [_row("th", names, numeric), *(_row("td", row, numeric) for row in values)]
    return f'<div class="wide"><table>\n{"".join(lines)}</table></div>\n'


def _row(tag: str, fields: Sequence[str], numeric: Sequence[bool]) -> str:
    cells = (
        f"<{tag}{' class=number' if number else ''}>{html.escape(text)}</{tag}>"
        for text, number in zip(fields, numeric, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>\n"


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"(-?[\d,.]+(e[+-]?\d+)?%?)?", text))


def _figure(words: str, figure: Figure) -> str:
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=110)
    data = base64.b64encode(memory.getvalue()).decode()
    return f'<p><img alt="{html.escape(words)}" src="data:image/png;base64,{data}"></p>\n'

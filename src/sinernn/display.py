"""How results are shown: lines, tables, and HTML for notebooks."""

import re
import textwrap
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rich.cells import cell_len

from sinernn.errors import printable

_LINE = 5000  # characters of a text that is shown

UNBROKEN = re.compile(
    r"sinernn (?:'[^']*'|[^';()`])+|(?<!\w)'[^']*'|^[^:]*/[^:]*:|\w+: [^\s,}]+(?=[,}])"
)
"""What keeps its spaces: commands, quotes, the path before a message, `key: value` in YAML."""


def wrapped(line: str, width: int | None, *, indent: str = "  ") -> str:
    """Break a line between words; what is longer than a line is left to the terminal."""
    if not width:
        return line
    joined = UNBROKEN.sub(lambda match: match[0].replace(" ", "\0"), line)
    lines = textwrap.wrap(
        joined,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\0", " ")


@dataclass(frozen=True)
class Table:
    """A table of texts. Rich's tables look the same; a thousand rows take two seconds."""

    columns: Mapping[str, Sequence[str]]
    """Cells by their heading, which may have several lines."""

    title: str = ""
    left: Sequence[str] = ()
    """Headings of the columns that are aligned left; the others are aligned right."""

    @classmethod
    def of_rows(
        cls, headings: Sequence[str], rows: Iterable[Sequence[str]], title: str = ""
    ) -> "Table":
        """Return a table of rows, which may be none."""
        found = list(rows)
        return cls({name: [row[at] for row in found] for at, name in enumerate(headings)}, title)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """Cells by row."""
        return list(zip(*self.columns.values(), strict=True))

    def __str__(self) -> str:
        """Return the table as text: nothing is wrapped or cut."""
        headings = [_lines(name) for name in self.columns]
        depth = max(map(len, headings), default=0)
        cells = [
            [""] * (depth - len(heading)) + heading + [printable(cell, _LINE) for cell in column]
            for heading, column in zip(headings, self.columns.values(), strict=True)
        ]
        widths = [max(map(cell_len, column)) for column in cells]
        is_left = [name in self.left for name in self.columns]

        def line(texts: Sequence[str]) -> str:
            padded = (
                f"{text}{gap}" if left else f"{gap}{text}"
                for text, width, left in zip(texts, widths, is_left, strict=True)
                for gap in [" " * (width - cell_len(text))]
            )
            return "  ".join(padded).rstrip()

        lines = [line(texts) for texts in zip(*cells, strict=True)]
        rule = "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * (sum(widths) + 2 * len(widths) - 2)
        title = [printable(self.title, _LINE)] if self.title else []
        return "\n".join([*title, *lines[:depth], rule, *lines[depth:]])

    def html(self) -> str:
        """Return the table as HTML."""
        aligned = ["left" if name in self.left else "right" for name in self.columns]
        headings = ("<br>".join(map(_escaped, _lines(name))) for name in self.columns)
        rows = [
            "".join(
                f'<{tag} style="text-align: {side}; white-space: nowrap">{cell}</{tag}>'
                for cell, side in zip(cells, aligned, strict=True)
            )
            for tag, cells in [
                ("th", headings),
                *(("td", map(_escaped, row)) for row in self.rows),
            ]
        ]
        title = f"<p>{_escaped(self.title)}</p>" if self.title else ""
        return f"{title}<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def as_text(parts: Iterable[str | Table]) -> str:
    """Return lines and tables as text; a blank line follows a table."""
    return "\n".join(
        f"{part}\n" if isinstance(part, Table) else printable(part, _LINE) for part in parts
    )


def as_html(parts: Iterable[str | Table | Path]) -> str:
    """Return lines, tables and PNG files as HTML in one piece; a missing file is left out."""
    return "\n".join(filter(None, map(_part_html, parts)))


def folded(summary: str, html: str) -> str:
    """Return HTML that shows more when its summary is clicked."""
    return f"<details><summary>{_escaped(summary)}</summary>{html}</details>"


def error_text(value: float | None) -> str:
    """Return an error as tables show it."""
    return "diverged" if value is None else f"{value:.2e}"


def number_text(value: float | None, form: str) -> str:
    """Return a number in a format of Python, or a dash for none."""
    return "-" if value is None else format(value, form)


def steps_text(steps: float | None, *, is_bound: bool) -> str:
    """Return a valid time in steps as tables show it; nothing for none.

    Args:
        steps: The valid time.
        is_bound: Whether the forecasts end there, still valid.
    """
    return "" if steps is None else f"{'>' if is_bound else ''}{steps:g}"


def duration_text(seconds: float | None, digits: str = ".3g") -> str:
    """Return a duration in the largest unit of which there are two or more; nothing for none."""
    if seconds is None:
        return ""
    units = {"d": 86400, "h": 3600, "min": 60}
    unit = next((unit for unit, size in units.items() if seconds >= 2 * size), "s")
    return f"{seconds / units.get(unit, 1):{digits}} {unit}"


def _part_html(part: str | Table | Path) -> str:
    if isinstance(part, Table):
        return part.html()
    if isinstance(part, str):
        return f"<p>{_escaped(part)}</p>" if part else ""
    with suppress(OSError):
        image = b64encode(part.read_bytes()).decode()
        return f'<img src="data:image/png;base64,{image}" alt="{_escaped(part.stem)}">'
    return ""


def _lines(heading: str) -> list[str]:
    return [printable(line, _LINE) for line in heading.split("\n")]


def _escaped(text: str) -> str:
    return escape(printable(text, _LINE))

"""The tables of `sinernn compare`."""

from collections.abc import Iterator, Mapping, Sequence

import typer

from sinernn.cli.output import print_parts, print_prose, terminal_width
from sinernn.comparing import Comparison
from sinernn.display import Table

_MOST_COLUMNS = 8
"""Lines of a comparison that are columns of its table, at most; of more, each is a row."""


def print_comparison(comparison: Comparison) -> None:
    """Print which runs are compared, then settings and scores side by side."""
    print_prose(comparison.title)
    cells = comparison.cells()
    if len(comparison.lines) > _MOST_COLUMNS:
        typer.echo(Table(cells, left=("runs",)))
    else:
        for number, text in zip(cells[""], cells.pop("runs"), strict=True):
            print_prose(f"{number}: {text}")
        print_prose("")
        print_parts(_transposed(cells, terminal_width() or 1000))
    for line in comparison.remarks():
        print_prose(line)


def _transposed(cells: Mapping[str, Sequence[str]], width: int) -> Iterator[Table]:
    """Yield a column for each line, in as many tables as they need to fit the width."""
    names, *columns = zip(*([name, *cells[name]] for name in cells), strict=True)
    widest = 2 + max(len(text) for column in columns for text in column)
    count = max(1, (width - max(map(len, names))) // widest)
    for first in range(0, len(columns), count):
        parts = (names, *columns[first : first + count])
        yield Table({heading: rest for heading, *rest in parts}, left=("",))

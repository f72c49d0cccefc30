"""The tables of `sinernn compare`."""

from collections.abc import Iterator, Mapping, Sequence

from sinernn.cli.output import print_prose, terminal_width
from sinernn.cli.tables import print_columns
from sinernn.comparing import ComparedRuns, Comparison
from sinernn.errors import printable

_MOST_COLUMNS = 8
"""Lines of a comparison that are columns of its table, at most; of more, each is a row."""


def print_comparison(comparison: Comparison) -> None:
    """Print which runs are compared, then settings and scores side by side."""
    print_prose(comparison.title)
    cells, runs = comparison.cells(), [_runs(line) for line in comparison.lines]
    if len(runs) > _MOST_COLUMNS:
        print_columns({**cells, "runs": runs}, left=("runs",))
    else:
        for number, text in enumerate(runs, start=1):
            print_prose(f"{number}: {text}")
        print_prose("")
        for part in _transposed(cells, terminal_width() or 1000):
            print_columns(part, left=("",))
            print_prose("")
    unit = comparison.unit or "signal units"
    print_prose(f"RMSE of free runs up to a horizon, median of the origins, in {unit}")
    for note in comparison.notes:
        print_prose(f"note: {note}")


def _runs(line: ComparedRuns) -> str:
    first = printable(line.runs[0], 300)
    if len(line.runs) == 1:
        return first
    failed = len(line.runs) - line.scored
    without = f", {failed} of them without scores" if failed else ""
    return f"{len(line.runs)} runs, as {first}{without}"


def _transposed(
    cells: Mapping[str, Sequence[str]], width: int
) -> Iterator[dict[str, Sequence[str]]]:
    """Yield a column for each line, in as many tables as they need to fit the width."""
    names, *columns = zip(*([name, *cells[name]] for name in cells), strict=True)
    widest = 2 + max(len(text) for column in columns for text in column)
    count = max(1, (width - max(map(len, names))) // widest)
    for first in range(0, len(columns), count):
        yield {heading: rest for heading, *rest in (names, *columns[first : first + count])}

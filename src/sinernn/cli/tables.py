"""Tables of many rows on stdout."""

from collections.abc import Mapping, Sequence

import typer
from rich.cells import cell_len


def print_columns(cells: Mapping[str, Sequence[str]], *, left: Sequence[str] = ()) -> None:
    """Print columns below their headings, aligned right but for those named in `left`.

    Nothing is wrapped or cut. Rich's tables look the same; a thousand rows take two seconds.
    """
    columns = [[heading, *column] for heading, column in cells.items()]
    widths = [max(map(cell_len, column)) for column in columns]

    def line(texts: Sequence[str]) -> str:
        padded = (
            f"{text}{gap}" if heading in left else f"{gap}{text}"
            for heading, text, width in zip(cells, texts, widths, strict=True)
            for gap in [" " * (width - cell_len(text))]
        )
        return "  ".join(padded).rstrip()

    heading, *rows = (line(texts) for texts in zip(*columns, strict=True))
    typer.echo("\n".join([heading, "─" * (sum(widths) + 2 * len(widths) - 2), *rows]))

"""Tables on stdout."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Column, Table


def plain_table(title: str, *names: str, left: Sequence[str] = ()) -> Table:
    """Return a table without rows; its columns are aligned right but for those named in `left`."""
    return Table(
        *(Column(name, justify="left" if name in left else "right") for name in names),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        show_edge=False,
        title=title,
        title_justify="left",
        title_style="",
    )


def print_table(*parts: Table | str) -> None:
    """Print tables, and lines between them; nothing is cut to the width of the terminal."""
    console = Console(highlight=False, markup=False, emoji=False, width=2000)
    for part in parts:
        console.print(part)


def error_text(value: float | None) -> str:
    """Return an error as tables show it."""
    return "diverged" if value is None else f"{value:.2e}"

"""Generate the reference of the commands from their code: docs/commands.md and docs/sinernn.1.

python docs/reference.py

writes both; `make docs` does this, too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from sinernn.cli import app

DOCS = Path(__file__).parent

CONVENTIONS = """\
A RUN is a run directory, its name in `--runs-dir`, or `latest`; KEY=VALUE sets a setting of the
config, as in `model.hidden_size=32`. Results are printed on stdout, progress and messages on
stderr. Every mistake that a user can make is one message that names the place, the value and the
remedy."""

EXIT_CODES = {
    0: "done",
    1: "failed: a file is damaged or cannot be written, runs of a sweep failed or diverged, or "
    "`verify` found differences",
    2: "wrong usage: an argument, a setting, a run that does not exist, a device that is not "
    "present; nothing was changed",
    3: "the training diverged; its last checkpoint is kept",
    130: "interrupted by Ctrl-C, or by a reader of the output that ended, such as `head`; "
    "`sinernn resume` continues",
    143: "terminated, by `kill` or a scheduler; `sinernn resume` continues",
}

ENVIRONMENT = {
    "SINERNN_CACHE_DIR": "folder of the compiled kernels; default: `sinernn` in the user's folder "
    "of caches",
    "NO_COLOR": "if set, nothing is coloured",
    "COLUMNS": "width of the terminal in characters; default: what the terminal reports",
}


@dataclass(frozen=True)
class Reference:
    """What the help of a command says."""

    name: str
    """As typed, such as `sinernn config show`."""

    usage: str
    summary: str
    description: list[str]
    """Paragraphs after the summary."""

    example: str
    """A command; empty if there is none."""

    arguments: list[tuple[str, str]]
    """Names and texts."""

    options: list[tuple[str, str]]


def references() -> list[Reference]:
    """Return what the help of every command says, in its order."""
    return list(_references(typer.main.get_command(app), "sinernn", None))


def _references(command: Any, name: str, parent: Any) -> Iterator[Reference]:
    context = typer.Context(command, parent=parent, **command.context_settings)
    text, _, example = (command.help or "").partition("Example: ")
    summary, *description = [" ".join(each.split()) for each in text.strip().split("\n\n")]
    records: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record and (parent is None or param.name != "help"):
            records[param.param_type_name].append(record)
    usage = " ".join(command.collect_usage_pieces(context))
    yield Reference(
        name, f"{name} {usage}", summary, description, example.strip(), records["argument"],
        records["option"],
    )  # fmt: skip
    for each, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _references(inner, f"{name} {each}", context)


def markdown() -> str:
    """Return docs/commands.md."""
    everything, *commands = references()
    blocks = [
        "# Commands",
        "This page is generated from the code by `make docs`, and so is the manual page\n"
        "[sinernn.1](sinernn.1), which `man sinernn` shows after installation.",
        CONVENTIONS,
        _table("command", "what it does", [(_link(each.name), each.summary) for each in commands]),
        "## Exit codes",
        _table("code", "meaning", [(str(code), text) for code, text in EXIT_CODES.items()]),
        "## Environment variables",
        _table("name", "meaning", [(f"`{name}`", text) for name, text in ENVIRONMENT.items()]),
        "## Options before the command",
        _records("option", everything.options),
    ]
    for each in commands:
        blocks += [f"## {each.name}", each.summary, *each.description]
        blocks.append(f"```text\n{each.usage}\n```")
        if each.example:
            blocks.append(f"Example: `{each.example}`")
        for kind, records in (("argument", each.arguments), ("option", each.options)):
            blocks += [_records(kind, records)] if records else []
    return "\n\n".join(blocks) + "\n"


def _link(name: str) -> str:
    return f"[{name}](#{name.replace(' ', '-')})"


def _records(kind: str, records: list[tuple[str, str]]) -> str:
    return _table(kind, "meaning", [(_code(name), text) for name, text in records])


def _code(text: str) -> str:
    """Return a text as code; renderers disagree about | between backticks in a table."""
    if "|" in text:
        return f"<code>{escape(text).replace('|', '&#124;')}</code>"
    return f"`{text}`"


def _table(*columns: Any) -> str:
    *headings, rows = columns
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def manual() -> str:
    """Return docs/sinernn.1, in the man macros of roff.

    Source:
        man-pages(7) and groff_man(7): sections, their order, and the macros.
    """
    everything, *commands = references()
    lines = [f'.TH SINERNN 1 "" "sinernn {version("sinernn")}" "User Commands"']
    lines += [".SH NAME", f"sinernn \\- {_roff(everything.summary.rstrip('.'))}"]
    lines += [".SH SYNOPSIS", _bold(everything.usage), ".SH DESCRIPTION", _roff(CONVENTIONS)]
    lines += [".SH OPTIONS", *_items(everything.options), ".SH COMMANDS"]
    for each in commands:
        lines += [f".SS {_roff(each.name)}", _bold(each.usage)]
        for paragraph in (each.summary, *each.description):
            lines += [".PP", _roff(paragraph)]
        lines += [*_items(each.arguments), *_items(each.options)]
        if each.example:
            lines += [".PP", f"Example: {_bold(each.example)}"]
    lines += [".SH EXIT STATUS", *_items([(str(code), text) for code, text in EXIT_CODES.items()])]
    lines += [".SH ENVIRONMENT", *_items(list(ENVIRONMENT.items()))]
    return "\n".join(lines) + "\n"


def _items(records: list[tuple[str, str]]) -> list[str]:
    return [line for name, text in records for line in (".TP", _bold(name), _roff(text))]


def _bold(text: str) -> str:
    return f"\\fB{_roff(text)}\\fR"


def _roff(text: str) -> str:
    """Return a text of which no character is a request or an escape of roff."""
    escapes = {"`": "", "\\": r"\e", "-": r"\-", "'": r"\(aq", "\n": " "}
    return re.sub(r"^(?=\.)", r"\\&", text.translate(str.maketrans(escapes)))


PAGES = {DOCS / "commands.md": markdown, DOCS / "sinernn.1": manual}


def write() -> None:
    """Write both pages."""
    for path, content in PAGES.items():
        path.write_text(content(), encoding="utf-8")


if __name__ == "__main__":
    write()

"""How results are shown: lines, tables, and HTML for notebooks."""

import re
import textwrap

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

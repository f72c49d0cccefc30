"""What PyYAML says in a parser's words, in the words of someone who edits a file."""

from typing import Any

import yaml

_WORDS = (
    # What PyYAML says, whether its context (where the thing began) is the place, our words.
    ("character '\\t' that cannot start", False, "a tab cannot stand here; use spaces"),
    ("that cannot start any token", False, "no plain text begins with this; put it in quotes"),
    ("could not find expected ':'", True,
     "no `:` after this; write `key: value` with a space, or `key:` above indented lines"),
    ("mapping values are not allowed here", False,
     "a `:` cannot stand here; mend the indent or the `:` of the line above, or put text that "
     "holds one in quotes"),
    ("sequence entries are not allowed here", False,
     "a list cannot begin here; write it as [1, 2]"),
    ("found another document", False, "a second document begins here; keep one to a file"),
    ("while scanning a quoted scalar", True, "this quote is never closed"),
    ("scanning a double-quoted scalar", False,
     "no escape begins like this; double the \\, or use single quotes"),
    ("chomping or indentation indicators", False,
     "text behind | or > begins in the next line; put it in quotes"),
    ("scanning a block scalar", False, "text behind | or > is not indented as it should be"),
    ("scanning an anchor", True, "text that begins with & needs quotes"),
    ("scanning an alias", True, "text that begins with * needs quotes"),
    ("scanning a tag", True, "text that begins with ! needs quotes"),
    ("undefined tag handle", False, "tags are not allowed, a config is plain data; leave it out"),
    ("while parsing a flow sequence", True, "this [ lacks a comma or its ] before <there>"),
    ("while parsing a flow mapping", True, "this { lacks a comma or its } before <there>"),
    ("expected '<document start>'", False, "the config has ended before this; remove it"),
    ("found '<block mapping start>'", False,
     "this line is indented unlike the lines it belongs to; line them up"),
    ("found '<block sequence start>'", False,
     "this list is indented unlike the lines it belongs to; line them up"),
    ("<block end>, but found '<scalar>'", False,
     "the value has ended before this; put all of it in quotes"),
    ("expected <block end>", False, "this does not belong here; remove it"),
    ("content, but found '<stream end>'", False, "the text ends within a [ or {; close it"),
    ("expected the node content", False, "a value is missing here; text with signs needs quotes"),
)  # fmt: skip


class Refused(yaml.MarkedYAMLError):
    """YAML that is no config; the message is ours already."""


def in_plain_words(error: yaml.MarkedYAMLError) -> tuple[tuple[int, int], str]:
    """Return where an error is to be mended (line and column, from 1), and what is wrong."""
    said = f"{error.context or ''}: {error.problem or ''}"
    found = [(at_context, words) for fragment, at_context, words in _WORDS if fragment in said]
    if isinstance(error, Refused):
        found = [(False, str(error.problem))]
    at_context, message = next(iter(found), (False, f"is not YAML here: {error.problem}"))
    there: Any = error.problem_mark or error.context_mark
    mark: Any = error.context_mark if at_context and error.context_mark else there
    message = message.replace("<there>", f"line {there.line + 1}, column {there.column + 1}")
    return (mark.line + 1, mark.column + 1), message

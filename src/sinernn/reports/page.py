"""Assemble a page: one HTML file that requests nothing and runs no script but its own.

Text comes from configs and names, perhaps a stranger's: templates escape every value, and show its
control codes as text. A content security policy allows the page's stylesheet and script by their
hashes, and pictures within the page.
"""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sinernn.errors import printable
from sinernn.reports.figures import Figures
from sinernn.reports.live import SCRIPTS, STYLES
from sinernn.reports.views import LiveViews

MARK = '<meta name="generator" content="sinernn report">'
"""Line of every page, by which a later report knows that it may replace it."""

_FOLDER = Path(__file__).parent
_LONGEST = 5000  # characters of a value


def render_page(
    template: str, *, scripts: Sequence[str] = (), figures: Figures, live: LiveViews, **values: Any
) -> bytes:
    """Return a page.

    Args:
        template: File of the template.
        scripts: Files of its script, but for that of live views.
        figures: Its figures.
        live: Its live views.
        values: What the template shows.
    """
    styles = ["report.css", *(STYLES if live.views else ())]
    scripts = [*scripts, *((*SCRIPTS, "report.js") if live.views else ())]
    style = "\n".join([*map(_read, styles), figures.stylesheet])
    script = "\n".join(map(_read, scripts))
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(template).render(
        mark=Markup(MARK),
        policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        style=Markup(style),
        script=Markup(script),
        version=version("sinernn"),
        figures=figures.drawn,
        live=live,
        **values,
    )
    return text.encode()


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """Return what allows a script or stylesheet in a content security policy."""
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def _one_line(value: Any) -> Any:
    """Return a text as one harmless line, except markup of our own."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value, _LONGEST) if is_text else value

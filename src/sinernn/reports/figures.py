"""Figures within a page: SVG as part of it where that is small, otherwise PNG as data."""

import io
import re
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

from sinernn.plot_run import image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BYTES = 120_000
"""Of a figure as SVG; one with more is a PNG, if that is smaller."""

_NUMBER = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"(?<=#)[\w-]+")


class Drawn(NamedTuple):
    """A figure of a page."""

    name: str
    description: str
    element: Markup


class Figures:
    """The figures of a page, and the stylesheet that they share.

    Matplotlib writes a style into each element, which a page's content security policy forbids: it
    becomes a class of the page's one stylesheet.
    """

    def __init__(self) -> None:
        self.drawn = list[Drawn]()
        self._classes = dict[str, str]()

    @property
    def stylesheet(self) -> str:
        """The classes of the figures."""
        rules = (f".{name}{{{style}}}" for style, name in self._classes.items())
        common = "figure svg *{stroke-linejoin:round;stroke-linecap:butt}"
        return "\n".join([common, *rules])

    def add(self, name: str, description: str, figure: "Figure") -> None:
        """Add a figure.

        Args:
            name: Its name, by which its ids begin.
            description: What it shows, in a sentence.
            figure: The figure, laid out.
        """
        root = self._inline(image(figure, "svg"), name)
        width = str(round(float(root.attrib["width"].removesuffix("pt")) * 96 / 72))  # in pixels
        for key, value in {"width": width, "role": "img", "aria-label": description}.items():
            root.set(key, value)
        element = Markup(ElementTree.tostring(root, encoding="unicode"))
        if len(element) > MOST_BYTES:
            png = b64encode(_few_colours(image(figure, "png"))).decode()
            if len(png) < len(element):
                picture = Markup('<img width="{}" src="data:image/png;base64,{}" alt="{}">')
                element = picture.format(width, png, description)
        self.drawn.append(Drawn(name, description, element))

    def _inline(self, content: bytes, name: str) -> ElementTree.Element:
        """Return an SVG file as an element of a page: unique ids, no styles, short numbers."""
        root = ElementTree.fromstring(content)
        for parent in list(root.iter()):
            for child in list(parent):
                if child.tag.endswith(("}metadata", "}style")):
                    parent.remove(child)
        elements = list(root.iter())
        values = " ".join(value for each in elements for value in each.attrib.values())
        used = set(_REFERENCE.findall(values))
        for each in elements:
            each.tag = each.tag.partition("}")[2]
            attributes = {key.rpartition("}")[2]: value for key, value in each.attrib.items()}
            each.attrib.clear()
            if style := attributes.pop("style", ""):
                each.set("class", self._classes.setdefault(style, f"f{len(self._classes)}"))
            for key, value in attributes.items():
                value = _REFERENCE.sub(lambda found: f"{name}-{found[0]}", value)
                if key in _SHORTENED:
                    value = _SHORTENED[key](value)
                if key != "id":
                    each.set(key, value)
                elif value in used:
                    each.set(key, f"{name}-{value}")
        for key in ("height", "version"):
            root.attrib.pop(key, None)
        return root


def _few_colours(png: bytes) -> bytes:
    """Return a PNG with at most 256 colours: no visible difference, and a third of the bytes."""
    from PIL import Image

    content = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    image.save(content, "png", optimize=True)
    return content.getvalue()


def _shortened(value: str) -> str:
    """Return numbers to a hundredth of a point."""
    return _NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)


def _path(data: str) -> str:
    """Return the data of a path; polygons in steps of a tenth of a point take half as much."""
    words = data.split()
    closed = ["z"] if words[-1:] == ["z"] else []
    words = words[: len(words) - len(closed)]
    if not set(words[::3]) <= {"M", "L"}:  # it has curves, or is closed in several places
        return _shortened(" ".join([*words, *closed]))
    parts, x, y = list[str](), 0, 0
    for command, *point in zip(words[::3], words[1::3], words[2::3], strict=True):
        to_x, to_y = (round(10 * float(each)) for each in point)
        parts += ["m"] if command == "M" else []  # numbers that follow are lines
        parts += [f"{(to_x - x) / 10:g}", f"{(to_y - y) / 10:g}"]
        x, y = to_x, to_y
    return re.sub(r"m | (?=[-mz])", lambda found: found[0].strip(), " ".join(parts + closed))


_SHORTENED = {"d": _path, **dict.fromkeys(("x", "y", "transform"), _shortened)}
"""What makes the values of attributes shorter."""

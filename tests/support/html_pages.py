"""Pages as a browser's parser sees them."""

from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "img", "link", "br", "hr", "input"}
"""Elements without an end."""


@dataclass
class Element:
    """An element, with the text directly in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inner: list["Element"] = field(default_factory=list)


class Page(HTMLParser):
    """A page that a file holds; elements that are not closed are an error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.root = Element("", {})
        self.elements: list[Element] = []
        self._open = [self.root]
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == [self.root]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        self._open[-1].inner.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        self._open[-1].text += data

    def all(self, tag: str) -> list[Element]:
        return [each for each in self.elements if each.tag == tag]

    @property
    def text(self) -> str:
        """All that is shown."""
        return "\n".join(each.text for each in self.elements if each.tag not in ("script", "style"))

    @property
    def tags(self) -> list[str]:
        """The tag of every element, in order."""
        return [each.tag for each in self.elements]

    @property
    def policy(self) -> dict[str, str]:
        """The content security policy."""
        (meta,) = [each for each in self.all("meta") if "http-equiv" in each.attributes]
        parts = [each.split(" ", 1) for each in meta.attributes["content"].split("; ")]
        return dict(parts)


def check_harmless(page: Page) -> None:
    """Check that a page runs nothing but its own script, and requests nothing."""
    assert page.policy["default-src"] == "'none'"
    assert page.policy["img-src"] == "data:"
    (style,) = page.all("style")
    assert page.policy["style-src"] == source_of(style.text)
    scripts = [each for each in page.all("script") if "type" not in each.attributes]
    assert [page.policy["script-src"]] == [source_of(each.text) for each in scripts] or not scripts
    for element in page.elements:
        assert element.tag not in ("iframe", "object", "embed", "base", "form", "link")
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            assert name != "style"
            if name in ("src", "href", "srcset", "action"):
                assert value.startswith(("#", "data:image/png;base64,"))
            if "url(" in value:
                assert value.startswith("url(#")


def shown_in(element: Element) -> str:
    """Return the text of an element and of those in it."""
    return element.text + "".join(map(shown_in, element.inner))


def source_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

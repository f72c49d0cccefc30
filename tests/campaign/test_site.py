"""The documentation site builds, and its links lead somewhere."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from commands import run
from examples import REPOSITORY


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs-site` does: a warning, such as a dead link, is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = run(sys.executable, "-m", "mkdocs", "build", "--site-dir", folder, cwd=REPOSITORY)
    assert done.code == 0, done.err
    assert "WARNING" not in done.err
    return folder


class Page(HTMLParser):
    """Where a page's links and images lead, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets, self.anchors = set[str](), set[str]()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value and not value.startswith("data:image/"):
                self.targets.add(value)
            if name == "id" and value:
                self.anchors.add(value)


def test_pages_of_the_site(site: Path):
    """Every page of the repository is one, and the README is the first."""
    pages = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]
    built = [path.relative_to(REPOSITORY).with_suffix("") / "index.html" for path in pages]
    built.remove(Path("README/index.html"))
    assert [path for path in [Path("index.html"), *built] if not (site / path).is_file()] == []


def test_links_of_the_site(site: Path):
    """Files and anchors exist; nothing is loaded from another server."""
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    checked = 0
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                assert re.match(r"https://[^/]+/?", target), (path, target)
                assert not target.endswith((".js", ".css", ".woff2")), (path, target)
                continue
            found = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            found = found / "index.html" if found.is_dir() else found
            assert found.is_file(), (path, target)
            if parts.fragment and found in pages:
                assert unquote(parts.fragment) in pages[found].anchors, (path, target)
            checked += 1
    assert checked > 500


def test_lists_of_the_site(site: Path):
    """Lists, tables and code of all pages are rendered as such, although GitHub allows more."""
    for path in site.rglob("index.html"):
        text = re.sub(r"<pre>.*?</pre>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for paragraph in re.findall(r"<p>.*?</p>", text, flags=re.DOTALL):
            assert not re.search(r"^(- |\d\. |\| |```)", paragraph, re.MULTILINE), paragraph

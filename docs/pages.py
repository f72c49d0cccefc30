"""Run the commands of the README and of the pages in docs/, and store the figures that they show.

python docs/pages.py lesson

draws the figures of one page, or of all pages without an argument. A page that shows
`images/tutorial-default-overview.png` has a command that draws the overview of evaluation `default`
of the run `tutorial`.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

REPOSITORY = Path(__file__).parents[1]
PAGES = {
    page.stem: page for page in [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/*.md"))]
}


def commands(page: Path) -> list[str]:
    """Return the lines of a page's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def pictures(page: Path) -> list[str]:
    """Return the file names of the figures that a page shows."""
    return re.findall(r"\]\((?:docs/)?images/([^)]+)\)", page.read_text(encoding="utf-8"))


def drawn(printed: str) -> Iterator[tuple[str, Path]]:
    """Yield the name and the file of every figure whose path a command has printed."""
    for line in printed.splitlines():
        if match := re.fullmatch(
            r"runs/[\d-]{15}-(.+?)(?:/evaluations/(.+))?/figures/(.+\.(?:png|gif))", line
        ):
            yield "-".join(filter(None, match.groups())), Path(line)


def draw(page: Path) -> None:
    """Run a page's commands in an empty folder, and store its figures."""
    missing = set(pictures(page))
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(REPOSITORY / "configs", Path(folder, "configs"))
        for line in commands(page):
            if not line.startswith("sinernn "):
                continue
            print(line, flush=True)
            words = [sys.executable, "-m", *shlex.split(line)]
            done = subprocess.run(words, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
            for name, path in drawn(done.stdout):
                if name in missing:
                    store(Path(folder, path), REPOSITORY / "docs/images" / name)
                    missing.remove(name)
    if missing:
        raise SystemExit(f"{page.name}: no command draws {', '.join(sorted(missing))}")


def store(drawn: Path, target: Path) -> None:
    """Store a figure; a still without visible difference in a third of the bytes."""
    if drawn.suffix != ".png":
        shutil.copyfile(drawn, target)
        return
    image = Image.open(drawn).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE)
    image.save(target, optimize=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or PAGES:
        draw(PAGES[name])

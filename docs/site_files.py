"""Hook of MkDocs: the site has the pages, and the files that they link to, at their paths here."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).parents[1]
PUBLISHED = (
    "*.md",
    "constraints.txt",
    "docs/*.md",
    "docs/sinernn.1",
    "docs/images/*",
    "docs/pages/*.html",
    "examples/*.ipynb",
    "benchmarks/*.md",
    "benchmarks/*.yaml",
    "benchmarks/floor.c",
    "benchmarks/protocols.py",
    "benchmarks/published/*.yaml",
    "configs/**/*.yaml",
    "configs/data/*",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of the folder `docs` by those of the repository; keep the theme's."""
    for file in list(files):
        if Path(str(file.abs_src_path)).is_relative_to(config.docs_dir):
            files.remove(file)
    for pattern in PUBLISHED:
        for path in sorted(REPOSITORY.glob(pattern)):
            uri = path.relative_to(REPOSITORY).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files

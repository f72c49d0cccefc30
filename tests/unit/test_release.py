"""What a release and its workflows state agrees with the project."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from examples import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENTS = [
    *REPOSITORY.glob(".github/**/*.yml"),
    REPOSITORY / ".pre-commit-config.yaml",
    REPOSITORY / "CITATION.cff",
]


def read(name: str) -> Any:
    return yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8"))


def test_python_versions_of_ci():
    """The classifiers are the versions that CI runs, from the lowest supported one."""
    versions = read(".github/workflows/ci.yml")["jobs"]["check"]["strategy"]["matrix"]["python"]
    found = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "3." in text]
    assert versions == found
    assert PROJECT["requires-python"] == f">={versions[0]}"


def test_pre_commit_runs_what_ci_runs():
    """Its hooks are the first targets of .ci/run."""
    hooks = [
        hook["entry"] for each in read(".pre-commit-config.yaml")["repos"] for hook in each["hooks"]
    ]
    targets = re.findall(
        r"for target in (.*);", (REPOSITORY / ".ci/run").read_text(encoding="utf-8")
    )
    assert hooks == [f"make {target}" for target in targets[0].split()[: len(hooks)]]


def test_citation():
    """Licence and title are the project's; the version is in one place, which this is not."""
    citation = read("CITATION.cff")
    assert citation["license"] == PROJECT["license"]
    assert citation["title"].startswith(PROJECT["name"])
    assert "version" not in citation


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_are_yaml(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)

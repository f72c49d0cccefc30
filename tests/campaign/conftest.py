"""Fixtures of the campaign."""

from collections.abc import Generator
from pathlib import Path

import pytest

import kills
from commands import folder_in_memory
from nursery import Nursery


@pytest.fixture(scope="session")
def bench() -> Generator[kills.Bench]:
    """A warm process from which trainings are forked to be killed, and what each must come to."""
    cases = kills.CASES | kills.SHORT_CASES
    warm = [kills.warming(case) for case in cases.values()]
    with folder_in_memory() as folder, Nursery(Path(folder), warm) as nursery:
        yield kills.Bench(Path(folder), nursery, cases)

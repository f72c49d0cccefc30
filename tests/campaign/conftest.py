"""Fixtures of the campaign."""

from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import browser
import kills
from commands import folder_in_memory
from nursery import Nursery


@pytest.fixture(scope="session")
def bench() -> Generator[kills.Bench]:
    """A warm process from which trainings are forked to be killed, and what each must come to."""
    with folder_in_memory() as folder:
        cases = kills.on_both_series(kills.CASES | kills.SHORT_CASES, Path(folder))
        with Nursery(Path(folder)) as nursery:
            yield kills.Bench(Path(folder), nursery, cases)


@pytest.fixture(scope="session")
def chromium() -> Generator[Browser]:
    """One browser for all tests of a worker."""
    if browser.FOUND is None:
        pytest.skip(browser.INSTALL)
    with browser.started_browser() as started:
        yield started

"""Pages of `sinernn report` in a browser: they do what they show, and no more."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import sinernn
from browser import Opened, opened
from examples import TINY, tiny
from sinernn.plotting import FIGURES
from sinernn.runs import Run
from sinernn.sweeps.driver import sweep
from sweeping import FEW, InProcess

HOSTILE = "</script><img src=x onerror=alert(1)><!-- \u2028\u202e & {{ 7*7 }}"


@pytest.fixture(autouse=True)
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: FIGURES[name] for name in ("loss", "attractor")}
    monkeypatch.setattr("sinernn.plotting.FIGURES", few)


def texts(page: Opened, selector: str) -> list[str]:
    return page.page.locator(selector).all_text_contents()


def test_page_of_a_run_is_live(trained: Run, chromium: Browser):
    """Its network runs; figures, tables and the rest are there."""
    with opened(chromium, sinernn.report(trained)) as page:
        page.page.get_by_role("button", name="Restart").wait_for()
        assert page.page.get_by_role("heading", level=1).text_content() == trained.read_facts().name
        assert page.page.get_by_role("img", name="Losses").or_(page.page.get_by_role("img")).count()
        assert page.evaluate("document.images.length + document.querySelectorAll('svg').length")
        assert page.evaluate("[...document.images].every((each) => each.naturalWidth > 0)")


def test_page_on_a_phone(trained: Run, chromium: Browser):
    """Nothing is wider than the screen, but for what scrolls by itself."""
    size = {"width": 360, "height": 640}
    with opened(chromium, sinernn.report(trained), viewport=size) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_hostile_run_in_a_browser(here: Path, chromium: Browser):
    """Names, units and settings of a stranger's run are shown, and do nothing."""
    unit, config = HOSTILE[:20], sinernn.load_config(TINY)
    signal = config.signal.model_copy(update={"unit": unit, "time_unit": unit})
    config = tiny().model_copy(update={"signal": signal, "name": HOSTILE})
    run = sinernn.train(config, figures=False).run
    other = Path(shutil.copytree(run.path, "runs/<b>&lt;"))
    for runs in (run, [run, other]):
        with opened(chromium, sinernn.report(runs, to="page.html")) as page:
            page.page.get_by_role("button", name="Restart").wait_for()
            assert "onerror" in page.page.locator("body").inner_text()


def test_page_of_a_sweep_in_a_browser(here: Path, chromium: Browser):
    """A row that is chosen runs, a heading that is pressed sorts, and a link shows its run."""
    sweep(TINY, [*FEW, "model.hidden_size=2,3", "seeds=2"], figures=False, executor=InProcess)
    path = sinernn.report("*sweep*")
    with opened(chromium, path) as page:
        names = texts(page, "table >> nth=0 >> tbody th")
        assert texts(page, "tr.shown th") == texts(page, "#live-run") == names[:1]
        page.page.get_by_role("button", name=names[2]).click()
        assert texts(page, "tr.shown th") == texts(page, "#live-run") == names[2:3]
        for order in (sorted(names), sorted(names, reverse=True)):
            page.page.get_by_role("columnheader", name="run").first.get_by_role("button").click()
            assert texts(page, "table >> nth=0 >> tbody th") == order
        address = page.page.url
    with opened(chromium, path, address[address.index("#") :]) as page:
        assert texts(page, "#live-run") == names[2:3]

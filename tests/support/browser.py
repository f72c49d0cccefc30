"""Pages in a real browser: Chromium without a window, driven through Playwright."""

import json
import os
import shutil
from base64 import b64encode
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from sinernn.reports import live

FOUND = (
    os.environ.get("SINERNN_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
)
"""The browser's program; None if there is none."""

INSTALL = (
    "needs a browser: apt-get install chromium, or set SINERNN_BROWSER to the program of "
    "Chromium or Chrome"
)

PATIENCE_MS = 60_000
"""For an element of a page: it is there at once, on however busy a machine."""

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-quic",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
"""Of a browser that runs as root, in a container, and calls nobody."""


@contextmanager
def started_browser() -> Generator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=FOUND, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page that is open, and what it has reported."""

    page: Page
    errors: list[str] = field(default_factory=list)
    """Errors and warnings of its console, exceptions, violations of its policy and dialogs."""

    requests: list[str] = field(default_factory=list)
    """Addresses of what it has requested, without its own."""

    def evaluate(self, code: str, *arguments: Any) -> Any:
        """Return the value of a function of JavaScript."""
        return self.page.evaluate(code, *arguments)


@contextmanager
def opened(browser: Browser, path: Path, fragment: str = "", **options: Any) -> Generator[Opened]:
    """Open a page; it must have no errors, and request nothing, until the body ends."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    found = Opened(page)
    page.on("console", lambda m: m.type in ("error", "warning") and found.errors.append(m.text))
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("dialog", lambda dialog: (found.errors.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: found.requests.append(request.url))
    try:
        page.goto(path.absolute().as_uri() + fragment)
        yield found
    finally:
        context.close()
    assert found.errors == []
    own = (path.absolute().as_uri(), "data:", "blob:")
    assert [url for url in found.requests if not url.startswith(own)] == []


def write_live_page(path: Path, data: dict[str, Any]) -> Path:
    """Write a page that contains a live view alone, under the policy of a report."""
    folder = Path(live.__file__).parent
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in live.SCRIPTS)
    script += "\nconst data = JSON.parse(document.getElementById('data').textContent);"
    script += "\nwindow.view = Sinernn.mountLive?.(document.getElementById('live'), data);\n"
    style = "\n".join((folder / name).read_text(encoding="utf-8") for name in live.STYLES)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    text = json.dumps(data).replace("<", r"\u003c")
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    path.write_text(
        f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>live</title>
<style>{style}</style></head><body><main id="live"></main>
<script type="application/json" id="data">{text}</script>
<script>{script}</script></body></html>""",
        encoding="utf-8",
    )
    return path


FREE_RUN = """([origin, steps]) => {
    const simulation = new Sinernn.Simulation(data);
    simulation.place(origin);
    while (simulation.step());
    const {context, outputs, predicted, rmses, divergedAt} = simulation;
    const values = [...predicted.subarray(context * outputs, (context + steps) * outputs)];
    return {
        predicted: values.map(String), // JSON has no NaN
        rmse: String(rmses[context + steps - 1]),
        diverged_at: divergedAt && divergedAt - context + 1,
    };
}"""


@dataclass(frozen=True)
class FreeRun:
    """A free run of the network in a page."""

    predicted: np.ndarray
    """In signal units: [steps, output]."""

    rmse: float
    """Over these steps."""

    diverged_at: int | None
    """The first step, from 1, that is not finite."""


def free_run(opened: Opened, origin: int, steps: int) -> FreeRun:
    """Run the network of a page freely, to its end; return the first `steps`."""
    found = opened.evaluate(FREE_RUN, [origin, steps])
    values = np.array([float(each) for each in found["predicted"]]).reshape(steps, -1)
    return FreeRun(values, float(found["rmse"]), found["diverged_at"])

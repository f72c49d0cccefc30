"""Measure the page of a run in Chromium: its size, when it is ready, and how smoothly it runs.

Prints a Markdown table: bytes of the page; milliseconds from its opening until the network has run
and the controls are there (median and least); at normal speed, frames a second and the milliseconds
that a frame takes to compute and to draw, which on a busy machine vary less.

    python benchmarks/page.py --config default --config lorenz
"""

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from playwright.sync_api import Browser, sync_playwright

import sinernn
from sinernn import provenance

CONFIGS = Path(__file__).parents[1] / "configs"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

WATCH = """
globalThis.ready = new Promise((resolve) => {
    new MutationObserver((_, observer) => {
        if (!document.querySelector('[role=status]')?.textContent) return;
        observer.disconnect();
        resolve(performance.now());
    }).observe(document, {childList: true, subtree: true});
});
const frames = globalThis.frames_ = [];
const request = requestAnimationFrame;
globalThis.requestAnimationFrame = (act) => request((time) => {
    const begin = performance.now();
    act(time);
    queueMicrotask(() => frames.push([time, performance.now() - begin]));  // charts draw in one
});
"""
"""Before the page's own script: when the state of the run is first stated, and what frames take."""


def measure(browser: Browser, page_file: Path, seconds: float) -> tuple[float, list[list[float]]]:
    """Return the milliseconds until a page is ready, then time and duration of its frames in ms."""
    page = browser.new_page()
    page.add_init_script(WATCH)
    page.goto(page_file.absolute().as_uri())
    ready: float = page.evaluate("ready")
    page.wait_for_timeout(500)
    page.evaluate("frames_.length = 0")
    page.wait_for_timeout(1000 * seconds)
    frames: list[list[float]] = page.evaluate("frames_")
    page.close()
    return ready, frames


def main(
    config: Annotated[list[str], typer.Option(help="Shipped config.")] = ["default"],  # noqa: B006
    rounds: Annotated[int, typer.Option(help="Pages opened.", min=1)] = 5,
    seconds: Annotated[float, typer.Option(help="Length of a measurement of frames.")] = 3.0,
    runs: Annotated[int, typer.Option(help="Runs in a page, of as many seeds.", min=1)] = 1,
) -> None:
    """Print the table."""
    program = (
        os.environ.get("SINERNN_BROWSER")
        or shutil.which("chromium")
        or shutil.which("google-chrome")
    )
    if program is None:
        print("no browser: install chromium, or set SINERNN_BROWSER", file=sys.stderr)
        raise typer.Exit
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        print(f"{provenance.environment().processor}, Chromium {browser.version}\n")
        print("| page of | kB | ready, ms | least | frames a second | ms a frame |")
        print("| --- " * 6 + "|")
        for name in config:
            options: dict[str, Any] = {"runs_dir": folder, "figures": False}
            settings = [
                sinernn.load_config(CONFIGS / f"{name}.yaml", [f"seed={seed}"])
                for seed in range(runs)
            ]
            trained = [sinernn.train(each, **options).run for each in settings]
            path = sinernn.report(trained, to=Path(folder) / f"{name}.html")
            found = [measure(browser, path, seconds) for _ in range(rounds)]
            ready = [each for each, _ in found]
            rates = [1000 * (len(f) - 1) / (f[-1][0] - f[0][0]) for _, f in found]
            costs = [duration for _, frames in found for _, duration in frames]
            what = f"`{name}`" + (f", {runs} seeds" if runs > 1 else "")
            cells = [
                what,
                f"{path.stat().st_size / 1000:.0f}",
                f"{statistics.median(ready):.0f}",
                f"{min(ready):.0f}",
                f"{statistics.median(rates):.1f}",
                f"{statistics.median(costs):.1f}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
        browser.close()


if __name__ == "__main__":
    typer.run(main)

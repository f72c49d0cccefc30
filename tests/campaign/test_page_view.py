"""The live view of a page, in a real browser: what its controls do, and how it looks where."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

import browser
from browser import Opened, opened
from driven import write_driven_series
from examples import tiny
from sinernn import experiment
from sinernn.forecasting import place_origins, ready_engine, run_freely
from sinernn.reports.live import live_data
from sinernn.runs import Run
from sinernn.runs.snapshots import read_snapshots

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@dataclass(frozen=True)
class Sine:
    """A run of a sine, and its page."""

    run: Run
    page: Path


@pytest.fixture(scope="module")
def sine(tmp_path_factory: pytest.TempPathFactory) -> Sine:
    folder = tmp_path_factory.mktemp("sine")
    config = tiny("dtype=float64", "training.steps=300", "evaluation.initial_state=carried")
    run = experiment.train(config, runs_dir=folder, figures=False).run
    return Sine(run, browser.write_live_page(folder / "page.html", live_data(run)))


@pytest.fixture
def paused(chromium: Browser, sine: Sine) -> Generator[Opened]:
    """The page of the sine, before the first step."""
    with opened(chromium, sine.page, reduced_motion="reduce") as page:
        yield page


def state(page: Opened) -> dict[str, Any]:
    """What a run has come to."""
    return page.evaluate("""() => {
        const {next, first, context, isFed, settings, events, edits} = view.simulation;
        return {next, first, context, isFed, settings, events, edits: edits.size, isRunning: view.isRunning};
    }""")


def predictions(page: Opened, *, until: int | None = None) -> list[float]:
    """Go on to a step, or to the end; return the free run."""
    return page.evaluate(
        """(until) => {
            const {simulation} = view;
            simulation.catchUp();
            while ((until === null || view.scene.stepOf(simulation.next) < until) && simulation.step());
            const {context, next, predicted, outputs} = simulation;
            return [...predicted.slice(context * outputs, (next + 1) * outputs)];
        }""",
        until,
    )


def press(page: Opened, name: str) -> None:
    page.page.get_by_role("button", name=name, exact=True).click()


def says(page: Opened, text: str) -> None:
    """Wait until the status begins with a text: it is written with the next frame."""
    page.page.wait_for_function(
        "(text) => document.querySelector('[role=status]').innerText.startsWith(text)", arg=text
    )


def slide(page: Opened, name: str, place: int) -> None:
    """Move a slider to a place."""
    page.page.get_by_label(name, exact=True).evaluate(
        "(input, place) => { input.value = place; input.dispatchEvent(new Event('input')); }", place
    )


def choose(page: Opened, name: str, place: int) -> None:
    page.page.get_by_label(name, exact=True).select_option(str(place))


def frames(page: Opened, count: int) -> int:
    """Return the steps that the network takes in so many frames."""
    return page.evaluate(
        """(count) => new Promise((resolve) => {
            const begin = view.simulation.next;
            const wait = () => count-- ? requestAnimationFrame(wait) : resolve(view.simulation.next - begin);
            requestAnimationFrame(wait);
        })""",
        count,
    )


@pytest.mark.parametrize(("place", "steps"), [(3, 10), (5, 40), (8, 320)])
def test_steps_a_frame(paused: Opened, place: int, steps: int):
    """The network takes as many as the speed says: one in four frames, one, or eight in each."""
    slide(paused, "Speed", place)
    press(paused, "Run")
    assert abs(frames(paused, 40) - steps) <= max(steps // 40, 1)  # begun within a frame


def test_pause(chromium: Browser, sine: Sine):
    """A page runs when it is opened; paused, nothing happens."""
    with opened(chromium, sine.page) as page:
        assert frames(page, 10) > 0
        press(page, "Pause")
        assert frames(page, 5) == 0
        press(page, "Run")
        assert frames(page, 10) > 0


def test_reduced_motion(paused: Opened):
    """It does not begin by itself where a user wants no motion."""
    assert frames(paused, 5) == 0


def test_step_and_restart(paused: Opened):
    for _ in range(3):
        press(paused, "Step")
    assert state(paused)["next"] == state(paused)["first"] + 3
    press(paused, "Restart")
    assert state(paused)["next"] == state(paused)["first"]


def test_let_go(paused: Opened):
    """The network is fed until the origin; it can be let go before, and fed again."""
    for _ in range(5):
        press(paused, "Step")
    assert state(paused)["isFed"]
    press(paused, "Let go")
    press(paused, "Step")
    assert not state(paused)["isFed"]
    assert paused.evaluate(
        "() => [...view.simulation.isFree.slice(0, view.simulation.next)].includes(1)"
    )
    press(paused, "Feed again")
    assert state(paused)["isFed"]


def test_kick(paused: Opened):
    """It changes the hidden state before the next step, and the free run after it."""
    before = predictions(paused, until=10)
    press(paused, "Kick")
    after = predictions(paused, until=30)
    press(paused, "Restart")
    undisturbed = predictions(paused, until=30)
    assert after[: len(before)] == before == undisturbed[: len(before)]
    assert np.abs(np.subtract(after, undisturbed))[len(before) :].max() > 1e-3


def expected(sine: Sine, *, snapshot: int, warmup: int, origin: int) -> np.ndarray:
    """What the engine computes with the weights of a snapshot."""
    config, checkpoint = experiment.load_config(sine.run.config_path), sine.run.best_checkpoint()[1]
    series = config.signal.read()
    row = place_origins(config, series, "test")[1][origin, config.evaluation.warmup]
    trained = checkpoint.state
    trained.params = read_snapshots(sine.run)[snapshot].params
    engine = ready_engine(config, checkpoint)
    before = series.observed[None, row - warmup : row]
    inputs = np.empty((1, 60, 0))
    return run_freely(engine, checkpoint.scale, before, inputs, 60, trained.hidden[:, :, :1])[
        0, :, 0
    ]


@pytest.mark.parametrize(("snapshot", "warmup", "origin"), [(0, 20, 0), (3, 7, 1), (-1, 40, 2)])
def test_settings_of_a_run(sine: Sine, paused: Opened, snapshot: int, warmup: int, origin: int):
    """Training, warm-up and origin: the free run is the engine's."""
    count = len(read_snapshots(sine.run))
    choose(paused, "Forecast", origin)
    slide(paused, "Training", snapshot % count)
    slide(paused, "Warm-up", warmup)
    actual = predictions(paused)[:60]
    true = expected(sine, snapshot=snapshot, warmup=warmup, origin=origin)
    np.testing.assert_allclose(actual, true, atol=1e-9)


def test_training_while_it_runs(chromium: Browser, sine: Sine):
    """The slider swaps the weights from the next step on: what was predicted stays."""
    with opened(chromium, sine.page) as page:
        frames(page, 40)
        slide(page, "Training", 0)
        (event,) = state(page)["events"]
        assert event["kind"] == "snapshot"
        whole = predictions(page)
        page.evaluate("() => view.simulation.restart()")
        assert page.evaluate("() => view.simulation.settings.snapshot") == 0
        assert predictions(page)[0] != whole[0]


def test_noise(paused: Opened):
    """It is the same in every repetition, and grows with its setting."""
    free = [predictions(paused)]
    for place in (0, 5, 5, 9):
        slide(paused, "Noise on what it reads", place)
        free.append(predictions(paused))
    without, again, little, same, much = map(np.array, free)
    assert (without == again).all()
    assert (little == same).all()
    distances = [np.abs(each - without).mean() for each in (little, much)]
    assert 0 < distances[0] < distances[1]


def drag(page: Opened, chart: str, path: list[tuple[float, float]]) -> None:
    """Move the pressed mouse over a chart, between places in shares of its width and height."""
    over = page.page.locator(f".live-{chart} .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in path]
    page.page.mouse.move(*places[0])
    page.page.mouse.down()
    for place in places[1:]:
        page.page.mouse.move(*place)
    page.page.mouse.up()


PLACE = """(index) => {
    const {plot, range} = view.charts.signal;
    const x = plot.valToPos(view.scene.stepOf(index), "x") / plot.over.clientWidth;
    return [x, plot.valToPos(view.simulation.read(index, 0), "y") / plot.over.clientHeight];
}"""


def test_drag_a_sample(paused: Opened):
    """The network reads it where it is dropped, and the whole run is repeated at once."""
    before = predictions(paused, until=30)
    frames(paused, 2)
    index = state(paused)["context"] - 2
    x, y = paused.evaluate(PLACE, index)
    drag(paused, "signal", [(x, y), (x, 0.5), (x, 0.1)])
    assert state(paused)["edits"] == 1
    after = predictions(paused, until=30)
    assert len(after) == len(before)
    assert after[0] != before[0]
    paused.page.get_by_text("Change samples by number").click()
    press(paused, "Undo all changes")
    assert predictions(paused, until=30) == before


def test_mouse_beside_the_samples(paused: Opened):
    """A place where there is none changes nothing."""
    frames(paused, 2)
    drag(paused, "signal", [(0.9, 0.1), (0.9, 0.9)])
    assert state(paused)["edits"] == 0


def test_change_samples_by_number(paused: Opened):
    """What the mouse does the keyboard does, too."""
    paused.page.get_by_text("Change samples by number").click()
    for name, value in {"from step": "-3", "to step": "-1", "value": "0.25"}.items():
        paused.page.get_by_label(name, exact=True).fill(value)
    press(paused, "Change")
    read = paused.evaluate(
        "() => [-3, -2, -1, 0].map((s) => view.simulation.read(s + view.simulation.context - 1, 0))"
    )
    assert read[:3] == [0.25] * 3
    assert read[3] != 0.25


@pytest.mark.parametrize(("name", "text"), [("from step", "-2.5"), ("to step", ""), ("value", "")])
def test_change_by_what_is_no_number(paused: Opened, name: str, text: str):
    """Half a step, or none, changes nothing; the field is marked, and the browser says why."""
    paused.page.get_by_text("Change samples by number").click()
    paused.page.get_by_label(name, exact=True).fill(text)
    press(paused, "Change")
    assert state(paused)["edits"] == 0
    marked = "() => document.querySelector('.live-editor input:invalid') === document.activeElement"
    assert paused.evaluate(marked)


def test_draw_an_input(here: Path, chromium: Browser):
    """Every sample under the mouse is changed, and what the network predicts after them."""
    settings = write_driven_series(Path("driven.csv"))
    run = experiment.train(tiny(*settings, "evaluation.horizon=30"), figures=False).run
    path = browser.write_live_page(Path("page.html"), live_data(run))
    with opened(chromium, path, reduced_motion="reduce") as page:
        before = predictions(page)
        frames(page, 2)
        drag(page, "input", [(0.0, 0.5), (0.1, 0.2), (0.2, 0.2)])
        changed = state(page)["edits"]
        assert changed > 5
        after = predictions(page)
        assert len(after) == len(before)
        assert after != before
        choose(page, "Channel", 1)
        assert page.evaluate("() => view.scene.channel") == 1


def test_link_reproduces_what_is_set(chromium: Browser, sine: Sine, paused: Opened):
    """Settings, events on the way and changed samples: the same run from the address."""
    choose(paused, "Forecast", 1)
    choose(paused, "Show", 1)
    slide(paused, "Warm-up", 15)
    slide(paused, "Training", 4)
    slide(paused, "Noise on what it reads", 5)
    slide(paused, "Speed", 7)
    predictions(paused, until=12)
    press(paused, "Kick")
    predictions(paused, until=20)
    press(paused, "Feed again")
    predictions(paused, until=25)
    press(paused, "Let go")
    paused.evaluate("() => view.simulation.edit(0, view.simulation.context - 3, [0.5, 0.25])")
    press(paused, "Step")
    before = predictions(paused)
    paused.page.wait_for_function("() => location.hash.includes('edits')")
    fragment = paused.evaluate("() => location.hash")
    with opened(chromium, sine.page, fragment, reduced_motion="reduce") as page:
        assert predictions(page) == before
        assert page.evaluate("() => [view.speed, view.scene.show]") == [4, 100]
        assert page.page.get_by_label("Warm-up", exact=True).input_value() == "15"


def test_another_link_of_the_run(paused: Opened, sine: Sine):
    """It sets what it says, and all else to what it was at first."""
    slide(paused, "Noise on what it reads", 5)
    paused.evaluate("() => view.simulation.edit(0, 3, [0.5])")
    paused.page.goto(f"{sine.page.as_uri()}#run={sine.run.path.name}&warmup=9")
    paused.page.wait_for_function("() => view.simulation.settings.warmup === 9")
    assert (state(paused)["edits"], state(paused)["settings"]["noise"]) == (0, 0)


def test_kick_before_a_shorter_warmup(paused: Opened):
    """It is left out, and those after it are not."""
    predictions(paused, until=-9)
    press(paused, "Kick")
    predictions(paused, until=5)
    press(paused, "Kick")
    kicked = predictions(paused, until=20)
    slide(paused, "Warm-up", 5)
    short = predictions(paused, until=20)
    press(paused, "Restart")
    assert predictions(paused, until=20)[:5] == short[:5] != kicked[:5]
    assert predictions(paused, until=20)[5:] != short[5:]


@pytest.mark.parametrize(
    "fragment",
    [
        "run=ID&origin=99&warmup=-1&snapshot=1e9&noise=x&speed=-1&show=x&channel=7&input=5",
        "run=ID&edits=0.99999999:1,9.1:1,0.1,0.2:,x&events=k,k1:x,s1:99999,q3:4,,k-9999999:1",
        "run=another&origin=1&warmup=3",
        "%E0%A4%A&run=%",
    ],
)
def test_address_that_does_not_fit(chromium: Browser, sine: Sine, fragment: str):
    """It is ignored where it does not fit."""
    usual = {"origin": 0, "warmup": 20, "noise": 0}
    fragment = "#" + fragment.replace("ID", sine.run.path.name)
    with opened(chromium, sine.page, fragment, reduced_motion="reduce") as page:
        found = state(page)
        assert {name: found["settings"][name] for name in usual} in (usual, usual | {"warmup": 1})
        assert len(predictions(page)) > 60


def test_what_is_said_of_a_repeated_run(paused: Opened):
    """Of a run that takes several frames to be repeated, what it has come to."""
    predictions(paused)
    paused.evaluate("""() => {
        const {catchUp} = view.simulation;
        let late = 2; // frames
        view.simulation.catchUp = () => catchUp.call(view.simulation, () => late-- > 0);
    }""")
    slide(paused, "Warm-up", 5)
    frames(paused, 6)
    status = paused.page.get_by_role("status").text_content() or ""
    assert status.startswith("The run has ended at step ")


def test_long_run_ends(paused: Opened):
    """At its end it stops, and can begin again."""
    predictions(paused)
    press(paused, "Step")
    says(paused, "The run has ended at step 1000.")
    press(paused, "Run again")
    assert state(paused)["isRunning"]


def test_labels(paused: Opened):
    """Every control has a label, every picture is one in words, and the state is said."""
    assert paused.evaluate(
        "() => [...document.querySelectorAll('input, select')].every((e) => e.labels.length)"
    )
    assert paused.evaluate(
        "() => [...document.querySelectorAll('canvas')].every((e) => e.closest('[role=img]').ariaLabel)"
    )
    press(paused, "Step")
    says(paused, "Paused: the network reads samples of the series, 19 samples before it is let go.")


def test_keyboard(paused: Opened):
    """All controls are reached by the tab key, and keys change them."""
    reached = set[str]()
    for _ in range(14):
        paused.page.keyboard.press("Tab")
        reached.add(
            paused.evaluate(
                "() => (document.activeElement.labels?.[0] ?? document.activeElement).innerText.split('\\n')[0]"
            )
        )
    for name in (
        "Run",
        "Step",
        "Restart",
        "Let go",
        "Kick",
        "Speed",
        "Training",
        "Warm-up",
        "Forecast",
    ):
        assert name in reached
    paused.page.get_by_label("Training", exact=True).focus()
    paused.page.keyboard.press("Home")
    assert paused.evaluate("() => view.simulation.now.snapshot") == 0


def test_phone(chromium: Browser, sine: Sine):
    """Nothing is wider than the screen."""
    with opened(chromium, sine.page, **PHONE) as page:
        frames(page, 5)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_dark_and_print(chromium: Browser, sine: Sine):
    """Colours follow the page: light ink in the dark, dark ink on paper, without controls."""
    with opened(chromium, sine.page, color_scheme="dark") as page:
        assert page.evaluate("() => view.scene.colours.ink") == "#e6e8ea"
        page.page.emulate_media(media="print")
        page.page.wait_for_function("() => view.scene.colours.ink === '#1b1b1b'")
        assert not page.page.get_by_role("button", name="Kick").is_visible()


def test_unknown_cell_is_refused(here: Path, chromium: Browser, sine: Sine):
    """A page that has no formula of a cell says so, by name."""
    data = live_data(sine.run)
    data["network"]["cell"] = "liquid"
    with opened(chromium, browser.write_live_page(Path("page.html"), data)) as page:
        text = page.page.locator("#live").inner_text()
    assert text.startswith(
        "No live view: the cell liquid cannot run in a page; there are rnn_tanh,"
    )


def test_hostile_names(here: Path, chromium: Browser, sine: Sine):
    """Names are text: they run nothing and make no elements."""
    data = live_data(sine.run)
    hostile = "</script><img src=x onerror=alert(1)>'\"`${alert(2)}"
    data["channels"][0] = {"name": hostile, "unit": hostile}
    data["weights"]["labels"][-1] = data["time_unit"] = data["name"] = hostile
    with opened(chromium, browser.write_live_page(Path("page.html"), data)) as page:
        frames(page, 5)
        assert page.page.locator("img").count() == 0
        assert hostile in page.page.locator(".live-training .live-value").inner_text()


def test_destroy(paused: Opened):
    """Nothing is left of a live view, and nothing goes on."""
    press(paused, "Run")
    paused.evaluate("() => view.destroy()")
    assert frames(paused, 5) == 0
    assert paused.page.locator("#live *").count() == 0

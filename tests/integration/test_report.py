"""Pages of runs: complete, harmless whatever a run contains, and the same bytes again."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import sinernn as library
from examples import REPOSITORY, TINY, tiny
from html_pages import Page, check_harmless, shown_in
from sinernn.plotting import FIGURES, ON_REQUEST
from sinernn.reports import views
from sinernn.reports.figures import Figures
from sinernn.runs import Run
from sinernn.sweeps.driver import sweep
from sweeping import FEW, InProcess, Quick

HOSTILE = "</script><img src=x onerror=alert(1)><!-- \u2028\u202e & {{ 7*7 }} =cmd|' \x1b[31m"
"""A name that would end scripts, run one, turn text round and start a formula."""


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a run's figures one alone, since most tests of a page do not need all."""
    monkeypatch.setattr("sinernn.plotting.FIGURES", {"loss": FIGURES["loss"]})


def page_of(run: Run | Path | str | list[Run | str] = "latest", **options) -> Page:
    page = Page(library.report(run, **options))
    check_harmless(page)
    return page


@pytest.mark.campaign
def test_whole_page_of_a_run(trained: Run):
    """It has all figures, of which no two share an id, and is small."""
    page = page_of()
    assert (trained.path / "report.html").stat().st_size < 600_000
    drawn = {name: figure for name, figure in FIGURES.items() if name not in ON_REQUEST}
    assert [each.attributes["id"] for each in page.all("figure")] == list(drawn)
    ids = [each.attributes["id"] for each in page.elements if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    pictures = [*page.all("svg"), *page.all("img")]
    labels = [each.attributes.get("aria-label", each.attributes.get("alt")) for each in pictures]
    assert sorted(labels) == sorted(each.__doc__.split("\n")[0] for each in drawn.values())


def test_page_of_a_run(sinernn, trained: Run, few_figures: None):
    """It is in the run's folder, says what `eval` does, and is the same again."""
    assert sinernn("report").out == f"{trained.path}/report.html\n"
    path = trained.path / "report.html"
    content = path.read_bytes()
    assert json.loads(sinernn("report", "--json").out) == {"report": str(path)}
    assert path.read_bytes() == content
    page = Page(path)
    check_harmless(page)
    assert [each.text for each in page.all("h2")] == [
        "Verdict", "Scores", "Figures", "Config", "Reproduce it", "Environment",
    ]  # fmt: skip
    scores = trained.read_scores()
    assert f"{scores.closed_loop_rmse[-1].median:.2e}" in page.text
    assert scores.skill.words[1:] in page.text


def test_tables_of_a_page(trained: Run, few_figures: None):
    """Each has a caption and headings, for those who do not see it."""
    page = page_of()
    for table in page.all("table"):
        assert table.inner[0].tag == "caption"
        headings = table.inner[1].inner[0].inner
        assert {each.attributes["scope"] for each in headings} == {"col"}


def test_settings_that_differ(trained: Run, few_figures: None):
    """Those that have their default are in the whole config alone."""
    names = [each.text for each in page_of().all("th") if each.attributes["scope"] == "row"]
    assert "signal.samples" in names or "training.steps" in names
    assert "training.schedule" not in names


def test_hostile_name(here: Path, trained: Run, few_figures: None):
    """Whatever names contain is text: the page has the same elements as with a harmless one."""
    tags = []
    for name in ("x", HOSTILE):
        facts = trained.read_json("run.json") | {"name": name, "platform": name}
        facts["settings"] = {**facts["settings"], "model.cell": name}
        trained.write_json("run.json", facts)
        scores = trained.read_json("evaluation.json")
        scores["channels"][0] |= {"name": name, "unit": name}
        scores |= {"config": name, "cell": name, "custom": name}
        scores["skill"]["words"] = name
        scores["hints"] = [{"override": name, "because": name}]
        scores["baselines"][0]["name"] = name
        trained.write_json("evaluation.json", scores)
        page = page_of()
        tags.append([tag for tag in page.tags if tag not in ("tspan", "text")])
    assert tags[0] == tags[1]
    assert "onerror" in page.text
    content = (trained.path / "report.html").read_text(encoding="utf-8")
    assert not re.search("[\u2028\u202e\x1b]", content)
    assert "{{ 7*7 }}" in page.all("title")[0].text


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("wave.html", None),
        ("runs/wave.HTM", None),
        ("mine.html", "mine.html: exists and is not a page of sinernn report; choose another name"),
        ("wave.txt", "wave.txt: the name of a page must end in .html, as in wave.html"),
        ("no/wave.html", "no/wave.html: there is no folder no; create it first"),
        ("folder.html", "folder.html: is not a regular file; choose another name with --to"),
    ],
)
def test_where_a_page_goes(sinernn, trained: Run, few_figures: None, to: str, message: str | None):
    """An earlier page is replaced, nothing else is."""
    Path("mine.html").write_text("<p>mine</p>", encoding="utf-8")
    Path("folder.html").mkdir()
    for _ in range(1 if message else 2):
        outcome = sinernn("report", "latest", "--to", to)
        assert (outcome.code, outcome.out) == ((2, "") if message else (0, f"{to}\n"))
        assert (message or "") in outcome.err
    assert Path("mine.html").read_text(encoding="utf-8") == "<p>mine</p>"


def test_page_of_no_run(here: Path):
    """A list without a run is refused, in a message."""
    with pytest.raises(library.UsageError, match="none is named"):
        library.report([])


def test_page_through_a_link(sinernn, trained: Run, few_figures: None):
    """A link in a stranger's run is replaced; what it leads to stays."""
    Path("precious.html").write_text("precious", encoding="utf-8")
    (trained.path / "report.html").symlink_to(Path("precious.html").resolve())
    assert "report.html: exists and is not a page" in sinernn("report").err
    shutil.copy(library.report(to="page.html"), "precious.html")
    assert sinernn("report").code == 0
    assert not (trained.path / "report.html").is_symlink()


def test_open_shows_the_page(sinernn, trained: Run, few_figures: None, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert sinernn("report", "--open").code == 0
    assert opened == [(trained.path / "report.html").resolve().as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    failed = sinernn("report", "--open")
    assert (failed.code, "written, but this system has no viewer" in failed.err) == (2, True)


def test_page_without_evaluation(trained: Run, few_figures: None):
    """It shows the training, and names the command that evaluates."""
    (trained.path / "evaluation.json").unlink()
    page = page_of()
    assert f"sinernn resume {trained.path}" in page.text
    assert f"sinernn eval {trained.path}" in page.text
    assert [each.attributes["id"] for each in page.all("figure")] == ["loss"]
    assert "Verdict" not in page.text


def test_page_of_a_diverged_run(trained: Run, few_figures: None):
    (trained.path / "evaluation.json").unlink()
    diverged = {"status": "diverged", "diverged_at": 7}
    trained.write_json("run.json", trained.read_json("run.json") | diverged)
    assert "Its training diverged at update 7" in page_of().text


def test_page_of_0_1(here: Path):
    """A run of version 0.1 has a page; what it lacks is named."""
    runs = REPOSITORY / "tests" / "support" / "runs_0_1"
    for name, text in (("finished", "Verdict"), ("stopped", "was interrupted")):
        shutil.copytree(runs / name, name)
        assert text in page_of(name).text
    assert (
        "evaluation.safetensors: is missing; run sinernn eval finished" in page_of("finished").text
    )


def test_page_of_a_damaged_run(sinernn, trained: Run, few_figures: None):
    """A file that cannot be read is named, on the page or in one message."""
    (trained.path / "config.yaml").write_text("a: [", encoding="utf-8")
    (trained.path / "metrics.csv").write_text("x\n", encoding="utf-8")
    page = page_of()
    assert "Its config cannot be read by this version" in page.text
    assert "There are no figures: " in page.text
    (trained.path / "evaluation.json").write_text("[]", encoding="utf-8")
    outcome = sinernn("report")
    assert outcome.code == 1
    assert "evaluation.json: is damaged: not a JSON object" in outcome.err


def test_scores_that_lack_values(trained: Run, few_figures: None):
    """Scores of a stranger, with keys that are missing, are shown as far as they go."""
    trained.write_json("evaluation.json", {"valid_time": {}, "oscillation": {}, "origins": [{}]})
    assert "Verdict" in page_of().text
    full = {"closed_loop_rmse": [{}, {"horizon": 3}], "baselines": [{}, {"name": "a"}]}
    full |= {"valid_time": {"outlasted": 1, "periods": {}}, "valid_lyapunov_times": {}}
    full |= {"oscillation": {"frequency_error": {}, "amplitude_ratio": {},
                             "phase_drift_rad_per_1000_steps": {}}}  # fmt: skip
    full |= {"channels": [{"open_loop": {}, "closed_loop_rmse": [{}], "baselines": [{}]}]}
    trained.write_json("evaluation.json", full)
    assert "diverged" in page_of().text


def path_points(data: str) -> np.ndarray:
    """Return the absolute points of a path of straight lines."""
    found, last, words = [], np.zeros(2), re.findall(r"[A-Za-z]|-?[\d.]+", data)
    relative = "m" in words
    numbers = np.array([float(word) for word in words if not word.isalpha()]).reshape(-1, 2)
    for point in numbers:
        last = last + point if relative else point
        found.append(last)
    return np.array(found)


def test_figures_keep_their_points(monkeypatch: pytest.MonkeyPatch):
    """Shortened paths stay within a twentieth of a point, however long they are."""
    points = np.random.default_rng(0).uniform(-9, 700, (500, 2))
    data = "M" + " L".join(f" {x:.6f} {y:.6f} \n" for x, y in points)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="720pt"><path id="a" d="{data}z"/></svg>'
    monkeypatch.setattr("sinernn.reports.figures.image", lambda *_: svg.encode())
    figures = Figures()
    figures.add("x", "label", Figure())
    (short,) = re.findall(r' d="(.*?)"', figures.drawn[0].element)
    assert short[-1] == "z"
    assert len(short) < len(data) / 2
    np.testing.assert_allclose(path_points(short), points, atol=0.051)


def test_page_of_several_runs(sinernn, trained: Run, few_figures: None):
    """They are side by side in the working folder's page, with the settings that differ."""
    other = library.train(tiny("model.hidden_size=2"), figures=False).run
    assert sinernn("report", other.path, trained.path.name).out == "report.html\n"
    page = Page(Path("report.html"))
    check_harmless(page)
    assert page.all("h1")[0].text == "2 runs that differ in hidden_size"
    rows = [[shown_in(each) for each in row.inner] for row in page.all("tr")]
    heading, *runs = rows[:3]
    at = heading.index("hidden_size")
    assert [(row[0], row[at]) for row in runs] == [(other.path.name, "2"), (trained.path.name, "4")]
    assert [each.attributes["id"] for each in page.all("figure")] == ["comparison"]
    assert f"sinernn compare {other.path} {trained.path}" in page.text


def test_runs_of_the_same_name(trained: Run, few_figures: None):
    """Runs of two folders are told apart by their paths, in the table and in links."""
    other = Run(Path(shutil.copytree(trained.path, Path("other") / trained.path.name)))
    page = page_of([trained, other])
    paths = [str(trained.path), str(other.path)]
    live = [each for each in page.all("script") if "type" in each.attributes]
    assert [each.attributes["data-run"] for each in live] == paths
    assert [json.loads(each.text)["id"] for each in live] == paths
    buttons = [each for each in page.all("button") if "data-live" in each.attributes]
    assert [shown_in(each) for each in buttons] == paths


def test_order_of_a_diverged_run(trained: Run, few_figures: None):
    """A run whose free runs diverged comes after all others."""
    other = Run(Path(shutil.copytree(trained.path, "other")))
    scores = other.read_json("evaluation.json")
    scores["closed_loop_rmse"][-1]["median"] = None
    other.write_json("evaluation.json", scores)
    sorted_by = [each.attributes.get("data-value") for each in page_of([trained, other]).all("td")]
    assert "Infinity" in sorted_by
    assert str(trained.read_scores().closed_loop_rmse[-1].median) in sorted_by


def test_page_of_runs_without_scores(sinernn, trained: Run):
    """They are listed, with the reason why nothing is compared; so is one that is broken."""
    (trained.path / "evaluation.json").unlink()
    shutil.copytree(trained.path, "runs/broken")
    Path("runs/broken/run.json").write_text("{", encoding="utf-8")
    page = page_of(["runs/broken", trained])
    assert "no run has scores to compare (1 broken, 1 interrupted)" in page.text
    assert "run.json: is damaged: not JSON" in page.text
    assert "broken" in [each.text for each in page.all("td")]


def test_hostile_runs_side_by_side(trained: Run, few_figures: None):
    """Names of runs and values of settings are text."""
    tags = []
    for name in ("x", HOSTILE.replace("/", "|")):
        shutil.copytree(trained.path, name)
        facts = trained.read_json("run.json")
        facts["settings"] = facts["settings"] | {"signal.kind": name, name: 1}
        Run(Path(name)).write_json("run.json", facts)
        tags.append(page_of([trained, name]).tags)
    assert tags[0] == tags[1]


def test_page_of_a_sweep(sinernn, here: Path):
    """Its runs, the best first, its points, its figure and its files are in its folder's page."""
    swept = sweep(
        TINY, [*FEW, "model.hidden_size=2,3", "seeds=2"], figures=False, executor=InProcess
    )
    path = f"runs/{swept.path.name}/report.html"
    for word in (swept.path.name, "*sweep*"):
        assert sinernn("report", word).out == f"{path}\n"
    page = Page(Path(path))
    check_harmless(page)
    assert [each.text for each in page.all("h2")] == [
        "Live: ", "Runs", "Points", "Side by side", "Figures", "Reproduce it", "Environment",
    ]  # fmt: skip
    assert [each.attributes["id"] for each in page.all("figure")] == ["sweep", "comparison"]
    assert [each.text for each in page.all("code")] == ["sweep.yaml", "base.yaml"]
    best = shown_in(page.all("tbody")[0].inner[0].inner[0])
    assert best == min(swept, key=lambda row: row["closed_loop_rmse"])["run"]


def test_page_of_a_sweep_that_keeps_scores(here: Path):
    """Its runs are in the table, without live views and without complaints."""
    words = [*FEW, "model.hidden_size=2", "seeds=2", "keep=scores"]
    swept = sweep(TINY, words, figures=False, executor=InProcess)
    page = page_of(swept.path)
    assert [page.all("button"), page.all("noscript")] == [[], []]
    assert "no live view" not in page.text
    assert len(page.all("tbody")[0].inner) == 2


def test_page_of_a_sweep_without_runs(sinernn, here: Path):
    """One message names the command that trains them."""
    swept = sweep(TINY, [*FEW, "model.hidden_size=2", "seeds=1"], figures=False, executor=Quick)
    shutil.rmtree(next(path.parent for path in swept.path.glob("*/run.json")))
    outcome = sinernn("report", swept.path)
    assert outcome.code == 2
    assert f"has no runs yet; train them with: sinernn resume {swept.path}" in outcome.err


def test_live_view_of_a_page(trained: Run, few_figures: None):
    """The page contains what the script needs, as data that is no script."""
    page = page_of()
    (data,) = [each for each in page.all("script") if "type" in each.attributes]
    assert data.attributes["data-run"] == trained.path.resolve().name
    assert json.loads(data.text)["network"]["hidden_size"] == 4


def test_page_without_the_data_file(here: Path, few_figures: None):
    """The page of a run whose data file is gone says why the network does not run in it."""
    data = np.sin(0.2 * np.arange(1000))
    np.save("data.npy", data)
    run = library.train(tiny("signal={kind: file, path: data.npy}"), figures=False).run
    Path("data.npy").unlink()
    page = page_of(run)
    assert "The network does not run in this page: " in page.text
    assert "data.npy" in page.text
    assert [each.tag for each in page.elements if each.attributes.get("id") == "live"] == []
    assert f"{len(data)}" in [each.text for each in page.all("td")]


def test_live_views_that_do_not_fit(trained: Run, few_figures: None, monkeypatch):
    """A page has as many live views as fit, and states how many; each run is in the table."""
    others = [shutil.copytree(trained.path, name) for name in "abc"]
    size = len(json.dumps(views.live_data(trained)))
    monkeypatch.setattr(views, "MOST_BYTES", 2.5 * size)
    page = page_of([trained, *others])
    assert "the live view shows 2 of 4 runs, as a page has 5 MB at most" in page.text
    assert len([each for each in page.all("script") if "type" in each.attributes]) == 2
    assert len(page.all("button")) == 2
    Path("a/checkpoints/best.safetensors").write_bytes(b"")
    page = page_of(["a", "b"])
    assert "no live view of a: a/checkpoints/best.safetensors: is damaged" in page.text

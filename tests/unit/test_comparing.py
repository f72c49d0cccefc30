"""Comparisons of runs: lines, the settings that differ, and errors side by side."""

from pathlib import Path

import numpy as np
import pytest

from examples import make_run, tiny
from sinernn import plotting
from sinernn.comparing import Comparison, compare_runs
from sinernn.errors import UsageError
from sinernn.evaluation.parts import ChannelScore, HorizonScore
from sinernn.evaluation.results import Scores
from sinernn.plot_run import comparison_figure_of, image
from sinernn.runs import Run
from sinernn.runs.facts import RunFacts

ERRORS = {1: 0.1, 2: 0.2, 5: 0.4}


def scored(
    *overrides: str,
    errors: dict[int, float | None] = ERRORS,
    status: str = "finished",
    unit: str = "V",
) -> Run:
    """A run of the smoke test's config with errors at some horizons; the worst is twice the median."""
    config, run = tiny(*overrides), make_run()
    run.write_facts(RunFacts(name="tiny", status=status, seed=config.seed, settings=config.flat()))
    if status == "finished":
        ladder = [
            HorizonScore(horizon=horizon, median=error, worst=error and 2 * error)
            for horizon, error in errors.items()
        ]
        scores = Scores(closed_loop_rmse=ladder, channels=[ChannelScore(unit=unit)])
        run.write_json("evaluation.json", scores.model_dump())
    return run


def table(comparison: Comparison) -> list[dict[int, tuple[float | None, float | None]]]:
    return [
        {each.horizon: (each.median, each.worst) for each in line.closed_loop_rmse}
        for line in comparison.lines
    ]


def test_settings_that_differ(here: Path):
    """Of the sections and of the items of lists; never the name and the limits of memory."""
    runs = [
        scored("name=a", "limits.memory_gb=1", "model.hidden_size=6"),
        scored("name=b", "limits.memory_gb=2", "training.steps=30"),
    ]
    comparison = compare_runs(runs)
    assert comparison.differing == ("model.hidden_size", "training.steps")
    assert [line.settings for line in comparison.lines] == [
        {"model.hidden_size": 6, "training.steps": 20},
        {"model.hidden_size": 4, "training.steps": 30},
    ]
    assert [line.label for line in comparison.lines] == [
        "hidden_size=6, steps=20", "hidden_size=4, steps=30",
    ]  # fmt: skip
    assert comparison.title == "2 runs that differ in hidden_size, steps"
    stages = "refine={stages: [{loop: open, iterations: 2}, {loop: closed, iterations: %d}]}"
    twice = [scored("dtype=float64", stages % iterations) for iterations in (3, 4)]
    comparison = compare_runs([*twice, runs[0]])
    assert "refine.stages.1.iterations" in comparison.differing
    assert "refine.stages.0.iterations" not in comparison.differing
    assert [line.settings["refine"] for line in comparison.lines] == ["set", "set", None]


def test_kinds_that_differ(here: Path):
    """Settings that only one kind of signal has do not differ; those of one kind do."""
    rho = [scored("signal.kind=lorenz", f"signal.rho={rho}") for rho in (28, 30)]
    comparison = compare_runs([*rho, scored()])
    assert {"signal.kind", "signal.rho"} <= set(comparison.differing)
    assert "signal.sigma" not in comparison.differing
    assert "signal.rho" not in comparison.lines[2].settings
    assert comparison.notes[0].startswith("the runs are evaluated on different data (signal.kind,")


def test_seeds_are_taken_together(here: Path):
    """The median of their medians, and the worst origin of all."""
    for seed, error in enumerate((0.1, 0.3, 0.2)):
        scored(f"seed={seed}", errors={1: error, 2: error})
        scored(f"seed={seed}", "model.hidden_size=6", errors={1: 10 * error})
    comparison = compare_runs(["*-a*"])
    assert comparison.differing == ("model.hidden_size",)
    assert [len(line.runs) for line in comparison.lines] == [3, 3]
    assert table(comparison) == [{1: (0.2, 0.6), 2: (0.2, 0.6)}, {1: (2.0, 6.0)}]
    assert comparison.title == "6 runs in 2 lines that differ in hidden_size"
    apart = compare_runs(["*-a*"], each=True)
    assert [line.settings["seed"] for line in apart.lines] == [0, 0, 1, 1, 2, 2]


def test_seeds_alone_stay_apart(here: Path):
    runs = [scored(f"seed={seed}") for seed in range(3)]
    comparison = compare_runs(runs)
    assert comparison.differing == ("seed",)
    assert [line.label for line in comparison.lines] == ["seed=0", "seed=1", "seed=2"]


def test_runs_that_differ_in_nothing(here: Path):
    """They are named by their folders."""
    runs = [scored(), scored()]
    labels = [line.label for line in compare_runs(runs).lines]
    assert labels == [run.path.name for run in runs]


def test_runs_without_scores_count(here: Path):
    """They stay in their line, and are noted with their status."""
    runs = [scored(f"seed={seed}", "model.hidden_size=6") for seed in range(2)]
    bad = scored("seed=2", "model.hidden_size=6", status="diverged")
    broken = scored("seed=3")
    (broken.path / "run.json").write_text("{")
    comparison = compare_runs([*runs, bad, broken, scored()])
    assert [(len(line.runs), line.scored) for line in comparison.lines] == [(3, 2), (1, 1)]
    assert comparison.notes[0] == f"{bad.path}: has no scores, its status is diverged"
    assert comparison.notes[1].startswith(f"{broken.path}/run.json: is damaged")
    with pytest.raises(UsageError, match=r"no run has scores to compare \(1 diverged, 1 broken\)"):
        compare_runs([bad, broken])


def test_diverged_free_runs(here: Path):
    """More than half of the runs: the median has diverged; one: the worst has."""
    for seed, error in enumerate((0.1, 0.2, None)):
        scored(f"seed={seed}", errors={1: 0.1, 2: error})
        scored(f"seed={seed}", "model.hidden_size=6", errors={1: 0.1, 2: None if seed else 0.1})
    comparison = compare_runs(["*-a*"])
    assert table(comparison) == [
        {1: (0.1, 0.2), 2: (0.2, None)}, {1: (0.1, 0.2), 2: (None, None)},
    ]  # fmt: skip


def test_units_that_differ(here: Path):
    comparison = compare_runs([scored(unit="V"), scored(unit="m")])
    assert comparison.unit == ""
    assert comparison.notes == ("their errors are in different units: V, m",)
    assert compare_runs([scored(), scored()]).unit == "V"


def test_names_in_facts_are_harmless(here: Path):
    """Control codes in the names of settings, which a stranger may have written, are escaped."""
    for value in (1, 2):
        run = scored()
        facts = run.read_json("run.json")
        run.write_json("run.json", facts | {"settings": {"model.\x1b[31m": value}})
    comparison = compare_runs(["*-a*"])
    assert "\x1b" not in comparison.title + comparison.lines[0].label
    assert comparison.title.endswith("differ in \\x1b[31m")


def test_one_run_is_no_comparison(here: Path):
    run = scored()
    with pytest.raises(UsageError, match="a comparison needs two runs or more, got 1"):
        compare_runs([run, run.path])


def test_columns(here: Path):
    """A row for each line and horizon."""
    columns = compare_runs([scored(), scored("seed=1", errors={1: 0.5})]).columns()
    assert columns["line"] == [1, 1, 1, 2]
    assert columns["seed"] == ["0", "0", "0", "1"]
    assert columns["horizon"] == [1, 2, 5, 1]
    assert columns["closed_loop_rmse"] == [0.1, 0.2, 0.4, 0.5]


def ladder(scale: float | None = 1.0) -> list[HorizonScore]:
    return [
        HorizonScore(horizon=horizon, median=scale and scale * error, worst=scale and 1.0)
        for horizon, error in ERRORS.items()
    ]


def test_comparison_figure():
    """A line each at its horizons; one that diverged says so."""
    lines = {"a": ladder(), "b": [*ladder(2.0), HorizonScore(horizon=10)], "c": []}
    (axes,) = plotting.comparison_figure(lines, "V").axes
    assert [line.get_label() for line in axes.lines] == ["a", "b (diverged within 10 steps)"]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), list(ERRORS))
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [0.2, 0.4, 0.8, np.inf])
    assert axes.get_ylabel() == "RMSE up to it (V)"
    assert axes.get_title().endswith("shaded up to the worst")


def test_figure_of_many_lines():
    """The best are named, and the others are grey with one label."""
    lines = {str(number): ladder(40.0 - number) for number in range(40)}
    figure = plotting.comparison_figure(lines, "")
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == ["30 others"] * 30 + [str(number) for number in range(30, 40)]
    (legend,) = figure.legends
    assert len(legend.texts) == 11


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_comparison_is_drawn(here: Path, format: str):
    comparison = compare_runs([scored(), scored("seed=1"), scored("seed=2", errors={1: None})])
    assert len(image(comparison_figure_of(comparison), format)) > 1000

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from examples import REFINEMENT, make_evidence, make_learning
from sinernn.data.series import Channel
from sinernn.errors import UsageError
from sinernn.evaluation.forecasts import Evidence
from sinernn.plotting import (
    FIGURES,
    FORMATS,
    WITHOUT_EVIDENCE,
    Story,
    attractor,
    closed_loop,
    draw,
    eigenvalues,
    figure_descriptions,
    horizon,
    loss_curve,
    open_loop,
    orbit,
    overview,
    spectra,
    tutorial,
    valid_time,
)
from sinernn.plotting.chaos import maxima
from sinernn.plotting.comparisons import leakage, power_spectrum
from sinernn.plotting.style import MODEL


def drift(truth: np.ndarray) -> np.ndarray:
    """Forecasts that are further off from origin to origin."""
    return truth * (1 + 0.001 * np.arange(1, len(truth) + 1)[:, None, None])


def make_story(evidence: Evidence | None = None) -> Story:
    evidence = make_evidence(drift) if evidence is None else evidence
    return Story(
        title="a run",
        metrics={
            "step": np.array([10.0, 20, 30]),
            "loss": np.array([1.0, 0.1, 0.01]),
            "learning_rate": np.array([0.3, 0.2, 0.1]),
            "closed_loop_rmse": np.array([np.nan, 0.5, 0.4]),
        },
        evidence=evidence,
        refinement={},
        learning=make_learning(evidence),
    )


def labelled(axes) -> dict:
    """The lines of a panel, by their labels."""
    return {line.get_label(): line for line in axes.get_lines()}


def assert_draws(line, x, y) -> None:
    np.testing.assert_allclose(np.array(line.get_xydata()).T, [x, y])


def test_loss_figure():
    """It shows errors, evaluations and learning rates."""
    top, bottom = loss_curve(make_story()).axes
    assert_draws(top.lines[0], [10, 20, 30], np.sqrt([1, 0.1, 0.01]))
    assert_draws(top.lines[1], [20, 30], [0.5, 0.4])
    np.testing.assert_array_equal(bottom.lines[0].get_ydata(), [0.3, 0.2, 0.1])
    assert top.get_yscale() == "log"
    assert bottom.get_xlabel() == "updates"


def test_loss_figure_has_one_unit():
    """Losses, mean squares in scaled units, are drawn as RMSE in signal units."""
    story = replace(make_story(), refinement=REFINEMENT, loops=("closed", "open"), scale=3.0)
    updates, beside, *_ = loss_curve(story).axes
    assert updates.get_ylabel() == "RMSE"
    assert_draws(updates.lines[0], [10, 20, 30], 3 * np.sqrt([1, 0.1, 0.01]))
    assert_draws(labelled(beside)["free run, training"], [1, 2], [0.3, 0.03])
    assert_draws(labelled(beside)["free run, validation"], [0, 2, 4], [0.4, 0.1, 1e-3])
    unknown = loss_curve(make_story()).axes[0]
    assert "one step ahead, training (scaled units)" in labelled(unknown)


def test_loss_figure_of_refinement():
    """It shows the stages of refinement by number and by loop, beside the updates."""
    story = replace(make_story(), refinement=REFINEMENT, loops=("closed", "open"), scale=1.0)
    updates, beside, _, damping = loss_curve(story).axes
    drawn = labelled(beside)
    assert_draws(drawn["free run, training"], [1, 2], [1e-1, 1e-2])
    assert_draws(drawn["one step ahead, training"], [3, 4], [1e-3, 1e-4])
    assert [text.get_text() for text in beside.texts] == ["1", "2"]
    assert_draws(damping.lines[0], REFINEMENT["step"], REFINEMENT["damping"])
    assert damping.get_xlabel() == "iterations of refinement"
    assert beside.get_ylim() == updates.get_ylim()


@pytest.mark.parametrize("loss", [[1.0, 1e70, 1e70], [1.0, np.inf, np.nan]])
def test_loss_figure_of_a_diverged_run(loss: list[float]):
    """It marks the update, and its panels share the axis of updates."""
    story = make_story()
    story.metrics["loss"][:] = loss
    top, bottom = loss_curve(replace(story, diverged_at=20)).axes
    assert labelled(top)["diverged"].get_xdata() == [20, 20]
    assert top.get_xlim() == bottom.get_xlim()
    assert top.get_xlim()[1] >= 30


def test_noise_floor():
    """Of noisy data, figures of the training show the error of a perfect forecast."""
    story = replace(make_story(), refinement=REFINEMENT, noise=0.05)
    for axes in (*loss_curve(story).axes[:2], *overview(story).axes[-2:]):
        assert labelled(axes)["noise floor"].get_ydata() == [0.05, 0.05]
    assert "noise floor" not in labelled(loss_curve(make_story()).axes[0])


def test_loss_figure_without_evaluation():
    """A run that was never evaluated has one."""
    story = make_story()
    story.metrics["closed_loop_rmse"][:] = np.nan
    assert len(loss_curve(Story("a run", story.metrics, None, {})).axes[0].get_lines()) == 1


@pytest.mark.parametrize("name", sorted(set(FIGURES) - WITHOUT_EVIDENCE))
def test_every_other_figure_needs_an_evaluation(name: str):
    with pytest.raises(ValueError, match="shows an evaluation, and there is none"):
        FIGURES[name](Story("a run", make_story().metrics, None, {}))


def errors_panel(evidence: Evidence):
    """The panel of an overview that shows the errors of free runs."""
    return next(
        axes for axes in overview(make_story(evidence)).axes if axes.get_ylabel() == "error"
    )


def test_long_free_run():
    """It is shown at its beginning and its end, over the time since its origin."""
    story = make_story()
    first, last = overview(story).axes[:2]
    forecasts = story.evaluated.closed_loop
    time, prediction = 0.2 * np.arange(1, 401), forecasts.prediction[1, :, 0]
    assert_draws(labelled(first)["free run"], time[:150], prediction[:150])
    assert_draws(labelled(last)["free run"], time[-150:], prediction[-150:])
    truth = labelled(first)["truth"]
    assert_draws(truth, 0.2 * np.arange(-29, 151), forecasts.truth[1, 20:200, 0])
    assert first.get_xlabel() == "time after the origin"


def test_a_short_free_run_is_shown_whole():
    first, errors, _ = overview(make_story(make_evidence(drift, steps=60))).axes
    assert len(labelled(first)["free run"].get_xdata()) == 60
    assert errors.get_ylabel() == "error"


def test_units_on_axes():
    """They are the signal's; a signal without units has none."""
    story = replace(make_story(), unit="V", time_unit="s")
    names = {name: [axes.get_ylabel() for axes in FIGURES[name](story).axes] for name in FIGURES}
    assert names["overview"][0] == names["closed_loop"][0] == "signal (V)"
    assert "RMSE (V)" in names["loss"]
    assert names["spectra"] == ["power (V²)"]
    assert overview(story).axes[0].get_xlabel() == "time after the origin (s)"
    assert spectra(story).axes[0].get_xlabel() == "frequency (1/s)"
    assert overview(make_story()).axes[0].get_ylabel() == "signal"


def test_closed_loop_figure():
    """Every origin has a panel; of a long run it shows the end."""
    story = make_story()
    panels = closed_loop(story).axes
    forecasts = story.evaluated.closed_loop
    assert len(panels) == 3
    for origin, axes in enumerate(panels):
        drawn = labelled(axes)["free run"]
        assert_draws(drawn, 0.2 * np.arange(251, 401), forecasts.prediction[origin, -150:, 0])
        assert f"origin {origin + 1}: RMSE" in axes.get_title()
    assert len(closed_loop(make_story(make_evidence(drift, steps=40, origins=500))).axes) == 12


def test_warmup_in_the_figure():
    """What the network read is what was observed."""
    story = make_story(make_evidence(drift, noise=0.3))
    read = labelled(overview(story).axes[0])["warm-up samples"]
    np.testing.assert_array_equal(
        read.get_ydata(), story.evaluated.closed_loop.observed[1, 20:50, 0]
    )


def test_errors_of_origins():
    """Every origin's error is shown, and the drawn one stands out."""
    evidence = make_evidence(drift, steps=200)
    errors = errors_panel(evidence)
    assert errors.get_yscale() == "log"
    *others, own = errors.get_lines()
    assert len(others) == 2
    assert_draws(own, np.arange(1, 201), evidence.closed_loop.errors[1])
    assert own.get_color() != others[0].get_color()


def test_errors_fill_their_axis():
    """Errors that hardly change over the steps are not a line at the top of three decades."""
    evidence = make_evidence(lambda truth: truth + 1e-7 + 1e-8 * truth)
    low, high = errors_panel(evidence).get_ylim()
    assert 1 <= np.log10(high / low) < 1.3
    assert low < 1e-7 < high


def test_legend_of_the_overview():
    """It has every line that has a name, once."""
    story = replace(make_story(), refinement=REFINEMENT, noise=0.1)
    figure = overview(story)
    named = {str(name) for axes in figure.axes for name in labelled(axes)}
    shown = [text.get_text() for text in figure.legends[0].texts]
    assert sorted(shown) == sorted(name for name in named if not name.startswith("_"))
    assert {"errors from other origins", "error of the free run", "noise floor"} <= set(shown)


def test_error_of_a_long_run():
    """It is averaged over a period.

    The root mean square of a sine over its period is its amplitude by sqrt(2).
    """
    evidence = make_evidence(lambda truth: truth + 0.01 * truth, steps=2000)
    own = labelled(errors_panel(evidence))["error of the free run"]
    settled = np.array(own.get_ydata())[31:]  # a period is 31.4 samples
    np.testing.assert_allclose(settled, 0.01 / np.sqrt(2), rtol=0.03)


def test_of_many_origins_some_are_shown():
    evidence = make_evidence(drift, steps=40, origins=500)
    assert len(errors_panel(evidence).get_lines()) <= 22


def test_limit_of_valid_forecasts():
    """It is shown where errors come near it."""
    far = make_evidence(lambda truth: truth * 1.5)
    limit = labelled(errors_panel(far))["valid below 0.4 standard deviations"]
    assert limit.get_ydata()[0] == pytest.approx(0.4 * far.spread)
    assert not any("valid" in str(label) for label in labelled(errors_panel(make_evidence(drift))))


def diverge(truth: np.ndarray) -> np.ndarray:
    """Forecasts that are right for 20 steps, leave, and are not numbers from step 41."""
    prediction = truth.copy()
    prediction[:, 20:40], prediction[:, 40:] = 1e30, np.nan
    return prediction


@pytest.mark.parametrize("figure", [closed_loop, overview, tutorial])
def test_diverging_free_run(figure):
    """It does not flatten the truth, and the step at which it leaves is marked."""
    axes = figure(make_story(make_evidence(diverge))).axes[0]
    low, high = axes.get_ylim()
    assert -5 < low < -1 < 1 < high < 5
    assert labelled(axes)["free run leaves"].get_xdata() == pytest.approx([0.2 * 21] * 2)


def test_error_of_a_diverging_run():
    """The panel ends soon after the last error that it can show."""
    axes = errors_panel(make_evidence(diverge))
    assert axes.get_xlim()[1] < 60
    assert axes.get_ylim()[1] <= 1e4


def test_diverged_runs_are_explained():
    """Figures that could be empty say why."""
    story = make_story(make_evidence(diverge))
    assert "leaves the range shown at step 21 of 400" in overview(story).axes[0].get_title()
    assert "leaves at step 21" in closed_loop(story).axes[0].get_title()
    left = labelled(horizon(story).axes[0])["network beyond 1000 standard deviations, step 21"]
    assert left.get_xdata() == [21, 21]
    assert "diverged (step 41)" in spectra(story).axes[0].get_title()
    arrays = story.evaluated.arrays()
    arrays["dynamics.free"] = arrays["dynamics.free"].copy()
    arrays["dynamics.free"][60:] = np.nan
    story = make_story(Evidence.from_arrays(arrays))
    assert "before it leaves at step 60" in labelled(orbit(story).axes[0])
    assert "up to step 60, where it diverges" in eigenvalues(story).axes[1].get_title()
    arrays["open_loop.prediction"] = np.full_like(arrays["open_loop.prediction"], np.nan)
    top, _, histogram = open_loop(make_story(Evidence.from_arrays(arrays))).axes
    assert "150 of them beyond the range shown" in top.get_title()
    assert histogram.texts[0].get_text() == "none is finite"


def test_the_overview_tells_the_training_too():
    losses = overview(make_story()).axes[-1]
    assert_draws(losses.lines[0], [10, 20, 30], np.sqrt([1, 0.1, 0.01]))
    assert_draws(losses.lines[1], [20, 30], [0.5, 0.4])


def test_tutorial_figure():
    """True dots are large, those of the free run small."""
    story = make_story()
    forecasts = story.evaluated.closed_loop
    true, free_run = tutorial(story).axes[0].collections
    assert true.get_sizes()[0] > 3 * free_run.get_sizes()[0]
    assert len(true.get_offsets()) == 50
    expected = np.stack([0.2 * np.arange(1, 50), forecasts.prediction[1, :49, 0]], 1)
    np.testing.assert_allclose(free_run.get_offsets(), expected)
    assert to_hex(free_run.get_facecolor()[0]).upper() == MODEL


def test_open_loop_figure():
    """It shows a stretch of predictions and residuals, and a histogram of all residuals."""
    story = make_story()
    one_step = story.evaluated.open_loop[0]
    top, residuals, histogram = open_loop(story).axes
    time, left = 0.2 * np.arange(150), one_step.prediction[0, :, 0] - one_step.truth[0, :, 0]
    assert_draws(labelled(top)["one step ahead"], time, one_step.prediction[0, :150, 0])
    assert_draws(residuals.lines[0], time, left[:150])
    assert sum(bar.get_height() for bar in histogram.patches) == len(left)
    assert histogram.patches[0].get_x() == pytest.approx(left.min())
    assert "observed samples" not in labelled(top)
    noisy = make_story(make_evidence(noise=0.1))
    assert "observed samples" in labelled(open_loop(noisy).axes[0])


def test_horizon_figure():
    """It has the network, its origins and every baseline."""
    story = make_story()
    (axes,) = horizon(story).axes
    drawn = labelled(axes)
    errors = story.evaluated.closed_loop.errors
    up_to = np.sqrt(np.cumsum(errors**2, axis=1) / np.arange(1, 401))
    assert_draws(drawn["network"], np.arange(1, 401), np.median(up_to, axis=0))
    assert {"mean", "persistence"} <= set(drawn)
    assert drawn["mean"].get_linestyle() == "--" != drawn["network"].get_linestyle()
    (band,) = axes.collections
    vertices = band.get_paths()[0].vertices
    assert vertices[:, 1].max() == pytest.approx(up_to.max())
    assert vertices[:, 1].min() == pytest.approx(up_to.min())
    assert axes.get_ylim()[0] < up_to.min() < up_to.max() < axes.get_ylim()[1]
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_orbit_figure():
    """It has both orbits and where they begin."""
    story = make_story()
    dynamics = story.evaluated.dynamics
    for axes, second in zip(orbit(story).axes, (1, 2), strict=True):
        drawn = labelled(axes)
        assert_draws(
            drawn["driven by true samples"], dynamics.driven[:, 0], dynamics.driven[:, second]
        )
        assert_draws(drawn["free run"], dynamics.free[:, 0], dynamics.free[:, second])
        assert_draws(drawn["start"], dynamics.driven[:1, 0], dynamics.driven[:1, second])
        last = dynamics.free[-80:]  # a fifth of the steps
        assert_draws(drawn["its last 80 steps"], last[:, 0], last[:, second])
        assert axes.get_xlabel() == "component 1 (60.0% variance)"


def test_orbit_has_a_direction():
    """An arrow follows the driven orbit away from its start."""
    story = make_story()
    (arrow,) = orbit(story).axes[0].texts
    orbit_points = story.evaluated.dynamics.driven[:, :2]
    (at,) = np.flatnonzero((orbit_points == arrow.xyann).all(axis=1))
    assert 0 < at < 16  # before half of the circle's 31 steps
    np.testing.assert_array_equal(arrow.xy, orbit_points[at + 1])


def test_eigenvalues_figure():
    """They are drawn around the unit circle, coloured by the phase of the oscillation."""
    driven, free, scale = eigenvalues(make_story()).axes
    for axes, part in ((driven, 0.5), (free, 0.7)):
        (circle,) = axes.get_lines()
        np.testing.assert_allclose(np.hypot(*np.array(circle.get_xydata()).T), 1)
        (dots,) = axes.collections
        np.testing.assert_allclose(dots.get_offsets(), np.full((20, 2), part))
        # Five places over 400 steps of 0.2, four eigenvalues at each; a period is 2 pi.
        steps = np.array([0, 100, 200, 299, 399])
        np.testing.assert_allclose(
            dots.get_array(), np.repeat(0.2 * steps / (2 * np.pi) % 1, 4), rtol=1e-9
        )
        assert axes.get_aspect() == 1
    assert scale.get_ylabel() == "phase (periods)"
    assert eigenvalues(make_story(make_evidence(period=None))).axes[2].get_ylabel() == (
        "part of the orbit"
    )


def test_without_eigenvalues_the_figure_says_so():
    evidence = make_evidence()
    arrays = evidence.arrays()
    arrays["dynamics.free_eigenvalues"] = np.empty((0, 4, 2))
    figure = eigenvalues(make_story(Evidence.from_arrays(arrays)))
    assert [len(axes.texts) for axes in figure.axes] == [0, 1, 0]


def test_power_of_a_sinusoid():
    """It is its mean square, at its frequency."""
    power = power_spectrum(3 * np.sin(2 * np.pi * 20 / 1000 * np.arange(1000)))
    assert power.argmax() == 20
    assert power[20] == pytest.approx(4.5, rel=1e-3)


def test_panels_of_channels():
    """Each output has a panel with its name and unit, and each input one below."""
    evidence = make_evidence(channels=2)
    read = replace(evidence.closed_loop, inputs=3 * evidence.closed_loop.truth[:, :, :1])
    story = replace(
        make_story(replace(evidence, closed_loop=read)),
        unit="standard deviations",
        outputs=(Channel("position", "mm"), Channel("speed")),
        inputs=(Channel("force", "N"),),
    )
    labels = {
        figure.__name__: [axes.get_ylabel() for axes in figure(story).axes if axes.get_ylabel()]
        for figure in (overview, closed_loop, open_loop, tutorial, spectra)
    }
    rows = ["position (mm)", "speed"]
    assert labels["overview"][:3] == [*rows, "force (N)"]
    assert labels["closed_loop"] == [*rows, "force (N)"]
    assert labels["open_loop"] == ["position (mm)", "samples", "speed", "samples"]
    assert labels["tutorial"] == rows
    assert labels["spectra"] == ["position: power (mm²)", "speed: power"]
    assert horizon(story).axes[0].get_ylabel() == "RMSE up to it (standard deviations)"
    inputs = closed_loop(story).axes[-1]
    assert_draws(
        labelled(inputs)["input"],
        np.arange(251, 401) * 0.2,
        3 * evidence.closed_loop.truth[-1, 300:, 0],
    )


def test_inputs_have_a_colour_of_their_own():
    evidence = make_evidence(channels=2)
    read = replace(evidence.closed_loop, inputs=evidence.closed_loop.truth[:, :, :1])
    story = make_story(replace(evidence, closed_loop=read))
    figure = overview(replace(story, refinement=REFINEMENT, loops=("closed", "open")))
    colours = {
        label: line.get_color() for axes in figure.axes for label, line in labelled(axes).items()
    }
    assert colours["input"] not in [colours[label] for label in colours if label != "input"]


@pytest.mark.parametrize("count", [1, 2])
def test_long_names_of_channels_are_cut(count: int):
    """They would take the space of what is drawn."""
    outputs = (Channel("n" * 300),) * count
    story = replace(make_story(make_evidence(channels=count)), signal="n" * 300, outputs=outputs)
    assert overview(story).axes[0].get_ylabel().split(" ")[0] == "n" * 37 + "..."


def test_channels_without_a_panel():
    """Eight outputs have a panel, and a title says how many have none."""
    evidence = make_evidence(channels=10, steps=200)
    read = replace(evidence.closed_loop, inputs=evidence.closed_loop.truth[:, :, :9])
    story = make_story(replace(evidence, closed_loop=read))
    for figure in (overview, closed_loop, open_loop, tutorial, spectra):
        axes = figure(story).axes
        assert "(not shown: 2 outputs, 1 input)" in axes[0].get_title()
        assert any(each.get_ylabel().startswith("output 8") for each in axes)
        assert not any(each.get_ylabel().startswith("output 9") for each in axes)


def test_spectra_figure():
    """It has the truth and the free run."""
    story = make_story()
    drawn = labelled(spectra(story).axes[0])
    forecasts = story.evaluated.closed_loop
    frequency = np.fft.rfftfreq(400, 0.2)
    assert_draws(drawn["truth"], frequency, power_spectrum(forecasts.truth[1, 50:, 0]))
    assert_draws(drawn["free run"], frequency, power_spectrum(forecasts.prediction[1, :, 0]))
    diverged = spectra(make_story(make_evidence(lambda truth: truth * np.nan))).axes[0]
    assert "free run" not in labelled(diverged)
    assert "diverged" in diverged.get_title()


def test_leakage_of_a_line():
    """Beside a line, the spectrum of a sinusoid between two bins stays below the leakage."""
    power = power_spectrum(np.sin(2 * np.pi * 20.5 / 1000 * np.arange(1000)))
    away = np.arange(len(power)) > 24
    bound = leakage(power)
    assert (power[away] < 4 * bound[away]).all()
    assert power[100] > 0.1 * bound[100]
    assert power[0] < 1e-20


def test_noise_floor_of_a_spectrum():
    """It is the mean power of white noise."""
    noise = 0.3 * np.random.default_rng(0).normal(size=4000)
    story = replace(make_story(make_evidence(steps=4000)), noise=0.3)
    floor = labelled(spectra(story).axes[0])["noise floor of the observed samples"]
    # 2000 frequencies: the mean is known to some 3%.
    assert power_spectrum(noise)[2:-2].mean() == pytest.approx(floor.get_ydata()[0], rel=0.1)


@pytest.mark.parametrize(("steps", "period", "needed"), [(100, None, 128), (200, 2 * np.pi, 251)])
def test_too_few_steps_for_a_spectrum(steps: int, period: float | None, needed: int):
    """The figure says how many it needs instead of drawing one."""
    (axes,) = spectra(make_story(make_evidence(steps=steps, period=period))).axes
    assert not axes.lines
    assert f"{steps} steps, too few for a spectrum" in axes.texts[0].get_text()
    assert f"evaluation.horizon={needed}" in axes.texts[0].get_text()


def growing_story() -> Story:
    """Errors grow e-fold a time unit, from 1e-4 standard deviations times the origin's number."""
    evidence = make_evidence(steps=150)
    time = evidence.time_step * np.arange(1.0, 151)
    first = 1e-4 * evidence.spread * np.arange(1.0, len(evidence.closed_loop.time) + 1)
    error = (first[:, None] * np.exp(time))[:, :, None]
    truth = evidence.closed_loop.truth[:, evidence.closed_loop.warmup :]
    forecasts = replace(evidence.closed_loop, prediction=truth + error)
    return make_story(replace(evidence, closed_loop=forecasts, exponent=1.0))


def test_slope_of_the_lyapunov_exponent():
    """Errors that grow by the exponent lie on its line."""
    growth, _ = valid_time(growing_story()).axes
    lines = labelled(growth)
    time, error = lines["median origin"].get_xydata().T
    slope = lines["growth by the Lyapunov exponent, 1 per time unit"].get_xydata()
    np.testing.assert_allclose(np.interp(slope[:, 0], time, np.log(error)), np.log(slope[:, 1]))


def test_distribution_of_valid_times():
    """The share of valid forecasts falls by one forecast at each valid time."""
    story = growing_story()
    _, validity = valid_time(story).axes
    forecasts = story.evaluated.closed_loop
    valid = np.sort((forecasts.errors <= story.evaluated.valid_limit).sum(axis=1) + 1)
    time, share = validity.lines[0].get_xydata().T
    np.testing.assert_allclose(time[1:-1], valid * story.evaluated.time_step)
    np.testing.assert_allclose(share[:-1], 1 - np.arange(len(valid) + 1) / len(valid), atol=1e-12)
    assert "Lyapunov times" in validity.get_title()


def test_forecasts_that_stay_valid():
    """Their share does not fall at the horizon."""
    _, validity = valid_time(make_story(make_evidence())).axes
    np.testing.assert_array_equal(validity.lines[0].get_ydata(), 1.0)
    assert "median > " in validity.get_title()


def test_maxima_between_samples():
    """Of a sine they are its amplitude, wherever samples lie; the error of the parabola is h^4."""
    found = maxima(2.0 * np.sin(0.2 * np.arange(200.0) + 0.3))
    assert len(found) == 7
    np.testing.assert_allclose(found, 2.0, atol=2 * 0.2**4 / 24)


def test_attractor_of_truth_and_free_run():
    """In the same coordinates and limits; several outputs are the coordinates themselves."""
    evidence = make_evidence(channels=3)
    truth, free, _ = attractor(make_story(evidence)).axes
    assert (truth.get_xlim(), truth.get_ylim()) == (free.get_xlim(), free.get_ylim())
    assert_draws(truth.lines[0], *evidence.open_loop[0].truth[0][:, [0, 2]].T)
    drawn = evidence.dynamics.outputs[0][: len(evidence.open_loop[0].truth[0])]
    assert_draws(free.lines[0], *drawn[:, [0, 2]].T)


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_is_labelled(name: str):
    for axes in FIGURES[name](make_story()).axes:
        assert axes.get_ylabel() or not any(label.get_visible() for label in axes.get_yticklabels())
    with_ticks = [axes for axes in FIGURES[name](make_story()).axes if axes.get_xticks().size]
    assert with_ticks[-1].get_xlabel()


@pytest.mark.parametrize(
    ("steps", "channels"),
    [
        (1, 3),
        *(
            pytest.param(*shape, marks=pytest.mark.campaign)
            for shape in ((1, 1), (49, 1), (49, 3), (301, 1), (301, 3))
        ),
    ],
)
@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_all_sizes(name: str, steps: int, channels: int):
    """Every figure draws short, long and wide series."""
    story = make_story(make_evidence(drift, steps=steps, channels=channels, origins=1))
    assert draw(name, story, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(make_evidence(wave=np.ones_like, period=None), id="a constant"),
        pytest.param(
            make_evidence(lambda truth: truth * np.nan),
            id="diverged at once",
            marks=pytest.mark.campaign,
        ),
        pytest.param(
            make_evidence(lambda truth: truth * 1e300),
            id="too large to square",
            marks=pytest.mark.campaign,
        ),
    ],
)
def test_every_figure_draws_the_odd_ones(name: str, evidence: Evidence):
    assert draw(name, make_story(evidence), "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("format", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_equal_bytes(format: str, magic: bytes):
    """Equal stories give equal bytes in every format."""
    assert format in FORMATS
    content = draw("overview", make_story(), format)
    assert content.startswith(magic)
    assert content == draw("overview", make_story(), format)


def test_fonts_of_vector_formats():
    """PDF embeds TrueType fonts, and the text of SVG can be searched and edited."""
    pdf = draw("overview", make_story(), "pdf")
    assert b"/Subtype /CIDFontType2" in pdf
    assert b"/Type3" not in pdf
    assert b">warm-up samples</text>" in draw("overview", make_story(), "svg")


def test_size_of_a_figure():
    content = draw("orbit", make_story(), "png", width=4.0, height=3.0, dpi=50.0)
    assert Image.open(io.BytesIO(content)).size == (200, 150)
    assert b'width="288pt"' in draw("orbit", make_story(), "svg", width=4.0)


def test_text_of_a_narrow_figure():
    """It is smaller, by the square root, so that a column of a paper has room for the curves."""
    sizes = [
        max(
            map(
                float,
                re.findall(rb"font-size: ([\d.]+)px", draw("horizon", make_story(), "svg", **size)),
            )
        )
        for size in ({}, {"width": 7.5 / 4})
    ]
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.01)


def test_figure_that_is_too_small():
    with pytest.raises(UsageError, match=r"loss does not fit into .* by 1 inches; choose"):
        draw("loss", make_story(), "png", height=1.0)


def test_a_users_matplotlibrc_changes_no_figure():
    import matplotlib as mpl

    expected = draw("loss", make_story(), "png")
    with mpl.rc_context({"font.size": 30}):
        assert draw("loss", make_story(), "png") == expected


def test_every_figure_says_what_it_shows():
    described = figure_descriptions()
    assert list(described) == list(FIGURES)
    assert all(len(what) > 30 for what in described.values())


def test_figures_open_no_window_and_no_file():
    assert isinstance(overview(make_story()), Figure)

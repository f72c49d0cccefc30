import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sinernn.evaluation import Forecasts
from sinernn.plotting import FIGURES, FORMATS, MODEL, Story, closed_loop, draw, loss, tutorial


def make_story(*, steps: int = 400, origins: int = 3, channels: int = 1) -> Story:
    time = 0.2 * np.arange(50 + steps) + 100 * np.arange(origins)[:, None]
    truth = np.repeat(np.sin(time)[:, :, None], channels, axis=2)
    drift = 1 + 0.001 * np.arange(1, origins + 1)[:, None, None]
    return Story(
        title="a run",
        metrics={
            "step": np.array([10.0, 20, 30]),
            "loss": np.array([1.0, 0.1, 0.01]),
            "learning_rate": np.array([0.3, 0.2, 0.1]),
            "closed_loop_rmse": np.array([np.nan, 0.5, 0.4]),
        },
        forecasts=Forecasts(time, truth, truth, truth[:, 50:] * drift),
    )


def lines(figure: Figure, axes: int):
    return figure.axes[axes].get_lines()


def test_the_loss_figure_shows_losses_evaluations_and_learning_rates():
    figure = loss(make_story())
    top, bottom = figure.axes
    np.testing.assert_array_equal(top.lines[0].get_xydata(), [[10, 1], [20, 0.1], [30, 0.01]])
    np.testing.assert_array_equal(top.lines[1].get_xydata(), [[20, 0.5], [30, 0.4]])
    np.testing.assert_array_equal(bottom.lines[0].get_ydata(), [0.3, 0.2, 0.1])
    assert top.get_yscale() == "log"
    assert bottom.get_xlabel() == "updates"


def test_a_run_that_was_never_evaluated_has_a_loss_figure():
    story = make_story()
    story.metrics["closed_loop_rmse"][:] = np.nan
    assert len(lines(loss(story), 0)) == 1


def test_a_long_free_run_is_shown_at_its_beginning_and_its_end():
    story = make_story(steps=400)
    first, last, _ = closed_loop(story).axes
    forecasts = story.forecasts
    assert forecasts is not None
    free_run = {line.get_label(): line for line in first.get_lines()}["free run"]
    np.testing.assert_array_equal(free_run.get_ydata(), forecasts.prediction[1, :150, 0])
    np.testing.assert_array_equal(free_run.get_xdata(), forecasts.time[1, 50:200])
    end = {line.get_label(): line for line in last.get_lines()}["free run"]
    np.testing.assert_array_equal(end.get_ydata(), forecasts.prediction[1, -150:, 0])


def test_a_short_free_run_is_shown_whole():
    figure = closed_loop(make_story(steps=60))
    assert len(figure.axes) == 2
    free_run = {line.get_label(): line for line in lines(figure, 0)}["free run"]
    assert len(free_run.get_xdata()) == 60


def test_the_error_of_every_origin_is_shown_and_the_drawn_one_stands_out():
    story = make_story()
    assert story.forecasts is not None
    errors = closed_loop(story).axes[-1]
    assert errors.get_yscale() == "log"
    assert len(errors.get_lines()) == 3
    np.testing.assert_allclose(errors.get_lines()[-1].get_ydata(), story.forecasts.errors[1])
    assert errors.get_lines()[-1].get_color() != errors.get_lines()[0].get_color()


def test_a_diverging_free_run_does_not_flatten_the_truth():
    story = make_story(origins=1)
    assert story.forecasts is not None
    story.forecasts.prediction[0, 20:40] = 1e30
    story.forecasts.prediction[0, 40:] = np.nan
    low, high = closed_loop(story).axes[0].get_ylim()
    assert -5 < low < -1 < 1 < high < 5


def test_the_tutorial_figure_has_large_true_dots_and_small_free_run_dots():
    story = make_story(steps=400)
    assert story.forecasts is not None
    true, free_run = tutorial(story).axes[0].collections
    assert true.get_sizes()[0] > 3 * free_run.get_sizes()[0]
    assert len(true.get_offsets()) == 50
    expected = np.stack([story.forecasts.time[1, 50:99], story.forecasts.prediction[1, :49, 0]], 1)
    np.testing.assert_allclose(free_run.get_offsets(), expected)
    assert to_hex(free_run.get_facecolor()[0]).upper() == MODEL


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_is_labelled(name: str):
    for axes in FIGURES[name](make_story()).axes:
        assert axes.get_ylabel() or not any(label.get_visible() for label in axes.get_yticklabels())
    assert FIGURES[name](make_story()).axes[-1].get_xlabel()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("steps", [1, 49, 301])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_short_long_and_wide_series(name: str, steps: int, channels: int):
    story = make_story(steps=steps, channels=channels, origins=1)
    assert draw(name, story, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("format", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_equal_stories_give_equal_bytes_in_every_format(format: str, magic: bytes):
    assert format in FORMATS
    content = draw("closed_loop", make_story(), format)
    assert content.startswith(magic)
    assert content == draw("closed_loop", make_story(), format)


def test_a_users_matplotlibrc_changes_no_figure(monkeypatch: pytest.MonkeyPatch):
    import matplotlib as mpl

    expected = draw("loss", make_story(), "png")
    with mpl.rc_context({"font.size": 30}):
        assert draw("loss", make_story(), "png") == expected

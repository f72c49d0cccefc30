"""The figure of a sweep fits the number of settings that vary."""

import numpy as np
import pytest

from sinernn import plotting
from sinernn.plotting import SweepScores, Varied, sweep_figure


def scores_of(settings: int, *, is_grid: bool = True) -> SweepScores:
    """Two values of each setting, three seeds of each point; one run of the last point failed."""
    points = 2**settings
    values = 10.0 ** -np.arange(3.0 * points).reshape(points, 3)
    values[-1, 0] = np.nan
    varied = [
        Varied(f"s{index}", (np.arange(points) >> index & 1).astype(float), ("a", "b"))
        for index in range(settings)
    ]
    return SweepScores(
        "RMSE", values, np.isnan(values), np.nanmedian(values, axis=1), tuple(varied), is_grid,
        best=points - 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "is_grid", "name", "panels"),
    [(0, True, "seeds", 1), (1, True, "line", 1), (2, True, "map", 2), (2, False, "map", 2),
     (3, False, "parallel", 4)],
)  # fmt: skip
def test_figure_fits_the_sweep(settings: int, is_grid: bool, name: str, panels: int):
    found, draw = sweep_figure(scores_of(settings, is_grid=is_grid))
    assert found == name
    figure = draw()
    assert len(figure.axes) == panels
    drawn = plotting.lay_out(lambda: figure, name, title="t", note="")
    assert plotting.save(drawn, "svg").startswith(b"<?xml")


def test_line_shows_every_seed_and_failures():
    axes = sweep_figure(scores_of(1))[1]().axes[0]
    seeds = next(line for line in axes.lines if line.get_label() == "a seed")
    assert len(seeds.get_xdata()) == 6
    assert [text.get_text() for text in axes.texts] == ["1 failed"]


def test_map_writes_the_medians():
    axes = sweep_figure(scores_of(2))[1]().axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts[0] == "0.1"
    assert texts[3] == "5.5e-11\n1 failed"


def test_map_of_draws_marks_the_best():
    axes = sweep_figure(scores_of(2, is_grid=False))[1]().axes[0]
    assert axes.get_title() == "median RMSE; the best point has a ring"
    assert axes.lines[-1].get_xydata().tolist() == [[1.0, 1.0]]


def test_sweep_without_any_score_is_drawn():
    scores = SweepScores(
        "RMSE", np.full((2, 1), np.nan), np.ones((2, 1), bool), np.full(2, np.nan),
        (Varied("rate", np.array([0.1, 1.0]), is_log=True),), is_grid=True, best=None,
    )  # fmt: skip
    name, draw = sweep_figure(scores)
    drawn = plotting.lay_out(draw, name, title="t", note="")
    assert plotting.save(drawn, "png").startswith(b"\x89PNG")

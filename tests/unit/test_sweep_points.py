"""Files and command lines of sweeps become points; whatever is wrong has its place."""

from pathlib import Path

import numpy as np
import pytest

from examples import REPOSITORY, TINY
from sinernn.config import load_config
from sinernn.config.overrides import split_values
from sinernn.errors import ConfigError
from sinernn.sweeps.parameters import Range
from sinernn.sweeps.points import Points, between
from sinernn.sweeps.settings import read_sweep

SWEEPS = sorted((REPOSITORY / "configs/sweeps").glob("*.yaml"))


def points_of(*overrides: str, source: Path = TINY) -> Points:
    return Points(read_sweep(source, overrides))


def problems_of(text: str, here: Path, *overrides: str) -> list[str]:
    """Return the messages about a sweep's file."""
    (here / "s.yaml").write_text(text)
    (here / "tiny.yaml").write_text(TINY.read_text())
    with pytest.raises(ConfigError) as caught:
        Points(read_sweep(Path("s.yaml"), overrides)).find_invalid()
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8", ["8"]),
        ("8,16", ["8", "16"]),
        ("[0, 1]", ["[0, 1]"]),
        ("[0,1],[2]", ["[0,1]", "[2]"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("{length: 49, washout: 3},{length: 98}", ["{length: 49, washout: 3}", "{length: 98}"]),
        ("8,", ["8", ""]),
    ],
)
def test_split_values(text: str, expected: list[str]):
    assert split_values(text) == expected


def test_grid_has_every_combination():
    points = points_of("model.hidden_size=2,3", "training.learning_rate=0.1,0.2,0.3")
    assert [point.name for point in points] == [
        f"hidden_size={size}-learning_rate={rate}" for size in (2, 3) for rate in (0.1, 0.2, 0.3)
    ]
    assert points[5].values == {"model.hidden_size": 3, "training.learning_rate": 0.3}


def test_config_of_a_point_is_that_of_train():
    """Name and all, so that a run of a sweep has the bits of a run."""
    points = points_of("model.hidden_size=2,3", "seeds=[4,7]", "training.steps=9")
    one = ["training.steps=9", "model.hidden_size=3", "seed=7"]
    assert points.config(points[1], 7) == load_config(TINY, one).named()


def test_seeds_only_is_one_point():
    points = points_of("seeds=3")
    assert [point.run_name(2) for point in points] == ["tiny-2"]
    assert list(points.sweep.seeds) == [0, 1, 2]


def test_a_parameter_seed_means_seeds():
    for override in ("seed=5,9", "seeds=5,9"):
        points = points_of(override)
        assert (len(points), points.sweep.seeds) == (1, [5, 9])


def test_points_have_folders_of_their_own():
    with pytest.raises(ConfigError, match=r"unit=a b and unit=a-b would have the same folder"):
        points_of("signal.unit=a b,a-b").find_invalid()


def test_seed_beside_seeds_is_refused():
    with pytest.raises(ConfigError, match=r"^seed=5: is given beside seeds \(3\); keep one$"):
        points_of("seed=5", "seeds=3")


def test_a_mapping_merges_into_its_section():
    points = points_of("windows={length: 30, washout: 5},{length: 40}")
    configs = [points.config(point, 0) for point in points]
    assert [(c.windows.length, c.windows.washout) for c in configs] == [(30, 5), (40, 0)]


def test_draws_are_functions_of_seed_and_trial():
    """Of more trials the first are the same, and another seed draws others."""
    words = ("model.hidden_size={min: 2, max: 64}", "method=random")
    short, long = (points_of(*words, f"trials={count}") for count in (3, 5))
    other = points_of(*words, "trials=3", "draw_seed=1")
    values = [[point.values for point in each] for each in (short, long, other)]
    assert values[0] == values[1][:3] != values[2]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_draws_cover_their_range(scale: str):
    bounds = Range(min=1e-4, max=1e-2, scale=scale)
    values = [between(bounds, share) for share in np.linspace(0, 1, 101)]
    assert (min(values), max(values)) == pytest.approx((1e-4, 1e-2), rel=1e-12)
    assert values[50] == pytest.approx(1e-3 if scale == "log" else 5.05e-3, rel=1e-3)


def test_whole_draws_include_both_bounds():
    bounds = Range(min=2, max=4).model_copy(update={"min": 2, "max": 4})
    values = [between(bounds, share) for share in np.linspace(0, 1, 101)]
    assert {type(value) for value in values} == {int}
    assert set(values) == {2, 3, 4}


def test_all_invalid_points_are_reported(here: Path):
    """With the place of their value, before anything is trained; a problem of all points once."""
    text = (
        "base: tiny.yaml\n"
        "parameters:\n"
        "  model.hidden_size: [4, 0]\n"
        "  windows: [{length: 30, washout: 40}, {length: 30}]\n"
    )
    assert problems_of(text, here) == [
        "s.yaml:3:26: model.hidden_size: must be at least 1, got 0 (in hidden_size=0, "
        "length=30, washout=40 and 1 more of 4 points)",
        "s.yaml:4:35: windows.washout: must be less than windows.length (30), otherwise no step "
        "counts, got 40 (in hidden_size=4, length=30, washout=40)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parameters: {model.hidden_size: 8}",
         "s.yaml:2:33: parameters.model.hidden_size: must be a list of values or a range, as in "
         "model.hidden_size: [8, 16], or model.hidden_size: {min: 1, max: 9}, got 8"),
        ("parameters: {model.hidden_size: [8, 8]}",
         "s.yaml:2:33: model.hidden_size: lists 8 twice; remove one"),
        ("parameters: {model.hidden_size: [8, 8.0]}",
         "s.yaml:2:33: model.hidden_size: lists 8 and 8.0, which are equal; remove one"),
        ("parameters: {windows: [{length: 9, washout: 2}, {washout: 2.0, length: 9}]}",
         "s.yaml:2:23: windows: lists length=9, washout=2 and washout=2.0, length=9, which are equal; "
         "remove one"),
        ("parameters: {windows: [{length: 30}], windows.length: [8, 9]}",
         "s.yaml:2:55: windows.length: overlaps with windows; vary both in one list of mappings"),
        ("parameters: {seed: [1, 2]}\nseeds: 3",
         "s.yaml:2:20: seed: is given beside seeds (3); keep one"),
        ("parameters: {model.hidden_size: {min: 1, max: 9}}",
         "s.yaml:2:33: model.hidden_size: a range (1 to 9) has no values for a grid; list some, as "
         "in [1, 9], or set method=random and trials=20"),
        ("parameters: {training.learning_rate: {min: 0, max: 9, scale: log}}",
         "s.yaml:2:44: training.learning_rate.min: must be greater than 0 on a log scale, got 0; use "
         "scale: linear"),
        ("parameters: {training.learning_rate: {min: 2, max: 1}}",
         "s.yaml:2:52: training.learning_rate.max: must be greater than min (2), got 1"),
        ("metric: {part: test}",
         "s.yaml:2:16: metric.part: must be validation, train or null, got 'test'"),
        ("parameters: {model.hiden_size: [8, 16]}",
         "s.yaml:2:14: model.hiden_size: unknown key; did you mean hidden_size?"),
        ("method: random\nparameters: {model.hidden_size: [8, 16]}",
         "s.yaml:2:9: trials: is required by method random, as in trials=20"),
        ("method: gird", "s.yaml:2:9: method: must be grid, random or tpe, got 'gird'; did you mean grid?"),
        ("metric: {horizon: 9999}",
         "s.yaml:2:19: metric.horizon: the validation part leaves 70 steps after evaluation.warmup "
         "(20), got 9999; use at most 70"),
        ("draw_seed: 3", "s.yaml:2:12: draw_seed: has no effect with method grid; remove it"),
        ("metric: {name: open_loop_rmse, horizon: 9}",
         "s.yaml:2:41: metric.horizon: has no effect on open_loop_rmse, one step ahead; remove it"),
        ("trails: 3", "s.yaml:2:1: trails: unknown key; did you mean trials?"),
        ("seeds: twenty", "s.yaml:2:8: seeds: must be a number of seeds, 1 to 1000000, or a list of different seeds "
         "from 0, got 'twenty'"),
        *((f"seeds: {wrong}",
           "s.yaml:2:8: seeds: must be a number of seeds, 1 to 1000000, or a list of different seeds "
           f"from 0, got {shown}")
          for wrong, shown in {"0": "0", "[1, -1]": "a list", "[1, 1]": "a list", "[]": "a list"}.items()),
    ],
)  # fmt: skip
def test_message_and_place(here: Path, text: str, message: str):
    assert problems_of(f"base: tiny.yaml\n{text}\n", here) == [message]


def test_missing_base(here: Path):
    (message,) = problems_of("base: tinny.yaml\n", here)
    assert message.startswith("tinny.yaml: no such file")


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("null", "must be the path of a config, got null"),
        ("[a]", "must be the path of a config, got a list"),
        ("s.yaml", "must be a config, not a sweep; name the config that the sweep varies"),
    ],
)
def test_base_that_is_no_config(here: Path, base: str, message: str):
    assert problems_of(f"base: {base}\n", here) == [f"s.yaml:1:7: base: {message}"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("model.hidden_size=2,3", "model.hidden_size=6"),
         "model.hidden_size=2: conflicts with model.hidden_size=6; keep one"),
        (("model={hidden_size: 2},{cell: gru}", "model.hidden_size=6"),
         "model={hidden_size: 2}: conflicts with model.hidden_size=6; keep one"),
        (("training.steps=3", "training.steps=4"),
         "training.steps=4: conflicts with training.steps=3; keep one"),
        (("base=other.yaml",),
         "base=other.yaml: is set in a sweep's file only; to vary another config, name it instead"),
        (("metric.horizon=3,4",),
         "metric.horizon=3,4: must be a whole number or null, got '3,4'"),
    ],
)  # fmt: skip
def test_overrides_that_conflict(here: Path, overrides: tuple[str, ...], message: str):
    assert problems_of("base: tiny.yaml\n", here, *overrides) == [message]


def test_fixed_setting_beside_mappings():
    points = points_of("model={cell: gru},{cell: lstm}", "model.hidden_size=6")
    configs = [points.config(point, 0).model for point in points]
    assert [(model.cell, model.hidden_size) for model in configs] == [("gru", 6), ("lstm", 6)]


def test_invalid_points_can_be_left_out():
    points = points_of("model.hidden_size=0,4,0.5", "skip_invalid=true")
    assert points.find_invalid() == {0, 2}


def test_no_valid_point_is_an_error_all_the_same():
    with pytest.raises(ConfigError, match="must be at least 1"):
        points_of("model.hidden_size=0,-1", "skip_invalid=true").find_invalid()


@pytest.mark.parametrize(
    "overrides",
    [
        ("model.hidden_size=2,3", "windows={length: 30},{length: 40}", "seeds=[3,5]"),
        ("training.learning_rate={min: 1e-4, max: 0.01, scale: log}", "method=random", "trials=4"),
        ("signal.kind=sine,lorenz", "training.steps=9", "metric.name=valid_time"),
    ],
)
def test_resolved_files_are_the_same_sweep(here: Path, overrides: tuple[str, ...]):
    """Points, configs and seeds are those of the command line."""
    sweep = read_sweep(TINY, overrides)
    for name, content in sweep.files().items():
        (here / name).write_bytes(content)
    again = read_sweep(Path("sweep.yaml"))
    both = [Points(sweep), Points(again)]
    found = [[each.config(point, 5) for point in each] for each in both]
    assert found[0] == found[1]
    assert list(sweep.seeds) == list(again.seeds)
    assert read_sweep(Path("sweep.yaml")).files() == sweep.files()


def test_paths_of_data_are_meant_from_the_sweep(here: Path):
    (here / "deep").mkdir()
    (here / "deep/s.yaml").write_text(
        "base: ../tiny.yaml\nparameters: {signal: [{kind: file, path: a.csv}, {kind: sine}]}\n"
    )
    (here / "tiny.yaml").write_text(TINY.read_text())
    points = Points(read_sweep(Path("deep/s.yaml")))
    assert points.config(points[0], 0).signal.path == str(here / "deep/a.csv")


def test_train_points_to_sweep(here: Path):
    (here / "s.yaml").write_text("base: tiny.yaml\n")
    with pytest.raises(ConfigError, match="is a key of sweeps; train its runs with: sinernn sweep"):
        load_config("s.yaml")
    with pytest.raises(
        ConfigError, match=r"a run for each value: sinernn sweep CONFIG model\.hidden_size=8,16"
    ):
        load_config(TINY, ["model.hidden_size=8,16"])


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_shipped_sweeps(path: Path):
    """Each opens with what it shows, the command and what to expect, and can be trained."""
    text = path.read_text(encoding="utf-8")
    assert f"#   sinernn sweep configs/sweeps/{path.name}\n" in text
    assert "# Expect " in text
    points = Points(read_sweep(path))
    assert len(points) > 1
    assert not points.find_invalid()

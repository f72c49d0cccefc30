"""How a data file is to be read, and the config that is written for it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinernn.config import load_config
from sinernn.config.detection import detect
from sinernn.config.template import make_template
from sinernn.data.files import File
from sinernn.errors import ConfigError, UsageError
from sinernn.preparation import prepare

START = datetime(2024, 3, 1)
NOISE = np.random.default_rng(0).normal(size=(1000, 2))


def detected(text: str, *inputs: str, **settings: Any) -> dict[str, Any]:
    path = Path("data.csv")
    path.write_text(text)
    given = {"inputs": inputs, **settings} if inputs else settings
    found, _ = detect(File(kind="file", path=str(path.absolute()), **given))
    return {name: choice.value for name, choice in found.items()}


def hourly(hours: Any, delimiter: str = ",") -> str:
    rows = [f"when{delimiter}load{delimiter}temp"]
    for hour in hours:
        cells = (f"{value + 10:.3f}" for value in NOISE[hour])
        rows.append(delimiter.join([(START + timedelta(hours=hour)).isoformat(), *cells]))
    return "\n".join(rows) + "\n"


def test_a_column_of_dates(here: Path):
    assert detected(hourly(range(100))) == {"columns": ["load", "temp"], "time_column": "when"}


def test_inputs_are_not_predicted(here: Path):
    found = detected(hourly(range(100)), "temp")
    assert (found["columns"], found["inputs"]) == (["load"], ["temp"])


def test_a_decimal_comma(here: Path):
    """It is found in a file with semicolons, also if every column needs it."""
    found = detected(hourly(range(100), ";").replace(".", ","), "temp")
    assert (found["decimal"], found["columns"]) == ("comma", ["load"])


@pytest.mark.parametrize(
    ("header", "time"), [("t,x", "t"), ("YEAR,x", "YEAR"), ("z,x", "z"), ("x,z", None), ("x,t", "t")]
)  # fmt: skip
def test_a_column_of_times(here: Path, header: str, time: str | None):
    """Numbers that increase: evenly in the first column, or under the name of a time."""
    rows = [f"{row / 10:.1f},{NOISE[row, 0]}" for row in range(100)]
    if header.startswith("x,"):
        rows = [",".join(reversed(row.split(","))) for row in rows]
    assert detected("\n".join([header, *rows])).get("time_column") == time


def test_a_column_of_recordings(here: Path):
    """Text that stays the same for many rows; text that comes back is no such name."""
    rows = [
        f"{row // 50},{'ab'[row % 2]},{'abcd'[row // 50]},{NOISE[row, 0]}" for row in range(200)
    ]
    found = detected("\n".join(["day,kind,name,x", *rows]))
    assert (found["segment_column"], found["columns"]) == ("name", ["day", "x"])


def test_constant_and_counting_columns(here: Path):
    """Neither can be predicted, or needs to be."""
    dates = hourly(range(100)).splitlines()
    rows = [f"{row},{line},7" for row, line in enumerate(dates[1:])]
    assert detected("\n".join([f"row,{dates[0]},one", *rows]))["columns"] == ["load", "temp"]


@pytest.mark.parametrize(
    ("lost", "gaps"),
    [({50}, "interpolate"), ({50, 51, 52, 90}, "interpolate"), (set(range(50, 60)), "split"), (set(range(100, 900, 80)), "interpolate")],
)  # fmt: skip
def test_missing_rows(here: Path, lost: set[int], gaps: str):
    """Few and short gaps are interpolated."""
    assert detected(hourly(hour for hour in range(1000) if hour not in lost))["gaps"] == gaps


@pytest.mark.parametrize(("cells", "missing"), [(2, "interpolate"), (20, "split")])
def test_missing_cells(here: Path, cells: int, missing: str):
    lines = hourly(range(500)).splitlines()
    lines[100 : 100 + cells] = [line.rpartition(",")[0] + "," for line in lines[100 : 100 + cells]]
    found = detected("\n".join(lines))
    assert found["missing"] == missing
    assert "gaps" not in found


FILES: dict[str, str | np.ndarray] = {
    "hourly.csv": hourly(hour for hour in range(1000) if hour != 300),
    "two.npy": NOISE,
    "short.csv": "\n".join(f"{np.sin(row / 2):.3f}" for row in range(60)),
    "runs.csv": "run,x\n" + "".join(f"{'abc'[row // 80]},{np.sin(row)}\n" for row in range(230)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_template_fits_its_file(here: Path, name: str):
    """It can be trained as it stands, from any folder, and explains all that it sets."""
    content, target = FILES[name], Path("configs/new.yaml")
    target.parent.mkdir()
    np.save(name, content) if isinstance(content, np.ndarray) else Path(name).write_text(content)
    template = make_template(Path(name).absolute(), target.absolute(), inputs=(), schema="s.json")
    target.write_text(template.text)
    experiment = prepare(load_config(target))
    assert experiment.config.refine is not None
    assert experiment.config.refine.stages
    settings = [line for line in template.text.splitlines() if ": " in line and line[0] != "#"]
    assert [line.strip() for line in settings if "  # " not in line] == ["kind: file"]


def test_what_a_template_reports(here: Path):
    """Recordings, period, noise and what is missing, in words and in the comments."""
    period = [
        f"{hour},{np.sin(hour * np.pi / 12)}" for hour in range(1000) if hour not in (400, 401)
    ]
    Path("a.csv").write_text("\n".join(["t,x", *period]))
    here = Path.cwd()
    template = make_template(here / "a.csv", here / "a.yaml", inputs=(), schema="s.json")
    assert template.findings[0] == "a.csv: 1000 samples of x, one every 1"
    assert template.findings[1].startswith(
        "a regular oscillation, period 24 samples; noise at most "
    )
    assert template.findings[2:] == [
        "cells are separated by comma",
        "2 of 998 rows are missing, at most 2 in a row: few and short: interpolate",
    ]
    for line in (*template.findings, "", "  sinernn train a.yaml"):
        assert f"# {line}".rstrip() in template.text.splitlines()
    assert "  period: 24.0  # " in template.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n".join("12" * 15), "data.csv: has 30 samples in a row, and a config needs at least 40"),
        ("a,b\n" + "1,x\n" * 50, "data.csv: has no column of numbers to predict: a (constant), b (text such as 'x')"),
        ("a\n" + "x\n" * 50, "data.csv: the file has no column of numbers to predict, only a"),
        ("t,x\n0,1\n1,3\n2.5,2\n3.5,4\n", "data.csv:4: t: uneven step: 1.5 after the row before"),
    ],
)  # fmt: skip
def test_a_file_without_a_template(here: Path, text: str, message: str):
    Path("data.csv").write_text(text)
    with pytest.raises((UsageError, ConfigError)) as error:
        make_template(Path("data.csv").absolute(), Path("a.yaml").absolute(), inputs=(), schema="")
    assert str(error.value).startswith(message)


BUSINESS_DAYS = [hour for hour in range(900) if hour % 7 < 5]
"""Of daily rows; here hours, for brevity."""


def test_too_many_missing_rows(here: Path):
    """None of what could be done about them suits: each way out that is named works."""
    text = hourly(BUSINESS_DAYS)
    with pytest.raises(UsageError, match=r"^data\.csv: 256 of 644 rows .*; add signal\.gaps=inter"):
        detected(text)
    assert detected(text, gaps="interpolate")["gaps"] == "interpolate"
    assert detected(text, time_column=None) == {"time_column": None, "columns": ["load", "temp"]}


def test_too_many_missing_cells(here: Path):
    lines = hourly(range(600)).splitlines()
    lines[1::3] = [line.rpartition(",")[0] + "," for line in lines[1::3]]
    with pytest.raises(
        UsageError, match=r"200 of 600 cells .*add signal\.missing=interpolate, or "
    ):
        detected("\n".join(lines))
    assert detected("\n".join(lines), missing="interpolate")["missing"] == "interpolate"
    assert "missing" not in detected("\n".join(lines), columns=["load"])


@pytest.mark.parametrize("spelling", ["%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%d 1:%M", "%H:%M"])
def test_dates_in_another_spelling(here: Path, spelling: str):
    """They are not dropped in silence."""
    days = (f"{START + timedelta(days=day):{spelling}},{NOISE[day, 0]}" for day in range(50))
    text = "\n".join(["when,x", *days])
    message = r"^data\.csv:2: when: must be a date .* or add signal\.time_column=null to count rows"
    with pytest.raises(UsageError, match=message):
        detected(text)
    assert detected(text, time_column=None)["columns"] == ["x"]


@pytest.mark.parametrize("name", ["ts", "time_ms", "Time (s)"])
def test_times_with_jitter(here: Path, name: str):
    """They are no channel, and the message proposes a step that works."""
    times = 100 * np.arange(200) + 5 * np.sin(np.arange(200))
    text = "\n".join([f"{name},x", *(f"{at:.0f},{at % 7:.3f}" for at in times)])
    with pytest.raises(ConfigError, match=r"uneven step: .* or set signal\.time_step=") as error:
        detected(text)
    step = float(str(error.value).partition("time_step=")[2].split()[0])
    assert detected(text, time_step=step)["time_column"] == name


def test_given_settings(here: Path):
    """They are kept and written, and those of other sections are refused."""
    np.save("a.npy", NOISE)
    data, target = Path("a.npy").absolute(), Path("a.yaml").absolute()

    def signal(*overrides: str) -> File:
        template = make_template(data, target, inputs=(), schema="s.json", overrides=overrides)
        target.write_text(template.text)
        return load_config(target).signal

    found = signal("signal.downsample={factor: 2}", "signal.units={c1: V}", "signal.columns=[c1]")
    assert found.downsample is not None
    assert (found.downsample.factor, found.units, found.columns) == (2, {"c1": "V"}, ("c1",))
    with pytest.raises(UsageError, match=r"^seed=1: only settings of the signal .* sinernn train"):
        signal("seed=1")
    with pytest.raises(UsageError, match=r"^signal: the data file is a\.npy; name one file$"):
        signal("signal.path=b.npy")


def test_columns_that_are_not_used(here: Path):
    """Each is reported with the reason, and so is a step that is not known."""
    rows = (f"{NOISE[row, 0]};n{row};7" for row in range(50))
    Path("a.csv").write_text("\n".join(["x;note;one", *rows]))
    template = make_template(
        Path("a.csv").absolute(), Path("a.yaml").absolute(), inputs=(), schema="s.json"
    )
    assert template.findings[2:] == [
        "cells are separated by semicolon",
        "not used: note (text such as 'n0'), one (constant)",
        "there is no column of times: the step is taken as 1 (signal.time_step)",
    ]


def test_an_array_to_transpose(here: Path):
    np.save("a.npy", NOISE.T)
    with pytest.raises(UsageError, match=r"^a\.npy: has 1000 columns of 2 rows, .*; transpose it$"):
        detect(File(kind="file", path=str(Path("a.npy").absolute())))

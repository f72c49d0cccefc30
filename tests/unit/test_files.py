"""Series from files: what is read, and the place and wording of every message."""

import os
import re
import struct
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from sinernn.config import check, load_config
from sinernn.data import text_files
from sinernn.data.files import COPIES, File
from sinernn.data.frames import to_columns, to_npz
from sinernn.errors import ConfigError


def file(path: str = "a.csv", **settings: object) -> File:
    return load_config({"signal": {"kind": "file", "path": path, **settings}}).signal


def csv(*rows: str, path: str = "a.csv") -> None:
    Path(path).write_bytes("".join(f"{row}\n" for row in rows).encode())


def samples(**settings: object) -> list[list[float]]:
    return file(**settings).read().observed.tolist()


def test_columns_of_a_csv_file(here: Path):
    """Every column of numbers is predicted, unless it has another role."""
    csv("day,flow,valve,note", "1,2.5,0,x", "2,3.5,1,y")
    series = file(time_column="day", inputs=["valve"], units={"flow": "l/s"}).read()
    assert series.observed.tolist() == [[2.5, 0], [3.5, 1]]
    assert series.time.tolist() == [1, 2]
    assert [each.name for each in series.extent.outputs] == ["flow"]
    assert series.extent.outputs[0].unit == "l/s"
    assert [each.name for each in series.extent.inputs] == ["valve"]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("a;b\n1;2\n3;4\n", {}),
        ("a\tb\r\n1\t2\r\n3\t4\r\n", {}),
        ("\ufeffa,b\n\n1,2\n3,4\n\n", {}),
        ('"a","b"\n"1","2"\n 3 , 4\n', {}),
        ("a;b\n1,0;2,0\n3,0;4,0\n", {"decimal": "comma"}),
        ("1,2\n3,4", {}),
        ("1,2\n3,4", {"header": False, "columns": ["c1", "c2"]}),
        ("a,b\r1,2\r3,4\r", {"delimiter": "comma"}),
    ],
)
def test_dialects_of_csv(here: Path, text: str, settings: dict[str, object]):
    Path("a.csv").write_bytes(text.encode())
    assert samples(**settings) == [[1, 2], [3, 4]]


def test_npy_file(here: Path):
    np.save("a.npy", np.arange(6).reshape(3, 2))
    series = file("a.npy", time_step=0.5).read()
    assert series.observed.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert series.time.tolist() == [0, 0.5, 1]


def lengths(**settings: object) -> tuple[int, ...]:
    return file(**settings).extent().lengths


GAP = ("t,x", "0,1", "1,2", "4,8", "5,7", "6,9")


def test_gap_splits_a_recording(here: Path):
    csv(*GAP)
    series = file(time_column="t", gaps="split").read()
    assert series.extent.lengths == (2, 3)
    assert series.time.tolist() == [0, 1, 4, 5, 6]


def test_gap_is_interpolated(here: Path):
    csv(*GAP)
    series = file(time_column="t", gaps="interpolate").read()
    assert series.observed.ravel().tolist() == [1, 2, 4, 6, 8, 7, 9]
    assert series.time.tolist() == list(range(7))


CELLS = ("x,y", ",0", "1,0", "2,1", ",2", "4,", "5,4", "6,5")


def test_missing_cells_split_a_recording(here: Path):
    """Rows without all their cells are left out."""
    csv(*CELLS)
    series = file(missing="split").read()
    assert series.extent.lengths == (2, 2)
    assert series.observed.tolist() == [[1, 0], [2, 1], [5, 4], [6, 5]]


def test_missing_cells_are_interpolated(here: Path):
    """Between the cells around them, column by column; none before the first."""
    csv(*CELLS)
    assert samples(missing="interpolate") == [[1, 0], [2, 1], [3, 2], [4, 3], [5, 4], [6, 5]]


def test_gap_between_missing_cells(here: Path):
    """A gap may split a recording whose missing cells are interpolated."""
    csv("t,x", "0,1", "1,", "2,3", "9,5", "10,6")
    series = file(time_column="t", gaps="split", missing="interpolate").read()
    assert series.extent.lengths == (3, 2)
    assert series.observed.ravel().tolist() == [1, 2, 3, 5, 6]


def test_recordings_of_a_segment_column(here: Path):
    """Without a time column, time begins at 0 in each of them."""
    csv("run,x", "a,1", "a,2", "b,3", "b,4", "b,5")
    series = file(segment_column="run", time_step=0.5).read()
    assert series.extent.lengths == (2, 3)
    assert series.time.tolist() == [0, 0.5, 0, 0.5, 1]


@pytest.mark.parametrize(
    ("method", "values", "time"), [("pick", [0, 3, 6], [0, 3, 6]), ("mean", [1, 4], [1, 4])]
)
def test_downsampling(here: Path, method: str, values: list[float], time: list[float]):
    np.save("a.npy", np.arange(7))
    series = file("a.npy", downsample={"factor": 3, "method": method}).read()
    assert (series.observed.ravel().tolist(), series.time.tolist()) == (values, time)
    assert series.extent.time_step == 3


@pytest.mark.parametrize(
    ("dates", "step", "unit", "start"),
    [
        (["2024-01-01", "2024-01-08", "2024-01-15"], 7, "d", (2024, 1, 1)),
        (["2024-01-31T23:00", "2024-02-01T00:00", "2024-02-01T01:00"], 1, "h", (2024, 1, 31, 23)),
        (["2024/01/01 00:00", "2024/01/01 00:15", "2024/01/01 00:30"], 15, "min", (2024, 1, 1)),
        (["2024-01-01T00:00:00.0", "2024-01-01T00:00:00.5"], 0.5, "s", (2024, 1, 1)),
        (["2023-12-01", "2024-01-01", "2024-02-01", "2024-03-01"], 1, "month", (2023, 12, 1)),
        (["2023-12", "2024-03", "2024-06"], 3, "month", (2023, 12, 1)),
        (["2023-01-01", "2024-01-01", "2025-01-01"], 1, "year", (2023, 1, 1)),
        (["2024-01-31", "2024-02-29", "2024-03-31"], 1, "month", (2024, 1, 31)),
        (["2024-01-01T01:00+01:00", "2024-01-01T02:00+01:00"], 1, "h", (2024, 1, 1)),
    ],
)
def test_dates(here: Path, dates: list[str], step: float, unit: str, start: tuple[int, ...]):
    csv("when,x", *(f"{date},{at}" for at, date in enumerate(dates)))
    series = file(time_column="when").read()
    extent = series.extent
    assert (extent.time_step, extent.time_unit) == (step, unit)
    assert extent.start == datetime(*start, tzinfo=UTC if "+" in dates[0] else None)
    assert series.time.tolist() == [step * at for at in range(len(dates))]


def test_local_dates_at_the_change_to_summer_time(here: Path):
    """With their time zone they are even."""
    csv(
        "when,x", "2024-03-31T01:00+01:00,1", "2024-03-31T03:00+02:00,2", "2024-03-31T04:00+02:00,3"
    )
    assert lengths(time_column="when") == (3,)


def test_missing_month(here: Path):
    csv("when,x", "2023-11-01,1", "2023-12-01,2", "2024-02-01,4")
    assert samples(time_column="when", gaps="interpolate") == [[1], [2], [3], [4]]


def test_times_with_few_digits(here: Path):
    """A step of 10/49 written with seven digits is even, and known to more of them."""
    csv("t,x", *(f"{at * 10 / 49:.7f},{at}" for at in range(1000)))
    assert file(time_column="t").extent().time_step == pytest.approx(10 / 49, rel=1e-9)


def test_jitter_around_a_given_step(here: Path):
    csv("t,x", "0,1", "1.04,2", "1.97,4", "3,8")
    assert file(time_column="t", time_step=1.0).read().time.tolist() == [0, 1, 2, 3]
    with pytest.raises(
        ConfigError,
        match=r"^a\.csv:3: t: uneven step: 1\.04 .* or set signal\.time_step=1 to allow a jitter of 10 %$",
    ):
        file(time_column="t").read()


def test_jitter_of_dates(here: Path):
    """Thirds of a second in milliseconds: the message proposes a step, in seconds, that works."""
    start = datetime(2024, 1, 1)
    dates = [start + timedelta(milliseconds=round(1000 * at / 3)) for at in range(30)]
    csv("when,x", *(f"{date.isoformat()},{at % 7}" for at, date in enumerate(dates)))
    with pytest.raises(
        ConfigError, match=r"uneven step: .*, or set signal\.time_step=0\.333"
    ) as error:
        file(time_column="when").read()
    step = float(str(error.value).partition("time_step=")[2].split()[0])
    extent = file(time_column="when", time_step=step).extent()
    assert (extent.time_step, extent.time_unit, extent.start) == (step, "s", start)


@pytest.mark.parametrize("first", ["2024-02-29", "2024-04-30", "2024-05-31"])
def test_month_ends_are_continued(here: Path, first: str):
    """The last day follows, whatever that of the first month was."""
    ends = np.arange(first[:7], "2025-01", dtype="M8[M]") + 1
    csv("when,x", *(f"{day},{at % 7}" for at, day in enumerate(ends.astype("M8[D]") - 1)))
    series = file(time_column="when").read()
    assert series.extent.written(series.time[:1]) == [first]
    ahead = series.time[-1] + np.arange(1, 5)
    assert series.extent.written(ahead) == ["2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30"]


def wav(code: int, bits: int, samples: np.ndarray) -> bytes:
    header = struct.pack("<HHIIHH", code, 2, 8000, 8000 * 2 * bits // 8, 2 * bits // 8, bits)
    if code == 0xFFFE:
        header += struct.pack("<HHIH", 22, bits, 3, 1) + bytes(14)
    data = samples.tobytes()
    chunks = (
        b"WAVE"
        + b"LIST"
        + struct.pack("<I", 3)
        + b"abc\0"
        + b"fmt "
        + struct.pack("<I", len(header))
    )
    return b"RIFF" + bytes(4) + chunks + header + b"data" + struct.pack("<I", len(data)) + data


@pytest.mark.parametrize(
    ("code", "bits", "samples"),
    [
        (1, 8, np.array([[192, 128], [0, 64]], "u1")),
        (1, 16, np.array([[2**14, 0], [-(2**15), -(2**14)]], "<i2")),
        (1, 24, np.array([[0, 0, 64, 0, 0, 0], [0, 0, 128, 0, 0, 192]], "u1")),
        (1, 32, np.array([[2**30, 0], [-(2**31), -(2**30)]], "<i4")),
        (0xFFFE, 16, np.array([[2**14, 0], [-(2**15), -(2**14)]], "<i2")),
        (3, 32, np.array([[0.5, 0], [-1, -0.5]], "<f4")),
        (3, 64, np.array([[0.5, 0], [-1, -0.5]], "<f8")),
    ],
)
def test_wav_file(here: Path, code: int, bits: int, samples: np.ndarray):
    Path("a.wav").write_bytes(wav(code, bits, samples))
    series = file("a.wav").read()
    assert series.observed.tolist() == [[0.5, 0], [-1, -0.5]]
    assert (series.extent.time_step, series.extent.time_unit) == (1 / 8000, "s")


def test_npz_file(here: Path):
    """Each array is a column, or one of them has all."""
    when = np.datetime64("2024-01-01") + np.arange(3)
    np.savez("a.npz", x=np.arange(3), when=when, run=np.array(["a", "a", "a"]))
    assert samples(path="a.npz", time_column="when", segment_column="run") == [[0], [1], [2]]
    np.savez("a.npz", a=np.arange(6.0).reshape(3, 2), b=np.eye(3))
    assert samples(path="a.npz", array="a") == [[0, 1], [2, 3], [4, 5]]


def test_parquet_file(here: Path):
    duckdb = pytest.importorskip("duckdb")
    rows = "(TIMESTAMP '2024-01-01', 1, 0.5, 'a'), (TIMESTAMP '2024-01-02', NULL, 1.5, 'b'), (TIMESTAMP '2024-01-03', 3, 2.5, 'c')"
    names = "SELECT col0 AS day, col1 AS n, col2 AS x, col3 AS s FROM"
    duckdb.sql(f"COPY ({names} (VALUES {rows})) TO '[a*].parquet'")
    series = file("[a*].parquet", time_column="day", missing="interpolate").read()
    assert series.observed.tolist() == [[1, 0.5], [2, 1.5], [3, 2.5]]
    assert series.extent.time_unit == "d"
    Path("b.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ConfigError, match=r"^b\.parquet: is damaged: "):
        file("b.parquet").read()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("'5000000-01-01'::DATE", "is damaged: Conversion Error: Could not convert DATE"),
        ("'infinity'::TIMESTAMP", "t: must be a date of the years 1 to 9999, got the year 294247"),
        ("['2024-01-01'::DATE]", "t: contains Python objects, which are never read"),
        ("[1.5::DECIMAL(5, 2)]", "t: contains Python objects, which are never read"),
    ],
)
def test_odd_dates_in_parquet(here: Path, kind: str, message: str):
    """Dates that are too late, and lists, get one message."""
    duckdb = pytest.importorskip("duckdb")
    duckdb.sql(f"COPY (SELECT {kind} AS t, n AS x FROM range(9) AS rows(n)) TO 'a.parquet'")
    with pytest.raises(ConfigError, match=re.escape(message)):
        file("a.parquet", time_column="t").read()


def test_path_of_a_data_file(here: Path):
    """It is relative to the config's file; to the working folder in an override or a mapping."""
    Path("sub").mkdir()
    Path("sub/a.yaml").write_text("signal: {kind: file, path: data/a.csv}", encoding="utf-8")
    assert load_config("sub/a.yaml").signal.path == str(here / "sub" / "data" / "a.csv")
    assert load_config("sub/a.yaml", ["signal.path=b.csv"]).signal.path == str(here / "b.csv")
    assert file("../a.csv").path == str(here.parent / "a.csv")


def test_problems_of_columns_have_their_place(here: Path):
    csv("flow,valve", "1,2", "2,3")
    text = "signal: {kind: file, path: a.csv, inputs: [valv]}"
    Path("a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        check(load_config("a.yaml"))
    assert str(caught.value) == (
        "a.yaml:1:43: signal.inputs: a.csv has no column 'valv'; did you mean valve?"
    )


def test_data_file_for_a_config(here: Path):
    csv("x", "1", path="my data.csv")
    with pytest.raises(ConfigError) as caught:
        load_config("my data.csv")
    assert str(caught.value) == (
        "my data.csv: is a data file; write a config for it with: sinernn init 'my data.csv'"
    )


def test_reading_is_bounded_by_the_blocks(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Blocks of any size give the same series: lines and delimiters may fall across them."""
    csv("a;b", *(f"{at},5;{-at}" for at in range(300)), "", "7,25;8")
    whole = samples(decimal="comma")
    monkeypatch.setattr(text_files, "BLOCK", 17)
    os.utime("a.csv", (0, 0))  # else what was read already is returned
    assert samples(decimal="comma") == whole
    assert len(whole) == 301


def test_masked_arrays(here: Path):
    """What is masked is missing, in an array of its own or as a column."""
    masked = np.ma.array([[1, 2], [999, 3]], mask=[[0, 0], [1, 0]])
    np.testing.assert_equal(to_columns(masked), {"c1": [1, np.nan], "c2": [2, 3]})
    dates = np.ma.array(["2024-01-01", "2024-01-02"], "M8[D]", mask=[0, 1])
    columns = to_columns({"x": masked[:, 0], "when": dates})
    np.testing.assert_equal(columns["x"], [1, np.nan])
    assert np.isnat(columns["when"]).tolist() == [False, True]


def test_dates_with_a_time_zone_in_a_mapping(here: Path):
    """They are read as in text files: converted to UTC, and forecasts have a zone, too."""
    zone = timezone(timedelta(hours=1))
    when = [datetime(2024, 1, 1, hour, tzinfo=zone) for hour in range(3)]
    Path("a.npz").write_bytes(to_npz(to_columns({"when": when, "x": [1, 2, 4]})))
    extent = file("a.npz", time_column="when").extent()
    assert (extent.start, extent.time_unit) == (when[0], "h")
    assert extent.start.tzinfo == UTC


def test_a_single_array_of_an_npz_file(here: Path):
    """Its column is called as the array, also if the config names it."""
    np.savez("a.npz", temperature=np.arange(3))
    for settings in ({}, {"array": "temperature"}):
        assert file("a.npz", **settings).extent().names == ("temperature",)


def test_a_channel_called_time(here: Path):
    """The times of a forecast do not take its place."""
    csv("time,x", "1,2", "5,3", "2,4")
    assert file(columns=["time", "x"]).extent().time_name == "time of sample"
    assert file(columns=["x"]).extent().time_name == "time"


def test_a_copy_is_read_instead(here: Path, monkeypatch: pytest.MonkeyPatch):
    """The config keeps the path of a file that only another machine has."""
    csv("x", "1", "2", path="copy.csv")
    with monkeypatch.context() as patch:
        patch.setitem(COPIES, str(here / "there.csv"), Path("copy.csv"))
        assert samples(path="there.csv") == [[1], [2]]
    with pytest.raises(ConfigError, match=r"there.csv: no such file"):
        samples(path="there.csv")

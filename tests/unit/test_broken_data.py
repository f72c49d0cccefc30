"""Broken data files: the exact place and wording of every message."""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinernn.config import check, load_config
from sinernn.errors import ConfigError


def message(path: str, **settings: Any) -> str:
    """The message for a data file, with settings of its signal, and everything else small."""
    config = {
        "signal": {"kind": "file", "path": path, **settings},
        "windows": {"length": 1},
        "training": {"evaluate_every": None},
        "evaluation": {"warmup": 1, "horizon": 1, "origins": 1},
        "split": {"train": 0.5, "validation": 0},
    }
    with pytest.raises(ConfigError) as caught:
        check(load_config(config))
    return str(caught.value)


def npy(array: Any, *, shape: str = "", cut: int = 0) -> bytes:
    """An npy file, perhaps with another shape in its header or without its last bytes."""
    file = io.BytesIO()
    np.save(file, np.asarray(array))
    data = file.getvalue()
    if shape:
        old = f"{np.asarray(array).shape}".encode()
        data = data.replace(
            old + b", }" + b" " * (len(shape) - len(old)), shape.encode() + b", }", 1
        )
    return data[: len(data) - cut]


def npz(**arrays: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def wav(
    samples: bytes = bytes(8), *, code: int = 1, channels: int = 1, bits: int = 16, rate: int = 100,
    frame: int = 2, size: int | None = None, form: bytes = b"WAVE",
) -> bytes:  # fmt: skip
    header = struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits)
    data = struct.pack("<4sI", b"data", len(samples) if size is None else size) + samples
    chunks = form + struct.pack("<4sI", b"fmt ", len(header)) + header + data
    return struct.pack("<4sI", b"RIFF", len(chunks)) + chunks


BOMB = npy(np.zeros(1), shape="(2000000000,)")
TIMES = dict(time_column="t")
CASES: list[tuple[str, str | bytes, dict[str, Any], str]] = [
    # The file itself.
    ("a.csv", "", {},
     'a.csv: is empty'),
    ("a.csv", "\n \n", {},
     'a.csv: is empty'),
    ("a.csv", "x\n", {},
     'a.csv:1: has a header but no rows'),
    ("a.csv", "x,y\n\n\n", {},
     'a.csv:1: has a header but no rows'),
    ("a.csv", "x\n1\n", {},
     'a.csv: has fewer than 2 rows of data, got 1'),
    ("a.xlsx", "x\n1\n2\n", {},
     'config: signal.path: a.xlsx: data files end in .csv, .tsv, .txt, .dat, .npy, .npz, .wav, .parquet; rename it'),
    ("a.csv.gz", "x\n1\n2\n", {},
     'config: signal.path: a.csv.gz: data files end in .csv, .tsv, .txt, .dat, .npy, .npz, .wav, .parquet; decompress it'),
    ("a.csv", "x\n1\n2\n".encode("utf-16"), {},
     'a.csv: is UTF-16 text; save the file as UTF-8'),
    ("a.csv", b"t,temp \xb0C\n1,2\n2,3\n", {},
     'a.csv:1: invalid UTF-8 byte 0xb0; save the file as UTF-8'),
    ("a.csv", b"x\n1\n2\n\xff\n", {},
     'a.csv:4: invalid UTF-8 byte 0xff; save the file as UTF-8'),
    ("a.csv", b"x\n1\n\0\n", {},
     "a.csv:3: x: must be a number, got '\\x00'"),
    ("a.csv", "x" * 1_100_000, {},
     'a.csv:1: a line of more than 1,000,000 bytes; is this a text file?'),
    ("a.csv", "1," * 1200 + "1\n", {},
     'a.csv: has 1201 columns, at most 1000 are allowed'),
    # Rows and cells.
    ("a.csv", "x\n1\ntwo\n3\n", {},
     "a.csv:3: x: must be a number, got 'two'"),
    ("a.csv", "x,y\n1,2\nNaN?,4\n5,six\n", {},
     "a.csv:3: x: must be a number, got 'NaN?'\na.csv:4: y: must be a number, got 'six'"),
    ("a.csv", "x\n1\n1_0\n", {},
     "a.csv:3: x: must be a number, got '1_0'"),
    ("a.csv", "x\n1\n\u0663\n", {},
     "a.csv:3: x: must be a number, got '٣'"),
    ("a.csv", "x\n1\n0x10\n", {},
     "a.csv:3: x: must be a number, got '0x10'"),
    ("a.csv", "x;y\n1.5;2\n1,5;3\n", {},
     "a.csv:3: x: must be a number, got '1,5'; set signal.decimal=comma"),
    ("a.csv", "x;y\n1,5;2\n1.5;3\n", {"decimal": "comma"},
     "a.csv:3: x: must be a number, got '1.5'; set signal.decimal=point"),
    ("a.csv", "x;y\n1,5;2\n1.234,5;3\n", {"decimal": "comma"},
     "a.csv:3: x: must be a number, got '1.234,5'; remove the separators of thousands"),
    ("a.csv", 'x;y\n1.5;2\n10,037.8;3\n', {},
     "a.csv:3: x: must be a number, got '10,037.8'; remove the separators of thousands"),
    ("a.csv", "x\n1\ninf\n3\n-1e999\n", {},
     'a.csv:3: x: must be finite, got inf; leave the cell empty if it is missing\na.csv:5: x: must be finite, got -inf; leave the cell empty if it is missing'),
    ("a.csv", "x,y\n1,2\n,3\nNA,4\n3,4\n", {},
     'a.csv:3: x: is missing (the first of 2 such cells); set signal.missing to split or interpolate'),
    ("a.csv", "x,y\n1,2\n1,3\n", {},
     'a.csv: x: is constant (1); leave it out of signal.columns or signal.inputs'),
    ("a.csv", "x,y\n1,2\n3,2\n", {"columns": ["x"], "inputs": ["y"]},
     'a.csv: y: is constant (2); leave it out of signal.columns or signal.inputs'),
    ("a.csv", "x,y\n1,2\n3\n4,5,6\n", {},
     'a.csv:3: must have 2 cells like the first row, got 1\na.csv:4: must have 2 cells like the first row, got 3'),
    ("a.csv", "x,y,z\n1,2,3\n4,5,6,7\n8,9\n", {"columns": ["x"]},
     'a.csv:3: must have 3 cells like the first row, got 4\na.csv:4: must have 3 cells like the first row, got 2'),
    ("a.csv", "x,y\n" + "1,2,\n" * 60, {},
     'a.csv:1: must have 3 cells like all rows below it, got 2; remove the comma at the end of each row'),
    ("a.csv", "x\n1,2\n3,4\n", {},
     'a.csv:1: must have 2 cells like all rows below it, got 1; name each column once'),
    ("a.csv", "# made by logger\nx,y\n1,2\n3,4\n", {},
     'a.csv:1: must have 2 cells like all rows below it, got 1; remove comments above the header'),
    ("a.csv", "sep=;\nx;y\n1;2\n3;4\n", {},
     'a.csv:1: is a note to spreadsheets, not a header; remove this line'),
    ("a.csv", "x y\n1 2\n3 4\n", {},
     'a.csv:1: cells are separated by spaces; use comma, semicolon or tab'),
    ("a.csv", 'x,y\n1,2\n"3,4\n', {},
     'a.csv:3: a quote is not closed in its line; close it, or remove it'),
    ("a.csv", "x,x\n1,2\n3,4\n", {},
     'a.csv:1: x: 2 columns have this name; rename one'),
    # Columns and settings.
    ("a.csv", "name\nann\nbob\n", {},
     'config: signal.columns: the file has no column of numbers to predict, only name (separated by comma)'),
    ("a.csv", "flow,valve\n1,2\n2,3\n", {"columns": ["flwo"]},
     "config: signal.columns: a.csv has no column 'flwo'; did you mean flow?"),
    ("a.csv", "flow,valve\n1,2\n2,3\n", {"inputs": ["q"]},
     "config: signal.inputs: a.csv has no column 'q'; the file has flow, valve (separated by comma)"),
    ("a.csv", "flow,valve\n1,2\n2,3\n", {"time_column": "time"},
     "config: signal.time_column: a.csv has no column 'time'; the file has flow, valve (separated by comma)"),
    ("a.csv", "flow,valve\n1,2\n2,3\n", {"segment_column": "vale"},
     "config: signal.segment_column: a.csv has no column 'vale'; did you mean valve?"),
    ("a.csv", "flow,valve\n1,2\n2,3\n", {"units": {"flo": "l"}},
     "config: signal.units: a.csv has no column 'flo'; did you mean flow?"),
    ("a.csv", "flow,valve\n1,2\n2,3\n", {"columns": ["flow"], "inputs": ["flow"]},
     "config: signal.inputs: 'flow' is already one of signal.columns; keep one of them"),
    ("a.csv", "flow,valve\n1,2\n2,3\n", {"columns": ["flow", "flow"]},
     "config: signal.columns: 'flow' is already one of signal.columns; keep one of them"),
    ("a.csv", "x,n\n1,a\n2,b\n", {"columns": ["n"]},
     "a.csv:2: n: must be a number, got 'a'\na.csv:3: n: must be a number, got 'b'"),
    ("a.csv", "x\n1\n2\n", {"delimiter": "comma", "decimal": "comma"},
     'config: signal.delimiter: cells and decimals cannot both be separated by commas; use semicolon'),
    ("a.csv", "x\n1\n2\n", {"array": "a"},
     'config: signal.array: applies to npz files, not to .csv; use null'),
    ("a.csv", "x\n1\n2\n", {"gaps": "split"},
     'config: signal.gaps: without a time column no row is known to be missing, got split; set signal.time_column'),
    # Times.
    ("a.csv", "t,x\n1,1\n3,2\n2,3\n4,4\n", TIMES,
     'a.csv:4: t: is earlier than the row before; sort the rows, and keep one of each time'),
    ("a.csv", "t,x\n1,1\n2,2\n2,3\n3,4\n", TIMES,
     'a.csv:4: t: repeats the time of the row before; sort the rows, and keep one of each time'),
    ("a.csv", "t,x\n1,1\n2,2\n3.5,3\n4.5,4\n", TIMES,
     'a.csv:4: t: uneven step: 1.5 after the row before, and 1 in most rows; 1 of 3 steps (33.3 %) differ; resample the series to even steps'),
    ("a.csv", "t,x\n" + "".join(f"{1.05 * at:.2f},{at % 7}\n" for at in range(20)), {**TIMES, "time_step": 1.0},
     'a.csv:7: t: the times drift away from even steps of 1; resample the series to even steps, or set signal.time_step=1.05 to allow a jitter of 10 %'),
    ("a.csv", "t,x\n2024-10-27T01:00,1\n2024-10-27T02:00,2\n2024-10-27T02:00,3\n", TIMES,
     'a.csv:4: t: repeats the time of the row before; sort the rows, and keep one of each time; local times that repeat an hour in autumn need their time zone, as +01:00'),
    ("a.csv", "t,x\n1,1\n2,2\n5,3\n6,4\n9,5\n", TIMES,
     'a.csv:4: t: 2 rows are missing before this one, and 2 more in 1 other gaps; set signal.gaps to split or interpolate'),
    ("a.csv", "t,x\n1,1\n2,two\n3,inf\n4,\n6,6\n5,7\n", TIMES,
     "a.csv:3: x: must be a number, got 'two'\na.csv:4: x: must be finite, got inf; leave the cell empty if it is missing\na.csv:5: x: is missing; set signal.missing to split or interpolate\na.csv:7: t: is earlier than the row before; sort the rows, and keep one of each time"),
    ("a.csv", "t,x\n1,1\n,2\n3,3\n", TIMES,
     'a.csv:3: t: has no time; remove the row'),
    ("a.csv", "t,x\n2024-01-01,1\n2024-01-32,2\n", TIMES,
     "a.csv:3: t: must be a date such as 2024-03-31 or 2024-03-31T02:00, got '2024-01-32'"),
    ("a.csv", "t,x\n01/02/2024,1\n02/02/2024,2\n", TIMES,
     "a.csv:2: t: must be a date such as 2024-03-31 or 2024-03-31T02:00, got '01/02/2024'\na.csv:3: t: must be a date such as 2024-03-31 or 2024-03-31T02:00, got '02/02/2024'"),
    ("a.csv", "t,x\n0001-01-01T00:00+01:00,1\n2024-01-02,2\n", TIMES,
     "a.csv:2: t: must be a date such as 2024-03-31 or 2024-03-31T02:00, got '0001-01-01T00:00+01:00'"),
    ("a.csv", "t,x\n2024-01-01,1\n2024-01-02,2\n", {**TIMES, "time_unit": "d"},
     'config: signal.time_unit: the dates contain it; remove it'),
    ("a.csv", "t,x\n2024-03-31T01:00,1\n2024-03-31T03:00,2\n2024-03-31T04:00,3\n2024-03-31T05:00,4\n", TIMES,
     'a.csv:3: t: 1 row is missing before this one; set signal.gaps to split or interpolate'),
    ("a.csv", "r,x\na,1\nb,2\na,3\n", {"segment_column": "r"},
     "a.csv:4: r: 'a' continues after another recording; sort the rows"),
    ("a.csv", "x,y\n1,1\n,2\n3,\n", {"missing": "split"},
     'a.csv: leaves fewer than 2 samples in a row; interpolate instead of split'),
    # Arrays.
    ("a.npy", npy([1.0, 2.0])[:40], {},
     'a.npy: is damaged: EOF: reading array header, expected 118 bytes got 30'),
    ("a.npy", npy([1.0, 2.0], cut=4), {},
     'a.npy: is damaged: its header describes 144 bytes, and it has 140'),
    ("a.npy", npy(np.zeros(1), shape="(9000000000000,)"), {},
     'a.npy: is damaged: its header describes 72000000000128 bytes, and it has 136'),
    ("a.npy", npy(np.array([1, None])), {},
     'a.npy: contains Python objects, which are never read; save numbers'),
    ("a.npy", npy([1j, 2j]), {},
     'a.npy: contains complex numbers; save real and imaginary part as two columns'),
    ("a.npy", npy(["a", "b"]), {},
     'a.npy: contains no numbers; save some'),
    ("a.npy", npy(np.zeros((2, 3, 4))), {},
     'a.npy: must have one or two dimensions (rows, columns), got the shape (2, 3, 4); reshape it'),
    ("a.npy", npy(np.zeros((2, 5000))), {},
     'a.npy: has 5000 columns of 2 rows, at most 1000 columns are allowed; transpose it'),
    ("a.npy", npy([1.0, np.inf]), {},
     'a.npy:2: c1: must be finite, got inf; leave the cell empty if it is missing'),
    ("a.npy", "x\n1\n", {},
     'a.npy: is damaged: EOF: reading magic string, expected 8 bytes got 4'),
    ("a.npy", npy([1.0, 2.0]), {"header": True},
     'config: signal.header: applies to text files, not to .npy; remove it'),
    ("a.npz", "PK\x03\x04", {},
     'a.npz: is damaged: File is not a zip file'),
    ("a.npz", npz(), {},
     'a.npz: contains no array'),
    ("a.npz", npz(a=npy([1.0, 2.0]), b=npy([1.0])), {},
     'a.npz: its arrays have different lengths: a 2, b 1'),
    ("a.npz", npz(a=npy(np.eye(2)), b=npy(np.eye(2))), {},
     'a.npz: contains several arrays; set signal.array to one of: a, b'),
    ("a.npz", npz(a=npy([1.0, 2.0])), {"array": "b"},
     "a.npz: has no array 'b'; set signal.array to one of: a"),
    ("a.npz", npz(a=npy([object(), 1])), {},
     'a.npz: contains Python objects, which are never read; save numbers'),
    ("a.npz", npz(a=BOMB), {},
     'a.npz: is damaged: a has 136 bytes, its header describes 16000000128'),
    ("a.npz", npz(a=npy([1.0, 2.0], cut=8)), {},
     'a.npz: is damaged: a has 136 bytes, its header describes 144'),
    ("a.npz", npz(a=b"not an array"), {},
     "a.npz: is damaged: the magic string is not correct; expected b'\\x93NUMPY', got b'not an'"),
    ("a.npz", npz(t=npy(np.array(["0000-12-31", "6000000-01-01"], "M8[D]")), x=npy([1.0, 2.0])), TIMES,
     'a.npz:1: t: must be a date of the years 1 to 9999, got the year 0\na.npz:2: t: must be a date of the years 1 to 9999, got the year 6000000'),
    ("a.npz", npz(t=npy(np.arange(2).view("M8")), x=npy([1.0, 2.0])), TIMES,
     'a.npz: contains dates without a unit; save them as datetime64[s]'),
    # Recordings.
    ("a.wav", b"RIFF", {},
     'a.wav: is damaged: unpack requires a buffer of 12 bytes'),
    ("a.wav", wav(form=b"AVI "), {},
     'a.wav: is not a WAV file; rename it, or save it as one'),
    ("a.wav", wav(size=4000), {},
     'a.wav: is damaged: its header describes 4000 bytes of samples, and it has 8'),
    ("a.wav", wav(code=7, bits=8), {},
     'a.wav: contains samples of format 7 with 8 bits; save it as PCM or float'),
    ("a.wav", wav(channels=0), {},
     'a.wav: is damaged: its header describes 0 channels of 16 bits in 2 bytes at 100 Hz'),
    ("a.wav", wav(rate=0), {},
     'a.wav: is damaged: its header describes 1 channels of 16 bits in 2 bytes at 0 Hz'),
    ("a.wav", wav(bytes(8)), {},
     'a.wav: c1: is constant (0); leave it out of signal.columns or signal.inputs'),
    ("a.wav", wav(bytes(range(8))), {"time_step": 1.0},
     'config: signal.time_step: the file contains its rate; remove it'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "settings", "expected"), CASES)
def test_broken_data_file(
    here: Path, name: str, content: str | bytes, settings: dict[str, Any], expected: str
):
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    assert message(name, **settings) == expected


def test_at_most_fifty_problems(here: Path):
    Path("a.csv").write_text("x\n" + "1\nbad\n" * 60, encoding="utf-8")
    lines = message("a.csv").split("\n")
    assert lines[0] == "a.csv:3: x: must be a number, got 'bad'"
    assert lines[50:] == ["a.csv:103: there are more problems; fix these first"]


def test_a_wrong_cell_far_down(here: Path):
    """Blocks that hold only numbers are read by numpy; the line is counted over all of them."""
    rows = ["x", *map(str, range(400_000)), "bad", "1"]
    Path("a.csv").write_text("\n".join(rows), encoding="utf-8")
    assert message("a.csv") == "a.csv:400002: x: must be a number, got 'bad'"


def make_directory(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: None, "a.csv: no such file; set signal.path to the data file"),
        (make_directory, "a.csv: is a directory, not a data file"),
        (make_pipe, "a.csv: not a regular file; save the data as a file"),
    ],
)
def test_not_a_data_file(here: Path, make: Callable[[Path], None], expected: str):
    make(Path("a.csv"))
    assert message("a.csv") == f"config: signal.path: {expected}"


def test_no_data_file_is_named(here: Path):
    assert (
        message("")
        == "config: signal.path: is required: the data file, as in signal.path=sensor.csv"
    )


def test_a_huge_data_file(here: Path):
    """It is refused by its size and its first lines, before it is read."""
    with Path("a.csv").open("wb") as file:
        file.write(b"x\n" + b"1.5\n" * 300_000)
        file.truncate(10_000_000_000)
    assert message("a.csv").startswith("config: signal.path: reading the file needs about ")
    assert message("a.csv").endswith(
        "GB of memory, and the limit is 8 GB; use fewer columns or a shorter file, or set limits.memory_gb=290"
    )


def test_a_bomb_of_zeros_is_not_unpacked(here: Path):
    """Its header says what reading it would take."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as file,
    ):
        header = npy(np.zeros(1), shape="(20000000,)")[:-8]
        file.write(header)
        for _ in range(20):
            file.write(bytes(8_000_000))
    Path("a.npz").write_bytes(content.getvalue())
    assert len(content.getvalue()) < 200_000
    with pytest.raises(
        ConfigError, match=r"reading the file needs about 1\.9 GB of memory, and the limit is 1 GB"
    ):
        check(
            load_config({"signal": {"kind": "file", "path": "a.npz"}, "limits": {"memory_gb": 1}})
        )


def test_a_short_data_file(here: Path):
    """What to lower, and the command that writes settings that fit."""
    Path("my data.csv").write_text("x\n1\n2\n3\n4\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        check(load_config({"signal": {"kind": "file", "path": "my data.csv"}}))
    assert str(caught.value).splitlines()[-1] == (
        "config: signal.path: its longest recording has 4 samples; for settings that fit: "
        "sinernn init 'my data.csv'"
    )

"""Series from files: what is read, and the place and wording of every message."""

from pathlib import Path

import numpy as np
import pytest

from sinernn.config import load_config
from sinernn.data.files import File


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

"""Whatever is done to a data file, it is read or refused: no traceback, no hang, no flood of memory."""

import io
import struct
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import Mutation, empty_folder, fuzzed, in_any_bytes, in_tokens, positions, read
from sinernn.data.files import File
from sinernn.data.series import Series
from sinernn.errors import ConfigError

FOLDER = empty_folder()
ROWS = [f"{'ab'[at >= 30]},2024-03-{at % 30 + 1:02},{at % 7}.5,{at * at % 11}" for at in range(60)]
PLAIN = "\n".join(["x;y", *(f"{at % 7},5;{at * at % 11}" for at in range(60))])
SAMPLES = np.arange(80) * 37 % 64


def saved(save: object, *arrays: np.ndarray, **named: np.ndarray) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


def wav() -> bytes:
    header = struct.pack("<HHIIHH", 1, 2, 8000, 32000, 4, 16)
    data = SAMPLES.astype("<i2").tobytes()
    chunks = (
        b"WAVEfmt " + struct.pack("<I", 16) + header + b"data" + struct.pack("<I", len(data)) + data
    )
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def parquet() -> bytes:
    import duckdb

    path = FOLDER / "whole.parquet"
    numbers = "n % 7 + 0.5 AS x, CASE WHEN n % 9 > 0 THEN n * n % 11 END AS y"
    names = "DATE '2024-01-01' + n::INT AS day, 'ab'[n // 30 + 1] AS run"
    duckdb.sql(f"COPY (SELECT {names}, {numbers} FROM range(60) AS rows(n)) TO '{path}'")
    return path.read_bytes()


WHEN = np.datetime64("2024-01-01") + np.arange(80)
FILES: dict[str, tuple[str, bytes, dict[str, object]]] = {
    "dated": (
        "a.csv",
        "\n".join(["run,day,x,y", *ROWS]).encode(),
        dict(segment_column="run", time_column="day", gaps="split", missing="interpolate", inputs=["y"]),
    ),
    "plain": ("a.csv", PLAIN.encode(), dict(decimal="comma", missing="split")),
    "npy": ("a.npy", saved(np.save, SAMPLES.reshape(40, 2)), {}),
    "npz": ("a.npz", saved(np.savez_compressed, x=SAMPLES, t=WHEN), dict(time_column="t")),
    "wav": ("a.wav", wav(), dict(downsample={"factor": 2})),
}  # fmt: skip
if find_spec("duckdb"):  # an extra
    settings = dict(segment_column="run", time_column="day", missing="split", inputs=["y"])
    FILES["parquet"] = "a.parquet", parquet(), settings
changes = st.one_of(
    in_any_bytes,
    st.builds(
        in_tokens,
        positions,
        st.sampled_from(["", " ", "\n", ",", ";", '"', "nan", "inf", "-1", "1e999", "9" * 400, "x", "a",
                         "2024-02-30", "0001-01-01", "9999-12-31T23:59", "\ufeff", "\0", "O", "(2,)", "f4"]),
    ),
)  # fmt: skip


def load(name: str, data: bytes, settings: dict[str, object]) -> Series:
    (FOLDER / name).write_bytes(data)
    return File(kind="file", path=str(FOLDER / name), **settings).read()


@fuzzed
@given(st.sampled_from(list(FILES)), st.lists(changes, min_size=1, max_size=4))
def test_mutated_data_is_read_or_refused(kind: str, mutations: list[Mutation]):
    name, data, settings = FILES[kind]
    for mutate in mutations:
        data = mutate(data)
    found, refused = read(lambda: load(name, data, settings), ConfigError)
    if found is None:
        assert all(
            problem.place.source == str(FOLDER / name) or problem.path[0] == "signal"
            for problem in refused.problems
        )
    else:
        assert np.isfinite(found.observed).all()
        assert np.isfinite(found.time).all()
        assert len(found.observed) == sum(found.extent.lengths) >= 2


@pytest.mark.parametrize("kind", FILES)
def test_whole_data_files_are_read(kind: str):
    name, data, settings = FILES[kind]
    assert load(name, data, settings).extent.samples >= 20

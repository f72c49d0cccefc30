"""Read files of arrays: npy, npz, WAV and Parquet. No object in them is ever unpickled."""

import glob
import struct
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sinernn.data.tables import (
    MAX_COLUMNS,
    MAX_VALUES,
    DataProblems,
    Table,
    column_names,
    without_mask,
)
from sinernn.errors import ConfigError, printable

KINDS = {
    "O": "Python objects, which are never read; save numbers",
    "c": "complex numbers; save real and imaginary part as two columns",
    "V": "records; save a plain array",
    "S": "bytes; save text or numbers",
    "m": "durations; save numbers",
}
"""What arrays cannot be read, by numpy's kind of type."""


@dataclass(frozen=True)
class _Column:
    kind: str
    """As numpy names it: numbers are b, i, u and f, dates M, text U."""

    rows: int
    load: Callable[[], np.ndarray]


class ArrayReader:
    """A file of arrays; those that are asked for are read."""

    def __init__(
        self,
        problems: DataProblems,
        columns: Mapping[str, _Column],
        *,
        time_step: float | None = None,
    ) -> None:
        if not columns:
            raise problems.error("contains no array")
        counts = {column.rows for column in columns.values()}
        if len(counts) > 1:
            sizes = ", ".join(f"{name} {column.rows}" for name, column in columns.items())
            raise problems.error(f"its arrays have different lengths: {printable(sizes, 200)}")
        self.names = list(columns)
        self.numeric = [name for name, column in columns.items() if column.kind in "biuf"]
        if not self.numeric:
            kind = next(iter(columns.values())).kind
            raise problems.error(f"contains {KINDS.get(kind, 'no numbers; save some')}")
        self.rows, self.time_step = counts.pop(), time_step
        self._columns, self.problems = columns, problems

    def read(self, numbers: Sequence[str], texts: Sequence[str]) -> Table:
        """Read columns.

        Raises:
            ConfigError: The file is damaged, or a column does not contain what is asked for.
        """
        if self.rows * len(numbers) > MAX_VALUES:
            limit = f"has more than {MAX_VALUES:,} numbers in the columns used"
            raise self.problems.error(f"{limit}; use fewer columns or rows")
        for name in (*numbers, *texts):
            kind = self._columns[name].kind
            if what := KINDS.get(kind, "no numbers" if name in numbers and kind in "MU" else ""):
                self.problems.add(f"contains {what}", column=name)
        self.problems.raise_found()
        columns = {name: self._columns[name].load().astype(float) for name in numbers}
        for name in texts:
            values = self._columns[name].load()
            columns[name] = values if self._columns[name].kind == "M" else values.astype(str)
        return Table(columns, np.arange(1, self.rows + 1))


@contextmanager
def _damage(problems: DataProblems) -> Generator[None]:
    """Report what the readers of numpy and zipfile raise for a file with wrong content.

    That is a dozen classes of errors, from `zlib.error` to `RecursionError`.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        why = printable(str(error) or type(error).__name__, 200)
        raise problems.error(f"is damaged: {why}") from error


def read_npy(path: Path, problems: DataProblems, _array: str | None) -> ArrayReader:
    """Open an array of one or two dimensions: rows, or rows and columns."""
    with _damage(problems), path.open("rb") as file:
        dtype, shape, _ = _npy_header(file, problems)
        expected = file.tell() + dtype.itemsize * int(np.prod(shape, dtype=object))
        if dtype.kind not in KINDS and (size := path.stat().st_size) != expected:
            what = f"its header describes {expected} bytes, and it has {size}"
            raise problems.error(f"is damaged: {what}")

    def load() -> np.ndarray:
        with _damage(problems):
            return np.lib.format.open_memmap(path, mode="r")

    return ArrayReader(problems, _columns_of(dtype, shape, load, problems))


def read_npz(path: Path, problems: DataProblems, array: str | None) -> ArrayReader:
    """Open an archive: its arrays of one dimension are columns, or `array` holds all of them."""
    found: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
    with _damage(problems), zipfile.ZipFile(path) as archive:
        members = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
        if len(members) > MAX_COLUMNS:
            raise problems.error(f"has {len(members)} arrays, at most {MAX_COLUMNS} are allowed")
        for name, member in members.items():
            with archive.open(member) as file:
                dtype, shape, header = _npy_header(file, problems)
            expected = header + dtype.itemsize * int(np.prod(shape, dtype=object))
            if dtype.kind not in KINDS and member.file_size != expected:
                what = f"{printable(name, 60)} has {member.file_size} bytes, its header describes"
                raise problems.error(f"is damaged: {what} {expected}")
            found[name] = dtype, shape

    def loading(name: str) -> Callable[[], np.ndarray]:
        def load() -> np.ndarray:
            with (
                _damage(problems),
                zipfile.ZipFile(path) as archive,
                archive.open(members[name]) as file,
            ):
                return np.lib.format.read_array(file, allow_pickle=False)

        return load

    if array is None and len(found) == 1:
        array = next(iter(found))
    if array is not None:
        if array not in found:
            names = printable(", ".join(found), 200)
            raise problems.error(f"has no array {array!r}; set signal.array to one of: {names}")
        columns = _columns_of(*found[array], loading(array), problems, name=array)
        return ArrayReader(problems, columns)
    columns = {
        name: _Column(dtype.kind, shape[0], loading(name))
        for name, (dtype, shape) in found.items()
        if len(shape) == 1
    }
    if found and not columns:
        names = printable(", ".join(found), 200)
        raise problems.error(f"contains several arrays; set signal.array to one of: {names}")
    return ArrayReader(problems, columns)


def _npy_header(file: Any, problems: DataProblems) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Read the header of an array: its type and shape, and where its values begin."""
    version = np.lib.format.read_magic(file)
    reading = {(1, 0): np.lib.format.read_array_header_1_0}
    read = reading.get(version, np.lib.format.read_array_header_2_0)
    shape, _, dtype = read(file)
    if any(size < 0 for size in shape):
        raise problems.error(f"is damaged: a shape of {shape}")
    if dtype.kind == "M" and np.datetime_data(dtype)[0] == "generic":
        raise problems.error("contains dates without a unit; save them as datetime64[s]")
    return dtype, shape, file.tell()


def _columns_of(
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    load: Callable[[], np.ndarray],
    problems: DataProblems,
    *,
    name: str = "c1",
) -> dict[str, _Column]:
    """Return the columns of one array; `name` is that of one dimension."""
    if len(shape) not in (1, 2):
        what = f"must have one or two dimensions (rows, columns), got the shape {shape}"
        raise problems.error(f"{what}; reshape it")
    if len(shape) == 1:
        return {name: _Column(dtype.kind, shape[0], load)}
    rows, count = shape
    if count > MAX_COLUMNS:
        advice = "; transpose it" if rows < count else ""
        what = f"has {count} columns of {rows} rows, at most {MAX_COLUMNS} columns are allowed"
        raise problems.error(what + advice)

    def column(at: int) -> Callable[[], np.ndarray]:
        return lambda: load()[:, at]

    names = column_names(count)
    return {name: _Column(dtype.kind, rows, column(at)) for at, name in enumerate(names)}


def read_parquet(path: Path, problems: DataProblems, _array: str | None) -> ArrayReader:
    """Open a table, by duckdb: the smallest package that reads it, and the fastest to import."""
    try:
        import duckdb
    except ImportError as error:
        how = "pip install 'sinernn[parquet]'"
        raise problems.error(f"Parquet files need an extra; install it with: {how}") from error
    # Nothing is fetched or loaded beside the file; a path is not a pattern.
    settings = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    database: Any = duckdb.connect(config={**settings, "threads": 1})
    place, source = [glob.escape(str(path))], "read_parquet(?, hive_partitioning=false)"

    def query(text: str) -> Any:
        try:
            return database.execute(f"{text} FROM {source}", place).fetchnumpy()
        except duckdb.Error as error:
            why = printable(str(error).partition("\n")[0], 200)
            raise problems.error(f"is damaged: {why}") from error

    def column(name: str) -> Callable[[], np.ndarray]:
        quoted = '"' + name.replace('"', '""') + '"'

        def load() -> np.ndarray:
            return without_mask(query(f"SELECT {quoted} AS value")["value"])

        return load

    rows, described = int(query("SELECT count(*) AS n")["n"][0]), query("DESCRIBE SELECT *")
    names, types = described["column_name"], described["column_type"]
    kinds = {name: _kind_in_parquet(kind) for name, kind in zip(names, types, strict=True)}
    return ArrayReader(problems, {name: _Column(kinds[name], rows, column(name)) for name in kinds})


def _kind_in_parquet(kind: str) -> str:
    """Return numpy's kind of one of duckdb's types."""
    if kind.endswith("]"):
        return "O"  # lists
    if kind.startswith(("TIMESTAMP", "DATE")):
        return "M"
    if kind.endswith("INT") or kind.endswith("INTEGER") or kind in ("DOUBLE", "FLOAT", "BOOLEAN"):
        return "f"
    return "f" if kind.startswith("DECIMAL") else "U" if kind == "VARCHAR" else "O"


_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE  # formats of samples
_SAMPLES = {
    **{(_PCM, 8): "u1", (_PCM, 16): "<i2", (_PCM, 24): "u1", (_PCM, 32): "<i4"},
    **{(_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8"},
}


def read_wav(path: Path, problems: DataProblems, _array: str | None) -> ArrayReader:
    """Open a recording; integers are scaled to -1 to 1.

    Source:
        IBM and Microsoft (1991), Multimedia Programming Interface and Data Specifications 1.0,
        chapter 3, and its later formats 3 (float) and 0xFFFE (extensible).
    """
    chunks: dict[bytes, tuple[int, int]] = {}  # where the first of each kind begins, and its size
    with _damage(problems), path.open("rb") as file:
        size = path.stat().st_size
        kind, _, form = struct.unpack("<4sI4s", file.read(12))
        if (kind, form) != (b"RIFF", b"WAVE"):
            raise problems.error("is not a WAV file; rename it, or save it as one")
        while b"data" not in chunks and file.tell() + 8 <= size:
            name, length = struct.unpack("<4sI", file.read(8))
            chunks[name] = file.tell(), length
            file.seek(length + length % 2, 1)
        if b"fmt " not in chunks or b"data" not in chunks:
            raise problems.error("is damaged: its samples or their format are missing")
        file.seek(chunks[b"fmt "][0])
        header = file.read(26)
        code, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", header[:16])
        if code == _EXTENSIBLE:
            code = struct.unpack("<H", header[24:26])[0]
    start, length = chunks[b"data"]
    if start + length > size:
        what = f"its header describes {length} bytes of samples, and it has {size - start}"
        raise problems.error(f"is damaged: {what}")
    if (code, bits) not in _SAMPLES:
        what = f"samples of format {code} with {bits} bits; save it as PCM or float"
        raise problems.error(f"contains {what}")
    width = bits // 8
    if not 0 < channels <= MAX_COLUMNS or frame != channels * width or rate == 0:
        what = f"{channels} channels of {bits} bits in {frame} bytes at {rate} Hz"
        raise problems.error(f"is damaged: its header describes {what}")
    dtype, rows = np.dtype(_SAMPLES[code, bits]), length // frame

    def column(at: int) -> Callable[[], np.ndarray]:
        def load() -> np.ndarray:
            shape = (rows, channels, width // dtype.itemsize)
            samples = np.memmap(path, dtype, "r", start, shape)[:, at]
            return _scaled(samples) if code == _PCM else samples[:, 0]

        return load

    names = column_names(channels)
    columns = {name: _Column("f", rows, column(at)) for at, name in enumerate(names)}
    return ArrayReader(problems, columns, time_step=1 / rate)


def _scaled(samples: np.ndarray) -> np.ndarray:
    """Scale integers of 8 to 32 bits to -1 to 1; those of 24 bits are three bytes."""
    if samples.shape[1] == 3:
        low, middle, high = samples.astype(np.int32).T
        return (low + (middle << 8) + (high.astype(np.int8).astype(np.int32) << 16)) / 2**23
    values = samples[:, 0].astype(float)
    if samples.dtype == np.uint8:
        return (values - 128) / 128
    return values / 2.0 ** (8 * samples.dtype.itemsize - 1)

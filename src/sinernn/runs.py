"""The run directory: created once, written atomically, read without running any code."""

import contextlib
import csv
import io
import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sinernn.errors import RunFileError, RunNotFoundError
from sinernn.network import GATES, Network, Params, TrainState
from sinernn.training import Record
from sinernn.windows import Scale

LATEST = "latest"
METADATA_KEY = "sinernn.checkpoint"
FORMAT_VERSION = 1
METRICS_COLUMNS = ("phase", "step", "loss", "learning_rate", "closed_loop_rmse")


@dataclass(frozen=True)
class Checkpoint:
    """A training state with all that is needed to run the network and to go on training it."""

    network: Network
    state: TrainState
    scale: Scale
    """Between the series' own units and the network's."""

    losses: Float[np.ndarray, " n"]
    """Losses of the updates since the last row of the metrics."""

    closed_loop_rmse: float | None
    """On the validation part, where the checkpoint was chosen by it."""


@dataclass(frozen=True)
class Run:
    """A run directory."""

    path: Path

    @property
    def config_path(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    def write_text(self, name: str, text: str) -> None:
        """Write a text file whole or not at all."""
        write_atomically(self.path / name, text.encode())

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file whole or not at all; NaN and infinity are not JSON."""
        self.write_text(name, to_json(value))

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file.

        Raises:
            RunFileError: It is missing, or not a JSON object.
        """
        path = self.path / name
        try:
            value = json.loads(_read(path))
        except ValueError as error:
            raise RunFileError(f"{path}: is damaged: not JSON") from error
        if not isinstance(value, dict):
            raise RunFileError(f"{path}: is damaged: not a JSON object")
        return cast("dict[str, Any]", value)

    def write_metrics(self, records: Iterable[Record]) -> None:
        """Write metrics.csv, a row a record; floats so that they read back to the bit."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(METRICS_COLUMNS)
        for record in records:
            rmse = record.closed_loop_rmse
            writer.writerow(
                (
                    "training",
                    record.step,
                    record.loss,
                    record.learning_rate,
                    "" if rmse is None else rmse,
                )
            )
        self.write_text("metrics.csv", text.getvalue())

    def read_metrics(self) -> dict[str, Float[np.ndarray, " row"]]:
        """Read the numeric columns of metrics.csv; NaN where a cell is empty.

        Raises:
            RunFileError: It is missing or damaged.
        """
        path = self.path / "metrics.csv"
        rows = list(csv.DictReader(io.StringIO(_read(path).decode(errors="replace"))))
        try:
            return {
                name: np.array([float(row[name] or "nan") for row in rows])
                for name in METRICS_COLUMNS[1:]
            }
        except (KeyError, ValueError, TypeError) as error:
            raise RunFileError(
                f"{path}: is damaged: a column is missing or not a number"
            ) from error

    def write_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write arrays as a safetensors file."""
        write_atomically(self.path / name, save(_contiguous(arrays)))

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """Read a safetensors file.

        Raises:
            RunFileError: It is missing or damaged.
        """
        return _read_safetensors(self.path / name)[0]

    def write_figure(self, name: str, content: bytes) -> Path:
        """Write `figures/NAME` and return its path."""
        path = self.path / "figures" / name
        write_atomically(path, content)
        return path

    def save_checkpoint(self, name: str, checkpoint: Checkpoint) -> None:
        """Write `checkpoints/NAME.safetensors`."""
        write_atomically(
            self.path / "checkpoints" / f"{name}.safetensors", checkpoint_bytes(checkpoint)
        )

    def save_model(self, checkpoint: Checkpoint) -> None:
        """Write model.safetensors: the weights alone, which torch loads as they are."""
        metadata = _metadata(checkpoint)
        write_atomically(
            self.path / "model.safetensors", save(_contiguous(checkpoint.state.params), metadata)
        )

    def load_checkpoint(self, name: str) -> Checkpoint:
        """Read `checkpoints/NAME.safetensors`.

        Raises:
            RunFileError: It is missing, damaged, or from a future version.
        """
        return load_checkpoint(self.path / "checkpoints" / f"{name}.safetensors")

    def best_checkpoint(self) -> tuple[str, Checkpoint]:
        """Read the best checkpoint, or the last where none was chosen as best; and its name."""
        best = self.path / "checkpoints" / "best.safetensors"
        name = "best" if best.exists() else "last"
        return name, self.load_checkpoint(name)


def create_run(runs_dir: Path, name: str, *, now: datetime, files: dict[str, str]) -> Run:
    """Make a new directory `<UTC time>-<name>`, with `files` in it, and point `latest` to it.

    Creation is exclusive: two runs that begin in the same second get two directories.

    Raises:
        RunFileError: The directory cannot be made.
    """
    stem = f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{_slug(name)}"
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        run = Run(_make_directory(runs_dir, stem))
    except OSError as error:
        place = error.filename or runs_dir
        raise RunFileError(
            f"{place}: cannot make a run directory: {error.strerror}; choose another --runs-dir"
        ) from error
    for file, text in files.items():
        run.write_text(file, text)
    _point_latest(runs_dir, run.path.name)
    return run


def open_run(run: Path | str, *, runs_dir: Path | str = "runs") -> Run:
    """Find a run by its folder, its name in `runs_dir`, or `latest`, also where that link is lost.

    Raises:
        RunNotFoundError: There is no such run.
    """
    path = Path(run)
    if len(path.parts) == 1 and not _is_run(path):
        path = Path(runs_dir) / path
    if path.is_file() and path.name == LATEST:  # where links cannot be made it holds the name
        path = path.parent / Path(path.read_text(encoding="utf-8").strip()).name
    elif path.name == LATEST and not path.exists():
        path = max(
            (p for p in path.parent.glob("*") if _is_run(p)), default=path, key=lambda p: p.name
        )
    if _is_run(path):
        return Run(path.resolve() if path.is_symlink() else path)
    what = "is not a run directory: it has no run.json" if path.is_dir() else "no such run"
    known = sorted(
        (p.name for p in Path(runs_dir).glob("*") if p.name != LATEST and _is_run(p)), reverse=True
    )
    way_out = (
        f"the newest in {runs_dir} is {known[0]}" if known else f"there are none in {runs_dir}"
    )
    raise RunNotFoundError(f"{path}: {what}; {way_out}")


def to_json(value: Any) -> str:
    """Return a value as JSON text; NaN and infinity, which JSON has not, raise ValueError."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: temporary name, flush to the disk, rename.

    Raises:
        RunFileError: The file cannot be written; what stood there before still does.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise RunFileError(f"{path}: cannot be written: {error.strerror}") from error


def checkpoint_bytes(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as a safetensors file; equal checkpoints give equal bytes."""
    state = checkpoint.state
    tensors = {
        **state.params,
        **{f"adam.first_moment.{name}": value for name, value in state.first_moment.items()},
        **{f"adam.second_moment.{name}": value for name, value in state.second_moment.items()},
        "hidden": state.hidden,
        "losses": checkpoint.losses,
    }
    return save(_contiguous(tensors), _metadata(checkpoint))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, and hold every tensor against the network it claims to be.

    Raises:
        RunFileError: It is missing, damaged, or from a future version.
    """
    tensors, metadata = _read_safetensors(path)
    try:
        facts = json.loads(metadata[METADATA_KEY])
        version = facts["format"]
    except (KeyError, ValueError, TypeError) as error:
        raise RunFileError(f"{path}: is not a checkpoint of sinernn") from error
    if version != FORMAT_VERSION:
        raise RunFileError(
            f"{path}: has format {version}, this sinernn reads {FORMAT_VERSION}; upgrade it"
        )
    try:
        network = Network(**facts["network"])
        GATES[network.cell]  # an unknown cell has no shapes
        scale = Scale(
            np.array(facts["scale"]["mean"], float), np.array(facts["scale"]["std"], float)
        )
        if scale.mean.shape != (network.channels,) or scale.std.shape != (network.channels,):
            raise ValueError("scale has another number of channels than the network")
        state = TrainState(
            params=_group(tensors, "", network),
            first_moment=_group(tensors, "adam.first_moment.", network),
            second_moment=_group(tensors, "adam.second_moment.", network),
            hidden=tensors["hidden"],
            updates=int(facts["updates"]),
        )
        expected = network.zero_hidden(state.hidden.shape[2])
        if state.hidden.shape != expected.shape or state.hidden.dtype != expected.dtype:
            raise ValueError("hidden has another shape or type than the network's")
        return Checkpoint(network, state, scale, tensors["losses"], facts["closed_loop_rmse"])
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise RunFileError(f"{path}: is damaged: {error}") from error


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    # One key: safetensors writes several in any order, and equal states shall give equal bytes.
    facts = {
        "format": FORMAT_VERSION,
        "network": asdict(checkpoint.network),
        "updates": checkpoint.state.updates,
        "scale": {"mean": checkpoint.scale.mean.tolist(), "std": checkpoint.scale.std.tolist()},
        "closed_loop_rmse": checkpoint.closed_loop_rmse,
    }
    return {METADATA_KEY: json.dumps(facts, allow_nan=False)}


def _group(tensors: dict[str, np.ndarray], prefix: str, network: Network) -> Params:
    group: Params = {}
    for name, shape in network.shapes.items():
        tensor = tensors[prefix + name]
        if tensor.shape != shape or tensor.dtype != np.dtype(network.dtype):
            raise ValueError(
                f"{prefix}{name} is {tensor.dtype}{list(tensor.shape)}, not the network's"
            )
        group[name] = tensor
    return group


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    if not path.is_file():
        raise RunFileError(f"{path}: is missing")
    try:
        with cast(Any, safe_open)(path, framework="numpy") as file:
            names: list[str] = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise RunFileError(f"{path}: is damaged: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunFileError(f"{path}: cannot be read: {error.strerror}") from error


def _contiguous(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    # safetensors writes an array's memory as it lies, whatever its strides say.
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _slug(name: str) -> str:
    """Return a name as part of a folder's: letters, digits, dots and dashes."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80] or "run"


def _make_directory(runs_dir: Path, stem: str) -> Path:
    path, number = runs_dir / stem, 1
    while True:
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1
            path = runs_dir / f"{stem}-{number}"


def _point_latest(runs_dir: Path, name: str) -> None:
    temporary = runs_dir / f".{LATEST}.{secrets.token_hex(4)}"
    try:
        temporary.symlink_to(name, target_is_directory=True)
        temporary.replace(runs_dir / LATEST)
    except OSError:
        write_atomically(runs_dir / LATEST, f"{name}\n".encode())


def _is_run(path: Path) -> bool:
    return (path / "run.json").is_file()


def _sync_directory(path: Path) -> None:
    if os.name == "nt":  # Windows cannot open a directory, and needs no sync of one
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

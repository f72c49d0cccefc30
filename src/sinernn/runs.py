"""The run directory: created once, written atomically, read without running any code."""

import contextlib
import csv
import io
import json
import math
import os
import re
import secrets
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sinernn.errors import RunFileError, RunNotFoundError
from sinernn.network import GATES, Network, Params, RefineState, TrainState
from sinernn.windows import Scale

LATEST = "latest"
METADATA_KEY = "sinernn.checkpoint"
FORMAT_VERSION = 1
METRICS_COLUMNS = (
    "phase", "step", "loss", "learning_rate", "closed_loop_rmse", "stage", "damping",
)  # fmt: skip


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

    def write(self, name: str, content: bytes) -> Path:
        """Write a file whole or not at all, making its subfolder; return its path."""
        path = self.path / name
        if path.parent != self.path:
            with _telling(path, "cannot be written"):
                path.parent.mkdir(exist_ok=True)
        write_atomically(path, content)
        return path

    def write_text(self, name: str, text: str) -> None:
        """Write a text file whole or not at all."""
        self.write(name, text.encode())

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

    def write_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write metrics.csv; a cell without a value is empty, floats read back to the bit."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(METRICS_COLUMNS)
        writer.writerows([row.get(name) for name in METRICS_COLUMNS] for row in rows)
        self.write_text("metrics.csv", text.getvalue())

    def read_metrics(self, phase: str = "training") -> dict[str, Float[np.ndarray, " row"]]:
        """Read the numeric columns of a phase, `training` or `refine`; NaN where a cell is empty.

        Raises:
            RunFileError: They are missing or damaged.
        """
        path = self.path / "metrics.csv"
        rows = list(csv.DictReader(io.StringIO(_read(path).decode(errors="replace"))))
        if not rows:
            raise RunFileError(f"{path}: has no rows; the run ended before its first")
        try:
            chosen = [row for row in rows if row["phase"] == phase]
            return {
                name: np.array([float(row[name] or "nan") for row in chosen])
                for name in METRICS_COLUMNS[1:]
            }
        except (KeyError, ValueError, TypeError) as error:
            raise RunFileError(
                f"{path}: is damaged: a column is missing or not a number"
            ) from error

    def write_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write arrays as a safetensors file."""
        self.write(name, save(_contiguous(arrays)))

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """Read a safetensors file.

        Raises:
            RunFileError: It is missing or damaged.
        """
        return _read_safetensors(self.path / name)[0]

    def save_checkpoint(self, name: str, checkpoint: Checkpoint) -> None:
        """Write `checkpoints/NAME.safetensors`."""
        self.write(f"checkpoints/{name}.safetensors", checkpoint_bytes(checkpoint))

    def save_model(self, checkpoint: Checkpoint) -> None:
        """Write model.safetensors: the weights alone, which torch loads as they are."""
        weights = _contiguous(checkpoint.state.params)
        self.write("model.safetensors", save(weights, _metadata(checkpoint)))

    def load_checkpoint(self, name: str) -> Checkpoint:
        """Read `checkpoints/NAME.safetensors`.

        Raises:
            RunFileError: It is missing, damaged, or from a future version.
        """
        return load_checkpoint(self.path / "checkpoints" / f"{name}.safetensors")

    def best_checkpoint(self) -> tuple[str, Checkpoint]:
        """Read the best checkpoint, or the last where none was chosen as best; and its name.

        Raises:
            RunFileError: There is none, or it is damaged.
        """
        for name in ("best", "last"):
            if (self.path / "checkpoints" / f"{name}.safetensors").exists():
                return name, self.load_checkpoint(name)
        status = self.read_json("run.json").get("status")
        raise RunFileError(
            f"{self.path}: has saved no network, its status is {status}; choose another run"
        )


def create_run(runs_dir: Path, name: str, *, now: datetime, files: dict[str, str]) -> Run:
    """Make a new directory `<UTC time>-<name>`, with `files` in it, and point `latest` to it.

    Creation is exclusive: two runs that begin in the same second get two directories.

    Raises:
        RunFileError: The directory cannot be made.
    """
    latest = runs_dir / LATEST
    if latest.is_dir() and not latest.is_symlink():
        raise RunFileError(f"{latest}: is a folder, and must be free for a link; rename it")
    stem = f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{_slug(name)}"
    with _telling(runs_dir, "cannot hold a run directory", "; choose another --runs-dir"):
        runs_dir.mkdir(parents=True, exist_ok=True)
        run = Run(_make_directory(runs_dir, stem))
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
    if path.name == LATEST:
        path = _latest(path)
    if _is_run(path):
        return Run(path)
    what = "is not a run directory: it has no run.json" if path.is_dir() else "no such run"
    newest = _newest(Path(runs_dir))
    way_out = (
        f"the newest in {runs_dir} is {newest.name}" if newest else f"there are none in {runs_dir}"
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
    with _telling(path, "cannot be written"), _temporary(path) as temporary:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)


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
    if state.refine is not None:
        tensors["refine.theta"] = state.refine.theta
        tensors["refine.best_theta"] = state.refine.best_theta
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
            refine=_refine_state(tensors, facts.get("refine"), network),
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
    if (refine := checkpoint.state.refine) is not None:
        facts["refine"] = {
            "stage": refine.stage,
            "iteration": refine.iteration,
            "step": refine.step,
            "damping": refine.damping,
            # JSON has no infinity, the error of a free run that diverged.
            "best_error": refine.best_error if math.isfinite(refine.best_error) else None,
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


def _refine_state(
    tensors: dict[str, np.ndarray], facts: dict[str, Any] | None, network: Network
) -> RefineState | None:
    if facts is None:
        return None
    theta, best_theta = (tensors[f"refine.{name}"] for name in ("theta", "best_theta"))
    for array in (theta, best_theta):
        if array.shape != (network.parameter_count,) or array.dtype != np.float64:
            raise ValueError("refine.theta has another shape or type than the network's parameters")
    return RefineState(
        theta=theta,
        stage=int(facts["stage"]),
        iteration=int(facts["iteration"]),
        step=int(facts["step"]),
        damping=float(facts["damping"]),
        best_theta=best_theta,
        best_error=math.inf if facts["best_error"] is None else float(facts["best_error"]),
    )


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
    with _telling(path, "cannot be read"):
        return path.read_bytes()


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
    latest = runs_dir / LATEST
    try:
        with _temporary(latest) as temporary:
            temporary.symlink_to(name, target_is_directory=True)
            temporary.replace(latest)
    except OSError:  # no links on this file system: a text file holds the name
        write_atomically(latest, f"{name}\n".encode())


def _latest(path: Path) -> Path:
    """Return the run that a link or a text file names; the newest beside it if that is lost."""
    if path.is_file():
        named = path.parent / Path(_read(path).decode(errors="replace").strip()).name
    else:
        named = path.parent / path.readlink() if path.is_symlink() else path
    return named if _is_run(named) and named != path.parent else _newest(path.parent) or path


def _newest(runs_dir: Path) -> Path | None:
    known = [path for path in runs_dir.glob("*") if path.name != LATEST and _is_run(path)]
    return max(known, default=None, key=lambda path: path.name)


def _is_run(path: Path) -> bool:
    try:
        return (path / "run.json").is_file()
    except OSError:  # no file can have such a name
        return False


@contextlib.contextmanager
def _temporary(path: Path) -> Generator[Path]:
    """A name beside `path`, under which nothing is left behind."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _telling(path: Path, what: str, way_out: str = "") -> Generator[None]:
    """Tell of an error of the operating system as one message."""
    try:
        yield
    except OSError as error:
        raise RunFileError(f"{path}: {what}: {error.strerror}{way_out}") from error


def _sync_directory(path: Path) -> None:
    if os.name == "nt":  # Windows cannot open a directory, and needs no sync of one
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

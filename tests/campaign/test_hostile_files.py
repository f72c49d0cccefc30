"""Files from strangers: no code of theirs runs, nothing outside a run is touched, one message says why."""

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from commands import no_hang
from counting import bytes_of, counted
from examples import (
    NOON,
    checkpoint_metadata,
    make_checkpoint,
    make_evidence,
    make_run,
    refining,
    tiny,
)
from sinernn import experiment
from sinernn.config import load_config
from sinernn.errors import ConfigError, RunFileError, RunNotFoundError, SinernnError
from sinernn.plot_run import read_evidence
from sinernn.runs import MAX_JSON_BYTES, METRICS_COLUMNS, Run
from sinernn.runs.checkpoints import METADATA_KEY, checkpoint_bytes, load_checkpoint
from sinernn.runs.directory import create_run, open_run
from sinernn.runs.files import MAX_HEADER_BYTES, ArraysFile


@pytest.fixture(autouse=True)
def in_time() -> Generator[None]:
    """Nothing here may wait for a pipe."""
    with no_hang():
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("trained")
    return experiment.train(tiny(), runs_dir=folder, figures=False).run.path


@pytest.fixture
def stranger(here: Path, trained: Path) -> Run:
    """A copy of the run, whose files a test replaces, and which waits to be resumed."""
    run = Run(Path("stranger"))
    shutil.copytree(trained, run.path)
    run.write_json("run.json", run.read_json("run.json") | {"status": "interrupted"})
    return run


# No code runs.


class Payload:
    """What makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch owned",)


def torch_file() -> bytes:
    """What `torch.save` writes: a zip with a pickle."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(), protocol=2))
        archive.writestr("archive/version", "3\n")
    return content.getvalue()


def numpy_file() -> bytes:
    content = io.BytesIO()
    np.save(content, np.array([Payload()], object), allow_pickle=True)
    return content.getvalue()


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(20)
)
PAYLOADS = {
    "pickle": pickle.dumps(Payload()),
    "old pickle": b"cos\nsystem\n(S'touch owned'\ntR.",
    "torch": torch_file(),
    "numpy": numpy_file(),
    "python": b"import os; os.system('touch owned')\n",
    "apply": b"!!python/object/apply:os.system ['touch owned']\n",
    "apply in a value": b"name: !!python/object/apply:os.system [touch owned]\n",
    "new": b"seed: !!python/object/new:os.system [touch owned]\n",
    "name": b"seed: !!python/name:os.system\n",
    "module": b"seed: !!python/module:os\n",
    "laughs": LAUGHS.encode(),
    "merge": b"model: &m {cell: gru}\nwindows: {<<: [*m, *m]}\n",
    "json": b'{"__class__": "os.system", "py/reduce": [{"py/function": "os.system"}, ["touch owned"]]}',
}
READERS = {
    "config.yaml": ("eval",),
    "run.json": ("resume",),
    "metrics.csv": ("plot", "--figure", "loss"),
    "checkpoints/best.safetensors": ("eval",),
    "checkpoints/last.safetensors": ("resume",),
    "evaluation.json": ("plot", "--figure", "overview"),
    "evaluation.safetensors": ("plot", "--figure", "overview"),
}
"""A command that reads each file of a run."""


@pytest.mark.parametrize("payload", ["pickle", "old pickle"])
def test_the_payloads_are_dangerous_elsewhere(here: Path, payload: str):
    pickle.loads(PAYLOADS[payload])
    assert Path("owned").exists()


@pytest.mark.parametrize("file", READERS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_in_a_run_runs_nothing(sinernn, stranger: Run, file: str, payload: str):
    (stranger.path / file).write_bytes(PAYLOADS[payload])
    command, *options = READERS[file]
    outcome = sinernn(command, stranger.path, *options)
    assert not Path("owned").exists()
    if (payload, file) in [("json", "run.json"), ("json", "evaluation.json")]:
        assert outcome.code == 0  # an object of unknown keys says nothing
        return
    assert outcome.code in (1, 2)
    assert f"stranger/{file}" in outcome.err
    assert file == "config.yaml" or len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payload_for_a_config_or_run(sinernn, here: Path, payload: str):
    """No command runs what is in it."""
    Path("x.yaml").write_bytes(PAYLOADS[payload])
    for command in ("train", "eval", "resume", "plot"):
        outcome = sinernn(command, "x.yaml")
        assert outcome.code == 2
        assert outcome.err.startswith(("x.yaml:", "runs/x.yaml: no such run"))
    assert not Path("owned").exists()


# Nothing is waited for, and nothing large is read.


@pytest.mark.parametrize("file", READERS)
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_not_a_regular_file(sinernn, stranger: Run, file: str, kind: str):
    """A pipe, a folder or a device is refused at once."""
    path = stranger.path / file
    path.unlink()
    {"pipe": os.mkfifo, "folder": Path.mkdir, "device": lambda at: at.symlink_to("/dev/zero")}[
        kind
    ](path)
    command, *options = READERS[file]
    outcome = sinernn(command, stranger.path, *options)
    assert outcome.code in (1, 2)
    assert "stranger" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_file_of_a_terabyte_is_not_read(stranger: Run):
    for name in ("run.json", "checkpoints/best.safetensors"):
        with (stranger.path / name).open("r+b") as file:
            file.truncate(10**12)  # sparse: it takes no disk
    with pytest.raises(
        RunFileError, match="has 1000000000000 bytes, and at most 4000000 are allowed"
    ):
        stranger.read_facts()
    with pytest.raises(RunFileError, match=r"best\.safetensors: is damaged"):
        stranger.load_checkpoint("best")


def test_a_header_of_a_million_arrays_is_not_read(here: Path):
    path = Path("x.safetensors")
    header = json.dumps({f"{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
                         for i in range(20_000)}).encode()  # fmt: skip
    assert len(header) > MAX_HEADER_BYTES
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(RunFileError, match=r"its header has \d+ bytes, and at most 1000000 are"):
        load_checkpoint(path)


DEEP_OR_LONG = [
    "[" * 10**6, '{"a":' * 5 * 10**5, "[[],[],[],[]" * 10**5, '{"a": ' + "9" * 10**6 + "}", "{}" + " " * 10**6 + "x",
]  # fmt: skip


@pytest.mark.parametrize("text", DEEP_OR_LONG, ids=lambda text: text[:6])
def test_json_that_is_deep_or_long_costs_little(here: Path, text: str):
    """It is refused in a few calls: what it holds is never built."""
    run = make_run()
    (run.path / "run.json").write_text(text)
    with counted() as cost, pytest.raises(RunFileError, match=r"run\.json: is damaged: not JSON: "):
        run.read_facts()
    assert cost.calls < 100_000  # of a million characters


class Counting(io.TextIOWrapper):
    """A text file that counts the characters that were read of it."""

    characters = 0

    def readline(self, size: int = -1) -> str:
        line = super().readline(size)
        Counting.characters += len(line)
        return line


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    """Let every text file be opened as one that counts."""
    plain = Path.open

    def opened(path: Path, mode: str = "r", **options: Any) -> Any:
        if mode != "r":
            return plain(path, mode, **options)
        return Counting(io.FileIO(path), **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", opened)
    Counting.characters = 0
    return Counting


@pytest.mark.parametrize(
    "line",
    ["x" * 10**7, "," * 10**7, '"' * 10**7, '"' + "\n" * 10**7, "\0" * 10**7],
    ids=lambda line: ascii(line[:3]),
)
def test_endless_metrics_line(here: Path, counting: type[Counting], line: str):
    """A line without an end is given up early.

    Of its ten million characters few are read, and in pieces.
    """
    run = make_run()
    header = ",".join(METRICS_COLUMNS) + "\n"
    for text in (header + line, line):
        (run.path / "metrics.csv").write_text(text)
        counting.characters = 0
        with pytest.raises(RunFileError, match=r"metrics\.csv: (is damaged|has no rows)"):
            run.read_metrics()
        assert 0 < counting.characters < 300_000


LARGEST = {
    "lists": "[]," * 1_300_000 + "[]",
    "objects": "{}," * 1_300_000 + "{}",
    "texts": '"é",' * 700_000 + "1",
    "numbers": "1.5," * 900_000 + "1",
}


@pytest.mark.parametrize("content", LARGEST.values(), ids=LARGEST)
def test_largest_json(here: Path, content: str):
    """A JSON file of the largest size takes no more memory than SECURITY.md promises.

    What it holds is what is kept of it, and a file of more is not read.
    """
    run = make_run()
    (run.path / "run.json").write_text(f'{{"a": [{content}]}}')
    with counted() as cost:
        facts = run.read_facts()
    assert cost.calls < 100_000  # of 700,000 values at least
    assert bytes_of(facts) < 150e6
    (run.path / "run.json").write_text(f'{{"a": [{content}]}}' + " " * MAX_JSON_BYTES)
    with pytest.raises(RunFileError, match=r"has \d+ bytes, and at most 4000000 are allowed"):
        run.read_facts()


@pytest.mark.parametrize(
    "row", ["training,1,1,1,,,", ",,,,,,", "training,1,0.123456789012345678,,,,"]
)
def test_large_metrics(here: Path, counting: type[Counting], row: str):
    """Metrics take no more memory than SECURITY.md promises.

    The columns alone are kept, and rows come one by one.
    """
    run = make_run()
    content = ",".join(METRICS_COLUMNS) + "\n" + f"{row}\n" * 50_000
    (run.path / "metrics.csv").write_text(content)
    assert sum(column.nbytes for column in run.read_metrics().values()) < 6 * len(content)
    assert bytes_of(list(run.metrics_rows())) < 45 * len(content)
    counting.characters = 0
    next(run.metrics_rows())
    assert counting.characters < 1000


def test_arrays_cost_no_more_than_their_file(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Each is read once, into memory of its size."""
    run, made = make_run(), []
    run.write_arrays("x", {"a": np.zeros(10**6), "b": np.zeros((1000, 500), "float32")})
    opened = ArraysFile._opened

    class Noting:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> "Noting":
            self.inner = self.file.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self.file.__exit__(*error)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def get_tensor(self, name: str) -> np.ndarray:
            made.append(self.inner.get_tensor(name))
            return made[-1]

    monkeypatch.setattr(ArraysFile, "_opened", lambda file: Noting(opened(file)))
    with counted() as cost:
        arrays = run.read_arrays("x")
    assert [array.nbytes for array in made] == [8 * 10**6, 2 * 10**6]
    assert all(any(array is each for each in made) for array in arrays.values())
    assert cost.array_bytes <= 10**7  # a look at what was read is no memory of its own


# A checkpoint is held against the network that it names.

Change = Callable[[dict[str, Any], dict[str, np.ndarray]], object]


def setting(name: str, value: object) -> Change:
    *groups, last = name.split(".")

    def change(facts: dict[str, Any], _: dict[str, np.ndarray]) -> None:
        for group in groups:
            facts = facts[group]
        facts[last] = value

    return change


def array(name: str, value: Any) -> Change:
    def change(_: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = value(arrays[name]) if callable(value) else value

    return change


def filled(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: np.full_like(array, value)


WRONG_CHECKPOINTS: list[tuple[Change, str]] = [
    (setting("format", 2), "has format 2, this sinernn reads 1; upgrade it"),
    (setting("format", "2"), "has format 2, this sinernn reads 1; upgrade it"),
    (setting("format", "x" * 3000), r"has format x{17}\.\.\., this sinernn reads 1; upgrade it"),
    (setting("network", []), r"is damaged: network: .*, got \[\]"),
    (setting("network.cell", ["lstm"]), r"is damaged: network\.cell: .*, got \['lstm'\]"),
    (setting("network.hidden_size", 10**9), r"is damaged: network\.hidden_size: .*, got 1000000000"),
    (setting("network.hidden_size", 10**6), r"is damaged: .* is float32\[.*, not the network's"),
    (setting("network.num_layers", 10**9), r"is damaged: network\.num_layers: .*, got 1000000000"),
    (setting("network.num_layers", 1000), r"is damaged: rnn\.weight_ih_l2 is missing"),
    (setting("network.num_layers", True), r"is damaged: network\.num_layers: .*, got True"),
    (setting("network.channels", -1), r"is damaged: network\.channels: .*, got -1"),
    (setting("network.channels", 2.5), r"is damaged: network\.channels: .*, got 2\.5"),
    (setting("network.dtype", "object"), r"is damaged: network\.dtype: .*, got 'object'"),
    (setting("network." + "x" * 3000, 1), r"is damaged: network\.x+\.\.\.: Extra .*, got 1; restore"),
    (lambda facts, _: facts["network"].pop("cell"), r"is damaged: network\.cell: Field required; restore"),
    (setting("network.more", 1), r"is damaged: network\.more: Extra inputs are not permitted"),
    (setting("updates", -1), "is damaged: updates: .*, got -1"),
    (setting("updates", 2**63), "is damaged: updates: .*, got 9223372036854775808"),
    (setting("updates", 1e400), "is not a checkpoint of sinernn|is damaged: updates: .*, got inf"),
    (setting("scale", None), "is damaged: scale: .*, got None"),
    (setting("scale.std", [1.0, 0.0]), r"is damaged: scale\.std\.1: .*, got 0\.0"),
    (setting("scale.std", [1.0, float("nan")]), r"is damaged: scale\.std\.1: .*, got nan"),
    (setting("scale.mean", [1.0, float("inf")]), r"is damaged: scale\.mean\.1: .*, got inf"),
    (setting("scale.mean", [1.0]), "is damaged: scale has another number of channels"),
    (setting("closed_loop_rmse", "\x1b[31m"), r"is damaged: closed_loop_rmse: .*, got '\\x1b"),
    (setting("refine.stage", -1), r"is damaged: refine\.stage: .*, got -1"),
    (setting("refine.iteration", -2), r"is damaged: refine\.iteration: .*, got -2"),
    (setting("refine.step", 1.5), r"is damaged: refine\.step: .*, got 1\.5"),
    (setting("refine.damping", float("nan")), r"is damaged: refine\.damping: .*, got nan"),
    (setting("refine.best_error", -1), r"is damaged: refine\.best_error: .*, got -1"),
    (setting("refine", None), r"is damaged: refine\.\w+ is float64\[\d+\], not the network's"),
    (array("readout.bias", filled(np.nan)), r"is damaged: readout\.bias holds NaN or infinity"),
    (array("hidden", filled(np.inf)), "is damaged: hidden holds NaN or infinity"),
    (array("refine.theta", filled(np.nan)), r"is damaged: refine\.theta holds NaN or infinity"),
    (array("losses", np.array(1.0)), r"is damaged: losses is float64\[\], not the network's"),
    (array("losses", np.zeros((2, 2))), r"is damaged: losses is float64\[2, 2\], not the network's"),
    (array("losses", np.zeros(2, "int64")), r"is damaged: losses is of another type\[2\], not the"),
    (array("hidden", np.zeros((2, 2, 0, 3), "float32")), r"is damaged: hidden is .*, and empty"),
    (array("hidden", np.zeros((2, 2, 2, 3), "bool")), r"is damaged: hidden is of another type\["),
    (array("hidden", np.zeros((2, 2, 2, 3, 1), "float32")), r"is damaged: hidden is .*, not the"),
    (lambda _, arrays: arrays.pop("hidden"), "is damaged: hidden is missing"),
    (lambda _, arrays: arrays.update({"x\x1b[31m": np.zeros(1)}), r"is damaged: x\\x1b\[31m is"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG_CHECKPOINTS)
def test_a_wrong_checkpoint_gets_one_message(here: Path, change: Change, message: str):
    content = checkpoint_bytes(
        refining(np.arange(float(make_checkpoint().network.parameter_count)))
    )
    facts, arrays = json.loads(checkpoint_metadata(content)), load(content)
    change(facts, arrays)
    path = Path("x.safetensors")
    path.write_bytes(save(arrays, {METADATA_KEY: json.dumps(facts)}))
    with pytest.raises(RunFileError, match=rf"^x\.safetensors: ({message})"):
        load_checkpoint(path)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_flipped_bits_of_a_header(here: Path, cell: str):
    """A header with a flipped bit is read or refused."""
    content = checkpoint_bytes(make_checkpoint(cell))
    path, end = Path("x.safetensors"), 8 + int.from_bytes(content[:8], "little")
    for at in range(0, end, 7):  # 7 is no divisor of what repeats in it
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        try:
            load_checkpoint(path)
        except RunFileError as error:
            assert str(error).isprintable()  # noqa: PT017


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("closed_loop.time", np.zeros((3, 80)), "time does not increase"),
        ("closed_loop.truth", np.full((3, 80, 1), np.inf), r"array closed_loop\.truth holds values that no"),
        ("closed_loop.prediction", np.zeros((3, 0, 1)), "array .* is .*, and should be"),
        ("closed_loop.prediction", np.zeros(()), "array .* is .*, and should be"),
        ("open_loop.time", np.zeros((0, 80)), "array .* is .*, and should be"),
        ("baselines.mean", np.zeros((3, 29, 1)), r"array baselines\.mean is \[3, 29, 1\], and"),
        ("dynamics.free", np.zeros((30, 2)), r"array dynamics\.free is \[30, 2\], and should be"),
        ("dynamics.driven_eigenvalues", np.full((5, 4, 2), np.nan), r"array dynamics\.driven_eig.* no series has"),
        ("dynamics.free_eigenvalues", np.full((5, 4, 2), np.inf), r"array dynamics\.free_eig.* no series has"),
        ("std", np.zeros(2), r"array .* is .*, and should be \[.*channel\]"),
        ("std", np.array([-1.0]), "a standard deviation is negative"),
        ("times", np.array([0.0, 1.0]), r"the time step is 0\.0"),
        ("times", np.array([0.2, 1e300]), r"the period is 1e\+300"),
        ("times", np.zeros(3), r"array times is \[3\], and should be \[2\]"),
        ("valid_threshold", np.zeros(1), r"the threshold is 0\.0"),
        ("more", np.zeros(3), "array more is missing or unknown"),
    ],
)  # fmt: skip
def test_wrong_evidence_gets_one_message(here: Path, name: str, value: np.ndarray, message: str):
    run = make_run()
    run.write_arrays("evaluation.safetensors", make_evidence(steps=30).arrays() | {name: value})
    with pytest.raises(RunFileError, match=f"is damaged or of another version: {message}"):
        read_evidence(run)


@pytest.mark.parametrize(
    "facts",
    [
        {"seconds": 10**400}, {"seconds": -1}, {"seconds": True}, {"seconds": "1"},
        {"resumed": {}}, {"resumed": [1]}, {"name": 3}, {"status": ["finished"]}, {"updates": 1.5},
        {"updates": -1}, {"refine_iterations": None},
    ],
)  # fmt: skip
def test_wrong_facts_get_one_message(here: Path, facts: dict[str, Any]):
    run = make_run()
    (run.path / "run.json").write_text(json.dumps(facts))
    key = next(iter(facts))
    with pytest.raises(RunFileError, match=rf"run\.json: is damaged: (not JSON|{key}.*, got)"):
        run.read_facts()


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', "[1]", "\ufeff{}"]
)
def test_json_that_cannot_be_written(here: Path, text: str):
    """JSON that could not be written again is refused."""
    run = make_run()
    (run.path / "run.json").write_text(text)
    with pytest.raises(RunFileError, match=r"run\.json: is damaged: not "):
        run.read_facts()


# Paths stay inside.


@pytest.mark.parametrize("command", [["plot", "--figure", "loss"], ["resume"]])
def test_figures_that_are_a_link(sinernn, stranger: Run, command: list[str]):
    """What the link leads to is neither written nor removed."""
    Path("outside").mkdir()
    Path("outside/loss.png").write_text("mine")
    (stranger.path / "figures").symlink_to(Path("outside").absolute())
    outcome = sinernn(command[0], stranger.path, *command[1:])
    assert (outcome.code, outcome.err) == (
        1, "stranger/figures: is a link out of the run directory; remove it\n",
    )  # fmt: skip
    assert Path("outside/loss.png").read_text() == "mine"


@pytest.mark.parametrize("link", ["evaluations", "evaluations/some"])
def test_evaluations_that_are_a_link(sinernn, stranger: Run, link: str):
    """What the link leads to is not written."""
    Path("outside").mkdir()
    (stranger.path / link).parent.mkdir(exist_ok=True)
    (stranger.path / link).symlink_to(Path("outside").absolute())
    outcome = sinernn("eval", stranger.path, "--name", "some")
    assert (outcome.code, outcome.err) == (
        1, f"stranger/{link}: is a link out of the run directory; remove it\n",
    )  # fmt: skip
    assert not list(Path("outside").iterdir())


def test_checkpoints_that_are_a_link(sinernn, stranger: Run):
    """What the link leads to is not written."""
    shutil.move(stranger.path / "checkpoints", "outside")
    (stranger.path / "checkpoints").symlink_to(Path("outside").absolute())
    before = {path: path.stat().st_mtime_ns for path in Path("outside").iterdir()}
    outcome = sinernn("resume", stranger.path)
    assert outcome.err == "stranger/checkpoints: is a link out of the run directory; remove it\n"
    assert {path: path.stat().st_mtime_ns for path in Path("outside").iterdir()} == before


def test_file_that_is_a_link(sinernn, stranger: Run):
    """The link is replaced, and what it leads to stays."""
    for name in ("run.json", "evaluation.json", "metrics.csv", "config.yaml"):
        shutil.move(stranger.path / name, f"outside-{name}")
        (stranger.path / name).symlink_to(Path(f"outside-{name}").absolute())
    before = {path: path.read_bytes() for path in Path().glob("outside-*")}
    assert sinernn("resume", stranger.path, "--no-figures").code == 0
    assert {path: path.read_bytes() for path in Path().glob("outside-*")} == before
    assert not (stranger.path / "run.json").is_symlink()


@pytest.mark.parametrize("is_link", [True, False])
def test_latest_leads_to_a_neighbour_alone(stranger: Run, is_link: bool):
    Path("runs").mkdir()
    if is_link:
        Path("runs/latest").symlink_to("../stranger")
    else:
        Path("runs/latest").write_text("../stranger\n")
    with pytest.raises(RunNotFoundError, match="runs/latest: no such run; there are none in runs"):
        open_run("latest")


NASTY_NAMES = [
    "a b", "it's", 'say "hi"', "a\nb", "\U0001f600", "x" * 200, "\U0001f600" * 200, "..", ".", "/etc/passwd", "../../up",
    "a/../b", "C:\\x", "-rf", "~", "$HOME", "`id`", "a\0b", "\x1b[31m", "\u202eabc", "CON", "nul.txt", " ", "...", "%s{0}",
    "Größe", "\u0301", "a" * 79 + "ß",
]  # fmt: skip


@pytest.mark.parametrize("name", NASTY_NAMES, ids=ascii)
def test_any_name_becomes_one_folder_inside(here: Path, name: str):
    Path("a.yaml").write_text(f"name: {json.dumps(name)}\n")
    config = load_config("a.yaml")
    assert config.name == name
    run = create_run(Path("runs"), config.name, now=NOON, files={"run.json": b"{}"})
    assert run.path.parent == Path("runs")
    assert run.path.name.startswith("20261124-120005-")
    assert run.path.name.isprintable()
    assert len(os.fsencode(run.path.name)) < 120
    assert open_run("latest").path.name == run.path.name


def test_half_a_character_is_no_name(here: Path):
    Path("a.yaml").write_text('name: "\\ud800"\n')
    with pytest.raises(
        ConfigError, match=r"^a\.yaml:1:7: invalid character escape; write"
    ) as caught:
        load_config("a.yaml")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "stem", ["a b", "it's", "a\nb", "\U0001f600", "x" * 200, "...", "-rf", "\x1b[31m", "\udcff"]
)
def test_a_config_file_may_have_any_name(sinernn, stem: str):
    path = Path(f"{stem}.yaml")
    path.write_text("seed: 1\n")
    shown = sinernn("config", "validate", "--", path)
    assert (shown.code, shown.err) == (0, "")
    assert "\x1b" not in shown.out
    assert len(shown.out.splitlines()) == 1


@pytest.mark.parametrize(
    "name", ["x" * 300, "a\0b", "\udcff", "a\nb", "/", "..", ".", ""], ids=ascii
)
def test_what_cannot_be_a_run_is_told_in_one_line(here: Path, name: str):
    make_run()
    with pytest.raises(SinernnError, match=r"no such run|is not a run directory") as caught:
        open_run(name)
    assert str(caught.value).isprintable()


def test_no_message_holds_what_a_file_says_raw(sinernn, stranger: Run):
    shutil.move(stranger.path, "x\x1b[31m")
    for name, text in {
        "run.json": '{"status": "\x1b[31m"}',
        "metrics.csv": "phase,\x1b[31m\n1,2",
    }.items():
        Path("x\x1b[31m", name).write_text(text)
        for command in ("resume", "plot", "verify"):
            outcome = sinernn(command, "x\x1b[31m")
            assert outcome.code in (1, 2)
            assert "\x1b" not in outcome.err + outcome.out


@pytest.mark.parametrize("is_there", [True, False])
def test_lock_that_is_a_link(here: Path, is_there: bool):
    """It is refused, and what it leads to stays."""
    run = experiment.train(tiny(), figures=False).run
    victim = here / "victim"
    if is_there:
        victim.write_text("mine")
    (run.path / ".lock").unlink()
    (run.path / ".lock").symlink_to(victim)
    with pytest.raises(RunFileError, match=r"\.lock: is a link out of the run directory; remove"):
        experiment.resume(run)
    assert victim.exists() == is_there
    assert not is_there or victim.read_text() == "mine"

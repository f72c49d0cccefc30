"""A full or broken disk, folders that vanish, odd names, a clock that jumps: told, and survived."""

import errno
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import kills
from campaign import stride
from commands import COMMAND, Outcome, run, run_shell
from examples import NOON, TINY, Watching, tiny
from faults import FAULTS, Calls
from sinernn import engines, experiment
from sinernn.checkpointing import Checkpointer, Position, find_position
from sinernn.engines import EngineChoice
from sinernn.errors import RunFileError
from sinernn.preparation import Experiment, prepare
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint, checkpoint_bytes
from sinernn.runs.directory import LATEST, create_run, open_run
from sinernn.runs.facts import RunFacts
from sinernn.runs.files import write_atomically
from sinernn.training import Record

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="a child is forked to be killed")


def test_calls_of_writing_a_file(here: Path):
    """These calls of the system write a file.

    None is hidden in a buffer, so that the tests below meet them all.
    """
    with Calls(here) as calls:
        write_atomically(Path("a"), b"content")
    assert calls.names == [
        "open", "write", "fsync", "close", "replace",
        "open", "fsync", "close",  # of the folder, which holds the name
        "unlink",  # of the temporary name, which is gone
    ]  # fmt: skip


def test_short_write_goes_on(here: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that takes a part of the bytes is asked to take the rest."""
    whole = os.write
    monkeypatch.setattr(os, "write", lambda to, content: whole(to, content[:3]))
    write_atomically(Path("a"), b"0123456789")
    assert Path("a").read_bytes() == b"0123456789"


SAVED = ("training.schedule=constant", "training.log_every=100", "engine=fused")


class Saving:
    """A run with a checkpoint of update 10, about to save that of 13, which is its end.

    Of both there are snapshots.
    """

    def __init__(self) -> None:
        config = tiny("training.steps=13", *SAVED)
        self.experiment: Experiment = prepare(config)
        network = self.experiment.network
        state = network.initial_state(config.seed, batch_size=config.windows.batch_size)
        self.start = Checkpoint(
            network, state, self.experiment.scale, state.hidden.ravel()[:0], None
        )
        engine = engines.build(
            EngineChoice("fused", "cpu"), network, state, self.experiment.objective
        )
        self.run: Run = create_run(Path("runs"), "a", now=NOON, files={"run.json": b"{}"})
        position = Position(self.start, [])
        self._checkpointer = Checkpointer(self.run, self.experiment, engine, position, RunFacts())
        self._records: Iterator[Record] = experiment._records(self._checkpointer)
        self._go_to(10)

    def _go_to(self, step: int) -> None:
        for record in self._records:
            self._checkpointer.save(record, at_once=False)
            if record.step >= step:
                return

    def save(self) -> None:
        self._go_to(13)

    def updates(self) -> int:
        """How many the checkpoint has seen that training would go on from; all files are whole."""
        with self.run.held():
            position = find_position(self.experiment, self.run, self.start)
        assert self.run.best_checkpoint()[0] == "best"
        return position.checkpoint.state.updates

    def leftovers(self) -> list[str]:
        return [path.name for path in self.run.path.rglob(".*") if path.name != ".lock"]


def calls_of_saving() -> list[str]:
    saving = Saving()
    with Calls(saving.run.path) as calls:
        saving.save()
    shutil.rmtree("runs")
    return calls.names


def test_files_of_a_checkpoint(in_memory: Path):
    """Six files are replaced: the best set aside, the best, metrics, snapshots, last and model."""
    assert calls_of_saving().count("replace") == 6
    saving = Saving()
    saving.save()
    assert saving.updates() == 13


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "kill"])
def test_failed_call_while_saving(in_memory: Path, fault: str):
    """Whichever call fails, a whole checkpoint is left, and there is one message."""
    told = []
    for at, call in enumerate(calls_of_saving()):
        if fault == "short" and call != "write":
            continue
        saving = Saving()
        with Calls(saving.run.path, at=at, fault=fault):
            try:
                saving.save()
            except RunFileError as error:
                told.append(str(error))
        if fault != "broken" and call != "unlink":  # with these the temporary name stays
            assert saving.leftovers() == [], f"{fault} at call {at}, {call}"
        assert saving.updates() in (10, 13), f"{fault} at call {at}, {call}"
        assert saving.leftovers() == [], f"{fault} at call {at}, {call}"  # the lock sweeps
        shutil.rmtree("runs")
    assert len(told) >= 5
    place = re.escape(f"{Saving().run.path}{os.sep}")
    for message in told:
        assert re.fullmatch(
            rf"{place}[\w./]+: cannot be (read|written): (No space left on device|Input/output error)",
            message,
        )


@forking
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_killed_while_saving(in_memory: Path):
    """Before whichever call the process is killed, a whole checkpoint is left."""
    seen = []
    for at, call in enumerate(calls_of_saving()):
        saving = Saving()
        pid = os.fork()
        if pid == 0:
            with Calls(saving.run.path, at=at, fault="kill"):
                saving.save()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL, f"at call {at}, {call}"
        seen.append(saving.updates())
        assert saving.leftovers() == [], f"at call {at}, {call}"  # the lock sweeps
        shutil.rmtree("runs")
    assert seen == sorted(seen)
    assert set(seen) == {10, 13}


@forking
@pytest.mark.parametrize("series", kills.SERIES)
@pytest.mark.parametrize("case", kills.SHORT_CASES)
@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "kill"])
def test_failed_call_and_resume(bench: kills.Bench, case: str, series: str, fault: str):
    """The training prints one message, and once resumed it has the bytes of an undisturbed run.

    One call in 178 here; `tests/campaign/kills.py --every-call` takes them all.
    """
    tally = kills.meet_every_call(bench, case + series, fault, stride=stride(178))
    assert tally.failures == []
    assert tally.runs > 0


def in_a_namespace(script: str, folder: Path) -> Outcome:
    """Run a shell script where it can mount what nobody else sees; skip where that is forbidden."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here to mount a disk with")
    words = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c"]
    probe = "mount -t tmpfs -o size=64k none disk"
    (folder / "disk").mkdir()
    tried = run(*words, probe, cwd=folder)
    if tried.code:
        pytest.skip(f"mounting a disk is not permitted here: {tried.err.strip()}")
    whole = f'sinernn() {{ "{COMMAND}" "$@"; }}; tiny="{TINY}"\n{script}'
    return run(*words, whole, cwd=folder)


@forking
@pytest.mark.parametrize("room", [0, 16, 48])
def test_full_disk(bench: kills.Bench, here: Path, room: int):
    """It is reported, and once there is room the run goes on to the same bytes.

    From no room for a folder to none for what eval finds; a file takes 4 kB, a folder none.
    """
    bench.expect("whole")
    script = f"""
        mount -t tmpfs -o size=400k none disk
        head -c $((400 - {room}))k /dev/zero > disk/ballast
        sinernn train "$tiny" --runs-dir disk/runs --quiet --no-figures; echo "ended with $?" >&2
        rm disk/ballast
        run=$(ls -d disk/runs/2* 2> /dev/null)
        if [ -d "$run" ]
        then sinernn resume "$run" --quiet --no-figures
        else sinernn train "$tiny" --runs-dir disk/runs --quiet --no-figures
        fi && cp -r disk/runs runs"""
    outcome = in_a_namespace(script, here)
    assert outcome.code == 0, outcome.err
    told, ended = outcome.err.splitlines()
    assert told.startswith("disk/runs")
    assert "No space left on device" in told
    assert ended == "ended with 1"
    (run,) = kills.runs_in(here)
    assert bench.agrees("whole", run)


@forking
@pytest.mark.parametrize("kilobytes", [2, 16])
def test_file_size_limit(bench: kills.Bench, here: Path, kilobytes: int):
    """It is reported, and without the limit the run goes on to the same bytes.

    A limit of the system's, met in a checkpoint, and in what eval finds.
    """
    bench.expect("whole")
    limited = f'ulimit -f {kilobytes}; exec "{COMMAND}" train "{TINY}" --quiet --no-figures'
    plain = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}  # it writes, too
    done = run_shell(limited, env=plain)
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "File too large" in done.err
    tally = kills.Tally()
    bench.finish("whole", here, tally, done.err)
    assert tally.failures == []


def test_read_only_disk(here: Path):
    """A run can still be evaluated; nothing else works, and each command says so."""
    script = """
        mount -t tmpfs none disk
        sinernn train "$tiny" --runs-dir disk/runs --quiet --no-figures > /dev/null || exit 9
        mount -o remount,ro disk
        for words in "train $tiny --runs-dir disk/runs" "resume disk/runs/latest training.steps=20" \
            "plot disk/runs/latest" "eval disk/runs/latest"
        do sinernn $words > out; echo "ended with $?, $(grep -c ahead out) tables" >&2
        done"""
    outcome = in_a_namespace(script, here)
    train, one, resume, two, plot, three, evaluate, four = outcome.err.splitlines()
    assert train == (
        "disk/runs: cannot hold a run directory: Read-only file system; choose another --runs-dir"
    )
    assert resume.endswith("-tiny/.lock: cannot be locked: Read-only file system")
    assert plot.endswith("figures/overview.png: cannot be written: Read-only file system")
    assert evaluate.endswith("evaluation.safetensors: cannot be written: Read-only file system")
    assert [one, two, three, four] == [*["ended with 1, 0 tables"] * 3, "ended with 1, 1 tables"]


def test_an_output_without_room_is_told(installed: Callable[..., Outcome], here: Path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    words = f'"{COMMAND}" train "{TINY}" --quiet --no-figures > /dev/full'
    done = run_shell(words)
    assert done.err == "the output: No space left on device; everything saved so far is kept\n"
    assert done.code == 1
    assert open_run("latest").read_json("run.json")["status"] == "finished"


def test_progress_on_a_full_device(here: Path):
    """Training goes on when its progress cannot be written."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    words = f'"{COMMAND}" train "{TINY}" --no-figures 2> /dev/full'
    done = run_shell(words)
    assert done.code == 0
    assert "one step ahead" in done.out


def train_until(step: int, what: Callable[[Run], None], *overrides: str) -> Run:
    """Train, and let something happen to the run at a record; return the run."""
    runs: list[Run] = []

    def happen(record: object) -> None:
        if isinstance(record, Record) and record.step == step:
            what(runs[0])

    watch = Watching(start=lambda run: runs.append(run), record=happen)
    experiment.train(tiny("training.log_every=1", *overrides), figures=False, observers=[watch])
    return runs[0]


def test_run_deleted_during_training(here: Path):
    """It is reported, and the directory is not made again."""
    with pytest.raises(RunFileError, match=r"runs/.*: cannot be written: No such file"):
        train_until(7, lambda run: shutil.rmtree(run.path))
    assert [path.name for path in Path("runs").iterdir()] == [LATEST]


def test_working_folder_deleted(here: Path, monkeypatch: pytest.MonkeyPatch):
    """A working folder that vanishes during training is reported."""
    (here / "gone").mkdir()
    monkeypatch.chdir(here / "gone")
    with pytest.raises(RunFileError, match=r"runs/.*: cannot be written: No such file"):
        train_until(7, lambda _: shutil.rmtree(here / "gone"))
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train {tiny}", "runs: cannot hold a run directory: No such file or directory; choose "
                         "another --runs-dir"),
        ("resume latest", "runs/latest: no such run; there are none in runs"),
    ],
)  # fmt: skip
def test_start_in_a_deleted_folder(here: Path, words: str, message: str):
    """A command that starts in a folder that is gone prints one message."""
    command = f'mkdir gone; cd gone; rmdir "$PWD"; exec "{COMMAND}" {words.format(tiny=TINY)}'
    done = run_shell(command)
    assert done.err == f"{message}\n"
    assert done.code in (1, 2)


def test_runs_is_a_file(sinernn: Callable[..., Outcome]):
    """The command says so and leaves the file alone."""
    Path("runs").write_text("mine")
    outcome = sinernn("train", TINY, "--quiet", "--no-figures")
    assert outcome == Outcome(
        1, "", "runs: cannot hold a run directory: File exists; choose another --runs-dir\n"
    )
    assert Path("runs").read_text() == "mine"


class Backwards(datetime):
    """A clock that jumps back by a day at every look."""

    seen = 0

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        cls.seen += 1
        return NOON - timedelta(days=cls.seen)


def test_clock_jumps_back(here: Path, monkeypatch: pytest.MonkeyPatch):
    """No bit changes, and `latest` is the run that was made last."""
    first = experiment.train(tiny(), figures=False)
    monkeypatch.setattr(experiment, "datetime", Backwards)
    second = experiment.train(tiny(), figures=False)
    assert second.run.path.name < first.run.path.name
    assert open_run(LATEST).path.resolve() == second.run.path.resolve()
    assert kills.contents(second.run.path) == kills.contents(first.run.path)
    assert experiment.resume(LATEST, figures=False).scores == first.scores


ODD_NAMES = {
    "spaces": "a b  c ",
    "quotes": """it's "so" `here`""",
    "newline": "one\ntwo",
    "emoji": "sine 🌊 wave",
    "long": "x" * 200,
    "dots": "..",
    "option": "--quiet",
    "latest": "latest",
    "dollar": "$HOME;*?[a]%s{}\\",
}


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_odd_names(sinernn: Callable[..., Outcome], name: str):
    """A run of an odd name, in a folder of that name, is trained, found, resumed, evaluated and drawn."""
    Path("odd.yaml").write_text(f"name: {experiment.to_json(name)}{TINY.read_text()}", "utf-8")
    Path("x").mkdir()  # so that the folder above is ours, too
    folder = Path("x") / name / "runs"
    plain = ("--quiet", "--no-figures")
    assert sinernn("train", "odd.yaml", "--runs-dir", folder, *plain).code == 0
    (run,) = [path for path in folder.iterdir() if path.name != LATEST]
    assert open_run(run).read_json("run.json")["name"] == name
    assert sinernn("resume", run.name, "--runs-dir", folder, *plain).code == 0
    assert sinernn("eval", "latest", "--runs-dir", folder).code == 0
    assert sinernn("plot", run, "--figure", "loss").code == 0


def test_runs_folder_name_too_long(sinernn: Callable[..., Outcome]):
    """A folder name that the file system refuses is reported."""
    outcome = sinernn("train", TINY, "--runs-dir", "x" * 300, "--quiet")
    assert outcome.code == 1
    assert outcome.err == (
        f"{'x' * 300}: cannot hold a run directory: {os.strerror(errno.ENAMETOOLONG)}; "
        "choose another --runs-dir\n"
    )


def test_checkpoint_before_the_fault(in_memory: Path):
    """It reads back as it was.

    What `Saving` is held against: the checkpoint of update 10 is that of a shorter run.
    """
    saved = Saving().run.load_checkpoint("last")
    shorter = tiny("training.steps=10", *SAVED)
    trained = experiment.train(shorter, figures=False).run.load_checkpoint("last")
    assert checkpoint_bytes(saved) == checkpoint_bytes(trained)

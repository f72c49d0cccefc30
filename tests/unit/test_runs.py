import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from examples import NOON, checkpoint_metadata, make_checkpoint, make_run, refining
from sinernn.data.windows import Scale
from sinernn.errors import RunFileError, RunNotFoundError
from sinernn.model.cells import CELLS
from sinernn.runs import files
from sinernn.runs.checkpoints import METADATA_KEY, checkpoint_bytes, load_checkpoint
from sinernn.runs.directory import create_run, open_run
from sinernn.runs.files import flush_tree, write_atomically
from sinernn.training import Record


def test_a_run_is_named_by_utc_time_and_name(here: Path):
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    assert make_run(now=east).path == Path("runs/20261124-120005-a")


def test_runs_of_the_same_second(here: Path):
    """Each gets a folder of its own."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: make_run(), range(20)))
    assert len({run.path for run in made}) == 20
    assert all((run.path / "run.json").exists() for run in made)
    assert open_run("latest").path.name in {run.path.name for run in made}


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("a b/c", "a-b-c"), ("../up", "up"), ("..", "run"), ("Größe", "Größe"),
        ("a, size=24, rate=1e+5, offset=-1", "a-size=24-rate=1e+5-offset=-1"),
        ("x" * 200, f"{'x' * 71}-aa20c23e"),
        ("a, size=24, " + "y" * 60 + ", rate=0.001", f"a-size=24-{'y' * 60}-e80ea7e4"),
    ],
)  # fmt: skip
def test_a_name_becomes_one_safe_folder(here: Path, name: str, folder: str):
    path = make_run(name=name).path
    assert path == Path(f"runs/20261124-120005-{folder}")
    assert not folder.isascii() or shlex.quote(str(path)) == str(path)  # no shell needs quotes


def test_latest_is_a_relative_link_to_the_newest(here: Path):
    make_run()
    second = make_run(name="b")
    assert str(Path("runs/latest").readlink()) == second.path.name
    assert open_run("runs/latest").path.resolve() == second.path.resolve()


def test_latest_without_links(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Where links cannot be made, `latest` is a text file."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    make_run()
    second = make_run(name="b")
    assert Path("runs/latest").read_text(encoding="utf-8") == f"{second.path.name}\n"
    assert open_run("runs/latest").path == second.path
    assert [path.name for path in Path("runs").iterdir() if path.name.startswith(".")] == []


def test_open_run(here: Path):
    """A run is found by its folder, its name and `latest`, also without the link."""
    first = make_run()
    second = make_run(name="b", now=NOON + timedelta(seconds=1))
    assert open_run(first.path).path == first.path
    assert open_run(first.path.name).path == first.path
    assert open_run("latest").path.resolve() == second.path.resolve()
    Path("runs/latest").unlink()
    assert open_run("latest").path == second.path
    assert open_run("runs/latest").path == second.path
    assert open_run("latest", runs_dir=here / "runs").path == here / "runs" / second.path.name


def test_dangling_latest(here: Path):
    """It gives the newest run that there is."""
    first = make_run()
    second = make_run(name="b", now=NOON + timedelta(seconds=1))
    second.path.rename("elsewhere")
    assert open_run("latest").path == first.path
    assert open_run("elsewhere").path == Path("elsewhere")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("nothing", "runs/nothing: no such run; the newest in runs is 20261124-120005-a"),
        ("runs", "runs/runs: no such run; the newest in runs is 20261124-120005-a"),
        (".", "is not a run directory: it has no run.json"),
        ("runs/../runs", "is a folder of runs; name one, such as runs/../runs/20261124-120005-a"),
    ],
)
def test_no_such_run(here: Path, run: str, message: str):
    """The message names the newest run that there is."""
    make_run()
    with pytest.raises(RunNotFoundError, match=message):
        open_run(run)


def test_wrong_text_latest(here: Path):
    """It gives the newest run that there is."""
    run = make_run()
    Path("runs/latest").unlink()
    for content in (b"lost\n", b"", b"\xff\xfe", b"../../etc\n"):
        Path("runs/latest").write_bytes(content)
        assert open_run("latest").path == run.path


def test_a_name_that_no_file_can_have_is_no_run(here: Path):
    with pytest.raises(RunNotFoundError, match="no such run"):
        open_run("x" * 300)


def test_latest_is_a_folder(here: Path):
    """It is reported before anything is made."""
    Path("runs/latest").mkdir(parents=True)
    with pytest.raises(RunFileError, match="runs/latest: is a folder, but a link needs this name"):
        make_run()
    assert [path.name for path in Path("runs").iterdir()] == ["latest"]


@pytest.mark.parametrize(
    ("status", "way_out"), [("diverged", "choose another"), ("finished", "train it again with")]
)
def test_run_without_a_network(here: Path, status: str, way_out: str):
    """The message gives the run's status."""
    files = {"run.json": f'{{"status": "{status}"}}'.encode()}
    run = create_run(Path("runs"), "a", now=NOON, files=files)
    with pytest.raises(
        RunFileError, match=f"has saved no network, its status is {status}; {way_out}"
    ):
        run.best_checkpoint()


def test_deleted_run_directory(here: Path):
    """It is not made again."""
    run = make_run()
    (run.path / "run.json").unlink()
    run.path.rmdir()
    for name in ("run.json", "figures/a.png"):
        with pytest.raises(RunFileError, match="cannot be written: No such file or directory"):
            run.write(name, b"")
    assert not run.path.exists()


def test_without_any_run_the_message_says_so(here: Path):
    with pytest.raises(RunNotFoundError, match="runs/latest: no such run; there are none in runs"):
        open_run("latest")


def test_a_runs_folder_that_is_a_file_is_told(here: Path):
    Path("runs").write_text("")
    with pytest.raises(
        RunFileError, match="runs: cannot hold a run directory: File exists; choose another"
    ):
        make_run()


def test_failed_write(here: Path, monkeypatch: pytest.MonkeyPatch):
    """It leaves the old file and nothing else."""
    write_atomically(Path("a"), b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunFileError, match="a: cannot be written: No space left on device"):
        write_atomically(Path("a"), b"new")
    assert Path("a").read_bytes() == b"old"
    assert list(here.iterdir()) == [here / "a"]


def test_metrics_read_back_to_the_bit(here: Path):
    run = make_run()
    records = [
        Record(5, np.array([0.1, 0.2, 1 / 3]), 0.003, is_row=True, is_checkpoint=False),
        Record(10, np.array([1e-30]), 1e-5, is_row=True, is_checkpoint=True, closed_loop_rmse=0.7),
        Record(12, np.array([2.0]), 0.0, is_row=True, is_checkpoint=True, closed_loop_rmse=np.inf),
    ]
    run.write_metrics(record.metrics for record in records)
    text = (run.path / "metrics.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == "phase,step,loss,learning_rate,closed_loop_rmse,stage,damping"
    assert text.splitlines()[2] == "training,10,1e-30,1e-05,0.7,,"
    metrics = run.read_metrics()
    np.testing.assert_array_equal(metrics["loss"], [r.loss for r in records])
    np.testing.assert_array_equal(metrics["closed_loop_rmse"], [np.nan, 0.7, np.inf])


@pytest.mark.parametrize("text", ["", "phase,step\ntraining,1\n", "phase,step,loss,learning_rate,"
                                  "closed_loop_rmse\ntraining,1,x,0,0\n"])  # fmt: skip
def test_damaged_metrics_are_told(here: Path, text: str):
    run = make_run()
    run.write("metrics.csv", text.encode())
    with pytest.raises(RunFileError, match=r"metrics.csv: (is damaged|has no rows)"):
        run.read_metrics()


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_damaged_json_is_told(here: Path, text: str):
    run = make_run()
    (run.path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(RunFileError, match=r"run.json: is damaged: not"):
        run.read_json("run.json")


@pytest.mark.parametrize("inputs", [0, 1])
@pytest.mark.parametrize("cell", CELLS)
def test_a_checkpoint_reads_back_to_the_bit(here: Path, cell: str, inputs: int):
    run, checkpoint = make_run(), make_checkpoint(cell, inputs=inputs)
    run.save_checkpoint("last", checkpoint)
    read = run.load_checkpoint("last")
    assert checkpoint_bytes(read) == checkpoint_bytes(checkpoint)
    assert read.network == checkpoint.network
    assert read.state.updates == 17
    np.testing.assert_array_equal(read.scale.std, checkpoint.scale.std)
    np.testing.assert_array_equal(read.losses, checkpoint.losses)


def test_best_else_last(here: Path):
    """The best checkpoint is taken, else the last."""
    run = make_run()
    run.save_checkpoint("last", make_checkpoint(seed=1))
    assert run.best_checkpoint()[0] == "last"
    run.save_checkpoint("best", make_checkpoint(seed=2))
    name, best = run.best_checkpoint()
    assert name == "best"
    assert checkpoint_bytes(best) == checkpoint_bytes(make_checkpoint(seed=2))


def test_the_model_file_holds_the_weights_alone(here: Path):
    run, checkpoint = make_run(), make_checkpoint()
    run.save_model(checkpoint)
    weights = load((run.path / "model.safetensors").read_bytes())
    assert sorted(weights) == sorted(checkpoint.network.shapes)


def damage(content: bytes, how: str) -> bytes:
    tensors = load(content)
    metadata = checkpoint_metadata(content)
    match how:
        case "empty":
            return b""
        case "truncated":
            return content[:-7]
        case "not safetensors":
            return b"PK" + content
        case "huge header":
            return (2**60).to_bytes(8, "little") + content[8:]
        case "foreign":
            return save(tensors, {"a": "b"})
        case "missing tensor":
            del tensors["adam.first_moment.readout.bias"]
        case "wrong shape":
            tensors["readout.bias"] = np.zeros(3, "float32")
        case "wrong type":
            tensors["rnn.bias_hh_l1"] = tensors["rnn.bias_hh_l1"].astype("float64")
        case "wrong hidden":
            tensors["hidden"] = np.zeros((1, 2, 2, 3), "float32")
        case "flat hidden":
            tensors["hidden"] = np.zeros(3, "float32")
        case "unknown cell":
            metadata = metadata.replace('"lstm"', '"os.system"')
        case "future":
            metadata = metadata.replace('"format": 1', '"format": 9')
        case "no outputs":
            metadata = metadata.replace('"dtype"', '"inputs": 2, "dtype"')
        case "no json":
            metadata = metadata[:-1]
    return save(tensors, {METADATA_KEY: metadata})


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("empty", "is damaged"),
        ("truncated", "is damaged"),
        ("not safetensors", "is damaged"),
        ("huge header", "is damaged"),
        ("foreign", "is not a checkpoint of sinernn"),
        ("no json", "is not a checkpoint of sinernn"),
        ("future", "has format 9, this sinernn reads 1; upgrade it"),
        ("missing tensor", "is damaged: adam.first_moment.readout.bias is missing"),
        ("wrong shape", r"is damaged: readout.bias is float32\[3\], not the network's"),
        ("wrong type", r"is damaged: rnn.bias_hh_l1 is float64\[12\]"),
        ("wrong hidden", r"is damaged: hidden is float32\[1, 2, 2, 3\], not the network's"),
        ("flat hidden", r"is damaged: hidden is float32\[3\], not the network's"),
        (
            "no outputs",
            r"is damaged: adam.first_moment.readout.bias is float32\[2\], not the network's",
        ),
        ("unknown cell", r"is damaged: network.cell: Input should be .*, got 'os.system'"),
    ],
)
def test_a_damaged_checkpoint_gets_one_message(here: Path, how: str, message: str):
    path = Path("x.safetensors")
    path.write_bytes(damage(checkpoint_bytes(make_checkpoint()), how))
    with pytest.raises(RunFileError, match=f"x.safetensors: {message}"):
        load_checkpoint(path)


def test_a_missing_checkpoint_is_told(here: Path):
    with pytest.raises(RunFileError, match=r"last.safetensors: is missing"):
        make_run().load_checkpoint("last")


@pytest.mark.parametrize("best_error", [0.25, np.inf])
def test_refine_state_reads_back(here: Path, best_error: float):
    """The position of refinement reads back as it was."""
    theta = np.arange(float(make_checkpoint().network.parameter_count))
    checkpoint = refining(theta, best_error)
    Path("x.safetensors").write_bytes(checkpoint_bytes(checkpoint))
    again = load_checkpoint(Path("x.safetensors"))
    assert checkpoint_bytes(again) == checkpoint_bytes(checkpoint)
    assert again.state.refine.best_error == best_error
    np.testing.assert_array_equal(again.state.refine.theta, theta)


def test_refine_state_of_another_size(here: Path):
    """It is damage."""
    Path("x.safetensors").write_bytes(checkpoint_bytes(refining(np.zeros(3))))
    with pytest.raises(
        RunFileError, match=r"refine\.best_theta is float64\[3\], not the network's"
    ):
        load_checkpoint(Path("x.safetensors"))


def test_a_scale_of_another_size_is_damage(here: Path):
    checkpoint = make_checkpoint()
    path = Path("x.safetensors")
    path.write_bytes(checkpoint_bytes(replace(checkpoint, scale=Scale(np.ones(3), np.ones(3)))))
    with pytest.raises(RunFileError, match="is damaged: scale"):
        load_checkpoint(path)


def test_a_folder_that_cannot_be_listed(here: Path):
    """It is not taken for one that is on the disk."""
    with pytest.raises(RunFileError, match="gone: cannot be flushed to the disk: No such file"):
        flush_tree(Path("gone"))

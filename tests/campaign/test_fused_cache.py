"""Compiled kernels on disk: a second process starts at once, and nothing harms the files."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from commands import run_python
from examples import REPOSITORY
from sinernn.engines.fused import cache
from sinernn.engines.fused.cache import KernelFile, MachineCode
from sinernn.model.cells import CELLS, Cell

POOL = ThreadPoolExecutor(3)  # of threads that wait for processes

posix_only = pytest.mark.skipif(os.name != "posix", reason="about owners and modes")

SCRIPT = """
import numpy as np
from sinernn import compilation
from sinernn.engines import Objective
from sinernn.engines.fused.engine import FusedEngine
from sinernn.model.network import Network
network = Network("rnn_tanh", 1, HIDDEN, 1, "float32")
state = network.initial_state(0, batch_size=1)
engine = FusedEngine(network, state, Objective(np.ones((9, 1), "float32"), 5, 0, None))
print(bool(compilation.missing(engine.kernel_calls())))
losses = engine.advance(np.zeros((1, 1), int), np.ones((1, 1), bool), np.full(1, 0.1))
print(losses, engine.open_loop(np.ones((1, 3, 1), "float32"), state.hidden).tolist())
"""


def start(
    folder: Path, hidden_size: int = 3, *, source: Path = REPOSITORY / "src"
) -> "Future[str]":
    """A process that trains a little, with its kernels in this folder."""
    changes = {"SINERNN_CACHE_DIR": str(folder), "PYTHONPATH": str(source)}
    # A copy of the sources is not what coverage is about.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    code = SCRIPT.replace("HIDDEN", str(hidden_size))
    return POOL.submit(lambda: run_python(code, env=kept | changes))


def finish(process: "Future[str]") -> tuple[bool, str]:
    """Whether it had to compile, and its numbers."""
    needed, numbers = process.result().splitlines()
    return needed == "True", numbers


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with the kernels of one width, made by one process, and its numbers."""
    folder = tmp_path_factory.mktemp("kernels")
    needed, numbers = finish(start(folder))
    assert needed
    assert len(list(folder.iterdir())) == 2  # advance and run, nothing temporary
    return folder, numbers


def test_a_second_process_finds_the_kernels(kernels: tuple[Path, str]):
    assert finish(start(kernels[0])) == (False, kernels[1])


def test_two_processes_compile_at_once(kernels: tuple[Path, str], tmp_path: Path):
    """They get the same numbers, and each width has kernels of its own."""
    one, same, other = start(tmp_path), start(tmp_path), start(tmp_path, 13)
    assert finish(one)[1] == finish(same)[1] == kernels[1]
    numbers = finish(other)[1]
    assert numbers != kernels[1]
    assert finish(start(tmp_path, 13)) == (False, numbers)
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:1000], lambda content: content[:500] + b"x" + content[501:]],
    ids=["torn", "changed"],
)
def test_a_damaged_kernel_is_compiled_again(
    kernels: tuple[Path, str], tmp_path: Path, damage: Callable[[bytes], bytes]
):
    for file in kernels[0].iterdir():
        (tmp_path / file.name).write_bytes(damage(file.read_bytes()))
    assert finish(start(tmp_path)) == (True, kernels[1])
    assert all(cache.is_whole(file.read_bytes()) for file in tmp_path.iterdir())


def test_no_cache_folder(kernels: tuple[Path, str], tmp_path: Path):
    """Without a folder to write to, kernels are compiled in memory."""
    (tmp_path / "file").touch()
    assert finish(start(tmp_path / "file")) == (True, kernels[1])


def test_an_edit_in_any_module_makes_new_kernels(kernels: tuple[Path, str], tmp_path: Path):
    unneeded = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "src", tmp_path / "src", ignore=unneeded)
    with (tmp_path / "src/sinernn/model/cells.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    shutil.copytree(kernels[0], tmp_path / "kernels")
    assert finish(start(tmp_path / "kernels", source=tmp_path / "src")) == (True, kernels[1])


CODE = MachineCode("entry", ["tanh"], b"\x7fELF\n")


def kernel_file(name: str = "advance", *, sources: Path = cache.HERE) -> KernelFile:
    return KernelFile(name, sources, ["rnn_tanh"], "types")


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's cache folder that is not there yet."""
    monkeypatch.setattr(cache, "user_cache_path", lambda *_, **__: tmp_path / "user" / "sinernn")
    monkeypatch.delenv("SINERNN_CACHE_DIR", raising=False)
    cache.cache_folder.cache_clear()
    yield tmp_path / "user" / "sinernn"
    cache.cache_folder.cache_clear()


def test_the_users_cache_folder_keeps_the_kernels(user: Path):
    assert cache.cache_folder() == user
    assert user.stat().st_mode & 0o777 == 0o700 or os.name != "posix"


def test_where_it_cannot_be_made_there_is_none(user: Path):
    user.parent.touch()  # a file, in which not even root can make a folder
    assert cache.cache_folder() is None


def test_relative_cache_folder(user: Path, monkeypatch: pytest.MonkeyPatch):
    """As of an account without a home: it would depend on the working folder."""
    monkeypatch.setattr(cache, "user_cache_path", lambda *_, **__: Path("~/.cache/sinernn"))
    assert cache.cache_folder() is None


@posix_only
@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_cache_folder_others_may_write_to(user: Path, mode: int):
    """It is passed over.

    As the package's is under the umask 002.
    """
    user.mkdir(parents=True)
    user.chmod(mode)
    assert cache.cache_folder() is None


@posix_only
def test_a_strangers_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    file = kernel_file()
    file.keep(CODE)
    assert file.read() == CODE
    assert file.path
    file.path.chmod(0o664)
    assert file.read() is None
    file.path.chmod(0o644)
    assert file.read() == CODE

    status = os.stat_result((0o100644, 0, 0, 1, os.geteuid() + 1, 0, 1, 0, 0, 0))
    monkeypatch.setattr(os, "fstat", lambda _file: status)
    assert file.read() is None


def test_a_folder_in_a_kernels_place_is_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    file = kernel_file()
    assert file.path
    file.path.mkdir()
    assert file.read() is None
    file.keep(CODE)  # cannot be, and is no error
    assert file.read() is None


def test_kernels_after_an_edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Kernels compiled after an edit of the sources are not stored.

    What is in memory may be of either; and its key is that of what was imported.
    """
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "kernels")
    (tmp_path / "kernels").mkdir()
    sources = tmp_path / "sources"
    shutil.copytree(cache.HERE, sources, ignore=shutil.ignore_patterns("__pycache__"))
    before = kernel_file(sources=sources)
    (sources / "kernels.py").write_text("# edited\n", encoding="utf-8")
    after = kernel_file(sources=sources)
    assert after.path == before.path
    after.keep(CODE)
    assert after.read() is None

    shutil.copy(cache.HERE / "kernels.py", sources)
    after.keep(CODE)
    assert after.read() == CODE


def test_unused_kernels_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What nobody has read for long goes when a kernel is stored."""
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    kernel_file().keep(CODE)
    for name in ("old.kernel", "new.kernel", "old.pyc"):
        (tmp_path / name).touch()
    for path in tmp_path.iterdir():
        if path.name != "new.kernel":
            os.utime(path, (0, 0))
    kernel_file().read()
    kernel_file("run").keep(CODE)
    left = {path.name.split("-")[0] for path in tmp_path.iterdir()}
    assert left == {"advance", "run", "new.kernel", "old.pyc"}


def _other_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "another")


def _other_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "version", lambda _name: "another")


def _numba_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_OPT", "1")


def _numba_settings_file(_monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".numba_config.yaml").write_text("opt: 1\n", encoding="utf-8")


@pytest.mark.parametrize(
    "change", [_other_processor, _other_release, _numba_setting, _numba_settings_file]
)
def test_setting_in_the_cache_key(
    here: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
):
    """What changes the machine code changes the file's name."""
    monkeypatch.setattr(cache, "cache_folder", lambda: here)
    cache._environment.cache_clear()
    before = kernel_file().path
    cache._environment.cache_clear()
    change(monkeypatch)
    assert kernel_file().path != before
    monkeypatch.undo()
    cache._environment.cache_clear()


def test_a_cells_source_in_the_cache_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A kernel of a cell that is defined elsewhere depends on that source, too."""
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    source = tmp_path / "cell.py"
    paths: set[Path | None] = set()
    for text in ("", "# edited\n"):
        source.write_text(text, encoding="utf-8")
        own = type("Own", (Cell,), {"__module__": "own"})
        monkeypatch.setitem(sys.modules, "own", SimpleNamespace(__file__=str(source)))
        monkeypatch.setitem(CELLS, "own", own())
        paths.add(KernelFile("run", cache.HERE, ["own"], "types").path)
    assert len(paths) == 2


def test_interrupt_while_storing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An interrupt while a kernel is written leaves nothing behind."""

    def interrupt(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        kernel_file().keep(CODE)
    assert list(tmp_path.iterdir()) == []

"""Compiled kernels on disk: a second process starts at once, and nothing harms the files."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import REPOSITORY
from sinernn.engines.fused import cache

SCRIPT = """
import numpy as np
from sinernn.engines import Objective
from sinernn.engines.fused.engine import FusedEngine
from sinernn.network import Network
network = Network("rnn_tanh", 1, HIDDEN, 1, "float32")
state = network.initial_state(0, batch_size=1)
engine = FusedEngine(network, state, Objective(np.ones((9, 1), "float32"), 5, 0, None))
print(engine.needs_compiling)
losses = engine.advance(np.zeros((1, 1), int), np.ones((1, 1), bool), np.full(1, 0.1))
print(losses, engine.open_loop(np.ones((1, 3, 1), "float32"), state.hidden).tolist())
"""


def start(folder: Path, hidden_size: int = 3, *, source: Path = REPOSITORY / "src"):
    """A process that trains a little, with its kernels in this folder."""
    changes = {"SINERNN_CACHE_DIR": str(folder), "PYTHONPATH": str(source)}
    # A copy of the sources is not what coverage is about.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.replace("HIDDEN", str(hidden_size))],
        env=kept | changes, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> tuple[bool, str]:
    """Whether it had to compile, and its numbers."""
    needed, numbers = process.communicate()[0].splitlines()
    assert process.returncode == 0
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


def test_each_width_has_kernels_of_its_own_and_two_processes_compile_at_once(
    kernels: tuple[Path, str], tmp_path: Path
):
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


def test_without_a_folder_to_write_kernels_are_compiled_in_memory(
    kernels: tuple[Path, str], tmp_path: Path
):
    (tmp_path / "file").touch()
    assert finish(start(tmp_path / "file")) == (True, kernels[1])


def test_an_edit_in_any_module_makes_new_kernels(kernels: tuple[Path, str], tmp_path: Path):
    unneeded = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "src", tmp_path / "src", ignore=unneeded)
    with (tmp_path / "src/sinernn/engines/fused/cells.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    assert finish(start(kernels[0], source=tmp_path / "src")) == (True, kernels[1])


def test_where_the_package_is_read_only_the_users_cache_folder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "package").touch()  # a file, in which not even root can make a folder
    monkeypatch.setattr(cache, "HERE", tmp_path / "package")
    monkeypatch.setattr(cache, "_user_cache_folder", lambda: tmp_path / "user")
    monkeypatch.delenv("SINERNN_CACHE_DIR", raising=False)
    cache.cache_folder.cache_clear()
    try:
        assert cache.cache_folder() == tmp_path / "user" / "sinernn"
    finally:
        cache.cache_folder.cache_clear()


def test_an_interrupt_while_a_kernel_is_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Kernel:
        def _reduce(self):
            return (np.zeros(3),)

    def interrupt(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.KernelCache("advance", cache.HERE).save_overload((), Kernel())
    assert list(tmp_path.iterdir()) == []

"""Measure the speed of the tutorial's updates: both engines, plain torch, torch.compile, jax and C.

First, all programs must compute the same losses. Then they run in turn for several rounds in one
session, and a Markdown table of medians is printed, as multiples of the C program's time, which is
about the minimum on this processor. Updates are timed on one thread each, in processor time, so
that other load on the machine has little effect. Then 64 networks in parallel on two threads are
timed in wall-clock time.

    python benchmarks/speed.py
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"  # jax: one thread, as the others

import numba
import numpy as np
import torch
import typer

from sinernn import engines, provenance
from sinernn.engines import EngineChoice, Objective
from sinernn.engines.fused.matrices import VECTOR_BYTES
from sinernn.model.network import Network, TrainState

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
import reference_script  # noqa: E402

LEARNING_RATE = 0.01
SIZES = ((16, 49), (16, 490), (64, 49), (256, 49), (512, 49))  # hidden units H, window T
TUTORIAL = (16, 49)
POOL_NETWORKS, POOL_THREADS, POOL_UPDATES = 64, 2, 6000

Run = Callable[[int], tuple[float, list[float]]]
"""(updates) -> (processor seconds per update, first losses); every call starts from scratch."""


@dataclass(frozen=True)
class Task:
    """The tutorial for any width and window: three sines, random windows, carried state."""

    hidden_size: int
    length: int

    @property
    def network(self) -> Network:
        """The network to train."""
        return Network("rnn_tanh", 1, self.hidden_size, 1, "float32")

    @property
    def samples(self) -> np.ndarray:
        """[3 (T + 1)], each start's samples in turn."""
        time_steps = np.arange(3)[:, None] + np.arange(self.length + 1) * 10 / 49
        return np.sin(time_steps).astype("float32").ravel()

    def choices(self, updates: int) -> np.ndarray:
        """Return the index of each update's sine."""
        return np.random.default_rng(0).integers(0, 3, updates)

    def starts(self, updates: int) -> np.ndarray:
        """Return the first sample of each update's window."""
        return self.choices(updates) * (self.length + 1)

    def state(self, seed: int = 0) -> TrainState:
        """Return the initial state; in the pool, each network has its own seed."""
        return self.network.initial_state(seed, batch_size=1)


def on_engine(name: str) -> Callable[[Task], Callable[..., tuple[float, list[float]]]]:
    """Return a contender: one of the two engines; its run also takes a seed."""

    def prepare(task: Task) -> Callable[..., tuple[float, list[float]]]:
        objective = Objective(task.samples[:, None], task.length, 0, None)

        def run(updates: int, seed: int = 0) -> tuple[float, list[float]]:
            state = task.state(seed)
            engine = engines.build(EngineChoice(name, "cpu"), task.network, state, objective)
            plan = (
                task.starts(updates)[:, None],
                np.zeros((updates, 1), bool),
                np.full(updates, LEARNING_RATE),
            )
            began = time.process_time()
            losses = engine.advance(*plan)
            return (time.process_time() - began) / updates, losses[:20].tolist()

        return run

    return prepare


def plain_torch(task: Task) -> Run | None:
    """Prepare the tutorial's script, which supports only one window length."""
    if task.length != TUTORIAL[1]:
        return None

    def run(updates: int) -> tuple[float, list[float]]:
        starts = task.choices(updates).tolist()
        began = time.process_time()
        losses, _, _ = reference_script.run(task.state().params, starts, torch.float32)
        return (time.process_time() - began) / updates, losses[:20]

    return run


def compiled_torch(task: Task) -> Run | None:
    """Prepare torch.compile of the whole update; longer windows take minutes to compile."""
    if (task.hidden_size, task.length) != TUTORIAL:
        return None

    def loss(params: dict[str, Any], hidden: Any, window: Any) -> tuple[Any, Any]:
        outputs = []
        for t in range(task.length):
            total = window[t] * params["rnn.weight_ih_l0"][:, 0] + params["rnn.bias_ih_l0"]
            hidden = torch.tanh(
                total + params["rnn.weight_hh_l0"] @ hidden + params["rnn.bias_hh_l0"]
            )
            outputs.append(params["readout.weight"] @ hidden + params["readout.bias"])
        return ((torch.cat(outputs) - window[1:]) ** 2).mean(), hidden

    @torch.compile
    def update(params: Any, first: Any, second: Any, hidden: Any, window: Any, rates: Any) -> Any:
        grads, (value, after) = torch.func.grad_and_value(loss, has_aux=True)(
            params, hidden, window
        )
        first = {k: 0.9 * first[k] + 0.1 * grads[k] for k in params}
        second = {k: 0.999 * second[k] + 0.001 * grads[k] ** 2 for k in params}
        params = {
            k: p - rates[0] * first[k] / ((second[k] * rates[1]).sqrt() + 1e-8)
            for k, p in params.items()
        }
        return value, params, first, second, after

    def run(updates: int) -> tuple[float, list[float]]:
        state = task.state()
        params, first, second = (
            {k: torch.tensor(v) for k, v in group.items()}
            for group in (state.params, state.first_moment, state.second_moment)
        )
        hidden, losses = torch.zeros(task.hidden_size), []
        windows = torch.tensor(task.samples).reshape(3, -1)
        steps = np.arange(1, updates + 1)
        rates = torch.tensor(
            np.stack([LEARNING_RATE / (1 - 0.9**steps), 1 / (1 - 0.999**steps)], axis=1)
        ).float()
        choices = task.choices(updates).tolist()
        with torch.no_grad():
            began = time.process_time()
            for k, choice in enumerate(choices):
                value, params, first, second, hidden = update(
                    params, first, second, hidden, windows[choice], rates[k]
                )
                losses.append(value)
            spent = time.process_time() - began
        return spent / updates, [float(value) for value in losses[:20]]

    return run


def with_jax(task: Task) -> Run | None:
    """Prepare jax: a scan over time, unrolled by 7, inside a scan over updates."""
    if find_spec("jax") is None:
        return None
    import jax
    from jax import lax
    from jax import numpy as jnp

    windows = jnp.asarray(task.samples.reshape(3, -1))

    def loss(params: Any, hidden: Any, window: Any) -> Any:
        def step(hidden: Any, x: Any) -> Any:
            total = x * params["rnn.weight_ih_l0"][:, 0] + params["rnn.bias_ih_l0"]
            hidden = jnp.tanh(
                total + params["rnn.weight_hh_l0"] @ hidden + params["rnn.bias_hh_l0"]
            )
            return hidden, (params["readout.weight"] @ hidden + params["readout.bias"])[0]

        after, outputs = lax.scan(step, hidden, window[:-1], unroll=7)
        return jnp.mean((outputs - window[1:]) ** 2), after

    def update(carry: Any, choice: Any) -> Any:
        params, first, second, hidden, k = carry
        (value, after), grads = jax.value_and_grad(loss, has_aux=True)(
            params, hidden, windows[choice]
        )
        k = k + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)
        rate, root = LEARNING_RATE / (1 - 0.9**k), 1 / (1 - 0.999**k)
        params = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v * root) + 1e-8), params, first, second
        )
        return (params, first, second, after, k), value

    scan = jax.jit(lambda carry, choices: lax.scan(update, carry, choices))

    def run(updates: int) -> tuple[float, list[float]]:
        state = task.state()
        groups = jax.tree.map(jnp.asarray, (state.params, state.first_moment, state.second_moment))
        carry = (*groups, jnp.zeros(task.hidden_size), jnp.float32(0))
        choices = jnp.asarray(task.choices(updates))
        scan(carry, choices)[1].block_until_ready()  # compiles for this many updates
        began = time.process_time()
        losses = scan(carry, choices)[1].block_until_ready()
        return (time.process_time() - began) / updates, np.asarray(losses[:20]).tolist()

    return run


def floor_programs(hidden_size: int, folder: Path) -> list[Path]:
    """Build floor.c for a width with each installed compiler; skip compilers that fail."""
    compilers = [name for name in ("gcc", "clang") if shutil.which(name)]
    programs: list[Path] = []
    for compiler in compilers or [name for name in ("cc",) if shutil.which(name)]:
        program = folder / f"floor{hidden_size}-{compiler}"
        flags = ["-O3", "-march=native", "-ffast-math", "-fopenmp", f"-DH={hidden_size}"]
        command = [compiler, *flags, str(HERE / "floor.c"), "-o", str(program), "-lm"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"{compiler} cannot build floor.c:\n{done.stderr}", file=sys.stderr)
        else:
            programs.append(program)
    return programs


def fastest_floor(task: Task, folder: Path) -> Path | None:
    """Return the faster of the compiled C programs; None without a compiler."""

    def seconds(program: Path) -> float:
        updates = 200_000 // task.hidden_size**2 + 20
        return min(run_floor(program, task, updates)["processor_seconds"] for _ in range(5))

    programs = floor_programs(task.hidden_size, folder)
    return min(programs, key=seconds) if len(programs) > 1 else next(iter(programs), None)


def run_floor(program: Path, task: Task, updates: int, networks: int = 1) -> dict[str, Any]:
    """Run the C program and return the results that it prints."""
    parts = [np.array([updates, task.length, networks, task.samples.size], "int32"), task.samples]
    parts.append(task.starts(updates).astype("int32"))
    for seed in range(networks):
        params = task.state(seed).params
        parts += [params["rnn.weight_ih_l0"], params["rnn.weight_hh_l0"].T]
        parts += [params[k] for k in ("rnn.bias_ih_l0", "rnn.bias_hh_l0")]
        parts += [params["readout.weight"], params["readout.bias"]]
    content = program.with_suffix(".input")
    content.write_bytes(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))
    environment = os.environ | {"OMP_NUM_THREADS": str(POOL_THREADS)}
    command = [str(program), str(content)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def in_c(folder: Path) -> Callable[[Task], Run | None]:
    """Return a contender: the C program."""

    def prepare(task: Task) -> Run | None:
        program = fastest_floor(task, folder)
        if program is None:
            return None

        def run(updates: int) -> tuple[float, list[float]]:
            result = run_floor(program, task, updates)
            return result["processor_seconds"] / updates, result["losses"]

        return run

    return prepare


def measure(task: Task, contenders: dict[str, Any], rounds: int) -> dict[str, float]:
    """Return each contender's median time of an update, in seconds.

    Raises:
        AssertionError: The losses disagree.
    """
    runs = {name: prepare(task) for name, prepare in contenders.items()}
    runs = {name: run for name, run in runs.items() if run is not None}
    losses = {name: run(20)[1] for name, run in runs.items()}
    for name, found in losses.items():
        # In float32 the order of a sum changes its last bits, and at this learning rate wide
        # networks soon amplify the difference: so only the first updates are compared.
        np.testing.assert_allclose(found[:5], losses["torch engine"][:5], rtol=2e-3, err_msg=name)
    counts = {
        # jax compiles for one count, so every round uses the same count.
        name: int(np.clip(0.2 / run(20)[0], 20, 6000))
        for name, run in runs.items()
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(run(counts[name])[0])
    return {name: statistics.median(found) for name, found in times.items()}


def table_cell(medians: dict[str, float], name: str) -> str:
    """Return microseconds and, in brackets, the multiple of C; a dash if nothing was timed."""
    if name not in medians:
        return "-"
    seconds, floor = medians[name], medians.get("C")
    ratio = f" ({rounded(seconds / floor)})" if floor and name != "C" else ""
    return rounded(seconds * 1e6) + ratio


def rounded(value: float) -> str:
    """Return three digits, or all digits before the decimal point of a large number."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def pool(folder: Path, rounds: int) -> tuple[float, float | None]:
    """Return the wall-clock seconds of 64 tutorials: fused, and C if it could be compiled."""
    task = Task(*TUTORIAL)
    run, program = on_engine("fused")(task), fastest_floor(task, folder)
    fused: list[float] = []
    floor: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        with ThreadPoolExecutor(POOL_THREADS) as threads:
            list(threads.map(run, [POOL_UPDATES] * POOL_NETWORKS, range(POOL_NETWORKS)))
        fused.append(time.perf_counter() - began)
        if program:
            floor.append(run_floor(program, task, POOL_UPDATES, POOL_NETWORKS)["seconds"])
    return statistics.median(fused), statistics.median(floor) if floor else None


def main(
    rounds: Annotated[int, typer.Option(help="Rounds; medians are printed.", min=1)] = 5,
) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    versions = [f"torch {torch.__version__}", f"numba {numba.__version__}"]
    if find_spec("jax"):
        import jax

        versions.append(f"jax {jax.__version__}")
    processor = provenance.environment().processor
    width = 8 * VECTOR_BYTES
    print(f"{', '.join(versions)}; {processor}, vectors of {width} bits; one thread\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contenders = {
            "C": in_c(folder),
            "fused engine": on_engine("fused"),
            "jax": with_jax,
            "torch.compile": compiled_torch,
            "torch engine": on_engine("torch"),
            "plain torch": plain_torch,
        }
        print("| µs per update (x C) | " + " | ".join(contenders) + " |")
        print("| --- " * (1 + len(contenders)) + "|")
        for hidden_size, length in SIZES:
            medians = measure(Task(hidden_size, length), contenders, rounds)
            cells = [table_cell(medians, name) for name in contenders]
            print(f"| H={hidden_size} T={length} | " + " | ".join(cells) + " |", flush=True)
        if not floor_programs(TUTORIAL[0], folder):
            print("\nC was not measured: no compiler on this system can build floor.c.")

        fused, floor = pool(folder, rounds)
        ratio = f", C {floor:.2f} s ({fused / floor:.2f} x)" if floor else ""
        print(
            f"\n{POOL_NETWORKS} networks, {POOL_UPDATES} updates each, on {POOL_THREADS} "
            f"threads: fused {fused:.2f} s{ratio}"
        )


if __name__ == "__main__":
    typer.run(main)

"""Compile the kernels of a run, on two cores at once if available.

Numba holds the interpreter's lock while it compiles, so using a second core requires a second
process. It compiles its share into the cache on disk, and this process then loads it.
"""

import json
import subprocess
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict

import numpy as np

from sinernn.cores import usable_cores
from sinernn.engines import KernelCall, Objective
from sinernn.engines.fused.shape import Shape
from sinernn.model.network import Network

LONGEST_WAIT = 300  # seconds; a process that takes longer is assumed to hang


def missing(calls: Iterable[KernelCall]) -> list[KernelCall]:
    """Return the calls whose kernels have to be compiled."""
    return [call for call in calls if not call[0].is_ready(*call[1])]


def compile_kernels(network: Network, calls: Sequence[KernelCall]) -> None:
    """Compile kernels: the first and the short ones here, the others in a second process.

    Args:
        network: The network that the kernels compute.
        calls: The `missing` kernels. The first is that of the updates, if it is missing: with the
            short ones, which support all networks, it takes as long as the others together.
    """
    here, others = list(calls[:1]), list[KernelCall]()
    for call in calls[1:]:
        (others if any(isinstance(part, Shape) for part in call[1]) else here).append(call)
    with _compiled_elsewhere(network, [kernel.name for kernel, _ in others]):
        for kernel, arguments in here:
            kernel.prepare(*arguments)
    for kernel, arguments in others:  # loads them; compiles if the second process did not
        kernel.prepare(*arguments)


@contextmanager
def _compiled_elsewhere(network: Network, names: Sequence[str]) -> Generator[None]:
    """Let another process compile kernels meanwhile, and wait for it; ignore its failure."""
    from sinernn.engines.fused.cache import cache_folder

    if not names or cache_folder() is None or usable_cores() < 2 or not sys.executable:
        yield
        return
    process = None
    with suppress(OSError):  # no process could be started
        process = subprocess.Popen(
            # -P: never import from the working folder, which may contain untrusted files.
            [sys.executable, "-P", "-m", "sinernn.compilation"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches only this process, which then ends the other
        )  # fmt: skip
    try:
        if process and process.stdin:
            with suppress(OSError), process.stdin:
                process.stdin.write(json.dumps([asdict(network), list(names)]).encode())
        yield
        if process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(LONGEST_WAIT)
    finally:
        if process and process.poll() is None:
            process.kill()
            process.wait()


def main() -> None:
    """Compile the kernels named on standard input."""
    settings, names = json.load(sys.stdin)
    for kernel, arguments in all_calls(Network(**settings)):
        if kernel.name in names:
            kernel.prepare(*arguments)


def all_calls(network: Network) -> list[KernelCall]:
    """Return calls of every kernel that a run of a network can need."""
    from sinernn.engines.fused.engine import FusedEngine
    from sinernn.engines.fused.linearization import orbit_kernels
    from sinernn.refine.problem import kernel_calls

    objective = Objective(np.zeros((2, network.channels), network.dtype), 1, 0, None)
    engine = FusedEngine(network, network.initial_state(0, batch_size=1), objective)
    refinement = kernel_calls(network) if network.dtype == "float64" else []
    return engine.kernel_calls() + refinement + orbit_kernels(network)


if __name__ == "__main__":
    main()

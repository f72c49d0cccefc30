"""Train the runs of a sweep on a Ray cluster, whose nodes share no disk with this machine.

A run is a plain task of one core. Its data file travels to each node once, its run directory comes
back as bytes. Ray repeats nothing by itself: a run that is lost, with its node or its process, is
submitted again here.
"""

import os
import queue
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sinernn import cores, provenance
from sinernn.data.files import COPIES
from sinernn.errors import SinernnError, UsageError, printable
from sinernn.runs.files import read_bytes, read_tree, reporting_errors, write_tree
from sinernn.sweeps.executor import TRIES, Executor, Trained, given_up, hidden_folder
from sinernn.sweeps.results import RunResult
from sinernn.sweeps.worker import Task, train_task

PATIENCE = 5  # seconds for a cluster's port to answer
LONGEST_PROBE = 60  # seconds; a node that takes longer is checked by its first task
REFRESH = 5  # seconds between two counts of the cluster's cores

START = "start one with: ray start --head"
JOIN = "run this command on one of its nodes, with its RAY_AUTH_TOKEN if it has one"
SAME = "install the same versions on all nodes"
WAYS_OUT = {
    "any running Ray instance": START,
    "multiple active Ray instances": "give the address of one",
    "Version mismatch": SAME,
}
"""By what Ray says if a connection fails; else it is `JOIN`."""


@contextmanager
def connected_to_ray(
    address: str = "auto", *, jobs: int | None = None
) -> Generator[Callable[[Path], Executor]]:
    """Connect to a cluster and check it; yield an `executor` for `sweep` and `resume_sweep`.

    Args:
        address: HOST:PORT of the head node, as `ray start` prints it; auto: the cluster that this
            machine is a node of.
        jobs: Runs at once; default: one for each core that the cluster has by then.

    Raises:
        UsageError: Ray is not installed, there is no such cluster, it has no cores, or packages
            on one of its nodes have other versions, so that results might differ.

    Example:
        >>> from sinernn.sweeps.ray_executor import connected_to_ray
        >>> with connected_to_ray("10.0.0.1:6379") as executor:
        ...     table = sinernn.sweep("tiny.yaml", ["seeds=100"], executor=executor)
    """
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        how = "pip install 'sinernn[ray]'"
        raise UsageError(f"Ray needs an extra; install it with: {how}") from error
    address = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    where = f"Ray cluster {address}"
    if ray.is_initialized():
        raise UsageError(f"{where}: this process is connected to one; call ray.shutdown() first")
    try:
        _connect(ray, address)
        _check_nodes(ray, where)
        yield partial(RayExecutor, ray=ray, jobs=jobs)
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    """Connect this process to a cluster.

    Raises:
        UsageError: That is not possible.
    """
    try:
        if address == "auto":
            with suppress(ImportError, AttributeError):  # it is no public function
                services: Any = import_module("ray._private.services")
                address = services.canonicalize_bootstrap_address(address)
        if address != "auto":
            _check_port(address)
        with _contained():
            ray.init(address, configure_logging=False, logging_level="ERROR", log_to_driver=False)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        # Ray goes on about its own options.
        words = " ".join(str(error).split()).partition(" Please")[0].rstrip(".")
        way_out = next((way for sign, way in WAYS_OUT.items() if sign in words), JOIN)
        raise UsageError(f"Ray cluster {address}: {printable(words, 500)}; {way_out}") from error
    # Of lost nodes Ray prints the logs, to standard output, which is for results.
    with suppress(AttributeError):  # it is no public setting
        ray._private.worker._worker_logs_enabled = False


def _check_port(address: str) -> None:
    """Check that there is a head node; else Ray would try to reach it without end.

    Raises:
        UsageError: There is none.
    """
    where = f"Ray cluster {address}"
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise UsageError(f"{where}: must be auto or HOST:PORT of a head node, as 10.0.0.1:6379")
    try:
        is_ray = _speaks_http2(host.strip("[]"), int(port))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{where}: cannot be reached: {why}; {START}") from error
    if not is_ray:
        raise UsageError(f"{where}: is not the port of a head node, by default 6379; {START}")


def _speaks_http2(host: str, port: int) -> bool:
    """Whether HTTP/2 is spoken there, as by a head node.

    Source:
        RFC 9113, sections 3.4 (the preface) and 6.5 (SETTINGS, frame type 4).

    Raises:
        OSError: Nobody answers.
    """
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
    with socket.create_connection((host, port), timeout=PATIENCE) as connection:
        connection.sendall(preface)
        return connection.recv(4)[3:] == b"\x04"


@contextmanager
def _contained() -> Generator[None]:
    """Keep the handler of SIGTERM, which Ray replaces, and hide the working folder from it.

    Its processes would import from there, where untrusted files may be.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with chdir(os.sep):
            yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _check_nodes(ray: Any, where: str) -> None:
    """Check that the cluster has cores, and the packages of this process on all its nodes.

    Raises:
        UsageError: It has not.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if not nodes:
        raise UsageError(f"{where}: has no cores; add a node with: ray start --address HOST:PORT")
    probe = ray.remote(num_cpus=0, max_retries=0)(_version_reader())
    at = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    asked = [
        probe.options(scheduling_strategy=at(node["NodeID"], soft=False)).remote() for node in nodes
    ]
    ray.wait(asked, num_returns=len(asked), timeout=LONGEST_PROBE)
    hosts: dict[str, list[str]] = {}
    for node, reference in zip(nodes, asked, strict=True):
        with suppress(ray.exceptions.RayError):  # it was lost, or is checked by its first task
            if wrong := _differences(ray.get(reference, timeout=0)):
                hosts.setdefault(wrong, []).append(node["NodeManagerAddress"])
    if hosts:
        found = (f"{wrong} (on {_some(names)})" for wrong, names in hosts.items())
        raise UsageError(f"{where}: {'; '.join(found)}; {SAME}")


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} nodes, as {names[0]}"


def _version_reader() -> Callable[[], dict[str, str]]:
    """Return a function that reads the versions on which the bits of a run depend.

    It is inside another one so that it travels as code: a node may lack sinernn.
    """

    def read_versions() -> dict[str, str]:
        import platform
        from importlib import metadata

        found = {"python": platform.python_version()}
        for name in ("ray", "sinernn", "torch", "numba", "numpy"):
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = "missing"
        return found

    return read_versions


_versions = cache(_version_reader())


def _differences(there: dict[str, str]) -> str:
    """Return in words how versions differ from those of this process; empty if they do not."""
    return ", ".join(
        f"{name} is {there[name]}, and here {here}"
        for name, here in _versions().items()
        if there[name] != here
    )


class RayExecutor:
    """Trains on the cluster that this process is connected to: see `connected_to_ray`."""

    def __init__(self, folder: Path, *, ray: Any, jobs: int | None = None) -> None:
        """Prepare; nothing is sent yet.

        Args:
            folder: Of the sweep.
            ray: The package, connected.
            jobs: See `connected_to_ray`.
        """
        self._folder, self._ray, self._jobs = folder, ray, jobs
        self._train_remotely = ray.remote(num_cpus=1, max_retries=0, num_returns=2)(_train_on_node)
        self._files: dict[str, Any] = {}
        self._flights: set[_Flight] = set()
        self._ended: queue.SimpleQueue[tuple[_Flight, Any]] = queue.SimpleQueue()
        self._cores, self._counted = 0, -REFRESH

    def __enter__(self) -> "RayExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        for flight in self._flights:
            self._ray.cancel(flight.result, force=True)

    def train(self, tasks: Iterable[Task]) -> Iterator[Trained]:
        """Yield runs as they end.

        Raises:
            SinernnError: A node that joined later has other versions, or a file cannot be read or
                written.
        """
        source = iter(tasks)
        while True:
            while len(self._flights) < self._most():
                if (task := next(source, None)) is None:
                    break
                self._submit(_Flight(task))
            if not self._flights:
                return
            # Not by `ray.wait`: a signal would not end it.
            flight, outcome = self._ended.get()
            self._flights.remove(flight)
            if trained := self._landed(flight, outcome):
                yield trained

    def _most(self) -> int:
        """Return how many runs may be in flight: two for each core, so that none is ever idle.

        The second shows a cluster that grows by itself that there is work for more nodes.
        """
        if self._jobs is not None:
            return self._jobs
        if time.monotonic() >= self._counted + REFRESH:
            self._cores = int(self._ray.cluster_resources().get("CPU", 0))
            self._counted = time.monotonic()
        return 2 * max(1, self._cores)

    def _submit(self, flight: "_Flight") -> None:
        flight.tries += 1
        file = self._file(flight.task.config["signal"])
        flight.result, flight.files = self._train_remotely.remote(flight.task, _versions(), file)
        self._flights.add(flight)
        flight.result.future().add_done_callback(partial(self._end, flight))

    def _end(self, flight: "_Flight", outcome: Any) -> None:
        """Note that a run has ended; in a thread of Ray."""
        self._ended.put((flight, outcome))

    def _file(self, settings: dict[str, Any]) -> Any:
        """Return a reference to the data file of a signal, which is read once; None without one."""
        if settings["kind"] != "file":
            return None
        path = Path(settings["path"])
        if str(path) not in self._files:
            with reporting_errors(path, "cannot be read"):
                modified_ns = path.stat().st_mtime_ns
            content = np.frombuffer(read_bytes(path), np.uint8)
            self._files[str(path)] = self._ray.put(
                _DataFile(settings["path"], modified_ns, content)
            )
        return self._files[str(path)]

    def _landed(self, flight: "_Flight", outcome: Any) -> Trained | None:
        """Return a run that has ended; None if it was lost and is trained again."""
        try:
            result = outcome.result()
            files = flight.files.future().result()  # which only now leave the node
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            if isinstance(cause, SinernnError):
                raise cause from None
            if flight.tries < TRIES:
                self._submit(flight)
                return None
            reason = f"was lost {TRIES} times: {type(cause).__name__}: {cause}"
            return given_up(flight.task, self._folder, printable(reason.partition("\n")[0], 400))
        folder = hidden_folder(self._folder, flight.task)
        write_tree(folder, files)
        return Trained(flight.task, result, folder)


@dataclass(eq=False)
class _Flight:
    """A run that was submitted, perhaps again."""

    task: Task
    tries: int = 0
    result: Any = None
    """A reference to what may not be there yet; as `files`."""

    files: Any = None


class _DataFile(NamedTuple):
    """A data file on its way to a node."""

    path: str
    """As the config has it."""

    modified_ns: int
    content: np.ndarray
    """Its bytes: an array is read in a node's shared memory, without a copy."""


def _train_on_node(
    task: Task, versions: dict[str, str], file: _DataFile | None
) -> tuple[RunResult, dict[str, bytes]]:
    """Train a run on a node, in a process that trains one after the other.

    Returns:
        Its result, and the files of its run directory.

    Raises:
        UsageError: The node joined the cluster later, with other versions.
    """
    if versions != _versions():
        there = ", ".join(f"{name} {version}" for name, version in _versions().items())
        raise UsageError(f"Ray node {socket.gethostname()}: has other versions: {there}; {SAME}")
    cores.use_at_most(1)
    provenance.keep_repository()
    with tempfile.TemporaryDirectory(prefix="sinernn-") as name, _placed(file, Path(name)):
        folder = Path(name) / "runs"
        result = train_task(task, folder)
        return result, read_tree(folder)


@contextmanager
def _placed(file: _DataFile | None, folder: Path) -> Generator[None]:
    """Have a data file read from a folder; as old as the original, it is parsed once a process."""
    if file is None:
        yield
        return
    copy = folder / f"data{Path(file.path).suffix}"
    copy.write_bytes(file.content.data)
    os.utime(copy, ns=(file.modified_ns, file.modified_ns))
    COPIES[file.path] = copy
    try:
        yield
    finally:
        del COPIES[file.path]

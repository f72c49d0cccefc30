"""Whatever is done to the files of a run, they are read or refused: one message, little time and memory."""

import io
import json
import re
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from campaign import times
from examples import make_checkpoint, make_evidence, refining, tiny
from fuzzing import (
    JSON_VALUES,
    Mutation,
    config_mutations,
    empty_folder,
    fuzzed,
    in_any_bytes,
    in_tokens,
    json_changes,
    positions,
    read,
)
from sinernn import cli, experiment
from sinernn.errors import RunFileError
from sinernn.plot_run import read_evidence
from sinernn.plotting import FIGURES
from sinernn.runs import METRICS_COLUMNS, Run
from sinernn.runs.checkpoints import METADATA_KEY, checkpoint_bytes, load_checkpoint
from sinernn.runs.files import contiguous, to_json
from sinernn.runs.snapshots import METADATA_KEY as SNAPSHOTS_KEY
from sinernn.runs.snapshots import SNAPSHOTS, Snapshot, load_snapshots, snapshots_bytes

RUN = Run(empty_folder())
CHECKPOINTS = [
    *(checkpoint_bytes(make_checkpoint(cell)) for cell in ("rnn_tanh", "gru", "lstm")),
    checkpoint_bytes(refining(np.arange(float(make_checkpoint().network.parameter_count)))),
]
EVIDENCE = save(contiguous(make_evidence(steps=30, channels=2).arrays()))
NETWORK = make_checkpoint().network
TAKEN = snapshots_bytes(
    NETWORK,
    [
        Snapshot(make_checkpoint(seed=0).state.params, 0),
        Snapshot(make_checkpoint(seed=1).state.params, 20, 1, 1),
    ],
)
METRICS = ",".join(METRICS_COLUMNS) + "\ntraining,5,0.1,0.003,,,\ntraining,10,1e-30,1e-05,0.7,,\n"
METRICS += "refine,0,,,0.7,0,\nrefine,1,0.25,,inf,0,0.001\n"
FACTS = {
    "name": "a", "status": "finished", "seed": 0, "engine": "fused", "device": "cpu",
    "start": {"run": None, "checkpoint": "start"}, "steps": 20, "updates": 20, "seconds": 0.25,
    "resumed": [{"at": "2026-11-24", "changed": {"versions.numpy": ["1", "2"]}}],
    "versions": {"python": "3.13"}, "threads": {"processors": 2},
}  # fmt: skip

DTYPES = ["F64", "F32", "F16", "BF16", "F8_E4M3", "I64", "U8", "BOOL", "C64", "x"]


def in_header(changes: list, *, metadata: str | None, again: bool):
    """Change the header of a safetensors file, and the JSON within its metadata."""

    def mutate(data: bytes) -> bytes:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        if metadata is not None and metadata in header.get("__metadata__", {}):
            inner = json.loads(header["__metadata__"][metadata])
            for change in changes:
                inner = change(inner)
            header["__metadata__"][metadata] = json.dumps(inner)
        else:
            for change in changes:
                header = change(header)
        text = json.dumps(header).encode(errors="surrogatepass")
        if again and isinstance(header, dict):  # lay the arrays out as the header now says
            return (len(text)).to_bytes(8, "little") + text + data[8 + length :]
        return (len(text) + 1).to_bytes(8, "little") + text + b" " + data[8 + length :]

    return mutate


def filled(at: int, value: float):
    """Fill part of the arrays' bytes with a number."""

    def mutate(data: bytes) -> bytes:
        length = int.from_bytes(data[:8], "little") + 8
        start = length + at % max(len(data) - length, 1) // 8 * 8
        count = min(16, (len(data) - start) // 8)
        return data[:start] + np.full(count, value).tobytes() + data[start + 8 * count :]

    return mutate


def arrays_as(name_at: int, dtype: str, shape: list[int]):
    """Give an array another type and shape, and lay out all of them anew."""

    def mutate(data: bytes) -> bytes:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__", None)
        names = list(header)
        widths = {"F64": 8, "I64": 8, "C64": 8, "F32": 4, "F16": 2, "BF16": 2}
        header[names[name_at % len(names)]] |= {"dtype": dtype, "shape": shape}
        end = 0
        for about in header.values():
            size = widths.get(about["dtype"], 1)
            for length_ in about["shape"]:
                size *= length_
            size = min(max(size, 0), 100_000)
            about["data_offsets"] = [end, end + size]
            end += size
        if metadata is not None:
            header["__metadata__"] = metadata
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + bytes(end)

    return mutate


sizes = st.sampled_from([0, 1, 2, 3, 6, 12, 2**31, 2**63, 10**9])
changes = st.lists(json_changes, min_size=1, max_size=2)


def in_safetensors(metadata: str | None) -> st.SearchStrategy:
    """One change of a safetensors file that was whole before."""
    return st.one_of(
        st.builds(in_header, changes, metadata=st.just(metadata), again=st.booleans()),
        st.builds(in_header, changes, metadata=st.none(), again=st.booleans()),
        st.builds(arrays_as, positions, st.sampled_from(DTYPES), st.lists(sizes, max_size=5)),
        st.builds(filled, positions, st.sampled_from([np.nan, np.inf, 1e300, -1.0, 0.0])),
    )


def mutated(data: bytes, within: list, after: list) -> bytes:
    for change in (*within, *after):
        data = change(data)
    return data


@fuzzed
@given(
    st.sampled_from(CHECKPOINTS),
    st.lists(in_safetensors(METADATA_KEY), max_size=1),
    st.lists(in_any_bytes, max_size=2),
)
def test_a_mutated_checkpoint_is_read_or_refused(data: bytes, within: list, after: list):
    path = RUN.path / "x.safetensors"
    path.write_bytes(mutated(data, within, after))
    checkpoint, refused = read(lambda: load_checkpoint(path), RunFileError)
    if refused:
        return
    assert checkpoint.state.is_finite()
    path.write_bytes(checkpoint_bytes(checkpoint))
    assert checkpoint_bytes(load_checkpoint(path)) == checkpoint_bytes(checkpoint)


@fuzzed
@given(
    st.lists(in_safetensors(SNAPSHOTS_KEY), max_size=1),
    st.lists(in_any_bytes, max_size=2),
)
def test_mutated_snapshots_are_read_or_refused(within: list, after: list):
    path = RUN.write(SNAPSHOTS, mutated(TAKEN, within, after))
    found, refused = read(lambda: load_snapshots(path), RunFileError)
    if not refused:
        network, snapshots = found
        RUN.write(SNAPSHOTS, snapshots_bytes(network, snapshots))
        assert load_snapshots(path)[0] == network


@fuzzed
@given(st.lists(in_safetensors(None), max_size=1), st.lists(in_any_bytes, max_size=2))
def test_mutated_evidence_is_read_or_refused(within: list, after: list):
    (RUN.path / "evaluation.safetensors").write_bytes(mutated(EVIDENCE, within, after))
    evidence, refused = read(lambda: read_evidence(RUN), RunFileError)
    assert refused or evidence.arrays()


@fuzzed
@given(changes, st.lists(in_any_bytes, max_size=2))
def test_mutated_facts_are_read_or_refused(changes: list, after: list):
    facts = json.loads(json.dumps(FACTS))
    for change in changes:
        facts = change(facts)
    (RUN.path / "run.json").write_bytes(mutated(json.dumps(facts).encode(), [], after))
    facts, refused = read(RUN.read_facts, RunFileError)
    assert refused or to_json(facts.model_dump()).encode()  # it can be written again


@fuzzed
@given(
    st.lists(
        in_any_bytes
        | st.builds(
            in_tokens, positions, st.sampled_from(list(map(str, JSON_VALUES))) | st.text(max_size=3)
        ),
        max_size=3,
    )
)
def test_mutated_metrics_are_read_or_refused(after: list):
    (RUN.path / "metrics.csv").write_bytes(mutated(METRICS.encode(), [], after))
    found, refused = read(lambda: (list(RUN.metrics_rows()), RUN.read_metrics()), RunFileError)
    if refused:
        return
    rows, columns = found
    RUN.write_metrics(rows)
    again = RUN.read_metrics()
    assert all(np.array_equal(columns[name], again[name], equal_nan=True) for name in columns)


COMMANDS = [
    ["eval"], ["verify", "--quiet"], ["resume", "--quiet", "--no-figures"],
    ["resume", "--quiet", "--no-figures", "training.steps=25"],
    *(["plot", "--figure", name] for name in FIGURES),
]  # fmt: skip


@cache
def trained() -> Path:
    """A run that was stopped after its last update."""
    config = tiny("training.schedule=constant")
    run = experiment.train(config, runs_dir=empty_folder(), figures=False).run
    run.write_json("run.json", run.read_json("run.json") | {"status": "interrupted"})
    return run.path


def in_json_file(changes: list) -> Mutation:
    def mutate(data: bytes) -> bytes:
        value = json.loads(data)
        for change in changes:
            value = change(value)
        return json.dumps(value).encode()

    return mutate


def in_cell(at: int, new: str) -> Mutation:
    def mutate(data: bytes) -> bytes:
        cells = re.split(rb"([,\n])", data)
        cells[at % (len(cells) // 2) * 2] = new.encode()
        return b"".join(cells)

    return mutate


NUMBERS = ["0", "-1", "1e308", "nan", "-inf", "1e-320", "9" * 30, "", "1.5", "2", "refine"]
in_files = st.one_of(
    st.tuples(
        st.sampled_from(["checkpoints/best.safetensors", "checkpoints/last.safetensors"]),
        in_safetensors(METADATA_KEY),
    ),
    st.tuples(st.just("evaluation.safetensors"), in_safetensors(None)),
    st.tuples(st.just("snapshots.safetensors"), in_safetensors(SNAPSHOTS_KEY)),
    st.tuples(st.sampled_from(["run.json", "evaluation.json"]), st.builds(in_json_file, changes)),
    st.tuples(st.just("metrics.csv"), st.builds(in_cell, positions, st.sampled_from(NUMBERS))),
    st.tuples(st.just("config.yaml"), config_mutations),
)


@settings(fuzzed, max_examples=times(20))
@given(in_files, st.sampled_from(COMMANDS))
def test_command_on_a_mutated_run(where: tuple, command: list[str]):
    """It succeeds, or ends in a message."""
    name, change = where
    code, out, told = outcome(name, change, command)
    assert "\x1b" not in out + told
    if code and (told or command[0] != "verify"):  # which tells on stdout that bits differ
        assert told.strip()
        assert len(told.splitlines()) == 1 or name == "config.yaml"


LISTINGS = [
    ["runs"], ["runs", "--json"], ["runs", "--csv", "--sort", "model.hidden_size"],
    ["runs", "--sort", "started", "--where", "seed=0"], ["compare", "UNCHANGED"],
    ["compare", "UNCHANGED", "--json"], ["compare", "UNCHANGED", "--figure", "a.svg"],
]  # fmt: skip


@settings(fuzzed, max_examples=times(60))
@given(
    st.sampled_from(["run.json", "evaluation.json"]),
    st.builds(in_json_file, changes),
    st.sampled_from(LISTINGS),
)
def test_listing_of_a_mutated_run(name: str, change: Mutation, command: list[str]):
    """It is a row like others, or is said to be broken."""
    code, out, told = outcome(name, change, command)
    assert code == 0
    assert "\x1b" not in out + told
    assert len(told.splitlines()) <= 1


def outcome(name: str, change: Mutation, command: list[str]) -> tuple[int, str, str]:
    """Run a command on a run of which one file was changed."""
    run = RUN.path / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(trained(), run)
    (run / name).write_bytes(change((run / name).read_bytes()))
    out, err = io.StringIO(), io.StringIO()
    words = [str(trained()) if word == "UNCHANGED" else word for word in command[1:]]
    words = [str(RUN.path / word) if word == "a.svg" else word for word in words]
    with (
        patch.object(sys, "argv", ["sinernn", command[0], str(run), *words]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit, match=r"^\d?$") as ended,
    ):
        cli.main()
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


@pytest.mark.parametrize("data", CHECKPOINTS)
def test_what_is_mutated_is_a_checkpoint_before(data: bytes):
    (RUN.path / "x.safetensors").write_bytes(data)
    load_checkpoint(RUN.path / "x.safetensors")


def test_files_before_mutation():
    """What is mutated is valid before."""
    (RUN.path / "evaluation.safetensors").write_bytes(EVIDENCE)
    RUN.write_json("run.json", FACTS)
    RUN.write("metrics.csv", METRICS.encode())
    RUN.write(SNAPSHOTS, TAKEN)
    assert len(load_snapshots(RUN.path / SNAPSHOTS)[1]) == 2
    assert read_evidence(RUN).closed_loop.steps == 30
    assert RUN.read_facts().model_dump().items() >= {"updates": 20, "seconds": 0.25}.items()
    assert RUN.read_metrics()["step"].tolist() == [5, 10]

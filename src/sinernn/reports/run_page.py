"""The page of one run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sinernn.config import Config, load_config
from sinernn.data.files import File
from sinernn.display import Table, duration_text, error_text
from sinernn.errors import ConfigError, RunFileError, SinernnError, command_line, printable
from sinernn.evaluation.metrics import counted
from sinernn.evaluation.results import (
    Scores,
    describe_evaluation,
    describe_network,
    describe_one_step,
    divergences,
    findings,
    score_tables,
)
from sinernn.plot_run import drawable_figures, read_story
from sinernn.provenance import Environment
from sinernn.reports.figures import Figures
from sinernn.reports.page import render_page
from sinernn.reports.views import LiveViews
from sinernn.runs import Run
from sinernn.runs.facts import RunFacts
from sinernn.runs.files import is_there, read_bytes
from sinernn.runs.listing import RunRow, read_row

_MOST_CONFIG = 500_000  # bytes, as of a config that is read


def page_of_run(run: Run) -> bytes:
    """Return the page of a run; what the run lacks, the page says.

    Raises:
        SinernnError: run.json or evaluation.json is damaged, or matplotlib cannot be imported.
    """
    facts, row = run.read_facts(), read_row(run)
    scores = run.read_scores() if is_there(run.path / "evaluation.json") else None
    figures = Figures()
    no_figures = _add_figures(run, figures)
    config, no_config = _config(run)
    live = LiveViews([run])
    return render_page(
        "run.html",
        figures=figures,
        live=live,
        title=facts.name or run.path.name,
        lead=_lead(row, facts, scores),
        alerts=list(_alerts(run, row, facts, scores)),
        no_live=next(iter(live.failures.values()), ""),
        scores=scores,
        **({} if scores is None else _results(run, scores)),
        no_figures=no_figures,
        changed=_changed(config) if config else {},
        no_config=no_config,
        config=text_lines(run.config_path),
        commands=_commands(run),
        origin=facts.start,
        data=_data(config, facts),
        environment={name: text for name, text in _training(facts) if text}
        | environment_facts(facts),
    )


def _lead(row: RunRow, facts: RunFacts, scores: Scores | None) -> str:
    if scores and scores.cell:
        return describe_network(scores)
    parts = [row.cell, f"{row.units} units" if row.units else None]
    parts += [f"{facts.parameters} parameters", f"seed {facts.seed}"]
    return ", ".join(filter(None, parts))


def _alerts(run: Run, row: RunRow, facts: RunFacts, scores: Scores | None) -> Iterator[str]:
    """Yield what a reader must know before anything else."""
    done = f"after {facts.updates} of {counted(facts.steps or 0, 'update')}"
    if row.status == "running":
        yield f"Its training goes on: this page shows what was there {done}."
    elif row.status == "interrupted":
        yield f"Its training was interrupted; continue with: {command_line('resume', run.path)}"
    elif row.status == "diverged":
        yield f"Its training diverged at update {facts.diverged_at}."
    elif row.status != "finished":
        yield f"Its training has not ended well: its status is {row.status} {done}."
    if scores is None:
        again = command_line("eval", run.path)
        yield f"It has no scores yet; if it has saved a network, evaluate it with: {again}"
        return
    if scores.dynamics.warning:
        yield f"Warning: {scores.dynamics.warning}."
    diverged = divergences(scores)
    if diverged:
        more = f", and {len(diverged) - 3} more" if len(diverged) > 3 else ""
        yield f"Free runs diverged: {'; '.join(diverged[:3])}{more}."


def _results(run: Run, scores: Scores) -> dict[str, Any]:
    ladder = scores.closed_loop_rmse
    words = scores.skill.words
    verdict = f"{words[0].upper()}{words[1:]}." if words else ""
    if ladder:
        last, unit = ladder[-1], f" {scores.error_unit}" if scores.error_unit else ""
        verdict = (
            f"Over {counted(last.horizon)} the RMSE of free runs is {error_text(last.median)}{unit}"
            f" in the median of {counted(len(scores.origins), 'origin')}, and "
            f"{error_text(last.worst)}{unit} at worst. {verdict}"
        )
    return {
        "verdict": verdict,
        "findings": findings(scores),
        "evaluated": describe_evaluation(scores),
        "one_step": describe_one_step(scores),
        "tables": score_tables(scores),
        "others": _other_evaluations(run),
    }


def _other_evaluations(run: Run) -> Table:
    """Return the evaluations with other settings or data, a row each."""

    def rows() -> Iterator[list[str]]:
        for name in run.evaluations():
            try:
                scores = run.read_scores(name)
            except RunFileError as error:
                yield [name, str(error), "", "", ""]
                continue
            for last in scores.closed_loop_rmse[-1:]:
                errors = error_text(last.median), error_text(last.worst)
                yield [name, scores.config, str(last.horizon), *errors]

    headings = ("evaluation", "evaluated on", "steps", "network", "worst origin")
    return Table.of_rows(headings, rows(), "other evaluations: RMSE up to their horizon")


def _add_figures(run: Run, figures: Figures) -> str:
    """Add the figures that `plot` draws; return why there are no others."""
    from sinernn import plotting

    try:
        story = read_story(run, title=False)
    except SinernnError as error:
        return f"There are no figures: {error}"
    texts = plotting.figure_descriptions()

    for name in drawable_figures(story):
        figures.add(name, texts[name], plotting.compose(name, story))
    return "" if story.evidence else "The other figures show an evaluation."


def _config(run: Run) -> tuple[Config | None, str]:
    """Return the config, or why it cannot be read."""
    try:
        return load_config(run.config_path), ""
    except ConfigError as error:
        return None, f"Its config cannot be read by this version: {error.problems[0]}"


def _changed(config: Config) -> dict[str, str]:
    """Return the settings that differ from their defaults, as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in config.flat(only_changed=True).items()
        if name != "name"
    }


def text_lines(path: Path) -> list[str]:
    """Return the lines of a config; none if it cannot be read."""
    try:
        content = read_bytes(path, most=_MOST_CONFIG)
    except RunFileError:
        return []
    return content.decode(errors="replace").splitlines()


def _commands(run: Run) -> list[str]:
    path = run.path
    return [
        f"{command_line('verify', path)}  # trains it again, and compares the bits",
        f"{command_line('train', run.config_path)}  # the same, as a new run",
        f"{command_line('eval', path)}",
        f"{command_line('predict', path)} --steps 100  # beyond the end of the series",
    ]


def _data(config: Config | None, facts: RunFacts) -> dict[str, str]:
    """Return what is known of the data file; nothing for a generated series."""
    if facts.data is None:
        return {}
    signal = config.signal if config else None
    path, licence = (signal.path, signal.licence) if isinstance(signal, File) else ("", "")
    found = {
        "path": path,
        "licence": licence,
        "SHA-256": facts.data.sha256,
        "bytes": str(facts.data.bytes),
        "rows": str(facts.data.rows),
        "columns": ", ".join(facts.data.columns),
    }
    return {name: text for name, text in found.items() if text}


def _training(facts: RunFacts) -> Iterator[tuple[str, str | None]]:
    """Yield facts of the training."""
    updates = f"{facts.updates} of {facts.steps}"
    if facts.refine_iterations:
        updates += f", then {counted(facts.refine_iterations, 'iteration')} of refinement"
    times = [*([facts.started] if facts.started else []), *(each.at for each in facts.resumed)]
    yield "updates", updates
    yield "engine, device", f"{facts.engine}, {facts.device}"
    yield "started", ", resumed ".join(times)
    yield "ended", facts.ended
    yield "training time", duration_text(facts.seconds)


def environment_facts(environment: Environment) -> dict[str, str]:
    """Return versions, machine and commit, as far as they are known."""
    known = {
        **environment.versions,
        "platform": environment.platform,
        "processor": environment.processor,
        **environment.threads,
        "commit of the working folder": environment.git_commit,
        "its changed files": environment.git_status,
    }
    return {
        name: printable(str(value), 1000)
        for name, value in known.items()
        if value not in (None, "")
    }

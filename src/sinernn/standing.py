"""Where a run stands, and what it can go on to."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sinernn.config import Config, load_config
from sinernn.errors import RunFileError, TrainingDivergedError, UsageError, command_line
from sinernn.model.network import RefineState, TrainState
from sinernn.preparation import Experiment
from sinernn.runs import Run
from sinernn.runs.checkpoints import Checkpoint
from sinernn.training import is_due

BEFORE_END = "best_before_end"
"""What was best before an evaluation that came only because the run ended there: the best of a
longer run, which has no such evaluation."""


def takes_more_steps(config: Config) -> bool:
    """Whether a run of this config is the beginning of a run of more steps."""
    return config.training.schedule == "constant" and config.refine is None


def calmer_settings(config: Config) -> list[str]:
    """Return overrides to try where training has diverged, each by itself."""
    settings = config.training
    clip = [] if settings.gradient_clip else ["training.gradient_clip=1.0"]
    return [f"training.learning_rate={settings.learning_rate / 10:g}", *clip]


def config_to_go_on(run: Run, facts: Mapping[str, Any], overrides: Sequence[str]) -> Config:
    """Return a run's config, with more steps if those are asked for.

    Args:
        run: The run.
        facts: Content of its run.json.
        overrides: `training.steps=N`, and limits.

    Raises:
        UsageError: The run has diverged, or an override would make another run of it.
    """
    recorded, wanted = load_config(run.config_path), load_config(run.config_path, overrides)
    again = command_line("train", run.config_path)
    if facts["status"] == TrainingDivergedError.run_status:
        raise UsageError(
            f"{run.path}: diverged, and would do so again; change a setting, as in: "
            f"{again} {calmer_settings(recorded)[0]}"
        )
    if reason := _why_another(recorded, wanted):
        raise UsageError(
            f"{run.path}: would be another run: {reason}; start one, from its weights, with: "
            f"{again} {shlex.join(overrides)} --from {shlex.quote(str(run.path))}"
        )
    return wanted


def _why_another(recorded: Config, wanted: Config) -> str | None:
    """Return why a run cannot become what is wanted."""
    then, now = recorded.flat(), wanted.flat()
    changed = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    changed = [key for key in changed if not key.startswith("limits.")]
    if not changed:
        return None
    if changed != ["training.steps"]:
        return "; ".join(f"{key} is {then.get(key)}, not {now.get(key)}" for key in changed)
    if wanted.training.steps < recorded.training.steps:
        return f"training.steps is {recorded.training.steps} already, more than asked for"
    if recorded.refine is not None:
        return "refinement comes after the last update, and would begin elsewhere"
    if not takes_more_steps(recorded):
        return "its schedule ends at the last update, and every rate before it would be another"
    return None


@dataclass
class Standing:
    """Where the training of a run stands."""

    checkpoint: Checkpoint
    """`last`, or what the run starts from."""

    rows: list[Mapping[str, Any]]
    """Of the metrics, up to there."""

    @property
    def refine(self) -> RefineState | None:
        """Where its refinement stands; None before it begins."""
        return self.checkpoint.state.refine

    @property
    def counts(self) -> dict[str, int]:
        """What run.json tells of it."""
        return {
            "updates": self.checkpoint.state.updates,
            "refine_iterations": self.refine.step if self.refine else 0,
        }

    def is_done(self, config: Config) -> bool:
        """Whether nothing is left to train."""
        if self.checkpoint.state.updates < config.training.steps:
            return False
        stages = config.refine.stages if config.refine else ()
        return not stages or (self.refine is not None and self.refine.stage == len(stages))


def find_standing(experiment: Experiment, run: Run, start: Checkpoint) -> Standing:
    """Read where a run stands.

    Args:
        experiment: What the run trains; of more steps than before, if it is to go on.
        run: The run, held by this process.
        start: Where it stands if it has saved nothing yet.

    Raises:
        RunFileError: A file is missing or damaged, or belongs to another run.
    """
    config = experiment.config
    if not run.has_checkpoint("last"):
        if run.has_checkpoint("best"):
            _require_beginning(_load(run, "best", experiment), run, config)
        return Standing(start, [])
    last = _load(run, "last", experiment)
    if last.state.hidden.shape != start.state.hidden.shape:
        raise _foreign(run, "last", f"holds {last.state.hidden.shape[2]} rows of a batch")
    rows = _rows_until(run, config, last.state)
    if run.has_checkpoint("best") or any(_is_number(row["closed_loop_rmse"]) for row in rows):
        _load(run, "best", experiment)
    return Standing(last, rows)


def _require_beginning(best: Checkpoint, run: Run, config: Config) -> None:
    """Make sure that `best` may have come before the first `last`."""
    first = min(config.training.checkpoint_every or best.state.updates, config.training.steps)
    if best.state.refine is not None or best.state.updates > first:
        raise RunFileError(
            f"{run.checkpoint_path('last')}: is missing, and was there; put it back, or start anew "
            f"with: {command_line('train', run.config_path)}"
        )


def _is_number(text: str) -> bool:
    """Whether a cell of the metrics holds an error, and not that of a free run that diverged."""
    return text not in ("", "inf", "nan")


def _load(run: Run, name: str, experiment: Experiment) -> Checkpoint:
    """Read a checkpoint of the experiment."""
    checkpoint, config = run.load_checkpoint(name), experiment.config
    steps, refine = config.training.steps, checkpoint.state.refine
    if checkpoint.network != experiment.network:
        raise _foreign(run, name, "is of another network")
    if not 0 <= checkpoint.state.updates <= steps:
        raise _foreign(run, name, f"has seen {checkpoint.state.updates} updates of {steps}")
    stages = config.refine.stages if config.refine else ()
    if refine is not None and not 0 <= refine.stage <= len(stages):
        raise _foreign(run, name, f"stands in stage {refine.stage + 1} of {len(stages)}")
    return checkpoint


def _foreign(run: Run, name: str, what: str) -> RunFileError:
    return RunFileError(
        f"{run.checkpoint_path(name)}: {what}, and does not go with {run.config_path}; "
        "put back the file that belongs there"
    )


def _rows_until(run: Run, config: Config, state: TrainState) -> list[Mapping[str, Any]]:
    """Return the rows of the metrics that a run has written when it comes to a state."""
    path, rows = run.path / "metrics.csv", list(run.metrics_rows())
    try:
        steps = [int(row["step"]) for row in rows]
    except ValueError as error:
        raise RunFileError(f"{path}: is damaged: {error}") from error
    ends = {"training": _last_row(config, state.updates)}
    if state.refine is not None:
        ends["refine"] = state.refine.step
    kept = [
        (row["phase"], step, row)
        for row, step in zip(rows, steps, strict=True)
        if step <= ends.get(row["phase"], -1)
        and (row["phase"] == "refine" or step == _last_row(config, step))
    ]
    for phase, end in ends.items():
        found = max((step for of, step, _ in kept if of == phase), default=0)
        if found != end:
            raise RunFileError(
                f"{path}: its rows of {phase} end at {found}, and the last checkpoint's at {end}; "
                "put back the file that belongs there"
            )
    return [
        row if phase == "refine" or is_evaluated(config, step) else row | {"closed_loop_rmse": ""}
        for phase, step, row in kept
    ]


def is_evaluated(config: Config, updates: int) -> bool:
    """Whether a run is evaluated after so many updates."""
    return is_due(config.training.evaluate_every, updates, steps=config.training.steps)


def _last_row(config: Config, updates: int) -> int:
    """Return the last of so many updates at which the metrics have a row."""
    return updates if updates == config.training.steps else last_regular_row(config, updates)


def last_regular_row(config: Config, updates: int) -> int:
    """Return the last of so many updates at which those of any longer run have a row, too."""
    settings = config.training
    intervals = (settings.log_every, settings.evaluate_every, settings.checkpoint_every)
    return max(updates // every * every for every in intervals if every is not None)

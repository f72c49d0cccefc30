"""The config with which a run may continue."""

import shlex
from collections.abc import Sequence

from sinernn.config import Config, load_config
from sinernn.errors import TrainingDivergedError, UsageError, command_line
from sinernn.preparation import require_data
from sinernn.runs import Run
from sinernn.runs.facts import RESULT, RunFacts


def takes_more_steps(config: Config) -> bool:
    """Whether a run of this config is also the beginning of every longer run."""
    return config.training.schedule == "constant" and config.refine is None


def calmer_settings(config: Config) -> list[str]:
    """Return overrides to try, one at a time, if training has diverged."""
    settings = config.training
    clip = [] if settings.gradient_clip else ["training.gradient_clip=1.0"]
    return [f"training.learning_rate={settings.learning_rate / 10:g}", *clip]


def resumed_config(run: Run, facts: RunFacts, overrides: Sequence[str]) -> Config:
    """Return a run's config, with more steps if an override asks for them.

    Args:
        run: The run.
        facts: Content of its run.json.
        overrides: `training.steps=N`, limits, the new path of a data file, and of a run that is
            not finished another device.

    Raises:
        UsageError: The run has diverged, its data file is missing or has changed, or an override
            would make it a different run.
    """
    recorded, wanted = load_config(run.config_path), load_config(run.config_path, overrides)
    again = command_line("train", run.config_path)
    if facts.status == TrainingDivergedError.run_status:
        raise UsageError(
            f"{run.path}: diverged, and would diverge again; change a setting, for example: "
            f"{again} {calmer_settings(recorded)[0]}"
        )
    require_data(run, wanted, "resume")
    is_same_length = wanted.training == recorded.training
    is_over = facts.status == "finished" and is_same_length
    reason = _why_different(recorded, wanted, has_device=is_over)
    if not is_same_length and (run.path / RESULT).exists():
        reason = reason or "its sweep compares runs of equal length"
    if reason:
        way_out = f"train one from random weights with: {again} {shlex.join(overrides)}"
        networks = [each.network(each.signal.extent()) for each in (recorded, wanted)]
        if not networks[0].differences(networks[1]):
            way_out = (
                f"start one from its weights with: {again} {shlex.join(overrides)} "
                f"--from {shlex.quote(str(run.path))}"
            )
        if all(text.strip().startswith(("evaluation.", "device")) for text in overrides):
            way_out = f"evaluate it with: {command_line('eval', run.path)} {shlex.join(overrides)}"
        raise UsageError(f"{run.path}: would become a different run: {reason}; {way_out}")
    return wanted if is_same_length else wanted.named()


def _why_different(recorded: Config, wanted: Config, *, has_device: bool) -> str | None:
    """Return why a run cannot continue with the wanted config; None if it can.

    `has_device`: whether all updates were computed on the recorded device.
    """
    then, now = recorded.flat(), wanted.flat()
    changed = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    # The data file may be elsewhere: `require_data` compares its content.
    free = {"signal.path"} if has_device else {"signal.path", "device"}
    changed = [key for key in changed if not key.startswith("limits.") and key not in free]
    if not changed:
        return None
    if changed != ["training.steps"]:
        return "; ".join(f"{key} is {then.get(key)}, not {now.get(key)}" for key in changed)
    if wanted.training.steps < recorded.training.steps:
        return f"training.steps is already {recorded.training.steps}, more than requested"
    if recorded.refine is not None:
        return "refinement follows the last update, and would start from other weights"
    if not takes_more_steps(recorded):
        return "its schedule ends at the last update, and every learning rate would change"
    return None

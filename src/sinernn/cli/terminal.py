"""Results of commands on stdout, as text and tables."""

import json
from pathlib import Path
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Column, Table

from sinernn.cli.output import error_text, print_json, print_line, print_prose
from sinernn.errors import command_line, printable
from sinernn.evaluation.metrics import counted
from sinernn.evaluation.results import Scores
from sinernn.observers import Summary
from sinernn.runs import Run
from sinernn.verification import Verification


def print_scores(run: Run, scores: Scores) -> None:
    """Print scores: what was evaluated and on what, a table, then the conclusions in words."""
    layers, units = counted(scores.num_layers, "layer"), counted(scores.hidden_size, "unit")
    print_prose(
        f"{run.path}: {scores.cell}, {layers} of {units}, {scores.parameters} parameters, "
        f"seed {scores.seed}"
    )
    trained = f"{scores.updates} updates"
    if scores.refine_iterations:
        trained += f" and {scores.refine_iterations} iterations of refinement"
    print_prose(
        f"evaluated on {scores.config}, {scores.part} part: {scores.checkpoint} checkpoint, "
        f"after {trained}; errors in {scores.error_unit or 'signal units'}"
    )
    open_loop = scores.open_loop
    print_prose(
        f"one step ahead: RMSE {error_text(open_loop.rmse)}, "
        f"NRMSE {_number(open_loop.nrmse, '.2e')}, R² {_number(open_loop.r2, '.6g')}"
    )
    # Wider than any table: on the terminal's width values would be cut.
    console = Console(highlight=False, markup=False, emoji=False, width=500)
    console.print(_closed_loop_table(scores), "")
    if any(channel.closed_loop_rmse for channel in scores.channels):
        console.print(_channel_table(scores), "")
    for line in (_valid_time(scores), _oscillation(scores), _dynamics(scores)):
        if line:
            print_prose(line)
    if scores.dynamics.warning:
        print_prose(f"warning: {scores.dynamics.warning}")
    for name, value in scores.model_dump(include=set(scores.model_extra or {})).items():
        print_prose(f"{name}: {json.dumps(value)}")
    print_prose(f"skill: {scores.skill.words}")
    for hint in scores.hints:
        print_prose(f"hint: try {hint.override}: {hint.because}")
    count = len(scores.origins)
    for number, origin in enumerate(scores.origins, start=1):
        if origin.diverged_at is not None:
            print_prose(f"origin {number} of {count} diverged at step {origin.diverged_at}")


def print_summary(summary: Summary, *, as_json: bool) -> None:
    """Print the results of a finished training."""
    facts, paths = summary.facts, [str(path) for path in summary.figures]
    if as_json:
        run = {"run": str(summary.run.path), **facts.model_dump()}
        print_json({**run, "scores": summary.scores.model_dump(), "figures": paths})
        return
    print_scores(summary.run, summary.scores)
    for path in paths:
        print_line(path)
    refined = facts.refine_iterations
    done = f"{facts.updates} updates" + (f" and {refined} iterations" if refined else "")
    print_prose(f"{done} in {facts.seconds} s on {facts.device}")
    print_next_commands(summary.run.path)
    print_line(summary.run.path)


def print_next_commands(run: Path) -> None:
    """Print what a trained run is used for next, as commands with its path."""
    plot, forecast = (command_line(name, run) for name in ("plot", "predict"))
    print_prose(f"next: all figures with {plot}; a forecast with {forecast} --steps 100")


def print_verification(verification: Verification) -> None:
    """Print whether the results agree; otherwise the differences and possible reasons."""
    if verification.agrees:
        print_prose(f"{verification.run}: reproduced bit for bit")
        return
    wrong = ", ".join(name for name, agrees in verification.files.items() if not agrees)
    print_prose(f"{verification.run}: not reproduced; these files differ: {wrong}")
    for name, (then, now) in verification.scores.items():
        after = "unchanged" if then == now else f"now {_number(now, '.6e')}"
        print_prose(f"{name}: was {_number(then, '.6e')}, {after}")
    for name, (then, now) in verification.environment.items():
        print_prose(f"{name}: was {then}, now {now}")
    if not verification.environment:
        print_prose("the environment is unchanged; were files of the run or this package edited?")


def make_table(title: str, *names: str) -> Table:
    """Return an empty table of columns that are aligned at the right."""
    return Table(
        *(Column(name, justify="right") for name in names),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        show_edge=False,
        title=title,
        title_justify="left",
        title_style="",
    )


def _channel_table(scores: Scores) -> Table:
    """Return a table of the errors of each output, up to the longest horizon."""
    title = f"of each output in its unit, up to {counted(scores.closed_loop_rmse[-1].horizon)}"
    worst = f"worst of\n{counted(len(scores.origins), 'origin')}"
    names = ("output", "one step\nahead", "R²", "network", worst, "best\nbaseline")
    table = make_table(title, *names)
    for channel in scores.channels:
        if channel.open_loop and channel.closed_loop_rmse:
            one_step, last = channel.open_loop, channel.closed_loop_rmse[-1]
            errors = [(each.closed_loop_rmse[-1].median, each.name) for each in channel.baselines]
            error, best = min((pair for pair in errors if pair[0] is not None), default=(None, ""))
            unit = f" ({channel.unit})" if channel.unit else ""
            table.add_row(
                printable(channel.name + unit, 30),
                error_text(one_step.rmse),
                _number(one_step.r2, ".4g"),
                error_text(last.median),
                error_text(last.worst),
                f"{error_text(error)} {best}",
            )
    return table


def _closed_loop_table(scores: Scores) -> Table:
    """Return a table of the errors of network and baselines, one row per horizon."""
    count, baselines = len(scores.origins), scores.baselines
    worst = f"worst of\n{counted(count, 'origin')}"
    names = ["steps", "network", worst]
    names += [baseline.name.replace(" ", "\n") for baseline in baselines]
    table = make_table("closed loop: median RMSE up to a horizon", *names)
    ladders = [baseline.closed_loop_rmse for baseline in baselines]
    for row, *others in zip(scores.closed_loop_rmse, *ladders, strict=True):
        medians = [error_text(other.median) for other in others]
        table.add_row(str(row.horizon), error_text(row.median), error_text(row.worst), *medians)
    return table


def _valid_time(scores: Scores) -> str | None:
    valid = scores.valid_time
    if valid is None:
        return None
    count = len(scores.origins)

    def duration(which: Literal["median", "worst"]) -> str:
        steps, units = getattr(valid.steps, which), getattr(valid.time_units, which)
        periods = ""
        if valid.periods:
            periods = f", {counted(f'{getattr(valid.periods, which):.3g}', 'period')}"
        if lyapunov := scores.valid_lyapunov_times:
            about = "about " if lyapunov.source == "samples" else ""
            number = f"{getattr(lyapunov, which):.3g}"
            periods += f", {about}{counted(number, 'Lyapunov time')}"
        time = f"{units:.4g}"
        time = f"{time} {scores.time_unit}" if scores.time_unit else counted(time, "time unit")
        beyond = "more than " if scores.outlasts_horizon(which) else ""
        duration = counted(int(steps) if steps == int(steps) else steps)
        return f"{beyond}{duration} ({time}{periods})"

    what = f"valid time (error below {valid.threshold:g} standard deviations)"
    outlasted = valid.outlasted
    if outlasted == count:
        return f"{what}: {duration('median')}, all origins"
    beyond = f"; {outlasted} of {count} outlasted the horizon" if outlasted else ""
    return f"{what}: median {duration('median')}, worst {duration('worst')}{beyond}"


def _oscillation(scores: Scores) -> str | None:
    found = scores.oscillation
    if found is None:
        return None
    frequency, drift = found.frequency_error, found.phase_drift_rad_per_1000_steps
    ratio = found.amplitude_ratio
    if frequency is None or drift is None or ratio is None:
        return "oscillation: no free run fits a sinusoid"
    some = "" if found.of == found.count else f" ({found.of} of {found.count} free runs)"
    return (
        f"oscillation{some}: frequency error {frequency.median:+.1e} (relative), phase drift "
        f"{drift.median:+.1e} rad per 1000 steps, amplitude {ratio.median:.4g} x the true one"
    )


def _dynamics(scores: Scores) -> str:
    found = scores.dynamics
    total = sum(found.settles.values())
    places = ", ".join(f"{place} ({count} of {total})" for place, count in found.settles.items())
    exponent = found.lyapunov_exponent_per_step
    if exponent is None:
        return f"long-term behaviour: {places}"
    meaning = "nearby trajectories keep their distance"
    if abs(exponent) > found.lyapunov_resolution_per_step:
        meaning = "nearby trajectories diverge" if exponent > 0 else "nearby trajectories converge"
    true = found.climate.true_exponent_per_step if found.climate else None
    if true is not None:
        own = f"roughly {true:+.0e}" if abs(true) > found.lyapunov_resolution_per_step else "0"
        meaning += f"; the series' own is {own}"
    return (
        f"long-term behaviour: {places}; largest Lyapunov exponent {exponent:+.1e} per step "
        f"({meaning})"
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)

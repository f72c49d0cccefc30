"""Results of commands on stdout, as text and tables."""

from pathlib import Path

from sinernn.cli.output import print_json, print_line, print_parts, print_prose
from sinernn.display import number_text
from sinernn.errors import command_line
from sinernn.evaluation.results import Scores
from sinernn.observers import Summary
from sinernn.runs import Run
from sinernn.verification import Verification


def print_scores(run: Run, scores: Scores) -> None:
    """Print scores: what was evaluated and on what, a table, then the conclusions in words."""
    print_parts(scores.describe(str(run.path)))


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
    report, plot, forecast = (command_line(name, run) for name in ("report", "plot", "predict"))
    print_prose(
        f"next: a page to share with {report}; all figures with {plot}; a forecast with "
        f"{forecast} --steps 100"
    )


def print_verification(verification: Verification) -> None:
    """Print whether the results agree; otherwise the differences and possible reasons."""
    if verification.agrees:
        print_prose(f"{verification.run}: reproduced bit for bit")
        return
    wrong = ", ".join(name for name, agrees in verification.files.items() if not agrees)
    print_prose(f"{verification.run}: not reproduced; these files differ: {wrong}")
    for name, (then, now) in verification.scores.items():
        after = "unchanged" if then == now else f"now {number_text(now, '.6e')}"
        print_prose(f"{name}: was {number_text(then, '.6e')}, {after}")
    for name, (then, now) in verification.environment.items():
        print_prose(f"{name}: was {then}, now {now}")
    if not verification.environment:
        print_prose("the environment is unchanged; were files of the run or this package edited?")

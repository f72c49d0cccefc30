"""Write a config for a data file, with the reason for each setting."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sinernn.config.detection import detect
from sinernn.config.load import load_config
from sinernn.config.suggest import FEWEST, Choice, fractions, suggest_settings
from sinernn.config.yaml import dump_yaml
from sinernn.data.files import File
from sinernn.data.series import Extent
from sinernn.data.survey import Survey, survey_series
from sinernn.data.tables import shown
from sinernn.data.windows import split_by_time
from sinernn.errors import KeyPath, UsageError, command_line, printable


@dataclass(frozen=True)
class Template:
    """A new config, and what it is based on."""

    text: str
    """YAML with comments."""

    findings: list[str]
    """What was found in the file, in words."""


def make_template(
    path: Path,
    target: Path,
    *,
    inputs: Sequence[str],
    schema: str,
    overrides: Sequence[str] = (),
) -> Template:
    """Look at a data file and make a config that trains on it.

    Args:
        path: The data file.
        target: The config to be written; it names the data file relative to its folder.
        inputs: Columns that the network is to read and not to predict.
        schema: Name of the JSON Schema next to the config.
        overrides: Settings of the signal that are not to be chosen, as in `signal.gaps=split`.

    Raises:
        SinernnError: The file cannot be read, or is too short.
    """
    if wrong := [text for text in overrides if not text.startswith("signal.")]:
        message = f"{wrong[0]}: only settings of the signal decide how a file is read"
        raise UsageError(f"{message}; give others to sinernn train, or edit the new config")
    described = {"kind": "file", "path": str(path), **({"inputs": inputs} if inputs else {})}
    given = load_config({"signal": described}, overrides).signal
    if not isinstance(given, File) or given.file != path:
        raise UsageError(f"signal: the data file is {printable(shown(path), 300)}; name one file")
    signal, found = detect(given)
    values = {name: choice.value for name, choice in signal.items()}
    series = File(kind="file", path=str(path), **values).read()
    extent, longest = series.extent, max(series.extent.lengths)
    if longest < FEWEST:
        message = f"has {longest} samples in a row, and a config needs at least {FEWEST}"
        raise UsageError(f"{printable(shown(path), 300)}: {message}")
    train, validation = fractions(extent.lengths)
    parts = split_by_time(extent.lengths, train=train, validation=validation)
    training = series.cut(series.observed, parts.train)
    survey = survey_series(training, inputs=len(extent.inputs))
    signal = {
        "kind": Choice("file"),
        "path": Choice(os.path.relpath(path, target.parent), "from the folder of this config"),
        **signal,
    }
    if survey.period and "period" not in signal:
        period = float(f"{_nearly_whole(survey.period) * extent.time_step:.6g}")
        signal["period"] = Choice(period, "in time units, for the seasonal baseline")
    suggested = suggest_settings(extent, survey)
    choices = {"dtype": suggested.pop("dtype")}
    choices |= {f"signal.{name}": choice for name, choice in signal.items()} | suggested
    findings = [_describe_extent(path, extent), _describe_survey(survey), *found]
    fixed = given.model_fields_set
    if missing := [signal[name] for name in ("gaps", "missing") if name in signal.keys() - fixed]:
        findings += [f"{choice.reason}: {choice.value}" for choice in missing]
    command = command_line("train", Path(target.name))
    head = [f"yaml-language-server: $schema={schema}", *findings, "", f"  {command}", ""]
    return Template(
        "".join(f"# {line}".rstrip() + "\n" for line in head) + _dump(choices), findings
    )


def _dump(choices: dict[str, Choice]) -> str:
    tree = dict[str, Any]()
    for name, choice in choices.items():
        section, _, key = name.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[key] = choice.value

    def reason(path: KeyPath) -> str:
        return choices.get(".".join(map(str, path)), Choice(None)).reason

    return dump_yaml(tree, reason)


def _nearly_whole(period: float) -> float:
    """Round a period of nearly a whole number of samples to it, as 24 hours."""
    return float(round(period)) if abs(period - round(period)) < 2e-3 * period else period


def _describe_extent(path: Path, extent: Extent) -> str:
    unit = f" {extent.time_unit}" if extent.time_unit else ""
    names = ", ".join(channel.name for channel in extent.outputs)
    words = f"{path.name}: {extent.samples} samples of {printable(names, 200)}"
    if extent.inputs:
        words += f", driven by {printable(', '.join(each.name for each in extent.inputs), 200)}"
    words += f", one every {extent.time_step:g}{unit}"
    if (count := len(extent.lengths)) > 1:
        words += f", in {count} recordings of {min(extent.lengths)} to {max(extent.lengths)}"
    return printable(words, 1000)


def _describe_survey(survey: Survey) -> str:
    kind = {"regular": "a regular oscillation", "irregular": "irregular", "noisy": "noisy"}
    words = kind[survey.kind]
    if survey.period:
        words += f", period {_nearly_whole(survey.period):.4g} samples"
    else:
        words += f", no dominant period, a typical oscillation takes {survey.cycle:.2g} samples"
    words += f"; noise at most {survey.noise:.2g} standard deviations"
    if survey.trend > 0.5:
        words += (
            f"; {survey.trend:.0%} of the variance is a trend, which a network does not follow "
            "beyond the values of its training part"
        )
    return words

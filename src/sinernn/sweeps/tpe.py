"""Propose points from the results of earlier ones, by Optuna's tree-structured Parzen estimator."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sinernn.errors import UsageError
from sinernn.randomness import Purpose, stream
from sinernn.sweeps.parameters import Choice, Parameter, drawn

JOURNAL = "optuna.journal"


def propose(
    parameters: Sequence[Parameter],
    earlier: Sequence[tuple[Sequence[Choice], float]],
    count: int,
    *,
    seed: int,
) -> list[list[Choice]]:
    """Return a batch of points, a function of the arguments alone.

    Args:
        parameters: What varies.
        earlier: All points before the batch, and the median loss of each; infinite if it failed.
        count: Points in the batch.
        seed: Of the sweep's draws.

    Raises:
        UsageError: Optuna is not installed.

    Source:
        Bergstra, Bardenet, Bengio and Kégl (2011), Algorithms for hyper-parameter optimization,
        NIPS 24; as in Optuna, whose constant liar keeps the points of a batch apart.
    """
    optuna = _import_optuna()
    study = optuna.create_study(sampler=_sampler(optuna, seed, len(earlier)))
    _tell(optuna, study, parameters, earlier)
    varied = _distributions(optuna, parameters)
    proposals: list[list[Choice]] = []
    for _ in range(count):
        asked = study.ask(varied).params
        proposals.append([_choice(each, asked.get(each.key)) for each in parameters])
    return proposals


def write_journal(
    folder: Path,
    parameters: Sequence[Parameter],
    earlier: Sequence[tuple[Sequence[Choice], float]],
) -> None:
    """Write the points and their losses as a journal, which Optuna's own tools read."""
    optuna = _import_optuna()
    (folder / JOURNAL).unlink(missing_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(storage=storage, study_name=folder.name)
    _tell(optuna, study, parameters, earlier)


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        way_out = "install it with: pip install 'sinernn[optuna]', or use method=random"
        raise UsageError(f"method tpe needs Optuna; {way_out}") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _sampler(optuna: Any, seed: int, done: int) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # constant_liar
        own = int(stream(seed, Purpose.SWEEP, done).integers(2**32))
        return optuna.samplers.TPESampler(seed=own, constant_liar=True)


def _distributions(optuna: Any, parameters: Sequence[Parameter]) -> dict[str, Any]:
    kinds, found = optuna.distributions, dict[str, Any]()
    for each in parameters:
        if each.range is not None:
            low, high = each.range.min, each.range.max
            whole = isinstance(low, int) and isinstance(high, int)
            kind = kinds.IntDistribution if whole else kinds.FloatDistribution
            found[each.key] = kind(low, high, log=each.range.scale == "log")
        elif not each.is_fixed:
            found[each.key] = kinds.CategoricalDistribution(list(range(len(each.choices))))
    return found


def _tell(
    optuna: Any,
    study: Any,
    parameters: Sequence[Parameter],
    earlier: Sequence[tuple[Sequence[Choice], float]],
) -> None:
    varied = _distributions(optuna, parameters)
    for choices, loss in earlier:
        params: dict[str, Any] = {}
        for parameter, choice in zip(parameters, choices, strict=True):
            if parameter.range is not None:
                params[parameter.key] = choice.overrides[0].value
            elif not parameter.is_fixed:
                params[parameter.key] = parameter.choices.index(choice)
        trial = optuna.trial.create_trial(params=params, distributions=varied, value=loss)
        study.add_trial(trial)


def _choice(parameter: Parameter, value: Any) -> Choice:
    if parameter.range is not None:
        return drawn(parameter, value)
    return parameter.choices[0 if value is None else value]

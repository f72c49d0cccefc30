"""Compare a network's errors with those of the baselines, in words."""

from collections.abc import Mapping, Sequence

from sinernn.evaluation.metrics import HorizonError, counted, finite
from sinernn.evaluation.parts import Skill

EXACT = 1e-6
"""A baseline is exact if its error is at most this fraction of the standard deviation."""

_EQUAL = 1.05  # errors whose ratio is below it count as equal


def compare_with_baselines(
    network: Sequence[HorizonError],
    baselines: Mapping[str, Sequence[HorizonError]],
    *,
    std: float,
) -> Skill:
    """Compare median errors with the best baseline's, at the longest horizon and before it.

    Args:
        network: Errors over the ladder of horizons.
        baselines: The same for every baseline, by its name.
        std: Standard deviation of the series, in its own units.
    """
    last = network[-1]
    errors = {name: table[-1].median for name, table in baselines.items()}
    best = min(errors, key=lambda name: errors[name])
    inexact = {name: table for name, table in baselines.items() if errors[name] > EXACT * std}
    is_exact = best not in inexact
    title = "the best other baseline" if is_exact and inexact else "the best baseline"
    words = _compare(network, inexact or baselines, title)
    if is_exact and last.median <= errors[best] * _EQUAL:
        words += f"; {best} is exact on this signal, too"
    elif is_exact:
        words += (
            f"; {best} is exact on this signal, which needs no network (one that does: "
            "sinernn init noisy)"
        )
    has_ratio = 0 < last.median < float("inf") and errors[best] > 0
    ratio = finite(errors[best] / last.median) if has_ratio else None
    return Skill(horizon=last.horizon, best_baseline=best, ratio=ratio, words=words)


def _compare(
    network: Sequence[HorizonError], baselines: Mapping[str, Sequence[HorizonError]], title: str
) -> str:
    last, best = network[-1], min(baselines, key=lambda name: baselines[name][-1].median)
    theirs = baselines[best][-1].median
    words = f"{_comparison(last.median, theirs, best, title)} at {counted(last.horizon)}"
    wins = [
        row.horizon
        for index, row in enumerate(network)
        if row.median * _EQUAL < min(table[index].median for table in baselines.values())
    ]
    if wins and last.median > theirs * _EQUAL:
        every = title.replace("the best", "every")
        words += f"; better than {every} up to {counted(wins[-1])}"
    return words


def _comparison(ours: float, theirs: float, name: str, title: str) -> str:
    if ours == float("inf"):
        return f"diverged, and so worse than {name}"
    if ours <= theirs * _EQUAL and theirs <= ours * _EQUAL:
        return f"no better than {name}, {title},"
    better, (less, more) = ours < theirs, sorted((ours, theirs))
    by = f" by {_times(more / less)}" if less > 0 and more < float("inf") else ""
    return f"{'better' if better else 'worse'} than {name}, {title},{by}"


def _times(ratio: float) -> str:
    return (
        f"{ratio:.2g} x" if ratio < 100 else f"{ratio:.0f} x" if ratio < 1e4 else f"{ratio:.0e} x"
    )

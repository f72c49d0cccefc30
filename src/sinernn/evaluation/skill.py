"""Compare a network's errors with those of the baselines, in words."""

from collections.abc import Mapping, Sequence

from sinernn.evaluation.metrics import HorizonError, count_steps, finite
from sinernn.evaluation.results import Skill

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
    best = min(baselines, key=lambda name: baselines[name][-1].median)
    theirs = baselines[best][-1].median
    has_ratio = 0 < last.median < float("inf") and theirs > 0
    words = f"{_comparison(last.median, theirs, best)} at {count_steps(last.horizon)}"
    if last.median > theirs * _EQUAL:
        wins = [
            row.horizon
            for index, row in enumerate(network)
            if row.median * _EQUAL < min(table[index].median for table in baselines.values())
        ]
        if wins:
            words += f"; better than every baseline up to {count_steps(wins[-1])}"
    if theirs <= EXACT * std:
        words += (
            f"; {best} is exact on this signal: for a fair contest add noise, "
            f"such as signal.noise_std={0.05 * std:.1g}"
        )
    ratio = finite(theirs / last.median) if has_ratio else None
    return Skill(horizon=last.horizon, best_baseline=best, ratio=ratio, words=words)


def _comparison(ours: float, theirs: float, name: str) -> str:
    if ours == float("inf"):
        return f"diverged, and so worse than {name}"
    if ours <= theirs * _EQUAL and theirs <= ours * _EQUAL:
        return f"no better than {name}, the best baseline,"
    better, (less, more) = ours < theirs, sorted((ours, theirs))
    by = f" by {_times(more / less)}" if less > 0 and more < float("inf") else ""
    return f"{'better' if better else 'worse'} than {name}, the best baseline,{by}"


def _times(ratio: float) -> str:
    return (
        f"{ratio:.2g} x" if ratio < 100 else f"{ratio:.0f} x" if ratio < 1e4 else f"{ratio:.0e} x"
    )

import pytest

from sinernn.evaluation.metrics import HorizonError
from sinernn.evaluation.skill import compare_with_baselines

INF = float("inf")


def ladder(*medians: float) -> list[HorizonError]:
    horizons = (1, 10, 200)[: len(medians)]
    return [
        HorizonError(h, float(median), float(median))
        for h, median in zip(horizons, medians, strict=True)
    ]


def words(network: list[HorizonError], **baselines: list[HorizonError]) -> str:
    return compare_with_baselines(network, baselines, std=1.0).words


def test_better_than_baselines():
    """The words say by how much, and than what."""
    found = compare_with_baselines(
        ladder(1e-3, 0.01, 0.1),
        {"mean": ladder(1, 1, 1), "AR(12)": ladder(0.1, 0.2, 0.31)},
        std=1.0,
    )
    assert found.model_dump() == {
        "horizon": 200, "best_baseline": "AR(12)", "ratio": pytest.approx(3.1),
        "words": "better than AR(12), the best baseline, by 3.1 x at 200 steps",
    }  # fmt: skip


def test_worse_than_a_baseline():
    """The words say up to where the network was better."""
    assert words(ladder(0.1, 0.2, 3), mean=ladder(1, 1, 1)) == (
        "worse than mean, the best baseline, by 3 x at 200 steps; "
        "better than every baseline up to 10 steps"
    )


def test_a_network_that_is_as_good_is_no_better():
    assert (
        words(ladder(0.99), mean=ladder(1.0)) == "no better than mean, the best baseline, at 1 step"
    )


def test_exact_linear_model():
    """The words lead with the other baselines, and say of any signal, also one from a file, what is true."""
    found = words(ladder(1e-4), **{"AR(2)": ladder(1e-12), "mean": ladder(1.0)})
    assert found == (
        "better than mean, the best other baseline, by 1e+04 x at 1 step; AR(2) is exact on this "
        "signal, which needs no network (one that does: sinernn init noisy)"
    )
    assert words(ladder(2.0), **{"AR(2)": ladder(1e-12), "mean": ladder(1.0)}).startswith(
        "worse than mean, the best other baseline, by 2 x at 1 step; AR(2) is exact on this signal"
    )
    found = words(ladder(0.1, 2.0), **{"AR(2)": ladder(1e-12, 1e-12), "mean": ladder(1.0, 1.0)})
    assert "; better than every other baseline up to 1 step; AR(2) is exact" in found
    found = words(ladder(1e-13), **{"AR(2)": ladder(1e-12), "mean": ladder(1.0)})
    assert found.endswith("at 1 step; AR(2) is exact on this signal, too")
    alone = words(ladder(1e-4), mean=ladder(0.0))
    assert alone.startswith("worse than mean, the best baseline, at 1 step; mean is exact")


def test_what_diverged_is_worse_and_has_no_ratio():
    found = compare_with_baselines(ladder(0.1, INF, INF), {"mean": ladder(1, 1, 1)}, std=1.0)
    assert found.ratio is None
    assert found.words == (
        "diverged, and so worse than mean at 200 steps; better than every baseline up to 1 step"
    )


def test_diverged_baselines():
    """They are beaten without a ratio."""
    assert words(ladder(0.1), **{"AR(2)": ladder(INF)}) == (
        "better than AR(2), the best baseline, at 1 step"
    )

"""What the scores say, as JSON knows values: of good runs, and of the odd ones."""

import json
from dataclasses import replace

import numpy as np
import pytest

from examples import make_evidence
from sinernn.evaluation.forecasts import Evidence
from sinernn.evaluation.hints import Setting
from sinernn.evaluation.results import Scores
from sinernn.evaluation.scores import METRICS, advise, score


def scores(evidence: Evidence) -> dict:
    """Through JSON, which has no NaN and no infinity."""
    return json.loads(json.dumps(Scores(**score(evidence)).model_dump(), allow_nan=False))


def test_a_perfect_run_has_perfect_scores():
    found = scores(make_evidence())
    assert [row["worst"] for row in found["closed_loop_rmse"]] == [0] * 9
    assert found["valid_time"]["outlasted"] == 3
    assert found["valid_time"]["steps"] == {"median": 400, "worst": 400}
    assert found["oscillation"]["amplitude_ratio"]["worst"] == pytest.approx(1)
    assert found["dynamics"]["settles"] == {"limit cycle": 3}
    assert found["skill"]["words"].startswith("better than mean")


def test_the_open_loop_has_three_scores():
    found = scores(make_evidence())["open_loop"]
    rmse = 0.01 * np.sqrt(0.5)  # of a small cosine, over many periods
    assert found["rmse"] == pytest.approx(rmse, rel=0.01)
    assert found["nrmse"] == pytest.approx(rmse / np.sqrt(0.5), rel=0.01)
    assert found["r2"] == pytest.approx(1 - 1e-4, abs=1e-6)


def test_valid_time():
    """It is given in steps, time units and periods.

    An error that grows by 0.01 a step passes 0.4 standard deviations, 0.2828, at step 29.
    """
    growing = 0.01 * np.arange(1, 401)[None, :, None]
    found = scores(make_evidence(lambda truth: truth + growing))["valid_time"]
    assert found["threshold"] == 0.4
    assert found["steps"] == {"median": 29, "worst": 29}
    assert found["time_units"]["median"] == pytest.approx(29 * 0.2)
    assert found["periods"]["median"] == pytest.approx(29 * 0.2 / (2 * np.pi))
    assert found["outlasted"] == 0


def test_valid_threshold():
    """0.5 standard deviations, 0.3536, are passed at step 36; a file keeps the threshold."""
    growing = 0.01 * np.arange(1, 401)[None, :, None]
    evidence = replace(make_evidence(lambda truth: truth + growing), valid_threshold=0.5)
    found = scores(Evidence.from_arrays(evidence.arrays()))["valid_time"]
    assert (found["threshold"], found["steps"]["median"]) == (0.5, 36)


def test_valid_time_in_lyapunov_times():
    """With errors that pass the threshold at step 29, and one origin without errors."""
    growing = 0.01 * np.arange(1, 401)[None, :, None]
    evidence = make_evidence(lambda truth: truth + np.array([0, 1, 1])[:, None, None] * growing)
    assert scores(evidence)["valid_lyapunov_times"] is None  # a sine
    found = scores(replace(evidence, exponent=0.5))["valid_lyapunov_times"]
    assert found["source"] == "equations"
    assert found["median"] == found["worst"] == pytest.approx(29 * 0.2 * 0.5)
    assert found["mean"] == pytest.approx((29 + 29 + 400) / 3 * 0.2 * 0.5)
    assert found["outlasted"] == 1


def test_other_measures():
    """Of the network and of every baseline, if they are set; the mean of a sine has an NRMSE of 1."""
    evidence = make_evidence(lambda truth: truth + 0.1, origins=300)
    measures = {name: METRICS[f"closed_loop_{name}"] for name in ("nrmse", "smape")}
    assert measures["nrmse"](evidence) is measures["smape"](evidence) is None
    nrmse = measures["nrmse"](replace(evidence, measure="nrmse"))
    assert [row.horizon for row in nrmse.network][-1] == 400
    assert nrmse.network[-1].value == pytest.approx(0.1 / 0.5**0.5, rel=1e-3)
    assert set(nrmse.baselines) == {"mean", "persistence"}
    values = [row.value for row in nrmse.baselines["mean"]]
    assert values == pytest.approx([1.0] * len(values), rel=0.01)  # from 300 phases
    smape = measures["smape"](replace(evidence, measure="smape"))
    # Of a tiny constant, for a wave that is symmetric about 0.
    assert smape.baselines["mean"][-1].value == pytest.approx(200, rel=0.01)


def test_measures_of_a_constant():
    """It has no standard deviation, but percentages: 3 for 1 errs by 100."""
    evidence = make_evidence(lambda truth: 3 * truth, wave=np.ones_like, period=None)
    assert scores(replace(evidence, measure="nrmse"))["closed_loop_nrmse"] is None
    smape = scores(replace(evidence, measure="smape"))["closed_loop_smape"]
    assert smape["network"][-1] == {"horizon": 400, "value": 100, "worst": 100}


def test_lyapunov_times_of_driven_series():
    """They need an exponent from the equations: neighbours do not have the same inputs."""
    evidence = make_evidence(lambda truth: truth + 0.5, period=None)
    inputs = np.zeros((*evidence.closed_loop.time.shape, 1))
    evidence = replace(evidence, closed_loop=replace(evidence.closed_loop, inputs=inputs))
    score_times = METRICS["valid_lyapunov_times"]
    assert score_times(evidence) is None
    assert score_times(replace(evidence, exponent=0.5)).median == pytest.approx(0.2 * 0.5)


def test_horizons_of_baselines():
    """Baselines are scored over the same horizons."""
    found = scores(make_evidence())
    horizons = [row["horizon"] for row in found["closed_loop_rmse"]]
    assert [baseline["name"] for baseline in found["baselines"]] == ["mean", "persistence"]
    for baseline in found["baselines"]:
        assert [row["horizon"] for row in baseline["closed_loop_rmse"]] == horizons


def test_worst_oscillation():
    """It is the one furthest from the truth."""
    factors = np.array([1.1, 0.5, 1.0])[:, None, None]
    found = scores(make_evidence(lambda truth: truth * factors))["oscillation"]
    assert found["amplitude_ratio"] == {"median": pytest.approx(1), "worst": pytest.approx(0.5)}
    assert found["of"] == 3


def test_oscillation_of_channels():
    """Each of several channels is one oscillation."""
    assert scores(make_evidence(channels=2))["oscillation"]["of"] == 6


def test_scores_of_a_diverged_run():
    """What is infinite is null."""

    def run(truth: np.ndarray) -> np.ndarray:
        return np.where(np.arange(400)[:, None] < 30, truth, np.nan)

    found = scores(make_evidence(run))
    assert found["closed_loop_rmse"][4]["median"] == 0
    assert found["closed_loop_rmse"][-1] == {"horizon": 400, "median": None, "worst": None}
    assert found["valid_time"]["steps"]["worst"] == 31
    assert found["oscillation"]["of"] == 0
    assert found["oscillation"]["frequency_error"] is None
    assert found["skill"]["words"].startswith("diverged, and so worse than mean")


def test_exponent_of_a_diverged_run():
    """It has none."""
    evidence = make_evidence()
    evidence.dynamics.exponents[:] = np.nan
    found = scores(evidence)["dynamics"]
    assert found["settles"] == {"divergence": 3}
    assert found["lyapunov_exponent_per_step"] is None


def test_scores_of_a_constant():
    """A constant has no valid time and no oscillation."""
    evidence = make_evidence(wave=np.ones_like, period=None)
    found = scores(evidence)
    assert found["open_loop"]["nrmse"] is None
    assert found["open_loop"]["r2"] is None
    assert found["valid_time"] is None
    assert found["oscillation"] is None
    assert found["dynamics"]["settles"] == {"fixed point": 3}
    assert "mean is exact on this signal" in found["skill"]["words"]


def test_scores_of_part_of_a_period():
    """Less than a period has a valid time but no oscillation."""
    found = scores(make_evidence(steps=20))
    assert found["oscillation"] is None
    assert found["valid_time"]["steps"]["median"] == 20


def test_one_step_and_one_origin_can_be_evaluated():
    found = scores(make_evidence(steps=1, origins=1, warmup=1))
    assert [row["horizon"] for row in found["closed_loop_rmse"]] == [1]


def test_every_score_has_its_key():
    assert set(score(make_evidence())) == set(METRICS) < set(Scores.model_fields)


def test_advice_is_given_on_poor_scores_alone():
    setting = Setting("random", True, 49, True, "cosine", 1.0, 6.0, 0.2, 1.0, np.ones(9))
    assert advise(make_evidence(), setting) == []
    (hint,) = advise(make_evidence(lambda truth: -truth), setting)
    assert hint.override == "windows.order=contiguous"
    assert advise(make_evidence(lambda truth: truth * np.nan), setting)
    constant = make_evidence(lambda truth: truth + 1, wave=np.ones_like)
    assert advise(constant, setting)


def climate_of(outputs: np.ndarray, exponent: float = 0.0, **settings) -> dict:
    """What is found of one free run, over steps enough to compare."""
    evidence = make_evidence(steps=1000, origins=1, **settings)
    evidence.dynamics.outputs[:] = outputs[:, None]
    evidence.dynamics.exponents[:] = exponent
    return scores(evidence)["dynamics"]


def random_wave(time: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(size=time.shape)


def test_a_periodic_series_may_have_a_cycle():
    found = climate_of(np.sin(0.2 * np.arange(2000)))
    assert found["settles"] == {"limit cycle": 1}
    assert found["climate"]["left"] == {}
    assert found["climate"]["true_exponent_per_step"] == 0
    assert found["climate"]["std_ratio"]["worst"] == pytest.approx(1, abs=0.01)
    assert found["warning"] is None


def test_a_cycle_without_known_period():
    """The samples show that the series is periodic."""
    found = climate_of(np.sin(0.2 * np.arange(2000)), period=None)
    assert (found["settles"], found["warning"]) == ({"limit cycle": 1}, None)
    assert found["climate"]["true_exponent_per_step"] == pytest.approx(0, abs=1e-4)


def test_a_cycle_of_an_irregular_series():
    """It has left the attractor even if its statistics agree."""
    repeated = np.tile(random_wave(np.arange(500.0)), 4)
    found = climate_of(repeated, exponent=-0.1, wave=random_wave, period=None)
    assert found["climate"]["std_ratio"]["worst"] == pytest.approx(1, abs=0.1)
    assert found["climate"]["spectral_distance"]["worst"] < 0.5
    assert found["climate"]["left"] == {"limit cycle": 1}
    assert "limit cycle (1), where the series has none" in found["warning"]
    assert found["climate"]["true_exponent_per_step"] is None  # of noise


def test_a_fixed_point_has_left_the_attractor():
    found = climate_of(np.full(2000, 0.5), exponent=-0.1)
    assert found["climate"]["left"] == {"fixed point": 1}
    assert "standard deviation 0 x the truth's over 500 steps" in found["warning"]


@pytest.mark.parametrize(("value", "place"), [(0.5, "fixed point"), (np.nan, "divergence")])
def test_a_collapse_in_a_short_test_part(value: float, place: str):
    """No statistics need to be compared to see that a run stands still, or diverges."""
    evidence = make_evidence(steps=100, origins=2)
    evidence.dynamics.outputs[1] = value
    evidence.dynamics.exponents[:] = [0, value * -0.1]
    found = scores(evidence)["dynamics"]
    assert found["climate"] is None
    assert found["warning"] == f"1 of 2 free runs left the attractor: {place} (1)"


def test_a_constant_series_may_have_a_fixed_point():
    evidence = make_evidence(steps=100, origins=1)
    evidence.dynamics.outputs[:] = evidence.open_loop[0].truth[:] = 0.5
    evidence.dynamics.exponents[:] = -0.1
    assert scores(evidence)["dynamics"]["warning"] is None


def test_climate_of_a_diverged_run():
    """What is infinite is null."""
    found = climate_of(np.full(2000, np.nan), exponent=np.nan)
    assert found["climate"]["left"] == {"divergence": 1}
    assert found["climate"]["std_ratio"] == {"median": None, "worst": None}


def test_no_climate_without_enough_samples():
    assert scores(make_evidence(steps=400))["dynamics"]["climate"] is None
    constant = make_evidence(steps=1000, wave=np.ones_like, period=None)
    assert scores(constant)["dynamics"]["climate"] is None

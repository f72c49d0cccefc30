"""Refinement: the Jacobian, the solver, what keeps units off their kink, and the generator."""

import os
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import run_python
from sinernn import cores
from sinernn.cores import share
from sinernn.engines.torch_engine import RecurrentNetwork
from sinernn.model.network import Network
from sinernn.refine import loop, problem, solver
from sinernn.refine.lift import lifted
from sinernn.refine.loop import refine, start
from sinernn.refine.problem import (
    Problem,
    flatten,
    free_run,
    stage_samples,
    unflatten,
    with_noise,
)
from sinernn.refine.solver import (
    INITIAL_DAMPING,
    NormalEquations,
    Step,
    factorise,
    gram_matrix,
    levenberg_marquardt_step,
    solve,
)
from sinernn.refine.stages import Stage

CELLS = ("rnn_tanh", "rnn_relu", "gru", "lstm")


def make_network(cell: str, hidden: int = 5, outputs: int = 1, inputs: int = 0) -> Network:
    return Network(cell, outputs, hidden, num_layers=1, dtype="float64", inputs=inputs)


def random_theta(network: Network, seed: int = 0) -> np.ndarray:
    return flatten(network.initial_params(seed), network)


def sine(count: int, *, amplitude: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * np.arange(count) / 31.3)[:, None]


def torch_predictions(flat, network: Network, samples, warmup: int, loop: str):
    """Predictions [B, horizon, O] of the torch module, differentiable in `flat`."""
    sizes = [int(np.prod(shape)) for shape in network.shapes.values()]
    params = {
        name: part.reshape(shape)
        for (name, shape), part in zip(network.shapes.items(), flat.split(sizes), strict=True)
    }
    module = RecurrentNetwork(network).double()

    def run(inputs, hidden):
        return torch.func.functional_call(module, params, (inputs, hidden))

    at_rest = torch.tensor(network.zero_hidden(len(samples)))
    if loop == "open":
        return run(samples[:, :-1], at_rest)[0][:, warmup - 1 :]
    out, hidden = run(samples[:, :warmup], at_rest)
    outputs = [out[:, -1:]]
    for step in range(warmup, samples.shape[1] - 1):
        given = samples[:, step : step + 1, network.outputs :]
        out, hidden = run(torch.cat([outputs[-1], given], 2), hidden)
        outputs.append(out)
    return torch.cat(outputs, 1)


@pytest.mark.parametrize("loop", ["open", "closed"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("hidden", "outputs", "inputs", "stride"), [(3, 1, 0, 1), (9, 2, 0, 3), (4, 2, 1, 2)]
)
def test_jacobian_is_torchs(cell, loop, hidden, outputs, inputs, stride):
    """Residuals and Jacobian are those of torch.

    Tolerance: rounding of some hundred products in float64, with a margin of a thousand.
    """
    network = make_network(cell, hidden, outputs, inputs)
    samples = np.random.default_rng(1).normal(size=(2, 21, outputs + inputs))
    stage = Stage(loop=loop, sequences=2, warmup=8, horizon=13, stride=stride)
    flat = torch.tensor(random_theta(network))
    counted = slice((13 - 1) % stride, None, stride)  # from the last backwards

    def errors_of(vector):
        data = torch.tensor(samples)
        errors = torch_predictions(vector, network, data, 8, loop) - data[:, 8:, :outputs]
        newest_first = errors[:, counted].flip(1)
        return newest_first.reshape(-1) / newest_first.numel() ** 0.5

    expected = torch.autograd.functional.jacobian(errors_of, flat).numpy()

    problem = Problem(network, samples, stage)
    errors, jacobian = problem.linearise(flat.numpy())

    np.testing.assert_allclose(errors, errors_of(flat).numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(jacobian[:, : errors.size].T, expected, rtol=1e-9, atol=1e-11)
    assert not jacobian[:, errors.size :].any()
    np.testing.assert_array_equal(problem.residuals(flat.numpy()), errors)


@pytest.mark.parametrize("cell", CELLS)
def test_a_closed_loop_of_one_step_is_an_open_one(cell):
    network = make_network(cell)
    theta, samples = random_theta(network), sine(12)[None]
    opened, closed = (
        Problem(network, samples, Stage(loop=loop, warmup=11, horizon=1)).linearise(theta)
        for loop in ("open", "closed")
    )
    np.testing.assert_array_equal(closed[0], opened[0])
    np.testing.assert_array_equal(closed[1], opened[1])


@pytest.mark.parametrize("inputs", [0, 1])
@pytest.mark.parametrize("cell", CELLS)
def test_closed_loop_residuals(cell, inputs):
    """They are the errors of a free run with the true inputs."""
    network = make_network(cell, outputs=2, inputs=inputs)
    theta = random_theta(network)
    samples = np.random.default_rng(0).normal(size=(3, 30, 2 + inputs))
    given = samples[:, 10:, 2:] if inputs else None
    run = free_run(theta, network, samples[:, :10], steps=20, inputs=given)
    errors = run - samples[:, 10:, :2]
    residuals = Problem(network, samples, Stage(warmup=10, horizon=20)).residuals(theta)
    np.testing.assert_allclose(
        residuals.reshape(3, 20, 2)[:, ::-1] * errors.size**0.5, errors, atol=1e-13
    )


LIFT = 5.0


def exact_relu_network(angle_rad: float):
    """x[t+1] = 2 cos(a) x[t] - x[t-1], by two ReLU units that never switch off; and a dead one."""
    network = make_network("rnn_relu", hidden=3)
    params = {
        "rnn.weight_ih_l0": np.array([[1.0], [0.0], [0.1]]),
        "rnn.weight_hh_l0": np.array([[0.0, 0.0, 3.0], [1.0, 0.0, 3.0], [0.0, 0.0, 0.0]]),
        "rnn.bias_ih_l0": np.array([LIFT, 0.0, -4.0]),
        "rnn.bias_hh_l0": np.zeros(3),
        "readout.weight": np.array([[2 * np.cos(angle_rad), -1.0, 3.0]]),
        "readout.bias": np.array([-LIFT * (2 * np.cos(angle_rad) - 1)]),
    }
    return network, flatten(params, network)


@pytest.mark.parametrize(("count", "stride"), [(2, 1), (3, 1), (8, 1), (2, 8), (3, 8)])
def test_refinement_in_threads(count: int, stride: int, monkeypatch: pytest.MonkeyPatch):
    """Any number of threads gives the same bits, also more than there are parts of the work.

    With a stride of 8 there are fewer residuals (27) than parameters.
    """
    network = Network("gru", 1, 5, 1, "float64")
    theta = flatten(network.initial_params(0), network)
    samples = np.random.default_rng(0).normal(size=(27, 12, 1))
    stage = Stage(loop="closed", warmup=4, horizon=8, stride=stride)
    linearised = Problem(network, samples, stage)
    shares = 0

    def bits() -> bytes:
        step = levenberg_marquardt_step(theta, 1e-3, linearised)
        assert step.accepted_damping is not None
        parts = *linearised.linearise(theta), linearised.residuals(theta), step.theta
        return b"".join(part.tobytes() for part in parts)

    def counted(items, work):
        nonlocal shares
        shares += 1
        share(items, work)

    for module in (cores, solver):
        monkeypatch.setattr(module, "usable_cores", lambda: 1)
    expected = bits()
    for module in (cores, solver):
        monkeypatch.setattr(module, "usable_cores", lambda: count)
    for module in (problem, solver):
        monkeypatch.setattr(module, "share", counted)
    assert bits() == expected
    # Of the step alone: the Jacobian, its Gram matrix, two factors, and two runs for each try.
    assert shares >= 2 + 1 + 1 + 1 + 2


@pytest.mark.parametrize("rows", [1, 3, 9, 50])
def test_gram_matrix(rows: int):
    """It is the product, symmetric bit for bit."""
    matrix = np.random.default_rng(0).normal(size=(rows, 7))
    found = gram_matrix(matrix)
    np.testing.assert_allclose(found, matrix @ matrix.T, atol=1e-13)
    np.testing.assert_array_equal(found, found.T)


def test_exact_network():
    """A network that is exact has no error in closed loop."""
    network, theta = exact_relu_network(0.3)
    samples = np.sin(0.3 * np.arange(200))[None, :, None]
    errors = Problem(network, samples, Stage(warmup=5, horizon=195)).residuals(theta)
    np.testing.assert_allclose(errors, 0, atol=1e-11)


def test_lift():
    """Lifting moves units off their kink and changes no output."""
    network, theta = exact_relu_network(0.3)
    samples = np.sin(0.3 * np.arange(60))[None, :, None]

    moved = lifted(theta, network, samples, warmup=10, margin=20.0)

    params = unflatten(moved, network)
    # Lowest inputs: -1 for the first, 4 (its state) for the second, -0.1 for the dead one.
    np.testing.assert_allclose(params["rnn.bias_ih_l0"], [21, 16, 20.1], atol=0.01)
    outputs = [free_run(each, network, samples[:, :20], steps=40) for each in (theta, moved)]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-10)


def test_lift_high_units():
    """Units that are high enough are left alone."""
    network, theta = exact_relu_network(0.3)
    samples = np.sin(0.3 * np.arange(60))[None, :, None]
    once = lifted(theta, network, samples, warmup=10, margin=1.0)
    np.testing.assert_array_equal(lifted(once, network, samples, warmup=10, margin=0.5), once)


@pytest.mark.parametrize("size", [1, 7, 32, 33, 101, 650])
def test_cholesky_solves_as_numpy_does(size):
    generator = np.random.default_rng(size)
    root = generator.normal(size=(size, size + 8))
    damping = generator.uniform(0.1, 1, size)
    right = generator.normal(size=size)

    factor = factorise(root @ root.T, damping)

    assert factor is not None
    expected = np.linalg.solve(root @ root.T + np.diag(damping), right)
    # The condition number is at most some thousands here.
    np.testing.assert_allclose(solve(factor, right), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("size", [40, 650])
@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_cholesky_indefinite(bad, size):
    """A matrix that is not positive definite is reported."""
    matrix = np.eye(size)
    matrix[35, 35] = bad
    assert factorise(matrix, np.zeros(size)) is None


@pytest.mark.parametrize("damping", [1.0, 1e-6])
@pytest.mark.parametrize(("size", "count"), [(6, 30), (30, 6), (9, 9), (2, 1)])
def test_normal_equations(size: int, count: int, damping: float):
    """They are solved in the smaller form, with columns of zeros behind the residuals.

    Tolerance: the condition number is at most some millions here.
    """
    generator = np.random.default_rng(0)
    jacobian = np.zeros((size, count + 3))
    jacobian[:, :count] = generator.normal(size=(size, count)) * np.geomspace(0.1, 1, size)[:, None]
    right = generator.normal(size=count)

    normal = NormalEquations.of(jacobian, count)

    assert normal is not None
    factor = normal.factorise(damping)
    assert factor is not None
    assert len(factor) == min(size, count)
    damped = jacobian @ jacobian.T + damping * np.diag((jacobian**2).sum(axis=1))
    expected = np.linalg.solve(damped, jacobian[:, :count] @ right)
    found = normal.solve(factor, normal.project(right))
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_scales_have_a_floor():
    """In both forms: a parameter without influence counts as a thousandth of the largest."""
    for count in (1, 4):
        normal = NormalEquations.of(np.array([[2.0] + (count - 1) * [0.0], count * [0.0]]), count)
        assert normal is not None
        np.testing.assert_allclose(normal.scale, [4, 4e-3])


@dataclass
class Linear:
    """residuals = matrix theta - right."""

    matrix: np.ndarray
    right: np.ndarray

    def residuals(self, theta):
        return self.matrix @ theta - self.right

    def linearise(self, theta):
        return self.residuals(theta), np.ascontiguousarray(self.matrix.T)


def test_an_undamped_step_solves_a_linear_problem():
    generator = np.random.default_rng(3)
    matrix, right = generator.normal(size=(30, 6)), generator.normal(size=30)

    step = levenberg_marquardt_step(np.zeros(6), 1e-14, Linear(matrix, right))

    np.testing.assert_allclose(step.theta, np.linalg.lstsq(matrix, right)[0], atol=1e-10)
    assert step.accepted_damping == 1e-14


def test_at_a_minimum_no_step_is_found():
    step = levenberg_marquardt_step(np.zeros(2), 1.0, Linear(np.eye(2), np.zeros(2)))
    assert step.accepted_damping is None
    np.testing.assert_array_equal(step.theta, 0)


@dataclass
class Curved:
    """residual = theta^2 - 4, one of each."""

    def residuals(self, theta):
        return theta**2 - 4

    def linearise(self, theta):
        return self.residuals(theta), 2 * theta[:, None]


def test_step_with_acceleration():
    """A step is the velocity and half the acceleration.

    At 3: residual 5, slope 6, second derivative along the velocity 2 v^2.
    """
    step = levenberg_marquardt_step(np.array([3.0]), 1e-14, Curved())
    velocity = -5 / 6
    # The finite difference is exact for a parabola.
    np.testing.assert_allclose(step.theta, 3 + velocity - velocity**2 / 6, rtol=1e-12)


class Cliff(Curved):
    """theta^2 - 4 within 1e-9 of 3, and lost beyond."""

    def residuals(self, theta):
        return np.where(np.abs(theta - 3) < 1e-9, theta**2 - 4, np.nan)


def test_damping_rises():
    """Until the step is short enough."""
    step = levenberg_marquardt_step(np.array([3.0]), 1e-16, Cliff())
    assert step.accepted_damping > 1e8
    assert step.loss < 25


def test_a_step_that_overflows_warns_nobody():
    """To where a slope of 1e-150 meets a residual of 1e150, whose distance squared is too far."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        far = Linear(np.array([[1e-150]]), np.array([1e150]))
        levenberg_marquardt_step(np.zeros(1), 1e-14, far)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("slope", [0.0, np.inf, np.nan])
def test_useless_jacobian(slope, size):
    """No step is found, with as many residuals as parameters or fewer."""

    class Flat(Curved):
        def residuals(self, theta):
            return super().residuals(theta[:1])

        def linearise(self, theta):
            return self.residuals(theta), np.full((size, 1), slope)

    step = levenberg_marquardt_step(np.full(size, 3.0), 1e-2, Flat())
    assert step.accepted_damping is None
    assert step.loss == 25


def test_search_for_a_step_ends():
    """Where none is short enough."""

    class Lost(Curved):
        def residuals(self, theta):
            return np.where(theta == 3, theta**2 - 4, np.nan)

    step = levenberg_marquardt_step(np.array([3.0]), 1e-16, Lost())
    assert step.accepted_damping is None


STAGES = (
    Stage(sequences=4, horizon=30, warmup=20, iterations=3, warmup_noise=0.05, redraw_every=2),
    Stage(loop="open", sequences=4, horizon=30, warmup=20, iterations=3, measure_every=1),
    Stage(sequences=4, horizon=60, warmup=20, stride=7, iterations=3),
)
SEGMENTS = [sine(500), sine(500, amplitude=0.5)]


def replace_stage(stage: Stage, **changes) -> Stage:
    return stage.model_copy(update=changes)


def run(network: Network, state, stages=STAGES, seed: int = 7):
    validation = stage_samples([sine(300)], Stage(sequences=3, warmup=20, horizon=130))

    def measure(theta):
        with np.errstate(over="ignore", invalid="ignore"):
            errors = free_run(theta, network, validation[:, :20], steps=130) - validation[:, 20:]
            error = float(np.sqrt(np.mean(errors**2)))
        return error if np.isfinite(error) else float("inf")

    return list(
        refine(state, SEGMENTS, network=network, stages=stages, seed=seed, measure=measure)
    ), measure


@pytest.mark.parametrize("cell", CELLS)
def test_go_on_from_any_record(cell):
    """Going on from any record gives the same bits."""
    network = make_network(cell)
    lift = 1.0 if cell == "rnn_relu" else 0.0
    stages = (*STAGES, Stage(sequences=2, batches=2, lift=lift, iterations=3))
    records, _ = run(network, start(network.initial_params(0), network), stages)
    last = records[-1].state
    for at, record in enumerate(records):
        rest, _ = run(network, record.state, stages)
        assert len(rest) == len(records) - at - 1
        final = rest[-1].state if rest else record.state
        np.testing.assert_array_equal(final.theta, last.theta)
        np.testing.assert_array_equal(final.best_theta, last.best_theta)
        assert (final.damping, final.best_error, final.step) == (
            last.damping, last.best_error, last.step,
        )  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
def test_best_is_kept(cell):
    """What is kept is the best that was measured."""
    network = make_network(cell)
    records, measure = run(network, start(network.initial_params(0), network))
    measured = [r.closed_loop_rmse for r in records if r.closed_loop_rmse is not None]
    last = records[-1].state
    assert measure(last.best_theta) == last.best_error == min(measured) <= measured[0]
    assert [r.state.best_error for r in records if r.is_best][-1] == last.best_error


@pytest.mark.parametrize(
    ("keeping", "best"),
    [
        pytest.param([True, True, True], 1, id="all"),
        pytest.param([True, False, True], 2, id="not the lowest error"),
        pytest.param([True, False, False], 0, id="the start alone"),
        pytest.param([False, False, True], 2, id="the last alone"),
        pytest.param([False, False, False], 1, id="none"),
    ],
)
def test_best_keeps_the_climate(keeping: list[bool], best: int):
    """A network that keeps the climate is better than all that do not, whatever their errors."""
    network, errors, seen = make_network("rnn_tanh"), (0.3, 0.1, 0.2), []

    def measure(theta):
        seen.append(theta)
        return errors[len(seen) - 1]

    def keeps_climate(theta):
        return keeping[[np.array_equal(theta, other) for other in seen].index(True)]

    *_, last = refine(
        start(network.initial_params(0), network),
        SEGMENTS,
        network=network,
        stages=[replace_stage(STAGES[1], iterations=2, measure_every=1)],
        seed=0,
        measure=measure,
        keeps_climate=keeps_climate,
    )
    assert last.state.best_error == errors[best]
    np.testing.assert_array_equal(last.state.best_theta, seen[best])


def test_diverging_start():
    """It ends its stages and keeps the start."""
    network = make_network("rnn_relu")
    params = network.initial_params(0)
    params["rnn.weight_hh_l0"] = 1e6 * np.eye(5)
    params["rnn.bias_ih_l0"] = np.ones(5)
    begin = start(params, network)
    records, _ = run(network, begin)
    assert records[-1].state.stage == len(STAGES)
    np.testing.assert_array_equal(records[-1].state.best_theta, begin.theta)


def test_a_lost_free_run_leads_on_from_the_best():
    network = make_network("rnn_relu")
    params = network.initial_params(0)
    good = flatten(params, network)
    params["rnn.weight_hh_l0"] = 1e6 * np.eye(5)
    params["rnn.bias_ih_l0"] = np.ones(5)
    lost = replace(start(params, network), iteration=0, best_theta=good, best_error=0.5)
    records, _ = run(network, lost, STAGES[:1])
    assert [record.iteration for record in records] == [0, 2]  # the next draw is lost as well
    np.testing.assert_array_equal(records[-1].state.theta, good)


def test_stage_after_a_polished_one():
    """It lowers its loss.

    What one stage leaves as damping is far too little for another's noise.
    """
    network = make_network("rnn_tanh", hidden=8)
    stages = (
        Stage(loop="open", sequences=4, warmup=20, horizon=40, iterations=60),
        Stage(sequences=8, warmup=20, horizon=100, warmup_noise=0.3, iterations=5),
    )
    records, _ = run(network, start(network.initial_params(0), network), stages)
    handed_on = next(record.state for record in records if record.is_stage_end)
    losses = [record.loss for record in records if record.stage == 1]
    assert handed_on.damping < 1e-6
    assert len(losses) == 5
    assert losses[-1] < 0.9 * losses[0]


def dead_end(theta, damping, problem):
    return Step(theta, 0.25, 1e3, None)


def test_a_dead_end_hands_no_damping_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "levenberg_marquardt_step", dead_end)
    network = make_network("rnn_tanh")
    records, _ = run(network, start(network.initial_params(0), network), STAGES[1:])
    assert [record.is_stage_end for record in records] == [False, True, True]
    assert {record.state.damping for record in records} == {INITIAL_DAMPING}


def test_dead_end_with_new_noise(monkeypatch: pytest.MonkeyPatch):
    """Where noise is drawn anew, a dead end costs one draw."""
    monkeypatch.setattr(loop, "levenberg_marquardt_step", dead_end)
    network = make_network("rnn_tanh")
    stage = Stage(
        sequences=4, horizon=30, warmup=20, iterations=8, warmup_noise=0.1, redraw_every=3,
        measure_every=3,
    )  # fmt: skip
    records, _ = run(network, start(network.initial_params(0), network), (stage,))
    assert [record.iteration for record in records] == [-1, 0, 3, 6]
    assert [record.is_stage_end for record in records] == [False, False, False, True]
    assert all(record.closed_loop_rmse is not None for record in records)


def test_dead_end_with_other_batches(monkeypatch: pytest.MonkeyPatch):
    """A dead end costs one iteration: the next has other sequences."""
    monkeypatch.setattr(loop, "levenberg_marquardt_step", dead_end)
    network = make_network("rnn_tanh")
    stage = Stage(sequences=4, batches=2, horizon=30, warmup=20, iterations=3)
    records, _ = run(network, start(network.initial_params(0), network), (stage,))
    assert [record.iteration for record in records] == [-1, 0, 1, 2]
    assert [record.is_stage_end for record in records] == [False, False, False, True]


def test_batches_take_turns(monkeypatch: pytest.MonkeyPatch):
    """Each iteration has every third of the sequences of one batch, with their noise."""
    seen = []

    def keep(theta, damping, problem):
        seen.append(problem.samples)
        return dead_end(theta, damping, problem)

    monkeypatch.setattr(loop, "levenberg_marquardt_step", keep)
    network = make_network("rnn_tanh")
    stage = Stage(sequences=2, batches=3, horizon=30, warmup=20, iterations=5, warmup_noise=0.05)
    run(network, start(network.initial_params(0), network), (stage,))
    whole = replace_stage(stage, sequences=6, batches=1)
    run(network, start(network.initial_params(0), network), (whole,))
    *batches, together = seen
    for iteration, batch in enumerate(batches):
        np.testing.assert_array_equal(batch, together[iteration % 3 :: 3])


def test_target_loss():
    """A stage ends when its loss is small enough."""
    network = make_network("rnn_tanh")
    stage = replace_stage(STAGES[1], target_loss=1e6)
    records, _ = run(network, start(network.initial_params(0), network), (stage,))
    assert [record.is_stage_end for record in records] == [False, True]


@pytest.mark.parametrize(("every", "measured"), [(None, [5]), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5])])
def test_measure_every(every, measured):
    """The validation part is measured as often as asked for."""
    network = make_network("rnn_tanh")
    stage = replace_stage(STAGES[1], iterations=5, measure_every=every)
    records, _ = run(network, start(network.initial_params(0), network), (stage,))
    assert [r.step for r in records if r.closed_loop_rmse is not None] == [0, *measured]


def test_a_stage_begins_with_its_lift():
    network = make_network("rnn_relu")
    stage = replace_stage(STAGES[1], iterations=1, lift=2.0)
    begin = start(network.initial_params(0), network)
    moved = lifted(
        begin.theta, network, stage_samples(SEGMENTS, stage), warmup=stage.warmup, margin=2.0
    )

    records, _ = run(network, begin, (stage,))
    expected, _ = run(network, replace(begin, theta=moved), (replace_stage(stage, lift=0.0),))

    assert not np.allclose(moved, begin.theta)
    np.testing.assert_array_equal(records[-1].state.theta, expected[-1].state.theta)


def test_loss_falls():
    """Within a stage without new noise."""
    network = make_network("rnn_tanh")
    records, _ = run(network, start(network.initial_params(0), network), STAGES[1:2])
    losses = [record.loss for record in records[1:]]
    assert losses == sorted(losses, reverse=True)


def test_steps_count_on_over_the_stages():
    network = make_network("rnn_tanh")
    records, _ = run(network, start(network.initial_params(0), network))
    assert [record.step for record in records] == list(range(len(records)))
    assert [r.stage for r in records if r.is_stage_end] == [0, 1, 2]


def test_the_seed_decides_the_noise():
    network = make_network("rnn_tanh")
    begin = start(network.initial_params(0), network)
    one, other = (run(network, begin, STAGES[:1], seed=seed)[0][-1] for seed in (1, 2))
    assert (one.state.theta != other.state.theta).all()


def test_each_stage_has_noise_of_its_own():
    samples = np.zeros((2, 50, 1))
    one, other = (
        with_noise(samples, STAGES[0], outputs=1, seed=0, number=number, iteration=0)
        for number in (0, 1)
    )
    assert not np.isclose(one[:, :20], other[:, :20]).any()


def test_noise_on_the_warmup():
    """Noise is on the outputs of the warm-up alone and is drawn anew when it is due."""
    samples = np.zeros((2, 50, 2))
    stage = STAGES[0]
    draws = [with_noise(samples, stage, outputs=1, seed=0, number=0, iteration=i) for i in range(3)]
    assert draws[0][:, :20, 0].std() == pytest.approx(0.05, rel=0.5)
    assert not draws[0][:, 20:].any()
    assert not draws[0][:, :, 1].any()  # an input
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.isclose(draws[0][:, :20, 0], draws[2][:, :20, 0]).any()
    assert not samples.any()


@given(
    lengths=st.lists(st.integers(0, 20), max_size=4), count=st.integers(1, 30),
    batches=st.integers(1, 3), warmup=st.integers(1, 5), horizon=st.integers(1, 5),
)  # fmt: skip
@settings(deadline=None)
def test_sequences_stay_inside_their_segments(lengths, count, batches, warmup, horizon):
    series = [100.0 * s + np.arange(length)[:, None] for s, length in enumerate([*lengths, 10])]
    stage = Stage(sequences=count, batches=batches, warmup=warmup, horizon=horizon)
    sequences = stage_samples(series, stage)
    assert sequences.shape == (batches * count, warmup + horizon, 1)
    np.testing.assert_array_equal(np.diff(sequences[:, :, 0]), 1.0)


def test_sequences_are_spread_over_all_segments():
    series = np.arange(110.0) + 1000 * np.arange(2)[:, None]  # 100 places in each
    sequences = stage_samples(list(series[:, :, None]), Stage(sequences=5, warmup=6, horizon=5))
    assert sequences[:, 0, 0].tolist() == [0, 49, 99, 1049, 1099]


def test_refine_without_the_compiler():
    """The kernels compute the same."""
    code = (
        "import numpy as np\n"
        "from sinernn.model.network import Network\n"
        "from sinernn.refine.problem import Problem, flatten\n"
        "from sinernn.refine.solver import factorise, solve\n"
        "from sinernn.refine.stages import Stage\n"
        "for cell in ('rnn_tanh', 'rnn_relu', 'gru', 'lstm'):\n"
        "    network = Network(cell, 2, 3, 1, 'float64')\n"
        "    theta = flatten(network.initial_params(0), network)\n"
        "    samples = np.sin(np.arange(36.0)).reshape(2, 9, 2)\n"
        "    problem = Problem(network, samples, Stage(warmup=3, horizon=6, stride=2))\n"
        "    errors, jacobian = problem.linearise(theta)\n"
        "    factor = factorise(jacobian @ jacobian.T, np.ones(theta.size))\n"
        "    solution = solve(factor, jacobian[:, : errors.size] @ errors)\n"
        "    print(*errors, *jacobian.ravel(), *solution)\n"
    )
    outputs = []
    # Any of numba's settings has kernels of its own: none where they are compiled.
    for changes in ({}, {"NUMBA_DISABLE_JIT": "1"}):
        printed = run_python(code, env=os.environ | changes)
        outputs.append(np.array(printed.split(), float))
    # Rounding: the compiler may reorder sums.
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-9, atol=1e-13)

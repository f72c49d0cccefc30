import numpy as np
import pytest

from sinernn.config.sections import Training
from sinernn.data.windows import Plan
from sinernn.errors import TrainingDivergedError
from sinernn.model.network import Network
from sinernn.training import check_last_loss, learning_rates, run_updates


class CountingEngine:
    """Returns the update's number as its loss, and remembers the pieces it was given."""

    def __init__(self, *, bad_at: int | None = None, bad_weight_at: int | None = None) -> None:
        network = Network("rnn_tanh", outputs=1, hidden_size=1, num_layers=1, dtype="float64")
        self.state = network.initial_state(0, batch_size=1)
        self.rates: list[float] = []
        self.pieces: list[int] = []
        self._bad_at, self._bad_weight_at = bad_at, bad_weight_at

    def advance(self, starts, resets, learning_rates):
        del resets
        first = self.state.updates
        self.state.updates += len(starts)
        self.rates += learning_rates.tolist()
        self.pieces.append(len(starts))
        losses = np.arange(first, self.state.updates, dtype=float)
        if self._bad_at is not None:
            losses[losses == self._bad_at] = np.nan
        if self._bad_weight_at is not None and self.state.updates > self._bad_weight_at:
            self.state.params["readout.bias"][0] = np.inf
        return losses

    @property
    def params(self):
        return {"updates": np.array(self.state.updates)}

    def is_finite(self):
        return self.state.is_finite()

    def kernel_calls(self):
        return []

    def open_loop(self, inputs, hidden):
        raise NotImplementedError

    def closed_loop(self, warmup, steps, hidden):
        raise NotImplementedError


def plan(first: int, n: int) -> Plan:
    return Plan(np.arange(first, first + n)[:, None], np.zeros((n, 1), dtype=bool))


def training(**changes) -> Training:
    settings = dict(
        steps=25,
        learning_rate=0.1,
        schedule="constant",
        log_every=10,
        evaluate_every=None,
        checkpoint_every=None,
    )
    return Training(**(settings | changes))


def records(engine: CountingEngine, *, losses=(), **changes):
    return list(
        run_updates(
            engine,
            plan,
            training(**changes),
            evaluate=lambda: float(engine.state.updates),
            losses=np.array(losses, dtype=float),
        )
    )


def test_rows_of_metrics():
    """There is one at every multiple and at the end."""
    rows = [r for r in records(CountingEngine(), evaluate_every=8, checkpoint_every=12) if r.is_row]
    assert [row.step for row in rows] == [8, 10, 12, 16, 20, 24, 25]
    assert [row.step for row in rows if row.is_checkpoint] == [12, 24, 25]
    assert [row.closed_loop_rmse for row in rows] == [8, None, None, 16, None, 24, 25]


def test_loss_of_a_row():
    """It is the mean loss since the last row."""
    rows = [record for record in records(CountingEngine()) if record.is_row]
    assert [row.loss for row in rows] == [np.arange(10).mean(), 14.5, 22]


def test_losses_before_a_resume():
    """They count in the first row after it."""
    engine = CountingEngine()
    engine.state.updates = 7
    resumed = records(engine, losses=range(7))
    assert [r.loss for r in resumed if r.is_row] == [4.5, 14.5, 22]


def test_no_intervals():
    """There is a checkpoint at the end, and no evaluation."""
    assert [r.step for r in records(CountingEngine()) if r.is_checkpoint] == [25]
    assert all(r.closed_loop_rmse is None for r in records(CountingEngine()))


def test_rate_of_each_update():
    """Every update gets the learning rate of its number."""
    engine = CountingEngine()
    records(engine, schedule="cosine")
    np.testing.assert_array_equal(engine.rates, learning_rates(training(schedule="cosine"), 0, 25))


def test_weights_that_are_kept():
    """They are those after just these updates, and cut no piece of the losses."""
    engine = CountingEngine()
    engine.state.updates = 3
    found = list(
        run_updates(
            engine, plan, training(), evaluate=lambda: 0.0, losses=np.arange(3.0),
            kept=[0, 3, 5, 8, 20, 24, 40],
        )
    )  # fmt: skip
    kept = {n: int(each["updates"]) for record in found for n, each in record.weights.items()}
    assert kept == {5: 5, 8: 8, 20: 20, 24: 24}
    assert [record.loss for record in found if record.is_row] == [4.5, 14.5, 22]


def test_slow_engine(monkeypatch: pytest.MonkeyPatch):
    """It is asked for one update at a time."""
    clock = iter(np.arange(0, 1000, 0.5).tolist())
    monkeypatch.setattr("sinernn.training.time.perf_counter", lambda: next(clock))
    engine = CountingEngine()
    records(engine)
    assert set(engine.pieces) == {1}


def test_cosine_schedule():
    """It begins at the peak and ends near 0."""
    settings = training(schedule="cosine", learning_rate=0.2, steps=1000)
    rates = learning_rates(settings, 0, 1000)
    assert rates[0] == 0.2
    assert rates[500] == pytest.approx(0.1)
    assert 0 < rates[-1] < 1e-6
    assert (np.diff(rates) < 0).all()


def test_a_constant_schedule_is_constant():
    np.testing.assert_array_equal(learning_rates(training(), 3, 4), [0.1] * 4)


def test_loss_not_finite():
    """Training ends, and the message names the update."""
    with pytest.raises(TrainingDivergedError, match=r"update 13: the loss is nan$"):
        records(CountingEngine(bad_at=12))


def test_weight_not_finite():
    """Training ends before it is saved."""
    with pytest.raises(TrainingDivergedError, match=r"update 20: a weight is no longer finite"):
        records(CountingEngine(bad_weight_at=10))


def check(losses, *, refined=(), first=2.0):
    rows = [{"phase": "training", "step": 10 * n, "loss": loss} for n, loss in enumerate(losses, 1)]
    rows += [{"phase": "refine", "step": n, "loss": loss} for n, loss in enumerate(refined)]
    check_last_loss(rows, of_zero=1.0, of_first=lambda: first)


@pytest.mark.parametrize(
    ("losses", "refined", "first"),
    [
        pytest.param([1e70, 200.0], [], 2.0, id="not above the bound"),
        pytest.param([1e-9, 1e-3, 99.0], [], 1e-12, id="a first loss near zero"),
        pytest.param([5e3], [], 1e4, id="weights of another run on other data"),
        pytest.param([1e70, 1e70], [None, 1e9, 3.0, np.inf, np.nan], 2.0, id="refinement"),
        pytest.param(["1e70", "3.0"], ["", "2e9"], 2.0, id="rows of a resumed run"),
    ],
)
def test_a_last_loss_that_is_no_divergence(losses, refined, first):
    check(losses, refined=refined, first=first)


def test_a_last_loss_far_above_the_first():
    """The message names the update from which it was, both losses and the factor."""
    message = (
        r"update 30: from there on its loss was more than 100 times the first update's "
        r"\(2\.00e\+00\), and after the last one it is 2\.01e\+02$"
    )
    with pytest.raises(TrainingDivergedError, match=message) as caught:
        check([1e70, 1.0, 1e70, "201"], refined=[200.5, 1e9])
    assert caught.value.update == 30
    with pytest.raises(TrainingDivergedError, match=r"update 10: .* that of an output of zero"):
        check([101.0], refined=[None, np.inf, 1e9], first=1e-12)

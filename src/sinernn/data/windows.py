"""Split segments by time, scale samples, and plan windows and forecasts.

Pure functions. Segments may have different lengths. The training parts of all segments, end to
end, are one array of samples; a window is named by the row of its first input sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sinernn.arrays import Bool, Float, Int
from sinernn.data.series import first_rows, locate
from sinernn.randomness import Purpose, stream

_RANDOM_BLOCK = 65_536  # windows drawn at once; a plan draws whole blocks


@dataclass(frozen=True)
class Parts:
    """Parts of every segment, in samples counted within it; in time order."""

    train: tuple[range, ...]
    validation: tuple[range, ...]
    test: tuple[range, ...]

    def named(self, part: str) -> tuple[range, ...]:
        """Return a part by its name: `train`, `validation` or `test`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]


def split_by_time(lengths: Sequence[int], *, train: float, validation: float) -> Parts:
    """Split segments; the fractions of each are rounded to whole samples.

    Args:
        lengths: Samples in each segment.
        train: Fraction for training.
        validation: Fraction for validation; the rest is for the test.

    Raises:
        ValueError: The fractions are negative, or sum to more than 1.
    """
    if min(train, validation) < 0 or train + validation > 1 + 1e-12:
        raise ValueError(f"cannot split into {train} and {validation} of the whole")
    ends = [round(length * train) for length in lengths]
    stops = [
        min(end + round(length * validation), length)
        for end, length in zip(ends, lengths, strict=True)
    ]
    return Parts(
        train=tuple(map(range, ends)),
        validation=tuple(map(range, ends, stops)),
        test=tuple(map(range, stops, lengths)),
    )


@dataclass(frozen=True)
class Scale:
    """An affine map between signal units and the scaled units of a network."""

    mean: Float[np.ndarray, " channel"]
    """In signal units."""

    std: Float[np.ndarray, " channel"]
    """In signal units, greater than 0."""

    def apply(self, samples: Float[np.ndarray, "... channel"]) -> Float[np.ndarray, "... channel"]:
        """Signal units to scaled units."""
        return (samples - self.mean) / self.std

    def invert(self, scaled: Float[np.ndarray, "... channel"]) -> Float[np.ndarray, "... channel"]:
        """Scaled units to signal units."""
        return scaled * self.std + self.mean

    def first(self, count: int) -> "Scale":
        """Return the scale of the first channels."""
        return Scale(self.mean[:count], self.std[:count])

    def last(self, count: int) -> "Scale":
        """Return the scale of the last channels."""
        return Scale(self.mean[-count:], self.std[-count:])


def fit_scale(training: Float[np.ndarray, "... channel"]) -> Scale:
    """Return the scale that gives the training part mean 0 and standard deviation 1.

    Raises:
        ValueError: A channel is constant to within rounding.
    """
    std = spread(training)
    if not std.all():
        raise ValueError("the training part is constant, so it has no scale")
    return Scale(training.reshape(-1, training.shape[-1]).mean(axis=0), std)


def spread(training: Float[np.ndarray, "... channel"]) -> Float[np.ndarray, " channel"]:
    """Return each channel's standard deviation; 0 for one that is constant to within rounding."""
    samples = training.reshape(-1, training.shape[-1])
    std = samples.std(axis=0)
    return np.where(std <= 1e-12 * np.abs(samples).max(axis=0), 0.0, std)


def noisy_copies(
    training: Float[np.ndarray, "N channel"], std: float, seed: int, copies: int
) -> Float[np.ndarray, "copies_N channel"]:
    """Return copies of the training part, each with other noise, end to end.

    Args:
        training: In scaled units.
        std: Standard deviation of the noise, in scaled units; with 0 there is none.
        seed: Seed of the noise.
        copies: How many.

    Source:
        Noise on inputs as regularisation: Bishop (1995), "Training with noise is equivalent to
        Tikhonov regularization", Neural Computation 7, 108-116. Targets get it here, too.
    """
    if std == 0:
        return np.tile(training, (copies, 1))
    generator = stream(seed, Purpose.TRAINING_NOISE)
    noise = generator.standard_normal((copies, *training.shape))
    return (training + std * noise).reshape(-1, training.shape[1])


def identity_scale(channels: int) -> Scale:
    """Return the scale that changes nothing."""
    return Scale(np.zeros(channels), np.ones(channels))


@dataclass(frozen=True)
class Plan:
    """The B windows of each of n updates."""

    starts: Int[np.ndarray, "n B"]
    """Row of each window's first input sample."""

    resets: Bool[np.ndarray, "n B"]
    """Whether the hidden state is set to zero before the window."""


Planner = Callable[[int, int], Plan]
"""(first update, how many) -> their plan; a pure function."""


def whole_windows(samples: int, length: int) -> int:
    """Return how many windows of `length` inputs fit end to end into `samples`.

    A window's last target is the next window's first input, so one sample more than the
    inputs is enough.
    """
    return max(0, (samples - 1) // length)


def contiguous_planner(
    segments: Sequence[int], *, length: int, batch_size: int, carry_state: bool
) -> Planner:
    """Windows end to end along every segment; each row of the batch starts at a different place.

    Row b sees window (b W // B + u) mod W at update u, of W windows in all; its state is reset at
    the first update and before the first window of any segment, or always without `carry_state`.

    Args:
        segments: Samples in the training part of each segment.
        length: Inputs in a window.
        batch_size: Rows B, at most W.
        carry_state: Whether the next window starts from a row's hidden state.

    Raises:
        ValueError: There are fewer windows than rows.
    """
    windows = [whole_windows(samples, length) for samples in segments]
    count = sum(windows)
    if not 1 <= batch_size <= count:
        raise ValueError(f"{batch_size} rows need as many windows, got {count}")
    first_window = np.arange(batch_size) * count // batch_size
    begins = first_rows(segments)

    def plan(first_update: int, n: int) -> Plan:
        update = np.arange(first_update, first_update + n)[:, None]
        segment, window = locate(windows, (first_window + update) % count)
        resets = (update == 0) | (window == 0) | (not carry_state)
        return Plan(begins[segment] + window * length, resets)

    return plan


def random_planner(
    segments: Sequence[int], *, length: int, batch_size: int, carry_state: bool, seed: int
) -> Planner:
    """Windows drawn uniformly from all whole windows.

    Args:
        segments: Samples in the training part of each segment.
        length: Inputs in a window, less than the samples of the longest part.
        batch_size: Rows B.
        carry_state: Whether the next window starts from a row's hidden state, although it is
            elsewhere in the series.
        seed: Seed of the draws.

    Raises:
        ValueError: No segment contains a whole window.
    """
    places = [max(0, samples - length) for samples in segments]  # where a window may begin
    if not any(places):
        raise ValueError(f"no segment has the {length + 1} samples of a window and its last target")
    are_equal = len(set(segments)) == 1
    begins = first_rows(segments)
    updates = max(1, _RANDOM_BLOCK // batch_size)  # in a block

    @lru_cache(maxsize=2)  # of a block, training takes a few windows at a time
    def draw(block: int) -> Int[np.ndarray, "updates B"]:
        generator = stream(seed, Purpose.WINDOWS, block)
        size = (updates, batch_size)
        if are_equal:  # two draws, as in version 0.1: the same windows
            segment = generator.integers(len(segments), size=size)
            place = generator.integers(places[0], size=size)
        else:
            segment, place = locate(places, generator.integers(sum(places), size=size))
        return begins[segment] + place

    def plan(first_update: int, n: int) -> Plan:
        last = first_update + n
        starts = np.concatenate(
            [
                draw(block)[max(first_update - block * updates, 0) : last - block * updates]
                for block in range(first_update // updates, (last - 1) // updates + 1)
            ]
        )
        resets = np.full(starts.shape, not carry_state)
        resets[:1] |= first_update == 0
        return Plan(starts, resets)

    return plan


@dataclass(frozen=True)
class Origins:
    """Where closed-loop forecasts start: the first forecast sample, counted within its segment."""

    segments: Int[np.ndarray, " origin"]
    samples: Int[np.ndarray, " origin"]


def count_origins(stretches: Sequence[range], *, warmup: int, horizon: int) -> list[int]:
    """Return how many different origins fit into each stretch, with warm-up and horizon."""
    return [max(0, len(stretch) - warmup - horizon + 1) for stretch in stretches]


def spread_origins(stretches: Sequence[range], *, warmup: int, horizon: int, count: int) -> Origins:
    """Spread origins evenly over segments, and over the stretch of each.

    Args:
        stretches: The stretch of each segment, in samples counted within it.
        warmup: True samples read before each origin.
        horizon: Steps forecast from each.
        count: Origins in all.

    Raises:
        ValueError: Fewer different origins fit.
    """
    fitting = count_origins(stretches, warmup=warmup, horizon=horizon)
    if count > sum(fitting):
        raise ValueError(f"{count} origins do not fit, at most {sum(fitting)} do")
    shares, left = [0] * len(stretches), count
    # The shortest first: what does not fit there is left to the others.
    for done, segment in enumerate(sorted(range(len(fitting)), key=lambda each: fitting[each])):
        shares[segment] = min(fitting[segment], -(-left // (len(fitting) - done)))
        left -= shares[segment]
    samples = [
        np.linspace(stretch.start + warmup, stretch.start + warmup + fits - 1, share)
        for stretch, fits, share in zip(stretches, fitting, shares, strict=True)
    ]
    segments = np.repeat(np.arange(len(stretches)), shares)
    return Origins(segments, np.concatenate(samples).round().astype(int))

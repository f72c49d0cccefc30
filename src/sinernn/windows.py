"""Split by time, scaling, and plans: which window each update sees, where forecasts begin.

Pure functions. The training parts of all segments, laid end to end, form one array of samples; a
window is named by the position of its first input sample in it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sinernn.randomness import Purpose, stream

_RANDOM_BLOCK = 65_536  # windows drawn at a time: a plan for any update costs at most a block more


@dataclass(frozen=True)
class Parts:
    """How many samples of each segment belong to which part; in time order."""

    train: int
    validation: int
    test: int

    def bounds(self, part: str) -> tuple[int, int]:
        """Return where a part (`train`, `validation` or `test`) begins, and the sample past it."""
        begins = {"train": 0, "validation": self.train, "test": self.train + self.validation}
        return begins[part], begins[part] + getattr(self, part)


def split_by_time(length: int, *, train: float, validation: float) -> Parts:
    """Split a segment of `length` samples; the fractions are rounded to whole samples.

    Raises:
        ValueError: The fractions are negative, or sum to more than 1.
    """
    if min(train, validation) < 0 or train + validation > 1 + 1e-12:
        raise ValueError(f"cannot split into {train} and {validation} of the whole")
    train_samples = round(length * train)
    validation_samples = min(round(length * validation), length - train_samples)
    return Parts(train_samples, validation_samples, length - train_samples - validation_samples)


@dataclass(frozen=True)
class Scale:
    """An affine map between the series' own units and what a network sees."""

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


def identity_scale(channels: int) -> Scale:
    """Return the scale that changes nothing."""
    return Scale(np.zeros(channels), np.ones(channels))


@dataclass(frozen=True)
class Plan:
    """What each of n updates sees, B windows at a time."""

    starts: Int[np.ndarray, "n B"]
    """Position of each window's first input sample."""

    resets: Bool[np.ndarray, "n B"]
    """Whether the row's hidden state becomes zero first."""


Planner = Callable[[int, int], Plan]
"""(first update, how many) -> their plan, whatever was planned before."""


def whole_windows(samples: int, length: int) -> int:
    """Return how many windows of `length` inputs fit end to end into `samples`.

    A window's last target is the next window's first input, so one sample more than the
    inputs is enough.
    """
    return max(0, (samples - 1) // length)


def contiguous_planner(
    *, segments: int, samples: int, length: int, batch_size: int, carry_state: bool
) -> Planner:
    """Windows laid end to end along every segment, each row of the batch at a place of its own.

    Row b sees window (b W // B + u) mod W at update u, of W windows in all; its state is reset at
    the first update and before the first window of any segment, or always without `carry_state`.

    Args:
        segments: Number of segments.
        samples: Samples in each segment's training part.
        length: Inputs in a window.
        batch_size: Rows B, at most W.
        carry_state: Whether a row's hidden state goes on into the next window.

    Raises:
        ValueError: There are fewer windows than rows.
    """
    per_segment = whole_windows(samples, length)
    count = segments * per_segment
    if not 1 <= batch_size <= count:
        raise ValueError(f"{batch_size} rows need as many windows, got {count}")
    first_window = np.arange(batch_size) * count // batch_size

    def plan(first: int, n: int) -> Plan:
        update = np.arange(first, first + n)[:, None]
        segment, window = np.divmod((first_window + update) % count, per_segment)
        resets = (update == 0) | (window == 0) | (not carry_state)
        return Plan(segment * samples + window * length, resets)

    return plan


def random_planner(
    *, segments: int, samples: int, length: int, batch_size: int, carry_state: bool, seed: int
) -> Planner:
    """Windows drawn uniformly: first a segment, then where in it the whole window begins.

    Args:
        segments: Number of segments.
        samples: Samples in each segment's training part.
        length: Inputs in a window, less than `samples`.
        batch_size: Rows B.
        carry_state: Whether a row's hidden state goes on into the next window, although the two
            are no neighbours.
        seed: Which windows.

    Raises:
        ValueError: A segment holds no whole window.
    """
    offsets = samples - length
    if offsets < 1:
        raise ValueError(f"{samples} samples hold no window of {length} inputs and one target more")

    updates = max(1, _RANDOM_BLOCK // batch_size)  # in a block

    def draw(block: int) -> Int[np.ndarray, "updates B"]:
        generator = stream(seed, Purpose.WINDOWS, block)
        size = (updates, batch_size)
        return generator.integers(segments, size=size) * samples + generator.integers(
            offsets, size=size
        )

    def plan(first: int, n: int) -> Plan:
        begin, end = first // updates, (first + n - 1) // updates + 1
        drawn = np.concatenate([draw(block) for block in range(begin, end)])
        starts = drawn[first - begin * updates :][:n]
        update = np.arange(first, first + n)[:, None]
        resets = np.broadcast_to((update == 0) | (not carry_state), starts.shape)
        return Plan(starts, resets.copy())

    return plan


@dataclass(frozen=True)
class Origins:
    """Where closed-loop forecasts begin: the first forecast sample, by segment."""

    segments: Int[np.ndarray, " origin"]
    samples: Int[np.ndarray, " origin"]


def room_for_origins(bounds: tuple[int, int], *, warmup: int, horizon: int) -> int:
    """Return how many different origins one segment's part holds, warm-up and horizon inside it."""
    return max(0, bounds[1] - bounds[0] - warmup - horizon + 1)


def spread_origins(
    bounds: tuple[int, int], *, segments: int, warmup: int, horizon: int, count: int
) -> Origins:
    """Spread origins evenly over a part, over segments first.

    Args:
        bounds: First sample of the part in every segment, and the one past it.
        segments: Number of segments.
        warmup: True samples read before each origin.
        horizon: Steps forecast from each; the last origin still has room for them.
        count: Origins in all.

    Raises:
        ValueError: A segment has no room for its share of different origins.
    """
    room = room_for_origins(bounds, warmup=warmup, horizon=horizon)
    first = bounds[0] + warmup
    shares = [count // segments + (segment < count % segments) for segment in range(segments)]
    if max(shares) > room:
        raise ValueError(f"{max(shares)} origins in a segment that has room for {room}")
    samples = [np.linspace(first, first + room - 1, share).round().astype(int) for share in shares]
    return Origins(np.repeat(np.arange(segments), shares), np.concatenate(samples))

"""The residuals of a stage as a function of the parameters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from sinernn.arrays import Float
from sinernn.cores import share
from sinernn.data.series import locate
from sinernn.engines import KernelCall, free_run_samples
from sinernn.engines.fused import runs
from sinernn.engines.fused.layout import float64_layout_of
from sinernn.model.network import Network, Params, Theta
from sinernn.randomness import Purpose, stream
from sinernn.refine.jacobian import Differentiator, Memory, Weights
from sinernn.refine.solver import substitute
from sinernn.refine.stages import Stage

GROUP = 12
"""Sequences that one call runs, at most. A multiple of 4 and 6: the rows that
`engines.fused.gemm` multiplies at once on AVX2."""

ROWS = 4
"""It runs a multiple of these, unless fewer are left: a sequence would take longer."""


@dataclass(frozen=True)
class Problem:
    """See `solver.LeastSquares`; the sum of squares is the mean squared error in scaled units."""

    network: Network
    samples: Float[np.ndarray, "B length D"]
    """Sequences in scaled units, each a warm-up followed by a horizon; D channels, of which the
    first O are outputs."""

    stage: Stage
    memory: Memory = field(default_factory=Memory)

    def residuals(self, theta: Theta) -> Float[np.ndarray, " N"]:
        """Return prediction minus sample at the steps that count: by sequence, newest first."""
        steps = self.samples.shape[1] - 1
        given = self.network, self.samples, self._forced, steps
        return self._errors(_outputs(theta, *given, self.memory))

    def linearise(
        self, theta: Theta
    ) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "P columns"]]:
        """Return the residuals and their transposed Jacobian; its columns past N are zero.

        The next call writes into the same Jacobian.
        """
        (sequences, length, _), network = self.samples.shape, self.network
        steps, count = length - 1, self._counted * network.outputs
        size = group_size(sequences)
        outputs = np.empty((sequences, steps, network.outputs))
        jacobian = self.memory.jacobian(theta.size, sequences * count)
        packed, weights = float64_layout_of(network).pack_flat(theta), Weights.of(theta, network)

        @np.errstate(over="ignore", invalid="ignore")  # of a diverging run
        def differentiate_groups(begins: Iterator[int]) -> None:
            for begin in begins:
                group = slice(begin, begin + size)
                samples = self.samples[group, :-1]
                sizes = network, samples.shape, self._forced, count
                with self.memory.borrow(Differentiator, *sizes) as tool:
                    outputs[group] = tool.run(packed, weights, samples)
                    settings = self._first, self.stage.stride, self._weight
                    tool.differentiate(*settings, jacobian, begin * count)

        # Each group writes its own columns, so the bits are the same for any number of threads.
        share(range(0, sequences, size), differentiate_groups)
        return self._errors(outputs), jacobian

    def _errors(self, outputs: Float[np.ndarray, "B steps O"]) -> Float[np.ndarray, " N"]:
        counted = list(range(outputs.shape[1] - 1, self._first - 1, -self.stage.stride))
        targets = self.samples[:, 1:, : self.network.outputs][:, counted]
        with np.errstate(over="ignore", invalid="ignore"):  # of a diverging run
            return (self._weight * (outputs[:, counted] - targets)).ravel()

    @property
    def _forced(self) -> int:
        """Number of steps fed with true samples."""
        return self.stage.warmup if self.stage.loop == "closed" else self.samples.shape[1] - 1

    @property
    def _first(self) -> int:
        """The first step that can count; from the last step backwards, every stride-th counts."""
        return self.stage.warmup - 1

    @property
    def _counted(self) -> int:
        """Number of steps of a sequence that count."""
        return (self.samples.shape[1] - 2 - self._first) // self.stage.stride + 1

    @property
    def _weight(self) -> float:
        """Factor of an error, which gives damping the same meaning in all problems."""
        return (len(self.samples) * self._counted * self.network.outputs) ** -0.5


def group_size(sequences: int) -> int:
    """Return how many sequences one call runs: a half of them, a quarter, and so on.

    So two threads, or four, have equal shares, and few calls between which they wait for each
    other. It does not depend on the number of threads, since the last bits of a run depend on it.
    """
    parts = 2
    while sequences > parts * GROUP:
        parts *= 2
    return -(-sequences // (ROWS * parts)) * ROWS


def _outputs(
    theta: Theta,
    network: Network,
    samples: Float[np.ndarray, "B given D"],
    forced: int,
    steps: int,
    memory: Memory,
) -> Float[np.ndarray, "B steps O"]:
    layout, size = float64_layout_of(network), group_size(len(samples))
    params, outputs = layout.pack_flat(theta), np.empty((len(samples), steps, network.outputs))

    def run_parts(begins: Iterator[int]) -> None:
        for begin in begins:
            part = samples[begin : begin + size]
            with memory.borrow(runs.Runner, layout, part.shape, forced, steps) as runner:
                outputs[begin : begin + size] = runner.run(params, part)

    share(range(0, len(samples), size), run_parts)
    return outputs


def flatten(params: Params, network: Network) -> Theta:
    """Return the parameters as one float64 array."""
    return np.concatenate([params[name].ravel() for name in network.shapes]).astype(np.float64)


def unflatten(theta: Theta, network: Network) -> Params:
    """Return new arrays under torch's names in the network's dtype: the inverse of `flatten`."""
    return {name: view.astype(network.dtype) for name, view in network.split(theta).items()}


def free_run(
    theta: Theta,
    network: Network,
    warmup: Float[np.ndarray, "B W D"],
    *,
    steps: int,
    inputs: Float[np.ndarray, "B after I"] | None = None,
) -> Float[np.ndarray, "B steps O"]:
    """Continue every warm-up in closed loop, from the zero state, in scaled units.

    Args:
        theta: Parameters.
        network: A network of one layer.
        warmup: True samples, W >= 1.
        steps: Samples to generate, >= 1.
        inputs: True inputs after the warm-up, as for `Engine.closed_loop`.
    """
    samples, forced = free_run_samples(network, warmup, steps, inputs), warmup.shape[1]
    return _outputs(theta, network, samples, forced, forced + steps - 1, Memory())[:, forced - 1 :]


def stage_samples(
    segments: Sequence[Float[np.ndarray, "_ D"]], stage: Stage
) -> Float[np.ndarray, "B length D"]:
    """Return the sequences of all batches, evenly spaced over all possible start positions.

    Args:
        segments: Training part of each segment in scaled units.
        stage: The stage; its warm-up and horizon must fit into a segment.
    """
    length = stage.warmup + stage.horizon
    places = [max(0, len(samples) - length + 1) for samples in segments]
    count = stage.batches * stage.sequences
    segment, start = locate(places, np.arange(count) * (sum(places) - 1) // max(count - 1, 1))
    begins: list[tuple[int, int]] = list(zip(segment.tolist(), start.tolist(), strict=True))
    return np.stack([segments[each][at : at + length] for each, at in begins])


def with_noise(
    samples: Float[np.ndarray, "B length D"],
    stage: Stage,
    *,
    outputs: int,
    seed: int,
    number: int,
    iteration: int,
) -> Float[np.ndarray, "B length D"]:
    """Return the sequences with an iteration's noise added to the outputs of their warm-ups.

    Args:
        samples: Sequences, scaled units.
        stage: The stage; it sets how much noise is added, and how often the noise is redrawn.
        outputs: Number of output channels.
        seed: Seed of the experiment.
        number: Number of the stage.
        iteration: Iteration within the stage.
    """
    if stage.warmup_noise == 0:
        return samples
    draw = 0 if stage.redraw_every is None else iteration // stage.redraw_every
    generator = stream(seed, Purpose.WARMUP_NOISE, block=number << 32 | draw)
    noisy = samples.copy()
    warmups = noisy[:, : stage.warmup, :outputs]
    warmups += stage.warmup_noise * generator.standard_normal(warmups.shape)
    return noisy


def kernel_calls(network: Network) -> list[KernelCall]:
    """Return calls of all kernels that refinement of a network uses; see `Engine.kernel_calls`."""
    tool = Differentiator(network, (1, 1, network.channels), 1, 1)
    return [
        tool.kernel_call(0, 1, 1.0, Memory().jacobian(network.parameter_count, 1), 0),
        runs.empty_run(float64_layout_of(network)),
        (substitute, (np.eye(1), np.zeros(1))),
    ]

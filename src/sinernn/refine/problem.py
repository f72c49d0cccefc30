"""A stage's residuals as a function of the parameters alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sinernn.engines.fused.cache import is_compiled
from sinernn.network import Network, Params, Theta
from sinernn.randomness import Purpose, stream
from sinernn.refine import algebra, jacobian
from sinernn.refine.cells import CELLS
from sinernn.refine.stages import Stage


@dataclass(frozen=True)
class Problem:
    """See `solver.LeastSquares`; the sum of squares is the mean squared error, scaled units."""

    network: Network
    samples: Float[np.ndarray, "B length D"]
    """Sequences in scaled units, warm-up and horizon of each."""

    stage: Stage

    def residuals(self, theta: Theta) -> Float[np.ndarray, " N"]:
        """Return prediction minus sample where it counts: by sequence, newest step first."""
        return jacobian.residuals(*self.arguments(theta))

    def linearise(
        self, theta: Theta
    ) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "P columns"]]:
        """Return the residuals and their transposed Jacobian; its columns past N are zero."""
        return jacobian.linearise(*self.arguments(theta))

    def arguments(self, theta: Theta) -> tuple[Any, ...]:
        """Return what the kernels take."""
        sequences, length, channels = self.samples.shape
        first = self.stage.warmup - 1
        counted = (length - 2 - first) // self.stage.stride + 1
        # So that damping means the same everywhere.
        weights = np.full(length - 1, (sequences * counted * channels) ** -0.5)
        forced = self.stage.warmup if self.stage.loop == "closed" else length - 1
        return (
            theta,
            CELLS[self.network.cell],
            self.network.hidden_size,
            self.samples,
            forced,
            first,
            self.stage.stride,
            weights,
        )


def flatten(params: Params, network: Network) -> Theta:
    """Return the parameters as one array in float64."""
    return np.concatenate([params[name].ravel() for name in network.shapes]).astype(np.float64)


def unflatten(theta: Theta, network: Network) -> Params:
    """Return new arrays under torch's names, in the network's dtype: `flatten` the other way."""
    params, begin = Params(), 0
    for name, shape in network.shapes.items():
        end = begin + int(np.prod(shape))
        params[name] = theta[begin:end].reshape(shape).astype(network.dtype)
        begin = end
    return params


def free_run(
    theta: Theta, network: Network, warmup: Float[np.ndarray, "B W D"], *, steps: int
) -> Float[np.ndarray, "B steps D"]:
    """Continue every warm-up in closed loop, from the zero state, in scaled units.

    Args:
        theta: Parameters.
        network: Of one layer.
        warmup: True samples, W >= 1.
        steps: Samples to generate, >= 1.
    """
    samples = np.ascontiguousarray(warmup, np.float64)
    return jacobian.free_run(theta, CELLS[network.cell], network.hidden_size, samples, steps)


def stage_samples(
    segments: Float[np.ndarray, "segment sample D"], stage: Stage
) -> Float[np.ndarray, "B length D"]:
    """Return the sequences of a stage, begun evenly over all places where one fits.

    Args:
        segments: Training parts in scaled units.
        stage: Whose warm-up and horizon must fit into a segment.
    """
    length = stage.warmup + stage.horizon
    room = segments.shape[1] - length + 1
    last = len(segments) * room - 1
    gaps = max(stage.sequences - 1, 1)
    begins = [divmod(index * last // gaps, room) for index in range(stage.sequences)]
    return np.stack([segments[segment, at : at + length] for segment, at in begins])


def with_noise(
    samples: Float[np.ndarray, "B length D"],
    stage: Stage,
    *,
    seed: int,
    number: int,
    iteration: int,
) -> Float[np.ndarray, "B length D"]:
    """Return the sequences with the noise of an iteration on their warm-ups.

    Args:
        samples: Sequences, scaled units.
        stage: Which says how much noise, and how often it changes.
        seed: The experiment's.
        number: The stage's.
        iteration: Within the stage.
    """
    if stage.warmup_noise == 0:
        return samples
    draw = 0 if stage.redraw_every is None else iteration // stage.redraw_every
    generator = stream(seed, Purpose.WARMUP_NOISE, block=number << 32 | draw)
    noisy = samples.copy()
    warmups = noisy[:, : stage.warmup]
    warmups += stage.warmup_noise * generator.standard_normal(warmups.shape)
    return noisy


@dataclass(frozen=True)
class Kernels:
    """What refinement of a network runs, compiled as an engine is."""

    network: Network

    @property
    def needs_compiling(self) -> bool:
        """Whether a kernel has yet to be compiled: seconds of work, once on a machine."""
        return not all(is_compiled(kernel, *arguments) for kernel, arguments in self._calls())

    def compile(self) -> None:
        """Compile what refinement runs; left out, the first calls do it."""
        for kernel, arguments in self._calls():
            kernel(*arguments)

    def _calls(self) -> list[tuple[Any, tuple[Any, ...]]]:
        """Return every kernel, with arguments of the right types that ask for next to nothing."""
        network = self.network
        theta, samples = np.zeros(network.parameter_count), np.zeros((1, 3, network.channels))
        problem = Problem(network, samples, Stage(warmup=1, horizon=2))
        cell, hidden = CELLS[network.cell], network.hidden_size
        errors, transposed, matrix = np.zeros(1), np.zeros((theta.size, 8)), np.eye(theta.size)
        return [
            (jacobian.residuals, problem.arguments(theta)),
            (jacobian.linearise, problem.arguments(theta)),
            (jacobian.free_run, (theta, cell, hidden, samples, 1)),
            (algebra.dot, (theta, theta)),
            (algebra.times, (transposed, errors)),
            (algebra.transposed_times, (transposed, theta, 1)),
            (algebra.gauss_newton, (transposed,)),
            (algebra.factorise, (matrix, theta)),
            (algebra.solve, (matrix, theta)),
        ]

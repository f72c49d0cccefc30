"""ReLU units off their kink: what a free run of thousands of steps meets once, training never saw.

A unit that is always on is linear, and can be moved away from its kink by any amount without
changing what the network computes: its bias rises, and the biases of all that reads it fall in
turn. A unit that is never on does nothing and learns nothing; once all that reads it is zero, its
bias may rise, and the next step finds out what it is good for. A unit that switches becomes linear
too, which does change the network; the steps that follow make up for it.

So a lifted network is linear. For a sum of oscillations that is what is wanted: a linear recurrence
continues it exactly.
"""

import numpy as np
from jaxtyping import Float

from sinernn.model.network import Network, Params, Theta
from sinernn.refine.problem import flatten, unflatten


def lifted(
    theta: Theta,
    network: Network,
    samples: Float[np.ndarray, "B length D"],
    *,
    warmup: int,
    margin: float,
) -> Theta:
    """Move every unit to at least `margin` above its kink.

    The steps right after the zero state are other ones than before.

    Args:
        theta: Parameters of an `rnn_relu` of one layer.
        network: The architecture.
        samples: Sequences on which its input is measured, scaled units.
        warmup: Samples of each that are read before it counts.
        margin: In scaled units.
    """
    params = unflatten(theta, network)
    lowest, highest = _range_of_units(params, samples, warmup=warmup)
    rise = np.maximum(margin - lowest, 0)
    params["rnn.bias_ih_l0"] += rise
    for weights, bias in (
        (params["rnn.weight_hh_l0"], params["rnn.bias_hh_l0"]),
        (params["readout.weight"], params["readout.bias"]),
    ):
        weights[:, highest <= 0] = 0.0  # of units that are never on
        bias -= (weights * rise).sum(axis=1)
    return flatten(params, network)


def _range_of_units(
    params: Params, samples: Float[np.ndarray, "B length D"], *, warmup: int
) -> tuple[Float[np.ndarray, " H"], Float[np.ndarray, " H"]]:
    """Return each unit's lowest and highest sum before its kink, in open loop."""
    w_ih, w_hh = params["rnn.weight_ih_l0"], params["rnn.weight_hh_l0"]
    bias = params["rnn.bias_ih_l0"] + params["rnn.bias_hh_l0"]
    hidden = len(bias)
    lowest, highest = np.full(hidden, np.inf), np.full(hidden, -np.inf)
    state = np.zeros((len(samples), hidden))
    for t in range(samples.shape[1] - 1):
        # Element by element: products of matrices would depend on the number of threads.
        sums = bias + (samples[:, t, None] * w_ih).sum(2) + (state[:, None] * w_hh).sum(2)
        state = np.maximum(sums, 0)
        if t >= warmup - 1:
            lowest = np.minimum(lowest, sums.min(axis=0))
            highest = np.maximum(highest, sums.max(axis=0))
    return lowest, highest

"""Move ReLU units away from their kink, which a long free run may reach although training did not.

A unit that is always on is linear, and can be moved away from its kink by any amount without
changing the network's outputs: its bias is raised, and the biases of the units that read it are
lowered accordingly. A unit that is never on has no effect and no gradient; once its outgoing
weights are zero, its bias can be raised, and the next steps find a use for it. A unit that switches
becomes linear, too, which changes the network; the following steps correct that.

A lifted network is therefore linear, which suits a sum of oscillations: a linear recurrence
continues it exactly.
"""

import numpy as np

from sinernn.arrays import Float
from sinernn.engines.fused.linearization import StateMap
from sinernn.model.network import Network, Params, Theta
from sinernn.refine.problem import GROUP, flatten, unflatten


def lifted(
    theta: Theta,
    network: Network,
    samples: Float[np.ndarray, "B length D"],
    *,
    warmup: int,
    margin: float,
) -> Theta:
    """Move every unit to at least `margin` above its kink.

    The outputs right after the zero state differ from those before.

    Args:
        theta: Parameters of an `rnn_relu` of one layer.
        network: The architecture.
        samples: Sequences on which the units' inputs are measured, scaled units.
        warmup: Samples of each that are read before the measurement.
        margin: In scaled units.
    """
    params = unflatten(theta, network)
    lowest, highest = _range_of_units(params, network, samples, warmup=warmup)
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
    params: Params, network: Network, samples: Float[np.ndarray, "B length D"], *, warmup: int
) -> tuple[Float[np.ndarray, " H"], Float[np.ndarray, " H"]]:
    """Return each unit's lowest and highest pre-activation, in open loop."""
    model, last = StateMap(network, params), samples.shape[1] - 1
    lowest, highest = list[np.ndarray](), list[np.ndarray]()
    for begin in range(0, len(samples), GROUP):  # of all, the states could fill the memory
        inputs = samples[begin : begin + GROUP, :-1].swapaxes(0, 1)
        orbit = model.run(network.zero_hidden(inputs.shape[1]), last, inputs)
        counted = slice(warmup - 1, last)
        sums = (
            params["rnn.bias_ih_l0"]
            + params["rnn.bias_hh_l0"]
            + inputs[counted] @ params["rnn.weight_ih_l0"].T
            + orbit.states[counted, 0, 0] @ params["rnn.weight_hh_l0"].T
        )
        lowest.append(sums.min(axis=(0, 1)))
        highest.append(sums.max(axis=(0, 1)))
    return np.min(lowest, axis=0), np.max(highest, axis=0)

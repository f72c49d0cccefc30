"""Export a network as one Python file that needs numpy alone, to be read."""

import ast

import numpy as np

from sinernn.exporters.formulas import read_formula, slot_texts
from sinernn.exporters.portable import MARK, Portable

FUNCTIONS = {
    "tanh": "tanh = np.tanh",
    "sigmoid": "def sigmoid(x): return 0.5 + 0.5 * np.tanh(0.5 * x)  # exp(-x) could overflow",
    "relu": "def relu(x): return np.maximum(x, 0)",
}

TEMPLATE = '''"""A network in numpy alone: {cell}, {layers} x {units} units; written by {mark}.

Samples [..., channel] are in signal units, the outputs first, then the inputs; see METADATA below.
"""
import numpy as np

def array(values): return np.array(values, np.{dtype})

MEAN, STD = np.array({mean}), np.array({std})  # of each channel
# Weights and biases of each layer: of what it reads, then of its own state.
LAYERS = [{weights}]
READOUT = {readout}
START = {start}  # before the first sample: [{states}, layer, unit]

{functions}

def unit(slots, h, c):
    """Map the sums and the state of the units of a layer to their next state."""
{formula}

def advance(x, state):
    """Map a scaled sample and a state to the scaled prediction and the next state."""
    after = []
    for (w, w_bias, r, r_bias), h, c in zip(LAYERS, state[0], state[-1]):
        a = np.split(x @ w.T + w_bias, {gates}, axis=-1)
        b = np.split(h @ r.T + r_bias, {gates}, axis=-1)
        x, c = unit([{slots}], h, c)
        after.append([x, c][:{state_count}])
    return x @ READOUT[0].T + READOUT[1], np.stack(after, axis=1)

def step(sample, state=START):
    """Map a sample and a state to the prediction of the next outputs and the next state."""
    if np.shape(sample)[-1] != {channels}:
        raise ValueError(f"a sample must have length {channels}, got {{np.shape(sample)[-1]}}")
    y, state = advance(array((sample - MEAN) / STD), state)
    return y * STD[:{outputs}] + MEAN[:{outputs}], state

def free_run(samples, steps{inputs}, state=START):
    """Read samples [time, ..., channel], then predictions: return the [steps, ..., output]."""
    for sample in samples:
        prediction, state = step(sample, state)
    run = [prediction]
    for t in range(steps - 1):
        prediction, state = step({feedback}, state)
        run.append(prediction)
    return np.array(run)

METADATA = {metadata!r}
'''


def numpy_files(portable: Portable) -> dict[str, bytes]:
    """Return the file, of fewer than 60 lines."""
    network, params, cell = portable.network, portable.params, portable.cell
    layers = [
        [
            params[f"rnn.{kind}_l{layer}"]
            for kind in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        ]
        for layer in range(network.num_layers)
    ]
    formula = read_formula(network.cell)
    *lines, h, c = map(ast.unparse, (*formula.statements, formula.h, formula.c))
    start = portable.start[:, :, 0]
    text = TEMPLATE.format(
        cell=network.cell,
        layers=network.num_layers,
        units=network.hidden_size,
        mark=MARK,
        dtype=network.dtype,
        mean=portable.scale.mean.tolist(),
        std=portable.scale.std.tolist(),
        weights=", ".join(f"({_arrays(layer)})" for layer in layers),
        readout=_arrays([params["readout.weight"], params["readout.bias"]]),
        start=_arrays([start]) if start.any() else f"np.zeros({start.shape}, np.{network.dtype})",
        states="h" if cell.states == 1 else "h and c",
        functions="\n".join(FUNCTIONS[name] for name in formula.functions),
        formula="\n".join(f"    {line}" for line in (*lines, f"return {h}, {c}")),
        gates=cell.gates,
        slots=", ".join(slot_texts(cell)),
        state_count=cell.states,
        channels=network.channels,
        outputs=network.outputs,
        inputs=", inputs" if network.inputs else "",
        feedback="np.concatenate([prediction, inputs[t]], axis=-1)"
        if network.inputs
        else "prediction",
        metadata=portable.metadata,
    )
    return {".py": text.encode()}


def _arrays(arrays: list[np.ndarray]) -> str:
    return ", ".join(f"array({array.tolist()})" for array in arrays)

"""Export a network as two graphs of ONNX: a step in float64, and a sequence in float32.

ONNX Runtime has no RNN, GRU and LSTM in float64, so the step is made of elementary operations.
"""

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from sinernn.errors import UsageError
from sinernn.exporters.formulas import slot_sums
from sinernn.exporters.portable import Portable

if TYPE_CHECKING:
    from sinernn.exporters.graph import Graph, Value

OPERATORS: dict[str, tuple[str, list[int], dict[str, Any]]] = {
    "rnn_tanh": ("RNN", [0], {"activations": ["Tanh"]}),
    "rnn_relu": ("RNN", [0], {"activations": ["Relu"]}),
    "gru": ("GRU", [1, 0, 2], {"linear_before_reset": 1}),  # z r h
    "lstm": ("LSTM", [0, 3, 1, 2], {}),  # i o f c
}
"""The operator of each cell, torch's gates in the operator's order, and its attributes.

Source: the pages of the operators RNN, GRU and LSTM in the documentation of ONNX.
"""


def onnx_files(portable: Portable) -> dict[str, bytes]:
    """Return the graph of a step, and that of a sequence.

    Raises:
        UsageError: The package onnx is missing, or has no operator of this cell.
    """
    cell = portable.network.cell
    if cell not in OPERATORS:
        raise UsageError(
            f"onnx has no operator of the cell {cell}, only of {', '.join(OPERATORS)}; "
            "use --format numpy"
        )
    try:
        from sinernn.exporters.graph import Graph
    except ImportError as error:
        how = "pip install 'sinernn[onnx]'"
        raise UsageError(f"--format onnx needs an extra; install it with: {how}") from error
    return {
        ".onnx": _step(portable, Graph("float64")),
        ".sequence.onnx": _sequence(portable, Graph("float32")),
    }


def _step(portable: Portable, graph: "Graph") -> bytes:
    """Map sample [batch, channel] and state to prediction [batch, output] and next_state."""
    params, scale, cell = portable.params, portable.scale, portable.cell
    # Not a division: ONNX Runtime rounds one number that scales a product to float32.
    x = (graph.input("sample") - scale.mean) @ np.diag(1 / scale.std)
    state, after = graph.input("state"), list[list["Value"]]()
    for layer in range(portable.network.num_layers):
        h, c = (_part(graph, state, each, layer, [0, 1]) for each in (0, cell.states - 1))
        of_input, of_state = (
            [
                read @ weight.T + bias
                for weight, bias in zip(
                    np.split(params[f"rnn.weight_{kind}_l{layer}"], cell.gates),
                    np.split(params[f"rnn.bias_{kind}_l{layer}"], cell.gates),
                    strict=True,
                )
            ]
            for kind, read in (("ih", x), ("hh", h))
        )
        slots = [
            reduce(add, [sums[gate] for sums, gate in pairs if gate is not None])
            for pairs in (
                zip((of_input, of_state), gates, strict=True) for gates in slot_sums(cell)
            )
        ]
        _, x, c = cell.forward(slots, h, c)
        after.append([x, c][: cell.states])
    return _model(portable, graph, "sample", ["batch"], x, _stacked(graph, after, [0, 1]))


def _sequence(portable: Portable, graph: "Graph") -> bytes:
    """Map samples [batch, time, channel] and state to predictions and the last state."""
    network, params, scale = portable.network, portable.params, portable.scale
    operator, order, attributes = OPERATORS[network.cell]
    states = portable.cell.states
    scaled = (graph.input("samples") - scale.mean) / scale.std
    x = graph.add("Transpose", scaled, perm=[1, 0, 2])
    state, after = graph.input("state"), list[list["Value"]]()
    for layer in range(network.num_layers):
        w, r, *biases = (
            np.concatenate([np.split(params[f"rnn.{name}_l{layer}"], len(order))[g] for g in order])
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        x, *last = graph.add_all(
            operator,
            x,
            w[None],
            r[None],
            np.concatenate(biases)[None],
            None,  # all sequences are of one length
            *(_part(graph, state, each, layer, [0]) for each in range(states)),
            outputs=1 + states,
            hidden_size=network.hidden_size,
            **attributes,
        )
        x = graph.add("Squeeze", x, [1])  # one direction
        after.append(last)
    x = graph.add("Transpose", x, perm=[1, 0, 2])
    return _model(portable, graph, "samples", ["batch", "time"], x, _stacked(graph, after, [0]))


def _part(graph: "Graph", state: "Value", which: int, layer: int, axes: list[int]) -> "Value":
    """Return h or c of a layer, without these axes of [h and c, layer, batch, unit]."""
    of_all_layers = graph.add("Gather", state, [which], axis=0)
    return graph.add("Squeeze", graph.add("Gather", of_all_layers, [layer], axis=1), axes)


def _stacked(graph: "Graph", layers: list[list["Value"]], axes: list[int]) -> "Value":
    """Undo `_part`: return the states of all layers in one array."""
    return graph.add(
        "Concat",
        *(
            graph.add("Concat", *(graph.add("Unsqueeze", each, axes) for each in row), axis=1)
            for row in zip(*layers, strict=True)
        ),
        axis=0,
    )


def _model(
    portable: Portable, graph: "Graph", read: str, sizes: list[str], x: "Value", state: "Value"
) -> bytes:
    """Append the readout of the last layer's units, and return the file."""
    network, params = portable.network, portable.params
    scale = portable.scale.first(network.outputs)
    scaled = x @ params["readout.weight"].T + params["readout.bias"]
    states, layers, _, units = portable.start.shape
    of_state = [states, layers, "batch", units]
    start = {"start": portable.start.tolist()} if portable.start.any() else {}
    return graph.model(
        {read: [*sizes, network.channels], "state": of_state},
        {
            read.replace("sample", "prediction"): (
                scaled * scale.std + scale.mean,
                [*sizes, network.outputs],
            ),
            "next_state": (state, of_state),
        },
        {**portable.metadata, **start},
    )

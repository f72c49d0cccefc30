"""Export a network as one header of C99, for programs and microcontrollers."""

import ast
import json
import re
import textwrap
from collections.abc import Iterator
from string import Template
from typing import Any

import numpy as np

from sinernn.errors import UsageError
from sinernn.exporters.formulas import Formula, read_formula, slot_texts
from sinernn.exporters.portable import MARK, Portable

TEMPLATE = """\
/* A recurrent network in C99: $cell, $layers x $units units; written by $mark.

   It allocates nothing, and needs the C library alone (-lm). Samples are in signal units, the
   outputs first, then the inputs:

       net_state state = net_start;
       net_real prediction[NET_OUTPUTS];
       net_step(&state, sample, prediction);

   It computes in $real, or in $other after #define NET_REAL $other.
   Bytes in float: $state_bytes of state, $weight_bytes of weights; in double twice as many.

$metadata
*/
#ifndef NET_H
#define NET_H

#include <stddef.h>
#include <tgmath.h>

#ifndef NET_REAL
#define NET_REAL $real
#endif
typedef NET_REAL net_real;

enum {
    NET_OUTPUTS = $outputs, /* channels that are predicted */
    NET_INPUTS = $inputs, /* channels that are only read */
    NET_CHANNELS = NET_OUTPUTS + NET_INPUTS,
    NET_LAYERS = $layers,
    NET_UNITS = $units,
    NET_GATES = $gates
};

/* What is remembered between samples. */
typedef struct {
    net_real h[NET_LAYERS][NET_UNITS];
$state_c} net_state;

/* The state before the first sample. */
static const net_state net_start = $start;

$weights
$functions/* Map the sums and the state of a unit to its next state. */
static inline void net_unit(const net_real *slots, net_real *unit_h$unit_c)
{
$formula
}

/* Map what a layer reads and its state to its next state. */
static inline void net_layer(
    const net_real *w, const net_real *w_bias, const net_real *r, const net_real *r_bias,
    const net_real *x, size_t reads, net_real *h$layer_c)
{
    net_real before[NET_UNITS];
    for (size_t k = 0; k < NET_UNITS; k++) {
        before[k] = h[k];
    }
    for (size_t unit = 0; unit < NET_UNITS; unit++) {
        net_real a[NET_GATES], b[NET_GATES];
        for (size_t gate = 0; gate < NET_GATES; gate++) {
            const size_t row = gate * NET_UNITS + unit;
            a[gate] = w_bias[row];
            for (size_t k = 0; k < reads; k++) {
                a[gate] += w[row * reads + k] * x[k];
            }
            b[gate] = r_bias[row];
            for (size_t k = 0; k < NET_UNITS; k++) {
                b[gate] += r[row * NET_UNITS + k] * before[k];
            }
        }
        const net_real slots[] = {$slots};
        net_unit(slots, &h[unit]$pass_c);
    }
}

/* Map a scaled sample and the state to the scaled prediction and the next state. */
static inline void net_advance(net_state *state, const net_real *x, net_real *y)
{
$calls
    for (size_t i = 0; i < NET_OUTPUTS; i++) {
        y[i] = net_readout_bias[i];
        for (size_t k = 0; k < NET_UNITS; k++) {
            y[i] += net_readout_weight[i * NET_UNITS + k] * state->h[NET_LAYERS - 1][k];
        }
    }
}

/* Read a sample [channel] and predict the outputs of the next one [output]. */
static inline void net_step(net_state *state, const net_real *sample, net_real *prediction)
{
    net_real x[NET_CHANNELS];
    for (size_t i = 0; i < NET_CHANNELS; i++) {
        x[i] = (sample[i] - net_mean[i]) / net_std[i];
    }
    net_advance(state, x, prediction);
    for (size_t i = 0; i < NET_OUTPUTS; i++) {
        prediction[i] = prediction[i] * net_std[i] + net_mean[i];
    }
}

/* Read at least one sample [count][channel], then every prediction as the next sample; write the
   predictions [steps][output].$inputs_comment */
static inline void net_free_run(
    net_state *state, const net_real *samples, size_t count, ${inputs_argument}size_t steps,
    net_real *predictions)
{
    net_real x[NET_CHANNELS], y[NET_OUTPUTS] = {0};
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < NET_CHANNELS; i++) {
            x[i] = (samples[t * NET_CHANNELS + i] - net_mean[i]) / net_std[i];
        }
        net_advance(state, x, y);
    }
    for (size_t t = 0; t < steps; t++) {
        if (t > 0) {
$read_inputs            net_advance(state, x, y);
        }
        for (size_t i = 0; i < NET_OUTPUTS; i++) {
            predictions[t * NET_OUTPUTS + i] = y[i] * net_std[i] + net_mean[i];
            x[i] = y[i];
        }
    }
}

#endif
"""

INPUTS = {
    "inputs_comment": """
   inputs [steps - 1][input]: those of the samples that are predicted, but the last.""",
    "inputs_argument": "const net_real *inputs, ",
    "read_inputs": """\
            for (size_t i = NET_OUTPUTS; i < NET_CHANNELS; i++) {
                const net_real input = inputs[(t - 1) * NET_INPUTS + i - NET_OUTPUTS];
                x[i] = (input - net_mean[i]) / net_std[i];
            }
""",
}
"""What a network with inputs has in addition."""

STATE_C = {
    "state_c": "    net_real c[NET_LAYERS][NET_UNITS];\n",
    "unit_c": ", net_real *unit_c",
    "layer_c": ", net_real *c",
    "pass_c": ", &c[unit]",
}
"""What a cell with two states has in addition."""

FUNCTIONS = {
    "tanh": "",  # of tgmath.h
    "sigmoid": "static inline net_real net_sigmoid(net_real x) { return 1 / (1 + exp(-x)); }\n\n",
    "relu": "static inline net_real net_relu(net_real x) { return x <= 0 ? 0 : x; }\n\n",
}

ARITHMETIC = (
    ast.BinOp, ast.UnaryOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.USub, ast.UAdd, ast.Call,
    ast.Name, ast.Constant, ast.Subscript, ast.Load,
)  # fmt: skip
"""Expressions that Python and C write alike."""


def c_files(portable: Portable) -> dict[str, bytes]:
    """Return the header.

    Raises:
        UsageError: C cannot express the formula of the cell.
    """
    network, cell = portable.network, portable.cell
    formula = read_formula(network.cell)
    real, other = ("float", "double") if network.dtype == "float32" else ("double", "float")
    values = {
        "mean": portable.scale.mean,
        "std": portable.scale.std,
        **{name.replace("rnn.", "").replace(".", "_"): v for name, v in portable.params.items()},
    }
    has_c = cell.states == 2
    parts = {
        "cell": network.cell,
        "mark": MARK,
        "real": real,
        "other": other,
        "state_bytes": 4 * portable.start.size,
        "weight_bytes": 4 * sum(each.size for each in values.values()),
        "outputs": network.outputs,
        "inputs": network.inputs,
        "layers": network.num_layers,
        "units": network.hidden_size,
        "gates": cell.gates,
        "start": _nested(portable.start[:, :, 0].tolist()),
        "weights": "".join(_array(name, value) for name, value in values.items()),
        "functions": "".join(FUNCTIONS[name] for name in formula.functions),
        "formula": "\n".join(
            f"    {line}" for line in _statements(network.cell, formula, has_c=has_c)
        ),
        "slots": ", ".join(slot_texts(cell)),
        "calls": "\n".join(_calls(network.num_layers, has_c=has_c)),
        **(INPUTS if network.inputs else dict.fromkeys(INPUTS, "")),
        **(STATE_C if has_c else dict.fromkeys(STATE_C, "")),
    }
    text = Template(TEMPLATE).substitute(parts, metadata="$metadata")
    names = {"net": portable.name, "NET": portable.name.upper()}
    text = re.sub(r"\b(net|NET)_", lambda match: f"{names[match[1]]}_", text)
    return {".h": Template(text).substitute(metadata=_comment(portable.metadata)).encode()}


def _statements(name: str, formula: Formula, *, has_c: bool) -> Iterator[str]:
    """Yield the formula in C, in which every name is declared once.

    Raises:
        UsageError: C cannot express it.
    """
    results = {"h": formula.h, **({"c": formula.c} if has_c else {})}
    read = [node for each in (*formula.statements, *results.values()) for node in ast.walk(each)]
    used = {node.id for node in read if isinstance(node, ast.Name)}
    known = {"h", "c"}
    for state in sorted(known & used):
        yield f"net_real {state} = *unit_{state};"
    for statement in formula.statements:
        targets, values = _elements(statement.targets[0]), _elements(statement.value)
        if len(statement.targets) > 1 or len(targets) != len(values):
            raise _not_in_c(name, statement)
        written = set[str]()  # by this statement, whose values are all those before it
        for target, value in zip(targets, values, strict=True):
            reads = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
            if not isinstance(target, ast.Name) or reads & written:
                raise _not_in_c(name, statement)
            written.add(target.id)
            declared = "" if target.id in known else "net_real "
            yield f"{declared}{target.id} = {_expression(name, value)};"
            known.add(target.id)
    for state, value in results.items():
        yield f"*unit_{state} = {_expression(name, value)};"


def _elements(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


class _InC(ast.NodeTransformer):
    """Rename functions, and keep numbers from being double."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return node  # whose index is no real number

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name(f"net_{node.id}" if FUNCTIONS.get(node.id) else node.id)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Name(f"(net_real){node.value}")


def _expression(name: str, node: ast.expr) -> str:
    if not all(isinstance(each, ARITHMETIC) for each in ast.walk(node)):
        raise _not_in_c(name, node)
    return ast.unparse(_InC().visit(node))


def _not_in_c(name: str, node: ast.AST) -> UsageError:
    return UsageError(
        f"forward of the cell {name} has {ast.unparse(node)!r}, which is not written alike in C; "
        "use --format numpy"
    )


def _calls(layers: int, *, has_c: bool) -> Iterator[str]:
    for layer in range(layers):
        kinds = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        arrays = ", ".join(f"net_{kind}_l{layer}" for kind in kinds)
        reads = f"state->h[{layer - 1}], NET_UNITS" if layer else "x, NET_CHANNELS"
        states = ", ".join(f"state->{each}[{layer}]" for each in ("h", "c")[: 1 + has_c])
        yield f"    net_layer({arrays},\n        {reads}, {states});"


def _array(name: str, value: np.ndarray) -> str:
    numbers = _wrapped(", ".join(map(repr, value.ravel().tolist())), "    ")
    return f"static const net_real net_{name}[{value.size}] = {{\n{numbers}\n}};\n"


def _wrapped(text: str, indent: str, hanging: str = "") -> str:
    return textwrap.fill(
        text,
        100,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _nested(values: list[Any] | float) -> str:
    if isinstance(values, list):
        return "{" + ", ".join(map(_nested, values)) + "}"
    return repr(values)


def _comment(metadata: dict[str, Any]) -> str:
    """Return metadata as lines of ASCII without comments in them, nor trigraphs."""
    lines = (f"{key}: {json.dumps(value)}" for key, value in metadata.items())
    safe = (line.replace("*", "\\u002a").replace("??", "?\\u003f") for line in lines)
    return "\n".join(_wrapped(line, "   ", "  ") for line in safe)

"""Export a network as a module of PyTorch and a file of its weights."""

import json
from string import Template

from safetensors.numpy import save

from sinernn.errors import UsageError
from sinernn.exporters.portable import MARK, Portable
from sinernn.runs.files import contiguous

LAYERS = {
    "rnn_tanh": 'nn.RNN({}, nonlinearity="tanh", batch_first=True)',
    "rnn_relu": 'nn.RNN({}, nonlinearity="relu", batch_first=True)',
    "gru": "nn.GRU({}, batch_first=True)",
    "lstm": "nn.LSTM({}, batch_first=True)",
}
"""PyTorch's layers, by the names of cells."""

TEMPLATE = '''"""A recurrent network in PyTorch: $cell, $layers x $units units; written by $mark.

    network = load()  # the weights are in the .safetensors file beside this one
    predictions, state = network(samples)  # [batch, time, channel] -> [batch, time, output]
    forecast = network.free_run(samples, steps=100$given)

Samples are in signal units, the outputs first, then the inputs; `network.metadata` names them.
"""

import json
from pathlib import Path

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """Predicts the outputs of the next sample, from all samples so far."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = $rnn
        self.readout = nn.Linear($units, $outputs)
        self.register_buffer("mean", torch.zeros($channels))
        self.register_buffer("std", torch.ones($channels))
        self.register_buffer("start", torch.zeros($states, $layers, 1, $units))
        self.to(torch.$dtype)

    def forward(self, samples: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map samples [batch, time, channel] to predictions [batch, time, output] and the state.

        The state [$state_names, layer, batch, unit] is that before the samples; None: at the start.
        """
        if state is None:
            state = self.start.repeat(1, 1, samples.shape[0], 1)
        scaled = (samples.to(self.mean) - self.mean) / self.std
        units, after = self.rnn(scaled, $unpacked)
        predictions = self.readout(units) * self.std[:$outputs] + self.mean[:$outputs]
        return predictions, $packed

    @torch.no_grad()
    def free_run(self, samples: Tensor, steps: int$inputs) -> Tensor:
        """Read samples [batch, time, channel], then every prediction as the next sample.
$inputs_text
        Returns:
            The predictions after the samples: [batch, steps, output].
        """
        predictions, state = self(samples)
        run = [predictions[:, -1:]]
        for $step in range(steps - 1):
            prediction, state = self($sample, state)
            run.append(prediction)
        return torch.cat(run, dim=1)


def load(path: Path | str = Path(__file__).with_suffix(".safetensors")) -> Network:
    """Return the network with the weights of a file, and its `metadata`."""
    content = bytearray(Path(path).read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")  # a header in JSON, then the numbers
    header = json.loads(content[8:begin])
    facts = header.pop("__metadata__")
    tensors = {}
    for name, each in header.items():
        first, last = each["data_offsets"]
        numbers = torch.frombuffer(content[begin + first : begin + last], dtype=torch.$dtype)
        tensors[name] = numbers.reshape(each["shape"])
    network = Network()
    network.load_state_dict(tensors)
    network.metadata = json.loads(facts["$mark"])
    return network.eval()
'''

INPUTS = {
    "given": ", inputs=inputs",
    "inputs": ", inputs: Tensor",
    "inputs_text": """
        Args:
            samples: Samples before the forecast.
            steps: How many samples to predict.
            inputs: Inputs of the predicted samples but the last: [batch, steps - 1, input].
""",
    "step": "t",
    "sample": "torch.cat([run[-1], inputs[:, t : t + 1].to(self.mean)], dim=2)",
}
"""What a network with inputs has in addition."""

WITHOUT_INPUTS = {"given": "", "inputs": "", "inputs_text": "", "step": "_", "sample": "run[-1]"}


def torch_files(portable: Portable) -> dict[str, bytes]:
    """Return the module and its weights.

    Raises:
        UsageError: PyTorch has no layer of this cell.
    """
    network, has_c = portable.network, portable.cell.states == 2
    if network.cell not in LAYERS:
        raise UsageError(
            f"torch has no layer of the cell {network.cell}, only of {', '.join(LAYERS)}; "
            "use --format numpy"
        )
    sizes = f"{network.channels}, {network.hidden_size}, num_layers={network.num_layers}"
    text = Template(TEMPLATE).substitute(
        cell=network.cell,
        rnn=LAYERS[network.cell].format(sizes),
        layers=network.num_layers,
        units=network.hidden_size,
        outputs=network.outputs,
        channels=network.channels,
        dtype=network.dtype,
        mark=MARK,
        states=portable.cell.states,
        state_names="h and c" if has_c else "h",
        unpacked="(state[0], state[1])" if has_c else "state[0]",
        packed="torch.stack(after)" if has_c else "after[None]",
        **(INPUTS if network.inputs else WITHOUT_INPUTS),
    )
    arrays = {
        **portable.params,
        "mean": portable.scale.mean,
        "std": portable.scale.std,
        "start": portable.start,
    }
    weights = contiguous({name: each.astype(network.dtype) for name, each in arrays.items()})
    return {
        ".py": text.encode(),
        ".safetensors": save(weights, {MARK: json.dumps(portable.metadata)}),
    }

"""The tutorial as a straight-line script: what a learner copies. The torch engine must equal it."""

import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(1, hidden_size, num_layers=1, batch_first=True)
        self.readout = nn.Linear(hidden_size, 1)

    def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out, hidden = self.rnn(x, hidden)
        return self.readout(out), hidden


def run(
    weights: dict[str, np.ndarray], starts: list[int], dtype: torch.dtype
) -> tuple[list[float], Net, torch.Tensor]:
    """Train on windows that begin at the integers `starts`; return losses, network, last hidden."""
    torch.set_default_dtype(dtype)
    try:
        net = Net(weights["readout.weight"].shape[1])
        net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        criterion = nn.MSELoss()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
        hidden = torch.zeros(1, 1, net.rnn.hidden_size)
        losses = []
        for start in starts:
            time_steps = np.linspace(start, start + 10, 50)
            data = np.sin(time_steps).reshape(50, 1)
            x = torch.tensor(data[:-1], dtype=dtype).view(1, 49, 1)
            y = torch.tensor(data[1:], dtype=dtype).view(1, 49, 1)
            output, hidden = net(x, hidden)
            hidden = hidden.detach()
            loss = criterion(output, y)
            net.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, net, hidden
    finally:
        torch.set_default_dtype(torch.float32)

"""The network as numbers: parameters, cells, and derivatives by the hidden state."""

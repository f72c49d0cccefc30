"""The network in numpy: parameters, cells, and derivatives with respect to the hidden state."""

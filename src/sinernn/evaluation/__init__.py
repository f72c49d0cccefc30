"""Forecasts of a network, and what they say of it: arrays in, numbers and words out."""

from sinernn import blas as blas  # first of all that computes

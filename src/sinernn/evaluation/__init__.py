"""Forecasts of a network, and metrics of them: arrays in, numbers and words out."""

from sinernn import blas as blas  # before anything that computes

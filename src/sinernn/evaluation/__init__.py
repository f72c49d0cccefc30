"""Forecasts of a network, and what they say of it: arrays in, numbers and words out."""

"""How long the campaign is: one number that scales kills, faults and examples."""

import os

LENGTH = float(os.environ.get("CAMPAIGN_LENGTH", "1"))
"""1 takes a few minutes on two cores; 10 makes ten times as many kills and fuzzed files."""


def times(count: int) -> int:
    """Return how many kills or examples stand for `count` at length 1; at least one."""
    return max(1, round(count * LENGTH))


def stride(step: int) -> int:
    """Return the distance between the calls that are met, `step` at length 1; 1 meets them all."""
    return max(1, round(step / LENGTH))

"""Random numbers as a function of (seed, purpose, block): nothing to save, nothing to resume."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """Purpose of a stream of random numbers; streams of different purposes are independent."""

    WEIGHTS = 0
    WINDOWS = 1
    NOISE = 2
    WARMUP_NOISE = 3
    TRAINING_NOISE = 4
    SWEEP = 5
    RESAMPLING = 6


def stream(seed: int, purpose: Purpose, block: int = 0) -> np.random.Generator:
    """Return the generator of a seed, a purpose and a block.

    Args:
        seed: 0 to 2**64 - 1.
        purpose: Purpose of the numbers.
        block: Part of the stream, 0 to 2**64 - 1; blocks never overlap, since each has 2**192
            counter values of its own.

    Source:
        Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3",
        SC '11: the counter-based generator Philox, here numpy's Philox 4x64.
    """
    key = np.array([seed, purpose], dtype=np.uint64)
    counter = np.array([0, 0, 0, block], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))

"""One thread for numpy's products and factors, in every process that computes.

Matrices are small here: threads would wait for each other, and change the last bits by their
number. The limit is the process's, so it is set once, when this is imported, and not around calls:
two trainings in two threads would lift each other's.
"""

import os

import numpy as np
from threadpoolctl import threadpool_limits

assert np.linalg  # loads the BLAS that is limited
threadpool_limits(limits=1, user_api="blas")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

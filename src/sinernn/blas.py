"""Limit BLAS to one thread, in every process that computes.

The matrices are small: several threads would be slower, and their number would change the last
bits. The limit applies to the whole process, so it is set once, on import, and not around calls:
otherwise two trainings in two threads would remove each other's limit.
"""

import numpy as np
from threadpoolctl import threadpool_limits


def limit_threads() -> None:
    """Limit the BLAS libraries that are loaded; scipy has one of its own."""
    threadpool_limits(limits=1, user_api="blas")


assert np.linalg  # loads numpy's before it is limited
limit_threads()

"""Limit BLAS to one thread, in every process that computes.

The matrices are small: several threads would be slower, and their number would change the last
bits. The limit applies to the whole process, so it is set once, on import, and not around calls:
otherwise two trainings in two threads would remove each other's limit.
"""

import numpy as np
from threadpoolctl import threadpool_limits

assert np.linalg  # loads the BLAS library before it is limited
threadpool_limits(limits=1, user_api="blas")

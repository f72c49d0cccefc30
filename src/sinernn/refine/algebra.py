# pyright: basic
# Kernels: numba infers the types, and none are written.
"""Dense linear algebra of the damped normal equations. Compiled, one thread.

Our own, for the bits: numpy's products and LAPACK's factors depend on the number of threads.
"""

import math

import numpy as np

from sinernn.engines.fused.cache import kernel, subroutine

_GATHER = 512
"""Columns whose products enter the Gauss-Newton matrix in one pass: as many as keep all rows in the
second-level cache."""

_BLOCK = 32
"""Columns of a Cholesky factor found at a time; the rest is products of blocks."""


@kernel
def dot(left, right):
    """Return the sum of left[n] right[n]."""
    total = 0.0
    for n in range(left.size):
        total += left[n] * right[n]
    return total


@kernel
def times(matrix, vector):
    """Return matrix [P, >= N] times vector [N]."""
    result = np.empty(matrix.shape[0])
    for p in range(matrix.shape[0]):
        result[p] = dot(matrix[p, : vector.size], vector)
    return result


@kernel
def transposed_times(matrix, vector, count):
    """Return the first `count` entries of matrix [P, N]^T times vector [P]."""
    result = np.zeros(count)
    for p in range(matrix.shape[0]):
        row = matrix[p]
        value = vector[p]
        for n in range(count):
            result[n] += value * row[n]
    return result


@subroutine
def _subtract_gram(target, left, right, offset, width, lower):
    """target[i, j] -= sum over k of left[i, k] right[j, k], in 4 x 4 blocks of dot products.

    `k` runs over `offset` .. `offset + width`. With `lower`, only blocks that touch the
    lower triangle are computed.
    """
    rows, columns = target.shape
    end = offset + width
    for i in range(0, rows, 4):
        i_end = min(i + 4, rows)
        last = min(columns, i_end) if lower else columns
        j = 0
        while j < last:
            if i + 4 <= rows and j + 4 <= columns:
                a0, a1 = left[i, offset:end], left[i + 1, offset:end]
                a2, a3 = left[i + 2, offset:end], left[i + 3, offset:end]
                b0, b1 = right[j, offset:end], right[j + 1, offset:end]
                b2, b3 = right[j + 2, offset:end], right[j + 3, offset:end]
                s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
                s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = 0.0
                for k in range(width):
                    s00 += a0[k] * b0[k]
                    s01 += a0[k] * b1[k]
                    s02 += a0[k] * b2[k]
                    s03 += a0[k] * b3[k]
                    s10 += a1[k] * b0[k]
                    s11 += a1[k] * b1[k]
                    s12 += a1[k] * b2[k]
                    s13 += a1[k] * b3[k]
                    s20 += a2[k] * b0[k]
                    s21 += a2[k] * b1[k]
                    s22 += a2[k] * b2[k]
                    s23 += a2[k] * b3[k]
                    s30 += a3[k] * b0[k]
                    s31 += a3[k] * b1[k]
                    s32 += a3[k] * b2[k]
                    s33 += a3[k] * b3[k]
                target[i, j] -= s00
                target[i, j + 1] -= s01
                target[i, j + 2] -= s02
                target[i, j + 3] -= s03
                target[i + 1, j] -= s10
                target[i + 1, j + 1] -= s11
                target[i + 1, j + 2] -= s12
                target[i + 1, j + 3] -= s13
                target[i + 2, j] -= s20
                target[i + 2, j + 1] -= s21
                target[i + 2, j + 2] -= s22
                target[i + 2, j + 3] -= s23
                target[i + 3, j] -= s30
                target[i + 3, j + 1] -= s31
                target[i + 3, j + 2] -= s32
                target[i + 3, j + 3] -= s33
            else:
                for row in range(i, i_end):
                    for col in range(j, min(j + 4, columns)):
                        total = 0.0
                        for k in range(offset, end):
                            total += left[row, k] * right[col, k]
                        target[row, col] -= total
            j += 4


@kernel
def gauss_newton(jacobian):
    """Return jacobian jacobian^T [P, P], lower triangle only (and blocks of four on it)."""
    size, total = jacobian.shape
    negative = np.zeros((size, size))
    for offset in range(0, total, _GATHER):
        _subtract_gram(negative, jacobian, jacobian, offset, min(_GATHER, total - offset), True)
    return -negative


@kernel
def factorise(matrix, damping):
    """Blocked Cholesky factor of matrix + diag(damping), matrix [P, P], lower triangle read.

    Returns:
        The factor (lower triangle), and whether the sum was positive definite.
    """
    size = damping.size
    factor = matrix.copy()
    for i in range(size):
        factor[i, i] += damping[i]
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        if start > 0:
            _subtract_gram(
                factor[start:, start:end], factor[start:], factor[start:end], 0, start, False
            )
        for j in range(start, end):
            pivot = factor[j, j]
            for k in range(start, j):
                pivot -= factor[j, k] * factor[j, k]
            if not pivot > 0.0:  # NaN too
                return factor, False
            root = math.sqrt(pivot)
            factor[j, j] = root
            for i in range(j + 1, size):
                total = factor[i, j]
                for k in range(start, j):
                    total -= factor[i, k] * factor[j, k]
                factor[i, j] = total / root
    return factor, True


@kernel
def solve(factor, right):
    """Solve factor factor^T solution = right, [P]."""
    size = right.size
    solution = np.empty(size)
    for i in range(size):
        total = right[i]
        for k in range(i):
            total -= factor[i, k] * solution[k]
        solution[i] = total / factor[i, i]
    for i in range(size - 1, -1, -1):
        solution[i] /= factor[i, i]
        value = solution[i]
        for k in range(i):
            solution[k] -= factor[i, k] * value
    return solution

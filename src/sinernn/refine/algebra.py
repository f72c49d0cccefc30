# pyright: basic
# Kernels: numba infers the types, and none are written.
"""Dense linear algebra of the damped normal equations. Compiled, one thread.

Our own, for the bits: numpy's products and LAPACK's factors depend on the number of threads.
"""

import math

import numpy as np

from sinernn.engines.fused.cache import kernel

_GATHER = 512
"""Columns whose products enter the Gauss-Newton matrix in one pass: as many as keep all rows in the
second-level cache."""

_BLOCK = 32
"""Columns of a Cholesky factor found at a time; the rest is products of blocks."""


def dot(left, right):
    """Return the sum of left[n] right[n]."""
    return times(left[None], right)[0]


def times(matrix, vector):
    """Return matrix [P, >= N] times vector [N]."""
    result = np.empty(matrix.shape[0])
    multiply(matrix, vector, result)
    return result


def transposed_times(matrix, vector, count):
    """Return the first `count` entries of matrix [P, N]^T times vector [P]."""
    result = np.zeros(count)
    add_multiples(matrix, vector, result)
    return result


def gauss_newton(jacobian):
    """Return jacobian jacobian^T [P, P], lower triangle only (and blocks of four on it)."""
    size, total = jacobian.shape
    negative = np.zeros((size, size))
    for begin in range(0, total, _GATHER):
        subtract_gram(negative, jacobian, 0, size, begin, min(begin + _GATHER, total))
    return -negative


def factorise(matrix, damping):
    """Blocked Cholesky factor of matrix + diag(damping), matrix [P, P], lower triangle read.

    Returns:
        The factor (lower triangle), and whether the sum was positive definite.
    """
    size = damping.size
    factor = matrix.copy()
    factor.flat[:: size + 1] += damping
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        subtract_gram(factor, factor, start, end, 0, start)
        if not factorise_columns(factor, start, end):
            return factor, False
    return factor, True


def solve(factor, right):
    """Solve factor factor^T solution = right, [P]."""
    solution = right.copy()
    substitute(factor, solution)
    return solution


@kernel
def multiply(matrix, vector, result):
    """result[p] = sum over n of matrix[p, n] vector[n]."""
    for p in range(matrix.shape[0]):
        row = matrix[p]
        total = 0.0
        for n in range(vector.size):
            total += row[n] * vector[n]
        result[p] = total


@kernel
def add_multiples(matrix, vector, result):
    """result[n] += sum over p of vector[p] matrix[p, n]."""
    for p in range(matrix.shape[0]):
        row = matrix[p]
        value = vector[p]
        for n in range(result.size):
            result[n] += value * row[n]


@kernel
def subtract_gram(target, rows, first, last, begin, end):
    """target[i, j] -= sum over begin <= k < end of rows[i, k] rows[j, k].

    For i >= j and first <= j < last, in 4 x 4 blocks of dot products; those on the diagonal are
    computed whole.
    """
    size = target.shape[0]
    for i in range(first, size, 4):
        i_end = min(i + 4, size)
        for j in range(first, min(last, i_end), 4):
            if i + 4 <= size and j + 4 <= last:
                a0, a1 = rows[i, begin:end], rows[i + 1, begin:end]
                a2, a3 = rows[i + 2, begin:end], rows[i + 3, begin:end]
                b0, b1 = rows[j, begin:end], rows[j + 1, begin:end]
                b2, b3 = rows[j + 2, begin:end], rows[j + 3, begin:end]
                s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
                s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = 0.0
                for k in range(end - begin):
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
                    for column in range(j, min(j + 4, last)):
                        total = 0.0
                        for k in range(begin, end):
                            total += rows[row, k] * rows[column, k]
                        target[row, column] -= total


@kernel
def factorise_columns(factor, start, end):
    """Finish columns `start` .. `end`, of which those to the left are subtracted.

    Returns:
        Whether all pivots were positive.
    """
    size = factor.shape[0]
    for j in range(start, end):
        pivot = factor[j, j]
        for k in range(start, j):
            pivot -= factor[j, k] * factor[j, k]
        if not pivot > 0.0:  # NaN too
            return False
        root = math.sqrt(pivot)
        factor[j, j] = root
        for i in range(j + 1, size):
            total = factor[i, j]
            for k in range(start, j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = total / root
    return True


@kernel
def substitute(factor, solution):
    """Turn `solution` [P], the right-hand side, into that of factor factor^T solution = it."""
    size = solution.size
    for i in range(size):
        total = solution[i]
        for k in range(i):
            total -= factor[i, k] * solution[k]
        solution[i] = total / factor[i, i]
    for i in range(size - 1, -1, -1):
        solution[i] /= factor[i, i]
        value = solution[i]
        for k in range(i):
            solution[k] -= factor[i, k] * value

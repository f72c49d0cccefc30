"""The functions that vectorise: their error, and what they do with what is not finite.

Each runs twice: as the vector code that the kernels hold, and as the numpy formula it is made from.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numba import njit
from numba.core import config, types

from sinernn.engines.fused import matrices
from sinernn.model import functions

WIDTH = 16


def compiled(formula: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """A formula as vector code on whole arrays."""

    def emit(context, builder, sig, args):
        out, x = matrices.views_of(context, builder, sig, args)
        with matrices.loop(builder, matrices.integer(0), out.rows, 1) as (row, _):
            for first in range(0, WIDTH, x.lanes()):
                column = matrices.integer(first)
                out.store(row, column, formula(x.load(row, column, x.lanes())), x.lanes())
        return context.get_dummy_value()

    @matrices.emitted(lambda out, x: types.void, emit)
    def apply(out, x):
        out[...] = formula(x)

    @njit
    def on_array(out, x):
        rows = x.size // WIDTH
        apply(
            matrices.matrix(out, 0, rows, WIDTH, WIDTH), matrices.matrix(x, 0, rows, WIDTH, WIDTH)
        )

    def call(x: np.ndarray) -> np.ndarray:
        assert x.size % WIDTH == 0
        out = np.empty_like(x)
        on_array(out, x)
        return out

    return call


FORMS = [
    pytest.param(
        compiled, marks=pytest.mark.skipif(bool(config.DISABLE_JIT), reason="about compiled code")
    ),
    pytest.param(lambda formula: formula, id="numpy"),
]


def float32_range(low: float, high: float, count: int) -> np.ndarray:
    """Every k-th float32 between two positive bounds, by its bits, and their negatives."""
    bits = np.array([low, high], np.float32).view(np.uint32)
    positive = np.linspace(*bits, count).astype(np.uint32).view(np.float32)
    return np.concatenate([positive, -positive])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("formula", "exact", "bound", "limit_ulp"),
    [
        (functions.tanh, np.tanh, 120.0, 6.0),
        (functions.sigmoid, lambda x: 1 / (1 + np.exp(-x)), 86.9, 3.0),
        (functions.exp, np.exp, 86.9, 2.0),
    ],
    ids=["tanh", "sigmoid", "exp"],
)
def test_float32_functions_are_right_to_a_few_ulp(formula, exact, bound, limit_ulp, form):
    """Over all magnitudes; sigmoid and exp where their value is a normal number."""
    x = float32_range(1e-38, bound, 400_000)
    desired = exact(x.astype(np.float64))
    actual = form(formula)(x)
    error_ulp = np.abs(actual - desired) / np.spacing(np.abs(desired).astype(np.float32))
    assert error_ulp.max() <= limit_ulp, x[error_ulp.argmax()]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("formula", "exact"),
    [(functions.tanh, np.tanh), (functions.sigmoid, lambda x: 1 / (1 + np.exp(-x)))],
    ids=["tanh", "sigmoid"],
)
def test_float64_functions_are_the_librarys(formula, exact, form):
    x = np.linspace(-30, 30, 4000)
    np.testing.assert_allclose(form(formula)(x), exact(x), rtol=1e-15)  # 4 roundings


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("formula", "at_infinity"),
    [
        (functions.tanh, [1, -1, 0]),
        (functions.sigmoid, [1, 0, 0.5]),
        (functions.relu, [np.inf, 0, 0]),
        (functions.exp, None),  # of bounded arguments alone
    ],
    ids=["tanh", "sigmoid", "relu", "exp"],
)
def test_nan_passes_and_infinity_saturates(formula, at_infinity, dtype: str, form):
    x = np.array([np.nan, np.inf, -np.inf, 0.0] * 4, dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        actual = form(formula)(x)[:4]
    assert np.isnan(actual[0])
    if at_infinity is not None:
        np.testing.assert_allclose(actual[1:], at_infinity, rtol=1e-6, atol=1e-37)

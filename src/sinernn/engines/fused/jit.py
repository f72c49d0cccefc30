# pyright: basic, reportArgumentType=false, reportCallIssue=false
# It stands on parts of numba that are typed nowhere; they are why numba's minor version is pinned.
"""Compile kernels with numba: Python functions to machine code that needs nothing but libm."""

import gc
import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numba
from numba import njit

from sinernn.engines.fused import compile_time as compile_time  # teaches numba what a Shape is
from sinernn.engines.fused.cache import C_LIBRARY, MachineCode

_OPTIONS: dict[str, Any] = {
    # contract, reassoc, arcp: faster sums and products. Never nnan or ninf: a NaN must show.
    "fastmath": {"contract", "reassoc", "arcp"},
    "error_model": "numpy",
    # Kernels allocate nothing, and so need no code that counts who holds an array: less to compile.
    "_nrt": False,
    # Wrappers by which Python or C would call a function are half of its code, and need numba.
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only kernels call; it is stored as a part of them."""
    # Unwrap: the test suite's type checker wraps every function, which numba could not compile.
    return njit(inline="always", **_OPTIONS)(inspect.unwrap(function))


def subroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only kernels call, once for all of them; each stores it."""
    return njit(**_OPTIONS)(inspect.unwrap(function))


def compile_kernel(function: Callable[..., None], arguments: tuple[Any, ...]) -> MachineCode:
    """Compile a function for the types of its arguments; `native` describes how it is called."""
    dispatcher: Any = njit(**_OPTIONS)(inspect.unwrap(function))
    types = tuple(numba.typeof(argument) for argument in arguments)
    with _without_garbage_collection():
        result = dispatcher._compiler._compile_core(types, None)
    # An intrinsic is an instruction, or the function of the C library that has its name.
    declared = {each.name for each in result.library._final_module.functions if each.is_declaration}
    called = {name for name in declared if not name.startswith("llvm.")}
    named = {name.split(".")[1] for name in declared - called}
    externals = sorted(called | {name for name in named if hasattr(C_LIBRARY, name)})
    content = result.library._get_compiled_object()
    return MachineCode(result.fndesc.llvm_func_name, externals, content)


@contextmanager
def _without_garbage_collection() -> Generator[None]:
    """Search for no reference cycles meanwhile: a sixth of the time that numba takes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

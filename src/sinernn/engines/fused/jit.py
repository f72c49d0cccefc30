# pyright: basic, reportArgumentType=false, reportCallIssue=false
# Uses private parts of numba, which have no types; this is why numba's minor version is pinned.
"""Compile kernels with numba: from Python functions to machine code that needs only libm."""

import gc
import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numba
from numba import njit

from sinernn.engines.fused import compile_time as compile_time  # registers Shape with numba
from sinernn.engines.fused.cache import C_LIBRARY, MachineCode

_OPTIONS: dict[str, Any] = {
    # contract, reassoc, arcp: faster sums and products. Never nnan or ninf: a NaN must propagate.
    "fastmath": {"contract", "reassoc", "arcp"},
    "error_model": "numpy",
    # Kernels allocate nothing, so they need no reference counting: less code to compile.
    "_nrt": False,
    # The wrappers for calls from Python or C are half of a function's code, and require numba.
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only kernels call; it is inlined into them."""
    # Unwrap: numba cannot compile the wrappers that the test suite's type checker adds.
    return njit(inline="always", **_OPTIONS)(inspect.unwrap(function))


def subroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that only kernels call, without inlining it; each kernel stores a copy."""
    return njit(**_OPTIONS)(inspect.unwrap(function))


def compile_kernel(function: Callable[..., None], arguments: tuple[Any, ...]) -> MachineCode:
    """Compile a function for the types of its arguments; see `native` for the call convention."""
    dispatcher: Any = njit(**_OPTIONS)(inspect.unwrap(function))
    types = tuple(numba.typeof(argument) for argument in arguments)
    with _without_garbage_collection():
        result = dispatcher._compiler._compile_core(types, None)
    # LLVM lowers an intrinsic to an instruction or to the C library function of the same name.
    declared = {each.name for each in result.library._final_module.functions if each.is_declaration}
    called = {name for name in declared if not name.startswith("llvm.")}
    named = {name.split(".")[1] for name in declared - called}
    externals = sorted(called | {name for name in named if hasattr(C_LIBRARY, name)})
    content = result.library._get_compiled_object()
    return MachineCode(result.fndesc.llvm_func_name, externals, content)


@contextmanager
def _without_garbage_collection() -> Generator[None]:
    """Suspend garbage collection, which takes a sixth of numba's compile time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

# pyright: basic
# llvmlite is not typed.
"""Kernels as machine code, called without numba: importing that takes longer than many a run.

A kernel is compiled for the types of its arguments. The machine code takes pointers to where a
result and an exception would go, then the arguments taken apart as numba does it: an array is seven
words and more (who owns it, twice; elements, their bytes, the data; shape and strides), a tuple its
elements, a `Shape` a word that is not looked at.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from sinernn.engines.fused.cache import C_LIBRARY, KernelFile, MachineCode
from sinernn.engines.fused.shape import Shape

PACKAGE = Path(__file__).parents[3]  # the folder that holds `sinernn`
IS_INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
"""Whether kernels run as plain Python, for a debugger."""

Kinds = tuple[Any, ...]
"""What the machine code depends on of arguments: types, and the values of a `Shape`."""

_PREPARING = Lock()  # numba compiles in one thread at a time
_RETURNED = (0, -2)  # numba's status of a function that returned, and that returned None
_SCALARS: dict[type, Any] = {
    int: ctypes.c_int64, float: ctypes.c_double, bool: ctypes.c_bool,
}  # fmt: skip


class Kernel:
    """A function of a module of kernels; calling it lets other threads run meanwhile."""

    def __init__(self, module: str, name: str) -> None:
        """Name the function; its module is imported where it has to be compiled.

        Args:
            module: Its full name. All that the function calls stands there, in its folder or here.
            name: Of the function, which returns nothing.
        """
        self.module, self.name = module, name
        self._loaded: dict[Kinds, Callable[..., int]] = {}

    def __call__(self, *arguments: Any) -> None:
        """Run it; arrays must be contiguous, aligned and writeable.

        Raises:
            ValueError: An array is not.
        """
        if IS_INTERPRETED:
            return self._function(*arguments)
        words, kinds = _take_apart(arguments)
        compiled = self._loaded.get(kinds) or self.prepare(*arguments)
        if (status := compiled(*words)) not in _RETURNED:
            raise RuntimeError(f"the kernel {self.name} failed with numba's status {status}")

    def is_ready(self, *arguments: Any) -> bool:
        """Load it from the disk; false if it has yet to be compiled for these types."""
        words, kinds = _take_apart(arguments)
        with _PREPARING:
            return IS_INTERPRETED or self._find(words, kinds) is not None

    def prepare(self, *arguments: Any) -> Callable[..., int]:
        """Load it from the disk, or compile it and keep it there; one thread at a time."""
        words, kinds = _take_apart(arguments)
        with _PREPARING:
            if found := self._find(words, kinds):
                return found
            from sinernn.engines.fused.jit import compile_kernel

            code = compile_kernel(self._function, arguments)
            self._file(kinds).keep(code)
            return self._load(code, words, kinds)

    def _find(self, words: list[Any], kinds: Kinds) -> Callable[..., int] | None:
        """Return it from memory or from the disk; None if it has to be compiled."""
        if kinds in self._loaded:
            return self._loaded[kinds]
        code = self._file(kinds).read()
        if code is None or not all(hasattr(C_LIBRARY, name) for name in code.externals):
            return None
        return self._load(code, words, kinds)

    def _load(self, code: MachineCode, words: list[Any], kinds: Kinds) -> Callable[..., int]:
        self._loaded[kinds] = self._prototype(words)(_load(code))
        return self._loaded[kinds]

    @staticmethod
    def _prototype(words: list[Any]) -> Any:
        """Return the C type of a function that takes such words."""
        pointers = (ctypes.c_void_p, ctypes.c_void_p)
        types = (_SCALARS.get(type(word), ctypes.c_void_p) for word in words[len(pointers) :])
        return ctypes.CFUNCTYPE(ctypes.c_int32, *pointers, *types)

    @property
    def _function(self) -> Callable[..., None]:
        return getattr(import_module(self.module), self.name)

    def _file(self, kinds: Kinds) -> KernelFile:
        cells = [kind.cell for kind in kinds if isinstance(kind, Shape)]
        sources = PACKAGE.joinpath(*self.module.split(".")[:-1])
        return KernelFile(self.name, sources, cells, repr(kinds))


_result = (ctypes.c_void_p * 2)()  # every kernel writes the same there: None
_WHERE = ctypes.addressof(_result), ctypes.addressof(_result) + ctypes.sizeof(ctypes.c_void_p)


def _take_apart(arguments: tuple[Any, ...]) -> tuple[list[Any], Kinds]:
    """Return the words that the machine code takes, and what it has to be compiled for."""
    words, kinds = [*_WHERE], []
    _append(arguments, words, kinds)
    return words, tuple(kinds)


def _append(arguments: tuple[Any, ...], words: list[Any], kinds: list[Any]) -> None:
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            if not argument.flags.carray:
                raise ValueError("a kernel takes contiguous, aligned and writeable arrays alone")
            data = argument.__array_interface__["data"][0]
            words += None, None, argument.size, argument.itemsize, data
            words += argument.shape
            words += argument.strides
            kinds.append((argument.dtype.char, argument.ndim))
        elif isinstance(argument, tuple):
            kinds.append((type(argument).__name__, len(argument)))
            _append(argument, words, kinds)
        elif isinstance(argument, Shape):
            words.append(None)
            kinds.append(argument)
        else:
            words.append(argument)
            kinds.append(type(argument).__name__)


def _load(code: MachineCode) -> int:
    """Return the address of machine code in memory, where it stays."""
    for name in code.externals:
        function = ctypes.cast(getattr(C_LIBRARY, name), ctypes.c_void_p)
        llvm.add_symbol(name, function.value)
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.content))
    engine.finalize_object()
    return engine.get_function_address(code.entry)


@cache
def _engine() -> llvm.ExecutionEngine:
    """Return what holds all machine code of the process."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)

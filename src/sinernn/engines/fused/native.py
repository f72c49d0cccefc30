# pyright: basic
# llvmlite is not typed.
"""Call kernels as machine code, without numba: importing numba takes longer than many runs.

A kernel is compiled for the types of its arguments. The machine code takes pointers to the result
and to the exception, then the arguments, unpacked as in numba: an array becomes seven or more words
(two for the owner; number of elements, bytes per element, data; shape and strides), a tuple becomes
its elements, and a `Shape` becomes one word that is ignored.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from sinernn.engines.fused.cache import C_LIBRARY, KernelFile, MachineCode
from sinernn.engines.fused.shape import Shape

PACKAGE = Path(__file__).parents[3]  # the folder that holds `sinernn`
IS_INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
"""Whether kernels run as plain Python, for a debugger."""

Kinds = tuple[Any, ...]
"""The types of the arguments, and the value of a `Shape`: the machine code depends on them."""

_PREPARING = Lock()  # numba can compile in only one thread at a time
_RETURNED = (0, -2)  # numba's status codes for a normal return, and for returning None
_SCALARS: dict[type, Any] = {
    int: ctypes.c_int64, float: ctypes.c_double, bool: ctypes.c_bool,
}  # fmt: skip


class Kernel:
    """A compiled function; while it runs, other threads can run."""

    def __init__(self, module: str, name: str) -> None:
        """Name the function; its module is imported only when the function has to be compiled.

        Args:
            module: Full name. Everything that the function calls must be in this module, its
                folder or this package.
            name: Name of the function, which returns nothing.
        """
        self.module, self.name = module, name
        self._loaded: dict[Kinds, Callable[..., int]] = {}

    def __call__(self, *arguments: Any) -> None:
        """Run the kernel; arrays must be contiguous, aligned and writeable.

        Raises:
            ValueError: An array is not contiguous, aligned and writeable.
        """
        self.bind()(*arguments)

    def bind(self, *first: Any) -> Callable[..., None]:
        """Return the kernel with its first arguments given, which are taken apart only once.

        For many short calls: to take apart the arrays of an engine takes longer than an update.
        """
        first_words, first_kinds = _take_apart(first)

        def call(*rest: Any) -> None:
            if IS_INTERPRETED:
                return self._function(*first, *rest)
            words, kinds = _take_apart(rest)
            compiled = self._loaded.get(first_kinds + kinds) or self.prepare(*first, *rest)
            if (status := compiled(*_WHERE, *first_words, *words)) not in _RETURNED:
                raise RuntimeError(f"the kernel {self.name} failed with numba's status {status}")

        return call

    def is_ready(self, *arguments: Any) -> bool:
        """Load the kernel from disk; return false if it must be compiled for these types."""
        words, kinds = _take_apart(arguments)
        with _PREPARING:
            return IS_INTERPRETED or self._find(words, kinds) is not None

    def prepare(self, *arguments: Any) -> Callable[..., int]:
        """Load the kernel from disk, or compile and store it; one thread at a time."""
        words, kinds = _take_apart(arguments)
        with _PREPARING:
            if found := self._find(words, kinds):
                return found
            from sinernn.engines.fused.jit import compile_kernel

            code = compile_kernel(self._function, arguments)
            self._file(kinds).keep(code)
            return self._load(code, words, kinds)

    def _find(self, words: list[Any], kinds: Kinds) -> Callable[..., int] | None:
        """Return the kernel from memory or from disk; None if it must be compiled."""
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
        """Return the C type of a function that takes these words."""
        pointers = (ctypes.c_void_p, ctypes.c_void_p)
        types = (_SCALARS.get(type(word), ctypes.c_void_p) for word in words)
        return ctypes.CFUNCTYPE(ctypes.c_int32, *pointers, *types)

    @property
    def _function(self) -> Callable[..., None]:
        return getattr(import_module(self.module), self.name)

    def _file(self, kinds: Kinds) -> KernelFile:
        cells = [kind.cell for kind in kinds if isinstance(kind, Shape)]
        sources = PACKAGE.joinpath(*self.module.split(".")[:-1])
        return KernelFile(self.name, sources, cells, repr(kinds))


_result = (ctypes.c_void_p * 2)()  # shared: every kernel writes the same result, None
_first_byte: Any = ctypes.c_char.from_buffer  # numpy does not declare that arrays are buffers
_WHERE = ctypes.addressof(_result), ctypes.addressof(_result) + ctypes.sizeof(ctypes.c_void_p)


def address(array: np.ndarray) -> int:
    """Return where a writeable array of at least a value begins, faster than `array.ctypes`."""
    return ctypes.addressof(_first_byte(array))


def _take_apart(arguments: tuple[Any, ...]) -> tuple[list[Any], Kinds]:
    """Return the words that the machine code takes, and the kinds it must be compiled for."""
    words, kinds = list[Any](), list[Any]()
    _append(arguments, words, kinds)
    return words, tuple(kinds)


def _append(arguments: tuple[Any, ...], words: list[Any], kinds: list[Any]) -> None:
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            if not argument.flags.carray:
                raise ValueError("a kernel takes only contiguous, aligned and writeable arrays")
            data = address(argument) if argument.size else 0
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
    """Load machine code into memory permanently; return its address."""
    import llvmlite.binding as llvm  # late: see `cache`

    for name in code.externals:
        function = ctypes.cast(getattr(C_LIBRARY, name), ctypes.c_void_p)
        llvm.add_symbol(name, function.value)
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code.content))
    engine.finalize_object()
    return engine.get_function_address(code.entry)


@cache
def _engine() -> Any:
    """Return the execution engine for all machine code of the process."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)

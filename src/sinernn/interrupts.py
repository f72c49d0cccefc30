"""Stop signals (SIGINT, SIGTERM): noted at once, obeyed where no work is left half done."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A stop signal in a block that obeys it at once; `except Exception` does not catch it."""


class StopSignals:
    """Notes the first SIGINT or SIGTERM in a `with` block; a second one ends the process.

    A signal that the process ignores, as in the background of a script, stays ignored.
    Outside the main thread, where Python cannot set handlers, no signal is noted.
    """

    signal_number: int | None = None
    """The signal that was received, if any."""

    _is_obeyed_at_once = False

    def __enter__(self) -> "StopSignals":
        is_main = threading.current_thread() is threading.main_thread()
        numbers = STOP_SIGNALS if is_main else ()
        handlers = {number: signal.getsignal(number) for number in numbers}
        self._before = {n: old for n, old in handlers.items() if old is not signal.SIG_IGN}
        for number in self._before:
            signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.__exit__()
        self.signal_number = number
        if self._is_obeyed_at_once:
            raise Stopped

    @contextmanager
    def obeyed_at_once(self) -> Generator[None]:
        """End the body as soon as a stop signal is received, or at once if one has been.

        Raises:
            Stopped: A signal was received.
        """
        self._is_obeyed_at_once = True
        try:
            if self.signal_number is not None:
                raise Stopped
            yield
        finally:
            self._is_obeyed_at_once = False

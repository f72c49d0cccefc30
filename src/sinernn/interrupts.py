"""Signals that ask a run to stop: noted at once, obeyed where nothing is half done."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """A signal asked for the end where it is obeyed at once; no `except Exception` catches it."""


class StopRequest:
    """Which signal, if any, asked for the end."""

    signal_number: int | None = None
    _is_obeyed_at_once = False

    def note(self, number: int) -> None:
        """Remember a signal, and obey it where that is safe.

        Raises:
            Stopped: It is.
        """
        self.signal_number = number
        if self._is_obeyed_at_once:
            raise Stopped

    @contextmanager
    def obeyed_at_once(self) -> Generator[None]:
        """End what is done within as soon as a signal asks for it, or asked for it before.

        Raises:
            Stopped: A signal did.
        """
        self._is_obeyed_at_once = True
        try:
            if self.signal_number is not None:
                raise Stopped
            yield
        finally:
            self._is_obeyed_at_once = False


@contextmanager
def noting_stop_signals() -> Generator[StopRequest]:
    """Note the first SIGINT or SIGTERM instead of dying of it; a second one ends the process.

    One that the process was set to ignore, as in the background of a script, stays ignored.
    Outside the main thread, where Python cannot set handlers, nothing is ever noted.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, _frame: FrameType | None) -> None:
        put_back()
        request.note(number)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: old for number, old in handlers.items() if old is not signal.SIG_IGN}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        put_back()

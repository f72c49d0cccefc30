"""Signals that ask a run to stop: noted at once, obeyed where nothing is half done."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Which signal, if any, asked for the end."""

    signal_number: int | None = None


@contextmanager
def noting_stop_signals() -> Generator[StopRequest]:
    """Note the first SIGINT or SIGTERM instead of dying of it; a second one ends the process.

    Outside the main thread, where Python cannot set handlers, nothing is ever noted.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, _frame: FrameType | None) -> None:
        request.signal_number = number
        put_back()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        put_back()

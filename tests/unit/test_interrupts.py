import os
import signal
import threading

import pytest

from sinernn.interrupts import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_signal(number: signal.Signals):
    """It is noted, and a second one is no longer caught."""
    before = signal.getsignal(number)
    with StopSignals() as stop:
        assert stop.signal_number is None
        os.kill(os.getpid(), number)
        assert stop.signal_number == number
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_handlers_are_put_back_when_nothing_came():
    before = signal.getsignal(signal.SIGINT)
    with StopSignals():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_nothing_is_noted():
    noted: list[object] = []

    def work() -> None:
        with StopSignals() as stop:
            noted.append(stop.signal_number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert noted == [None]

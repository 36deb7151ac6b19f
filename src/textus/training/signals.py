"""Let Ctrl-C and SIGTERM end the step in hand and save, rather than tear the run apart."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopRequest:
    """Whether, and by which signal, we have been asked to stop; 0 while nobody has asked."""

    signal_number: int = 0


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Collect SIGINT and SIGTERM instead of dying of them; a SIGINT after either interrupts at once.

    Outside the main thread, where Python forbids handlers, signals keep their usual effect; and one that is ignored,
    as Ctrl-C is by a job in the background, stays ignored.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if request.signal_number and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal_number = request.signal_number or number

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, handle)
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from signal import SIGINT, SIGTERM

import pytest

from textus.training.signals import stop_requests

WORK = """
import signal, sys
from textus.training.signals import stop_requests

try:
    with stop_requests() as request:
        print("ready", flush=True)
        for line in sys.stdin:
            print(request.signal_number, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
print("after", flush=True)
for line in sys.stdin:
    pass
"""


class Worker:
    """A real process inside `stop_requests` that answers each line with the signal it was asked to stop by."""

    def __init__(self, prelude: str = "") -> None:
        code = textwrap.dedent(prelude) + WORK
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.read() == "ready"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("?\n")
        return self.read()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        self.process.communicate()
        return self.process.returncode


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
def test_a_signal_becomes_a_request(number: signal.Signals) -> None:
    worker = Worker()
    assert worker.ask() == "0"
    worker.send(number)
    assert worker.ask() == str(int(number))
    assert worker.end() == 0


def test_the_first_signal_is_the_reason_and_more_sigterm_changes_nothing() -> None:
    worker = Worker()
    for number in (SIGTERM, SIGTERM):
        worker.send(number)
        assert worker.ask() == "15"
    assert worker.end() == 0


@pytest.mark.parametrize("first", [SIGINT, SIGTERM])
def test_ctrl_c_after_a_request_interrupts_at_once(first: signal.Signals) -> None:
    worker = Worker()
    worker.send(first)
    assert worker.ask() == str(int(first))
    worker.send(SIGINT)
    assert worker.read() == "interrupted"
    assert worker.read() == "after"
    assert worker.end() == 0


def test_a_job_in_the_background_goes_on_ignoring_ctrl_c() -> None:
    worker = Worker("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)")
    worker.send(SIGINT)
    assert worker.ask() == "0"
    worker.send(SIGTERM)
    assert worker.ask() == "15"
    assert worker.end() == 0


@pytest.mark.parametrize("number", [SIGINT, SIGTERM])
def test_afterwards_signals_have_their_usual_effect(number: signal.Signals) -> None:
    code = """
        from textus.training.signals import stop_requests
        with stop_requests():
            pass
        try:
            print("out", flush=True)
            while True:
                pass
        except KeyboardInterrupt:
            raise SystemExit(130)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "out\n"
    process.send_signal(number)
    process.communicate()
    assert process.returncode == (130 if number == SIGINT else -SIGTERM)


def test_handlers_come_back_even_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (SIGINT, SIGTERM)]
    with pytest.raises(ZeroDivisionError), stop_requests():
        assert signal.getsignal(SIGINT) != before[0]
        _ = 1 / 0
    assert [signal.getsignal(number) for number in (SIGINT, SIGTERM)] == before


def test_outside_the_main_thread_nothing_is_touched() -> None:
    seen = []

    def work() -> None:
        with stop_requests() as request:
            seen.append((signal.getsignal(SIGINT), request.signal_number))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(signal.getsignal(SIGINT), 0)]

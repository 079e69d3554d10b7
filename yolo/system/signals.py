"""Ctrl-C, SIGTERM, SIGHUP: noted at once, acted on where nothing is lost, never lost themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from yolo.errors import YoloError
from yolo.system.process import ending_signals


class Stopped(KeyboardInterrupt):
    """A signal ends the program, whose exit code is 128 more."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Stop:
    """A stretch of work that SIGINT, SIGTERM and SIGHUP end; the last not under `nohup`.

    By default a signal raises `Stopped` in the main thread. After `defer` it is only noted, for
    the work to ask `requested` where it can stop; `allow` ends that. A signal's exception that
    comes out as another one, as it does where it strikes inside compiled code, is turned back
    into `Stopped` at the end of the stretch.

    A thread sees every signal even while the main thread is busy in compiled code. It ends the
    process at once on the second signal, and when an exception has not had its effect after
    `grace` seconds.

    Args:
        grace: seconds.

    Attributes:
        number: the first signal that came, 0 before.
        noted: called by the thread at the first signal, where it is only noted.
        farewell: called before the thread ends the process.
        last_line: returns what the work wants said at its end by a signal.
    """

    SAME = 0.1  # seconds in which two signals are one: `timeout` sends each twice

    def __init__(self, *, grace: float = 3.0):
        self.grace = grace
        self.noted: Callable[[], None] = lambda: None
        self.farewell: Callable[[], None] = lambda: None
        self.last_line: Callable[[], str] = lambda: ""
        self.number = 0
        self._deferred = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is not threading.main_thread():
            return self  # Python hands signals to the main thread only
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0.1)
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in ending_signals()}
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        threading.Thread(target=self._watch, name="signals", daemon=True).start()
        return self

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.number != 0

    def defer(self) -> None:
        """From here on, only note signals."""
        self._deferred = True

    def allow(self) -> None:
        """From here on, raise `Stopped` on a signal, and now if one came."""
        self._deferred = False
        self._since = time.monotonic()
        if self.requested:
            raise Stopped(self.number)

    def take_back(self) -> None:
        """Take the signals again, from a library that has taken them for itself.

        TensorFlow takes SIGTERM as soon as several processes coordinate, and does nothing with it.
        """
        for number in self._before:
            signal.signal(number, self._note)

    def _unraisable(self, lost: Any) -> None:
        # Where the signal strikes while something is finalized, Python drops the exception; after
        # `grace` the thread ends the process as if it had not come through compiled code.
        if not isinstance(lost.exc_value, Stopped):
            self._hook(lost)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        if not self._deferred:
            raise Stopped(self.number)

    def _watch(self) -> None:
        first = 0.0
        while True:
            try:
                numbers = self._reader.recv(64)
                if not numbers:
                    return
            except TimeoutError:
                numbers = b""
            except OSError:  # closed
                return
            now = time.monotonic()
            for number in set(numbers) & set(self._before):
                if first and now - first > self.SAME:
                    self._end(number)
                if not first:
                    first = self._since = now
                    self.number = self.number or number
                    if self._deferred:
                        with contextlib.suppress(OSError):  # the terminal may be gone
                            self.noted()
            if first and not self._deferred and now - self._since > self.grace:
                self._end(self.number)

    def _end(self, number: int) -> None:
        try:
            self.farewell()
        finally:
            os._exit(128 + number)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if not self._before:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._hook
        self._before = {}
        signal.set_wakeup_fd(self._wakeup)
        self._writer.close()
        self._reader.close()
        # Our own errors say what is wrong; any other may be what became of the signal.
        if self.requested and kind is not None and not issubclass(kind, (Stopped, YoloError)):
            raise Stopped(self.number) from error

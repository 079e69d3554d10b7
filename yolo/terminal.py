"""What the terminal shows: our lines, and not TensorFlow's start-up chatter."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable

_SECONDS_BETWEEN_PASSING = 10


class Screen:
    """Writes lines to a stream; a line may be replaced by the next where that is a terminal.

    Args:
        stream: where to write, standard output by default.
    """

    def __init__(self, stream=None):
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self._open = 0  # characters of a line that waits to be replaced

    def write(self, text: str, end: str = "\n") -> None:
        r"""Write a line; with `end="\r"` the next one takes its place."""
        if self._open:
            self.stream.write("\r" + " " * self._open + "\r")
        if end == "\r":
            text = text[: shutil.get_terminal_size().columns - 1]
        # A name that the terminal's encoding lacks must not end the program.
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        self.stream.write(text + ("" if end == "\r" else end))
        self.stream.flush()
        self._open = len(text) if end == "\r" else 0

    def finish(self) -> None:
        """End a line that waits to be replaced, before something else writes there."""
        if self._open:
            self.stream.write("\n")
            self.stream.flush()
            self._open = 0


class ScreenHandler(logging.Handler):
    """Shows the package's log: facts as they are, warnings marked."""

    def __init__(self, screen: Screen):
        super().__init__()
        self.screen = screen
        self._passed = 0.0

    def emit(self, record):
        """Write one record as a line; a passing one only until the next, and seldom elsewhere."""
        if getattr(record, "passing", False):
            if self.screen.live:
                self.screen.write(record.getMessage(), end="\r")
                return
            if record.created - self._passed < _SECONDS_BETWEEN_PASSING:
                return
            self._passed = record.created
        mark = "warning: " if record.levelno >= logging.WARNING else ""
        self.screen.write(mark + record.getMessage())


class Interrupt:
    """A stretch of work that Ctrl-C ends, whatever error that becomes inside TensorFlow.

    A KeyboardInterrupt that arrives while compiled code calls back into Python can come out as
    another exception, or not at all; whether the signal came tells them apart from real faults.

    Attributes:
        ended: whether the work was ended by Ctrl-C.
    """

    def __init__(self):
        self.ended = self._came = False
        self._before = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def guard(self, function: Callable) -> Callable:
        """Return a function that also ends the work if a signal was lost on its way before."""

        def guarded(*args, **kwargs):
            function(*args, **kwargs)
            if self._came:
                raise KeyboardInterrupt

        return guarded

    def _note(self, number, frame):
        self._came = True
        signal.default_int_handler(number, frame)

    def __exit__(self, kind, error, traceback) -> bool:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        self.ended = kind is not None and (self._came or issubclass(kind, KeyboardInterrupt))
        return self.ended


def import_tensorflow_quietly(*, verbose: bool, prepare: Callable = lambda: None) -> None:
    """Import TensorFlow without its messages about processors, CUDA and oneDNN.

    They come from C++ before any logging level acts, so the standard error stream is set aside
    while TensorFlow starts, and shown only if the start fails.

    Args:
        verbose: let everything through.
        prepare: called after the import and before TensorFlow computes anything, such as to
            choose among GPUs.
    """
    if verbose:
        import tensorflow as tf

        prepare()
        tf.config.list_physical_devices()
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_errors(verbose=False):
        import tensorflow as tf

        prepare()
        tf.config.list_physical_devices()
        tf.get_logger().setLevel("ERROR")
        # The first compiled function makes XLA introduce itself.
        tf.function(lambda x: x + 1, jit_compile=True)(tf.zeros([]))


@contextlib.contextmanager
def quiet_errors(*, verbose: bool):
    """Set the standard error stream aside for a while, C++'s chatter included.

    What was said there is shown after all when an ImportError or a RuntimeError ends the work:
    it may say why.

    Args:
        verbose: let everything through.
    """
    if verbose:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except (ImportError, RuntimeError):
            os.dup2(kept, 2)
            messages.seek(0)
            sys.stderr.write(messages.read().decode("utf-8", "replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)

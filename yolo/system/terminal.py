"""What the terminal shows: our lines, and not TensorFlow's start-up chatter."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from yolo.errors import ConfigError

SECONDS_BETWEEN_LINES = 30  # of progress, where they stay
_SECONDS_BETWEEN_PASSING = 10
_BAR = 24  # characters
_set_aside: list[int] = []  # what standard error was, by `quiet_errors`


class Screen:
    """Writes lines to a stream; a line may be replaced by the next where that is a terminal."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.pause = 0.2 if self.live else SECONDS_BETWEEN_LINES
        self._open = 0  # characters of a line that waits to be replaced
        self._may_be_lost = False

    def outlive(self) -> None:
        """From here on a stream that takes no more, as of a closed terminal, ends nothing."""
        self._may_be_lost = True

    def write(self, text: str, end: str = "\n") -> None:
        r"""Write a line; with `end="\r"` the next one takes its place."""
        before = "\r" + " " * self._open + "\r" if self._open else ""
        if end == "\r":
            text = text[: shutil.get_terminal_size().columns - 1]
        # A name that the terminal's encoding lacks must not end the program.
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        self._put(before + text + ("" if end == "\r" else end))
        self._open = len(text) if end == "\r" else 0

    def finish(self) -> None:
        """End a line that waits to be replaced, before something else writes there."""
        if self._open:
            self._put("\n")
            self._open = 0

    def _put(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            if not self._may_be_lost:
                raise
            lose(self.stream)
            self.live = False


class LogScreen:
    """Shows passing lines to the readers of a log, of which a `ScreenHandler` may be one."""

    live, pause = True, 0.5

    def __init__(self, log: logging.Logger):
        self._log = log

    def write(self, text: str, end: str = "\n") -> None:
        """Log a line that the next one may replace."""
        self._log.info(text, extra={"passing": True})


def lose(stream: TextIO) -> None:
    """Let a stream that takes no more lead nowhere, or Python fails at its end to empty it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Progress:
    """Says how far long work is and when it will be done.

    On a terminal that is a bar with figures which replaces itself, at most five times a second;
    elsewhere one line in half a minute, so that a log stays readable. `total` is None if nobody
    knows yet how much there is to do, or ever; `unit` is what is counted, in the plural.
    """

    def __init__(
        self,
        screen: Screen | LogScreen,
        total: float | None,
        unit: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._screen, self._total, self._unit, self._clock = screen, total, unit, clock
        self._shown = clock()
        self._first: tuple[float, float] | None = None

    def step(self, done: float, total: float | None = None) -> None:
        """Note that so much is done, of so much in all, and say it if it is time to."""
        now = self._clock()
        self._total = self._total if total is None else total
        if self._first is None:
            # Rates count from here: before the first result, TensorFlow compiles.
            self._first = (done, now)
        if now - self._shown < self._screen.pause and done != self._total:
            return
        if done == self._total and not self._screen.live:
            return
        self._shown = now
        self._screen.write(self._text(done, now), end="\r" if self._screen.live else "\n")

    def _text(self, done: float, now: float) -> str:
        text = f"{done} {self._unit}"
        if self._total is not None:
            text = f"{done}/{self._total} {self._unit}"
            if self._screen.live:
                full = int(_BAR * done / max(self._total, done, 1))
                text = f"[{'#' * full}{'.' * (_BAR - full)}] {text}"
        before, started = self._first or (done, now)
        if done > before and now > started:
            rate = (done - before) / (now - started)
            speed = f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"
            text += f", {speed} a second" if rate >= 1 else f", {1 / rate:.3g} s each"
            if self._total is not None:
                text += f", {duration((self._total - done) / rate)} left"
        return text


def duration(seconds: float) -> str:
    """Return "0:07", "12:30" or "3:05:00".

    Example:
        >>> duration(7.4), duration(11100)
        ('0:07', '3:05:00')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(count: int, what: str) -> str:
    """Return "1 frame", "2 frames", "2 classes"."""
    return f"{count} {what}" + ("" if count == 1 else "es" if what.endswith("s") else "s")


def quoted(path: object) -> str:
    """Return a path as a shell wants it typed."""
    text = str(path)
    return f'"{text}"' if " " in text else text


def colored(text: str, color: str, stream: TextIO) -> str:
    """Return a line in "red" or "yellow" where its stream is a terminal that shows colours.

    Reference:
        https://no-color.org: a variable NO_COLOR that is not empty turns colours off.
    """
    shown = stream.isatty() and not os.environ.get("NO_COLOR")
    terminal = os.environ.get("TERM")
    # A Windows console of before its Terminal may show colour codes as garbage.
    old = os.name == "nt" and not os.environ.get("WT_SESSION") and not terminal
    if not shown or terminal == "dumb" or old:
        return text
    return f"\x1b[{ {'red': 31, 'yellow': 33}[color] }m{text}\x1b[0m"


class ScreenHandler(logging.Handler):
    """Shows the package's log: facts as they are, warnings marked."""

    def __init__(self, screen: Screen):
        super().__init__()
        self.screen = screen
        self._passed = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as a line; a passing one only until the next, and seldom elsewhere."""
        if getattr(record, "passing", False):
            if self.screen.live:
                self.screen.write(record.getMessage(), end="\r")
                return
            if record.created - self._passed < _SECONDS_BETWEEN_PASSING:
                return
            self._passed = record.created
        mark = ""
        if record.levelno >= logging.WARNING:
            mark = colored("warning:", "yellow", self.screen.stream) + " "
        self.screen.write(mark + record.getMessage())


def import_tensorflow_quietly(*, verbose: bool, prepare: Callable = lambda: None) -> None:
    """Import TensorFlow without its messages about processors, CUDA and oneDNN, unless `verbose`.

    They come from C++ before any logging level acts, so the standard error stream is set aside
    while TensorFlow starts, and shown only if the start fails. `prepare` is called after the import
    and before TensorFlow computes anything, such as to choose among GPUs.

    Raises:
        ConfigError: Keras was told to work with something else.
    """
    backend = os.environ.get("KERAS_BACKEND") or _configured_backend()
    if backend != "tensorflow":
        raise ConfigError(
            f"Keras is set to {backend}, and the commands work with TensorFlow: "
            "KERAS_BACKEND=tensorflow (from Python the detectors take JAX and PyTorch, too)"
        )
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_errors(verbose=verbose):
        import tensorflow as tf

        prepare()
        tf.config.list_physical_devices()
        if not verbose:
            tf.get_logger().setLevel("ERROR")
            # The first compiled function makes XLA introduce itself.
            tf.function(lambda x: x + 1, jit_compile=True)(tf.zeros([]))


def _configured_backend() -> str:
    """Return what Keras's own settings file says."""
    path = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "keras.json")
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):  # Keras then takes its defaults, too
        return "tensorflow"


@contextlib.contextmanager
def quiet_errors(*, verbose: bool) -> Iterator[None]:
    """Set the standard error stream aside for a while, C++'s chatter included, unless `verbose`.

    What was said there is shown after all when an ImportError or a RuntimeError ends the work:
    it may say why.
    """
    if verbose:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    _set_aside.append(kept)
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
            _set_aside.remove(kept)
            os.close(kept)


def let_errors_through() -> None:
    """Give the standard error stream back in the middle of `quiet_errors`, for a last word."""
    if _set_aside:
        os.dup2(_set_aside[0], 2)

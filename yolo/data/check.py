"""Decode every picture of a data set in child processes: a crash is one bad file, no dead run.

The children run this module; they import OpenCV and nothing of TensorFlow.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from yolo.errors import DatasetError
from yolo.headers import allow_megapixels, allowed_megapixels
from yolo.reading import printable

SECONDS = 20.0
_PROCESSES = min(8, os.cpu_count() or 1)


class Finding(NamedTuple):
    """What is wrong with one picture.

    Args:
        path: the picture.
        message: one line that names it.
        fatal: whether it cannot be read; otherwise the decoder only complained about it.
    """

    path: Path
    message: str
    fatal: bool


def check_pictures(
    paths: Sequence[Path],
    *,
    seconds: float = SECONDS,
    processes: int = _PROCESSES,
    on_progress: Callable[[int, int], None] | None = None,
    command: Sequence[str] = (sys.executable, "-m", "yolo.data.check"),
) -> list[Finding]:
    """Decode pictures in child processes and return what is wrong, in the order of the paths.

    Args:
        paths: the pictures.
        seconds: a picture that takes longer is given up.
        processes: children at work at the same time.
        on_progress: called with the pictures done and their number.
        command: starts a child; for tests.

    Returns:
        A finding for every picture that cannot be decoded, takes too long, kills its process, or
        makes the decoder complain.
    """
    workers = threading.local()
    started: list[_Worker] = []

    def check(path: Path) -> Finding | None:
        if not hasattr(workers, "mine"):
            workers.mine = _Worker(command, seconds)
            started.append(workers.mine)
        return workers.mine.check(path)

    found = []
    with ThreadPoolExecutor(max(1, min(processes, len(paths)))) as pool:
        try:
            for done, finding in enumerate(pool.map(check, paths), 1):
                if finding is not None:
                    found.append(finding)
                if on_progress is not None:
                    on_progress(done, len(paths))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for worker in started:
                worker.stop()
    return found


class _Worker:
    """A child process that decodes one picture after another; a new one where it died."""

    def __init__(self, command: Sequence[str], seconds: float):
        self._command, self._seconds = list(command), seconds
        self._process: subprocess.Popen | None = None
        self._folder = self._complaints = None

    def check(self, path: Path) -> Finding | None:
        """Let the child decode a picture and return what is wrong with it."""
        process = self._process or self._start()
        late = threading.Event()

        def give_up():
            late.set()
            process.kill()

        clock = threading.Timer(self._seconds, give_up)
        clock.start()
        try:
            process.stdin.write(os.fsencode(path) + b"\0")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            clock.cancel()
        if answer:
            message = json.loads(answer)
            complaint = self._complaint()
            if message is not None:
                return Finding(path, message, fatal=True)
            if complaint:
                text = f"{printable(path)}: the decoder complains: {complaint}"
                return Finding(path, text, fatal=False)
            return None
        code = process.wait()
        self.stop()
        if late.is_set():
            reason = f"takes more than {self._seconds:g} seconds to decode"
        else:
            reason = f"kills the decoder ({_death(code)})"
        return Finding(path, f"{printable(path)}: {reason}: remove it", fatal=True)

    def _start(self) -> subprocess.Popen:
        self._folder = tempfile.TemporaryDirectory(prefix="yolo-check-")
        complaints = Path(self._folder.name) / "complaints"
        places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, places)),
            "YOLO_CHECK_MEGAPIXELS": repr(allowed_megapixels()),
        }
        with complaints.open("wb") as file:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file,
                env=environment,
            )  # fmt: skip
        self._complaints = complaints.open("rb")
        return self._process

    def _complaint(self) -> str:
        """Return the first new line that libjpeg and its like wrote, which name no file."""
        text = self._complaints.read().decode("utf-8", "replace").strip()
        return printable(text.splitlines()[0])[:200] if text else ""

    def stop(self) -> None:
        """End the child, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            with contextlib.suppress(OSError):  # what could not be sent any more
                self._process.stdin.close()
            self._process = None
            self._complaints.close()
            self._folder.cleanup()


def _death(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _serve() -> None:
    """Answer each path, ended by a zero byte, with a line of JSON: null or what is wrong."""
    from yolo.images import read_image

    allow_megapixels(float(os.environ["YOLO_CHECK_MEGAPIXELS"]))
    waiting = b""
    while block := os.read(sys.stdin.fileno(), 1 << 16):
        *names, waiting = (waiting + block).split(b"\0")
        for name in names:
            try:
                read_image(os.fsdecode(name))
                answer = None
            except DatasetError as error:
                answer = str(error)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _serve()

"""Decode pictures in child processes, so that a decoder that crashes or hangs is one bad file."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from yolo.errors import DatasetError, YoloError
from yolo.pictures.files import cv2, read_image
from yolo.pictures.header import allow_megapixels, allowed_megapixels
from yolo.system import process as child
from yolo.system.reading import FilePart, printable

SECONDS = 60.0  # for one picture; 100 megapixels take about two
PICTURES_A_CHILD = 40  # fewer do not pay for a start


def decode_all(
    paths: Sequence[os.PathLike],
    *,
    workers: int | None = None,
    seconds: float = SECONDS,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[os.PathLike, str]:
    """Decode every picture as training will, and tell which cannot be.

    A picture that takes longer than `seconds` counts as bad. `on_progress` is called about ten
    times a second with the pictures done and their number.

    Returns:
        What is wrong with each bad picture, one line that names it.

    Raises:
        YoloError: no child process can be started.
    """
    most = max(1, -(-len(paths) // PICTURES_A_CHILD))
    count = min(workers or os.cpu_count() or 1, most)
    todo, found = collections.deque(paths), dict[os.PathLike, str]()
    children = [_Child(seconds) for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        work = [pool.submit(child.work, todo, found) for child in children]
        try:
            while wait(work, timeout=0.1).not_done:
                for child in children:
                    child.end_if_late()
                if on_progress is not None:
                    on_progress(len(found), len(paths))
        finally:
            for child in children:
                child.stop()
    for one in work:
        one.result()
    if on_progress is not None:
        on_progress(len(found), len(paths))
    return {path: found[path] for path in paths if found.get(path)}


class _Child:
    """A process that decodes one picture after the other, and is replaced when it dies."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.process: subprocess.Popen | None = None
        self.since = 0.0  # when the picture at hand was begun; 0 between pictures
        self.late = self.stopped = False

    def work(self, todo: collections.deque, found: dict[os.PathLike, str]) -> None:
        """Decode what is to do, one after the other, and note what is wrong with each picture."""
        with contextlib.suppress(IndexError):  # nothing is left
            while not self.stopped:
                path = todo.popleft()
                found[path] = self.decode(path)
        self.stop()

    def decode(self, path: os.PathLike) -> str:
        """Return what is wrong with a picture, or nothing."""
        process = self.process or self._start()
        self.late, self.since = False, time.monotonic()
        try:
            process.stdin.write(_request(path))
            process.stdin.flush()
            answer = process.stdout.readline()
        except (OSError, ValueError):  # it died before, or was stopped
            answer = b""
        self.since = 0.0
        if answer.endswith(b"\n"):
            return printable(json.loads(answer))  # of an archive, which the child does not know
        if self.stopped:
            return ""
        code, self.process = process.wait(), None
        _close(process)
        why = f"took longer than {self.seconds:g} s" if self.late else f"crashed (code {code})"
        return f"{printable(path)}: the decoder {why}: save the picture again or remove it"

    def _start(self) -> subprocess.Popen:
        self.process = process = subprocess.Popen(
            child.command(__name__, str(allowed_megapixels())),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if process.stdout.readline() != b"ready\n" and not self.stopped:
            self.stop()
            raise YoloError(f"{sys.executable}: no child process to decode pictures in")
        return process

    def end_if_late(self) -> None:
        """End a process that sits over a picture for too long."""
        since, process = self.since, self.process
        if since and process is not None and time.monotonic() - since > self.seconds:
            self.late = True
            process.kill()

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.stopped = True
        if self.process is not None:
            _close(self.process)


def _request(path: os.PathLike) -> bytes:
    """Return the line that asks a child for a picture; JSON keeps any name on one line."""
    if isinstance(path, FilePart):
        parts = [str(path.file), path.start, path.length, path.crc32, path.name]
    else:
        parts = [os.fspath(path)]
    return json.dumps(parts).encode("ascii") + b"\n"


def _requested(line: bytes) -> os.PathLike:
    file, *part = json.loads(line)
    return FilePart(Path(file), *part) if part else Path(file)


def _close(process: subprocess.Popen) -> None:
    with contextlib.suppress(OSError), process:  # what was not written goes nowhere
        process.kill()


def serve(megapixels: str) -> None:
    """Answer requests of a parent until it goes away: the child's side of `decode_all`."""
    allow_megapixels(float(megapixels))
    cv2.setNumThreads(1)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # decoders may print
    answers.write(b"ready\n")
    answers.flush()
    for line in sys.stdin.buffer:
        fault = ""
        try:
            read_image(_requested(line))
        except DatasetError as error:
            fault = str(error)
        answers.write(json.dumps(fault).encode() + b"\n")
        answers.flush()

"""A training of seconds to bring faults upon: eight drawn pictures, the small network."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests import children
from tests.faults.full import small
from tests.faults.full.mutants import cpu_seconds
from tests.faults.full.table import Row

SETTINGS = {
    "image_size": (64, 64), "epochs": 2, "batch_size": 2, "precision": "float32", "eager": True,
    "epochs_between_evaluations": 2, "accumulate": 2, "anchors": "keep", "weights": "none",
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[3]


class Outcome(NamedTuple):
    """How a process ended: exit code, output, seconds since the signal.

    `busy` is the processor's share of those seconds, which says more on a machine with other work.
    """

    code: int
    out: str
    err: str
    seconds: float
    busy: float


class Meter:
    """Counts trials, and keeps the worst time and memory growth of any."""

    def __init__(self, fault: str):
        self.fault, self.tried, self.survived = fault, 0, 0
        self.seconds = self.megabytes = 0.0
        self.failures = []

    @contextlib.contextmanager
    def trial(self, name=""):
        """Time a trial; it survives if it raises no AssertionError."""
        self.tried += 1
        started, before = time.monotonic(), _resident()
        try:
            yield
            self.survived += 1
        except AssertionError as error:
            self.failures.append(f"{self.fault} {name}: {error}")
        self.seconds = max(self.seconds, time.monotonic() - started)
        self.megabytes = max(self.megabytes, _resident() - before)

    def row(self) -> Row:
        """Return the table's row; show what failed."""
        for line in self.failures:
            print(line, file=sys.stderr)
        return Row(self.fault, self.tried, self.survived, self.seconds, self.megabytes)


def _resident() -> float:
    """Return the megabytes that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


class Toy:
    """The toy training: in this process, or as a command.

    Args:
        work: an empty folder.
    """

    def __init__(self, work: Path):
        from yolo.data import demo
        from yolo.models.yolov4 import network

        network.build_network = small.build_network
        self.work = work
        self.data = demo.write_shapes(work / "shapes", train=8, val=4, test=4)
        self._reference = None

    def config(self, folder: Path, **changes):
        """Return the settings of a run in `folder`."""
        from yolo.settings.train import TrainConfig

        return TrainConfig(**{
            **SETTINGS, "data": str(self.data), "save_dir": str(folder.parent),
            "name": folder.name, **changes,
        })  # fmt: skip

    def train(self, folder: Path, *, stop=None, **changes) -> list[str]:
        """Start a run, or go on with the one in `folder`; return its lines."""
        from yolo.data import folder as dataset
        from yolo.training import run_folder, trainer

        config, lines = self.config(folder, **changes), []
        resume = bool(run_folder.checkpoint_steps(folder))
        if not folder.exists():
            run_folder.create(config)
        trainer.train(
            config, dataset.open_data(config), folder, resume=resume, stop=stop,
            write=lambda text, end="\n": lines.append(text),
        )  # fmt: skip
        return lines

    def train_until(self, folder: Path, batches: int, **changes) -> None:
        """Train for some batches, as if Ctrl-C came then."""
        from yolo.system.signals import Stopped

        with contextlib.suppress(Stopped):
            self.train(folder, stop=StopAfter(batches), **changes)

    @property
    def reference(self) -> str:
        """The weights that an undisturbed run ends with."""
        if self._reference is None:
            self.train_reference()
        return self._reference

    def train_reference(self) -> Path:
        """Train undisturbed; return the run's folder."""
        folder = self.work / "reference"
        shutil.rmtree(folder, ignore_errors=True)
        self.train(folder)
        self._reference = weights_of(folder)
        return folder

    def copy_of(self, folder: Path) -> Path:
        """Return a new copy of a run's folder."""
        target = folder.with_name(f"{folder.name}-{time.monotonic_ns()}")
        return Path(shutil.copytree(folder, target))

    def command(
        self, *arguments, limits=None, send=None, when=None, within=(), pause: float = 0
    ) -> Outcome:
        """Run train.py with the small network; perhaps send a signal and time its end.

        Without limits and `within` it is forked off a process that has TensorFlow loaded.

        Args:
            *arguments: its options, besides those of `SETTINGS` for a new run.
            limits: called in the child before it starts, to set limits.
            send: a signal.
            when: called with the process; returns when it is time for the signal.
            within: a command that runs the one that follows it.
            pause: seconds that batches after the first ones take longer.
        """
        options = [] if "--resume" in arguments else [
            "--data", self.data, "--image-size", "64", "--epochs", "2", "--batch-size", "2",
            "--precision", "float32", "--eager", "--epochs-between-evaluations", "2",
            "--accumulate", "2", "--anchors", "keep", "--weights", "none",
        ]  # fmt: skip
        options = [str(option) for option in [*options, *arguments]]
        words = [*within, sys.executable, "-m", "tests.faults.full.small", *options]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8",
               "SMALL_PAUSE": str(pause)}  # fmt: skip
        if limits is None and not within:
            return _outcome_of(children.Child(words, cwd=self.work, env=env), send, when)
        started = time.monotonic()
        done = subprocess.run(
            words, preexec_fn=limits, cwd=self.work, env=env, capture_output=True,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr, time.monotonic() - started, 0)


def _outcome_of(child: children.Child, send, when) -> Outcome:
    """Wait for a child's end, with a signal on the way if one is to be sent."""
    try:
        if send is not None:
            when(child)
            child.send_signal(send)
        started, before = time.monotonic(), cpu_seconds(child.pid)
        busy = before
        while child.poll() is None:
            time.sleep(0.02)
            busy = max(busy, cpu_seconds(child.pid))
    except AssertionError:
        child.send_signal(signal.SIGKILL)
        child.wait()
        raise
    done = child.wait()
    return Outcome(
        done.returncode, done.stdout, done.stderr, time.monotonic() - started, busy - before
    )


def StopAfter(batches: int):  # noqa: N802  a class that is made when TensorFlow may be loaded
    """Return a `Stop` that behaves as if Ctrl-C were pressed during a batch, counted from 1."""
    from yolo.system.signals import Stop

    class After(Stop):
        left = batches

        def defer(self):
            super().defer()
            self.left -= 1
            self.number = signal.SIGINT if self.left == 0 else self.number

    return After()


def weights_of(folder: Path) -> str:
    """Return a digest of all weights of a run's last and best models."""
    from yolo.weights import loading

    digest = hashlib.sha256()
    for name in ("last.keras", "best.keras"):
        for weight in loading.load(folder / name).weights:
            digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return digest.hexdigest()


def assert_one_line(outcome: Outcome, code: int | tuple[int, ...], words: str) -> None:
    """Demand an exit code and one line on standard error, with these words and no traceback."""
    codes = code if isinstance(code, tuple) else (code,)
    assert outcome.code in codes, f"exit code {outcome.code}: {outcome.err[-300:]}"
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err[-500:]
    assert re.search(words, lines[0]), lines[0]

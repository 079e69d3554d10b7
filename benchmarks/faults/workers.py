"""Faults of several devices and workers: T25 to T30."""

from __future__ import annotations

import contextlib
import csv
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.faults.table import Row
from benchmarks.faults.toy import ROOT, Meter

# Twenty-six pictures in batches of twelve: the last batch of an epoch holds two, so that of four
# workers two have none. One to four workers share a batch evenly.
PICTURES, BATCH, EPOCHS = 26, 12, 4
OPTIONS = (
    "--image-size", "64", "--batch-size", str(BATCH), "--epochs", str(EPOCHS), "--precision",
    "float32", "--sync-norm", "--epochs-between-evaluations", "2", "--accumulate", "2",
    "--clip-norm", "1", "--learning-rate", "0.001",
)  # fmt: skip
PATIENCE = 900  # seconds for one training; a machine with other work takes its time


class Cluster:
    """Trainings of the small network by several workers on one data set.

    Args:
        work: an empty folder.
    """

    def __init__(self, work: Path):
        from yolo.data import demo

        self.work = work
        self.data = demo.write_shapes(work / "shapes", train=PICTURES, val=5, test=2)
        self._undisturbed = {}

    def train(
        self, name: str, *launch: str, options=(), disturb: Callable | None = None
    ) -> tuple[int, str]:
        """Train; return the exit code and all that was said.

        Args:
            name: of the run.
            *launch: options of `launch`; none to train in one process without it.
            options: more options of train.py.
            disturb: called with the process and the run's folder while it trains.
        """
        command = [*launch, "--", "train"] if launch else []
        if "--resume" not in options:
            options = ["--data", str(self.data), "--name", name, *OPTIONS, *options]
        log = self.work / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.faults.small", *command, *options],
                stdout=out, stderr=subprocess.STDOUT, cwd=self.work,
                env={**os.environ, "PYTHONPATH": str(ROOT), "SMALL_DROPOUT": "0"},
            )  # fmt: skip
            try:
                if disturb:
                    disturb(process, self.work / "logs" / name)
                code = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{name}: no end in {PATIENCE} s") from None
            finally:
                process.kill()
                process.wait()
        return code, log.read_text(encoding="utf-8", errors="replace")

    def result(self, name: str) -> tuple[list[float], list[np.ndarray]]:
        """Return the losses of a run's epochs and its last weights."""
        from yolo.training import checkpoint

        folder = self.work / "logs" / name
        with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
            losses = [float(row["loss"]) for row in csv.DictReader(file)]
        _, arrays = checkpoint.newest(folder)
        return losses, [array for key, array in arrays.items() if not key.startswith("metric")]

    def undisturbed(self, workers: int, *options) -> tuple[list[float], list[np.ndarray]]:
        """Return what a training that nothing disturbs ends with; one worker: without `launch`."""
        name = "-".join(["undisturbed", str(workers), *options])
        if name not in self._undisturbed:
            launch = ("launch", "--workers", str(workers)) if workers > 1 else ()
            code, said = self.train(name, *launch, options=options)
            assert code == 0, said[-500:]
            self._undisturbed[name] = self.result(name)
        return self._undisturbed[name]

    def differences(self, name: str, workers: int = 1, *options) -> tuple[float, float]:
        """Return how far a run is from an undisturbed one: its losses, in parts, and its weights.

        Args:
            name: of the run.
            workers: how many the undisturbed one has.
            *options: its options besides the usual ones.
        """
        losses, weights = self.result(name)
        expected, others = self.undisturbed(workers, *options)
        assert len(losses) == len(expected), f"{len(losses)} epochs"
        apart = max(float(np.abs(a - b).max()) for a, b in zip(weights, others, strict=True))
        return max(abs(a / b - 1) for a, b in zip(losses, expected, strict=True)), apart


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(n) for path in Path(f"/proc/{pid}/task").glob("*/children")
                for n in path.read_text(encoding="ascii").split()]  # fmt: skip
    return []


def gone(pids, within: float) -> bool:
    """Tell whether processes end within some seconds; a zombie has ended."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        states = []
        for pid in pids:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
                states.append(text.rpartition(")")[2].split()[0])
        if not set(states) - {"Z"}:
            return True
        time.sleep(0.1)
    return False


def at_work(process, workers: int, folder: Path, epochs: int) -> list[int]:
    """Wait until so many workers have so many epochs behind them; return their pids."""
    from yolo.training.run_folder import checkpoint_steps

    steps = -(-PICTURES // BATCH)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        found = children(process.pid)
        if len(found) == workers and max(checkpoint_steps(folder), default=0) >= epochs * steps:
            return found
        time.sleep(0.02)
    raise AssertionError("the workers did not come so far")


def replicas(cluster: Cluster, quick: bool) -> list[Row]:
    """T25: one, two and four devices, an epoch's last batch of one picture included."""
    return [_replicas(cluster, *way, quick) for way in (("float64", 1e-9), ("float32", 1e-5))]


def _replicas(cluster: Cluster, precision: str, most: float, quick: bool) -> Row:
    models = ["small"] if quick else ["small", "yolov4-tiny", "retinanet-csp-tiny"]
    meter, worst, ways = Meter(f"T25 weights on 1, 2, 4 devices in {precision}"), 0.0, []
    for model in models:
        files = {}
        for devices in (1, 2) if quick else (1, 2, 4):
            files[devices] = cluster.work / f"{model}-{devices}.npz"
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.faults.replicas", model, str(devices),
                 str(files[devices]), precision, *(["14"] if quick else [])],
                cwd=cluster.work, capture_output=True, encoding="utf-8", timeout=4 * PATIENCE,
                env={**os.environ, "PYTHONPATH": str(ROOT), "SMALL_DROPOUT": "0"},
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-1000:]
            if devices == 1:
                continue
            with meter.trial(f"{model} on {devices}"):
                with np.load(files[1]) as one, np.load(files[devices]) as more:
                    apart = max(float(np.abs(one[k] - more[k]).max()) for k in one.files[:-1])
                    ways.append(float(one["way"]))
                worst = max(worst, apart)
                assert 0 < apart <= min(most, 0.01 * ways[-1]), (
                    f"weights {apart:.1e} apart after a way of {ways[-1]:.1e}"
                )
    row = meter.row()
    return row._replace(
        fault=f"{row.fault} (at most {worst:.1e} apart after a way of {min(ways):.1e} or more)"
    )


def shares(cluster: Cluster, quick: bool):
    """T26: several processes end with the weights of one."""
    meter, worst = Meter("T26 weights of 1 to 4 workers"), 0.0
    for workers in (2,) if quick else (2, 3, 4):
        with meter.trial(str(workers)):
            cluster.undisturbed(workers)
            _, apart = cluster.differences(f"undisturbed-{workers}")
            worst = max(worst, apart)
            assert apart <= 1e-5, f"weights {apart:.1e} apart"
    yield meter.row()._replace(fault=f"{meter.fault} (at most {worst:.1e} apart)")
    yield once(cluster, quick)


def once(cluster: Cluster, quick: bool):
    """T26: each picture once an epoch, for any number of workers and any remainder."""
    from benchmarks.faults.shares import assert_once_an_epoch, pictures

    meter, folder = Meter("T26 pictures seen once an epoch"), cluster.work / "numbered"
    folder.mkdir()
    samples = pictures(folder, 31)
    for workers in (3,) if quick else (1, 2, 3, 4):
        for left_over in (5,) if quick else range(8):
            with meter.trial(f"{workers} workers, {left_over} left over"):
                assert_once_an_epoch(samples[: 24 + left_over], workers)
    return meter.row()


def killed(cluster: Cluster, quick: bool):
    """T27: a worker killed at a random moment, with as many, fewer or more workers after it."""
    meter, chance, ends, worst = Meter("T27 worker killed"), random.Random(27), [], 0.0
    plans = [(2, 1)] if quick else [(2, 2), (2, 1), (1, 2), (4, 3)] * 5
    for trial, (before, after) in enumerate(plans):
        name = f"killed-{trial}"

        def disturb(process, folder, before=before):
            pids = at_work(process, before, folder, chance.randint(1, EPOCHS - 1))
            time.sleep(chance.uniform(0, 0.5))
            os.kill(chance.choice(pids), signal.SIGKILL)
            started = time.monotonic()
            assert gone(pids, 60), "survivors are still there after 60 s"
            ends.append(time.monotonic() - started)

        with meter.trial(f"{before} to {after}"):
            options = ["launch", "--workers", str(before), "--min-workers", str(min(before, after))]
            if after > before:
                options += ["--restarts", "0"]
            code, said = cluster.train(name, *options, disturb=disturb)
            assert "was ended by SIGKILL" in said, said[-500:]
            if after > before:
                assert code == 1, f"exit code {code}: {said[-500:]}"
                resume = ("--resume", str(cluster.work / "logs" / name))
                code, said = cluster.train(
                    name, "launch", "--workers", str(after), options=resume
                )  # fmt: skip
            else:
                assert f"starting {after} workers again" in said, said[-500:]
            assert code == 0, f"exit code {code}: {said[-500:]}"
            apart, _ = cluster.differences(name)
            worst = max(worst, apart)
            assert apart <= 1e-6, f"loss {apart:.1e} apart"
            if before == after:
                assert cluster.differences(name, before) == (0, 0), "not the same to the bit"
    row = meter.row()
    return row._replace(
        fault=f"{row.fault} (loss at most {worst:.1e} apart)",
        worst_seconds=max(ends, default=0.0),
    )


def frozen(cluster: Cluster, quick: bool):
    """T28: a worker that stands still is named and replaced."""
    meter, chance = Meter("T28 worker frozen"), random.Random(28)
    for trial in range(1 if quick else 4):
        name, frozen = f"frozen-{trial}", []

        def disturb(process, folder, frozen=frozen):
            pids = at_work(process, 2, folder, 1)
            frozen.append(chance.choice(pids))
            os.kill(frozen[0], signal.SIGSTOP)
            assert gone(pids, 90), "a worker still stands there"

        with meter.trial(name):
            code, said = cluster.train(
                name, "launch", "--workers", "2", "--silence", "30", disturb=disturb
            )
            assert code == 0, said[-500:]
            # Whoever notices first: the launcher, or the other worker.
            named = rf"worker [01] \(process {frozen[0]}\) (has given no sign|no longer answers)"
            assert re.search(named, said), said[-500:]
            assert cluster.differences(name, 2) == (0, 0), "not the same to the bit"
    return meter.row()


def signalled(cluster: Cluster, quick: bool):
    """T29: a signal to the launcher: all workers save and end; the run goes on from there."""
    meter, chance, ends = Meter("T29 signal to the launcher"), random.Random(29), []
    plan, longer = [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ("--epochs", "20")
    for trial, (number, code) in enumerate(plan[:1] if quick else plan * 5):
        name, pids = f"signalled-{trial}", []

        def disturb(process, folder, number=number, pids=pids):
            pids += at_work(process, 2, folder, chance.randint(1, 4))
            process.send_signal(number)
            started = time.monotonic()
            process.wait(PATIENCE)
            ends.append(time.monotonic() - started)

        with meter.trial(name):
            ended, said = cluster.train(
                name, "launch", "--workers", "2", options=longer, disturb=disturb
            )
            assert ended == code, f"exit code {ended}: {said[-500:]}"
            assert "Traceback" not in said, said[-500:]
            single, several = said.splitlines()[-2:]
            assert "go on with: python train.py --resume" in single, said[-500:]
            assert "launch --workers 2 -- train --resume" in several, said[-500:]
            assert gone(pids, 1), "orphans"
            resume = ("--resume", str(cluster.work / "logs" / name))
            ended, said = cluster.train(name, "launch", "--workers", "2", options=resume)
            assert ended == 0, said[-500:]
            losses, weights = cluster.differences(name, 2, *longer)
            assert losses <= 1e-6 and weights == 0, f"{losses:.1e}, {weights:.1e} apart"
    return meter.row()._replace(worst_seconds=max(ends, default=0.0))


def orphaned(cluster: Cluster, quick: bool):
    """T30: the launcher is killed: its workers end by themselves."""
    meter, ends = Meter("T30 launcher killed"), []
    for trial in range(1 if quick else 5):

        def disturb(process, folder):
            pids = at_work(process, 2, folder, 1)
            process.kill()
            started = time.monotonic()
            assert gone(pids, 30), "orphans"
            ends.append(time.monotonic() - started)

        with meter.trial(str(trial)):
            code, said = cluster.train(
                f"orphaned-{trial}", "launch", "--workers", "2", disturb=disturb
            )
            assert code == -signal.SIGKILL, said[-500:]
    return meter.row()._replace(worst_seconds=max(ends, default=0.0))


CASES = {
    "T25": replicas, "T26": shares, "T27": killed, "T28": frozen, "T29": signalled,
    "T30": orphaned,
}  # fmt: skip


def _alone(case, quick: bool) -> Iterator[Row]:
    """Bring a fault about in a folder of its own and yield what was seen.

    Args:
        case: one of `CASES`.
        quick: a few trials instead of the full count.
    """
    with tempfile.TemporaryDirectory() as work:
        found = case(Cluster(Path(work)), quick)
        yield from [found] if isinstance(found, Row) else found


FAULTS = {name: partial(_alone, case) for name, case in CASES.items()}

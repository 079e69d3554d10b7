"""Ends at any moment: T1 frozen, T2 by real signals, T3 the best over resumes, T8 after the end."""

from __future__ import annotations

import math
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.faults.full import small
from tests.faults.full.toy import Meter, StopAfter, Toy, weights_of


class Freezer:
    """Copies a folder as it is just before file operations on it, as a kill leaves it.

    Args:
        folder: its operations are looked at while this is a context.
        every: copy before each operation of such a number, counted from 1.
    """

    EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")

    def __init__(self, folder: Path, every: int):
        self.watched, self.folder, self.every = folder, None, every
        self.seen, self.copies = 0, []
        sys.addaudithook(self._hook)

    def __enter__(self):
        self.folder = self.watched
        return self

    def __exit__(self, *_):
        self.folder = None  # a hook stays for good

    def _hook(self, event, arguments):
        folder = self.folder
        if folder is None or event not in self.EVENTS or str(folder) not in str(arguments[0]):
            return
        if not folder.is_dir():  # a kill before there is a folder leaves nothing to resume
            return
        self.seen += 1
        if self.seen % self.every == 0:
            self.folder = None  # the copy's own operations do not count
            target = folder.with_name(f"{folder.name}-frozen-{self.seen}")
            shutil.copytree(folder, target)
            self.copies.append(target)
            self.folder = folder


def frozen(toy: Toy, quick: bool):
    """T1: resume from copies taken just before file operations, saves included."""
    from yolo.weights import loading

    meter = Meter("T1 killed at a file operation")
    with Freezer(toy.work / "reference", every=7 if quick else 1) as freezer:
        toy.train_reference()
    for copy in random.Random(1).sample(freezer.copies, 2 if quick else 50):
        with meter.trial(copy.name):
            if (copy / "best.keras").exists():
                loading.load(copy / "best.keras")
            toy.train(copy)
            assert weights_of(copy) == toy.reference, "other weights than the undisturbed run's"
            assert not list(copy.rglob("*.part*")), "remains of the killed run"
    return meter.row()


def signals(toy: Toy, quick: bool):
    """T2: real signals at random times; the resumed run ends as an undisturbed one."""
    plan = [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
    random_times = random.Random(2)
    for number, code in plan[:1] if quick else plan:
        meter = Meter(f"T2 {signal.Signals(number).name}")
        ends = []
        for trial in range(1 if quick else 20):
            folder = toy.work / f"signal-{number}-{trial}"
            # Into the import, the first step's preparation, the steps, or the end.
            first = folder / "checkpoints"
            share = random_times.random()

            def when(process, first=first, share=share):
                if share < 0.3 and not quick:
                    time.sleep(10 * share)
                    return
                while not first.exists() and process.poll() is None:
                    time.sleep(0.005)
                time.sleep(2 * (share - 0.3) if share > 0.3 else 0)

            with meter.trial(str(trial)):
                _signal_once(toy, folder, number, code, when, ends)
        row = meter.row()
        yield row._replace(worst_seconds=max(ends, default=0.0), worst_megabytes=None)
    yield impatient(toy, quick)


def impatient(toy: Toy, quick: bool):
    """T2: a second signal in the middle of a batch of a minute: the end comes at once."""
    from yolo.training import checkpoint

    meter, ends = Meter("T2 a second signal"), []
    for trial in range(1 if quick else 5):
        folder = toy.work / f"impatient-{trial}"

        def when(process):
            while small.IN_A_BATCH not in process.said()[0]:
                assert process.poll() is None, "it has ended before its long batch"
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            time.sleep(1)
            assert process.poll() is None, "the first signal ended it"

        with meter.trial(str(trial)):
            ended = toy.command("--save-dir", folder.parent, "--name", folder.name,
                                send=signal.SIGINT, when=when, pause=60)  # fmt: skip
            ends.append(ended.seconds)
            assert ended.code == 130, f"exit code {ended.code}: {ended.err[-300:]}"
            assert "Traceback" not in ended.err + ended.out, ended.err[-300:]
            assert "go on with: python train.py --resume" in ended.out.splitlines()[-1], ended.out
            assert ended.seconds < 20, f"{ended.seconds:.1f} s to its end"
            state, _ = checkpoint.newest(folder)
            assert state.step == 4, f"the checkpoint of step {state.step}, not of the first epoch"
            if not quick:
                assert toy.command("--resume", folder).code == 0
                assert weights_of(folder) == toy.reference
    return meter.row()._replace(worst_seconds=max(ends, default=0.0), worst_megabytes=None)


def _signal_once(toy, folder, number, code, when, ends):
    ended = toy.command("--save-dir", folder.parent, "--name", folder.name, send=number, when=when)
    ends.append(ended.seconds)
    if ended.code == 0:  # it had finished before
        assert weights_of(folder) == toy.reference
        return
    assert ended.code == code, f"exit code {ended.code}: {ended.err[-300:]}"
    assert "Traceback" not in ended.err + ended.out, ended.err[-300:]
    if number != signal.SIGKILL:
        last = (ended.out + ended.err).splitlines()[-1]
        assert re.search("go on with: python train.py --resume|nothing was saved|inter", last), last
        # A batch here takes a tenth of a second; a busy machine stretches all of it.
        assert ended.seconds < 6 or ended.busy < 5, f"{ended.seconds:.1f} s to its end"
    if (folder / "checkpoints").exists():
        resumed = toy.command("--resume", folder)
        assert resumed.code == 0, resumed.err[-300:]
        assert weights_of(folder) == toy.reference, "other weights than the undisturbed run's"


def best_over_resumes(toy: Toy, quick: bool):
    """T3: scores drawn at random, stopped anywhere: the best model's score never falls."""
    from yolo.system.signals import Stopped
    from yolo.training import run_folder, trainer

    meter, chance, folder = Meter("T3 best over resumes"), random.Random(3), toy.work / "best"

    class Score:
        score_between = 0.5

        @property
        def map_all_point(self):
            return math.nan if chance.random() < 0.2 else chance.random()

    honest, highest = trainer.evaluate_voc, -1.0
    trainer.evaluate_voc = lambda *arguments: Score()
    try:
        for resume in range(2 if quick else 20):
            with meter.trial(str(resume)):
                try:
                    toy.train(folder, stop=StopAfter(chance.randint(1, 9)), epochs=40,
                              epochs_between_evaluations=1)  # fmt: skip
                except Stopped:
                    pass
                score, _ = run_folder.noted_score(folder / "best.keras")
                assert score >= highest, f"{score} after {highest}"
                highest = score
    finally:
        trainer.evaluate_voc = honest
    return meter.row()


def finished(toy: Toy, quick: bool):
    """T8: a finished run started again, by --resume and by its own command."""
    meter, folder = Meter("T8 finished run again"), toy.work / "finished"
    named = ("--save-dir", folder.parent, "--name", folder.name)
    toy.command(*named)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for arguments in [named] if quick else [named, ("--resume", folder)]:
        with meter.trial(arguments[0]):
            again = toy.command(*arguments)
            assert (again.code, again.err) == (0, ""), again.err[-300:]
            assert "this run is complete (2 epochs); nothing to do" in again.out
            assert "epoch 1/" not in again.out
            assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    return meter.row()

"""Good conduct: T10 order and variation, T11 the lock, T12 no room or place, T13 long runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.faults.full import mounts
from tests.faults.full.toy import ROOT, Meter, Toy, assert_one_line


def order(toy: Toy, quick: bool):
    """T10: epochs differ, runs of one seed do not, and a start anywhere sees the same."""
    from yolo.data import folder as dataset
    from yolo.data import pipeline
    from yolo.settings import train

    config = toy.config(toy.work / "order")
    samples = dataset.open_data(config).train

    def batches(epoch, batch, count):
        plan = pipeline.BatchPlan(2, train.augmentation(config), epochs=3, seed=config.seed)
        found = pipeline.training_dataset(samples, plan, image_size=(64, 64), start=(epoch, batch))
        return [image.numpy() for image, _ in found.take(count)]

    meter = Meter("T10 order and augmentation")
    whole = batches(0, 0, 12)
    with meter.trial("three epochs"):
        epochs = [np.concatenate(whole[i : i + 4]) for i in (0, 4, 8)]
        for i in range(3):
            assert (epochs[i] != epochs[i - 1]).any(), "an epoch is that of before"
    starts = [(0, 0), (1, 3)] if quick else [(e, b) for e in range(3) for b in range(4)]
    for epoch, batch in starts:
        with meter.trial(f"from {epoch}, {batch}"):
            rest = batches(epoch, batch, 12 - 4 * epoch - batch)
            assert all(
                (a == b).all() for a, b in zip(whole[4 * epoch + batch :], rest, strict=True)
            )
    return meter.row()


HOLDER = (
    "import sys, time\nfrom pathlib import Path\nfrom yolo.system.lock import lock\n"
    "with lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"
)


def two_runs(toy: Toy, quick: bool):
    """T11: a second training in a folder is refused; a killed one's lock is taken over."""
    meter, folder = Meter("T11 two runs in a folder"), toy.work / "locked"
    toy.train_until(folder, 2)
    from yolo.training import run_folder

    config = toy.config(folder)
    run_folder.describe(folder, config, ("circle",), {})
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, cwd=ROOT
    )
    holder.stdout.readline()
    try:
        with meter.trial("held"):
            assert_one_line(
                toy.command("--resume", folder), 2,
                f"another training is at work in this folder .process {holder.pid} on ",
            )  # fmt: skip
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with meter.trial("stale"):
        taken = toy.command("--resume", folder)
        assert taken.code == 0, taken.err[-300:]
        assert "left by a run that was killed" in taken.out
    return meter.row()


def no_place(toy: Toy, quick: bool):
    """T12: no folder, no GPU, no memory: one line, an exit code, and what may help."""
    import tensorflow as tf

    from yolo.data import folder as dataset
    from yolo.detector import Detector
    from yolo.errors import YoloError
    from yolo.training import run_folder

    meter, file = Meter("T12 no folder, GPU, memory"), toy.work / "file"
    file.touch()
    cases = [(["--save-dir", file, "--name", "a"], 2, "file.*cannot make the run's folder")]
    if not tf.config.list_physical_devices("GPU"):
        cases.append((["--gpus", "0", "--name", "b"], 2, "TensorFlow sees no GPU here"))
    cases.append((["--resume", toy.work / "gone"], 2, "holds no config.toml"))
    for arguments, code, words in cases[:1] if quick else cases:
        with meter.trial(words):
            assert_one_line(toy.command(*arguments), code, words)
    honest = Detector.compute_loss

    def too_much(self, *arguments, **options):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    Detector.compute_loss = too_much
    with meter.trial("memory"):
        try:
            toy.train(toy.work / "memory")
            message = ""
        except YoloError as error:
            message = str(error)
        finally:
            Detector.compute_loss = honest
        assert "out of memory" in message and "--batch-size 1" in message, message
    yield meter.row()
    if mounts.possible():
        start = toy.work / "unwritable"
        toy.train_until(start, 2)
        start_config = toy.config(start)
        run_folder.describe(start, start_config, dataset.open_data(start_config).classes, {})
        yield mounts.read_only(toy, start)


def long_run(toy: Toy, quick: bool):
    """T13: memory and open files of a run of many epochs stay where they were."""
    from tests.faults.full.toy import _resident
    from yolo.training.epoch_end import EpochEnd

    epochs = 12 if quick else 1000
    meter, seen = Meter(f"T13 many epochs ({epochs:,})"), []
    honest = EpochEnd.__call__

    def noting(self, *arguments):
        honest(self, *arguments)
        seen.append((_resident(), len(list(Path("/proc/self/fd").iterdir()))))

    EpochEnd.__call__ = noting
    try:
        with meter.trial():
            toy.train(toy.work / "long", epochs=epochs, batch_size=8,
                      epochs_between_evaluations=epochs // 3)  # fmt: skip
            early, late = seen[epochs // 2], seen[-1]
            assert len(seen) == epochs
            assert late[0] < 1.05 * early[0], f"{early[0]:.0f} to {late[0]:.0f} MB"
            assert late[1] <= early[1], f"{early[1]} to {late[1]} open files"
    finally:
        EpochEnd.__call__ = honest
    return meter.row()

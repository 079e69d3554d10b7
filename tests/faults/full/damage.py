"""Bad disks and bad numbers: T4 full, T5 damaged, T6 and T7 not finite, T9 changed."""

from __future__ import annotations

import math
import random
import resource
import shutil
import zipfile
from pathlib import Path

import numpy as np

from tests.faults.full import mounts
from tests.faults.full.mounts import contents
from tests.faults.full.toy import Meter, Toy, assert_one_line, weights_of


def full_disk(toy: Toy, quick: bool):
    """T4: writes fail from some byte of a file on; what was there stays, resuming works."""
    from yolo.data import folder as dataset
    from yolo.errors import YoloError
    from yolo.training import run_folder

    meter, start = Meter("T4 no room at a byte of a save"), toy.work / "room"
    toy.train_until(start, 5)  # in the second epoch; the first one's models are there
    size = max(path.stat().st_size for path in start.rglob("*"))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    count = 2 if quick else 10
    for number in range(count):
        folder = toy.copy_of(start)
        before = contents(folder)
        with meter.trial(f"{number}/{count}"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size * number // count, hard))
            try:
                toy.train(folder)
                failed = ""
            except YoloError as error:
                failed = str(error)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            assert "cannot be written (File too large)" in failed and "\n" not in failed, failed
            after = contents(folder)
            assert {name: after.get(name) for name in before} == before, "a good file changed"
            if not quick or number == count - 1:
                toy.train(folder)
                assert weights_of(folder) == toy.reference
    yield meter.row()
    config = toy.config(start)
    run_folder.describe(start, config, dataset.open_data(config).classes, {})
    if mounts.possible():
        yield mounts.full(toy, start, quick)
        return
    meter, folder = Meter("T4 the same, as a process"), toy.copy_of(start)
    before = contents(folder)
    with meter.trial():
        ended = toy.command(
            "--resume", folder,
            limits=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard)),
        )  # fmt: skip
        # 1 and one line; not 139, which HDF5 makes of a full disk
        assert_one_line(ended, 1, "cannot be written .File too large.")
        after = contents(folder)
        assert {name: after.get(name) for name in before} == before, "a good file changed"
    yield meter.row()


def damaged(toy: Toy, quick: bool):
    """T5: the newest checkpoint is damaged; the one before it is taken, or a clear error."""
    from yolo.training import checkpoint, run_folder

    meter, folder, chance = Meter("T5 damaged checkpoint"), toy.work / "damaged", random.Random(5)
    toy.train_until(folder, 5)
    old, new = (run_folder.checkpoint_path(folder, s) for s in run_folder.checkpoint_steps(folder))
    expected, arrays = checkpoint.newest(_only(folder, old))
    for number in range(40 if quick else 200):
        copy = toy.copy_of(folder)
        target = chance.choice(sorted((copy / new.relative_to(folder)).iterdir()))
        data = bytearray(target.read_bytes())
        kind = ("cut", "flip", "zeros", "gone", "swapped", "longer")[number % 6]
        place = chance.randrange(len(data))
        if kind == "flip":
            data[place] ^= 1 << chance.randrange(8)
        elif kind == "zeros":
            data[place:] = bytes(len(data) - place)
            data[-1] ^= 1  # a zip's end may be zeros already
        elif kind == "swapped":
            data = bytearray((copy / old.relative_to(folder) / target.name).read_bytes() + b" ")
        data = {"cut": data[:place], "longer": data + b"\0"}.get(kind, data)
        target.unlink() if kind == "gone" else target.write_bytes(data)
        with meter.trial(f"{kind} {target.name} at {place}"):
            state, found = checkpoint.newest(copy)
            assert state == expected, "the damaged one was loaded"
            assert all((found[name] == arrays[name]).all() for name in arrays)
        shutil.rmtree(copy)
    return meter.row()


def _only(folder: Path, checkpoint: Path) -> Path:
    """Return a copy of a run with one of its checkpoints."""
    target = folder.with_name("only")
    shutil.copytree(checkpoint, target / checkpoint.relative_to(folder))
    return target


def not_finite(toy: Toy, quick: bool):
    """T6: the run ends at that step, names step, pictures and part, and saves no such number."""
    from yolo.detector import Detector
    from yolo.errors import YoloError

    meter, honest = Meter("T6 loss or gradient not finite"), Detector.compute_loss

    def spoiled(kind, at):
        steps = []

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            steps.append(training)
            if sum(steps) == at and training:
                if kind == "label":
                    y = {**y, "boxes": y["boxes"] + math.nan}
                if kind == "output":
                    y_pred = {stride: raw * math.inf for stride, raw in y_pred.items()}
            loss = honest(self, x, y, y_pred, sample_weight, training)
            if sum(steps) == at and training and kind == "spike":
                loss = loss * math.inf
            return loss

        return compute_loss

    cases = [("label", 6), ("spike", 7), ("output", 2), ("rate", 0)]
    for kind, at in cases[:2] if quick else cases:
        folder = toy.work / f"nan-{kind}"
        Detector.compute_loss = spoiled(kind, at)
        with meter.trial(kind):
            try:
                rate = {"learning_rate": 10.0, "clip_norm": 0.0, "momentum": 0.9999}
                toy.train(folder, **(rate | {"epochs": 60} if kind == "rate" else {}))
                message = ""
            except YoloError as error:
                message = str(error)
            finally:
                Detector.compute_loss = honest
            assert "finite number" in message and "\n" not in message, message or "it went on"
            if at:
                assert f"in step {at} (" in message and ".jpg" in message, message
            bad = [str(path) for path in folder.rglob("*") if holds_non_finite(path)]
            assert not bad, f"not finite: {bad}"
    return meter.row()


def holds_non_finite(path: Path) -> bool:
    """Tell whether a file of a run, of any kind it writes, holds a number that is none."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return not all(np.isfinite(arrays[name]).all() for name in arrays.files)
    if path.suffix == ".keras":
        from yolo.weights import loading

        with zipfile.ZipFile(path) as archive:
            texts = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".json")]
        weights = loading.load(path).weights
        return any("NaN" in text or "Infinity" in text for text in texts) or not all(
            np.isfinite(weight.numpy()).all() for weight in weights
        )
    if path.suffix in (".csv", ".json"):
        text = path.read_text(encoding="utf-8").lower()
        return "nan" in text or "inf" in text
    return False


def first_score_nan(toy: Toy, quick: bool):
    """T7: the first measurement gives NaN; a later one still becomes the best."""
    from yolo.training import run_folder, trainer

    meter, folder, honest = (
        Meter("T7 first score NaN"),
        toy.work / "nan-score",
        trainer.evaluate_voc,
    )
    scores = iter([math.nan, 0.25, 0.125])

    class Score:
        score_between = 0.5

        @property
        def map_all_point(self):
            return next(scores)

    trainer.evaluate_voc = lambda *arguments: Score()
    try:
        with meter.trial():
            toy.train(folder, epochs_between_evaluations=1)
            assert run_folder.noted_score(folder / "best.keras") == (0.25, 2)
    finally:
        trainer.evaluate_voc = honest
    return meter.row()


def changed(toy: Toy, quick: bool):
    """T9: resumed with another setting, the run is refused and names it."""
    from yolo.errors import ConfigError

    meter, folder = Meter("T9 changed settings"), toy.work / "changed"
    toy.train_until(folder, 2)
    classes, anchors = toy.work / "classes.txt", toy.work / "anchors.txt"
    anchors.write_text("9,9, 20,20, 30,30, 40,40, 50,50, 60,60", encoding="utf-8")
    from yolo.data import folder as dataset

    names = dataset.open_data(toy.config(folder)).classes
    classes.write_text("\n".join([*names, "heptagon"]), encoding="utf-8")
    changes = {
        "classes": str(classes), "anchors": str(anchors), "batch_size": 4, "epochs": 5, "seed": 1,
        "image_size": (96, 64), "optimizer": "adam", "ema": 0.5, "mosaic": 0.0, "loss": "focal",
        "freeze_epochs": 1, "attention": "se", "accumulate": 1,
    }  # fmt: skip
    for name, value in list(changes.items())[: 3 if quick else None]:
        with meter.trial(name):
            try:
                toy.train(folder, **{name: value})
                message = ""
            except ConfigError as error:
                message = str(error)
            assert f"{name} is " in message and ", was " in message, message or "not refused"
    return meter.row()

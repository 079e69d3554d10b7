"""The check of a run's data: read by its settings, looked at on its network's scale."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from yolo.data import check, decoding, folder
from yolo.data.check import DataReport, lost_objects
from yolo.data.findings import Findings, faults
from yolo.data.folder import TrainingData
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.settings.train import TrainConfig
from yolo.training import fit_anchors

FIRST_PICTURES = 300  # of train, decoded before the first step; later ones when it is their turn
LOOK_SECONDS = 60.0


def read_and_check(
    config: TrainConfig,
    *,
    decode: bool = False,
    to_train: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[TrainingData | None, DataReport]:
    """Read the data of a run and report on it; what was repaired is logged, too.

    Args:
        config: the settings; with `strict`, repairs and warnings are errors in the report.
        decode: decode every picture; without it only headers and annotations are read.
        to_train: look for what a training at the picture's size of these settings cannot learn.
        on_progress: called with the pictures decoded and their number.

    Returns:
        The data, None if they cannot be used at all, and the report.

    Raises:
        ConfigError: the settings contradict each other.
    """
    source, notes = str(config.data or config.train_list), list[Findings]()
    try:
        opened = folder.open_run(config)
        notes = opened.notes
        data = folder.read_run(opened, config, keep_faults=True)
    except DatasetError as error:
        return None, check.failed(source, str(error), notes)
    for findings in notes:
        findings.log_repairs()
    if decode:
        notes.append(Findings(source))
        notes[-1].errors += opened.damaged()
    report = check.examine(
        source, splits_of(data, config), data.classes, notes,
        image_size=config.image_size, resize=config.resize,
        decode=functools.partial(decoding.decode_all, on_progress=on_progress) if decode else None,
    )  # fmt: skip
    if to_train:
        report = report.with_problems(lost_objects(config, data.train))
    report = report.with_anchors(fit_anchors.anchor_recall(config, data.train, data.classes))
    return data, report.strict() if config.strict else report


def decode_first(
    data: TrainingData, source: str, *, write: Callable, live: bool, seconds: float = LOOK_SECONDS
) -> None:
    """Decode what is measured on, and the first pictures to learn from, before the first step.

    That takes `seconds` at most; `source` names the pictures in messages.

    Raises:
        DatasetError: with the first 20 pictures that cannot be decoded, one a line.
    """
    from yolo.data.store import find_damaged  # which needs TensorFlow

    chosen = {s.path: s for s in [*data.val, *data.train[:FIRST_PICTURES], *data.test]}
    samples, shown = list(chosen.values()), time.monotonic()

    def on_progress(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > 0.1 and live:
            shown = time.monotonic()
            write(f"decoding pictures: {done} of {total}", end="\r")

    found, done = find_damaged(samples, seconds=seconds, on_progress=on_progress)
    if found:
        raise DatasetError(faults(source, list(found.values())))
    which = f"val, test and the first {FIRST_PICTURES} of train"
    if done < len(samples):
        write(f"decoded {done} of {len(samples)} pictures of {which} in {seconds:g} s: all right")


def splits_of(data: TrainingData, config: TrainConfig) -> dict[str, list[Sample]]:
    """Return the pictures by split, each list once though it may serve for two purposes."""
    splits = {config.train_split: data.train}
    for name, samples in ((data.test_name, data.test), (config.val_split, data.val)):
        if not any(samples is other for other in splits.values()):
            splits[name] = samples
    first = [config.train_split, config.val_split]
    return {name: splits[name] for name in [*first, *splits] if name in splits}


def accepted(data: TrainingData | None, report: DataReport) -> TrainingData:
    """Return the data that `read_and_check` gave, or stop where they have errors.

    Raises:
        DatasetError: with the first 20 errors, one a line.
    """
    errors = report.of("error")
    if len(errors) == 1 and not report.splits:
        raise DatasetError(errors[0].place)
    if errors or data is None:
        raise DatasetError(faults(report.source, [f"{error.place}" for error in errors]))
    return data

"""The results file: one line a run, appended as soon as the run is over."""

from __future__ import annotations

import contextlib
import csv
import os
import time
from pathlib import Path

from benchmarks.paper.arms import ARMS
from benchmarks.paper.plan import Run, Settings
from yolo.errors import ConfigError, DatasetError
from yolo.system.lock import lock

FOLDER = Path(__file__).resolve().parents[1] / "results"
PATH = FOLDER / "paper.csv"
COLUMNS = (
    "data_set", "arm", "seed", "steps", "image_size", "batch_size", "weights", "precision",
    "AP", "AP50", "AP75", "mAP50", "loss", "diverged_at", "seconds",
    "processor_seconds", "processor",
)  # fmt: skip
# What two runs must have in common to stand in one table.
SETTINGS = ("steps", "image_size", "batch_size", "weights")
LONGEST_WAIT = 60.0  # seconds; a row takes a few milliseconds


def read(path: Path = PATH) -> list[dict[str, str]]:
    """Return the rows of the results file, none where there is no file.

    A last line that an interruption cut short is left out.

    Raises:
        DatasetError: the file has other columns, or an arm that is unknown.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    reader = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise DatasetError(f"{path}: expected the columns {','.join(COLUMNS)}; move it away")
    rows = list(reader)
    for number, row in enumerate(rows, 2):
        if None in row.values() or row["arm"] not in ARMS:
            raise DatasetError(f"{path}: line {number} is damaged or of an unknown arm; delete it")
    return rows


def append(row: dict, path: Path = PATH) -> None:
    """Append one row and see it onto the disk; of several processes one after the other.

    Args:
        row: a value for each of `COLUMNS`.
        path: the file, made with its folder if it is missing.

    Raises:
        ConfigError: others have held the file for a minute, or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as alone:
        _wait_for_turn(alone, path.parent)
        if path.exists():
            whole = path.read_bytes().rfind(b"\n") + 1  # an interruption may have cut a line short
            os.truncate(path, whole)
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if not file.tell():
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())


def _wait_for_turn(stack: contextlib.ExitStack, folder: Path) -> None:
    end = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            stack.enter_context(lock(folder))
            return
        except ConfigError:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def key(settings: Settings) -> tuple[str, ...]:
    """Return a run's values of `SETTINGS`, as the file has them."""
    weights = Path(settings.weights).name if settings.weights else ""
    return tuple(
        str(value) for value in (settings.steps, settings.image_size, settings.batch_size, weights)
    )


def with_settings(rows, wanted: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of runs with these `SETTINGS`."""
    return [row for row in rows if tuple(row[name] for name in SETTINGS) == wanted]


def finished(rows) -> set[Run]:
    """Return the runs that rows stand for."""
    return {Run(row["data_set"], row["arm"], int(row["seed"])) for row in rows}

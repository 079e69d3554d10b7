"""The run folder `logs/<run>/`: what it holds, written so that a crash leaves the old file."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import shutil
import time
from pathlib import Path

from yolo.errors import ConfigError, YoloError
from yolo.files import write_text, write_with
from yolo.training.settings import TrainConfig, resolved
from yolo.training.toml import write_toml

COLUMNS = (
    "epoch", "loss", "location_loss", "confidence_loss", "class_loss", "val_loss", "mAP50",
    "learning_rate", "seconds",
)  # fmt: skip


def create(config: TrainConfig) -> Path:
    """Make the folder of a new run and return it.

    Raises:
        ConfigError: a run of this name exists already, or the folder cannot be made.
    """
    name = config.name or time.strftime("%Y-%m-%d_%H-%M-%S")
    folder = Path(config.save_dir) / name
    number = 2
    while folder.exists() and config.name is None:
        folder = Path(config.save_dir) / f"{name}_{number}"
        number += 1
    if folder.exists():
        way = (
            f"go on with it: --resume {folder}"
            if (folder / "last.keras").exists()
            else "remove it, no epoch was completed in it"
        )
        raise ConfigError(f"{folder}: a run of this name exists; choose another --name or {way}")
    try:
        (folder / "plots").mkdir(parents=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot make the run's folder ({error.strerror})") from error
    return folder


def discard(folder: Path) -> None:
    """Remove the folder of a run that failed before its first model was saved.

    What went wrong at the start must not stand in the way of the next attempt.
    """
    if not (folder / "last.keras").exists():
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # if it is empty


def describe(folder: Path, config: TrainConfig, classes, splits: dict[str, list[str]]) -> None:
    """Write `config.toml`, `classes.txt` and, where we divided the data, `splits/<name>.txt`."""
    write_text(folder / "config.toml", write_toml(resolved(config)))
    write_text(folder / "classes.txt", "\n".join(classes) + "\n")
    for name, stems in splits.items():
        (folder / "splits").mkdir(exist_ok=True)
        write_text(folder / "splits" / f"{name}.txt", "\n".join(stems) + "\n")


def note_command(folder: Path, command: str) -> None:
    """Add the command that starts or resumes a run to `command.txt`."""
    path = folder / "command.txt"
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write_text(path, f"{before}{command}\n")


def save_model(model, path: Path) -> None:
    """Save a Keras model whole or not at all; Keras itself truncates the old file first.

    Raises:
        YoloError: the disk is full or the folder cannot be written; the old file is intact.
    """
    write_with(path, model.save)


def append_results(path: Path, row: dict) -> None:
    """Append an epoch's row to `results.csv`, with a header when the file is new.

    `results.jsonl` beside it gets the same row with all that Keras logged, one object a line.
    """
    try:
        _write_rows(path, [row], "a" if path.exists() else "w")
        with path.with_suffix(".jsonl").open("a", encoding="utf-8") as file:
            file.write(_json_line(row))
    except OSError as error:
        raise YoloError(f"{path}: cannot write ({error.strerror})") from error


def cut_results(path: Path, epochs: int) -> None:
    """Drop the rows of epochs after `epochs`, which a resumed run does again."""
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["epoch"].isdecimal()]
        temporary = path.with_name(f".{path.name}.part")
        _write_rows(temporary, [row for row in rows if int(row["epoch"]) <= epochs], "w")
        temporary.replace(path)
        _cut_json_lines(path.with_suffix(".jsonl"), epochs)
    except OSError as error:
        raise YoloError(f"{path}: cannot write ({error.strerror})") from error
    except (KeyError, ValueError, csv.Error) as error:
        raise YoloError(
            f"{path}: not a table of results ({error!r}); move it away to go on"
        ) from error


def _json_line(row: dict) -> str:
    """Return a row as a line of JSON, which knows no nan and no infinity."""
    finite = {k: v if not isinstance(v, float) or math.isfinite(v) else None
              for k, v in row.items()}  # fmt: skip
    return json.dumps(finite) + "\n"


def _cut_json_lines(path: Path, epochs: int) -> None:
    """Keep the complete lines of epochs up to `epochs`."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            epoch = json.loads(line)["epoch"]
        except (ValueError, KeyError, TypeError):  # cut short by a crash
            continue
        if epoch <= epochs:
            kept.append(line + "\n")
    write_text(path, "".join(kept))


def _write_rows(path: Path, rows: list[dict], mode: str) -> None:
    with path.open(mode, encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
        if mode == "w":
            writer.writeheader()
        writer.writerows(rows)

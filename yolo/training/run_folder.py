"""The run folder `logs/<run>/`: what it holds, written so that a crash leaves the old file."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
import shutil
import time
import zipfile
from pathlib import Path

from yolo.errors import ConfigError, YoloError
from yolo.settings.toml import write_toml
from yolo.settings.train import TrainConfig, resolved
from yolo.system.reading import ZIP_DAMAGE
from yolo.system.writing import numbered, write_text

COMPLETE = "complete.json"
CHECKPOINTS = "checkpoints"
UNSAVED = "nothing-saved-yet"  # from a run's start to its first checkpoint
_ALONE = "nor is there anything else in the folder above\n"  # which was made for this run
# What there may be until then, the unfinished files of `yolo.system.writing` among it
_AT_THE_START = re.compile(
    rf"{UNSAVED}|run\.lock|config\.toml|check\.json|(classes|anchors|check|command|log)\.txt"
    rf"|plots|splits(/(train|val|test|trainval)\.txt)?|{CHECKPOINTS}"
    rf"|(splits/|{CHECKPOINTS}/)?\.[^/]+\.(\d+|old)\.part(\.[^./]*|/[^/]+)?"
)
COLUMNS = (
    "epoch", "loss", "location_loss", "confidence_loss", "class_loss", "val_loss", "mAP50",
    "COCO_AP",
    "learning_rate", "seconds",
)  # fmt: skip


def place(save_dir: str | Path, name: str) -> Path:
    """Return where the run of a name has its folder.

    Raises:
        ConfigError: the name leads out of `save_dir`, or is that folder itself.
    """
    parts = Path(name).parts
    if not parts or Path(name).anchor or ".." in parts:
        raise ConfigError(f"--name {name}: expected a name for a new folder in {save_dir}")
    return Path(save_dir) / name


def free_place(config: TrainConfig) -> Path:
    """Return where a new run will have its folder.

    Raises:
        ConfigError: a folder of this name exists already, or the name leads out of `save_dir`.
    """
    folder = place(config.save_dir, config.name or time.strftime("%Y-%m-%d_%H-%M-%S"))
    if config.name is None:
        return next(free for free in numbered(folder) if not free.exists())
    if folder.exists():
        raise ConfigError(_exists(folder))
    return folder


def create(config: TrainConfig) -> Path:
    """Make the folder of a new run and return it.

    Raises:
        ConfigError: a folder of this name exists already or cannot be made, or the name leads out
            of `save_dir`.
    """
    folder = free_place(config)
    alone = not folder.parent.exists()
    try:
        folder.mkdir(parents=True)
        (folder / UNSAVED).write_text(_ALONE if alone else "", encoding="utf-8")
        (folder / "plots").mkdir()
    except OSError as error:
        raise ConfigError(f"{folder}: cannot make the run's folder ({error.strerror})") from error
    return folder


def _exists(folder: Path) -> str:
    if checkpoint_steps(folder):
        return (
            f"{folder}: a run of this name exists; choose another --name or go on with it: "
            f"--resume {folder}"
        )
    if (folder / UNSAVED).exists():
        return (
            f"{folder}: a run of this name exists; choose another --name or remove it, nothing "
            "was saved in it"
        )
    return f"{folder}: exists already; choose another --name"


def is_unsaved(folder: Path) -> bool:
    """Tell whether a folder was made by `create`, and no checkpoint was saved in it since."""
    return (folder / UNSAVED).is_file()


def note_saved(folder: Path) -> None:
    """Note that something of a run was saved: from now on `discard` leaves its folder alone."""
    with contextlib.suppress(OSError):  # what was saved protects it, too
        if is_unsaved(folder):
            (folder / UNSAVED).unlink()


def discard(folder: Path) -> None:
    """Remove the folder of a run that failed before anything of it was saved.

    What went wrong at the start must not stand in the way of the next attempt. A folder that
    `create` did not make, or that holds anything besides what a run writes at its start, stays as
    it is.
    """
    if not is_unsaved(folder):
        return
    inside = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    if not all(_AT_THE_START.fullmatch(name) for name in inside):
        return
    alone = (folder / UNSAVED).read_text(encoding="utf-8") == _ALONE
    shutil.rmtree(folder, ignore_errors=True)
    if alone:
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # if it is empty


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the folder of the checkpoint that a run has, or will have, of a step."""
    return folder / CHECKPOINTS / f"step-{step:08d}"


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps of which a run has checkpoints, whole or not, in rising order."""
    try:
        names = [path.name for path in (folder / CHECKPOINTS).iterdir()]
    except OSError:
        return []
    return sorted(int(name[5:]) for name in names if re.fullmatch(r"step-\d{8,}", name))


def mark_complete(folder: Path, state) -> None:
    """Note that a run has come to its end."""
    found = {"epochs": state.epoch, "best_epoch": state.best_epoch, "best_map50": state.best_map50}
    write_text(folder / COMPLETE, json.dumps(found, allow_nan=False) + "\n")


def epochs_if_complete(folder: Path) -> int | None:
    """Return how many epochs a finished run has, None for one that is not finished.

    Raises:
        ConfigError: the note of its end cannot be read.
    """
    path = folder / COMPLETE
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["epochs"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path}: not the note of a finished run ({error}); remove it to go on"
        ) from error


def noted_score(best: Path) -> tuple[float, int]:
    """Return the score and the epoch that a `best.keras` was saved with, (-1, 0) if none."""
    try:
        with zipfile.ZipFile(best) as archive:
            notes = json.loads(archive.read("config.json"))["config"]["notes"]
        return float(notes["val_map50"]), int(notes["epoch"])
    except (*ZIP_DAMAGE, KeyError, TypeError):  # of the archive, or of what stands in it
        return -1.0, 0


def sweep(folder: Path) -> None:
    """Remove the unfinished files that a killed run left; whoever holds the lock may."""
    # As `yolo.system.writing` names them; a file of the user's may look a little like that.
    remains = re.compile(r"\..+\.(\d+|old)\.part(\.[^.]*)?")
    for path in sorted(folder.rglob(".*.part*"), reverse=True):
        if not remains.fullmatch(path.name):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


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
    # Others may have written in it; a line too odd to be kept is no reason not to train.
    before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    write_text(path, f"{before}{command}\n")


def append_results(path: Path, row: dict) -> None:
    """Add an epoch's row to `results.csv`; a figure that is not finite is left out.

    `results.jsonl` beside it gets the same row with all that Keras logged, one object a line.
    """
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
    _write_rows(path, [*read_results(path), finite])
    lines = path.with_suffix(".jsonl")
    before = lines.read_text(encoding="utf-8") if lines.exists() else ""
    write_text(lines, before + json.dumps(finite) + "\n")


def cut_results(path: Path, epochs: int) -> None:
    """Drop the rows of epochs after `epochs`, which a resumed run does again."""
    if path.exists():
        _write_rows(path, [row for row in read_results(path) if int(row["epoch"]) <= epochs])
    _cut_json_lines(path.with_suffix(".jsonl"), epochs)


def read_results(path: Path) -> list[dict[str, str]]:
    """Return the rows of `results.csv`, one an epoch; none where there is no such file."""
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [row for row in csv.DictReader(file) if row["epoch"].isdecimal()]
    except OSError as error:
        raise YoloError(f"{path}: cannot be read ({error.strerror})") from error
    except (KeyError, ValueError, AttributeError, csv.Error) as error:
        raise YoloError(
            f"{path}: not a table of results ({error!r}); move it away to go on"
        ) from error


def _cut_json_lines(path: Path, epochs: int) -> None:
    """Keep the complete lines of epochs up to `epochs`."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["epoch"] <= epochs:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):  # damaged
            continue
    write_text(path, "".join(kept))


def _write_rows(path: Path, rows: list[dict]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())

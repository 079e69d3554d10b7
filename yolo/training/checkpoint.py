"""Checkpoints: all that a run is at a batch, as one folder that is complete or not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from yolo.errors import YoloError
from yolo.system.reading import reason
from yolo.system.writing import write_folder
from yolo.training.run_folder import CHECKPOINTS, checkpoint_path, checkpoint_steps, note_saved

log = logging.getLogger("yolo")

KEPT = 2
_ARRAYS, _STATE, _SUMS = "arrays.npz", "state.json", "sha256sums.txt"


@dataclass
class State:
    """Where a run is and what it remembers besides its arrays.

    Args:
        epoch: the epoch it is in, from 0.
        batch: batches of it that are done; with all of them done, its end is still to come.
        step: batches done since the beginning.
        seconds: time spent in this epoch.
        best_map50: the best score so far, -1 before the first.
        best_epoch: the epoch of that score, from 1.
        without_better: measurements since.
        origin: what a resumed run must have in common with this one; see `origin.py`.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_map50: float = -1.0
    best_epoch: int = 0
    without_better: int = 0
    origin: dict = field(default_factory=dict)


def save(folder: Path, state: State, model) -> Path:
    """Write a checkpoint of a compiled model, and remove all but the one before it.

    Its folder, which is returned, is `checkpoints/step-<n>`. Of several processes all must call
    this, as numbers are gathered; the first one writes.

    Raises:
        YoloError: it cannot be written, or a number in it is not finite; older ones stand.
    """
    arrays: dict[str, Any] = arrays_of(model)
    path = checkpoint_path(folder, state.step)
    if not model.distribute_strategy.extended.should_checkpoint:
        return path
    text = json.dumps(asdict(state), indent=1, ensure_ascii=False, allow_nan=False)

    def fill(target: Path) -> None:
        _write_arrays(target / _ARRAYS, arrays)
        (target / _STATE).write_text(text + "\n", encoding="utf-8")
        (target / _SUMS).write_text(_sums(target), encoding="utf-8")

    write_folder(path, fill)
    note_saved(folder)
    prune(folder, newest=state.step, keep=KEPT)
    return path


def _write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays as `numpy.savez` does, whose archive stays open where a disk is full.

    The one that is left speaks up, as an exception that nobody can catch, whenever Python finds it.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def prune(folder: Path, *, newest: int, keep: int) -> None:
    """Remove all checkpoints but `keep` up to step `newest`.

    Those after `newest` were damaged, or the run would not have gone back before them.
    """
    kept = [step for step in checkpoint_steps(folder) if step <= newest][-keep:]
    whole = {checkpoint_path(folder, step) for step in kept}
    for path in (folder / CHECKPOINTS).glob("step-*"):
        if path not in whole:
            # Under a name that nobody reads: a kill in the middle leaves no half checkpoint.
            doomed = path.with_name(f".{path.name}.old.part")
            with contextlib.suppress(OSError):
                path.rename(doomed)
                shutil.rmtree(doomed)


def newest(folder: Path) -> tuple[State, dict[str, np.ndarray]] | None:
    """Return state and arrays of the newest checkpoint that is whole; say which are not.

    None where the run has no checkpoint at all.

    Raises:
        YoloError: there are some, and none is whole.
    """
    steps = checkpoint_steps(folder)
    for step in reversed(steps):
        path = checkpoint_path(folder, step)
        try:
            return _read(path)
        # Whatever was damaged no longer has its checksum, a ValueError; TypeError is a state with
        # other fields. A memory that is full is no damage: an older checkpoint would not fit, too.
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s: skipped, it is damaged (%s)", path, reason(error))
    if steps:
        raise YoloError(
            f"{folder / CHECKPOINTS}: none of the {len(steps)} checkpoints is whole; start a new "
            f"run, from the weights in {folder / 'last.keras'} if you like"
        )
    return None


def restore(model, arrays: dict[str, np.ndarray]) -> None:
    """Put a checkpoint's arrays into a compiled model whose optimizer is built.

    Raises:
        YoloError: they do not fit; the model is as it was.
    """
    variables = _variables(model)
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    if shapes != {name: array.shape for name, array in arrays.items()}:
        raise YoloError("the checkpoint is of another network or optimizer than these settings")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def restore_metrics(model, arrays: dict[str, np.ndarray]) -> None:
    """Put back the sums behind an epoch's figures, which Keras clears at its start."""
    for name, variable in _variables(model).items():
        if name.startswith("metric"):
            variable.assign(arrays[name])


def _variables(model) -> dict:
    """Name all variables of a compiled model by kind and place."""
    kinds = {
        "model": model.variables,  # weights and the states of random generators
        "optimizer": model.optimizer.variables,
        "metric": model.metrics_variables,
    }
    return {f"{kind}-{i:05d}": v for kind, found in kinds.items() for i, v in enumerate(found)}


def arrays_of(model) -> dict[str, np.ndarray]:
    """Return all that a checkpoint keeps of a compiled model, by the names that it has there.

    Raises:
        YoloError: a number is not finite.
    """
    arrays = {}
    for name, variable in _variables(model).items():
        array = arrays[name] = ops.convert_to_numpy(variable)
        refuse_non_finite(array, variable.path)
    return arrays


def refuse_non_finite(array: np.ndarray, name: str) -> None:
    """Refuse to save what holds a number that is none.

    Raises:
        YoloError: `array` holds NaN or infinity.
    """
    if not np.isfinite(array).all():
        raise YoloError(
            f"{name} is no longer a finite number; the files on the disk are from before. Usual "
            "cures: a lower --learning-rate, more --warmup-steps, --precision float32"
        )


def _read(path: Path) -> tuple[State, dict[str, np.ndarray]]:
    missing = [name for name in (_ARRAYS, _STATE, _SUMS) if not (path / name).is_file()]
    if missing:
        raise ValueError(f"without {', '.join(missing)}")
    if (path / _SUMS).read_bytes() != _sums(path).encode("utf-8"):
        raise ValueError(f"its files are not those of {_SUMS}")
    state = State(**json.loads((path / _STATE).read_text(encoding="utf-8")))
    with np.load(path / _ARRAYS, allow_pickle=False) as arrays:
        return state, {name: arrays[name] for name in arrays.files}


def _sums(path: Path) -> str:
    """Return the checksums as `sha256sum -c` reads them."""
    lines = []
    for name in (_ARRAYS, _STATE):
        with (path / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)

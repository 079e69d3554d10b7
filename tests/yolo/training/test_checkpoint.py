"""Checkpoints: whole or not there, checked, kept in number; and the lock of a run folder."""

import fcntl
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from yolo.errors import ConfigError, YoloError
from yolo.settings.train import TrainConfig
from yolo.system.lock import lock
from yolo.training import checkpoint, run_folder
from yolo.training.checkpoint import State

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def model():
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)])
    made.compile(keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True), "mse", metrics=["mae"])
    made.fit(np.ones((8, 3)), np.ones((8, 2)), verbose=0)
    return made


def values(model):
    found = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [variable.numpy().copy() for variable in found]


def test_everything_comes_back(tmp_path, model):
    state = State(epoch=2, batch=3, step=11, best_map50=0.1 + 0.2, best_epoch=1, without_better=1)
    checkpoint.save(tmp_path, state, model)
    before = values(model)
    model.fit(np.ones((8, 3)), np.zeros((8, 2)), verbose=0)
    found, arrays = checkpoint.newest(tmp_path)
    checkpoint.restore(model, arrays)
    assert found == state
    seeds = [v for v in model.variables if "seed" in v.path]
    assert seeds, "dropout's generator is part of it"
    for a, b in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_last_two_are_kept(tmp_path, model):
    for step in (1, 2, 3, 20_000_000_000):
        checkpoint.save(tmp_path, State(step=step), model)
    assert run_folder.checkpoint_steps(tmp_path) == [3, 20_000_000_000]
    checkpoint.save(tmp_path, State(step=5), model)  # the one after it was skipped as damaged
    assert run_folder.checkpoint_steps(tmp_path) == [3, 5]


def test_the_first_one_takes_away_the_mark_that_nothing_was_saved(tmp_path, model):
    folder = run_folder.create(TrainConfig(save_dir=str(tmp_path), name="a"))
    assert run_folder.is_unsaved(folder)
    checkpoint.save(folder, State(step=1), model)
    assert not run_folder.is_unsaved(folder)
    shutil.rmtree(folder / "checkpoints")  # for room on the disk
    run_folder.discard(folder)
    assert folder.exists()


def test_what_a_killed_run_left_unfinished_is_swept_away(tmp_path, model):
    checkpoint.save(tmp_path, State(step=1), model)
    before = sorted(tmp_path.rglob("*"))
    half = tmp_path / "checkpoints" / ".step-00000002.99.part"
    half.mkdir()
    for path in (half / "arrays.npz", tmp_path / ".best.99.part.keras"):
        path.write_bytes(b"half")
    run_folder.sweep(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_without_any(tmp_path):
    assert checkpoint.newest(tmp_path) is None
    (tmp_path / "checkpoints" / "notes").mkdir(parents=True)
    assert checkpoint.newest(tmp_path) is None


@pytest.mark.parametrize("name", ["arrays.npz", "state.json", "sha256sums.txt"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone", "longer"])
def test_a_damaged_one_is_skipped_and_said(tmp_path, model, caplog, name, damage):
    for step in (1, 2):
        checkpoint.save(tmp_path, State(step=step), model)
    path = tmp_path / "checkpoints" / "step-00000002" / name
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    data = {"cut": data[:-1], "empty": b"", "longer": data + b"\n"}.get(damage, data)
    path.unlink() if damage == "gone" else path.write_bytes(data)
    with caplog.at_level(logging.WARNING, "yolo"):
        state, _ = checkpoint.newest(tmp_path)
    assert state.step == 1
    assert "step-00000002: skipped, it is damaged" in caplog.text
    shutil.rmtree(tmp_path / "checkpoints" / "step-00000001")
    with pytest.raises(YoloError, match="none of the 1 checkpoints is whole"):
        checkpoint.newest(tmp_path)


def test_a_memory_that_is_full_is_no_damage(tmp_path, model, monkeypatch):
    for step in (1, 2):
        checkpoint.save(tmp_path, State(step=step), model)

    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(np, "load", full)
    with pytest.raises(MemoryError):  # the run would go on from step 1 otherwise
        checkpoint.newest(tmp_path)


def test_one_of_another_version_is_skipped_and_said(tmp_path, model, caplog):
    path = checkpoint.save(tmp_path, State(step=1), model)
    state = path / "state.json"
    state.write_text(state.read_text().replace('"epoch"', '"age"'))
    (path / "sha256sums.txt").write_text(checkpoint._sums(path))
    with caplog.at_level(logging.WARNING, "yolo"), pytest.raises(YoloError, match="start a new"):
        checkpoint.newest(tmp_path)
    assert "skipped" in caplog.text and "age" in caplog.text


def test_the_sums_are_those_that_sha256sum_checks(tmp_path, model):
    path = checkpoint.save(tmp_path, State(step=1), model)
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    subprocess.run(["sha256sum", "-c", "--strict", "sha256sums.txt"], cwd=path, check=True)


def test_a_number_that_is_none_is_never_saved(tmp_path, model):
    checkpoint.save(tmp_path, State(step=1), model)
    model.optimizer.variables[-1].assign(np.full(model.optimizer.variables[-1].shape, np.inf))
    with pytest.raises(YoloError, match="is no longer a finite number; the files on the disk"):
        checkpoint.save(tmp_path, State(step=2), model)
    assert run_folder.checkpoint_steps(tmp_path) == [1]


def test_arrays_of_another_network_change_nothing(tmp_path, model):
    checkpoint.save(tmp_path, State(step=1), model)
    _, arrays = checkpoint.newest(tmp_path)
    before = values(model)
    for other in ({**arrays, "model-00000": np.zeros((3, 3))}, dict(list(arrays.items())[1:])):
        with pytest.raises(YoloError, match="another network"):
            checkpoint.restore(model, other)
    for a, b in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------------------------- lock


def test_a_second_run_in_a_folder_is_refused_with_the_first_ones_name(tmp_path):
    with lock(tmp_path), pytest.raises(ConfigError) as caught, lock(tmp_path):
        pass
    assert f"another training is at work in this folder (process {os.getpid()} on " in str(
        caught.value
    )
    with lock(tmp_path):
        assert (tmp_path / "run.lock").exists()
    assert not (tmp_path / "run.lock").exists()


def test_the_lock_of_a_killed_run_is_taken_over_and_said(tmp_path, caplog):
    code = (
        "import os\nfrom pathlib import Path\nfrom yolo.system.lock import lock\n"
        f"with lock(Path({str(tmp_path)!r})): os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert done.returncode == 9 and (tmp_path / "run.lock").exists()
    with caplog.at_level(logging.WARNING, "yolo"), lock(tmp_path):
        pass
    assert "left by a run that was killed (process " in caplog.text


def test_a_lock_that_cannot_be_removed_while_it_is_open(tmp_path, monkeypatch, caplog):
    """As on Windows: it goes once it is closed, and never looks like that of a killed run."""
    real, closed, tries = os.close, [], []
    monkeypatch.setattr(os, "close", lambda file: (closed.append(file), real(file)))
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        tries.append(path.read_bytes())
        if not closed or stays:
            raise PermissionError(13, "it is open")
        unlink(path)

    monkeypatch.setattr(Path, "unlink", refuse)
    stays = False
    with lock(tmp_path):
        pass
    assert tries == [b"", b""] and not (tmp_path / "run.lock").exists()
    stays = True
    for _ in range(2):
        with lock(tmp_path):
            pass
    assert (tmp_path / "run.lock").exists() and caplog.text == ""


def test_a_lock_that_nobody_signed(tmp_path, caplog):
    (tmp_path / "run.lock").write_bytes(b"\xff")
    with lock(tmp_path):
        pass
    assert "an unknown process" in caplog.text
    with (tmp_path / "run.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="an unknown process"), lock(tmp_path):
            pass


def test_a_folder_that_cannot_hold_a_lock(tmp_path):
    with pytest.raises(ConfigError, match="run.lock: cannot be written"), lock(tmp_path / "gone"):
        pass

"""Best, last, patience and progress with a stand-in for the detector; no training."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from yolo.errors import YoloError
from yolo.training import callbacks
from yolo.training.callbacks import Checkpoints, Progress, StopOnNonFinite
from yolo.training.optimizer import make_optimizer
from yolo.training.settings import TrainConfig


class StandIn:
    """What the callbacks use of a detector, around two weights."""

    def __init__(self, ema=0.0):
        self.network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        self.trainable_variables = self.network.trainable_variables
        self.optimizer = make_optimizer(
            TrainConfig(ema=ema, momentum=0, weight_decay=0), 0.1, steps=100,
            variables=self.trainable_variables,
        )  # fmt: skip
        self.optimizer.build(self.trainable_variables)
        self.notes, self.stop_training, self.saved = {}, False, []

    def weight(self):
        return float(self.network.weights[0].numpy()[0, 0])

    def save(self, path):
        state = {"notes": self.notes, "weight": self.weight()}
        Path(path).write_text(json.dumps(state), encoding="utf-8")


def saved(path):
    return json.loads(path.read_text(encoding="utf-8"))


def checkpoints(folder, scores, *, every=1, patience=0, save_period=0, last=9, ema=0.0):
    model, shadow, lines = StandIn(ema), StandIn(), []
    scores = iter(scores)
    callback = Checkpoints(
        folder, shadow, lambda detector: next(scores), every=every, patience=patience,
        save_period=save_period, last_epoch=last, write=lines.append,
    )  # fmt: skip
    callback.set_model(model)
    return callback, model, lines


def epochs(callback, *numbers):
    """Run epochs counted from 1; in each, the weights become its number."""
    for number in numbers:
        callback.on_epoch_begin(number - 1)
        callback.model.network.weights[0].assign(np.full((2, 1), number, "float32"))
        callback.on_epoch_end(number - 1, {"loss": 1.0})
        if callback.model.stop_training:
            return number
    return numbers[-1]


def test_best_is_the_best_and_last_the_last(tmp_path):
    callback, model, lines = checkpoints(tmp_path, [0.5, 0.4, 0.7, 0.7])
    epochs(callback, 1, 2)
    assert saved(tmp_path / "best.keras")["weight"] == 1
    assert saved(tmp_path / "last.keras")["weight"] == 2
    epochs(callback, 3, 4)
    assert saved(tmp_path / "best.keras") == {
        "notes": {"epoch": 3, "val_map50": 0.7}, "weight": 3,
    }  # fmt: skip
    assert saved(tmp_path / "last.keras")["notes"] == {
        "best_map50": 0.7, "best_epoch": 3, "without_better": 1, "epoch": 4,
    }  # fmt: skip
    assert lines[0] == "  mAP50 0.5000  best so far, saved"
    assert lines[1] == "  mAP50 0.4000  (best 0.5000 in epoch 1)"


def test_a_resumed_run_does_not_overwrite_a_better_model(tmp_path):
    first, model, _ = checkpoints(tmp_path, [0.5])
    epochs(first, 1)
    second, resumed, _ = checkpoints(tmp_path, [0.4, 0.6])
    resumed.notes = model.notes
    epochs(second, 2)
    assert saved(tmp_path / "best.keras")["weight"] == 1
    epochs(second, 3)
    assert saved(tmp_path / "best.keras")["weight"] == 3


def test_a_score_of_zero_is_a_first_best(tmp_path):
    callback, *_ = checkpoints(tmp_path, [0.0])
    epochs(callback, 1)
    assert (tmp_path / "best.keras").exists()


@pytest.mark.parametrize("every, measured", [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (0, [5])])
def test_it_measures_every_so_many_epochs_and_after_the_last(tmp_path, every, measured):
    callback, *_ = checkpoints(tmp_path, [0.1, 0.2, 0.3, 0.4, 0.5], every=every, last=5)
    seen = []
    callback.measure = lambda detector: seen.append(round(detector.weight())) or 0.1
    epochs(callback, 1, 2, 3, 4, 5)
    assert seen == measured


def test_patience_counts_measurements_without_a_better_one(tmp_path):
    scores = [0.5, 0.4, 0.6, 0.6, 0.5, 0.9]
    callback, model, lines = checkpoints(tmp_path, scores, patience=2)
    assert epochs(callback, 1, 2, 3, 4, 5, 6) == 5
    assert saved(tmp_path / "last.keras")["notes"]["stopped"] is True
    assert saved(tmp_path / "best.keras")["weight"] == 3
    assert lines[-1] == "  no better mAP50 for 2 measurements: stopping"


def test_without_patience_it_goes_on(tmp_path):
    callback, model, _ = checkpoints(tmp_path, [0.9] + [0.1] * 8, patience=0)
    assert epochs(callback, *range(1, 10)) == 9


def test_save_period_keeps_models_by_epoch(tmp_path):
    callback, *_ = checkpoints(tmp_path, [0.1] * 5, save_period=2)
    epochs(callback, 1, 2, 3, 4, 5)
    kept = sorted(tmp_path.glob("epoch_*.keras"))
    assert [path.name for path in kept] == ["epoch_0002.keras", "epoch_0004.keras"]
    assert [saved(path)["weight"] for path in kept] == [2, 4]


def test_averaged_weights_are_measured_and_the_training_goes_on_with_its_own(tmp_path):
    callback, model, _ = checkpoints(tmp_path, [0.1], ema=0.1)
    model.optimizer._model_variables_moving_average[0].assign(np.full((2, 1), 0.25, "float32"))
    epochs(callback, 1)
    assert saved(tmp_path / "best.keras")["weight"] == 0.25
    assert saved(tmp_path / "last.keras")["weight"] == model.weight() == 1


def test_the_row_of_an_epoch_is_there_before_its_model(tmp_path, monkeypatch):
    """A row too many is dropped on resume; a missing one would be missing for good."""
    callback, model, _ = checkpoints(tmp_path, [0.1], every=0)
    monkeypatch.setattr(model, "save", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        epochs(callback, 1)
    assert len((tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()) == 2
    assert not (tmp_path / "last.keras").exists()


# ------------------------------------------------------------------------------ progress


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_names_its_part(bad):
    callback = StopOnNonFinite()
    callback.on_train_batch_end(0, {"loss": 1.0, "class_loss": 1.0})
    with pytest.raises(YoloError, match=r"step 3 of the epoch, in: class_loss\)"):
        callback.on_train_batch_end(2, {"loss": bad, "class_loss": bad, "location_loss": 1.0})
    with pytest.raises(YoloError, match="in: the sum"):
        callback.on_train_batch_end(2, {"loss": bad, "class_loss": 1.0})


def test_progress_lines(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    shown = []
    progress = Progress(
        lambda text, end="\n": shown.append((text, end)), live=True, steps=4, batch_size=8,
        last_epoch=3,
    )  # fmt: skip
    progress.set_model(StandIn())
    logs = {"loss": 2.0, "location_loss": 0.5, "val_loss": 3.0, "val_location_loss": 0.7}
    progress.on_epoch_begin(0)
    now[0] = 1.0
    progress.on_train_batch_end(1, {"loss": 2.0, "location_loss": 0.5})
    now[0] = 1.2
    progress.on_train_batch_end(2, {"loss": 2.0, "location_loss": 0.5})  # too soon to show
    now[0] = 2.0
    progress.on_epoch_end(0, logs)
    assert shown == [
        ("epoch 1/3  loss 2.0000 (location 0.5000)  rate 0.1  16 pictures/s  2/4  0:01, 0:05 left",
         "\r"),
        ("epoch 1/3  loss 2.0000 (location 0.5000)  rate 0.1  16 pictures/s  val 3.0000"
         "  0:02, 0:04 left", "\n"),
    ]  # fmt: skip


def test_progress_keeps_quiet_between_epochs_where_lines_stay():
    shown = []
    progress = Progress(lambda *a, **k: shown.append(a), live=False, steps=2, batch_size=1,
                        last_epoch=1)  # fmt: skip
    progress.set_model(StandIn())
    progress.on_epoch_begin(0)
    progress.on_train_batch_end(0, {"loss": 1.0})
    assert not shown
    progress.on_epoch_end(0, {"loss": 1.0})
    assert len(shown) == 1

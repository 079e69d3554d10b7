"""Best, last, patience and the table with a stand-in for the detector; no training."""

import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo.errors import YoloError
from yolo.settings.train import TrainConfig
from yolo.training import epoch_end, run_folder
from yolo.training.checkpoint import State
from yolo.training.epoch_end import EpochEnd
from yolo.training.optimizer import make_optimizer, use_averages


class StandIn:
    """What the end of an epoch uses of a detector, around two weights."""

    def __init__(self, ema=0.0):
        network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        self.variables = self.weights = network.variables
        self.trainable_variables = network.trainable_variables
        self.optimizer = make_optimizer(
            TrainConfig(ema=ema, momentum=0, weight_decay=0), 0.1, steps=100,
            variables=self.trainable_variables,
        )  # fmt: skip
        self.optimizer.build(self.trainable_variables)
        self.notes, self.stop_training = {}, False
        self.distribute_strategy = tf.distribute.get_strategy()

    def weight(self):
        return float(self.weights[0].numpy()[0, 0])

    def become(self, number):
        self.weights[0].assign(np.full((2, 1), number, "float32"))

    def save(self, path):
        state = {"config": {"notes": self.notes}, "weight": self.weight()}
        Path(path).write_text(json.dumps(state), encoding="utf-8")


@pytest.fixture(autouse=True)
def _scores_in_plain_files(monkeypatch):
    """Read the stand-in's notes as those of a `.keras` are read."""

    def noted(path):
        if not path.exists():
            return -1.0, 0
        notes = json.loads(path.read_text(encoding="utf-8"))["config"]["notes"]
        return notes["val_map50"], notes["epoch"]

    monkeypatch.setattr(epoch_end.run_folder, "noted_score", noted)


def saved(path):
    return json.loads(path.read_text(encoding="utf-8"))


def make(folder, scores, state=None, *, ema=0.0, every=1, **settings):
    settings = {"epochs": 9, "epochs_between_evaluations": every, **settings}
    model, lines, scores = StandIn(ema), [], iter(scores)
    end = EpochEnd(
        folder, state or State(), StandIn(), measure=lambda detector: {"mAP50": next(scores)},
        config=TrainConfig(**settings), write=lines.append,
    )  # fmt: skip
    return end, model, lines


def epochs(end, model, *numbers):
    """End epochs counted from 1; in each, the weights are its number."""
    for number in numbers:
        model.become(number)
        end(model, {"loss": 1.0})
        if end.stopped:
            assert model.stop_training
            return number
    return numbers[-1]


def test_best_is_the_best_and_last_the_last(tmp_path):
    end, model, lines = make(tmp_path, [0.5, 0.4, 0.7, 0.7], seed=5)
    epochs(end, model, 1, 2)
    assert saved(tmp_path / "best.keras")["weight"] == 1
    assert saved(tmp_path / "last.keras")["weight"] == 2
    epochs(end, model, 3, 4)
    best = saved(tmp_path / "best.keras")
    notes = {"epoch": 3, "val_map50": 0.7, "split_seed": 5}
    assert (best["weight"], best["config"]["notes"]) == (3, notes)
    assert saved(tmp_path / "last.keras")["config"]["notes"] == {"epoch": 4, "split_seed": 5}
    state = end.state
    assert (state.best_map50, state.best_epoch, state.without_better) == (0.7, 3, 1)
    assert (state.epoch, state.batch) == (4, 0)
    assert lines[0] == "  mAP50 0.5000  best so far, saved"
    assert lines[1] == "  mAP50 0.4000  (best 0.5000 in epoch 1)"


def test_best_never_worsens_over_twenty_resumes_from_wherever(tmp_path):
    """Runs go back to a random one of their last two states, and scores are random."""
    random, kept, highest, back = np.random.default_rng(5), [State()], -1.0, 0
    for _ in range(20):
        kept = kept[: len(kept) - int(random.integers(0, min(2, len(kept))))]
        state = State(**vars(kept[-1]))
        end, model, _ = make(tmp_path, random.random(99), state, epochs=99)
        for _ in range(int(random.integers(1, 5))):
            back += state.epoch + 1 < len(kept)
            epochs(end, model, state.epoch + 1)
            kept.append(State(**vars(state)))
            notes = saved(tmp_path / "best.keras")["config"]["notes"]
            assert notes["val_map50"] >= highest
            highest = notes["val_map50"]
            assert state.best_map50 == highest


def test_a_table_that_somebody_looks_at_gets_its_rows_later(tmp_path, monkeypatch, caplog):
    """As Excel on Windows, which lets nobody replace what it shows."""
    real, held = Path.replace, [False]

    def replace(path, target):
        if held[0] and Path(target).name == "results.csv":
            raise PermissionError(13, "The process cannot access the file")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    end, model, _ = make(tmp_path, [0.5, 0.6, 0.7, 0.8])

    def rows():
        lines = (tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()[1:]
        return [line.split(",")[0] for line in lines]

    epochs(end, model, 1)
    held[0] = True
    epochs(end, model, 2, 3)
    assert rows() == ["1"] and caplog.text.count("results.csv: cannot be written") == 2
    assert saved(tmp_path / "best.keras")["weight"] == 3, "all else is saved"
    held[0] = False
    epochs(end, model, 4)
    assert rows() == ["1", "2", "3", "4"]
    lines = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["mAP50"] for line in lines] == [0.5, 0.6, 0.7, 0.8]


def test_measured_again_after_a_crash_it_is_the_same_best(tmp_path):
    end, model, _ = make(tmp_path, [0.5])
    epochs(end, model, 1)
    again, model, lines = make(tmp_path, [0.5], State(without_better=3))
    epochs(again, model, 1)
    assert lines == ["  mAP50 0.5000  best so far, saved"] and again.state.without_better == 0


def test_a_first_score_that_is_no_number_does_not_poison_the_best(tmp_path):
    end, model, lines = make(tmp_path, [math.nan, 0.1, math.nan, 0.2])
    epochs(end, model, 1)
    assert not (tmp_path / "best.keras").exists() and "mAP50 nan" in lines[0]
    epochs(end, model, 2, 3, 4)
    assert saved(tmp_path / "best.keras")["weight"] == 4
    assert "nan" not in (tmp_path / "results.csv").read_text(encoding="utf-8")


def test_a_score_of_zero_is_a_first_best(tmp_path):
    end, model, _ = make(tmp_path, [0.0])
    epochs(end, model, 1)
    assert (tmp_path / "best.keras").exists()


@pytest.mark.parametrize("every, measured", [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (0, [5])])
def test_it_measures_every_so_many_epochs_and_after_the_last(tmp_path, every, measured):
    end, model, lines = make(tmp_path, [], every=every, epochs=5)
    seen = []
    end.measure = lambda detector: seen.append(round(detector.weight())) or {"mAP50": 0.1}
    epochs(end, model, 1, 2, 3, 4, 5)
    assert seen == measured


def test_the_validation_loss_is_shown_and_kept(tmp_path):
    end, model, lines = make(tmp_path, [0.5])
    end(model, {"loss": 1.0}, lambda: {"val_loss": 3.25, "val_class_loss": 0.5})
    assert lines == ["  mAP50 0.5000  val loss 3.2500  best so far, saved"]
    assert ",3.25,0.5," in (tmp_path / "results.csv").read_text(encoding="utf-8")


def test_patience_counts_measurements_without_a_better_one(tmp_path):
    scores = [0.5, 0.4, 0.6, 0.6, 0.5, 0.9]
    end, model, lines = make(tmp_path, scores, patience=2)
    assert epochs(end, model, 1, 2, 3, 4, 5, 6) == 5
    assert saved(tmp_path / "best.keras")["weight"] == 3
    assert lines[-1] == "  no better mAP50 for 2 measurements: stopping"
    end, model, _ = make(tmp_path / "b", [0.9] + [0.1] * 8, patience=0)
    assert epochs(end, model, *range(1, 10)) == 9


def test_save_period_keeps_models_by_epoch(tmp_path):
    end, model, _ = make(tmp_path, [0.1] * 5, save_period=2)
    epochs(end, model, 1, 2, 3, 4, 5)
    kept = sorted(tmp_path.glob("epoch_*.keras"))
    assert [path.name for path in kept] == ["epoch_0002.keras", "epoch_0004.keras"]
    assert [saved(path)["weight"] for path in kept] == [2, 4]


def test_averaged_weights_are_measured_and_the_training_goes_on_with_its_own(tmp_path):
    end, model, _ = make(tmp_path, [0.1], ema=0.1)
    model.optimizer._model_variables_moving_average[0].assign(np.full((2, 1), 0.25, "float32"))
    epochs(end, model, 1)
    assert saved(tmp_path / "best.keras")["weight"] == 0.25
    assert saved(tmp_path / "last.keras")["weight"] == model.weight() == 1
    use_averages(model)  # at the end of a phase
    assert model.weight() == 0.25


def test_the_losses_and_the_score_of_a_row_are_of_the_same_weights(tmp_path):
    end, model, _ = make(tmp_path, [], ema=0.1)
    model.optimizer._model_variables_moving_average[0].assign(np.full((2, 1), 0.25, "float32"))
    end.measure = lambda detector: {"mAP50": detector.weight()}
    model.become(1)
    end(model, {"loss": 1.0}, lambda: {"val_loss": model.weight()})
    (row,) = run_folder.read_results(tmp_path / "results.csv")
    assert float(row["val_loss"]) == float(row["mAP50"]) == 0.25
    assert saved(tmp_path / "last.keras")["weight"] == model.weight() == 1
    with pytest.raises(YoloError):  # a validation that ends early leaves the training's own, too
        end(model, {"loss": 1.0}, lambda: epoch_end.refuse_non_finite(np.array([np.nan]), "a"))
    assert model.weight() == 1


def test_weights_that_are_no_numbers_leave_the_files_as_they_are(tmp_path):
    end, model, _ = make(tmp_path, [0.1, 0.2])
    epochs(end, model, 1)
    with pytest.raises(YoloError, match="kernel is no longer a finite number"):
        epochs(end, model, math.nan)
    assert saved(tmp_path / "best.keras")["weight"] == saved(tmp_path / "last.keras")["weight"] == 1


def test_the_best_model_alone_notes_from_which_score_on_objects_count(tmp_path):
    end, model, lines = make(tmp_path, [])
    for threshold, score in ((0.35, 0.5), (0.2, 0.4)):
        found = {"mAP50": score, "COCO_AP": 0.25, "score_threshold": threshold}
        end.measure = lambda detector, found=found: found
        end(model, {"loss": 1.0})
    assert saved(tmp_path / "best.keras")["config"]["notes"]["score_threshold"] == 0.35
    assert "score_threshold" not in saved(tmp_path / "last.keras")["config"]["notes"]
    assert lines[0] == "  mAP50 0.5000  COCO AP 0.2500  best so far, saved"
    rows = run_folder.read_results(tmp_path / "results.csv")
    assert [row["COCO_AP"] for row in rows] == ["0.25", "0.25"]

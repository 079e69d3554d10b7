"""Whole runs of a few steps: interrupted and resumed, frozen, and ended by a loss that is none."""

import csv

import keras
import numpy as np
import pytest

from yolo import saved, zoo
from yolo.detector import Detector
from yolo.errors import WeightsError, YoloError
from yolo.training import dataset, trainer
from yolo.training.settings import TrainConfig

FROZEN_FIRST = {"freeze_epochs": 2, "freeze_batch_size": 2, "save_period": 1}


def results(folder):
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(small_run, tmp_path_factory):
    """Return the folder and the lines of a run that nothing interrupts."""
    return small_run(tmp_path_factory.mktemp("whole"), **FROZEN_FIRST)


@pytest.fixture(scope="module")
def pieces(small_run, tmp_path_factory):
    """Return the same of a run interrupted in the frozen phase and again in the free one."""
    save_dir = tmp_path_factory.mktemp("pieces")
    _, first = small_run(save_dir, interrupt_in=2, **FROZEN_FIRST)
    _, second = small_run(save_dir, interrupt_in=4, resume=True, **FROZEN_FIRST)
    folder, third = small_run(save_dir, resume=True, **FROZEN_FIRST)
    return folder, [first, second, third]


def test_a_run_leaves_what_it_says(whole):
    folder, lines = whole
    names = {path.name for path in folder.iterdir()}
    assert names >= {"best.keras", "last.keras", "results.csv"}
    assert {f"epoch_{n:04d}.keras" for n in (1, 2, 3, 4)} <= names
    assert not [name for name in names if "part" in name]
    assert [row["epoch"] for row in results(folder)] == ["1", "2", "3", "4"]
    assert [bool(row["mAP50"]) for row in results(folder)] == [False, True, False, True]
    assert "epochs 1 to 2: 4 steps of 2 pictures, backbone frozen" in lines
    assert "epochs 3 to 4: 2 steps of 4 pictures" in lines


def test_a_resumed_run_equals_an_uninterrupted_one(whole, pieces):
    (one, _), (two, lines) = whole, pieces
    assert [part[-1] for part in lines[:2]] == ["interrupted"] * 2
    for name in ("last.keras", "best.keras"):
        expected, found = (saved.load(folder / name) for folder in (one, two))
        assert found.notes == pytest.approx(expected.notes, abs=1e-6)
        for a, b in zip(expected.network.weights, found.network.weights, strict=True):
            np.testing.assert_allclose(b.numpy(), a.numpy(), atol=1e-6, err_msg=a.path)


def test_optimizer_and_schedule_go_on(whole, pieces):
    expected, found = (
        keras.models.load_model(folder / "last.keras") for folder in (whole[0], pieces[0])
    )
    # Two epochs of two steps: the free phase's optimizer started anew, once.
    assert int(found.optimizer.iterations) == int(expected.optimizer.iterations) == 4
    for a, b in zip(expected.optimizer.variables, found.optimizer.variables, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=1e-6, err_msg=a.path)


def test_results_have_each_epoch_once_with_the_same_figures(whole, pieces):
    for a, b in zip(results(whole[0]), results(pieces[0]), strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert (a[key] == b[key] == "") or float(a[key]) == pytest.approx(
                float(b[key]), abs=1e-5
            ), key


def test_frozen_layers_keep_weights_and_statistics_until_they_are_freed(whole):
    folder, _ = whole
    after = {n: saved.load(folder / f"epoch_{n:04d}.keras") for n in (1, 2, 4)}
    keras.utils.set_random_seed(TrainConfig.seed)  # fresh weights follow from it
    fresh = zoo.build("yolov4-tiny", classes=after[1].classes, image_size=(64, 64))

    def moved(number, part):
        pairs = zip(fresh.network.layers, after[number].network.layers, strict=True)
        return [
            weight.path
            for old, new in pairs
            if old.name.startswith(part)
            for weight, other in zip(old.weights, new.weights, strict=True)
            if (weight.numpy() != other.numpy()).any()
        ]

    everything = [w.path for w in fresh.network.weights if "backbone_" in w.path]
    assert len(everything) == 15 * 5
    assert moved(1, "backbone_") == moved(2, "backbone_") == []
    assert moved(4, "backbone_") == everything
    assert moved(1, "neck_") and moved(1, "head_")


def test_a_resume_between_the_phases_starts_from_the_averages_as_an_unbroken_run_does(
    small_run, whole, tmp_path
):
    folder, _ = small_run(tmp_path, interrupt_in=3, **FROZEN_FIRST)
    assert saved.load(folder / "last.keras").notes["epoch"] == 2
    small_run(tmp_path, resume=True, **FROZEN_FIRST)
    one, two = (saved.load(f / "last.keras") for f in (whole[0], folder))
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=1e-6, err_msg=a.path)


def test_stopping_while_it_measures_keeps_the_epoch(small_run, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    settings = {"epochs": 1, "epochs_between_evaluations": 1}
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "detect_samples", interrupted)
        folder, lines = small_run(tmp_path, **settings)
    assert lines[-1] == "interrupted" and [row["epoch"] for row in results(folder)] == ["1"]
    last = saved.load(folder / "last.keras")
    assert last.notes["epoch"] == 1 and not (folder / "best.keras").exists()
    # It was the last epoch: resuming finds nothing to train, and makes the best model of it.
    _, lines = small_run(tmp_path, resume=True, **settings)
    assert "this run is complete" in lines[-1]
    best = saved.load(folder / "best.keras")
    assert all(np.isfinite(weight.numpy()).all() for weight in best.weights)


def test_a_model_saved_while_frozen_has_the_optimizer_of_its_free_layers(small_run, tmp_path):
    folder, _ = small_run(tmp_path, interrupt_in=2, epochs=3, freeze_epochs=3, ema=0)
    model = keras.models.load_model(folder / "last.keras")
    free = [w.path for w in model.trainable_variables]
    assert free and not any("backbone_" in path for path in free)
    momenta = [v for v in model.optimizer.variables if "momentum" in v.path]
    assert [m.shape for m in momenta] == [v.shape for v in model.trainable_variables]
    assert sum(float(np.abs(m.numpy()).sum()) for m in momenta) > 0


def test_a_finished_run_says_so_and_changes_nothing(small_run, whole):
    folder, _ = whole
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.keras")}
    _, lines = small_run(folder.parent, resume=True, **FROZEN_FIRST)
    assert lines[-1] == f"{folder}: this run is complete (4 epochs); nothing to do"
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.keras")} == before
    assert len(results(folder)) == 4


def test_a_loss_that_is_no_number_ends_the_run_before_anything_is_saved(
    small_run, tmp_path, monkeypatch
):
    honest, steps = Detector.compute_loss, []

    def poisoned(self, *args, training=True, **kwargs):
        loss = honest(self, *args, training=training, **kwargs)
        if training:
            steps.append(1)
        return loss * float("nan") if len(steps) == 4 else loss

    monkeypatch.setattr(Detector, "compute_loss", poisoned)
    with pytest.raises(YoloError) as caught:
        small_run(tmp_path, epochs=3, epochs_between_evaluations=1)
    message = str(caught.value)
    assert "no longer a finite number (step 2 of the epoch" in message and "\n" not in message
    assert "--learning-rate" in message
    folder = tmp_path / "run"
    assert [row["epoch"] for row in results(folder)] == ["1"]
    for name in ("best.keras", "last.keras"):
        model = saved.load(folder / name)
        assert model.notes["epoch"] == 1
        assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


def test_resume_refuses_data_of_other_classes(small_run, whole, tmp_path):
    classes = tmp_path / "classes.txt"
    names = list(saved.load(whole[0] / "last.keras").classes)
    classes.write_text("\n".join([*names, "heptagon"]), encoding="utf-8")
    with pytest.raises(WeightsError, match="was trained for the classes .* has .*heptagon"):
        small_run(whole[0].parent, resume=True, classes=str(classes), **FROZEN_FIRST)


def test_mixed_float16_with_its_loss_scale_is_resumed(small_run, tmp_path):
    options = {"precision": "mixed_float16", "epochs": 2, "batch_size": 8,
               "epochs_between_evaluations": 0}  # fmt: skip
    small_run(tmp_path, interrupt_in=2, **options)
    folder, lines = small_run(tmp_path, resume=True, **options)
    assert "mixed_float16" in lines[0]
    model = keras.models.load_model(folder / "last.keras")
    assert model.notes["epoch"] == 2
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"


# ---------------------------------------------------------------------------------- data


def test_a_data_set_without_a_usable_val_list_is_measured_on_what_there_is(
    shapes, tmp_path, caplog
):
    lists = shapes / "ImageSets" / "Main"
    empty = tmp_path / "VOC2007"
    for part in ("Annotations", "JPEGImages"):
        (empty / part).mkdir(parents=True)
        for path in (shapes / part).iterdir():
            (empty / part / path.name).write_bytes(path.read_bytes())
    (empty / "ImageSets" / "Main").mkdir(parents=True)
    for name, text in (("train", (lists / "train.txt").read_text(encoding="utf-8")),
                       ("val", ""), ("test", "")):  # fmt: skip
        (empty / "ImageSets" / "Main" / f"{name}.txt").write_text(text, encoding="utf-8")
    data = dataset.open_data(TrainConfig(data=str(empty)))
    assert len(data.train) == len(data.val) == len(data.test) == 8
    assert "measuring on the training pictures instead" in caplog.text
    assert data.test_name == "val"


def test_test_stands_in_for_a_val_list_that_is_missing(shapes, tmp_path, caplog):
    copy = tmp_path / "VOC2007"
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (copy / part).mkdir(parents=True)
        for path in (shapes / part).iterdir():
            if path.stem not in ("val", "trainval"):
                (copy / part / path.name).write_bytes(path.read_bytes())
    data = dataset.open_data(TrainConfig(data=str(copy)))
    assert "has no list 'val'; measuring on 'test' instead" in caplog.text
    assert [s.image_id for s in data.val] == [s.image_id for s in data.test]
    assert not {s.image_id for s in data.train} & {s.image_id for s in data.val}

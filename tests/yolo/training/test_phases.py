"""Whole runs of a few steps: interrupted and resumed, frozen, and ended by a loss that is none."""

import csv
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.faults.full import small
from yolo import zoo
from yolo.data import folder as dataset
from yolo.data.pipeline import NOT_AUGMENTED, BatchPlan
from yolo.errors import ConfigError, YoloError
from yolo.models.yolov4 import network
from yolo.settings.train import TrainConfig
from yolo.training import checkpoint, trainer
from yolo.training.phases import Phase, Run, _errors_named, training_batches
from yolo.weights import loading

FROZEN_FIRST = {"freeze_epochs": 2, "freeze_batch_size": 2, "save_period": 1}


@pytest.fixture(scope="module", autouse=True)
def _small_network():
    """Let saved models be those of the small network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "build_network", small.build_network)
        yield


def test_pictures_are_read_by_as_many_threads_as_asked(shapes):
    samples = dataset.open_data(TrainConfig(data=str(shapes))).train
    plan = BatchPlan(4, NOT_AUGMENTED, epochs=1)
    for threads, expected in ((0, None), (3, 3)):
        batches = training_batches(TrainConfig(loader_threads=threads), samples, plan, (0, 0))
        assert batches.options().threading.private_threadpool_size == expected


def results(folder):
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(small_run, tmp_path_factory):
    """Return the folder and the lines of a run that nothing interrupts."""
    return small_run(tmp_path_factory.mktemp("whole"), **FROZEN_FIRST)


@pytest.fixture(scope="module")
def pieces(small_run, tmp_path_factory):
    """Return the same of a run killed or stopped in both phases, within epochs and between."""
    save_dir = tmp_path_factory.mktemp("pieces")
    lines = [small_run(save_dir, interrupt_in=2, **FROZEN_FIRST)[1]]  # loses all of epoch 2
    for stop_after in (3, 1, 1):  # the second one ends the frozen phase
        lines.append(small_run(save_dir, resume=True, stop_after=stop_after, **FROZEN_FIRST)[1])
    folder, last = small_run(save_dir, resume=True, **FROZEN_FIRST)
    return folder, [*lines, last]


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


def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(whole, pieces):
    (one, _), (two, lines) = whole, pieces
    assert [part[-1] for part in lines[:-1]] == ["interrupted"] * 4
    assert any("going on after step 3" in line for line in lines[2])
    for name in ("last.keras", "best.keras", "epoch_0002.keras", "epoch_0003.keras"):
        expected, found = (loading.load(folder / name) for folder in (one, two))
        assert found.notes == expected.notes
        for a, b in zip(expected.network.weights, found.network.weights, strict=True):
            np.testing.assert_array_equal(b.numpy(), a.numpy(), err_msg=a.path)


def test_optimizer_seeds_and_memory_go_on(whole, pieces):
    (one, expected), (two, found) = (checkpoint.newest(run[0]) for run in (whole, pieces))
    # Two epochs of two steps: the free phase's optimizer started anew, once.
    assert one.step == two.step == 12 and one.epoch == two.epoch == 3
    assert {**vars(one), "seconds": 0} == {**vars(two), "seconds": 0}
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_results_have_each_epoch_once_with_the_same_figures(whole, pieces):
    for a, b in zip(results(whole[0]), results(pieces[0]), strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert a[key] == b[key], key


def test_frozen_layers_keep_weights_and_statistics_until_they_are_freed(whole):
    folder, _ = whole
    after = {n: loading.load(folder / f"epoch_{n:04d}.keras") for n in (1, 2, 4)}
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
    assert len(everything) == 4 * 5
    assert moved(1, "backbone_") == moved(2, "backbone_") == []
    assert moved(4, "backbone_") == everything
    assert moved(1, "neck_") and moved(1, "head_")


@pytest.mark.long
def test_a_resume_between_the_phases_starts_from_the_averages_as_an_unbroken_run_does(
    small_run, whole, tmp_path
):
    folder, _ = small_run(tmp_path, interrupt_in=3, **FROZEN_FIRST)
    assert loading.load(folder / "last.keras").notes["epoch"] == 2
    small_run(tmp_path, resume=True, **FROZEN_FIRST)
    one, two = (loading.load(f / "last.keras") for f in (whole[0], folder))
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=1e-6, err_msg=a.path)


def test_stopping_while_it_measures_keeps_the_epoch(small_run, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    settings = {"epochs": 1, "epochs_between_evaluations": 1}
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "detect_samples", interrupted)
        folder, lines = small_run(tmp_path, **settings)
    assert lines[-1] == "interrupted" and not (folder / "best.keras").exists()
    state, _ = checkpoint.newest(folder)
    assert (state.epoch, state.batch) == (0, 2)
    # It was the last epoch: resuming only measures, and makes the best model of it.
    _, lines = small_run(tmp_path, resume=True, **settings)
    assert len(lines) == 3 and "mAP50" in lines[2]
    assert [row["epoch"] for row in results(folder)] == ["1"]
    assert loading.load(folder / "best.keras").notes["epoch"] == 1


def test_what_the_frozen_phase_saves_is_the_optimizer_of_its_free_layers(small_run, tmp_path):
    folder, _ = small_run(tmp_path, interrupt_in=2, epochs=3, freeze_epochs=3, ema=0, accumulate=2)
    _, arrays = checkpoint.newest(folder)
    model = loading.load(folder / "last.keras")
    free = [w for la in model.network.layers if not la.name.startswith("backbone_")
            for w in la.trainable_weights]  # fmt: skip
    sizes = sorted(tuple(w.shape) for w in free)
    kept = [a.shape for name, a in arrays.items() if name.startswith("optimizer") and a.ndim]
    assert sorted(kept) == sorted(sizes * 2)  # momenta and accumulated gradients


def test_a_finished_run_says_so_and_changes_nothing(small_run, whole):
    folder, _ = whole
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.keras")}
    _, lines = small_run(folder.parent, resume=True, **FROZEN_FIRST)
    assert lines[-1] == f"{folder}: this run is complete (4 epochs); nothing to do"
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.keras")} == before
    assert len(results(folder)) == 4


def test_resume_refuses_what_is_not_the_run_that_was_started(small_run, pieces, tmp_path):
    small_run(tmp_path, stop_after=1)
    classes = tmp_path / "classes.txt"
    names = ["circle", "heptagon"]
    classes.write_text("\n".join(names), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        small_run(tmp_path, resume=True, batch_size=2, seed=3, ema=0.5)
    message = str(caught.value)
    assert "batch_size is 2, was 4" in message and "seed is 3, was 11" in message
    assert "ema is 0.5, was 0.04" in message and "\n" not in message
    anchors = tmp_path / "anchors.txt"
    anchors.write_text("9,9, 20,20, 30,30, 40,40, 50,50, 60,60", encoding="utf-8")
    with pytest.raises(ConfigError, match="model's anchors is .*9.0, 9.0.*, was "):
        small_run(tmp_path, resume=True, anchors=str(anchors))
    # What does not change the training may change.
    small_run(tmp_path, resume=True, patience=3, epochs_between_evaluations=3, stop_after=1)


@pytest.mark.long
def test_mixed_float16_with_its_loss_scale_is_resumed(small_run, tmp_path):
    options = {"precision": "mixed_float16", "epochs": 2, "batch_size": 8,
               "epochs_between_evaluations": 0}  # fmt: skip
    small_run(tmp_path, interrupt_in=2, **options)
    folder, lines = small_run(tmp_path, resume=True, **options)
    assert "mixed_float16" in lines[0]
    assert loading.load(folder / "last.keras").notes["epoch"] == 2


# ---------------------------------------------------------------------------------- data


def test_a_list_beside_empty_ones_is_divided(shapes, tmp_path):
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
    assert (len(data.train), len(data.val), len(data.test)) == (6, 1, 1)
    assert data.test_name == "test"


@pytest.mark.parametrize("saved_before", [False, True])
def test_a_fault_that_passes_ends_in_a_line_that_says_how_to_go_on(shapes, tmp_path, saved_before):
    """As of a disk on the network: when the pictures are looked at again, all can be read."""
    data = dataset.open_data(TrainConfig(data=str(shapes)))
    at_work = Run(TrainConfig(), data, tmp_path, None, None, None, False, None)
    way = "the same command, nothing was saved yet$"
    if saved_before:
        (tmp_path / "checkpoints" / "step-00000001").mkdir(parents=True)
        way = f"--resume {tmp_path}$"
    gone = tf.data.Dataset.from_tensors(str(tmp_path / "gone.jpg")).map(tf.io.read_file)
    with pytest.raises(YoloError) as caught, _errors_named(at_work, Phase(0, 1, 4, False)):
        next(iter(gone))
    line = str(caught.value)
    assert line.startswith("TensorFlow could not go on (NotFoundError: ") and "\n" not in line
    assert "gone.jpg; No such file" in line and re.search(way, line)


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

"""The detector as a Keras model: compile, fit, evaluate, save, load, detect."""

import gzip
import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_focal
import yolo
from tests import children
from tests.faults.full import small
from tests.yolo.helpers import narrow, squares
from yolo.boxes.pairwise import pairwise_iou
from yolo.data.folder import open_folder
from yolo.errors import ConfigError
from yolo.evaluation.coco import evaluate_coco
from yolo.inference.predictor import detect_samples
from yolo.models.anchor_loss import NAMED_LOSSES
from yolo.models.yolov4.settings import YOLOv4Loss
from yolo.pictures.files import read_image
from yolo.settings.train import TrainConfig, loss_settings
from yolo.training import guard, trainer
from yolo.weights.loading import load


def _model(**options):
    keras.utils.set_random_seed(0)
    return yolo.build("yolov4-tiny", classes=["green", "red"], image_size=(64, 64), **options)


@pytest.fixture
def narrow_network():
    """Let networks have an eighth of their channels: what is tried does not depend on them."""
    with narrow():
        yield


def test_a_fitted_detector_finds_what_it_was_shown_and_survives_saving(tmp_path, narrow_network):
    images, truth = squares(2)
    data = tf.data.Dataset.from_tensor_slices((images, truth)).batch(2).repeat()
    model = _model()
    for layer in model.network.layers:  # let the averages forget the start
        if hasattr(layer, "norm"):
            layer.norm.momentum = 0.5
    model.compile(keras.optimizers.Adam(2e-3), loss=keras_focal.FocalLoss())
    history = model.fit(data, steps_per_epoch=50, epochs=2, shuffle=False, verbose=0).history
    assert set(history) == {"loss", "location_loss", "confidence_loss", "class_loss"}
    assert history["loss"][1] < history["loss"][0] / 2
    total = sum(history[part][1] for part in history if part != "loss")
    assert history["loss"][1] == pytest.approx(total, rel=1e-4)
    model.optimizer.learning_rate = 1e-5
    model.fit(data, steps_per_epoch=10, shuffle=False, verbose=0)

    found = model.detect(images, score_threshold=0.3)
    assert len(found) == 2
    for one, box, kind in zip(found, truth["boxes"][:, 0], truth["classes"][:, 0], strict=True):
        assert len(one) >= 1 and one.class_ids[0] == kind
        assert pairwise_iou(one.boxes_xyxy[:1], box[None])[0, 0] > 0.7

    scores = model.evaluate(data, steps=1, verbose=0, return_dict=True)
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
    assert again.classes == model.classes and again.image_size == (64, 64)
    assert again.loss_settings == model.loss_settings
    assert again.evaluate(data, steps=1, verbose=0, return_dict=True) == pytest.approx(scores)
    for a, b in zip(found, again.detect(images, score_threshold=0.3), strict=True):
        np.testing.assert_allclose(a.boxes_xyxy, b.boxes_xyxy, atol=1e-3)
    before = int(again.optimizer.iterations.numpy())
    again.run_eagerly = True  # for a single step quicker than to trace its graph
    again.fit(data, steps_per_epoch=1, shuffle=False, verbose=0)
    assert before == 110 and int(again.optimizer.iterations.numpy()) == 111


def test_batches_may_change_their_size_without_a_new_trace():
    batches = [squares(2, size) for size in (64, 96, 64, 32)]
    data = tf.data.Dataset.from_generator(
        lambda: batches,
        output_signature=(
            tf.TensorSpec((2, None, None, 3), tf.uint8),
            {
                "boxes": tf.TensorSpec((2, 3, 4), tf.float32),
                "classes": tf.TensorSpec((2, 3), tf.int32),
            },
        ),
    )
    model = _model()
    traces = []
    call = model.network.call

    def counted(*args, **kwargs):
        traces.append(1)
        return call(*args, **kwargs)

    model.network.call = counted
    model.compile("sgd", loss="focal")
    model.fit(data, epochs=1, shuffle=False, verbose=0)
    after_one = len(traces)
    history = model.fit(data, epochs=2, shuffle=False, verbose=0).history
    assert len(traces) == after_one > 0
    assert np.isfinite(history["loss"]).all()


def test_batches_padded_to_their_own_longest_list_are_fitted():
    images, truth = squares(4)
    lists = [(i, {"boxes": b[c >= 0], "classes": c[c >= 0]}) for i, b, c in zip(
        images, truth["boxes"], truth["classes"], strict=True)]  # fmt: skip
    lists[2] = (images[2], {"boxes": np.zeros((0, 4)), "classes": np.zeros(0)})
    lists[3] = lists[2]  # the second batch has no object at all
    data = tf.data.Dataset.from_generator(
        lambda: lists,
        output_signature=(
            tf.TensorSpec((64, 64, 3), tf.uint8),
            {
                "boxes": tf.TensorSpec((None, 4), tf.float32),
                "classes": tf.TensorSpec((None,), tf.int32),
            },
        ),
    ).padded_batch(
        2,
        padding_values=(
            tf.constant(0, tf.uint8),
            {"boxes": tf.constant(0.0), "classes": tf.constant(-1)},
        ),
    )
    model = _model()
    model.compile("sgd", loss="focal")
    first = model.evaluate(data.take(1), verbose=0, return_dict=True)
    padded = {name: value[:2] for name, value in truth.items()}
    plain = tf.data.Dataset.from_tensors((images[:2], padded))
    assert first == pytest.approx(model.evaluate(plain, verbose=0, return_dict=True), rel=1e-5)
    assert np.isfinite(model.fit(data, shuffle=False, verbose=0).history["loss"]).all()


def test_keras_and_yolo_load_a_detector_in_a_fresh_process(tmp_path):
    _model().save(tmp_path / "m.keras")
    for program in (
        "import keras, yolo; model = keras.models.load_model('m.keras')",
        "import yolo; model = yolo.load('m.keras')",
    ):
        run = children.run(
            [sys.executable, "-c", f"{program}; print(*model.classes)"], cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )  # fmt: skip
        assert run.stdout == "green red\n", run.stderr[-1000:]


def test_how_a_model_was_compiled_survives_saving(tmp_path):
    """In float16 Keras would scale the loss a second time, and lose the optimizer's state."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = _model()
        optimizer = guard.GuardedSGD(0.01, dynamic_scale=True)
        model.compile(
            optimizer, auto_scale_loss=False, jit_compile=False, run_eagerly=True,
            steps_per_execution=3,
        )  # fmt: skip
        optimizer.build(model.trainable_variables)
        optimizer.iterations.assign(7)
        optimizer.scale.assign(64.0)
        model.save(tmp_path / "m.keras")
        again = keras.models.load_model(tmp_path / "m.keras")
    finally:
        keras.config.set_dtype_policy(before)
    assert type(again.optimizer) is guard.GuardedSGD
    assert int(again.optimizer.iterations.numpy()) == 7
    assert float(again.optimizer.scale.numpy()) == 64.0
    assert (again.jit_compile, again.run_eagerly, again.steps_per_execution) == (False, True, 3)
    assert again.get_compile_config() == model.get_compile_config()


def test_model_that_was_never_compiled_is_saved_too(tmp_path):
    model = _model(resize="stretch", attention="se")
    model.notes = {"epoch": 3, "best": 0.5}
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert (again.resize, again.notes) == ("stretch", {"epoch": 3, "best": 0.5})
    assert again.architecture == model.architecture
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_compile_takes_losses_by_name_and_settings():
    model = _model()
    model.compile("sgd", loss="focal")
    assert model.loss_settings.confidence_normalizer == "positives"
    model.compile("sgd")
    assert model.loss_settings == YOLOv4Loss()
    model.compile("sgd", loss_settings=YOLOv4Loss(location_weight=3.0))
    assert model.loss_settings.location_weight == 3.0
    with pytest.raises(ValueError, match="loss must be"):
        model.compile("sgd", loss="nonsense")


@pytest.mark.parametrize("name", ["yolov4-tiny", "retinanet-r18"])
def test_compile_without_a_loss_takes_the_one_of_train_py(name):
    model = yolo.build(name, classes=["a"], image_size=(64, 64))
    model.compile("sgd")
    config = TrainConfig(model=name)
    loss = model.get_compile_config()["loss"]
    if name == "yolov4-tiny":
        assert (config.loss, loss["class_name"]) == ("cross-entropy", "BinaryCrossentropy")
    else:
        assert (config.loss, loss["class_name"]) == ("focal", "FocalLoss")
        assert (loss["config"]["alpha"], loss["config"]["gamma"]) == (0.25, 2.0)
    assert model.loss_settings == loss_settings(config)


@pytest.mark.parametrize("name", NAMED_LOSSES)
@pytest.mark.parametrize("options", [None, "gamma=0"])
def test_compile_weighs_a_loss_as_train_py_does(name, options, monkeypatch):
    monkeypatch.setattr("yolo.models.yolov4.network.build_network", small.build_network)
    config = TrainConfig(loss=name, loss_options=options)
    try:
        loss = trainer.make_loss(config)
    except ConfigError:  # which has no gamma, or none of 0
        assert options
        return
    model = _model()
    model.compile("sgd", loss=loss)
    assert model.loss_settings == loss_settings(config)


def test_sample_weight_is_refused():
    model = _model()
    model.compile("sgd")
    images, truth = squares(2)
    with pytest.raises(ValueError, match="sample_weight"):
        model.compute_loss(images, truth, model(images), sample_weight=np.ones(2))


def test_losses_that_layers_add_are_kept():
    model = _model()
    model.compile("sgd")
    images, truth = squares(2)
    plain = float(model.compute_loss(images, truth, model(images)))
    kernel = model.network.get_layer("backbone_conv_000").convolution
    kernel.kernel.regularizer = keras.regularizers.L2(0.5)
    extra = 0.5 * float(np.sum(kernel.get_weights()[0] ** 2))
    assert float(model.compute_loss(images, truth, model(images))) == pytest.approx(
        plain + extra, rel=1e-4
    )


@pytest.mark.long
def test_two_replicas_take_the_step_of_one(two_replicas):
    """The normalisers are those of the whole batch, however it is shared out."""
    lines = two_replicas("yolov4-tiny", 0.1, "focal", "cross-entropy")
    assert [loss for loss, _, _ in lines] == ["focal", "cross-entropy"]
    for _, weights, logs in lines:
        assert float(weights) < 1e-5 and float(logs) < 1e-4


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("yolov5", {}, "yolov4, yolov4-tiny"),
        ("yolov4", {"depth": 3}, "depth"),
        ("yolov4", {"masks": "coco"}, "for yolov4-tiny"),
        ("yolov4-tiny", {"masks": "mine"}, "coco, custom"),
    ],
)
def test_build_explains_what_it_cannot_build(name, options, message):
    with pytest.raises(ConfigError, match=message):
        yolo.build(name, classes=["a"], **options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"classes": []}, "at least one class"),
        ({"classes": 91}, r"a list of names, such as \['cat', 'dog'\]. Received: 91"),
        ({"classes": "cat"}, "a list of names.* Received: 'cat'"),
        ({"classes": ["cat", "dog", "cat"]}, "twice. Received twice: cat"),
        ({"image_size": (64, 64, 3)}, "multiples of 32"),
        ({"image_size": (100, 64)}, "multiples of 32"),
        ({"image_size": (None, None)}, "multiples of 32"),
        ({"image_size": (64.5, 64)}, "multiples of 32"),
        ({"image_size": "64x64"}, "multiples of 32"),
        ({"resize": "crop"}, "crop"),
    ],
)
def test_detector_refuses_impossible_settings(options, message):
    with pytest.raises(ValueError, match=message):
        yolo.build("yolov4-tiny", **{"classes": ["a"], **options})


def test_one_number_is_a_square():
    built = [yolo.build("yolov4-tiny", classes=["a"], image_size=side).image_size
             for side in (64, np.int64(64), (64, 64))]  # fmt: skip
    assert built == [(64, 64)] * 3


@pytest.fixture(scope="module")
def coco_run(shared):
    """Return model, samples and what the genuine COCO weights find in 128 pictures."""
    model = load(shared / "weights" / "yolov4_tiny_coco" / "yolov4-tiny.weights")
    folder = shared / "data" / "coco_val2017_lightly128"
    samples = open_folder(folder).read("val2017", classes=model.classes)
    found = detect_samples(model, samples, max_detections=10_000, clip=False)
    return model, samples, found


@pytest.mark.long
def test_coco_average_precision_of_the_genuine_weights(coco_run):
    model, samples, found = coco_run
    scores = evaluate_coco(found, samples, model.classes)
    assert scores["AP"] == pytest.approx(0.2592, abs=0.0005)
    assert scores["AP50"] == pytest.approx(0.4906, abs=0.0005)
    cut = [one.clipped(sample.size) for one, sample in zip(found, samples, strict=True)]
    assert evaluate_coco(cut, samples, model.classes)["AP"] == pytest.approx(0.2630, abs=0.0005)


@pytest.mark.long
def test_detections_of_the_genuine_weights_equal_opencvs(coco_run, shared):
    _, samples, found = coco_run
    path = shared / "oracles" / "opencv_yolov4_tiny"
    path /= "coco_val2017_lightly128.detections.json.gz"
    reference = json.loads(gzip.decompress(path.read_bytes()))
    with (
        shared / "data" / "coco_val2017_lightly128" / "annotations" / "instances_val2017.json"
    ).open(encoding="utf-8") as file:
        categories = json.load(file)["categories"]
    index = {category["id"]: i for i, category in enumerate(categories)}  # Darknet's order
    by_picture = {str(sample.image_id): one for sample, one in zip(samples, found, strict=True)}
    total = matched = 0
    for entry in reference:
        if entry["score"] < 0.05:
            continue
        total += 1
        ours = by_picture[str(entry["image_id"])]
        ours = ours[ours.class_ids == index[entry["category_id"]]]
        ours = ours[np.abs(ours.scores - entry["score"]) <= 0.005]
        x, y, w, h = entry["bbox"]
        matched += (pairwise_iou(ours.boxes_xyxy, [[x, y, x + w, y + h]]) >= 0.99).any()
    assert total > 1000 and matched / total >= 0.995, f"{matched} of {total}"


def test_one_picture_at_its_own_size_equals_the_evaluation_path(coco_run):
    model, samples, found = coco_run
    picture = read_image(samples[0].path)
    ours = model.detect(picture, score_threshold=0.05, clip=False)[0]
    theirs = found[0][found[0].scores > 0.05]
    assert len(ours) == len(theirs) > 5
    np.testing.assert_allclose(ours.boxes_xyxy, theirs.boxes_xyxy, atol=1e-2)

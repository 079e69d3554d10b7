"""RetinaNet as a Keras model: fitted, saved, loaded, resumed, on one device or two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_focal
import yolo
from tests.yolo.helpers import narrow, squares
from yolo.boxes.pairwise import pairwise_iou
from yolo.models.retinanet import network
from yolo.models.retinanet.settings import RetinaNetLoss


@pytest.fixture(autouse=True)
def _narrow_and_shallow(monkeypatch):
    """Let the network be small: what is tried does not depend on its size."""
    monkeypatch.setattr(network, "SUBNET_DEPTH", 1)
    with narrow(4):
        yield


def _model(**options):
    keras.utils.set_random_seed(0)
    return yolo.build(
        "retinanet-csp-tiny", classes=["green", "red"], image_size=(64, 64), **options
    )


@pytest.mark.long
def test_a_fitted_retinanet_finds_what_it_was_shown_and_survives_saving(tmp_path):
    images, truth = squares(2, rows=2, sides=(26, 40))
    data = tf.data.Dataset.from_tensor_slices((images, truth)).batch(2).repeat()
    model = _model(channels=64)
    for layer in model.network.layers:  # let the averages forget the start
        if hasattr(layer, "norm"):
            layer.norm.momentum = 0.5
    model.compile(keras.optimizers.Adam(5e-4, clipnorm=1.0), loss=keras_focal.FocalLoss())
    history = model.fit(data, steps_per_epoch=50, epochs=3, shuffle=False, verbose=0).history
    assert set(history) == {"loss", "location_loss", "class_loss"}
    assert history["loss"][-1] < history["loss"][0] / 4
    model.optimizer.learning_rate = 1e-5
    model.fit(data, steps_per_epoch=10, shuffle=False, verbose=0)
    found = model.detect(images, score_threshold=0.3)
    for one, box, kind in zip(found, truth["boxes"][:, 0], truth["classes"][:, 0], strict=True):
        assert len(one) >= 1 and one.class_ids[0] == kind
        assert pairwise_iou(one.boxes_xyxy[:1], box[None])[0, 0] > 0.7

    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
    assert again.architecture == model.architecture
    assert again.loss_settings == model.loss_settings == RetinaNetLoss()
    for a, b in zip(found, again.detect(images, score_threshold=0.3), strict=True):
        np.testing.assert_allclose(a.boxes_xyxy, b.boxes_xyxy, atol=1e-3)
    before = int(again.optimizer.iterations.numpy())
    again.run_eagerly = True  # for a single step quicker than to trace its graph
    again.fit(data, steps_per_epoch=1, shuffle=False, verbose=0)
    assert before == 160 and int(again.optimizer.iterations.numpy()) == 161


def test_the_running_number_of_positives_is_part_of_the_model(tmp_path):
    images, truth = squares(2, rows=2, sides=(26, 40))
    model = _model(normalizer="average")
    model.compile("sgd", loss="focal")
    assert float(model.loss_state.mean) == 100.0
    model.evaluate(images, truth, verbose=0)
    assert float(model.loss_state.mean) == 100.0
    model.train_on_batch(images, truth)
    moved = float(model.loss_state.mean)
    assert 90.0 < moved < 100.0
    model.save(tmp_path / "model.keras")
    for load in (keras.models.load_model, yolo.load):
        again = load(tmp_path / "model.keras")
        assert float(again.loss_state.mean) == moved
        assert again.loss_state.mean.path not in {v.path for v in again.trainable_variables}


@pytest.mark.long
def test_two_replicas_take_the_step_of_one(two_replicas):
    """N_pos, and its running mean, are those of the whole batch, however it is shared out."""
    profiles = ("average", "paper", "torchvision-v1")
    # The first is trained as a graph: the one with a variable that all replicas read.
    lines = two_replicas("retinanet-csp-tiny", 0.1, *profiles)
    assert [name for name, _, _ in lines] == list(profiles)
    for _, weights, logs in lines:
        assert float(weights) < 1e-5 and float(logs) < 1e-4

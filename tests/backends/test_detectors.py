"""One training step and one detection of every kind of detector on Keras's other backends."""

import keras
import numpy as np
import pytest

import keras_focal
import yolo
from yolo.models.backbones import csp_darknet
from yolo.training import guard

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="the other tests are TensorFlow's"
)

MODELS = {
    "yolov4-tiny": {},
    "yolov4": {},
    "retinanet-csp-tiny": {},
    "retinanet-r18": {"profile": "torchvision-v2"},
}


def data():
    """Return two pictures, one of them without an object."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 64, 96, 3), np.uint8)
    boxes = np.zeros((2, 3, 4), "float32")
    boxes[0, :2] = [[8, 10, 44, 50], [30, 5, 90, 60]]
    classes = np.array([[0, 1, -1], [-1, -1, -1]], "int32")
    return images, {"boxes": boxes, "classes": classes}


@pytest.mark.parametrize("name", MODELS)
def test_a_step_and_a_detection(name, monkeypatch):
    """YOLOv4 has one residual block a stage, all of the same kind: it is compiled sooner."""
    shallow = [(channels, 1) for channels, _ in csp_darknet.CSP_DARKNET_53_STAGES]
    monkeypatch.setattr(csp_darknet, "CSP_DARKNET_53_STAGES", shallow)
    keras.utils.set_random_seed(0)
    images, truth = data()
    model = yolo.build(name, classes=["a", "b"], image_size=(64, 96), **MODELS[name])
    model.compile(keras.optimizers.SGD(1e-3), loss=keras_focal.FocalLoss())
    before = [keras.ops.convert_to_numpy(w).copy() for w in model.trainable_weights]
    history = model.fit(images, truth, batch_size=2, epochs=2, shuffle=False, verbose=0).history
    assert all(np.isfinite(history["loss"])) and history["loss"][1] != history["loss"][0]
    after = [keras.ops.convert_to_numpy(w) for w in model.trainable_weights]
    changed = [not np.array_equal(a, b) for a, b in zip(after, before, strict=True)]
    assert np.mean(changed) > 0.9
    (first, _) = model.detect(images, score_threshold=0.0, max_detections=7)
    assert len(first) == 7 and np.isfinite(first.boxes_xyxy).all()


@pytest.mark.parametrize("name", ["yolov4-tiny", "retinanet-csp-tiny"])
def test_loss_and_gradient_do_not_depend_on_the_backend(name):
    """The numbers were printed by TensorFlow 2.21 (`python tests/backends/test_detectors.py`)."""
    assert figures(name) == pytest.approx(EXPECTED[name], rel=1e-3)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the trainer's guard is JAX's")
def test_a_step_that_is_not_finite_leaves_weights_and_statistics():
    images, truth = data()
    model = yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 96))
    model.compile(guard.GuardedSGD(1e-3, momentum=0.9))

    def step(boxes):
        before = [keras.ops.convert_to_numpy(v).copy() for v in model.weights]
        # past the door, which refuses such boxes
        keras.Model.fit(model, images, {**truth, "boxes": boxes}, batch_size=2, verbose=0)
        after = [keras.ops.convert_to_numpy(v) for v in model.weights]
        return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]

    assert np.mean(step(truth["boxes"])) > 0.9
    assert not any(step(truth["boxes"] * np.nan))
    assert np.mean(step(truth["boxes"])) > 0.9
    assert int(keras.ops.convert_to_numpy(model.optimizer.refused)) == 1


def figures(name):
    """Return the loss parts of a network whose weights follow from a formula."""
    images, truth = data()
    model = yolo.build(name, classes=["a", "b"], image_size=(64, 96))
    for index, weight in enumerate(model.network.weights):
        count = int(np.prod(weight.shape))
        wave = np.sin(np.arange(count) * 0.7 + index).reshape(weight.shape)
        fan_in = max(1, int(np.prod(weight.shape[:-1])))
        if weight.name == "kernel":
            weight.assign(wave * (2.0 / fan_in) ** 0.5)
        elif weight.name == "bias":
            weight.assign(wave - 4.0)
    model.compile("sgd", loss="focal")
    model.compute_loss(images, truth, model.network(images))
    return [float(tracker.result()) for tracker in model.part_trackers]


EXPECTED = {
    "yolov4-tiny": [1.1424312591552734, 3.3346948623657227, 1.8575682640075684],
    "retinanet-csp-tiny": [15.644230842590332, 3.2986812591552734],
}

if __name__ == "__main__":
    print({name: figures(name) for name in ("yolov4-tiny", "retinanet-csp-tiny")})  # noqa: T201

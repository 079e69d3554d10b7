"""Two training steps and one detection of every kind of detector on Keras's other backends."""

import keras
import numpy as np
import pytest

import keras_focal
import yolo
from tests.faults.full import small
from tests.yolo.helpers import narrow
from yolo.models.backbones import csp_darknet, resnet
from yolo.models.retinanet import network
from yolo.training import guard

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="the other tests are TensorFlow's"
)

# One residual block a stage, one convolution before an output, and few channels: more are of the
# same kinds, and take JAX minutes.
STAGES = [(channels, 1) for channels, _ in csp_darknet.CSP_DARKNET_53_STAGES]
MODELS = {
    "yolov4-tiny": {},
    "yolov4": {},
    "retinanet-csp-tiny": {},
    "retinanet-r18": {"profile": "torchvision-v2", "channels": 64},
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
def test_two_steps_and_a_detection(name, monkeypatch):
    """The losses were printed by TensorFlow 2.21 (`python -m tests.backends.test_detectors`)."""
    monkeypatch.setattr(csp_darknet, "CSP_DARKNET_53_STAGES", STAGES)
    monkeypatch.setattr(network, "SUBNET_DEPTH", 1)
    monkeypatch.setitem(resnet.RESNET_STAGES, "resnet-18", ((1, 1, 1, 1), False))
    model, history, changed = two_steps(name)
    for part, expected in EXPECTED.get(name, {}).items():  # the second step's follow from gradients
        assert history[part] == pytest.approx(expected, rel=1e-3), part
    assert all(np.isfinite(history["loss"])) and history["loss"][1] != history["loss"][0]
    assert np.mean(changed) > 0.9
    (first, _) = model.detect(data()[0], score_threshold=0.0, max_detections=1000)
    assert len(first) > 7 and np.isfinite(first.boxes_xyxy).all()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the trainer's guard is JAX's")
def test_a_step_that_is_not_finite_leaves_weights_and_statistics(monkeypatch):
    monkeypatch.setattr("yolo.models.yolov4.network.build_network", small.build_network)
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


def two_steps(name):
    """Return a model after two steps from NumPy's random weights, what was logged, what moved.

    Not from weights of a formula: they make sums that cancel, and a batch norm of twelve numbers
    turns the rounding of one backend into gradients a fifth apart.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    images, truth = data()
    with narrow():
        model = yolo.build(name, classes=["a", "b"], image_size=(64, 96), **MODELS[name])
    for weight in model.network.weights if name in EXPECTED else ():
        fan_in = max(1, int(np.prod(weight.shape[:-1])))
        if weight.name == "kernel":
            weight.assign(rng.normal(0.0, (2.0 / fan_in) ** 0.5, weight.shape))
        elif weight.name == "bias":
            weight.assign(rng.normal(0.0, 1.0, weight.shape))
    model.compile(keras.optimizers.SGD(1e-3), loss=keras_focal.FocalLoss())
    before = [keras.ops.convert_to_numpy(w).copy() for w in model.trainable_weights]
    history = model.fit(images, truth, batch_size=2, epochs=2, shuffle=False, verbose=0).history
    after = [keras.ops.convert_to_numpy(w) for w in model.trainable_weights]
    changed = [not np.array_equal(a, b) for a, b in zip(after, before, strict=True)]
    return model, history, changed


EXPECTED = {
    "yolov4-tiny": {
        "location_loss": [0.9462382793426514, 0.9559031128883362],
        "confidence_loss": [37.04576873779297, 30.268611907958984],
        "class_loss": [0.874060332775116, 0.7069162130355835],
    },
    "retinanet-csp-tiny": {
        "location_loss": [5.267594337463379, 4.961330890655518],
        "class_loss": [19.10720443725586, 15.918188095092773],
    },
}

if __name__ == "__main__":
    network.SUBNET_DEPTH = 1
    for kind in EXPECTED:
        print(kind, two_steps(kind)[1])  # noqa: T201

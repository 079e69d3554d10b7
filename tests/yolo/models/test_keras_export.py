"""Keras's and TensorFlow's own ways out of a detector work, or say what does."""

import numpy as np
import pytest
import tensorflow as tf

import yolo


@pytest.fixture(scope="module")
def detector():
    return yolo.build("yolov4-tiny", classes=["cat", "dog"], image_size=(64, 64))


def test_what_keras_exports_computes_what_predict_raw_does(detector, tmp_path):
    """Four seconds, as Keras traces the network once more and TensorFlow reads it back."""
    detector.export(tmp_path / "saved", verbose=False)
    images = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3)).astype("float32")
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    found = loaded.serve(images)
    expected = detector.predict_raw(images)
    for name in ("boxes", "scores"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "way, words",
    [
        (lambda d, path: tf.saved_model.save(d, path), r"write detector.export\(folder\)"),
        (lambda d, path: d.network.export(path), r"write detector.export\(folder\)"),
        (lambda d, path: d.inference_model().save(path + ".keras"), r"detector.save\(path\)"),
    ],
)
def test_what_cannot_be_written_says_what_can(detector, tmp_path, way, words):
    with pytest.raises(ValueError, match=words):
        way(detector, str(tmp_path / "out"))

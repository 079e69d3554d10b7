"""Prediction by constants computes what the variables do, and sees every change of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import yolo
from tests.yolo.helpers import squares

IMAGES = np.random.default_rng(0).integers(0, 255, (2, 64, 96, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 96))


def by_variables(model, images):
    """Return what Keras's own prediction makes of images."""
    return model.inference_model().predict_on_batch(images)


def assert_sees(model, images=IMAGES):
    """Assert that the answer is that of the weights as they are."""
    found, wanted = model.predict_raw(images), by_variables(model, images)
    np.testing.assert_allclose(found["scores"], wanted["scores"], atol=1e-5)
    np.testing.assert_allclose(found["boxes"], wanted["boxes"], rtol=1e-4, atol=1e-2)


def test_numbers_are_those_of_the_variables_at_any_size_and_kind(model):
    for images in (IMAGES, IMAGES[:1], IMAGES[:, :, :64], IMAGES.astype("float64")):
        assert_sees(model, images)
    assert len(model._frozen()._graphs) == 2  # of bytes, and of floats


def one_element(kernel):
    numbers = kernel.numpy()
    numbers[0, 0, 0, 0] += 50
    kernel.assign(numbers)


def in_a_graph(kernel):
    tf.function(lambda: kernel.value.assign_sub(tf.ones_like(kernel.value)))()


def at_a_row(kernel):
    kernel.value.scatter_nd_update([[0, 0, 0]], [np.full(kernel.shape[-1], 9.0, "float32")])


@pytest.mark.parametrize("change", [one_element, in_a_graph, at_a_row])
def test_a_change_is_seen_however_it_was_made(model, change):
    before = model.predict_raw(IMAGES)["scores"]
    kernel = next(v for v in model.network.trainable_variables if len(v.shape) == 4)
    change(kernel)
    after = model.predict_raw(IMAGES)["scores"]
    assert np.abs(after - before).max() > 0
    assert_sees(model)


def test_steps_of_training_are_seen_and_make_no_graph_each(model):
    images, targets = squares(count=2)
    model.compile(keras.optimizers.SGD(0.1))
    for _ in range(3):
        model.train_on_batch(images, targets)
        assert_sees(model, images)
    with model.learning():
        model.fit(images, targets, verbose=0)
        assert_sees(model, images)
    assert_sees(model, images)


@pytest.mark.parametrize("policy", ["bfloat16", "float16"])
def test_weights_of_half_precision_predict_again_and_again(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = yolo.build("yolov4-tiny", classes=["a"], image_size=(64, 64))
        first, again = (half.predict_raw(IMAGES[:, :, :64]) for _ in range(2))
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_array_equal(first["scores"], again["scores"])

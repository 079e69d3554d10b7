"""Probabilities that rounding has made 0 or 1, and the logits from which a graph made them."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_focal as kf

tensorflow_alone = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="concerns TensorFlow's graphs alone"
)


def slope_in_a_graph(head, z):
    """Return d sum(head(z)) / dz, traced as Keras traces a training step."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, *z.shape[1:]))])
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = head(x)
        return tape.gradient(value, x)

    return slope(z).numpy()


@tensorflow_alone
@pytest.mark.parametrize(
    "pass_on",
    [
        lambda p: ops.reshape(p, (-1,)),
        lambda p: ops.expand_dims(p, -1),
        lambda p: ops.squeeze(ops.reshape(p, (-1, 2, 1)), -1),
        lambda p: ops.reshape(ops.cast(p, "float16"), (-1, 1)),
    ],
    ids=["reshape", "expand_dims", "squeeze", "cast"],
)
def test_a_saturated_sigmoid_is_alive_behind_a_change_of_shape(pass_on):
    z = np.array([[60.0, -60.0], [0.5, 20.0]], "float32")
    y = np.array([[0, 1], [1, 0]], "float32")

    def head(x):
        labels = ops.reshape(y, ops.shape(pass_on(x)))
        return kf.FocalLoss(reduction="sum")(labels, pass_on(ops.sigmoid(x)))

    expected = slope_in_a_graph(lambda x: kf.FocalLoss(from_logits=True, reduction="sum")(y, x), z)
    np.testing.assert_allclose(slope_in_a_graph(head, z), expected, rtol=1e-6)
    assert (np.abs(expected) > 0.01).all()


@tensorflow_alone
def test_a_saturated_softmax_is_alive_where_its_classes_stay_together():
    z = np.array([[-120.0, 0.0], [3.0, 1.0]], "float32")
    loss = kf.SparseCategoricalFocalLoss(reduction="sum")
    expected = slope_in_a_graph(
        lambda x: kf.SparseCategoricalFocalLoss(from_logits=True, reduction="sum")([0, 1], x), z
    )
    together = slope_in_a_graph(
        lambda x: loss([[0], [1]], ops.reshape(ops.softmax(x), (-1, 1, 2))), z
    )
    np.testing.assert_allclose(together, expected, rtol=1e-6)


@tensorflow_alone
def test_a_softmax_over_other_classes_is_not_taken_for_one_over_these():
    z = np.array([[3.0, 1.0], [0.5, 1.5]], "float32")
    loss = kf.SparseCategoricalFocalLoss(reduction="sum")

    def head(x, read):
        p = ops.softmax(x)  # over two classes, read as half the probabilities of four
        return loss([3], read(ops.reshape(p, (-1, 4))))

    found = slope_in_a_graph(lambda x: head(x, lambda p: p), z)
    # a product leaves no trace of the softmax
    expected = slope_in_a_graph(lambda x: head(x, lambda p: 0.5 * p), z)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@tensorflow_alone
def test_whole_numbers_are_not_taken_for_their_sigmoid():
    z = np.array([[0.4, -0.3]], "float32")

    def loss(x):
        rounded = ops.cast(ops.cast(ops.sigmoid(x), "int32"), "float32")  # both 0
        return kf.FocalLoss(reduction="sum")(np.ones((1, 2)), rounded) + 0.0 * ops.sum(x)

    assert (slope_in_a_graph(loss, z) == 0).all()


@tensorflow_alone
@pytest.mark.parametrize("behind", [[], [keras.layers.Reshape((1, 1))]], ids=["alone", "reshape"])
def test_a_step_of_training_moves_a_saturated_head(behind):
    dense = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), dense, *behind])
    model.compile(keras.optimizers.SGD(0.01), loss=kf.FocalLoss())
    model.fit(np.full((1, 1), 20.0), np.zeros((1, *(1 for _ in behind), 1)), verbose=0)
    kernel = float(ops.convert_to_numpy(dense.kernel)[0, 0])
    assert kernel == pytest.approx(1 - 0.01 * 20 * 0.75, rel=1e-5)

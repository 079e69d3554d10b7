"""Integer classes against dense labels: the same losses and gradients, in less memory."""

import keras
import numpy as np
import pytest
from gradients import value_and_grad
from keras import ops

from keras_focal import _sparse
from keras_focal.functional import sigmoid_focal_loss, sparse_sigmoid_focal_loss

RNG = np.random.default_rng(5)
PER_CLASS = (0.1, 0.25, 0.5, 0.75)


def cases(shape=(3, 40, 4), scale=3.0, share=0.3):
    logits = RNG.normal(-1.0, scale, shape).astype("float32")
    ids = np.where(RNG.random(shape[:-1]) < share, RNG.integers(0, shape[-1], shape[:-1]), -1)
    return ids.astype("int32"), logits


def dense(ids, logits, **options):
    labels = (ids[..., None] == np.arange(logits.shape[-1])).astype("float32")
    return ops.sum(sigmoid_focal_loss(labels, logits, **options), axis=-1)


def close(found, expected):
    np.testing.assert_allclose(
        ops.convert_to_numpy(found), ops.convert_to_numpy(expected), rtol=1e-5, atol=1e-12
    )


@pytest.fixture(params=[2**20, 60])
def blocks(request, monkeypatch):
    """Take everything in one block, and in many of a few rows."""
    monkeypatch.setattr(_sparse, "BLOCK", request.param)


@pytest.mark.parametrize("alpha", [None, 0.25, 0.0, 1.0, PER_CLASS])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.5])
def test_losses_and_gradients_are_those_of_dense_labels(alpha, gamma, blocks):
    ids, logits = cases()
    weights = RNG.random(ids.shape).astype("float32")  # of the upstream gradient
    options = {"alpha": alpha, "gamma": gamma}
    close(sparse_sigmoid_focal_loss(ids, logits, **options), dense(ids, logits, **options))
    found, expected = (
        value_and_grad(lambda z, f=f: ops.sum(ops.multiply(weights, f(ids, z, **options))), logits)[
            1
        ]
        for f in (sparse_sigmoid_focal_loss, dense)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("far", [81.0, 100.0, 1e4, -1e4])
def test_logits_far_out_are_exact_and_spare_their_neighbours(far, blocks):
    ids, logits = cases(scale=1.0)
    logits[1, 7, 2] = logits[2, 3, 1] = far
    ids[2, 3] = 1
    close(sparse_sigmoid_focal_loss(ids, logits), dense(ids, logits))
    found, expected = (
        value_and_grad(lambda z, f=f: ops.sum(f(ids, z)), logits)[1]
        for f in (sparse_sigmoid_focal_loss, dense)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_hand_computed():
    # Background at logit 0: 0.75 * 0.25 * log 2; an object there: 0.25 * 0.25 * log 2.
    loss = ops.convert_to_numpy(sparse_sigmoid_focal_loss(np.array([-1, 1]), np.zeros((2, 2))))
    np.testing.assert_allclose(loss, np.log(2) / 16 * np.array([6, 4]), rtol=1e-6)


def test_nothing_in_nothing_out():
    assert sparse_sigmoid_focal_loss(np.zeros((2, 0), int), np.zeros((2, 0, 3))).shape == (2, 0)


def test_a_class_that_is_none_gives_no_silent_number():
    loss = ops.convert_to_numpy(sparse_sigmoid_focal_loss(np.array([0, 3]), np.zeros((2, 3))))
    assert np.isfinite(loss[0]) and np.isnan(loss[1])


def test_labels_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="class_ids: expected integers, received float32"):
        sparse_sigmoid_focal_loss(np.zeros(2, "float32"), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"received \(3,\)"):
        sparse_sigmoid_focal_loss(np.zeros(3, int), np.zeros((2, 3)))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="graphs are TensorFlow's")
def test_shapes_that_a_graph_does_not_know():
    import tensorflow as tf

    ids, logits = cases((2, 300, 4))
    compiled = tf.function(
        sparse_sigmoid_focal_loss,
        input_signature=[tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None, 4))],
    )
    close(compiled(ids, logits), dense(ids, logits))
    close(compiled(ids[:, :3], logits[:, :3]), dense(ids[:, :3], logits[:, :3]))

"""The building blocks equal their definitions, whatever kernel computes them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo.models.layers import (
    BatchNormalization,
    ChannelSplit,
    ConvNorm,
    for_other_machines,
    leaky,
    mish,
    spatial_pyramid_pooling,
)
from yolo.system import processor


def _norm_pair():
    rng = np.random.default_rng(3)
    ours = BatchNormalization(epsilon=1e-5, momentum=0.9)
    theirs = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9)
    weights = [rng.normal(1, 0.2, 6), rng.normal(0, 1, 6), np.zeros(6), np.ones(6)]
    for layer in (ours, theirs):
        layer.build((None, 5, 7, 6))
        layer.set_weights(weights)
    return ours, theirs, tf.constant(rng.normal(2, 3, (4, 5, 7, 6)), tf.float32)


def test_fused_norm_equals_keras_in_output_gradient_and_averages():
    ours, theirs, x = _norm_pair()
    results = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.sin(y))
        results.append((y, *tape.gradient(loss, [x, *layer.trainable_variables])))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_norm_at_rest_equals_keras_and_leaves_its_averages():
    ours, theirs, x = _norm_pair()
    before = ours.get_weights()
    np.testing.assert_allclose(ours(x, training=False), theirs(x, training=False), rtol=1e-6)
    ours.trainable = False
    np.testing.assert_allclose(ours(x, training=True), theirs(x, training=False), rtol=1e-6)
    for a, b in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_norm_has_the_weights_and_config_of_kerass_own():
    ours, theirs, _ = _norm_pair()
    names = [[v.path.split("/")[-1] for v in layer.weights] for layer in (ours, theirs)]
    assert names[0] == names[1]
    assert {**ours.get_config(), "name": ""} == {**theirs.get_config(), "name": ""}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("activation", ["leaky", "mish", "linear"])
def test_prediction_with_folded_norm_equals_convolution_then_norm(stride, activation):
    rng = np.random.default_rng(5)
    layer = ConvNorm(8, 3, stride=stride, activation=activation)
    x = rng.normal(0, 1, (2, 6, 10, 4)).astype("float32")
    layer.build(x.shape)
    norm = [rng.uniform(0.5, 2, 8), rng.normal(0, 1, 8), rng.normal(0, 1, 8), rng.uniform(1, 2, 8)]
    layer.norm.set_weights(norm)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = tf.nn.conv2d(padded, layer.convolution.kernel.value, stride, "VALID").numpy()
    gamma, beta, mean, variance = norm
    expected = (expected - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    if activation == "leaky":
        expected = np.where(expected > 0, expected, 0.1 * expected)
    if activation == "mish":
        expected = expected * np.tanh(np.log1p(np.exp(expected)))
    found = layer(x, training=False)
    assert found.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_folded_kernel_is_rounded_once_in_mixed_precision():
    """One-hot pictures of one pixel bring out the kernel that the convolution was given."""
    rng = np.random.default_rng(2)
    layer = ConvNorm(64, 1, activation="linear", dtype="mixed_bfloat16")
    layer.build((32, 1, 1, 32))
    zeros = np.zeros(64)
    layer.norm.set_weights([rng.uniform(0.5, 2, 64), zeros, zeros, rng.uniform(0.5, 2, 64)])
    folded = layer.convolution.kernel.numpy() * layer.norm.scale_and_shift()[0].numpy()
    found = layer(np.eye(32, dtype="float32")[:, None, None], training=False)
    assert found.dtype == tf.bfloat16
    expected = tf.cast(tf.cast(folded[0, 0], tf.bfloat16), tf.float32)
    np.testing.assert_array_equal(tf.cast(found[:, 0, 0], tf.float32), expected)


def test_odd_sizes_are_padded_on_both_sides():
    layer = ConvNorm(2, 3, stride=2)
    assert layer(np.zeros((1, 5, 7, 1), "float32")).shape == (1, 3, 4, 2)


@pytest.mark.parametrize("flags", [["avx2"], ["avx2", "avx512f"]])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_mish_and_its_gradient(monkeypatch, dtype, flags):
    monkeypatch.setattr(processor, "flags", lambda: frozenset(flags))
    x = tf.constant([-200.0, -30, -12, -5, -1.2, -1, -0.1, 0, 0.1, 1, 5, 12, 19.9, 20.1, 30, 200])
    z = x.numpy().astype("float64")
    softplus = np.where(z > 30, z, np.log1p(np.exp(np.minimum(z, 30))))
    sigmoid = np.exp(z - softplus)
    expected = z * np.tanh(softplus)
    slope = np.tanh(softplus) + z * sigmoid * (1 - np.tanh(softplus) ** 2)
    x = tf.cast(x, dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = mish(x)
    gradient = tape.gradient(y, x)
    assert y.dtype == gradient.dtype == dtype
    tolerance = {"float32": 2e-6, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(tf.cast(gradient, tf.float32), slope, rtol=tolerance, atol=tolerance)


def test_mish_of_one_exponential_rounds_once_and_is_kept_out_of_exports(monkeypatch):
    monkeypatch.setattr(processor, "flags", lambda: frozenset({"avx2"}))
    x = tf.linspace(-80.0, 80.0, 4001)
    z = x.numpy().astype("float64")
    expected = z * np.tanh(np.logaddexp(0, z))
    np.testing.assert_allclose(mish(x), expected, rtol=1e-6)
    half = mish(tf.cast(x, tf.bfloat16))
    np.testing.assert_array_equal(
        half, tf.cast(mish(tf.cast(tf.cast(x, tf.bfloat16), tf.float32)), tf.bfloat16)
    )

    def operations():
        graph = tf.function(mish).get_concrete_function(tf.TensorSpec([4], tf.float32)).graph
        return {operation.type for operation in graph.get_operations()}

    with for_other_machines():
        assert operations() > {"Softplus", "Tanh"}
    assert "Softplus" not in operations()


def test_convolution_norm_and_mish_compile_together():
    """TensorFlow 2.21 cannot run the fusion of these three that its optimizer proposes."""
    layer = ConvNorm(8, 3, activation="mish")
    x = np.random.default_rng(0).normal(size=(1, 16, 16, 8)).astype("float32")
    layer.build(x.shape)
    found = tf.function(lambda v: layer(v, training=False))(x)
    assert np.isfinite(found.numpy()).all()


def test_leaky_slope():
    np.testing.assert_allclose(leaky(np.array([-2.0, 0.0, 3.0])), [-0.2, 0.0, 3.0])


def test_channel_split_keeps_the_second_half():
    x = np.arange(8.0).reshape(1, 1, 1, 8)
    np.testing.assert_array_equal(ChannelSplit()(x)[0, 0, 0], [4, 5, 6, 7])


def test_pools_stand_in_the_order_13_9_5_and_the_map_itself():
    x = np.zeros((1, 13, 13, 1), "float32")
    x[0, 6, 6] = 1.0
    inputs = keras.Input((13, 13, 1))
    pooled = keras.Model(inputs, spatial_pyramid_pooling(inputs))(x).numpy()
    assert pooled.sum(axis=(0, 1, 2)).tolist() == [169, 81, 25, 1]

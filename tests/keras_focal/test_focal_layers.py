import keras
import numpy as np
import pytest
from gradients import numpy64, value_and_grad
from keras import layers, ops

import keras_focal as kf


def endpoint_model(layer, masked=False):
    x, y = keras.Input((4,)), keras.Input((3,))
    mask = [keras.Input((3,))] if masked else []
    logits = layers.Dense(3, kernel_initializer="ones")(x)
    return keras.Model([x, y, *mask], layer((y, logits, *mask)))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 4)).astype("float32")
    return x, (rng.random((6, 3)) < 0.4).astype("float32")


def test_model_that_carries_its_loss(data, tmp_path):
    model = endpoint_model(kf.FocalLossLayer(alpha=0.5, gamma=1.0, name="focal"))
    model.compile("sgd")
    logits = numpy64(model(list(data)))
    expected = float(
        kf.FocalLoss(alpha=0.5, gamma=1.0, from_logits=True)(data[1], logits.astype("float32"))
    )
    assert model.evaluate(list(data), verbose=0) == pytest.approx(expected, rel=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.evaluate(list(data), verbose=0) == pytest.approx(expected, rel=1e-5)
    history = model.fit(list(data), epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_logits_pass_through_unchanged(data):
    layer = kf.FocalLossLayer()
    np.testing.assert_array_equal(numpy64(layer((data[1], data[1] * 3))), data[1] * 3)
    assert len(layer.losses) == 1


def test_mask_is_neither_summed_nor_counted(data):
    mask = np.ones((6, 3), "float32")
    mask[2:] = 0
    model = endpoint_model(kf.FocalLossLayer(), masked=True)
    model.compile("sgd")
    logits = numpy64(model([*data, mask])).astype("float32")
    expected = float(kf.FocalLoss(from_logits=True)(data[1][:2], logits[:2]))
    assert model.evaluate([*data, mask], verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(6, 3), (6, 1), (6,)])
def test_mask_of_rows_or_elements(data, shape):
    mask = np.zeros(shape, bool)
    mask[:2] = True
    layer = kf.FocalLossLayer()
    layer(data[1], data[0][:, :3], mask=mask)
    expected = float(kf.FocalLoss(from_logits=True)(data[1][:2], data[0][:2, :3]))
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)


def test_ignored_labels(data):
    y = data[1].copy()
    y[2:] = -1
    layer = kf.FocalLossLayer(ignore_label=-1, reduction="sum")
    layer((y, data[0][:, :3]))
    expected = float(kf.FocalLoss(from_logits=True, reduction="sum")(y[:2], data[0][:2, :3]))
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)
    again = kf.FocalLossLayer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_wrong_inputs_are_refused(data):
    with pytest.raises(ValueError, match="y_true, logits"):
        kf.FocalLossLayer().call((data[1],))
    with pytest.raises(ValueError, match="logits"):
        kf.FocalLossLayer().call(data[1])


@pytest.mark.parametrize("pi", [0.01, 0.5, 0.9])
def test_prior_probability(pi):
    layer = layers.Dense(3, activation="sigmoid", bias_initializer=kf.PriorProbability(pi))
    p = numpy64(layer(np.zeros((1, 2), "float32")))
    np.testing.assert_allclose(p, pi, rtol=1e-6)


def test_prior_probability_config_and_dtype(tmp_path):
    initializer = kf.PriorProbability(pi=0.02)
    again = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    assert again.pi == 0.02
    bias = initializer((2, 3), dtype="float16")
    assert keras.backend.standardize_dtype(bias.dtype) == "float16"
    assert tuple(bias.shape) == (2, 3)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, bias_initializer=initializer)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        ops.convert_to_numpy(loaded.layers[0].bias), np.log(0.02 / 0.98), rtol=1e-6
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_mixed_policy_rounds_neither_logits_nor_labels(policy):
    y = np.array([[0.3, 0.0]], "float32")
    z = np.array([[0.1234567, -1e5]], "float32")  # float16 would make it -inf
    layer = kf.FocalLossLayer(dtype=policy)
    passed = layer((y, z))
    assert keras.backend.standardize_dtype(passed.dtype) == "float32"
    np.testing.assert_array_equal(numpy64(passed), z)
    expected = float(kf.FocalLoss(from_logits=True)(y, z))
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-6)


def test_a_masked_entry_leaves_no_trace_in_the_gradient(data):
    y, z = data[1][:2], data[0][:2, :3].copy()
    z[1] = np.nan
    layer = kf.FocalLossLayer(reduction="sum")

    def loss(x):
        layer(y, x, mask=np.array([True, False]))
        return layer.losses[-1]

    value, slope = value_and_grad(loss, z)
    expected, rest = value_and_grad(
        lambda x: kf.FocalLoss(from_logits=True, reduction="sum")(y[:1], x), z[:1]
    )
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    np.testing.assert_allclose(slope, [rest[0], np.zeros(3)], rtol=1e-6)

import keras
import numpy as np
import pytest
from gradients import numpy64, value_and_grad
from keras import ops
from kinds import INTEGER, SIGMOID, SOFTMAX, labels_for

import keras_focal as kf

BACKEND = keras.backend.backend()


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, "float64")))


@pytest.mark.parametrize("kind", SIGMOID)
def test_call_keeps_every_element(kind):
    z = np.linspace(-2, 2, 12).astype("float32").reshape(2, 2, 3)
    y = (np.arange(12) % 2).reshape(2, 2, 3)
    loss = kind(from_logits=True, reduction="none")
    assert tuple(loss(y, z).shape) == (2, 2, 3)
    assert tuple(loss.call(y, z).shape) == (2, 2, 3)
    single = kind(from_logits=True, reduction="none")(y[..., :1], z[..., :1])
    np.testing.assert_allclose(numpy64(single)[..., 0], numpy64(loss(y, z))[..., 0], rtol=1e-6)
    mean = kind(from_logits=True)(y, z)
    np.testing.assert_allclose(float(mean), numpy64(loss(y, z)).mean(), rtol=1e-6)
    total = kind(from_logits=True, reduction="sum")(y, z)
    np.testing.assert_allclose(float(total), numpy64(loss(y, z)).sum(), rtol=1e-6)


@pytest.mark.parametrize("kind", SOFTMAX)
def test_categorical_losses_reduce_the_class_axis(kind):
    loss = kind(from_logits=True, reduction="none")
    assert tuple(loss(labels_for(loss, 4, 3), np.zeros((4, 3), "float32")).shape) == (4,)


def test_only_quality_losses_want_soft_targets():
    wants = {kind.__name__ for kind in SIGMOID + SOFTMAX if kind().soft_targets}
    assert wants == {"QualityFocalLoss", "VarifocalLoss"}
    assert kf.OnlineHardExampleMining(kf.QualityFocalLoss()).soft_targets
    assert not kf.OnlineHardExampleMining().soft_targets


@pytest.mark.parametrize("kind", SIGMOID)
def test_probabilities_and_logits_agree(kind):
    z = np.linspace(-6, 6, 13).astype("float32")
    y = (np.arange(13) % 2).astype("float32")
    p = sigmoid(z).astype("float32")
    a, b = kind(reduction="none")(y, p), kind(from_logits=True, reduction="none")(y, z)
    np.testing.assert_allclose(numpy64(a), numpy64(b), rtol=2e-4)


@pytest.mark.parametrize("kind", SOFTMAX)
def test_class_probabilities_and_logits_agree(kind):
    z = np.random.default_rng(0).normal(0, 2, (9, 3)).astype("float32")
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = labels_for(kind(), 9, 3)
    a, b = kind(reduction="none")(y, p), kind(from_logits=True, reduction="none")(y, z)
    np.testing.assert_allclose(numpy64(a), numpy64(b), rtol=2e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("gamma", [0, 0.1, 0.5, 1, 2, 5])
def test_rounded_probabilities_keep_a_finite_gradient(gamma, dtype):
    p = np.array([0.0, 1.0, 0.0, 1.0, 0.5])
    y = np.array([1, 0, 0, 1, 1])
    loss, slope = value_and_grad(
        lambda x: kf.FocalLoss(gamma=gamma, reduction="none")(y, x), p, dtype
    )
    assert np.isfinite(loss).all()
    assert np.isfinite(slope).all()
    assert slope[0] < -1e2  # p = 0 for a positive: upwards, hard
    assert slope[1] > 1e2
    assert slope[4] < 0
    assert (loss[:2] > 1).all()
    assert (loss[2:4] < 1e-2).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_rounded_class_probabilities_keep_a_finite_gradient(dtype):
    p = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    for y, kind in (
        (np.array([0, 0]), kf.SparseCategoricalFocalLoss),
        (np.eye(3)[[0, 0]], kf.CategoricalFocalLoss),
    ):
        loss, slope = value_and_grad(lambda x, y=y, k=kind: k(reduction="none")(y, x), p, dtype)
        assert np.isfinite(loss).all()
        assert np.isfinite(slope).all()
        assert slope[0, 0] < -1e2
        assert loss[0] > 5
        assert loss[1] < 1e-3


def test_probability_gradient_is_the_derivative():
    """dFL/dp = dFL/dz / (p (1 - p)), away from the ends."""
    p = np.linspace(0.02, 0.98, 49).astype("float32")
    y = np.arange(49) % 2
    _, by_p = value_and_grad(lambda x: kf.FocalLoss(reduction="none")(y, x), p)
    z = np.log(p.astype("float64")) - np.log1p(-p.astype("float64"))
    _, by_z = value_and_grad(
        lambda x: kf.FocalLoss(reduction="none", from_logits=True)(y, x), z.astype("float32")
    )
    np.testing.assert_allclose(by_p, by_z / (p * (1.0 - p)), rtol=5e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_saturated_sigmoid_head_is_still_alive(dtype):
    def head(z):
        return kf.FocalLoss(alpha=None, gamma=0, reduction="none")(
            np.array([1, 0]), keras.activations.sigmoid(z)
        )

    loss, slope = value_and_grad(head, np.array([-60.0, 60.0]), dtype)
    if BACKEND == "jax":  # keeps no trace of the logits: finite, but the sigmoid's own slope is 0
        assert (loss > 5).all()
        assert np.isfinite(slope).all()
    else:
        np.testing.assert_allclose(loss, [60, 60], rtol=1e-6)
        np.testing.assert_allclose(slope, [-1, 1], rtol=1e-6)


def test_a_softmax_head_is_not_taken_for_a_sigmoid():
    z = np.array([[1.0, 2.0, 0.5]], "float32")
    y = np.array([[0, 1, 0]])

    def head(x):
        return kf.FocalLoss(reduction="none")(y, keras.activations.softmax(x))

    loss, _ = value_and_grad(head, z)
    p = np.exp(z) / np.exp(z).sum()
    np.testing.assert_allclose(loss, numpy64(kf.FocalLoss(reduction="none")(y, p)), rtol=1e-4)


@pytest.mark.parametrize("kind", INTEGER)
def test_ignored_labels(kind):
    z = np.array([[3.0, -2.0], [0.5, 1e4]], "float32")
    y = np.array([[1, 0], [-1, -1]])
    loss = kind(from_logits=True, ignore_label=-1)
    value, slope = value_and_grad(lambda x: loss(y, x), z)
    plain = kind(from_logits=True)(y[:1], z[:1])
    np.testing.assert_allclose(float(value), float(plain), rtol=1e-6)  # mean over what counts
    assert (slope[1] == 0).all()
    assert (slope[0] != 0).all()
    each = numpy64(kind(from_logits=True, ignore_label=-1, reduction="none")(y, z))
    assert (each[1] == 0).all()
    total = kind(from_logits=True, ignore_label=-1, reduction="sum")(y, z)
    np.testing.assert_allclose(float(total), 2 * float(plain), rtol=1e-6)


def test_ignored_rows():
    z = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    y = np.array([0, 255, 2, 255])
    for smoothing in (0.0, 0.1):
        options = {"from_logits": True, "label_smoothing": smoothing}
        loss = kf.SparseCategoricalFocalLoss(ignore_label=255, **options)
        value, slope = value_and_grad(lambda x, loss=loss: loss(y, x), z)
        plain = kf.SparseCategoricalFocalLoss(**options)(y[[0, 2]], z[[0, 2]])
        np.testing.assert_allclose(float(value), float(plain), rtol=1e-6)
        assert (slope[[1, 3]] == 0).all()
        assert (np.abs(slope[[0, 2]]).sum(1) > 0).all()
        whole = kf.SparseCategoricalFocalLoss(**options).call(y, z)
        assert np.isnan(numpy64(whole)).tolist() == [False, True, False, True]


def test_everything_ignored_is_zero():
    loss = kf.FocalLoss(from_logits=True, ignore_label=-1)
    value, slope = value_and_grad(lambda x: loss(-np.ones((2, 2)), x), np.zeros((2, 2)))
    assert float(value) == 0
    assert (slope == 0).all()


@pytest.mark.parametrize("kind", INTEGER)
def test_label_smoothing(kind):
    z = np.linspace(-3, 3, 8).astype("float32")
    y = (np.arange(8) % 2).astype("float32")
    smooth = kind(from_logits=True, label_smoothing=0.2, reduction="none")(y.astype(int), z)
    soft = kind(from_logits=True, reduction="none")(y * 0.8 + 0.1, z)
    np.testing.assert_allclose(numpy64(smooth), numpy64(soft), rtol=1e-6)


def test_label_smoothing_over_classes():
    z = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    options = {"from_logits": True, "reduction": "none"}
    soft = kf.CategoricalFocalLoss(**options)(np.eye(3)[np.arange(6) % 3] * 0.7 + 0.1, z)
    for kind in SOFTMAX:
        loss = kind(label_smoothing=0.3, **options)
        np.testing.assert_allclose(
            numpy64(loss(labels_for(loss, 6, 3), z)), numpy64(soft), rtol=1e-6
        )


def test_sparse_labels_of_any_type_and_rank():
    z = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    y = np.arange(6) % 3
    loss = kf.SparseCategoricalFocalLoss(from_logits=True)
    for labels in (y, y[:, None], y.astype("float32"), y.astype("uint8"), y[:, None].tolist()):
        assert float(loss(labels, z)) == pytest.approx(float(loss(y, z)), rel=1e-6)
    with pytest.raises(ValueError, match="CategoricalFocalLoss"):
        loss(np.eye(3)[y], z)


def test_labels_without_the_last_axis_are_aligned():
    z = np.linspace(-1, 1, 4).astype("float32")
    y = np.array([0, 1, 1, 0])
    loss = kf.FocalLoss(from_logits=True)
    expected = float(loss(y, z))
    assert float(loss(y, z[:, None])) == pytest.approx(expected, rel=1e-6)
    assert float(loss(y[:, None], z)) == pytest.approx(expected, rel=1e-6)


def test_sample_weights_of_rows_and_of_elements():
    z = np.linspace(-2, 2, 6).astype("float32").reshape(2, 3)
    y = np.array([[1, 0, 0], [0, 1, 0]])
    each = numpy64(kf.FocalLoss(from_logits=True, reduction="none")(y, z))
    rows, full = np.array([1.0, 3.0]), np.arange(6.0).reshape(2, 3)
    for weights in (rows, rows[:, None], full):
        spread = np.broadcast_to(weights.reshape(2, -1), (2, 3))
        for reduction, expected in (
            ("none", each * spread),
            ("sum", (each * spread).sum()),
            ("sum_over_batch_size", (each * spread).mean()),
            ("mean_with_sample_weight", (each * spread).sum() / spread.sum()),
        ):
            loss = kf.FocalLoss(from_logits=True, reduction=reduction)
            np.testing.assert_allclose(
                numpy64(loss(y, z, sample_weight=weights)), expected, rtol=2e-6
            )


def test_masks_of_layers_leave_out_padding():
    layers = keras.layers
    inputs = keras.Input((5, 2))
    outputs = layers.TimeDistributed(layers.Dense(3))(layers.Masking()(inputs))
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")
    x[0, 3:] = 0
    y = np.ones((2, 5, 3), "float32")
    model.compile("sgd", loss=kf.FocalLoss(from_logits=True))
    each = numpy64(
        kf.FocalLoss(from_logits=True, reduction="none")(y, ops.convert_to_numpy(model(x)))
    )
    counted = np.concatenate([each[0, :3], each[1]])
    assert model.evaluate(x, y, verbose=0) == pytest.approx(counted.mean(), rel=1e-5)


def test_half_precision_result_does_not_overflow_inside():
    loss = kf.FocalLoss(from_logits=True, alpha=None, gamma=0, dtype="float16")
    value = loss(np.ones((400, 400)), ops.full((400, 400), -100.0, dtype="float16"))
    assert keras.backend.standardize_dtype(value.dtype) == "float16"
    assert float(value) == pytest.approx(100, rel=1e-3)  # the sum is 1.6e7


def test_training_on_a_rare_class():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(600, 4)).astype("float32")
    y = (x[:, 0] + x[:, 1] > 2.4).astype("int32")
    assert 0.02 < y.mean() < 0.08
    keras.utils.set_random_seed(1)
    prior = kf.PriorProbability(0.05)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid", bias_initializer=prior)]
    )
    model.compile(keras.optimizers.Adam(0.1), loss=kf.FocalLoss())
    history = model.fit(x, y, epochs=15, batch_size=50, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]
    scores = model.predict(x, verbose=0)[:, 0]
    ranks = np.argsort(np.argsort(scores))
    positives = y.sum()
    area = (ranks[y == 1].sum() - positives * (positives - 1) / 2) / (
        positives * (len(y) - positives)
    )
    assert area > 0.97


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_training_with_mixed_precision(policy):
    dense = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones", dtype=policy)
    model = keras.Sequential([keras.Input((1,)), dense])
    model.compile(keras.optimizers.SGD(1.0), loss=kf.FocalLoss(), jit_compile=False)
    x = np.array([[-30.0], [-60.0]], "float32")  # confident errors: the true class is 1
    before = numpy64(dense.kernel.value)
    model.fit(x, np.ones((2, 1)), verbose=0, epochs=2)
    after = numpy64(dense.kernel.value)
    assert np.isfinite(after).all()
    if BACKEND != "jax":
        assert (after != before).all()


def test_a_loss_that_does_not_say_what_it_is_cannot_be_made():
    class Unfinished(kf.ElementLoss):
        pass

    with pytest.raises(TypeError, match="abstract.*evaluate"):
        Unfinished(name="unfinished")

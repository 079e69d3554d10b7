"""Predictions and labels of any kind: finite with a finite gradient, or refused; and the line."""

import re
import warnings

import keras
import numpy as np
import pytest
from gradients import value_and_grad
from kinds import SIGMOID, SOFTMAX, labels_for

import keras_focal as kf

ASKS = pytest.warns(UserWarning, match=r"outside \[0, 1\].*from_logits=True")
DTYPES = ["float16", "bfloat16", "float32", "float64"]
LABELS = ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"]
LARGEST = {"float16": 6.5e4, "bfloat16": 3e38, "float32": 3e38, "float64": 1e300}
if keras.backend.backend() == "jax":  # whose float64 is float32 unless asked otherwise
    DTYPES.remove("float64")


def wait():
    """Wait for what a compiled function of JAX calls back."""
    if keras.backend.backend() == "jax":
        import jax

        jax.effects_barrier()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", SIGMOID + SOFTMAX)
def test_any_predictions_give_a_finite_loss_and_gradient(kind, dtype):
    rng = np.random.default_rng(0)
    largest = LARGEST[dtype]
    for scale in (1e-30, 0.3, 7.0, 300.0, 3e4, 1e10, largest, np.inf):
        for from_logits in (False, True):
            loss = kind(from_logits=from_logits, reduction="none")
            z = rng.normal(rng.uniform(-1, 1), 1, (6, 3)) * min(scale, largest)
            z = np.clip(z, -largest, largest)
            z.flat[:8] = 0, 1, -scale, scale, scale, scale, -scale, -scale
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value, slope = value_and_grad(lambda x, f=loss: f(labels_for(f, 6, 3), x), z, dtype)
            assert np.isfinite(value).all() and (value >= 0).all(), (scale, from_logits)
            assert np.isfinite(slope).all(), (scale, from_logits)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "none"])
@pytest.mark.parametrize("kind", SIGMOID + SOFTMAX)
def test_labels_that_are_none_raise_where_their_loss_would_be_returned(kind, reduction):
    rng = np.random.default_rng(1)
    for from_logits in (False, True):
        loss = kind(from_logits=from_logits, reduction=reduction)
        y, p = labels_for(loss, 6, 3), rng.random((6, 3), np.float32)
        wrong, place = y.copy(), rng.integers(y.size)
        wrong.flat[place] = rng.choice([-7, 255])
        assert np.isfinite(np.asarray(loss(y, p))).all()
        with pytest.raises(ValueError, match=r"y_true: expected labels in \[0, 1\]") as caught:
            loss(wrong, p)
        row = int(np.unravel_index(place, y.shape)[0])
        assert f"others, the first at [{row}" in str(caught.value) and "\n" not in str(caught.value)
        nan = np.asarray(loss(y, np.where(p > 0.9, np.nan, p)))
        assert np.isnan(nan).any(), "not the labels' fault"


@pytest.mark.parametrize("kind", SIGMOID + SOFTMAX)
def test_random_labels_and_predictions_give_something_finite_or_an_error(kind):
    rng, seen = np.random.default_rng(2), set()
    for number in range(16 if keras.backend.backend() == "jax" else 60):  # which compiles each
        dtype, given = rng.choice(DTYPES), rng.choice(LABELS)
        loss = kind(
            from_logits=bool(rng.integers(2)),
            reduction=str(rng.choice(["none", "sum", "sum_over_batch_size"])),
        )
        size = min(10.0 ** rng.integers(-30, 300), LARGEST[dtype])
        z = np.clip(rng.normal(0, 1, (5, 3)), -1, 1) * size
        z.flat[rng.integers(15)] = rng.choice([np.inf, -np.inf, 0, size])
        y = labels_for(loss, 5, 3).astype("float64")
        right = number % 2
        if not right:
            y.flat[rng.integers(y.size)] = rng.choice([-1e9, -1, 0, 1, 1.7, 200, 1e30])
        with np.errstate(invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = y.astype(given)
            try:
                value, slope = value_and_grad(lambda x, f=loss, y=y: f(y, x), z, dtype)
            except ValueError as error:
                assert "y_true: expected labels" in str(error) and not right
                seen.add("refused")
                continue
        assert np.isfinite(value).all() and np.isfinite(slope).all(), (dtype, given, size, y)
        seen.add("finite")
    assert seen == {"refused", "finite"}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others cannot call back")
@pytest.mark.parametrize("kind", SIGMOID + SOFTMAX)
def test_a_graph_raises_for_them_before_the_update(kind):
    import tensorflow as tf

    loss = kind(from_logits=True)
    y, x = labels_for(loss, 6, 3), np.random.default_rng(1).random((6, 4), np.float32)
    wrong = y.copy()
    wrong.flat[4] = 255
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("sgd", loss, jit_compile=False)
    before = model.get_weights()
    with pytest.raises(tf.errors.OpError, match=r"y_true: expected labels in \[0, 1\]"):
        model.fit(x, wrong, verbose=0)
    for one, same in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, same)
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])
    assert not np.array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize("kind", SOFTMAX)
def test_large_logits_that_tie_share_the_probability(kind):
    loss = kind(from_logits=True, reduction="none")
    y = labels_for(loss, 4, 3)
    small = np.array([[0, 0, -99]] * 4, "float32")
    value, slope = value_and_grad(lambda x: loss(y, x), small)
    for size in (1e8, 1e20, 1e29):  # at which log 2 is lost beside them
        large = np.where(small < 0, 0, size).astype("float32")
        same, steep = value_and_grad(lambda x: loss(y, x), large)
        kept = np.isfinite(same) & (same < 90)  # a third class that is true is lost either way
        assert np.isfinite(same).all() and kept.sum() >= 2
        np.testing.assert_allclose(same[kept], value[kept], rtol=1e-6)
        np.testing.assert_allclose(steep[kept], slope[kept], atol=1e-6)


@pytest.mark.parametrize("kind", SIGMOID + SOFTMAX)
def test_what_lies_outside_is_read_as_the_nearest_probability_without_a_gradient(kind):
    loss = kind(reduction="none")
    y = labels_for(loss, 4, 2)
    far = np.array([[-3.0, 0.4], [0.4, 7.0], [1.0000001, 0.2], [-1e-7, 0.9]], "float32")
    with ASKS:
        value, slope = value_and_grad(lambda x: loss(y, x), far)
    near, _ = value_and_grad(lambda x: loss(y, x), np.clip(far, 0, 1))
    np.testing.assert_allclose(value, near, rtol=1e-6)
    outside = (far < 0) | (far > 1)
    assert (slope[outside] == 0).all() and np.isfinite(slope).all()
    if kind is not kf.VarifocalLoss:
        assert (slope[~outside] != 0).any()


@pytest.mark.parametrize("kind", [kf.FocalLoss, kf.SparseCategoricalFocalLoss])
@pytest.mark.parametrize("eagerly", [False, True])
def test_a_training_on_raw_outputs_stays_finite_and_asks_for_from_logits(kind, eagerly):
    x = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
    sparse = kind is kf.SparseCategoricalFocalLoss
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2 if sparse else 1)])
    model.compile("adam", loss=kind(), run_eagerly=eagerly, jit_compile=False)
    with ASKS:
        history = model.fit(x, (x[:, 0] > 1).astype("float32"), verbose=0).history
        wait()
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_the_line_shows_once_and_is_one():
    p, loss = np.array([3.0], "float32"), kf.FocalLoss()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            loss(np.ones(1), p)
        wait()
    (line,) = told
    shown = warnings.formatwarning(line.message, line.category, line.filename, line.lineno)
    assert shown.startswith("keras_focal:1: UserWarning: y_pred: expected ")
    assert shown.count("\n") == 1


@pytest.mark.parametrize("p", [[0.0, 1.0, 0.5], [1 + 1e-6, -1e-6, 1.004]])
def test_probabilities_and_what_rounding_makes_of_them_are_taken_without_a_word(p):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = float(kf.FocalLoss()(np.ones(3), np.array(p, "float32")))
        wait()
    assert np.isfinite(value)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="concerns XLA in TensorFlow")
def test_what_xla_compiles_runs_without_the_line():
    import tensorflow as tf

    loss = kf.FocalLoss()
    step = tf.function(lambda y, p: loss(y, p), jit_compile=True)
    assert np.isfinite(float(step(tf.ones((2, 3)), tf.fill((2, 3), 4.0))))


@pytest.mark.parametrize("kind", SIGMOID)
@pytest.mark.parametrize("shape", [(4, 1), (1, 3), (1, 1), (4, 2), (3, 4)])
def test_labels_of_another_shape_are_refused(kind, shape):
    loss = kind(from_logits=True)
    words = f"expected the shape of the predictions (4, 3), received {shape}"
    if shape[-1] == 1:
        words += "; class numbers become labels by keras.ops.one_hot(y_true[..., 0], 3)"
    with pytest.raises(ValueError, match=re.escape(words)):
        loss(np.zeros(shape, "int32"), np.zeros((4, 3), "float32"))

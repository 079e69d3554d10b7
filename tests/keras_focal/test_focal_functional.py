import keras
import numpy as np
import pytest
from gradients import numpy64, value_and_grad
from keras import ops

from keras_focal import (
    focal_loss_star,
    quality_focal_loss,
    sigmoid_focal_loss,
    softmax_focal_loss,
    varifocal_loss,
)

GAMMAS = [0, 0.1, 0.5, 1, 2, 5]
LOGITS = np.array([0, 1, -1, 20, -20, 88, -88, 1e4, -1e4])
DTYPES = ["float32", "bfloat16", "float16"]


def logit(p):
    return np.log(p) - np.log1p(-p)


def softplus(x):
    return np.logaddexp(x, 0.0)


def reference(y, z, alpha=0.25, gamma=2.0):
    """Appendix B in float64: loss and slope for labels 0 and 1."""
    x = np.where(y == 1, z, -z)
    weight = 1.0 if alpha is None else np.where(y == 1, alpha, 1 - alpha)
    p, log_p = np.exp(-softplus(-x)), -softplus(-x)
    factor = np.exp(-gamma * softplus(x))
    slope = np.where(y == 1, 1, -1) * factor * (gamma * p * log_p - np.exp(-softplus(x)))
    return weight * factor * -log_p, weight * slope


@pytest.mark.parametrize(
    ("y", "p", "cross_entropy", "focal"),
    [
        (1, 0.95, 0.0512932943875505, 3.2058308992219e-5),
        (0, 0.05, 0.0512932943875505, 9.61749e-5),
        (1, 0.05, 2.995732273553991, 0.675912094220619),
        (0, 0.95, 2.995732273553991, 2.027736282661858),
        (0, 0.01, -np.log(0.99), 7.5377518901261e-7),
        (1, 0.5, np.log(2), 0.0433217),
        (0, 0.5, np.log(2), 0.1299651),
        (1, 0.9, -np.log(0.9), 2.6340e-4),
        (0, 0.9, -np.log(0.1), 1.398821),
        (1, 0.01, -np.log(0.01), 1.128382),
    ],
)
def test_published_numbers(y, p, cross_entropy, focal):
    z = np.float32(logit(p))[None]
    loss = numpy64(sigmoid_focal_loss(np.array([y]), z))[0]
    plain = numpy64(sigmoid_focal_loss(np.array([y]), z, alpha=None, gamma=0))[0]
    exact = (0.25 if y else 0.75) * (p if y == 0 else 1 - p) ** 2 * cross_entropy
    assert loss == pytest.approx(exact, rel=2e-6)
    assert plain == pytest.approx(cross_entropy, rel=2e-6)
    digits = {9.61749e-5: 1e-6, 0.0433217: 1e-6, 2.6340e-4: 1e-4}.get(focal, 2e-6)
    assert loss == pytest.approx(focal, rel=digits)


def test_published_number_with_three_digits():
    loss = numpy64(sigmoid_focal_loss(np.ones(1), np.float32(logit(0.99))[None]))[0]
    assert loss == pytest.approx(2.51e-7, rel=2e-3)


@pytest.mark.parametrize(("gamma", "beta", "value"), [(2, 1, 0.1566308), (4, 0, 0.1732868)])
def test_star_numbers(gamma, beta, value):
    z = np.zeros(1, "float32")
    for y in (0, 1):
        loss = focal_loss_star(np.array([y]), z, alpha=None, gamma=gamma, beta=beta)
        assert numpy64(loss)[0] == pytest.approx(value, rel=1e-6)


def test_initial_loss_of_a_detector():
    """800 x 800 with 80 classes at the prior 0.01, one positive: 7.2415 + 1.1284."""
    per_negative = numpy64(sigmoid_focal_loss(np.zeros(1), np.float32(logit(0.01))[None]))[0]
    per_positive = numpy64(sigmoid_focal_loss(np.ones(1), np.float32(logit(0.01))[None]))[0]
    assert 120087 * 80 * per_negative == pytest.approx(7.2415, abs=5e-5)
    assert per_positive == pytest.approx(1.1284, abs=5e-5)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("alpha", [None, 0.25, 0.9])
def test_against_float64_everywhere(gamma, alpha):
    z = np.linspace(-12, 12, 481).astype("float32")
    for y in (0, 1):
        labels = np.full_like(z, y)
        loss, slope = value_and_grad(
            lambda x, labels=labels: sigmoid_focal_loss(labels, x, alpha=alpha, gamma=gamma), z
        )
        exact, exact_slope = reference(labels, z.astype("float64"), alpha, gamma)
        # a float32 exponent of size gamma * |z| cannot do better
        tolerance = 2e-6 if gamma <= 2 else 8e-6
        np.testing.assert_allclose(loss, exact, rtol=tolerance)
        np.testing.assert_allclose(slope, exact_slope, rtol=2 * tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("labels", ["int32", "float32", "mixed"])
def test_finite_and_exact_gradient_at_extreme_logits(gamma, dtype, labels):
    for y in (0, 1):
        z = numpy64(ops.convert_to_tensor(LOGITS, dtype=dtype))  # as rounded by the dtype
        y_true = np.full(z.shape, y, "float32" if labels != "int32" else "int32")
        if labels == "mixed":  # a soft label elsewhere must not disturb the hard ones
            z, y_true = np.append(z, 0.5), np.append(y_true, 0.3).astype("float32")
        loss, slope = value_and_grad(
            lambda x, y_true=y_true: sigmoid_focal_loss(y_true, x, gamma=gamma), z, dtype
        )
        loss, slope = loss[:9], slope[:9]
        exact, exact_slope = reference(y_true[:9], z[:9], gamma=gamma)
        assert np.isfinite(loss).all()
        assert np.isfinite(slope).all()
        np.testing.assert_allclose(loss, exact, rtol=2e-5, atol=1e-37)
        step = {"float32": 2e-5, "bfloat16": 2**-8, "float16": 2**-10}[dtype]
        smallest = 6e-8 if dtype == "float16" else 1e-37
        np.testing.assert_allclose(slope, exact_slope, rtol=step, atol=smallest)
        wrong = (z[:9] * (1 if y == 0 else -1)) >= 20  # confident errors
        weight = 0.25 if y else 0.75
        np.testing.assert_allclose(np.abs(slope[wrong]), weight, rtol=2e-3)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_ratio_to_cross_entropy_is_the_focal_weight(gamma):
    z = np.linspace(-5, 5, 41).astype("float32")
    for y, alpha_t in ((1, 0.25), (0, 0.75)):
        labels = np.full(z.shape, y)
        focal = numpy64(sigmoid_focal_loss(labels, z, gamma=gamma))
        cross_entropy = numpy64(sigmoid_focal_loss(labels, z, alpha=None, gamma=0))
        p_t = 1 / (1 + np.exp(-z.astype("float64") * (1 if y else -1)))
        expected = alpha_t * (1 - p_t) ** gamma
        np.testing.assert_allclose(focal / cross_entropy, expected, rtol=6e-6)


def test_gamma_zero_is_keras_cross_entropy():
    z = np.linspace(-6, 6, 25).astype("float32")[:, None]
    y = (np.arange(25) % 2).astype("float32")[:, None]
    keras_ce = keras.losses.BinaryCrossentropy(from_logits=True, reduction="none")
    ours = sigmoid_focal_loss(y, z, alpha=0.5, gamma=0)
    np.testing.assert_allclose(numpy64(ours)[:, 0], 0.5 * numpy64(keras_ce(y, z)), rtol=1e-4)


def test_soft_labels_mix_both_sides():
    z = np.array([-200, -3, 0, 2, 200], "float32")
    y = np.array([0.3, 0.5, 0.9, 0.1, 0.7], "float32")
    loss, slope = value_and_grad(lambda x: sigmoid_focal_loss(y, x), z)
    on, on_slope = reference(np.ones(5), z.astype("float64"))
    off, off_slope = reference(np.zeros(5), z.astype("float64"))
    np.testing.assert_allclose(loss, y * on + (1 - y) * off, rtol=2e-6)
    np.testing.assert_allclose(slope, y * on_slope + (1 - y) * off_slope, rtol=5e-6)


def test_label_types_agree():
    z = np.linspace(-4, 4, 8).astype("float32")
    y = np.arange(8) % 2
    expected = numpy64(sigmoid_focal_loss(y.astype("float32"), z))
    for dtype in ("bool", "int32", "int64", "uint8", "float16", "float64"):
        np.testing.assert_allclose(
            numpy64(sigmoid_focal_loss(y.astype(dtype), z)), expected, rtol=1e-6
        )


def test_alpha_per_class():
    z = np.array([[0.5, -1.0, 2.0]] * 2, "float32")
    y = np.array([[1, 0, 1], [0, 1, 0]])
    together = numpy64(sigmoid_focal_loss(y, z, alpha=[0.1, 0.5, 0.0]))
    for k, alpha in enumerate([0.1, 0.5, 0.0]):
        alone = numpy64(sigmoid_focal_loss(y[:, k], z[:, k], alpha=alpha))
        np.testing.assert_allclose(together[:, k], alone, rtol=1e-6)
    assert together[0, 2] == 0  # alpha 0 gives a positive no weight


def test_float64_stays_float64():
    z = ops.convert_to_tensor(np.linspace(-30, 30, 61), dtype="float64")
    loss = sigmoid_focal_loss(np.ones(61), z)
    # JAX has no float64 unless it is switched on
    tolerance = 2e-5 if keras.backend.backend() == "jax" else 1e-8
    assert loss.dtype == z.dtype
    exact, _ = reference(np.ones(61), np.linspace(-30, 30, 61))
    # PyTorch's softplus is the identity above 20
    np.testing.assert_allclose(numpy64(loss), exact, rtol=tolerance, atol=1e-37)


@pytest.mark.parametrize("dtype", DTYPES)
def test_result_is_float32_or_wider(dtype):
    z = ops.zeros((2, 3), dtype=dtype)
    for function in (
        sigmoid_focal_loss,
        focal_loss_star,
        quality_focal_loss,
        varifocal_loss,
        softmax_focal_loss,
    ):
        loss = function(np.zeros((2, 3), "float32"), z)
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"


def test_empty_input():
    assert tuple(sigmoid_focal_loss(np.zeros((0, 3)), np.zeros((0, 3), "float32")).shape) == (0, 3)


def test_star_identities():
    z = np.linspace(-6, 6, 25).astype("float32")
    for y in (0, 1):
        labels = np.full(z.shape, y)
        star = numpy64(focal_loss_star(labels, z, gamma=1, beta=0))
        plain = numpy64(sigmoid_focal_loss(labels, z, gamma=0))
        np.testing.assert_allclose(star, plain, rtol=2e-6)
        # gamma scales the axis: FL*(gamma, 0)(x) = CE(gamma x) / gamma
        steep = numpy64(focal_loss_star(labels, z, gamma=4, beta=0))
        scaled = numpy64(sigmoid_focal_loss(labels, 4 * z, gamma=0)) / 4
        np.testing.assert_allclose(steep, scaled, rtol=2e-6)
        soft = numpy64(focal_loss_star(labels.astype("float32"), z))
        np.testing.assert_allclose(soft, numpy64(focal_loss_star(labels, z)), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("gamma", "beta"), [(2.0, 1.0), (4.0, 0.0), (0.1, -1.0)])
def test_star_gradient_is_appendix_b(gamma, beta, dtype):
    for y, sign in ((1, 1), (0, -1)):
        z = numpy64(ops.convert_to_tensor(LOGITS, dtype=dtype))
        loss, slope = value_and_grad(
            lambda x, y=y: focal_loss_star(np.full(9, y), x, alpha=None, gamma=gamma, beta=beta),
            z,
            dtype,
        )
        star = np.exp(-softplus(gamma * sign * z + beta))  # 1 - p*_t
        assert np.isfinite(loss).all()
        np.testing.assert_allclose(slope, -sign * star, rtol=2**-8, atol=6e-8)


def test_quality_focal_loss():
    z = np.array([-3, -0.5, 0, 1, 4], "float32")
    q = np.array([0.0, 0.3, 0.5, 0.9, 1.0], "float32")
    p = 1 / (1 + np.exp(-z.astype("float64")))
    for beta in (0, 0.5, 1, 2, 3):
        loss = numpy64(quality_focal_loss(q, z, beta=beta))
        entropy = -(q * np.log(p) + (1 - q) * np.log(1 - p))
        np.testing.assert_allclose(loss, np.abs(q - p) ** beta * entropy, rtol=1e-5, atol=1e-12)
    hard = (q > 0.4).astype("float32")
    np.testing.assert_allclose(
        numpy64(quality_focal_loss(hard, z)),
        numpy64(sigmoid_focal_loss(hard, z, alpha=None)),
        rtol=2e-6,
    )


def test_varifocal_loss():
    z = np.array([-3, 0, 4, 4], "float32")
    q = np.array([0.0, 0.3, 1.0, 0.0], "float32")
    p = 1 / (1 + np.exp(-z.astype("float64")))
    entropy = -(q * np.log(p) + (1 - q) * np.log(1 - p))
    expected = np.where(q > 0, q * entropy, 0.75 * p**2 * entropy)
    np.testing.assert_allclose(numpy64(varifocal_loss(q, z)), expected, rtol=3e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [0, 0.1, 0.5, 1, 2, 5])
def test_quality_losses_are_finite_at_extreme_logits(exponent, dtype):
    for q in (0.0, 0.5, 1.0):
        labels = np.full(9, q, "float32")
        for function in (
            lambda x, y=labels: quality_focal_loss(y, x, beta=exponent),
            lambda x, y=labels: varifocal_loss(y, x, gamma=exponent),
        ):
            loss, slope = value_and_grad(function, LOGITS, dtype)
            assert np.isfinite(loss).all()
            assert np.isfinite(slope).all()
            confident = (np.abs(LOGITS) >= 20) & (np.sign(LOGITS) != np.sign(q - 0.5))
            assert (np.abs(slope[confident]) > 1e-2).all()


def test_softmax_with_two_classes_is_sigmoid():
    """With alpha None, and class 0 held at logit 0, softmax is the sigmoid of class 1."""
    z = np.linspace(-30, 30, 31).astype("float32")
    two = np.stack([np.zeros_like(z), z], axis=-1)
    for y in (0, 1):
        expected, _ = reference(np.full(31, y), z.astype("float64"), alpha=None)
        for labels in (np.full(31, y), np.eye(2)[np.full(31, y)]):
            loss = numpy64(softmax_focal_loss(labels, two))
            np.testing.assert_allclose(loss, expected, rtol=8e-6, atol=1e-37)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("sparse", [True, False])
def test_softmax_against_float64(gamma, sparse):
    rng = np.random.default_rng(3)
    z = rng.normal(0, 4, (20, 6)).astype("float32")
    ids = np.arange(20) % 6
    weights = [0.2, 1.0, 2.0, 0.0, 1.5, 0.7]
    labels = ids if sparse else np.eye(6)[ids]
    loss, slope = value_and_grad(
        lambda x: softmax_focal_loss(labels, x, gamma=gamma, alpha=weights), z
    )
    wide = z.astype("float64")
    p = np.exp(wide - wide.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p_t, w = p[np.arange(20), ids], np.array(weights)[ids]
    np.testing.assert_allclose(loss, w * (1 - p_t) ** gamma * -np.log(p_t), rtol=8e-6)
    # d FL / d p_t, times d p_t / d z_k = p_t (1[k = t] - p_k)
    outer = w * (1 - p_t) ** gamma * (gamma * np.log(p_t) * p_t / (1 - p_t) - 1)
    expected = outer[:, None] * (np.eye(6)[ids] - p)
    np.testing.assert_allclose(slope, expected, rtol=5e-5, atol=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_softmax_is_finite_and_alive_at_extreme_logits(gamma, dtype):
    for size in (0.0, 1.0, 20.0, 88.0, 1e4):
        z = np.array([[size, -size, 0.0], [-size, size, 0.0]])
        for labels in (np.array([0, 0]), np.eye(3)[[0, 0]]):
            loss, slope = value_and_grad(
                lambda x, y=labels: softmax_focal_loss(y, x, gamma=gamma), z, dtype
            )
            assert np.isfinite(loss).all()
            assert np.isfinite(slope).all()
            if size >= 20:  # the second row is a confident error
                np.testing.assert_allclose(slope[1], [-1, 1, 0], atol=1e-2)


def test_softmax_axis_and_soft_labels():
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(2, 4, 3)).astype("float32"), rng.random((2, 4, 3)).astype("float32")
    last = numpy64(softmax_focal_loss(y, z))
    first = softmax_focal_loss(y.transpose(0, 2, 1), z.transpose(0, 2, 1), axis=1)
    np.testing.assert_allclose(numpy64(first), last, rtol=1e-6)
    parts = sum(y[..., k] * numpy64(softmax_focal_loss(np.full((2, 4), k), z)) for k in range(3))
    np.testing.assert_allclose(last, parts, rtol=2e-6)


def test_softmax_unknown_class_is_not_silent():
    loss = numpy64(softmax_focal_loss(np.array([0, 3, -1]), np.zeros((3, 3), "float32")))
    assert np.isnan(loss).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: sigmoid_focal_loss([1.0], [0.0], gamma=-1), ValueError, "gamma.*-1"),
        (lambda: sigmoid_focal_loss([1.0], [0.0], gamma="2"), TypeError, "gamma.*'2'"),
        (lambda: sigmoid_focal_loss([1.0], [0.0], gamma=True), TypeError, "gamma.*True"),
        (lambda: sigmoid_focal_loss([1.0], [0.0], alpha=1.5), ValueError, "alpha.*1.5"),
        (lambda: sigmoid_focal_loss([1.0], [0.0], alpha=[0.1, 0.2]), ValueError, "received 2"),
        (lambda: sigmoid_focal_loss([1.0], [0.0], alpha=float("nan")), ValueError, "nan"),
        (lambda: sigmoid_focal_loss([1.0, 0.0], [[0.0], [0.0]]), ValueError, r"\(2, 1\).*\(2,\)"),
        (lambda: focal_loss_star([1.0], [0.0], gamma=0), ValueError, "gamma.*0"),
        (lambda: softmax_focal_loss([0], [[1.0]]), ValueError, "at least 2 classes"),
        (lambda: softmax_focal_loss([0], [[1.0, 0.0]], alpha=[1]), ValueError, "2 classes"),
        (lambda: quality_focal_loss([0.5], [0.0], beta=-2), ValueError, "beta.*-2"),
        (lambda: varifocal_loss([0.5], [0.0], alpha=-2), ValueError, "alpha.*-2"),
    ],
)
def test_wrong_arguments_say_what_came_and_what_is_expected(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "expected" in str(caught.value)
    assert "received" in str(caught.value)


def test_alpha_and_gamma_are_keyword_only():
    with pytest.raises(TypeError):
        sigmoid_focal_loss([1.0], [0.0], 0.25)

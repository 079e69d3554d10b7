"""Labels that are none give NaN on every backend; entries left out give nothing, NaN included."""

import keras
import numpy as np
import pytest
from gradients import numpy64, value_and_grad
from keras import ops

import keras_focal as kf

FUNCTIONS = [
    kf.sigmoid_focal_loss,
    kf.focal_loss_star,
    kf.quality_focal_loss,
    kf.varifocal_loss,
    kf.softmax_focal_loss,
]
NAN = float("nan")
BACKEND = keras.backend.backend()
INFINITE = [NAN, float("inf"), -float("inf")]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "float32", "float16"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_labels_outside_the_range_give_nan_and_spare_their_neighbours(function, dtype):
    outside = 255 if dtype == "uint8" else -1
    y = np.array([[0, 1, 0], [2, 0, 0], [1, 0, 0], [outside, 1, 0]], dtype)
    z = np.array([[0.5, 1.0, -1.0]] * 4, "float32")
    loss, slope = value_and_grad(lambda x: function(y, x), z)
    alone = numpy64(function(y[[0, 2]], z[[0, 2]]))
    np.testing.assert_allclose(loss[[0, 2]], alone, rtol=1e-6)
    assert np.isfinite(slope[[0, 2]]).all()
    lost = np.isnan(loss[[1, 3]])
    assert lost.all() if function is kf.softmax_focal_loss else lost[:, 0].all()
    if function is not kf.softmax_focal_loss:
        assert np.isfinite(loss[[1, 3], 1:]).all()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_rounding_put_just_outside_the_range_is_its_end(function):
    z = np.array([[0.5, 1.0, -1.0]] * 2, "float32")
    ends = np.array([[0, 1, 0], [1, 0, 1]], "float32")
    beside = np.array([[-1e-5, 1 + 1e-5, 0], [1, -1e-6, 1 + 5e-7]], "float32")
    np.testing.assert_allclose(
        numpy64(function(beside, z)), numpy64(function(ends, z)), rtol=1e-6, atol=1e-9
    )
    assert np.isnan(numpy64(function(ends + np.float32(0.01), z))).any()


def test_soft_labels_beside_one_that_is_none():
    loss = numpy64(kf.sigmoid_focal_loss(np.float32([0.5, 2.0, 1.5, NAN]), np.zeros(4, "float32")))
    assert loss[0] == pytest.approx(0.5 * np.log(2) / 4, rel=1e-6)
    assert np.isnan(loss[1:]).all()


@pytest.mark.parametrize("kind", [kf.FocalLoss, kf.CategoricalFocalLoss])
def test_smoothing_moves_no_label_into_the_range(kind):
    loss = kind(from_logits=True, label_smoothing=0.8, reduction="none")
    z = np.zeros((2, 2), "float32")
    values = numpy64(loss.call(np.array([[0, 1], [2, 0]]), z)).reshape(2, -1)
    assert np.isfinite(values[0]).all() and np.isnan(values[1, 0])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32"])
def test_minus_one_leaves_out_no_label_255(dtype):
    y = np.array([[1, 255]]).astype(dtype)
    z = np.zeros((1, 2), "float32")
    loss = kf.FocalLoss(from_logits=True, ignore_label=-1, reduction="none")
    assert np.isnan(numpy64(loss.call(y, z))).tolist() == [[False, True]]
    kept = kf.FocalLoss(from_logits=True, ignore_label=255, reduction="none")
    assert numpy64(kept(y, z))[0, 1] == 0
    inner = kf.FocalLoss(from_logits=True, ignore_label=-1)
    mining = kf.OnlineHardExampleMining(inner, hardest=1, reduction="none")
    assert np.isnan(numpy64(mining.call(y, z))).tolist() == [[False, True]]
    classes = kf.SparseCategoricalFocalLoss(ignore_label=-1, from_logits=True, reduction="none")
    assert np.isnan(numpy64(classes.call(y[0], np.zeros((2, 2))))).tolist() == [False, True]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    ("classes", "known"),
    [
        (np.array([0.7, 1.0, NAN, 1e20, -1.0], "float32"), [1]),
        (np.array([0, 255], "uint8"), [0]),
        (np.array([2**32, 2, -(2**32)], "int64"), [1]),
        (np.array([2**32 - 1, 1], "uint32"), [1]),
    ],
)
def test_classes_that_do_not_exist_give_nan(classes, known, smoothing):
    if BACKEND == "jax" and classes.dtype == "int64":
        pytest.skip("JAX cuts integers to 32 bits before the loss sees them")
    z = np.zeros((len(classes), 3), "float32")
    loss = kf.SparseCategoricalFocalLoss(
        from_logits=True, reduction="none", label_smoothing=smoothing
    )
    found = [numpy64(loss.call(classes, z))]
    if not smoothing:
        found.append(numpy64(kf.softmax_focal_loss(classes, z)))
    if not smoothing and classes.dtype.kind in "iu" and classes.min() >= 0:
        found.append(numpy64(kf.sparse_sigmoid_focal_loss(classes, z)))
    for values in found:
        assert np.flatnonzero(np.isfinite(values)).tolist() == known


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("labels", [[[0], [2]], [[0.5], [0.5]]])
def test_class_numbers_are_refused_where_one_hot_is_expected(labels, smoothing):
    loss = kf.CategoricalFocalLoss(label_smoothing=smoothing)
    with pytest.raises(ValueError, match=r"\(2, 1\).*SparseCategoricalFocalLoss"):
        loss(np.array(labels), np.full((2, 3), 1 / 3, "float32"))


def test_classes_of_an_axis_of_length_one_are_repeated():
    z = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    ids = np.array([[0, 1, -1]])
    found = kf.sparse_sigmoid_focal_loss(ids, z)
    expected = kf.sparse_sigmoid_focal_loss(np.repeat(ids, 2, axis=0), z)
    np.testing.assert_allclose(numpy64(found), numpy64(expected), rtol=1e-6)
    classes = kf.SparseCategoricalFocalLoss(from_logits=True, ignore_label=-1)
    again = classes(np.repeat(ids, 2, axis=0), z)
    assert float(classes(ids, z)) == pytest.approx(float(again), rel=1e-6)


@pytest.mark.parametrize("far", INFINITE)
@pytest.mark.parametrize("options", [{"from_logits": True}, {}], ids=["logits", "probabilities"])
def test_an_ignored_entry_leaves_no_trace_in_the_gradient(far, options):
    y = np.array([[-1, 1, 0]])
    z = np.array([[far, 0.25, 0.75]], "float32")
    inner = kf.FocalLoss(ignore_label=-1, **options)
    for loss in (inner, kf.OnlineHardExampleMining(inner, hardest=2)):
        value, slope = value_and_grad(lambda x, f=loss: f(y, x), z)
        expected, rest = value_and_grad(lambda x, f=loss: f(y[:, 1:], x), z[:, 1:])
        assert float(value) == pytest.approx(float(expected), rel=1e-6)
        assert (slope[:, 0] == 0).all()
        np.testing.assert_allclose(slope[:, 1:], rest, rtol=1e-6)


@pytest.mark.parametrize("far", INFINITE)
def test_an_ignored_row_leaves_no_trace_in_the_gradient(far):
    y = np.array([1, 255])
    z = np.array([[0.3, 0.7], [far, 0.5]], "float32")
    for options in ({"from_logits": True}, {}):
        loss = kf.SparseCategoricalFocalLoss(ignore_label=255, **options)
        value, slope = value_and_grad(lambda x, f=loss: f(y, x), z)
        assert float(value) == pytest.approx(float(loss(y[:1], z[:1])), rel=1e-6)
        assert (slope[1] == 0).all()
        assert np.isfinite(slope[0]).all() and (slope[0] != 0).all()


class Padded(keras.layers.Layer):
    """Marks the last step of its input as padding."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, x, mask=None):
        return x

    def compute_mask(self, x, mask=None):
        return ops.arange(ops.shape(x)[1]) + ops.zeros(ops.shape(x)[:2], "int32") < 2


@pytest.mark.parametrize("far", INFINITE)
@pytest.mark.parametrize(
    "loss",
    [
        kf.FocalLoss(from_logits=True),
        kf.FocalLoss(),
        kf.CategoricalFocalLoss(from_logits=True),
        kf.CategoricalFocalLoss(),
        kf.SparseCategoricalFocalLoss(from_logits=True, label_smoothing=0.1),
        kf.OnlineHardExampleMining(kf.FocalLoss(from_logits=True), hardest=2),
        kf.OnlineHardExampleMining(hardest=2),
    ],
    ids=lambda loss: f"{loss.name}-{loss.from_logits}",
)
def test_a_masked_step_leaves_no_trace_in_the_gradient(loss, far):
    y = np.array([[[1, 0], [0, 1], [7, 7]]])  # what pads labels is no label
    if isinstance(loss, kf.SparseCategoricalFocalLoss):
        y = np.array([[0, 1, 7]])
    z = np.array([[[0.3, 0.7], [0.6, 0.4], [far, 0.5]]], "float32")
    padded = Padded()
    value, slope = value_and_grad(lambda x: loss(y, padded(x)), z)
    assert float(value) == pytest.approx(float(loss(y[:, :2], z[:, :2])), rel=1e-6)
    assert (slope[0, 2] == 0).all()
    assert np.isfinite(slope).all() and (slope[0, :2] != 0).all()


@pytest.mark.parametrize("far", INFINITE)
def test_integer_classes_take_a_mask(far):
    z = np.array([[0.5, -1.0], [far, 0.5], [1.0, 100.0]], "float32")
    ids = np.array([1, 5, -1])
    loss, slope = value_and_grad(
        lambda x: kf.sparse_sigmoid_focal_loss(ids, x, mask=np.array([1, 0, 1])), z
    )
    expected, rest = value_and_grad(
        lambda x: kf.sparse_sigmoid_focal_loss(ids[[0, 2]], x), z[[0, 2]]
    )
    np.testing.assert_allclose(loss, [expected[0], 0, expected[1]], rtol=1e-6)
    np.testing.assert_allclose(slope, [rest[0], [0, 0], rest[1]], rtol=1e-6)

"""Class ids that a model does not have: found in data sets and arrays, said in a line."""

import numpy as np
import pytest
import tensorflow as tf

import yolo
from yolo.data import unknown_ids


def batches(*ids, size=2, dtype=np.int32):
    """Return a data set of pictures with one object each, in batches, and its parts."""
    images = np.full((len(ids), 64, 64, 3), 90, np.uint8)
    boxes = np.tile(np.float32([8, 8, 40, 40]), (len(ids), 1, 1))
    truth = {"boxes": boxes, "classes": np.array(ids, dtype)[:, None]}
    return tf.data.Dataset.from_tensor_slices((images, truth)).batch(size), (images, truth)


def drawn(data):
    with unknown_ids.explained():
        return [truth["classes"].numpy().ravel().tolist() for _, truth in data]


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32])
def test_good_ids_pass_as_they_are(dtype):
    data, (images, truth) = batches(0, 2, -1, 1, -1, dtype=dtype)
    checked = unknown_ids.checked(data, 3)
    assert checked.element_spec == data.element_spec
    assert drawn(checked) == [[0, 2], [-1, 1], [-1]]
    assert unknown_ids.checked((images, truth), 3) == (images, truth)


def test_the_first_id_too_high_is_named():
    data, (images, truth) = batches(0, 1, 5, 3)
    words = "^class id 5 in the data, but the model has 3 classes: ids 0 to 2, -1 for padding$"
    with pytest.raises(ValueError, match=words):
        drawn(unknown_ids.checked(data, 3))
    with pytest.raises(ValueError, match=words):
        unknown_ids.checked((images, truth), 3)
    assert drawn(unknown_ids.checked(data.take(1), 3)) == [[0, 1]], "what comes before is not lost"
    with pytest.raises(ValueError, match="class id 1 .* the model has 1 class: ids 0 to 0,"):
        drawn(unknown_ids.checked(data, 1))


def test_what_holds_no_ids_is_left_alone():
    plain = tf.data.Dataset.from_tensors(np.zeros(3))
    empty = (np.zeros((2, 64, 64, 3)), {"classes": np.zeros((2, 0), np.int32)})
    for data in (plain, empty, (1, 2), None, iter(())):
        assert unknown_ids.checked(data, 3) is data


def test_other_faults_of_the_data_stay_what_they_are():
    broken = tf.data.Dataset.range(1).map(lambda n: tf.debugging.check_numerics(float("nan"), "x"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="NaN"), unknown_ids.explained():
        next(iter(broken))


@pytest.mark.parametrize("name", ["yolov4-tiny", "retinanet-csp-tiny"])
def test_a_detector_refuses_them_and_learns_nothing_from_them(name):
    model = yolo.build(name, classes=["a", "b"], image_size=(64, 64))
    model.compile("sgd", loss="focal", run_eagerly=True)
    (bad, arrays), (good, _) = batches(2, 0), batches(1, 0)
    before = model.get_weights()
    refused = pytest.raises(ValueError, match="^class id 2 in the data, but the model has 2 clas")
    for call in (
        lambda: model.fit(bad, verbose=0),
        lambda: model.fit(*arrays, verbose=0),
        lambda: model.evaluate(bad, verbose=0),
        lambda: model.evaluate(*arrays, verbose=0),
    ):
        with refused:
            call()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with refused:
        model.fit(good, validation_data=bad, verbose=0)


def test_a_compiled_step_says_it_in_the_same_line():
    model = yolo.build("yolov4-tiny", classes=["a"], image_size=(64, 64))
    model.compile("sgd", loss="focal")
    with pytest.raises(ValueError) as caught:
        model.fit(batches(0, 0, 7)[0], verbose=0)
    assert str(caught.value).startswith("class id 7 in the data, but the model has 1 class: ")
    assert "\n" not in str(caught.value)

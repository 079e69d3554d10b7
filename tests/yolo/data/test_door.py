"""What a detector cannot learn from is refused at every door: received, expected, what to write."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import yolo
from yolo.data.door import FIRST, Checked, Door
from yolo.data.one_batch import check_batch, check_structure
from yolo.pictures.sizes import check_sides

BOX = np.float32([8, 8, 40, 40])


def batches(*ids, size=2, dtype=np.int32):
    """Return a data set of pictures with one object each, in batches, and its parts."""
    images = np.full((len(ids), 64, 64, 3), 90, np.uint8)
    truth = {"boxes": np.tile(BOX, (len(ids), 1, 1)), "classes": np.array(ids, dtype)[:, None]}
    return tf.data.Dataset.from_tensor_slices((images, truth)).batch(size), (images, truth)


class Batches(keras.utils.PyDataset):
    """The batches of a list."""

    def __init__(self, elements):
        super().__init__(workers=1)
        self.elements = elements

    def __len__(self):
        return len(self.elements)

    def __getitem__(self, index):
        return self.elements[index]


DOORS = {
    "arrays": lambda images, truth: (images, truth),
    "data set": lambda images, truth: (tf.data.Dataset.from_tensors((images, truth)), None),
    "generator": lambda images, truth: ((pair for pair in [(images, truth)]), None),
    "PyDataset": lambda images, truth: (Batches([(images, truth)]), None),
}


class Loader:
    """Another library's, of which Keras knows some; lists for batches, as some have them."""

    def __init__(self, *elements):
        self.elements = elements

    def __iter__(self):
        return map(list, self.elements)


@pytest.fixture(scope="module")
def model():
    found = yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64))
    found.compile("sgd", loss="focal", run_eagerly=True)
    return found


def drawn(data, classes=3):
    door = Door(classes, check_sides)
    with door.explained():
        return [truth["classes"].numpy().ravel().tolist() for _, truth in door.checked(data)[0]]


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32])
def test_good_data_pass_as_they_are(dtype):
    data, (images, truth) = batches(0, 2, -1, 1, -1, -2, -3, dtype=dtype)
    checked, none = Door(3, check_sides).checked(data)
    assert checked.element_spec == data.element_spec and none is None
    assert checked.cardinality() == data.cardinality()
    assert drawn(data) == [[0, 2], [-1, 1], [-1, -2], [-3]]
    assert Door(3, check_sides).checked(images, truth) == (images, truth)
    loader = Loader((images, truth))
    assert Door(3, check_sides).checked(loader) == (loader, None)
    for other in (None, iter(())):
        assert Door(3, check_sides).checked(other) == (other, None)
    assert Door(3, check_sides).checked(Checked(data)) == (data, None), "not looked at again"


def test_the_first_id_too_high_is_named():
    data, (images, truth) = batches(0, 1, 5, 3)
    words = "^class id 5 in the data, but the model has 3 classes: ids 0 to 2, -1 for padding, -2"
    with pytest.raises(ValueError, match=words):
        drawn(data)
    with pytest.raises(ValueError, match=words):
        Door(3, check_sides).checked(images, truth)
    assert drawn(data.take(1)) == [[0, 1]], "what comes before is not lost"
    with pytest.raises(ValueError, match="class id 1 .* the model has 1 class: ids 0 to 0,"):
        drawn(data, 1)


def test_other_faults_of_the_data_stay_what_they_are():
    _, (images, truth) = batches(0)
    broken = tf.data.Dataset.from_tensors((images, truth)).map(
        lambda x, y: (x, {**y, "boxes": tf.debugging.check_numerics(y["boxes"] * np.nan, "x")})
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="NaN"):
        drawn(broken)


def test_a_compiled_step_says_it_in_the_same_line():
    model = yolo.build("yolov4-tiny", classes=["a"], image_size=(64, 64))
    model.compile("sgd", loss="focal")
    with pytest.raises(ValueError) as caught:
        model.fit(batches(0, 0, 7)[0], verbose=0)
    assert str(caught.value).startswith("class id 7 in the data, but the model has 1 class: ")
    assert "\n" not in str(caught.value)


def test_values_of_pictures_are_looked_at_in_the_first_batches_only():
    bright, dark = (np.full((1, 64, 64, 3), level, np.float32) for level in (200, 0.5))
    truth = {"boxes": BOX[None, None], "classes": np.int32([[0]])}
    late = [(bright, truth)] * FIRST + [(dark, truth)]
    assert len(list(Door(1, check_sides).checked(pair for pair in late)[0])) == FIRST + 1
    with pytest.raises(ValueError, match=r"as of 0\.\.1; multiply by 255"):
        list(Door(1, check_sides).checked(pair for pair in late[1:])[0])


@pytest.mark.parametrize("door", DOORS)
def test_pictures_that_are_not_finite_are_seen_in_every_batch(door):
    images = np.full((33, 32, 32, 3), 90, np.float32)
    images[-1, 5, 5, 1] = np.nan
    truth = {"boxes": np.tile(BOX / 2, (33, 1, 1)), "classes": np.zeros((33, 1), np.int32)}
    parts = [(images[i : i + 1], {k: v[i : i + 1] for k, v in truth.items()}) for i in range(33)]
    data = {
        "arrays": (images, truth),
        "data set": (tf.data.Dataset.from_tensor_slices((images, truth)).batch(1), None),
        "generator": ((part for part in parts), None),
        "PyDataset": (Batches(parts), None),
    }[door]
    found = Door(1, check_sides)
    with pytest.raises(ValueError, match="some that are not finite"), found.explained():
        checked = found.checked(*data)[0]
        list(checked if door != "PyDataset" else map(checked.__getitem__, range(33)))


def test_what_comes_without_truth_is_told_how_to_bring_it():
    _, (images, truth) = batches(0, 0)
    door = Door(1, check_sides)
    for data, words in [
        (images, r"alone; .* write fit\(images, truth\)"),
        ((images, truth), r"received a tuple; .* write fit\(\*data\)"),
        ([(images, truth)], r"received a list; .* write fit\(\(batch for batch in data\)\)"),
        (
            {"image": images, "objects": {"bbox": 0, "label": 0}},
            r'"boxes": d\["objects"\]\["bbox"\], "classes": d\["objects"\]\["label"\]',
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            door.checked(data)
    listed = [{"boxes": boxes, "labels": ids} for boxes, ids in zip(*truth.values(), strict=True)]
    with pytest.raises(ValueError, match=r"np.stack\(\[one\[\"labels\"\] for one in truth\]\)"):
        door.checked(images, listed)


def test_boxes_that_fit_only_as_y_and_x_are_refused_though_they_are_corners():
    images, ids = np.zeros((1, 64, 96, 3), np.uint8), np.int32([[0, 0]])
    turned = np.float32([[[8, 50, 30, 90], [4, 4, 60, 95]]])
    with pytest.raises(
        ValueError, match=r"received \(8, 50, 30, 90\); write boxes\[..., \[1, 0, 3"
    ):
        check_batch(images, turned, ids, 1, pixels=True)
    check_batch(images, turned[..., [1, 0, 3, 2]], ids, 1, pixels=True)
    uncut = np.float32([[[-20, 8, 90, 60], [50, 40, 99, 80]]])
    check_batch(images, uncut, ids, 1, pixels=True)


def wrong(rng):
    """Return a batch with one fault drawn by chance, and what its line says."""
    count, rows = rng.integers(1, 4), rng.integers(1, 4)
    images = rng.integers(0, 256, (count, 64, 96, 3), np.uint8)
    corners = rng.uniform(2, 30, (2, count, rows, 2))
    boxes = np.concatenate([corners[0], corners[0] + corners[1]], -1).astype("float32")
    classes = rng.integers(0, 2, (count, rows)).astype("int32")
    place = (rng.integers(count), rng.integers(rows))
    kind = rng.integers(11)
    if kind == 0:
        images, words = (images / 255).astype(rng.choice(["float16", "float32"])), "multiply by 255"
    elif kind == 1:
        boxes, words = boxes / np.float32([96, 64, 96, 64]), r"boxes \* \[96, 64, 96, 64\]"
    elif kind == 2:
        boxes[place] = boxes[place][[2, 3, 0, 1]]
        words = "expected corners x1 <= x2"
    elif kind == 3:
        boxes[place][rng.integers(4)] = rng.choice([np.nan, np.inf, -np.inf])
        words = "expected finite numbers"
    elif kind == 4:
        boxes[place] += rng.choice([-1, 1]) * np.float32(rng.uniform(200, 1e6))
        words = "expected boxes in pictures of 96x64"
    elif kind == 5:
        classes[place] = rng.choice([2, 90, 2**31 - 1, -4, -(2**31)])
        words = "the model has 2 classes: ids 0 to 1"
    elif kind == 6:
        images, words = images.astype("float32") / 127.5 - 1, "normalised|as of 0..1"
    elif kind == 7:
        images, words = images[:, :50], "multiples of 32, received 50x96 .* to 64x96"
    elif kind == 8:
        images, words = images[..., :1], "received images"
    elif kind == 9:
        boxes, words = boxes[..., :3], "received boxes"
    else:
        images, words = images.astype("uint16") * 257, "scale them"
        images[0, 0, 0] = 65535
    return images, {"boxes": boxes, "classes": classes}, words


@pytest.mark.parametrize("door", DOORS)
def test_a_wrong_batch_is_refused_before_the_first_update(model, door):
    rng, before = np.random.default_rng(len(door)), model.get_weights()
    for _ in range(25):
        images, truth, words = wrong(rng)
        with pytest.raises(ValueError, match=words) as caught:
            model.fit(*DOORS[door](images, truth), verbose=0)
        assert "\n" not in str(caught.value)
    for step in (model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=words):
            step(images, truth)
    for data in (DOORS[door](images, truth), (Loader((images, truth)), None)):
        with pytest.raises(ValueError, match=words):
            model.evaluate(*data, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("door", DOORS)
def test_a_wrong_batch_for_validation_is_refused(model, door):
    (images, truth, words), (_, good) = wrong(np.random.default_rng(5)), batches(1, 0)
    data, none = DOORS[door](images, truth)
    before = model.get_weights()
    with pytest.raises(ValueError, match=words):
        model.fit(*good, verbose=0, validation_data=data if none is None else (data, none))
    for a, b in zip(before, model.get_weights(), strict=True):  # not only after an epoch
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("door", DOORS)
def test_a_good_batch_validates_through_every_door(model, door):
    _, good = batches(1, 0)
    data, none = DOORS[door](*good)
    data = data if none is None else (data, none)
    assert np.isfinite(model.fit(*good, verbose=0, validation_data=data).history["val_loss"]).all()


@pytest.mark.parametrize("door", DOORS)
def test_a_good_batch_trains_through_every_door(model, door):
    _, (images, truth) = batches(1, 0)
    assert np.isfinite(model.fit(*DOORS[door](images, truth), verbose=0).history["loss"]).all()


def test_a_good_batch_trains_alone_and_out_of_a_list(model):
    _, (images, truth) = batches(1, 0)
    assert np.isfinite(model.train_on_batch(images, truth)).all()
    assert np.isfinite(model.test_on_batch(images, truth)).all()
    listed = (pair for pair in Loader((images, truth)))
    assert np.isfinite(model.fit(listed, verbose=0).history["loss"]).all()


IMAGES = np.zeros((2, 64, 64, 3), "uint8")
BOXES, CLASSES = np.tile(BOX, (2, 1, 1)), np.int32([[0], [1]])


@pytest.mark.parametrize(
    "element, words",
    [
        (
            {"images": IMAGES, "bounding_boxes": {"boxes": BOXES, "classes": CLASSES}},
            r'received a dictionary of "images", "bounding_boxes"; expected .*; write '
            r'data.map\(lambda d: \(d\["images"\], \{"boxes": d\["bounding_boxes"\]\["boxes"\]',
        ),
        ((IMAGES, (BOXES, CLASSES)), r'write \{"boxes": truth\[0\], "classes": truth\[1\]\}'),
        (
            (IMAGES, {"boxes": BOXES, "labels": CLASSES}),
            r'"boxes", "labels" .* write \{"boxes": truth\["boxes"\], "classes": truth\["labels"\]',
        ),
        (
            (IMAGES, {"bbox": BOXES, "category_id": CLASSES}),
            r'\{"boxes": truth\["bbox"\], "classes": truth\["category_id"\]\}',
        ),
        ((IMAGES, np.zeros((2, 1, 5))), r"truth\[\.\.\., :4\]"),
        ((IMAGES, None), "received nothing for the objects"),
        ((IMAGES, {"boxes": [[1, 2, 3, 4]], "classes": CLASSES}), r"np.array\(boxes\)"),
        ((IMAGES[0], {"boxes": BOXES[0], "classes": CLASSES[0]}), r"write data.batch\(8\)"),
        ((IMAGES, {"boxes": BOXES, "classes": np.eye(2)[CLASSES]}), "where they are one-hot"),
        ((IMAGES, {"boxes": BOXES, "classes": CLASSES[:, :0]}), "one class id for each box"),
        (IMAGES, r"fit\(images, truth\)"),
        (
            (IMAGES, {"boxes": tf.RaggedTensor.from_tensor(BOXES), "classes": CLASSES}),
            r'received a ragged tensor of boxes; .* write truth\["boxes"\].to_tensor\(\)',
        ),
        (
            (IMAGES, {"boxes": BOXES, "classes": tf.RaggedTensor.from_tensor(CLASSES)}),
            r'write truth\["classes"\].to_tensor\(-1\)',
        ),
        (
            (IMAGES, {"boxes": BOXES, "classes": tf.sparse.from_dense(CLASSES)}),
            r'a sparse tensor of classes; .* tf.sparse.to_dense\(truth\["classes"\], -1\)',
        ),
        (
            (IMAGES, {"boxes": BOXES, "classes": np.array([["cat"], ["dog"]])}),
            r"received classes of dtype <u3; .* write numbers: \[detector.classes.index",
        ),
        ((IMAGES, {"boxes": BOXES.astype(object), "classes": CLASSES}), r"np.array\(boxes, float"),
        (
            (tf.TensorSpec(None), {"boxes": BOXES, "classes": CLASSES}),
            r"images of unknown shape; .*tf.ensure_shape\(x, \(None, None, None, 3\)\)",
        ),
    ],
)  # fmt: skip
def test_the_form_of_another_library_gets_the_line_to_write(element, words):
    with pytest.raises(ValueError, match=words) as caught:
        check_structure(element)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "boxes, words",
    [
        ([[10, 70, 40, 90]], r"\[\.\.\., \[1, 0, 3, 2\]\] if they are y1, x1"),
        ([[50, 20, 10, 10], [5, 5, 20, 20]], "if they are x, y, width, height"),
        ([[80, 40, 30, 20], [9, 9, 18, 18]], "if they are centre x, centre y"),
        ([[500, 20, 510, 30]], "boxes as x1, y1, x2, y2 in pixels of the pictures"),
    ],
)
def test_boxes_of_another_order_are_told_by_what_would_make_them_corners(boxes, words):
    boxes = np.float32([boxes])
    images, ids = np.zeros((1, 64, 96, 3), "uint8"), np.zeros(boxes.shape[:2], "int32")
    with pytest.raises(ValueError, match=words):
        check_batch(images, boxes, ids, 1, pixels=True)


def test_padding_may_hold_anything_finite_and_boxes_may_reach_over_the_edge():
    boxes = np.float32([[[9, 9, 0, 0], [-20, -9, 70, 70], [30, 30, 30, 40]]])
    check_batch(IMAGES[:1], boxes, np.int32([[-1, 0, 1]]), 2, pixels=True)

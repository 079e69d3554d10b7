"""Labels to ignore: carried from annotation to batch, never counted as objects to learn."""

from dataclasses import replace

import numpy as np
import pytest

from tests.yolo.data.batches import SIZE, STRONG, make, take, training
from yolo.boxes.labels import CROWD, DIFFICULT, PADDING
from yolo.data import augment, check, folder
from yolo.data.formats.tfrecords import Shards, write_shards
from yolo.data.pipeline import NOT_AUGMENTED, evaluation_dataset
from yolo.errors import DatasetError
from yolo.settings.train import TrainConfig
from yolo.training import fit_anchors, overfit

BOXES = [(10, 20, 60, 70), (80, 30, 120, 90), (100, 5, 150, 25)]


def labels_of(sample):
    return sample.labels().tolist()


@pytest.fixture
def mixed(tmp_path):
    """Return a picture with an object, a difficult one and a crowd."""
    sample = make(tmp_path, "mixed", boxes=BOXES, classes=[1, 0, 1])
    flags = np.array([False, True, True])
    return replace(sample, difficult=flags, crowd=np.array([False, False, True]))


def test_what_a_batch_says_of_a_label(mixed):
    assert labels_of(mixed) == [1, DIFFICULT, CROWD]
    assert labels_of(mixed.with_difficult_learned()) == [1, 0, CROWD]
    assert labels_of(mixed.learned()) == [1]
    assert labels_of(mixed.select(np.array([False, True, True]))) == [DIFFICULT, CROWD]
    assert mixed.select(np.zeros(3, bool)).crowd.shape == (0,)


def test_pictures_are_measured_with_their_ignored_labels(mixed):
    dataset = evaluation_dataset([mixed], image_size=SIZE, batch_size=1)
    ((_, boxes, classes),) = take(dataset, 1)
    assert classes.tolist() == [[1, DIFFICULT, CROWD]]
    np.testing.assert_allclose(boxes[0], np.array(BOXES) * 0.8, rtol=1e-5)


@pytest.mark.parametrize("number", [0, DIFFICULT, CROWD])
@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_ignored_labels_go_where_objects_go(tmp_path, number, mosaic):
    """Mirrored, scaled, shifted, cut and joined, a label stays on its bright rectangle."""
    samples = [
        make(tmp_path, f"{i}", boxes=[(30 + 9 * i, 20, 100, 90 - 5 * i)], suffix=".png")
        for i in range(4)
    ]
    ignored = np.array([number != 0])
    samples = [replace(s, difficult=ignored, crowd=ignored & (number == CROWD)) for s in samples]
    plan = replace(STRONG, mosaic=mosaic, mixup=0.0, hue=0.0, saturation=0.0, value=0.0,
                   min_box_pixels=0.0, min_box_visible=0.0)  # fmt: skip
    seen = 0
    for images, boxes, classes in take(training(samples, plan), 3):
        assert set(np.unique(classes)) <= {PADDING, number}
        for image, own, ids in zip(images, boxes, classes, strict=True):
            bright = image[..., 0] > 200
            inside = np.zeros_like(bright)
            for x1, y1, x2, y2 in np.round(own[ids == number]).astype(int):
                inside[y1:y2, x1:x2] = True
                seen += 1
            wrong = bright != inside
            edges = np.abs(np.diff(inside.astype(int), axis=0)).sum()
            edges += np.abs(np.diff(inside.astype(int), axis=1)).sum()
            assert wrong.sum() <= 2 * edges + 4
    assert seen >= 12


def test_of_what_is_ignored_even_a_sliver_stays():
    window = augment.visible_window(
        np.array([[100.0, 100.0]]), np.array([[100.0, 100.0]]), np.array([[0.0, -90.0]]),
        np.array([[100.0, 100.0]]),
    )  # fmt: skip
    boxes = np.float32([[[0, 0, 91, 50]] * 3 + [[0, 0, 90, 50], [0, 0, 0, 0]]])
    classes = np.int32([[0, DIFFICULT, CROWD, CROWD, PADDING]])
    moved, found = augment.move_boxes(boxes, classes, window, min_pixels=4.0, min_visible=0.3)
    assert found.numpy().tolist() == [[PADDING, DIFFICULT, CROWD, PADDING, PADDING]]
    assert moved.numpy()[0, 2].tolist() == [0, 0, 1, 50]


def test_shards_carry_crowds(mixed, tmp_path):
    write_shards({"train": [mixed]}, ["cat", "dog"], tmp_path / "shards")
    (again,) = Shards(tmp_path / "shards").read("train")
    assert labels_of(again) == labels_of(mixed)


# ---------------------------------------------------------------- not counted as objects


@pytest.fixture
def voc(voc_folder):
    """Return a data set of two training pictures, of whose cats one is difficult."""
    hard = voc_folder.object("cat", 5, 5, 20, 20, extra="<difficult>1</difficult>")
    voc_folder.add("a", ("cat", 1, 1, 40, 50), hard)
    voc_folder.add("b", voc_folder.object("dog", 5, 5, 20, 20, extra="<difficult>1</difficult>"))
    voc_folder.list("train", "a", "b")
    voc_folder.list("val", "a")
    return voc_folder


def test_difficult_objects_are_learned_on_request(voc):
    for choice, expected in (("ignore", [[0, DIFFICULT], [DIFFICULT]]), ("learn", [[0, 0], [1]])):
        data = folder.open_data(TrainConfig(data=str(voc.root), difficult=choice))
        assert [labels_of(sample) for sample in data.train] == expected
        assert labels_of(data.val[0]) == [0, DIFFICULT]  # it is scored as ever


def test_a_list_for_both_purposes_stays_one(voc):
    config = TrainConfig(data=str(voc.root), difficult="learn", val_split="train")
    data = folder.open_data(config)
    assert data.val is data.train


def test_pictures_of_ignored_objects_alone_teach_nothing(voc):
    voc.list("train", "b")
    with pytest.raises(DatasetError, match="all objects.*--difficult learn takes"):
        folder.open_data(TrainConfig(data=str(voc.root)))
    data = folder.open_data(TrainConfig(data=str(voc.root), difficult="learn"))
    assert labels_of(data.train[0]) == [1]


def test_ignored_objects_count_for_no_class_and_no_anchor(voc):
    config = TrainConfig(data=str(voc.root), image_size=(64, 64))
    data = folder.open_data(config)
    report = check.examine("it", {"train": data.train}, data.classes, (), image_size=(64, 64))
    counts = report.splits["train"]
    assert counts.per_class == {"cat": 1, "dog": 0} and (counts.objects, counts.difficult) == (3, 2)
    assert fit_anchors.anchor_recall(config, data.train, data.classes).per_class.keys() == {"cat"}
    assert overfit.choose(data.train, 2) == [data.train[0]]


def test_nothing_changes_where_nothing_is_ignored(mixed):
    plain = mixed.learned()
    assert plain.learned() is plain
    dataset = evaluation_dataset([plain], image_size=SIZE, batch_size=1)
    assert take(dataset, 1)[0][2].tolist() == [[1]]
    assert NOT_AUGMENTED.min_box_pixels == 0


def test_what_is_left_has_an_area_whatever_may_be_dropped():
    window = augment.visible_window(
        np.array([[100.0, 100.0]]), np.array([[100.0, 100.0]]), np.array([[0.0, -90.0]]),
        np.array([[100.0, 100.0]]),
    )  # fmt: skip
    boxes = np.float32([[[0, 0, 90 + beyond, 50] for beyond in (-20, 0, 1e-5, 0.02)]] * 2)
    classes = np.int32([[0] * 4, [CROWD] * 4])
    moved, found = augment.move_boxes(boxes[:1], classes[:1], window)
    _, ignored = augment.move_boxes(boxes[1:], classes[1:], window)
    assert found.numpy().tolist() == [[PADDING] * 3 + [0]]
    assert ignored.numpy().tolist() == [[PADDING] * 3 + [CROWD]]
    assert (moved[0, 3, 2:] > moved[0, 3, :2]).numpy().all()

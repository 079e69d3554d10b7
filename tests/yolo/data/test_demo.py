"""The data set that the program draws itself."""

import numpy as np
import pytest

from yolo.data.demo import annotation_xml, write_shapes
from yolo.data.demo_pictures import (
    FULL,
    IMBALANCED,
    LARGE,
    SHAPES_CLASSES,
    Drawing,
    draw_picture,
)
from yolo.data.folder import open_folder
from yolo.data.formats.voc import LabelledObject
from yolo.pictures.files import read_image

COUNTS = {"train": 12, "val": 3, "test": 4}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"), **COUNTS)


def snapshot(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_it_is_a_voc_data_set_that_needs_no_repair(drawn, caplog):
    assert drawn.parts[-2:] == ("VOCdevkit", "VOC2007")
    lists = open_folder(drawn).splits()
    assert {k: len(v) for k, v in lists.items()} == COUNTS | {"trainval": 15}
    assert not set(lists["trainval"]) & set(lists["test"])
    for split in COUNTS:
        for sample in open_folder(drawn).read(split, classes=SHAPES_CLASSES):
            assert sample.size == (240, 320) == read_image(sample.path).shape[:2]
    assert set(open_folder(drawn).classes) <= set(SHAPES_CLASSES)
    assert not [r for r in caplog.records if r.levelname == "WARNING"]


def test_the_seed_decides_every_byte(drawn, tmp_path):
    assert snapshot(write_shapes(tmp_path / "a", **COUNTS)) == snapshot(drawn)
    other = snapshot(write_shapes(tmp_path / "b", seed=1, **COUNTS))
    assert other.keys() == snapshot(drawn).keys() and other != snapshot(drawn)


def test_an_imbalanced_set_has_few_small_objects_and_many_pictures_without(tmp_path):
    folder = write_shapes(tmp_path, train=60, val=1, test=1, drawing=IMBALANCED)
    samples = open_folder(folder).read("train", classes=SHAPES_CLASSES)
    counts = np.array([len(sample.class_ids) for sample in samples])
    assert 0.3 < (counts == 0).mean() < 0.7 and set(counts) == {0, 1, 2}
    sides = np.concatenate(
        [sample.boxes_xyxy[:, 2:] - sample.boxes_xyxy[:, :2] for sample in samples]
    )
    assert sides.max() < 55 and np.median(sides) < 35  # up to 104, were they like FULL's
    full = write_shapes(tmp_path, train=60, val=1, test=1)
    assert snapshot(full) != snapshot(tmp_path / "VOCdevkit.old1" / "VOC2007")


def test_the_drawing_changes_nothing_unless_it_is_given():
    plain, objects = draw_picture(np.random.default_rng(5))
    same, others = draw_picture(np.random.default_rng(5), drawing=Drawing((16, 52), (2, 7), 0.03))
    assert np.array_equal(plain, same) and objects == others and Drawing() == FULL


def test_a_complete_set_is_used_again_and_additions_stay(tmp_path):
    folder = write_shapes(tmp_path, **COUNTS)
    (folder / "JPEGImages" / "mine.jpg").write_bytes(b"x")
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert write_shapes(tmp_path, **COUNTS) == folder
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


@pytest.mark.parametrize("lost", ["JPEGImages/000003.jpg", "Annotations/000001.xml", "README.txt"])
def test_an_incomplete_set_is_drawn_again_and_nothing_is_deleted(tmp_path, lost, caplog):
    folder = write_shapes(tmp_path, **COUNTS)
    good = snapshot(folder)
    (folder / lost).unlink()
    (folder / "mine.txt").write_text("precious")
    assert snapshot(write_shapes(tmp_path, **COUNTS)) == good
    assert (tmp_path / "VOCdevkit.old1" / "VOC2007" / "mine.txt").read_text() == "precious"
    assert "VOCdevkit.old1" in caplog.text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["VOCdevkit", "VOCdevkit.old1"]


@pytest.mark.parametrize("drawing, width", [(FULL, 192), (LARGE, 160)])
def test_pictures_have_what_a_small_detector_can_learn(drawing, width):
    sides, objects, empty = [], 0, 0
    for n in range(60):
        image, found = draw_picture(np.random.default_rng(n), drawing=drawing)
        assert image.shape == (240, 320, 3) and image.dtype == np.uint8
        empty += not found
        objects += len(found)
        for item in found:
            x1, y1, x2, y2 = item.box
            assert 0 <= x1 < x2 <= 320 and 0 <= y1 < y2 <= 240
            sides.append(min(x2 - x1, y2 - y1))
    assert empty <= 6 and objects > 150
    assert min(sides) >= 14 * 320 / width - 2  # 14 pixels at the network's width
    assert max(sides) > 100


def test_boxes_surround_the_shapes():
    """What changes from the same background without shapes lies in the boxes and their shadows."""
    rng = np.random.default_rng(5)
    image, found = draw_picture(rng)
    spread = image.max(2).astype(int) - image.min(2)  # shapes are far more colourful
    inside = np.zeros(image.shape[:2], bool)
    for item in found:
        x1, y1, x2, y2 = item.box
        inside[y1:y2, x1:x2] = True
        assert spread[y1:y2, x1:x2].max() > 100
    assert found and spread[~inside].max() < 100


def test_annotation_text():
    item = LabelledObject("a<b", (0, 1, 5, 9), truncated=True, difficult=True)
    text = annotation_xml("x&y.jpg", (10, 20), [item])
    for part in (
        "<name>a&lt;b</name>",
        "x&amp;y.jpg",
        "<truncated>1<",
        "<difficult>1<",
        "<xmin>1<",
        "<ymin>2<",
        "<xmax>5<",
        "<ymax>9<",
        "<width>20<",
        "<height>10<",
    ):
        assert part in text

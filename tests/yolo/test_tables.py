"""Class lists and anchors: the tables and the files that users write."""

import pytest

from yolo.classes import COCO_CLASSES, VOC_CLASSES, read_classes
from yolo.errors import ConfigError
from yolo.models.yolov4.settings import (
    TINY_MASKS,
    YOLOV4_ANCHORS,
    YOLOV4_MASKS,
    YOLOV4_TINY_ANCHORS,
)
from yolo.settings.detector import read_anchors


def written(tmp_path, content):
    path = tmp_path / "table.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def refused(read, path):
    with pytest.raises(ConfigError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


def test_class_tables():
    assert len(VOC_CLASSES) == len(set(VOC_CLASSES)) == 20
    assert VOC_CLASSES == tuple(sorted(VOC_CLASSES))
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == 80
    assert [COCO_CLASSES[i] for i in (0, 2, 16, 79)] == ["person", "car", "dog", "toothbrush"]
    assert set(VOC_CLASSES) <= set(COCO_CLASSES)


def test_anchor_tables():
    assert [len(YOLOV4_ANCHORS), len(YOLOV4_TINY_ANCHORS)] == [9, 6]
    for anchors in (YOLOV4_ANCHORS, YOLOV4_TINY_ANCHORS):
        areas = [width * height for width, height in anchors]
        assert areas == sorted(areas)
    assert sorted(i for mask in YOLOV4_MASKS for i in mask) == list(range(9))
    assert sorted(i for mask in TINY_MASKS["custom"] for i in mask) == list(range(6))
    assert TINY_MASKS["coco"] == ((1, 2, 3), (3, 4, 5))


@pytest.mark.parametrize(
    "content, names",
    [
        ("cat\ndog\n", ("cat", "dog")),
        ("cat\r\ndog", ("cat", "dog")),
        ("\ufeffcat\n\n  traffic light  \n", ("cat", "traffic light")),
        ("红细胞\n白细胞\n", ("红细胞", "白细胞")),
    ],
)
def test_class_files(tmp_path, content, names):
    assert read_classes(written(tmp_path, content)) == names


@pytest.mark.parametrize(
    "content, words",
    [
        ("", "no class name in the file; write one name a line"),
        ("\n \n", "no class name"),
        ("cat\ndog\ncat \n", "a class name stands twice: cat"),
        ("红".encode("gbk"), "save it as UTF-8"),
    ],
)
def test_class_files_that_are_none(tmp_path, content, words):
    assert words in refused(read_classes, written(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    ["10,14, 23,27", "10, 14,  23, 27\n", "10 14\n23 27\n", "\ufeff10,14\r\n23,27", "1e1,14,23,27"],
)
def test_anchor_files(tmp_path, content):
    assert read_anchors(written(tmp_path, content)) == ((10.0, 14.0), (23.0, 27.0))


@pytest.mark.parametrize(
    "content, words",
    [
        ("", "found 0 numbers"),
        ("10,14,23", "found 3 numbers"),
        ("10,0", "pairs of positive numbers"),
        ("10,-14", "pairs of positive numbers"),
        ("10,nan", "pairs of positive numbers"),
        ("10,1e9", "pairs of positive numbers"),
        ("ten,14", "anchors are numbers 'w,h, w,h, ...'"),
        (b"\xff\xfe1", "cannot read the anchors"),
    ],
)
def test_anchor_files_that_are_none(tmp_path, content, words):
    assert words in refused(read_anchors, written(tmp_path, content))


@pytest.mark.parametrize("read", [read_classes, read_anchors])
def test_a_table_that_is_not_there(tmp_path, read):
    assert "No such file or directory" in refused(read, tmp_path / "absent.txt")
    assert refused(read, tmp_path).startswith(f"{tmp_path}: ")

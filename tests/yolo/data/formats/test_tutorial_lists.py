"""The tutorial's line format."""

import pytest

from yolo.data.formats.tutorial_lists import open_lists
from yolo.errors import DatasetError


def read_lines(path, classes):
    return open_lists({"train": path}, classes).read("train")


@pytest.fixture
def write(voc_folder):
    def write(*lines):
        path = voc_folder.root / "2007_train.txt"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


def test_an_empty_list(write):
    assert read_lines(write("", " "), classes=["dog"]) == []


def test_boxes_blanks_and_negatives(voc_folder, write):
    voc_folder.picture("a b 1,2")
    absolute = voc_folder.picture("图片")
    path = write(
        "JPEGImages/a b 1,2.jpg 1,2,30,40,1  5,6,7.5,8,0 ",
        f"{absolute}",
        f"{absolute} 0,0,80,60,0\r",
    )
    first, second, third = read_lines(path, classes=["cat", "dog"])
    assert first.path == voc_folder.root / "JPEGImages" / "a b 1,2.jpg"
    assert first.boxes_xyxy.tolist() == [[1, 2, 30, 40], [5, 6, 7.5, 8]]
    assert first.class_ids.tolist() == [1, 0]
    assert first.size == (60, 80) and first.image_id == "a b 1,2"
    assert second.path == absolute and second.boxes_xyxy.shape == (0, 4)
    assert third.boxes_xyxy.tolist() == [[0, 0, 80, 60]]
    assert not third.difficult.any() and not third.truncated.any()


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ("1,2,30,40,2", "box 1: class 2; expected 0 to 1"),
        ("1,2,3,4,0 1,2,30,40,0.5", "box 2: class 0.5; expected 0 to 1"),
        ("30,2,1,40,0", "box 1: xmin 30 > xmax 1"),
        ("1,nan,3,4,0", "box 1: [1, nan, 3, 4]; expected four finite numbers"),
        ("1,2,30,40", "'1,2,30,40'; expected x1,y1,x2,y2,class"),
        ("1,2,x,40,0", "'1,2,x,40,0'; expected x1,y1,x2,y2,class"),
        ("90,2,95,40,0", "lies outside the picture of 80x60"),
        (".jpg", "cannot be opened"),
    ],
)
def test_faults_name_the_list_and_the_line(voc_folder, write, boxes, words):
    voc_folder.picture("a")
    path = write("JPEGImages/a.jpg", f"JPEGImages/a.jpg {boxes}")
    with pytest.raises(DatasetError) as caught:
        read_lines(path, classes=["cat", "dog"])
    assert f"{path}:2" in str(caught.value) and words in str(caught.value)


def test_a_list_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(DatasetError, match="cannot be opened"):
        read_lines(tmp_path / "absent.txt", classes=["dog"])
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="no readable list in UTF-8"):
        read_lines(tmp_path / "a.txt", classes=["dog"])
